//! Time that moves when there is nothing to do but wait.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use crate::clock::VirtualClock;

struct Woken {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

/// Polls `future` to its end on this thread. When it waits, and nothing has
/// woken it, the clock moves to whatever comes next: an hour's sleep takes no
/// time. Things happen in the same order in every run.
pub(super) fn drive<T>(hand: &VirtualClock, future: impl Future<Output = T>) -> T {
    drive_watched(hand, future, || Duration::MAX)
}

/// As [`drive`]; before each step `watch` is asked, which may end what the
/// future does, and says after how much real time at most it is asked again.
pub(super) fn drive_watched<T>(
    hand: &VirtualClock,
    future: impl Future<Output = T>,
    mut watch: impl FnMut() -> Duration,
) -> T {
    let state = Arc::new(Woken {
        woken: AtomicBool::new(false),
        thread: thread::current(),
    });
    let waker = Waker::from(Arc::clone(&state));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        state.woken.store(false, Ordering::SeqCst);
        let patience = watch();
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return done;
        }
        let is_woken = || state.woken.load(Ordering::SeqCst);
        if !is_woken() && hand.advance_to_next().is_none() && !is_woken() {
            // Something outside the clock is waited for, and will wake us.
            thread::park_timeout(patience);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        clock::{Clock, yield_now},
        signal::Timestamp,
    };

    #[test]
    fn a_sleep_takes_no_time_and_moves_the_clock() {
        let (clock, hand) = Clock::virtual_at(Timestamp::from_millis(0));
        let order = drive(&hand, async {
            let mut order = Vec::new();
            yield_now().await;
            order.push(clock.monotonic());
            let short = async { clock.sleep(Duration::from_secs(60)).await };
            let long = async { clock.sleep(Duration::from_secs(3600)).await };
            tokio::select! {
                () = long => order.push(Duration::MAX),
                () = short => order.push(clock.monotonic()),
            }
            order
        });
        assert_eq!(order, [Duration::ZERO, Duration::from_secs(60)]);
    }

    #[test]
    fn what_another_thread_wakes_is_waited_for() {
        let (_clock, hand) = Clock::virtual_at(Timestamp::from_millis(0));
        let (told, tells) = tokio::sync::oneshot::channel();
        let teller = thread::spawn(move || told.send(7));
        assert_eq!(drive(&hand, tells), Ok(7));
        assert!(teller.join().is_ok());
    }

    #[test]
    fn what_nobody_wakes_is_watched() {
        let (_clock, hand) = Clock::virtual_at(Timestamp::from_millis(0));
        let (told, tells) = tokio::sync::oneshot::channel::<()>();
        let mut told = Some(told);
        let mut asked = 0;
        let ended = drive_watched(&hand, tells, || {
            asked += 1;
            if asked == 3 {
                told.take();
            }
            Duration::from_millis(1)
        });
        assert!(ended.is_err());
    }
}
