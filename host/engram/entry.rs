//! What is written and what is stored.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::signal::{EntryId, Object, Timestamp};

/// The five write operations (Cosmonapse wire v1, `IMPRINT.op`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// New entry; an id that exists is invalid.
    Add,
    /// New entry; a fresh id where the given one is taken.
    Append,
    /// Changes the newest entry with the merge key; none is invalid.
    Merge,
    /// Replaces the newest entry with the merge key, or adds one.
    Upsert,
    /// Removes by id, else the newest entry with the merge key.
    Delete,
}

impl Op {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Append => "append",
            Self::Merge => "merge",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An entry as its writer gives it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Chosen id; without one the engram makes one. For `delete`, the entry to
    /// remove. Ignored where `merge` or `upsert` finds an entry.
    pub id: Option<EntryId>,
    /// Any JSON value.
    pub content: Value,
    /// Tags, kept as given.
    pub tags: Vec<String>,
    /// Free keys kept beside the content.
    pub meta: Object,
    /// Required by engrams that hold vectors (except for `delete` and
    /// `merge`), refused by those that do not.
    pub embedding: Option<Vec<f32>>,
}

/// One write.
#[derive(Clone, Debug)]
pub struct Imprint {
    /// What to do.
    pub op: Op,
    /// What to write.
    pub entry: Draft,
    /// Required by `merge` and `upsert`; names the entry for `delete` without
    /// id; a label that later writes can find for `add` and `append`.
    pub merge_key: Option<String>,
    /// A second imprint with the same key, operation and merge key answers
    /// with the first one's receipt and writes nothing.
    pub idempotency_key: Option<String>,
}

/// The answer to an imprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Id of the engram that answered.
    pub engram: Arc<str>,
    /// The operation that was asked for.
    pub op: Op,
    /// The entry that was written; none where a delete found nothing.
    pub id: Option<EntryId>,
    /// The entry's version after the write; none for a delete.
    pub version: Option<u64>,
}

/// An entry as it is stored. Never changed once made: a write makes a new one.
#[derive(Debug, PartialEq)]
pub struct Entry {
    /// Unique among the visible entries of its engram.
    pub id: EntryId,
    /// The content that was imprinted.
    pub content: Value,
    /// Tags as written; `merge` adds those that are new.
    pub tags: Vec<String>,
    /// Free keys.
    pub meta: Object,
    /// The key that `merge`, `upsert` and `delete` find it by.
    pub merge_key: Option<String>,
    /// Counts the writes of this entry, from 1.
    pub version: u64,
    /// When its first version was written.
    pub created_at: Timestamp,
    /// When this version was written.
    pub updated_at: Timestamp,
    /// The vector as it was given, in engrams that hold vectors.
    pub embedding: Option<Arc<[f32]>>,
}
