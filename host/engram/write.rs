//! The five write operations: which entry a request means, and the state that
//! it leaves behind (table of Cosmonapse's engram operations, wire v1).

use std::fmt::Write;
use std::sync::Arc;

use super::entry::{Draft, Entry, Imprint, Op, Receipt};
use super::error::EngramError;
use super::idempotency::MAX_IDEMPOTENCY_KEY_BYTES;
use super::journal::Record;
use super::layers::State;
use super::merge::{merge_objects, merge_values, unite};
use super::scope::{Held, Ledger, WriteScope};
use super::size::MADE_ID;
use super::store::{Projection, Slice, Store, Target};
use crate::clock::{Clock, Ids};
use crate::signal::{EntryId, Timestamp};

/// Longest entry id that a writer can choose, in bytes.
pub const MAX_ENTRY_ID_BYTES: usize = 512;

/// Most tags of an entry, and of a filter.
pub const MAX_TAGS: usize = 64;

/// Most bytes of an entry, by the estimate that quotas are charged with.
pub const MAX_ENTRY_BYTES: u64 = 4 << 20;

/// An imprint whose form has been checked.
pub(super) struct Request {
    op: Op,
    draft: Draft,
    id_bytes: usize,
    merge_key: Option<String>,
    idempotency_key: Option<Arc<str>>,
}

impl Request {
    /// # Errors
    /// [`EngramError::Invalid`] when the request makes no sense whatever the
    /// engram holds.
    pub(super) fn new(imprint: Imprint) -> Result<Self, EngramError> {
        let Imprint {
            op,
            entry,
            merge_key,
            idempotency_key,
        } = imprint;
        if matches!(op, Op::Merge | Op::Upsert) && merge_key.is_none() {
            return Err(EngramError::Invalid(format!("{op} requires merge_key")));
        }
        if let Some(key) = &idempotency_key
            && key.len() > MAX_IDEMPOTENCY_KEY_BYTES
        {
            let length = key.len();
            return Err(EngramError::Invalid(format!(
                "idempotency_key has {length} bytes, at most {MAX_IDEMPOTENCY_KEY_BYTES} are allowed"
            )));
        }
        if entry.tags.len() > MAX_TAGS {
            let tags = entry.tags.len();
            return Err(EngramError::Invalid(format!(
                "entry has {tags} tags, at most {MAX_TAGS} are allowed"
            )));
        }
        let id_bytes = entry.id.as_ref().map_or(MADE_ID, text_length);
        if id_bytes > MAX_ENTRY_ID_BYTES {
            return Err(EngramError::Invalid(format!(
                "entry id has {id_bytes} bytes, at most {MAX_ENTRY_ID_BYTES} are allowed"
            )));
        }
        Ok(Self {
            op,
            draft: entry,
            id_bytes,
            merge_key,
            idempotency_key: idempotency_key.map(Arc::from),
        })
    }
}

/// What a write needs beside the store.
pub(super) struct Means<'a> {
    pub(super) scope: Option<&'a WriteScope>,
    pub(super) clock: &'a Clock,
    pub(super) ids: &'a Ids,
    pub(super) ledger: &'a dyn Ledger,
}

/// Which entry a request means.
enum Meant {
    /// A visible entry, in this slot.
    Found(usize),
    /// None that is visible; the id it shall have and where.
    Fresh(EntryId, Target),
    /// None, and none is needed.
    Nothing,
}

impl<P: Projection> Store<P> {
    /// Does one request, whole or not at all. The caller holds the lock that
    /// makes this the critical section of the fence.
    pub(super) fn imprint(
        &mut self,
        request: Request,
        means: &Means<'_>,
        slice: &mut Slice,
    ) -> Result<Receipt, EngramError> {
        if means.scope.is_some_and(|scope| scope.fence.is_closed()) {
            return Err(EngramError::Cancelled);
        }
        let Request {
            op,
            draft,
            id_bytes,
            merge_key,
            idempotency_key,
        } = request;
        let merge_key = merge_key.as_deref();
        if let Some(key) = &idempotency_key
            && let Some(receipt) = self.idempotency.replay(key, op, merge_key)?
        {
            return Ok(receipt);
        }
        let key = merge_key.map(|text| (text, self.indexes.hash(text)));
        let meant = self.find(op, draft.id.as_ref(), key, means.ids)?;
        let now = means.clock.now();
        let (target, state) = match meant {
            Meant::Nothing => return Ok(self.receipt(op, None, None)),
            Meant::Fresh(id, target) => {
                let state = self.fresh(id, draft, id_bytes, key, now);
                (target, Some(state))
            }
            Meant::Found(slot) => {
                let old = self.visible(slot).filter(|_| op != Op::Delete);
                let state = old.map(|old| changed(old, op, draft, now));
                (Target::Slot(slot), state)
            }
        };
        if let Some(state) = &state {
            check_size(state)?;
        }
        reserve(means, state.as_ref(), idempotency_key.as_deref())?;
        let id = self.target_id(&target);
        let version = state.as_ref().map(|state| state.entry.version);
        let receipt = self.receipt(op, id, version);
        if let Some(key) = &idempotency_key {
            self.idempotency.remember(key, merge_key, &receipt);
        }
        let trace = means.scope.map(|scope| &scope.trace);
        self.write(target, state, trace, idempotency_key, slice);
        Ok(receipt)
    }

