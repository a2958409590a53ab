//! A map by hash that grows in small steps.
//!
//! One hash table of a million entries stalls whoever makes it grow for tens
//! of milliseconds. Here the entries are spread over [`SHARDS`] tables, each
//! of which grows by itself.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

const SHARDS: usize = 256;

/// Values by a 64-bit hash that the caller made with a random key.
pub(super) struct Hashed<V> {
    shards: Vec<HashMap<u64, V, BuildHasherDefault<Ready>>>,
}

impl<V> Hashed<V> {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| HashMap::default()).collect(),
        }
    }

    pub(super) fn get(&self, hash: u64) -> Option<&V> {
        self.shards.get(shard(hash))?.get(&hash)
    }

    pub(super) fn get_mut(&mut self, hash: u64) -> Option<&mut V> {
        self.shards.get_mut(shard(hash))?.get_mut(&hash)
    }

    pub(super) fn insert(&mut self, hash: u64, value: V) {
        if let Some(shard) = self.shards.get_mut(shard(hash)) {
            shard.insert(hash, value);
        }
    }

    pub(super) fn remove(&mut self, hash: u64) -> Option<V> {
        self.shards.get_mut(shard(hash))?.remove(&hash)
    }
}

/// Bits that the tables themselves use least.
fn shard(hash: u64) -> usize {
    let [_, _, _, _, bits, ..] = hash.to_le_bytes();
    usize::from(bits) % SHARDS
}

/// The hasher of what is hashed already.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
