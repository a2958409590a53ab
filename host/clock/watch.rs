//! Work of which a virtual clock that skips waits knows when it has something to
//! do.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

use super::timer::VirtualClock;

/// Watched work's part: it is busy from the moment that something wakes it to the end of the poll
/// that follows, and before its first poll.
pub(super) struct Watch {
    task: Arc<WatchedTask>,
    waker: Waker,
}

struct WatchedTask {
    hand: VirtualClock,
    /// Whether it is about to be polled; counted in `busy`.
    is_due: AtomicBool,
    waker: AtomicWaker,
}

impl Watch {
    pub(super) fn new(hand: &VirtualClock) -> Self {
        hand.work_begins();
        let task = Arc::new(WatchedTask {
            hand: hand.clone(),
            is_due: AtomicBool::new(true),
            waker: AtomicWaker::new(),
        });
        Self {
            waker: Waker::from(Arc::clone(&task)),
            task,
        }
    }

    pub(super) fn poll<F: Future>(
        &self,
        work: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let task = &self.task;
        task.waker.register(context.waker());
        // What was about to be polled is being polled.
        if !task.is_due.swap(false, Ordering::AcqRel) {
            task.hand.work_begins();
        }
        let polled = work.poll(&mut Context::from_waker(&self.waker));
        task.hand.work_ends();
        polled
    }
}

impl Wake for WatchedTask {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_due.swap(true, Ordering::AcqRel) {
            self.hand.work_begins();
        }
        self.waker.wake();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Nobody polls it any more, and a wake that comes late counts for nothing.
        if !self.task.is_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let hand = &self.task.hand;
        hand.work_ends();
    }
}
