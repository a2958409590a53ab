//! The handle by which STOP reaches a running task, and the poll wrapper that
//! makes it a fact: no guest instruction runs after the wrapper has returned.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;

use super::{
    engine::Pulse,
    environment::Governor,
    lane::{self, Member, SlowLane, Turn},
    outcome::End,
};
use crate::clock::{Clock, Sleep, Stopwatch};

/// A guest that a tick finds younger than this in its slice goes on.
const SHORTEST_SLICE: Duration = Duration::from_micros(400);

/// Shared between a running task and whoever may stop it.
#[derive(Debug, Default)]
pub struct TaskControl {
    stop: AtomicBool,
    waker: AtomicWaker,
    /// Nanoseconds on a CPU in finished slices.
    cpu_nanos: AtomicU64,
    /// When the current slice began, in nanoseconds since `PROCESS_START`;
    /// written by the poll wrapper, read by the epoch callback on the same
    /// thread.
    slice_start: AtomicU64,
}

/// Slices are measured from here; only differences matter.
static PROCESS_START: LazyLock<Stopwatch> = LazyLock::new(Stopwatch::start);

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl TaskControl {
    /// A control for a task that has not started.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Asks the task to end. It has ended when its future has; a guest on a
    /// CPU notices at the next epoch, which [`super::Sandbox::interrupt`]
    /// brings on at once.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    /// Whether STOP was asked.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Time on a CPU in finished slices.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_nanos.load(Ordering::Relaxed))
    }

    /// Resolves when STOP was asked. For waits before the guest starts.
    pub async fn stopped(&self) {
        std::future::poll_fn(|context| {
            self.waker.register(context.waker());
            if self.is_stopped() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn begin_slice(&self) {
        self.slice_start
            .store(nanos(PROCESS_START.elapsed()), Ordering::Relaxed);
    }

    fn slice(&self) -> Duration {
        let start = self.slice_start.load(Ordering::Relaxed);
        Duration::from_nanos(nanos(PROCESS_START.elapsed()).saturating_sub(start))
    }

    fn end_slice(&self) {
        self.cpu_nanos
            .fetch_add(nanos(self.slice()), Ordering::Relaxed);
    }

    /// Whether a guest that a tick has found running should let others in.
    pub(super) fn slice_is_over(&self) -> bool {
        self.slice() >= SHORTEST_SLICE
    }
}

/// Why [`Supervised`] ended a guest's call.
pub(super) enum Cut {
    Stopped,
    Deadline,
}

impl Cut {
    pub(super) fn into_end(self, wall: Duration) -> End {
        match self {
            Self::Stopped => End::Stopped,
            Self::Deadline => End::Deadline(wall),
        }
    }
}

/// What [`Supervised`] watches while it polls a guest.
pub(super) struct Supervision<'a> {
    pub(super) control: &'a TaskControl,
    pub(super) clock: &'a Clock,
    pub(super) governor: &'a dyn Governor,
    pub(super) pulse: &'a Pulse,
    pub(super) slow_lane: &'a Arc<SlowLane>,
    /// Whose turns in the slow lane the task takes.
    pub(super) tenant: lane::Key,
    /// Monotonic time of the clock at which the task ends.
    pub(super) deadline: Duration,
}

/// Polls a guest's call under STOP, deadline, CPU lanes and fuel quota.
pub(super) struct Supervised<'a, F> {
    call: Pin<&'a mut F>,
    supervision: Supervision<'a>,
    /// Made when the call first waits: a call that does not wait needs none.
    timer: Option<Sleep>,
    throttle: Option<Sleep>,
    /// Once the guest belongs in the slow lane.
    member: Option<Member>,
    turn: Option<Turn>,
}

impl<'a, F: Future> Supervised<'a, F> {
    pub(super) fn new(call: Pin<&'a mut F>, supervision: Supervision<'a>) -> Self {
        Self {
            call,
            supervision,
            timer: None,
            throttle: None,
            member: None,
            turn: None,
        }
    }

    /// Whether the task's tenant may burn fuel now.
    fn poll_throttle(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(sleep) = &mut self.throttle {
                if Pin::new(sleep).poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.throttle = None;
            }
            match self.supervision.governor.throttle() {
                None => return Poll::Ready(()),
                Some(pause) => self.throttle = Some(self.supervision.clock.sleep(pause)),
            }
        }
    }

    /// A place on a CPU: at once for a guest that used little, in turn for one
    /// that used much. The turn lasts for one slice.
    fn poll_lane(&mut self, context: &mut Context<'_>) -> Poll<Option<Turn>> {
        let Supervision {
            control,
            slow_lane,
            tenant,
            ..
        } = &self.supervision;
        if self.member.is_none() && !slow_lane.is_for(control.cpu(), *tenant) {
            return Poll::Ready(None);
        }
        let member = self.member.get_or_insert_with(|| slow_lane.join(*tenant));
        let turn = self.turn.get_or_insert_with(|| member.queue());
        std::task::ready!(Pin::new(turn).poll(context));
        Poll::Ready(self.turn.take())
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Supervision {
            clock, deadline, ..
        } = &self.supervision;
        let timer = self
            .timer
            .get_or_insert_with(|| clock.sleep_until(*deadline));
        Pin::new(timer).poll(context)
    }
}

impl<F: Future> Future for Supervised<'_, F> {
    type Output = Result<F::Output, Cut>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let control = this.supervision.control;
        control.waker.register(context.waker());
        // Before every slice: a guest caught inside a yield must not get one
        // more tick.
        if control.is_stopped() {
            return Poll::Ready(Err(Cut::Stopped));
        }
        if this.timer.is_some() && this.poll_deadline(context).is_ready() {
            return Poll::Ready(Err(Cut::Deadline));
        }
        if let Poll::Ready(turn) = this.poll_turn(context) {
            let polled = {
                let _beat = this.supervision.pulse.beat();
                control.begin_slice();
                let polled = this.call.as_mut().poll(context);
                control.end_slice();
                polled
            };
            drop(turn);
            if let Poll::Ready(output) = polled {
                return Poll::Ready(Ok(output));
            }
        }
        if control.is_stopped() {
            return Poll::Ready(Err(Cut::Stopped));
        }
        this.poll_deadline(context).map(|()| Err(Cut::Deadline))
    }
}

impl<F: Future> Supervised<'_, F> {
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Option<Turn>> {
        if self.poll_throttle(context).is_pending() {
            // A pause in the lane's queue would stop all who wait behind.
            self.turn = None;
            return Poll::Pending;
        }
        self.poll_lane(context)
    }
}
