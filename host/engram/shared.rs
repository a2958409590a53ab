//! What both engrams have in common: the lock, the ledger, and long work done
//! in slices, so that readers and writers of other traces get in between and a
//! dropped future stops within one slice.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::RwLock;

use super::entry::{Imprint, Receipt};
use super::error::EngramError;
use super::journal::Rollback;
use super::layers::State;
use super::query::{Matcher, Query, Recalled};
use super::rank::Best;
use super::scope::{Held, Ledger, WriteScope};
use super::store::{Bytes, Projection, Slice, Store};
use super::write::{Means, Request};
use crate::clock::{Clock, Ids, yield_now};
use crate::signal::TraceId;

/// Writes that a commit or a rollback works on in one hold of the lock: less
/// than half a millisecond.
const SLICE_WRITES: usize = 512;

/// Work that a recall does in one hold of the lock, in units of about 100 ns.
const SLICE_WORK: usize = 2048;

/// Bytes of text that are searched in one unit of work.
const TEXT_BYTES_A_UNIT: usize = 128;

/// How an engram ranks what its query lets through.
pub(super) trait Ranking<P>: Sync {
    /// The score of an entry that matches all else with this score; none to
    /// leave it out.
    fn score(&self, projection: &P, row: usize, matched: f32) -> Option<f32>;
    /// Whether it changes scores, so that the scan has to see every entry.
    fn ranks(&self) -> bool;
    /// Units of work that scoring one entry takes.
    fn work(&self) -> usize;
}

/// Ranks by the match alone.
pub(super) struct ByMatch;

impl<P> Ranking<P> for ByMatch {
    fn score(&self, _projection: &P, _row: usize, matched: f32) -> Option<f32> {
        Some(matched)
    }

    fn ranks(&self) -> bool {
        false
    }

    fn work(&self) -> usize {
        0
    }
}

/// An engram's state behind its lock.
pub(super) struct Shared<P> {
    id: Arc<str>,
    store: RwLock<Store<P>>,
    clock: Clock,
    ids: Ids,
    ledger: Arc<dyn Ledger>,
}

impl<P: Projection> Shared<P> {
    pub(super) fn new(
        id: Arc<str>,
        projection: P,
        clock: Clock,
        ids: Ids,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        Self {
            store: RwLock::new(Store::new(Arc::clone(&id), projection)),
            id,
            clock,
            ids,
            ledger,
        }
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn len(&self) -> usize {
        self.store.read().indexes.len()
    }

    pub(super) fn journaled(&self, trace: &TraceId) -> usize {
        self.store.read().journaled(trace)
    }

    pub(super) fn imprint(
        &self,
        imprint: Imprint,
        scope: Option<&WriteScope>,
    ) -> Result<Receipt, EngramError> {
        let request = Request::new(imprint)?;
        let means = Means {
            scope,
            clock: &self.clock,
            ids: &self.ids,
            ledger: &*self.ledger,
        };
        let mut slice = Slice::default();
        let receipt = self.store.write().imprint(request, &means, &mut slice);
        self.release(slice.freed);
        receipt
    }

    pub(super) async fn commit(&self, trace: &TraceId) {
        loop {
            let mut slice = Slice::default();
            let more = self
                .store
                .write()
                .commit_slice(trace, SLICE_WRITES, &mut slice);
            self.release(slice.freed);
            if !more {
                return;
            }
            drop(slice);
            yield_now().await;
        }
    }

    pub(super) async fn rollback(&self, trace: &TraceId) -> Rollback {
        let mut report = Rollback::default();
        let mut named = HashSet::new();
        loop {
            let mut slice = Slice::default();
            let more = self
                .store
                .write()
                .rollback_slice(trace, SLICE_WRITES, &mut slice);
            self.release(slice.freed);
            report.compensated += slice.compensated;
            let kept = std::mem::take(&mut slice.kept).into_iter();
            report
                .kept
                .extend(kept.filter(|kept| named.insert(kept.entry.clone())));
            if !more {
                return report;
            }
            drop(slice);
            yield_now().await;
        }
    }

    /// Looks at the entries that are there when it begins, in order, each at
    /// most once: while it runs, an entry can move to an earlier place (a
    /// rollback puts it back) or to one beyond the end, never ahead of it.
    pub(super) async fn recall(
        &self,
        query: &Query,
        ranking: &impl Ranking<P>,
        default_top_k: usize,
    ) -> Result<Recalled, EngramError> {
        let matcher = Matcher::new(query)?;
        let mut best = Best::new(query.top_k.unwrap_or(default_top_k));
        let mut cursor = Cursor::default();
        while self.scan(&matcher, ranking, &mut cursor, &mut best) {
            yield_now().await;
        }
        Ok(best.into_recalled())
    }

    /// One slice of a recall. Returns whether some of the scan is left.
    fn scan(
        &self,
        matcher: &Matcher<'_>,
        ranking: &impl Ranking<P>,
        cursor: &mut Cursor,
        best: &mut Best,
    ) -> bool {
        let alike = !matcher.ranks() && !ranking.ranks();
        let store = self.store.read();
        if let Some(id) = matcher.id() {
            let named = store.slot_of(id).and_then(|slot| store.visible(slot));
            if let Some(state) = named
                && let Some(score) = rate(&store, matcher, ranking, state)
            {
                best.offer(score, state);
            }
            return false;
        }
        let end = *cursor.end.get_or_insert_with(|| store.end_place());
        let mut work = 0;
        let places = cursor.from..end;
        let key_hash = matcher.merge_key().map(|key| store.indexes.hash(key));
        for (place, slot) in store.indexes.candidates(key_hash, places) {
            if work >= SLICE_WORK {
                cursor.from = place;
                return true;
            }
            let Some(state) = store.visible(slot) else {
                continue;
            };
            work += 1 + matcher.text_bytes(state) / TEXT_BYTES_A_UNIT + ranking.work();
            if let Some(score) = rate(&store, matcher, ranking, state) {
                best.offer(score, state);
            }
            if alike && best.is_truncated() {
                return false;
            }
        }
        false
    }

    fn release(&self, freed: Bytes) {
        if freed.store > 0 {
            self.ledger.release(Held::Store, freed.store);
        }
        if freed.journal > 0 {
            self.ledger.release(Held::Journal, freed.journal);
        }
    }
}

/// The score of a visible state, if it matches and is good enough.
fn rate<P: Projection>(
    store: &Store<P>,
    matcher: &Matcher<'_>,
    ranking: &impl Ranking<P>,
    state: &State,
) -> Option<f32> {
    matcher
        .score(state)
        .and_then(|score| ranking.score(&store.projection, state.row, score))
        .filter(|score| matcher.is_confident(*score))
}

/// An engram that is dropped holds nothing any more.
impl<P> Drop for Shared<P> {
    fn drop(&mut self) {
        let held = self.store.get_mut().held();
        self.ledger.release(Held::Store, held.store);
        self.ledger.release(Held::Journal, held.journal);
    }
}

/// How far a recall has come.
#[derive(Default)]
struct Cursor {
    from: u64,
    /// The end of the order when the recall began.
    end: Option<u64>,
}
