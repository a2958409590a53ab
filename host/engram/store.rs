//! The layered entry store: stacks of layers, the indexes over their tops and
//! the journals that name them. Synchronous; knows no lock, clock or ledger:
//! its caller serialises access and settles the bytes that a [`Slice`] reports.
//!
//! Invariants: an entry id has one stack; a record that stands names a layer
//! that exists; the indexes show exactly the visible tops; once a commit has
//! ended, its layers have nothing below them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use super::entry::Entry;
use super::hashed::{Hashed, Keyed};
use super::idempotency::Idempotency;
use super::indexes::Indexes;
use super::journal::{Fate, Journals, Kept, KeptReason, Record};
use super::layers::{Layer, Removal, Stack, State};
use super::slab::Slab;
use crate::signal::{EntryId, TraceId};

/// What an engram derives from each state that is held, visible or not.
pub(super) trait Projection: Send + Sync + 'static {
    /// A state comes in; the number stands for it until [`Self::detach`].
    fn attach(&mut self, entry: &Entry) -> usize;
    /// The state is gone.
    fn detach(&mut self, row: usize);
}

impl Projection for () {
    fn attach(&mut self, _entry: &Entry) -> usize {
        0
    }

    fn detach(&mut self, _row: usize) {}
}

/// The state of one engram.
pub(super) struct Store<P> {
    pub(super) engram: Arc<str>,
    slots: Slab<Stack>,
    ids: Hashed<EntryId, usize>,
    hasher: RandomState,
    pub(super) indexes: Indexes,
    pub(super) projection: P,
    journals: Journals,
    pub(super) idempotency: Idempotency,
    next_place: u64,
    next_revision: u64,
    held: Bytes,
}

/// Bytes by what they are held for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) store: u64,
    pub(super) journal: u64,
}

/// Bytes whose freeing ends a slice: dropping them takes about a millisecond.
const SLICE_BYTES: u64 = 1 << 20;

/// What one hold of the lock did, to be settled after the lock is released.
#[derive(Debug, Default)]
pub(super) struct Slice {
    pub(super) compensated: u64,
    pub(super) kept: Vec<Kept>,
    /// To give back to the ledger.
    pub(super) freed: Bytes,
    /// Dropped outside the lock: freeing large contents takes time.
    garbage: Vec<Layer>,
}

/// Where a write goes.
pub(super) enum Target {
    /// The stack in this slot.
    Slot(usize),
    /// A stack that does not exist yet.
    New(Keyed<EntryId>),
}

impl<P> Store<P> {
    /// Everything that is charged for right now.
    pub(super) fn held(&self) -> Bytes {
        self.held
    }
}

impl<P: Projection> Store<P> {
    pub(super) fn new(engram: Arc<str>, projection: P) -> Self {
        Self {
            engram,
            slots: Slab::new(),
            ids: Hashed::new(),
            hasher: RandomState::new(),
            indexes: Indexes::new(),
            projection,
            journals: Journals::default(),
            idempotency: Idempotency::new(),
            next_place: 0,
            next_revision: 0,
            held: Bytes::default(),
        }
    }

    pub(super) fn journaled(&self, trace: &TraceId) -> usize {
        self.journals.len(trace)
    }

    /// The place after the last; a new entry takes it.
    pub(super) fn end_place(&self) -> u64 {
        self.next_place
    }

    pub(super) fn take_place(&mut self) -> u64 {
        self.next_place += 1;
        self.next_place - 1
    }

    /// The visible state in a slot.
    pub(super) fn visible(&self, slot: usize) -> Option<&State> {
        self.slots.get(slot)?.visible()
    }

    /// The slot of the newest visible entry with this merge key and its hash.
    pub(super) fn newest(&self, key: &str, hash: u64) -> Option<usize> {
        let mut slots = self.indexes.with_key(hash);
        slots.find(|slot| {
            let state = self.visible(*slot);
            state.is_some_and(|state| state.entry.merge_key.as_deref() == Some(key))
        })
    }

    /// Where the entry with this id is, visible or not, or would be.
    pub(super) fn target(&self, id: &EntryId) -> Target {
        let id = Keyed {
            hash: self.hasher.hash_one(id),
            key: id.clone(),
        };
        match self.ids.get(&id) {
            Some(slot) => Target::Slot(*slot),
            None => Target::New(id),
        }
    }

    /// The slot of the entry with this id, visible or not.
    pub(super) fn slot_of(&self, id: &EntryId) -> Option<usize> {
        match self.target(id) {
            Target::Slot(slot) => Some(slot),
            Target::New(_) => None,
        }
    }

    pub(super) fn id_of(&self, slot: usize) -> Option<&EntryId> {
        self.slots.get(slot).map(|stack| &stack.id.key)
    }

    /// Puts a state (none: a delete) on top of an entry and journals it; with
    /// no trace it is permanent. The bytes have been reserved.
    pub(super) fn write(
        &mut self,
        target: Target,
        mut state: Option<State>,
        trace: Option<&TraceId>,
        idempotency_key: Option<Arc<str>>,
        slice: &mut Slice,
    ) {
        if let Some(state) = &mut state {
            state.row = self.projection.attach(&state.entry);
        }
        let revision = self.next_revision;
        self.next_revision += 1;
        let layer = Layer {
            writer: trace.cloned(),
            revision,
            pending: trace.is_some(),
            state,
        };
        self.held.store += layer.bytes();
        let slot = self.push(target, layer);
        let Some(trace) = trace else {
            let mut unbounded = usize::MAX;
            self.settle(slot, revision, &mut unbounded, slice);
            if let Some(key) = idempotency_key {
                self.idempotency.commit(key);
            }
            return;
        };
        self.held.journal += Record::bytes(idempotency_key.as_deref());
        let record = Record {
            fate: Fate::Standing(slot),
            idempotency_key,
        };
        self.journals.append(trace, revision, record);
    }

