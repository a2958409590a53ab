//! The slow lane: guests that burn CPU take turns on fewer workers than there
//! are, so that a worker is always free for the others.
//!
//! Turns go from tenant to tenant, not from guest to guest: a tenant with many
//! busy guests gets no more of the lane than one with a single one.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

/// CPU after which a guest goes to the lane.
const AFTER: Duration = Duration::from_millis(3);

/// The same for guests of a tenant that has others there already: many fresh
/// guests that each take the whole of the first would fill the fast workers.
const AFTER_BESIDE_OTHERS: Duration = Duration::from_micros(400);

/// Tells tenants apart.
pub(super) type Key = usize;

/// See the module.
pub(super) struct SlowLane {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// Those who wait, a queue a tenant; the tenant in front is next.
    turns: VecDeque<(Key, VecDeque<Arc<Waiter>>)>,
    /// Guests in the lane by tenant, waiting or not.
    members: HashMap<Key, usize>,
}

#[derive(Default)]
struct Waiter {
    granted: AtomicBool,
    given_up: AtomicBool,
    waker: AtomicWaker,
}

impl SlowLane {
    /// A lane that is `width` guests wide.
    pub(super) fn new(width: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: width,
                turns: VecDeque::new(),
                members: HashMap::new(),
            }),
        })
    }

    /// Whether a guest that has used so much CPU belongs here.
    pub(super) fn is_for(&self, cpu: Duration, key: Key) -> bool {
        cpu >= AFTER || cpu >= AFTER_BESIDE_OTHERS && self.state.lock().members.contains_key(&key)
    }

    /// Makes a guest a member for as long as the returned value lives.
    pub(super) fn join(self: &Arc<Self>, key: Key) -> Member {
        *self.state.lock().members.entry(key).or_default() += 1;
        Member {
            lane: Arc::clone(self),
            key,
        }
    }

    fn release(&self) {
        let granted = {
            let mut state = self.state.lock();
            state.free += 1;
            state.grant()
        };
        if let Some(waiter) = granted {
            waiter.waker.wake();
        }
    }
}

impl State {
    /// Gives a free place to the next in turn.
    fn grant(&mut self) -> Option<Arc<Waiter>> {
        while self.free > 0
            && let Some((key, mut queue)) = self.turns.pop_front()
        {
            let next = queue.pop_front();
            if !queue.is_empty() {
                self.turns.push_back((key, queue));
            }
            if let Some(next) = next
                && !next.given_up.load(Ordering::Acquire)
            {
                self.free -= 1;
                next.granted.store(true, Ordering::Release);
                return Some(next);
            }
        }
        None
    }
}

/// A guest in the lane.
pub(super) struct Member {
    lane: Arc<SlowLane>,
    key: Key,
}

impl Member {
    /// Queues for a turn.
    pub(super) fn queue(&self) -> Turn {
        let waiter = Arc::<Waiter>::default();
        let mut state = self.lane.state.lock();
        match state.turns.iter_mut().find(|(key, _)| *key == self.key) {
            Some((_, queue)) => queue.push_back(Arc::clone(&waiter)),
            None => {
                let queue = VecDeque::from([Arc::clone(&waiter)]);
                state.turns.push_back((self.key, queue));
            }
        }
        let granted = state.grant();
        drop(state);
        if let Some(granted) = granted {
            granted.waker.wake();
        }
        Turn {
            lane: Arc::clone(&self.lane),
            waiter,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.lane.state.lock();
        if let Some(count) = state.members.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                state.members.remove(&self.key);
            }
        }
    }
}

/// A place in the queue, then in the lane: resolves when it is this guest's
/// turn, which lasts until the value is dropped.
pub(super) struct Turn {
    lane: Arc<SlowLane>,
    waiter: Arc<Waiter>,
}

impl Future for Turn {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.waiter.waker.register(context.waker());
        if self.waiter.granted.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Under the lock: a grant either sees that it was given up, or is
        // seen here.
        let granted = {
            let _state = self.lane.state.lock();
            self.waiter.given_up.store(true, Ordering::Release);
            self.waiter.granted.load(Ordering::Acquire)
        };
        if granted {
            self.lane.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn has_turn(turn: &mut Turn) -> bool {
        turn.now_or_never().is_some()
    }

    #[test]
    fn turns_go_from_tenant_to_tenant() {
        let lane = SlowLane::new(1);
        let (loud, quiet) = (lane.join(1), lane.join(2));
        let mut first = loud.queue();
        let mut second = loud.queue();
        let mut third = loud.queue();
        let mut other = quiet.queue();
        assert!(has_turn(&mut first) && !has_turn(&mut second));
        drop(first);
        assert!(has_turn(&mut second) && !has_turn(&mut other));
        drop(second);
        assert!(has_turn(&mut other) && !has_turn(&mut third));
        drop(other);
        assert!(has_turn(&mut third));
    }

    #[test]
    fn a_turn_that_was_given_up_goes_to_the_next() {
        let lane = SlowLane::new(1);
        let member = lane.join(1);
        let first = member.queue();
        let waiting = member.queue();
        let mut last = member.queue();
        drop(waiting);
        drop(first);
        assert!(has_turn(&mut last));
    }

    #[test]
    fn a_tenant_with_guests_in_the_lane_sends_others_there_sooner() {
        let lane = SlowLane::new(1);
        assert!(lane.is_for(AFTER, 1));
        assert!(!lane.is_for(AFTER_BESIDE_OTHERS, 1));
        let member = lane.join(1);
        assert!(lane.is_for(AFTER_BESIDE_OTHERS, 1));
        assert!(!lane.is_for(AFTER_BESIDE_OTHERS, 2));
        drop(member);
        assert!(!lane.is_for(AFTER_BESIDE_OTHERS, 1));
    }
}
