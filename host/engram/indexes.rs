//! How visible entries are found: by place, by merge key, and by whatever the
//! engram's own projection holds (vectors). They follow the visible states and
//! nothing else; a write, a rollback and a commit tell them the same way.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::entry::Entry;
use super::layers::State;

/// What an engram derives from its visible entries.
pub(super) trait Projection: Send + Sync + 'static {
    /// The entry in this slot is visible now, instead of any earlier one.
    fn show(&mut self, slot: usize, entry: &Entry);
}

impl Projection for () {
    fn show(&mut self, _slot: usize, _entry: &Entry) {}
}

/// The indexes of one store. Slots are numbers of the store's slab.
pub(super) struct Indexes<P> {
    order: BTreeMap<u64, usize>,
    keys: HashMap<Box<str>, Rows>,
    pub(super) projection: P,
}

impl<P: Projection> Indexes<P> {
    pub(super) fn new(projection: P) -> Self {
        Self {
            order: BTreeMap::new(),
            keys: HashMap::new(),
            projection,
        }
    }

    /// Visible entries.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The slot shows `new` instead of `old`; none means no entry.
    pub(super) fn replace(&mut self, slot: usize, old: Option<&State>, new: Option<&State>) {
        if let (Some(old), Some(new)) = (old, new)
            && old.place == new.place
            && old.entry.merge_key == new.entry.merge_key
        {
            self.projection.show(slot, &new.entry);
            return;
        }
        if let Some(state) = old {
            self.order.remove(&state.place);
            if let Some(key) = &state.entry.merge_key {
                self.remove_key(key, state.place);
            }
        }
        if let Some(state) = new {
            self.order.insert(state.place, slot);
            if let Some(key) = &state.entry.merge_key {
                self.insert_key(key, state.place, slot);
            }
            self.projection.show(slot, &state.entry);
        }
    }

    /// The slot of the newest entry with this merge key: the one whose place
    /// is last.
    pub(super) fn newest(&self, key: &str) -> Option<usize> {
        match self.keys.get(key)? {
            Rows::One(_, slot) => Some(*slot),
            Rows::Many(rows) => rows.last_key_value().map(|(_, slot)| *slot),
        }
    }

    /// Visible entries in order as (place, slot), with this merge key or all.
    pub(super) fn candidates(
        &self,
        key: Option<&str>,
        places: Range<u64>,
    ) -> Box<dyn Iterator<Item = (u64, usize)> + '_> {
        let pair = |(place, slot): (&u64, &usize)| (*place, *slot);
        match key.map(|key| self.keys.get(key)) {
            None => Box::new(self.order.range(places).map(pair)),
            Some(None) => Box::new(std::iter::empty()),
            Some(Some(Rows::One(place, slot))) => {
                let row = places.contains(place).then_some((*place, *slot));
                Box::new(row.into_iter())
            }
            Some(Some(Rows::Many(rows))) => Box::new(rows.range(places).map(pair)),
        }
    }

    fn insert_key(&mut self, key: &str, place: u64, slot: usize) {
        match self.keys.get_mut(key) {
            None => {
                self.keys.insert(key.into(), Rows::One(place, slot));
            }
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

    fn remove_key(&mut self, key: &str, place: u64) {
        let empty = match self.keys.get_mut(key) {
            None => false,
            Some(Rows::One(only, _)) => *only == place,
            Some(Rows::Many(rows)) => {
                rows.remove(&place);
                rows.is_empty()
            }
        };
        if empty {
            self.keys.remove(key);
        }
    }
}

/// The entries of one merge key, nearly always one.
enum Rows {
    One(u64, usize),
    Many(BTreeMap<u64, usize>),
}
