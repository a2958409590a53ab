//! The bus within one process.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::RwLock;

use super::inbox::{Detach, Inbox};
use super::subject::Shape;
use super::{Pattern, Subject, SubscribeOptions, Subscription, Synapse, SynapseError};
use crate::signal::Signal;

/// Delivers signals between the parts of one process, sharing each by its `Arc`.
///
/// Signals of one publisher arrive in its order. A queue group is a group name together with a
/// pattern: equal names on different patterns are different groups, each with its own turn
/// (unlike the peer's, Cosmonapse wire v1, section 4.6, W43). A member that is full is passed
/// over; only when all are full the signal is lost, to the member whose turn it was.
///
/// When the bus is dropped its subscriptions end.
#[derive(Default)]
pub struct MemorySynapse {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Number of subscriptions, so that publishing to nobody reads one number and no lock.
    count: AtomicUsize,
    index: RwLock<Index>,
}

#[derive(Default)]
struct Index {
    next_key: u64,
    literal: HashMap<Subject, Audience>,
    /// Wildcard patterns; each publish tries them all. Ordered, as everything that decides in
    /// which order subscribers are woken, so that a run can be repeated.
    wild: BTreeMap<Pattern, Audience>,
}

/// The subscriptions to one pattern, in the order they came.
#[derive(Default)]
struct Audience {
    each: BTreeMap<u64, Arc<Inbox>>,
    groups: BTreeMap<Arc<str>, Group>,
}

#[derive(Default)]
struct Group {
    members: Vec<(u64, Arc<Inbox>)>,
    /// Counts publishes; the remainder by the number of members is whose turn it is.
    turn: AtomicUsize,
}

impl MemorySynapse {
    /// A bus without subscriptions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Synapse for MemorySynapse {
    fn publish(&self, subject: &Subject, signal: &Arc<Signal>) {
        if self.shared.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let mut wakers = Vec::new();
        {
            let index = self.shared.index.read();
            if let Some(audience) = index.literal.get(subject) {
                audience.deliver(signal, &mut wakers);
            }
            for (pattern, audience) in &index.wild {
                if pattern.matches(subject) {
                    audience.deliver(signal, &mut wakers);
                }
            }
        }
        // A waker may run foreign code, which may subscribe or unsubscribe: no lock is held here.
        wakers.into_iter().for_each(Waker::wake);
    }

    fn subscribe(
        &self,
        pattern: Pattern,
        options: SubscribeOptions,
    ) -> Result<Subscription, SynapseError> {
        if options.capacity == 0 {
            return Err(SynapseError::NoCapacity);
        }
        let inbox = Inbox::new(options.capacity);
        let group: Option<Arc<str>> = options.queue_group.map(Arc::from);
        let key = {
            let mut index = self.shared.index.write();
            let key = index.next_key;
            index.next_key = key.wrapping_add(1);
            index
                .audience(&pattern)
                .add(key, group.as_ref(), Arc::clone(&inbox));
            self.shared.count.fetch_add(1, Ordering::Release);
            key
        };
        let seat = Seat {
            bus: Arc::downgrade(&self.shared),
            pattern,
            group,
            key,
        };
        Ok(Subscription::new(inbox, Box::new(seat)))
    }
}

impl Drop for MemorySynapse {
    fn drop(&mut self) {
        let index = std::mem::take(&mut *self.shared.index.write());
        let audiences = index.literal.into_values().chain(index.wild.into_values());
        for audience in audiences {
            audience.each.values().for_each(|inbox| inbox.close());
            for group in audience.groups.values() {
                group.members.iter().for_each(|(_, inbox)| inbox.close());
            }
        }
    }
}

impl Index {
    /// The audience of a pattern, made when there is none yet.
    fn audience(&mut self, pattern: &Pattern) -> &mut Audience {
        match pattern.shape() {
            Shape::Literal(subject) => self.literal.entry(subject.clone()).or_default(),
            Shape::Tokens(_) => self.wild.entry(pattern.clone()).or_default(),
        }
    }

    fn remove(&mut self, seat: &Seat) -> Option<Arc<Inbox>> {
        let audience = match seat.pattern.shape() {
            Shape::Literal(subject) => self.literal.get_mut(subject)?,
            Shape::Tokens(_) => self.wild.get_mut(&seat.pattern)?,
        };
        let inbox = audience.remove(seat.key, seat.group.as_ref());
        if audience.is_empty() {
            match seat.pattern.shape() {
                Shape::Literal(subject) => drop(self.literal.remove(subject)),
                Shape::Tokens(_) => drop(self.wild.remove(&seat.pattern)),
            }
        }
        inbox
    }
}

impl Audience {
    fn add(&mut self, key: u64, group: Option<&Arc<str>>, inbox: Arc<Inbox>) {
        match group {
            None => {
                self.each.insert(key, inbox);
            }
            Some(name) => {
                let group = self.groups.entry(Arc::clone(name)).or_default();
                group.members.push((key, inbox));
            }
        }
    }

    fn remove(&mut self, key: u64, group: Option<&Arc<str>>) -> Option<Arc<Inbox>> {
        let Some(name) = group else {
            return self.each.remove(&key);
        };
        let group = self.groups.get_mut(name)?;
        let place = group
            .members
            .iter()
            .position(|(member, _)| *member == key)?;
        let (_, inbox) = group.members.remove(place);
        if group.members.is_empty() {
            self.groups.remove(name);
        }
        Some(inbox)
    }

    fn is_empty(&self) -> bool {
        self.each.is_empty() && self.groups.is_empty()
    }

    fn deliver(&self, signal: &Arc<Signal>, wakers: &mut Vec<Waker>) {
        for inbox in self.each.values() {
            wakers.extend(inbox.push(signal));
        }
        for group in self.groups.values() {
            group.deliver(signal, wakers);
        }
    }
}

impl Group {
    fn deliver(&self, signal: &Arc<Signal>, wakers: &mut Vec<Waker>) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(self.members.len()).unwrap_or(0);
        let (after, from) = self.members.split_at(first);
        for (_, inbox) in from.iter().chain(after) {
            if let Ok(waker) = inbox.offer(signal) {
                wakers.extend(waker);
                return;
            }
        }
        if let Some((_, inbox)) = from.first() {
            wakers.extend(inbox.push(signal));
        }
    }
}

/// A subscription's place in the index.
struct Seat {
    bus: Weak<Shared>,
    pattern: Pattern,
    group: Option<Arc<str>>,
    key: u64,
}

impl Detach for Seat {
    fn detach(&self) {
        let Some(bus) = self.bus.upgrade() else {
            return;
        };
        let removed = bus.index.write().remove(self);
        if removed.is_some() {
            bus.count.fetch_sub(1, Ordering::Release);
        }
    }
}

impl fmt::Debug for MemorySynapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MemorySynapse({} subscriptions)",
            self.shared.count.load(Ordering::Relaxed)
        )
    }
}

#[cfg(test)]
mod tests;