    fn find(
        &self,
        op: Op,
        id: Option<&EntryId>,
        key: Option<(&str, u64)>,
        ids: &Ids,
    ) -> Result<Meant, EngramError> {
        let place = id.map(|id| (id, self.target(id)));
        let by_id = match &place {
            Some((_, Target::Slot(slot))) => self.visible(*slot).map(|_| *slot),
            _ => None,
        };
        let by_key = || key.and_then(|(text, hash)| self.newest(text, hash));
        let made = || {
            let (id, target) = self.unused_id(ids);
            Meant::Fresh(id, target)
        };
        let fresh = |place: Option<(&EntryId, Target)>| match place {
            Some((id, target)) => Meant::Fresh(id.clone(), target),
            None => made(),
        };
        match (op, id, by_id) {
            (Op::Delete, Some(_), found) => Ok(found.map_or(Meant::Nothing, Meant::Found)),
            (Op::Delete, None, _) => Ok(by_key().map_or(Meant::Nothing, Meant::Found)),
            (Op::Merge, ..) => by_key().map(Meant::Found).ok_or_else(|| {
                let (key, _) = key.unwrap_or_default();
                EngramError::Invalid(format!("no entry for merge_key='{key}'"))
            }),
            (Op::Append, _, Some(_)) => Ok(made()),
            (Op::Append, _, None) => Ok(fresh(place)),
            (Op::Add | Op::Upsert, ..) => {
                if op == Op::Upsert
                    && let Some(slot) = by_key()
                {
                    return Ok(Meant::Found(slot));
                }
                match (id, by_id) {
                    (Some(id), Some(_)) => Err(EngramError::Invalid(format!(
                        "entry id '{id}' already exists"
                    ))),
                    _ => Ok(fresh(place)),
                }
            }
        }
    }

    /// A made id; a writer may have chosen the very text of one.
    fn unused_id(&self, ids: &Ids) -> (EntryId, Target) {
        loop {
            let id = ids.entry();
            let target = self.target(&id);
            if matches!(target, Target::New(_)) {
                return (id, target);
            }
        }
    }

    fn fresh(
        &mut self,
        id: EntryId,
        draft: Draft,
        id_bytes: usize,
        key: Option<(&str, u64)>,
        now: Timestamp,
    ) -> State {
        let entry = Entry {
            id,
            content: draft.content,
            tags: draft.tags,
            meta: draft.meta,
            merge_key: key.map(|(text, _)| text.to_owned()),
            version: 1,
            created_at: now,
            updated_at: now,
            embedding: draft.embedding.map(Arc::from),
        };
        let place = self.take_place();
        let key_hash = key.map(|(_, hash)| hash);
        State::new(entry, place, id_bytes, key_hash)
    }

    fn target_id(&self, target: &Target) -> Option<EntryId> {
        match target {
            Target::New(id) => Some(id.key.clone()),
            Target::Slot(slot) => self.id_of(*slot).cloned(),
        }
    }

    fn receipt(&self, op: Op, id: Option<EntryId>, version: Option<u64>) -> Receipt {
        Receipt {
            engram: Arc::clone(&self.engram),
            op,
            id,
            version,
        }
    }
}

/// The next version of an entry under `merge` or `upsert`.
fn changed(old: &State, op: Op, draft: Draft, now: Timestamp) -> State {
    let before = &*old.entry;
    let (content, tags, meta) = if op == Op::Merge {
        (
            merge_values(&before.content, draft.content),
            unite(&before.tags, draft.tags),
            merge_objects(&before.meta, draft.meta),
        )
    } else {
        (draft.content, draft.tags, draft.meta)
    };
    let kept = before.embedding.clone().filter(|_| op == Op::Merge);
    let entry = Entry {
        id: before.id.clone(),
        content,
        tags,
        meta,
        merge_key: before.merge_key.clone(),
        version: before.version + 1,
        created_at: before.created_at,
        updated_at: now,
        embedding: draft.embedding.map(Arc::from).or(kept),
    };
    State::new(entry, old.place, old.id_bytes, old.key_hash)
}

/// Bounds what one write, or one look at an entry, can cost under the lock. A
/// merge can pass the bounds that its parts kept.
fn check_size(state: &State) -> Result<(), EngramError> {
    let State { entry, bytes, .. } = state;
    if *bytes > MAX_ENTRY_BYTES {
        return Err(EngramError::Invalid(format!(
            "entry would take {bytes} bytes, at most {MAX_ENTRY_BYTES} are allowed; split it"
        )));
    }
    if entry.tags.len() > MAX_TAGS {
        return Err(EngramError::Invalid(format!(
            "entry would have {} tags, at most {MAX_TAGS} are allowed",
            entry.tags.len()
        )));
    }
    Ok(())
}

/// Takes the bytes of a write from the ledger, all or none.
fn reserve(
    means: &Means<'_>,
    state: Option<&State>,
    idempotency_key: Option<&str>,
) -> Result<(), EngramError> {
    let bytes = state.map_or(0, |state| state.bytes);
    let ledger = means.ledger;
    ledger
        .reserve(Held::Store, bytes)
        .map_err(EngramError::Quota)?;
    if means.scope.is_none() {
        return Ok(());
    }
    ledger
        .reserve(Held::Journal, Record::bytes(idempotency_key))
        .map_err(|reason| {
            ledger.release(Held::Store, bytes);
            EngramError::Quota(reason)
        })
}

/// Bytes of an id's text, without making it.
fn text_length(id: &EntryId) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    match write!(count, "{id}") {
        Ok(()) | Err(std::fmt::Error) => count.0,
    }
}
