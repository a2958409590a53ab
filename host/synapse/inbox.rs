//! What a subscriber holds: a bounded inbox that counts what it had to drop.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::signal::Signal;

/// What a subscription receives.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// A signal.
    Signal(Arc<Signal>),
    /// So many signals were dropped exactly here, because the subscription was full.
    Lost(u64),
}

/// The bounded queue between publishers and one subscriber.
pub(super) struct Inbox {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Each signal with the number of those dropped right before it.
    waiting: VecDeque<(u64, Arc<Signal>)>,
    /// Dropped since the last signal that was let in.
    lost_since: u64,
    lost_total: u64,
    closed: bool,
    /// The subscriber's, while it waits.
    waker: Option<Waker>,
}

impl Inbox {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Inbox {
            capacity,
            state: Mutex::default(),
        })
    }

    /// Lets the signal in, or drops and counts it. A waker that comes back must be woken once the
    /// caller holds no lock.
    pub(super) fn push(&self, signal: &Arc<Signal>) -> Option<Waker> {
        let mut state = self.state.lock();
        if !state.offer(signal, self.capacity) {
            state.count_lost();
        }
        state.waker.take()
    }

    /// Lets the signal in, or gives back `Full` and counts nothing.
    pub(super) fn offer(&self, signal: &Arc<Signal>) -> Result<Option<Waker>, Full> {
        let mut state = self.state.lock();
        if state.offer(signal, self.capacity) {
            Ok(state.waker.take())
        } else {
            Err(Full)
        }
    }

    /// No more signals will come. Those that wait can still be read.
    pub(super) fn close(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.closed = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn take(&self) -> Option<Delivery> {
        self.state.lock().take()
    }

    fn poll_take(&self, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.state.lock();
        if let Some(delivery) = state.take() {
            return Poll::Ready(Some(delivery));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        let former = state.waker.replace(context.waker().clone());
        drop(state);
        drop(former);
        Poll::Pending
    }
}

impl State {
    fn offer(&mut self, signal: &Arc<Signal>, capacity: usize) -> bool {
        let has_room = self.waiting.len() < capacity;
        if has_room {
            let lost = std::mem::take(&mut self.lost_since);
            self.waiting.push_back((lost, Arc::clone(signal)));
        }
        has_room
    }

    fn count_lost(&mut self) {
        self.lost_since = self.lost_since.saturating_add(1);
        self.lost_total = self.lost_total.saturating_add(1);
    }

    fn take(&mut self) -> Option<Delivery> {
        let lost = match self.waiting.front_mut() {
            Some((lost, _)) => lost,
            None => &mut self.lost_since,
        };
        if *lost > 0 {
            return Some(Delivery::Lost(std::mem::take(lost)));
        }
        let (_, signal) = self.waiting.pop_front()?;
        Some(Delivery::Signal(signal))
    }
}

/// The inbox holds as many signals as it may.
pub(super) struct Full;

/// A subscription to a pattern. Dropping it unsubscribes; what waited unread is dropped with it.
pub struct Subscription {
    inbox: Arc<Inbox>,
    detach: Box<dyn Detach>,
}

/// Takes a subscription off its bus.
pub(super) trait Detach: Send + Sync {
    fn detach(&self);
}

impl Subscription {
    pub(super) fn new(inbox: Arc<Inbox>, detach: Box<dyn Detach>) -> Self {
        Subscription { inbox, detach }
    }

    /// The next delivery, in the order of publishing; waits for one. `None` once the bus is gone
    /// and everything is read. Nothing is lost when the wait is cancelled.
    pub async fn recv(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.inbox.poll_take(context)).await
    }

    /// The next delivery, when there is one already.
    pub fn try_recv(&mut self) -> Option<Delivery> {
        self.inbox.take()
    }

    /// How many signals were lost to this subscription in all.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.inbox.state.lock().lost_total
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.detach.detach();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inbox.state.lock();
        write!(
            f,
            "Subscription({} waiting, {} lost)",
            state.waiting.len(),
            state.lost_total
        )
    }
}
