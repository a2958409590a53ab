//! What a write is allowed to do: the trace it belongs to, the fence that ends
//! it, the ledger that pays for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::signal::TraceId;

/// Closed by STOP before anything is undone. Clones share one state.
///
/// Engrams look at it inside the critical section of every write: once
/// [`Fence::close`] has returned and that critical section has been passed
/// once (as commit and rollback do), no write of the trace can land.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<AtomicBool>);

impl Fence {
    /// Refuses every write from now on. Cannot be undone; twice is harmless.
    pub fn close(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether writes are refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// On whose behalf a write happens.
#[derive(Clone, Debug)]
pub struct WriteScope {
    /// The trace that journals the write.
    pub trace: TraceId,
    /// The trace's fence.
    pub fence: Fence,
}

/// What bytes are held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// States of entries: the visible ones, and those kept to undo a write.
    Store,
    /// Records of what a trace wrote, until it is committed or rolled back.
    Journal,
}

/// Pays for what engrams hold. Bytes are estimates made from lengths, the same
/// at reserve and release; a balance is exactly zero when nothing is held.
///
/// Called with the engram's lock held: it must be quick and must not call back.
pub trait Ledger: Send + Sync {
    /// Takes `bytes` before they are held.
    ///
    /// # Errors
    /// The reason, in words for the writer, when there is no room; nothing is
    /// taken then.
    fn reserve(&self, what: Held, bytes: u64) -> Result<(), String>;

    /// Gives back bytes that were reserved.
    fn release(&self, what: Held, bytes: u64);
}

/// A ledger without limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unmetered;

impl Ledger for Unmetered {
    fn reserve(&self, _what: Held, _bytes: u64) -> Result<(), String> {
        Ok(())
    }

    fn release(&self, _what: Held, _bytes: u64) {}
}
