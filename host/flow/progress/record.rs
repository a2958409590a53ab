//! What changes a progress.

use std::sync::Arc;

use super::super::{cause::Cause, event::Ask, node::Notes};
use crate::signal::{Object, size_of_object};

/// One change.
#[derive(Clone, Debug)]
pub(in crate::flow) enum Record {
    /// A node has run; `item` is its position in a group, none for a node that
    /// stands alone or gathers.
    Done { item: Option<usize>, done: Done },
    /// A node asks back.
    Asked { item: Option<usize>, ask: Ask },
    /// So many attempts of a node have failed.
    Tried { item: Option<usize>, tried: u32 },
    /// Somebody answered what a node asked: keys for its next input.
    Answered { item: Option<usize>, answer: Object },
}

/// How a node has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::flow) struct Done {
    pub(in crate::flow) route: Option<Arc<str>>,
    pub(in crate::flow) values: Object,
    pub(in crate::flow) notes: Notes,
    /// Why it failed; then there is nothing else.
    pub(in crate::flow) failed: Option<Cause>,
}

impl Done {
    /// What it takes in memory.
    pub(in crate::flow) fn bytes(&self) -> usize {
        let failed = self.failed.as_ref().map_or(0, Cause::bytes);
        size_of_object(&self.values).memory + self.notes.bytes() + failed
    }
}
