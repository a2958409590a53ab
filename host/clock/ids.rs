//! Fresh ids.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{Clock, Random};
use crate::signal::codec::MissingFields;
use crate::signal::{EntryId, SignalId, Timestamp, TraceId, Ulid};

/// Makes ids. Clones share one sequence.
///
/// Ids are ULIDs (Cosmonapse wire v1, section 2.1). Each sorts after all that were made before
/// it: within one millisecond, and when the clock goes back, an id is its forerunner plus one.
#[derive(Clone, Debug)]
pub struct Ids {
    clock: Clock,
    random: Random,
    last: Arc<Mutex<Option<Ulid>>>,
}

impl Ids {
    /// Ids with the times of `clock` and the randomness of `random`.
    #[must_use]
    pub fn new(clock: Clock, random: Random) -> Self {
        Ids {
            clock,
            random,
            last: Arc::default(),
        }
    }

    /// A fresh trace id.
    #[must_use]
    pub fn trace(&self) -> TraceId {
        TraceId::from_ulid(self.next())
    }

    /// A fresh signal id.
    #[must_use]
    pub fn signal(&self) -> SignalId {
        SignalId::from_ulid(self.next())
    }

    /// A fresh id for an engram entry.
    #[must_use]
    pub fn entry(&self) -> EntryId {
        EntryId::from_ulid(self.next())
    }

    fn next(&self) -> Ulid {
        let ms = self.clock.now().millis();
        let mut last = self.last.lock();
        let next = match *last {
            Some(last) if last.ms() >= ms => last.successor(),
            _ => Ulid::from_parts(ms, self.random.u128()),
        };
        *last = Some(next);
        next
    }
}

/// A decoded signal without id, trace id or time gets fresh ones.
impl MissingFields for Ids {
    fn signal_id(&mut self) -> SignalId {
        self.signal()
    }

    fn trace_id(&mut self) -> TraceId {
        self.trace()
    }

    fn ts(&mut self) -> Timestamp {
        self.clock.now()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use std::time::Duration;

    use super::*;

    fn virtual_ids(seed: u64) -> (Ids, super::super::VirtualClock) {
        let (clock, hand) = Clock::virtual_at(Timestamp::from_millis(1_795_289_414_916));
        (Ids::new(clock, Random::seeded(seed)), hand)
    }

    #[test]
    fn ids_of_one_millisecond_follow_each_other_without_a_gap() {
        let (ids, _hand) = virtual_ids(1);
        let first = ids.trace().ulid().unwrap();
        assert_eq!(ids.signal().ulid().unwrap(), first.successor());
        assert_eq!(
            ids.clone().entry().ulid().unwrap(),
            first.successor().successor()
        );
    }

    #[test]
    fn a_new_millisecond_draws_new_randomness() {
        let (ids, hand) = virtual_ids(1);
        let first = ids.signal().ulid().unwrap();
        hand.advance(Duration::from_millis(1));
        let second = ids.signal().ulid().unwrap();
        assert_eq!(second.ms(), first.ms() + 1);
        assert_ne!(second.random(), first.random() + 1);
    }

    #[test]
    fn the_same_seed_and_times_give_the_same_ids() {
        let make = || {
            let (ids, hand) = virtual_ids(7);
            let mut made = vec![ids.trace().to_string(), ids.signal().to_string()];
            hand.advance(Duration::from_millis(3));
            made.push(ids.entry().to_string());
            made
        };
        assert_eq!(make(), make());
    }

    #[test]
    fn ids_sort_by_creation_also_across_threads() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let ids = Ids::new(Clock::system(runtime.handle().clone()), Random::system());
        let made: Vec<Vec<SignalId>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..2000).map(|_| ids.signal()).collect()))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .collect()
        });
        assert!(made.iter().all(|ids| ids.is_sorted()));
        let distinct: std::collections::HashSet<_> = made.into_iter().flatten().collect();
        assert_eq!(distinct.len(), 8000);
    }
}
