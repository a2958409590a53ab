//! The stack of layers that one entry is.
//!
//! A write puts a layer on top; the top is what readers see. A layer is
//! *pending* while its trace can still be rolled back. Settling a layer makes
//! it permanent and takes away all that lie below it, so that only the lowest
//! is permanent (while a commit is under way, also the one it works on).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::sync::{Arc, OnceLock};

use super::entry::Entry;
use super::hashed::Keyed;
use super::query::Folded;
use super::size::entry_bytes;
use crate::signal::{EntryId, TraceId};

/// One state of an entry, as some write left it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) entry: Arc<Entry>,
    /// Position in the order of first writing, unique in the store.
    pub(super) place: u64,
    /// What the ledger was asked for.
    pub(super) bytes: u64,
    /// Length of the id's text.
    pub(super) id_bytes: usize,
    /// What stands for the merge key in the indexes.
    pub(super) key_hash: Option<u64>,
    /// The projection's number for this state.
    pub(super) row: usize,
    text: OnceLock<Box<Folded>>,
}

impl State {
    pub(super) fn new(entry: Entry, place: u64, id_bytes: usize, key_hash: Option<u64>) -> Self {
        Self {
            bytes: entry_bytes(&entry, id_bytes),
            entry: Arc::new(entry),
            place,
            id_bytes,
            key_hash,
            row: 0,
            text: OnceLock::new(),
        }
    }

    /// The content's text in lower case, made by the first text query.
    pub(super) fn text(&self) -> &Folded {
        self.text
            .get_or_init(|| Box::new(Folded::of_content(&self.entry.content)))
    }
}

/// One write of one entry.
#[derive(Debug)]
pub(super) struct Layer {
    /// The trace that wrote it; none for the operator.
    pub(super) writer: Option<TraceId>,
    /// Number of the write, unique in the store and rising.
    pub(super) revision: u64,
    pub(super) pending: bool,
    /// None: the write was a delete.
    pub(super) state: Option<State>,
}

impl Layer {
    pub(super) fn bytes(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.bytes)
    }
}

/// The layers of one entry id. Never empty.
#[derive(Debug)]
pub(super) struct Stack {
    pub(super) id: Keyed<EntryId>,
    top: Layer,
    /// By revision. Boxed: most entries have one layer, and a node holds 11.
    below: BTreeMap<u64, Box<Layer>>,
}

/// Where a layer was when it was taken away.
#[derive(Debug)]
pub(super) enum Removal {
    /// On top: the layer below is visible now.
    Undone(Layer),
    /// On top and alone: the whole stack has to go.
    Last,
    /// Below another write, which stays visible.
    Buried(Box<Layer>),
    /// The stack has no such layer, or it is permanent already.
    Absent,
}

impl Stack {
    pub(super) fn new(id: Keyed<EntryId>, layer: Layer) -> Self {
        Self {
            id,
            top: layer,
            below: BTreeMap::new(),
        }
    }

    pub(super) fn top(&self) -> &Layer {
        &self.top
    }

    /// What readers see; none while the entry is deleted.
    pub(super) fn visible(&self) -> Option<&State> {
        self.top.state.as_ref()
    }

    /// Puts a layer on top.
    pub(super) fn push(&mut self, layer: Layer) {
        let covered = std::mem::replace(&mut self.top, layer);
        self.below.insert(covered.revision, Box::new(covered));
    }

    /// What readers saw before the last push.
    pub(super) fn covered(&self) -> Option<&State> {
        let (_, layer) = self.below.last_key_value()?;
        layer.state.as_ref()
    }

    pub(super) fn into_top(self) -> Layer {
        self.top
    }

    /// Takes the pending layer with this revision away, wherever it lies.
    pub(super) fn remove(&mut self, revision: u64) -> Removal {
        if self.top.revision != revision {
            return match self.below.entry(revision) {
                MapEntry::Occupied(layer) if layer.get().pending => Removal::Buried(layer.remove()),
                _ => Removal::Absent,
            };
        }
        if !self.top.pending {
            return Removal::Absent;
        }
        match self.below.pop_last() {
            Some((_, layer)) => Removal::Undone(std::mem::replace(&mut self.top, *layer)),
            None => Removal::Last,
        }
    }

    /// Takes away the lowest layer that lies below the one with this revision.
    pub(super) fn collapse_below(&mut self, revision: u64) -> Option<Box<Layer>> {
        let lowest = self.below.first_entry()?;
        (*lowest.key() < revision).then(|| lowest.remove())
    }

    /// Makes the layer with this revision permanent and says who wrote it.
    pub(super) fn settle(&mut self, revision: u64) -> Option<TraceId> {
        let layer = if self.top.revision == revision {
            &mut self.top
        } else {
            self.below.get_mut(&revision)?
        };
        layer.pending = false;
        layer.writer.clone()
    }

    /// Whether nothing is left but a delete that cannot be undone.
    pub(super) fn is_gone(&self) -> bool {
        self.below.is_empty() && !self.top.pending && self.top.state.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(revision: u64) -> Layer {
        Layer {
            writer: None,
            revision,
            pending: true,
            state: None,
        }
    }

    #[test]
    fn a_delete_is_gone_once_it_is_permanent_and_alone() {
        let key = EntryId::from_ulid(crate::signal::Ulid::from_parts(0, 0));
        let mut stack = Stack::new(Keyed { hash: 0, key }, delete(1));
        stack.push(delete(2));
        assert!(!stack.is_gone());
        stack.settle(2);
        assert!(!stack.is_gone());
        assert!(
            stack
                .collapse_below(2)
                .is_some_and(|layer| layer.revision == 1)
        );
        assert!(stack.collapse_below(2).is_none());
        assert!(stack.is_gone());
        assert!(matches!(stack.remove(2), Removal::Absent));
    }
}
