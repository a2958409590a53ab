//! The saga journal: which layers a trace wrote, and what became of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::size::{KEY, RECORD, to_u64};
use crate::signal::{EntryId, TraceId};

/// What a rollback did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rollback {
    /// Writes that were really undone: the state before them is visible again.
    pub compensated: u64,
    /// Entries that are not as the trace found them, each once, newest write
    /// first. Empty means that nothing of the trace is left.
    pub kept: Vec<Kept>,
}

/// An entry that a rollback could not put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Id of the engram.
    pub engram: Arc<str>,
    /// The entry.
    pub entry: EntryId,
    /// The merge key that the trace wrote it under; none for a delete.
    pub merge_key: Option<String>,
    /// Why it was kept.
    pub reason: KeptReason,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            engram,
            entry,
            reason,
            ..
        } = self;
        write!(f, "entry '{entry}' of engram '{engram}' was {reason}")
    }
}

/// Why an entry was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeptReason {
    /// A later write lies above the trace's own, and stays.
    OverwrittenBy {
        /// The trace of that write: the visible one, or the one whose commit
        /// made it permanent. None: the operator wrote outside any trace.
        trace: Option<TraceId>,
    },
}

impl fmt::Display for KeptReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OverwrittenBy { trace: Some(trace) } => {
                write!(f, "overwritten by trace '{trace}'")
            }
            Self::OverwrittenBy { trace: None } => {
                f.write_str("overwritten by a write outside any trace")
            }
        }
    }
}

/// One write of a trace.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) fate: Fate,
    pub(super) idempotency_key: Option<Arc<str>>,
}

impl Record {
    /// Bytes that the record is charged for.
    pub(super) fn bytes(idempotency_key: Option<&str>) -> u64 {
        to_u64(RECORD + idempotency_key.map_or(0, |key| KEY + key.len()))
    }
}

/// What became of a layer.
#[derive(Debug)]
pub(super) enum Fate {
    /// The stack in this slot has it.
    Standing(usize),
    /// A permanent write took it away.
    Overwritten(Box<Kept>),
}

/// The records of one trace by revision: in the order of writing.
pub(super) type Journal = BTreeMap<u64, Record>;

/// The journals of all traces that have not ended.
#[derive(Debug, Default)]
pub(super) struct Journals(BTreeMap<TraceId, Journal>);

impl Journals {
    pub(super) fn len(&self, trace: &TraceId) -> usize {
        self.0.get(trace).map_or(0, Journal::len)
    }

    pub(super) fn append(&mut self, trace: &TraceId, revision: u64, record: Record) {
        if let Some(journal) = self.0.get_mut(trace) {
            journal.insert(revision, record);
        } else {
            let journal = Journal::from([(revision, record)]);
            self.0.insert(trace.clone(), journal);
        }
    }

    /// Takes a journal out to work on it; [`Self::put_back`] returns the rest.
    pub(super) fn take(&mut self, trace: &TraceId) -> Journal {
        self.0.remove(trace).unwrap_or_default()
    }

    pub(super) fn put_back(&mut self, trace: &TraceId, journal: Journal) {
        if !journal.is_empty() {
            self.0.insert(trace.clone(), journal);
        }
    }

    /// Notes that the trace's layer is gone, and why.
    pub(super) fn overwritten(&mut self, trace: &TraceId, revision: u64, kept: Kept) {
        let journal = self.0.get_mut(trace);
        if let Some(record) = journal.and_then(|journal| journal.get_mut(&revision)) {
            record.fate = Fate::Overwritten(Box::new(kept));
        }
    }
}
