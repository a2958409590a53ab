//! How visible entries are found: by place and by merge key. The indexes
//! follow the visible states and nothing else; a write, a rollback and a
//! commit tell them the same way. None ever stalls a writer by growing.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;

use super::hashed::{Hashed, Keyed};
use super::layers::State;

/// The indexes of one store. Slots are numbers of the store's slab.
pub(super) struct Indexes {
    order: BTreeMap<u64, usize>,
    /// By hash of the merge key. Texts are compared where the entry is at hand
    /// anyway.
    keys: Hashed<(), Rows>,
    hasher: RandomState,
}

impl Indexes {
    pub(super) fn new() -> Self {
        Self {
            order: BTreeMap::new(),
            keys: Hashed::new(),
            hasher: RandomState::new(),
        }
    }

    /// Visible entries.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// What stands for a text in the indexes. Keyed at random, so that a
    /// writer cannot choose texts that collide.
    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text)
    }

    /// A slot shows `new` instead of `old`; none means no entry.
    pub(super) fn replace(&mut self, slot: usize, old: Option<&State>, new: Option<&State>) {
        let address = |state: &State| (state.place, state.key_hash);
        if old.map(address) == new.map(address) {
            return;
        }
        if let Some(State {
            place, key_hash, ..
        }) = old
        {
            self.order.remove(place);
            if let Some(hash) = key_hash {
                self.remove_key(*hash, *place);
            }
        }
        if let Some(State {
            place, key_hash, ..
        }) = new
        {
            self.order.insert(*place, slot);
            if let Some(hash) = key_hash {
                self.insert_key(*hash, *place, slot);
            }
        }
    }

    /// The slots of entries whose merge key has this hash, newest first: the
    /// newest is the one whose place is last.
    pub(super) fn with_key(&self, hash: u64) -> impl Iterator<Item = usize> {
        let rows = self.rows(hash, 0..u64::MAX);
        rows.rev().map(|(_, slot)| slot)
    }

    /// Visible entries in order as (place, slot): all, or those whose merge
    /// key has this hash.
    pub(super) fn candidates(
        &self,
        key_hash: Option<u64>,
        places: Range<u64>,
    ) -> impl Iterator<Item = (u64, usize)> {
        let all = key_hash.is_none().then(|| self.order.range(places.clone()));
        let keyed = key_hash.map(|hash| self.rows(hash, places));
        let all = all.into_iter().flatten();
        let keyed = keyed.into_iter().flatten();
        keyed.chain(all.map(|(place, slot)| (*place, *slot)))
    }

    fn rows(&self, hash: u64, places: Range<u64>) -> impl DoubleEndedIterator<Item = (u64, usize)> {
        let (one, many) = match self.keys.get(&keyed(hash)) {
            Some(Rows::One(place, slot)) => (Some((*place, *slot)), None),
            Some(Rows::Many(rows)) => (None, Some(rows.range(places.clone()))),
            None => (None, None),
        };
        let one = one.filter(|(place, _)| places.contains(place));
        let many = many.into_iter().flatten();
        one.into_iter()
            .chain(many.map(|(place, slot)| (*place, *slot)))
    }

    fn insert_key(&mut self, hash: u64, place: u64, slot: usize) {
        match self.keys.get_mut(&keyed(hash)) {
            None => self.keys.insert(keyed(hash), Rows::One(place, slot)),
            Some(Rows::Many(rows)) => {
                rows.insert(place, slot);
            }
            Some(rows @ Rows::One(..)) => {
                let mut many = BTreeMap::from([(place, slot)]);
                if let Rows::One(place, slot) = *rows {
                    many.insert(place, slot);
                }
                *rows = Rows::Many(many);
            }
        }
    }

    fn remove_key(&mut self, hash: u64, place: u64) {
        let empty = match self.keys.get_mut(&keyed(hash)) {
            None => false,
            Some(Rows::One(only, _)) => *only == place,
            Some(Rows::Many(rows)) => {
                rows.remove(&place);
                rows.is_empty()
            }
        };
        if empty {
            self.keys.remove(&keyed(hash));
        }
    }
}

fn keyed(hash: u64) -> Keyed<()> {
    Keyed { hash, key: () }
}

/// (place, slot) of the entries of one merge key, nearly always one.
enum Rows {
    One(u64, usize),
    Many(BTreeMap<u64, usize>),
}
