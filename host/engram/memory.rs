//! The context memory: entries found by text, tag and merge key.

use std::sync::Arc;

use super::entry::{Imprint, Op, Receipt};
use super::error::EngramError;
use super::journal::Rollback;
use super::query::{Query, Recalled};
use super::scope::{Ledger, WriteScope};
use super::shared::{ByMatch, Shared};
use super::{BoxFuture, Engram};
use crate::clock::{Clock, Ids};
use crate::signal::TraceId;

/// Hits that a [`MemoryEngram`] returns when the query names no `top_k`.
pub const MEMORY_TOP_K: usize = 50;

const NO_EMBEDDINGS: &str = "this engram holds no embeddings";

/// Entries in memory, without vectors. Ends with the process.
pub struct MemoryEngram {
    shared: Shared<()>,
}

impl MemoryEngram {
    /// An empty engram that charges `ledger` for what it holds and gives all
    /// back when it is dropped.
    pub fn new(id: impl Into<Arc<str>>, clock: Clock, ids: Ids, ledger: Arc<dyn Ledger>) -> Self {
        Self {
            shared: Shared::new(id.into(), (), clock, ids, ledger),
        }
    }
}

impl Engram for MemoryEngram {
    fn id(&self) -> &Arc<str> {
        self.shared.id()
    }

    fn kind(&self) -> &str {
        "context"
    }

    fn capabilities(&self) -> &[&str] {
        &["substring", "tags", "merge_key"]
    }

    /// A query with an embedding is [`EngramError::Invalid`].
    fn recall<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        Box::pin(async move {
            if query.embedding.is_some() {
                return Err(EngramError::Invalid(NO_EMBEDDINGS.to_owned()));
            }
            self.shared.recall(query, &ByMatch, MEMORY_TOP_K).await
        })
    }

    /// An entry with an embedding is [`EngramError::Invalid`].
    fn imprint<'a>(
        &'a self,
        imprint: Imprint,
        scope: Option<&'a WriteScope>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        Box::pin(async move {
            if imprint.entry.embedding.is_some() && imprint.op != Op::Delete {
                return Err(EngramError::Invalid(NO_EMBEDDINGS.to_owned()));
            }
            self.shared.imprint(imprint, scope)
        })
    }

    fn commit<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, ()> {
        Box::pin(self.shared.commit(trace))
    }

    fn rollback<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, Rollback> {
        Box::pin(self.shared.rollback(trace))
    }

    fn journaled(&self, trace: &TraceId) -> usize {
        self.shared.journaled(trace)
    }

    fn len(&self) -> usize {
        self.shared.len()
    }
}