    fn push(&mut self, target: Target, layer: Layer) -> usize {
        match target {
            Target::Slot(slot) => {
                if let Some(stack) = self.slots.get_mut(slot) {
                    stack.push(layer);
                    self.indexes.replace(slot, stack.covered(), stack.visible());
                }
                slot
            }
            Target::New(id) => {
                let slot = self.slots.insert(Stack::new(id.clone(), layer));
                self.ids.insert(id, slot);
                let stack = self.slots.get(slot);
                let state = stack.and_then(Stack::visible);
                self.indexes.replace(slot, None, state);
                slot
            }
        }
    }

    /// Undoes at most `budget` writes of the trace, newest first. Returns
    /// whether some are left.
    pub(super) fn rollback_slice(
        &mut self,
        trace: &TraceId,
        budget: usize,
        slice: &mut Slice,
    ) -> bool {
        let mut journal = self.journals.take(trace);
        for _ in 0..budget {
            if slice.freed.store > SLICE_BYTES {
                break;
            }
            let Some((revision, record)) = journal.pop_last() else {
                break;
            };
            self.close_record(&record, slice);
            if let Some(key) = &record.idempotency_key {
                self.idempotency.forget(key);
            }
            match record.fate {
                Fate::Standing(slot) => self.undo(slot, revision, slice),
                Fate::Overwritten(kept) => slice.kept.push(*kept),
            }
        }
        let more = !journal.is_empty();
        self.journals.put_back(trace, journal);
        more
    }

    /// Makes at most `budget` writes of the trace permanent, oldest first.
    /// Returns whether some are left.
    pub(super) fn commit_slice(
        &mut self,
        trace: &TraceId,
        mut budget: usize,
        slice: &mut Slice,
    ) -> bool {
        let mut journal = self.journals.take(trace);
        while budget > 0 && slice.freed.store <= SLICE_BYTES {
            let Some((revision, record)) = journal.pop_first() else {
                break;
            };
            budget -= 1;
            if let Fate::Standing(slot) = record.fate
                && !self.settle(slot, revision, &mut budget, slice)
            {
                journal.insert(revision, record);
                break;
            }
            self.close_record(&record, slice);
            if let Some(key) = record.idempotency_key {
                self.idempotency.commit(key);
            }
        }
        let more = !journal.is_empty();
        self.journals.put_back(trace, journal);
        more
    }

    /// Takes one layer away, wherever it lies.
    fn undo(&mut self, slot: usize, revision: u64, slice: &mut Slice) {
        let Some(stack) = self.slots.get_mut(slot) else {
            return;
        };
        match stack.remove(revision) {
            Removal::Undone(layer) => {
                slice.compensated += 1;
                self.indexes
                    .replace(slot, layer.state.as_ref(), stack.visible());
                let gone = stack.is_gone();
                discard(&mut self.held, &mut self.projection, layer, slice);
                if gone {
                    self.remove_stack(slot, slice);
                }
            }
            Removal::Last => {
                slice.compensated += 1;
                self.remove_stack(slot, slice);
            }
            Removal::Buried(layer) => {
                let by = stack.top().writer.clone();
                slice
                    .kept
                    .push(kept(&self.engram, &stack.id.key, &layer, by));
                discard(&mut self.held, &mut self.projection, *layer, slice);
            }
            Removal::Absent => {}
        }
    }

    /// Makes a layer permanent and takes away at most `budget` layers below it.
    /// Returns whether that was all. It cannot be undone from the first on,
    /// since what it covered may be gone.
    fn settle(
        &mut self,
        slot: usize,
        revision: u64,
        budget: &mut usize,
        slice: &mut Slice,
    ) -> bool {
        let Some(stack) = self.slots.get_mut(slot) else {
            return true;
        };
        let by = stack.settle(revision);
        while let Some(layer) = stack.collapse_below(revision) {
            if layer.pending
                && let Some(writer) = &layer.writer
            {
                let kept = kept(&self.engram, &stack.id.key, &layer, by.clone());
                self.journals.overwritten(writer, layer.revision, kept);
            }
            discard(&mut self.held, &mut self.projection, *layer, slice);
            if *budget == 0 {
                return false;
            }
            *budget -= 1;
        }
        if stack.is_gone() {
            self.remove_stack(slot, slice);
        }
        true
    }

    fn remove_stack(&mut self, slot: usize, slice: &mut Slice) {
        if let Some(stack) = self.slots.remove(slot) {
            self.ids.remove(&stack.id);
            self.indexes.replace(slot, stack.visible(), None);
            let layer = stack.into_top();
            discard(&mut self.held, &mut self.projection, layer, slice);
        }
    }

    fn close_record(&mut self, record: &Record, slice: &mut Slice) {
        let bytes = Record::bytes(record.idempotency_key.as_deref());
        self.held.journal -= bytes;
        slice.freed.journal += bytes;
    }
}

/// A layer is held no longer.
fn discard(held: &mut Bytes, projection: &mut impl Projection, layer: Layer, slice: &mut Slice) {
    if let Some(state) = &layer.state {
        projection.detach(state.row);
    }
    held.store -= layer.bytes();
    slice.freed.store += layer.bytes();
    slice.garbage.push(layer);
}

fn kept(engram: &Arc<str>, id: &EntryId, layer: &Layer, by: Option<TraceId>) -> Kept {
    let written = layer.state.as_ref();
    Kept {
        engram: Arc::clone(engram),
        entry: id.clone(),
        merge_key: written.and_then(|state| state.entry.merge_key.clone()),
        reason: KeptReason::OverwrittenBy { trace: by },
    }
}
