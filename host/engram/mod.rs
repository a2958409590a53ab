//! Engrams: the shared memory of neurons, with the saga journal that undoes a
//! trace.
//!
//! An engram holds entries. A write on a trace is recorded in the trace's
//! journal in the same critical section, so that [`Engram::rollback`] leaves
//! every entry as the trace found it, and [`Engram::commit`] makes the writes
//! permanent. A closed [`Fence`] refuses every further write of its trace.
//!
//! Inside: `write` turns the five operations into layers, `store` keeps one
//! stack of layers an entry and its indexes, `journal` lists the layers of a
//! trace, `shared` is the lock, the slicing and the ledger that both engrams
//! have in common, `memory` and `vector` are the two faces.
//!
//! This room never knows neurons, tenants, the wire or wasmtime: quotas come
//! in through [`Ledger`], STOP through [`Fence`].

mod entry;
mod error;
mod hashed;
mod idempotency;
mod indexes;
mod journal;
mod layers;
mod matrix;
mod memory;
mod merge;
mod query;
mod rank;
mod scope;
mod shared;
mod size;
mod slab;
mod store;
#[cfg(test)]
mod tests;
mod vector;
mod write;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::signal::TraceId;

pub use entry::{Draft, Entry, Imprint, Op, Receipt};
pub use error::EngramError;
pub use idempotency::{MAX_IDEMPOTENCY_KEY_BYTES, REMEMBERED_KEYS};
pub use journal::{Kept, KeptReason, Rollback};
pub use memory::{MEMORY_TOP_K, MemoryEngram};
pub use query::{Filters, Hit, Query, Recalled};
pub use scope::{Fence, Held, Ledger, Unmetered, WriteScope};
pub use vector::{VECTOR_TOP_K, VectorEngram};
pub use write::{MAX_ENTRY_BYTES, MAX_ENTRY_ID_BYTES, MAX_TAGS};

/// A boxed future, as the object-safe [`Engram`] returns it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A store of entries that can undo what a trace wrote.
///
/// Writes are serialised: each imprint sees all earlier ones, of its own trace
/// and of every other (there is no isolation between traces, as in
/// Cosmonapse). Every future may be dropped at any await: a dropped recall
/// stops scanning; a dropped commit or rollback has done whole writes only and
/// goes on when called again. What a commit has reached no rollback undoes.
pub trait Engram: Send + Sync + 'static {
    /// The engram's id, as receipts and reports name it.
    fn id(&self) -> &Arc<str>;

    /// What sort of memory this is: `context` or `semantic`.
    fn kind(&self) -> &str;

    /// What queries it understands, for discovery.
    fn capabilities(&self) -> &[&str];

    /// Finds entries, best first; equal scores in the order in which the
    /// entries were first written.
    ///
    /// Every hit was visible at some moment during the call and no entry is
    /// returned twice. Entries created after the call began are not looked at.
    ///
    /// # Errors
    /// [`EngramError::Invalid`] when the query makes no sense for this engram.
    fn recall<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Recalled, EngramError>>;

    /// Writes one entry, journaled on the scope's trace.
    ///
    /// Without a scope the write is the operator's: permanent at once and not
    /// journaled.
    ///
    /// # Errors
    /// [`EngramError::Cancelled`] when the scope's fence is closed,
    /// [`EngramError::Invalid`] when the request makes no sense,
    /// [`EngramError::Quota`] when the ledger refuses the bytes. Nothing has
    /// changed in any of these cases.
    fn imprint<'a>(
        &'a self,
        imprint: Imprint,
        scope: Option<&'a WriteScope>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>>;

    /// Makes the trace's writes permanent and frees its journal.
    fn commit<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, ()>;

    /// Undoes the trace's writes, newest first, and frees its journal.
    ///
    /// A later write by another trace is never destroyed: the entry is then
    /// named in [`Rollback::kept`]. Close the trace's fence first, or writes
    /// that arrive meanwhile are undone too.
    fn rollback<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, Rollback>;

    /// Writes that the trace's journal holds.
    fn journaled(&self, trace: &TraceId) -> usize;

    /// Visible entries.
    fn len(&self) -> usize;

    /// Whether no entry is visible.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
