//! A map by hash that grows in small steps.
//!
//! One hash table of a million entries stalls whoever makes it grow for tens
//! of milliseconds. Here the entries are spread over [`SHARDS`] tables, each
//! of which grows by itself. A key is hashed once and keeps its hash.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

const SHARDS: usize = 256;

/// A key and its hash, made with a random key by whoever owns the map, so that
/// a writer cannot choose keys that collide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyed<K> {
    pub(super) hash: u64,
    pub(super) key: K,
}

impl<K> Hash for Keyed<K> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.hash);
    }
}

type Shard<K, V> = HashMap<Keyed<K>, V, BuildHasherDefault<Ready>>;

/// Values by hashed key.
pub(super) struct Hashed<K, V> {
    shards: Vec<Shard<K, V>>,
}

impl<K: Eq, V> Hashed<K, V> {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| HashMap::default()).collect(),
        }
    }

    pub(super) fn get(&self, key: &Keyed<K>) -> Option<&V> {
        self.shards.get(shard(key.hash))?.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Keyed<K>) -> Option<&mut V> {
        self.shards.get_mut(shard(key.hash))?.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: Keyed<K>, value: V) {
        if let Some(shard) = self.shards.get_mut(shard(key.hash)) {
            shard.insert(key, value);
        }
    }

    pub(super) fn remove(&mut self, key: &Keyed<K>) -> Option<V> {
        self.shards.get_mut(shard(key.hash))?.remove(key)
    }
}

/// Taken from bits that the tables themselves use least.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_with_one_hash_are_told_apart() {
        let keyed = |key| Keyed { hash: 5, key };
        let mut map = Hashed::new();
        map.insert(keyed("a"), 1);
        map.insert(keyed("b"), 2);
        assert_eq!(map.get(&keyed("a")), Some(&1));
        assert_eq!(map.remove(&keyed("b")), Some(2));
        assert_eq!(map.get(&keyed("b")), None);
        assert_eq!(map.get_mut(&keyed("a")), Some(&mut 1));
    }
}
