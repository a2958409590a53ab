//! Which idempotency keys have been used, and what they were answered.
//!
//! A key belongs to its trace until the trace ends: a rollback forgets it
//! together with the write, a commit keeps it among the last
//! [`REMEMBERED_KEYS`].

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use super::entry::{Op, Receipt};
use super::error::EngramError;
use super::hashed::{Hashed, Keyed};

/// Keys of committed writes that an engram remembers; the oldest is forgotten
/// first. Keys of traces that have not ended are not counted here.
pub const REMEMBERED_KEYS: usize = 65_536;

/// Longest idempotency key in bytes. With it, the remembered keys of an engram
/// stay below 64 MiB, which no ledger is charged for.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 256;

/// The idempotency keys of one store.
pub(super) struct Idempotency {
    used: Hashed<Arc<str>, Use>,
    committed: VecDeque<Arc<str>>,
    hasher: RandomState,
}

struct Use {
    receipt: Receipt,
    /// A hash, so that a long merge key is not kept for ever.
    merge_key: u64,
}

impl Idempotency {
    pub(super) fn new() -> Self {
        Self {
            used: Hashed::new(),
            committed: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }

    /// The receipt that the key was answered with, if it was used.
    ///
    /// # Errors
    /// [`EngramError::Invalid`] when it was used for something else.
    pub(super) fn replay(
        &self,
        key: &Arc<str>,
        op: Op,
        merge_key: Option<&str>,
    ) -> Result<Option<Receipt>, EngramError> {
        let Some(used) = self.used.get(&self.address(key)) else {
            return Ok(None);
        };
        if used.receipt.op != op || used.merge_key != self.hasher.hash_one(merge_key) {
            return Err(EngramError::Invalid(format!(
                "idempotency_key '{key}' was used with another op or merge_key"
            )));
        }
        Ok(Some(used.receipt.clone()))
    }

    /// Remembers what a write was answered, until [`Self::forget`] or
    /// [`Self::commit`].
    pub(super) fn remember(&mut self, key: &Arc<str>, merge_key: Option<&str>, receipt: &Receipt) {
        let used = Use {
            receipt: receipt.clone(),
            merge_key: self.hasher.hash_one(merge_key),
        };
        self.used.insert(self.address(key), used);
    }

    /// The write was rolled back: the key is unused again.
    pub(super) fn forget(&mut self, key: &Arc<str>) {
        self.used.remove(&self.address(key));
    }

    /// The write is permanent: the key joins the bounded queue.
    pub(super) fn commit(&mut self, key: Arc<str>) {
        self.committed.push_back(key);
        if self.committed.len() > REMEMBERED_KEYS
            && let Some(oldest) = self.committed.pop_front()
        {
            self.used.remove(&self.address(&oldest));
        }
    }

    fn address(&self, key: &Arc<str>) -> Keyed<Arc<str>> {
        Keyed {
            hash: self.hasher.hash_one(key),
            key: Arc::clone(key),
        }
    }
}
