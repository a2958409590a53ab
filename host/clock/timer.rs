//! Time: the system's, or a virtual one that stands still until it is moved.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::watch::Watch;
use crate::signal::Timestamp;

/// What time it is, and waiting until it is later. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    System {
        origin: Instant,
        timers: tokio::runtime::Handle,
    },
    Virtual(VirtualClock),
}

/// No timer waits longer than this; it stands for "for ever" where a sum would overflow.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 86_400);

impl Clock {
    /// The system's clock. Its sleeps are driven by the runtime `timers`, which needs its time
    /// driver and must outlive every [`Sleep`]; a busy guest on another runtime cannot delay
    /// them.
    #[must_use]
    pub fn system(timers: tokio::runtime::Handle) -> Self {
        timers.spawn(keep_awake());
        Clock(Kind::System {
            origin: Instant::now(),
            timers,
        })
    }

    /// A clock that stands at `start` until the [`VirtualClock`] moves it.
    #[must_use]
    pub fn virtual_at(start: Timestamp) -> (Self, VirtualClock) {
        let hand = VirtualClock(Arc::new(Shared {
            start,
            state: Mutex::default(),
            registered: Notify::new(),
        }));
        (Clock(Kind::Virtual(hand.clone())), hand)
    }

    /// The wall clock's time. It can go back on the system's clock; use
    /// [`monotonic`](Self::monotonic) for spans.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System { .. } => system_now(),
            Kind::Virtual(hand) => hand.0.start.saturating_add(hand.elapsed()),
        }
    }

    /// The span since this clock was made. Never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Kind::System { origin, .. } => origin.elapsed(),
            Kind::Virtual(hand) => hand.elapsed(),
        }
    }

    /// Ends after `span`. A sleep of zero ends at its first poll.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.monotonic().saturating_add(span))
    }

    /// Ends as soon as [`monotonic`](Self::monotonic) has reached `deadline`.
    pub fn sleep_until(&self, deadline: Duration) -> Sleep {
        Sleep(match &self.0 {
            Kind::System { origin, timers } => {
                let wake_at = origin
                    .checked_add(deadline.min(FOR_EVER))
                    .unwrap_or(*origin);
                let _timers = timers.enter();
                SleepKind::System(Box::pin(tokio::time::sleep_until(wake_at.into())))
            }
            Kind::Virtual(hand) => SleepKind::Virtual {
                hand: hand.clone(),
                deadline,
                ticket: None,
            },
        })
    }

    /// Moves on to the next deadline, if this is a virtual clock that skips waits and nothing else
    /// can happen: no watched work has anything to do. Whether it has moved; if not, the waker is
    /// told when to ask again.
    pub(crate) fn skip_wait(&self, waker: &Waker) -> bool {
        match &self.0 {
            Kind::Virtual(hand) => hand.skip_wait(waker),
            Kind::System { .. } => false,
        }
    }

    /// `work`, of which a virtual clock that skips waits knows when it has something to do.
    pub(crate) fn watched<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let watch = match &self.0 {
            Kind::Virtual(hand) if hand.skips() => Some(Watch::new(hand)),
            _ => None,
        };
        async move {
            let Some(watch) = watch else {
                return work.await;
            };
            let mut work = pin!(work);
            poll_fn(|context| watch.poll(work.as_mut(), context)).await
        }
    }

    /// Whether this is a virtual clock that skips waits.
    pub(crate) fn skips(&self) -> bool {
        matches!(&self.0, Kind::Virtual(hand) if hand.skips())
    }

    /// Measures real time, under a virtual clock too: CPU use and the time that work took.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start()
    }
}

/// Goes to the end of the runtime's queue, as a guest does at the end of its
/// slice. The runtime's own way waits until its driver has been polled, which
/// busy guests can delay for many of their slices.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Setting the only timer of a runtime wakes its driver, a system call; while
/// this one is pending only timers that are due before it do. Ends with the
/// runtime.
async fn keep_awake() {
    const BEAT: Duration = Duration::from_millis(20);
    loop {
        tokio::time::sleep(BEAT).await;
    }
}

fn system_now() -> Timestamp {
    let micros = |span: Duration| {
        let whole = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        whole
            .saturating_mul(1_000_000)
            .saturating_add(i64::from(span.subsec_micros()))
    };
    Timestamp::from_micros(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    })
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::System { .. } => f.write_str("Clock::system"),
            Kind::Virtual(_) => write!(f, "Clock::virtual({})", self.now()),
        }
    }
}

/// Real time since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring now.
    #[must_use]
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// The real span since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The hand of a virtual clock. Clones move the same clock.
#[derive(Clone)]
pub struct VirtualClock(Arc<Shared>);

struct Shared {
    start: Timestamp,
    state: Mutex<State>,
    /// Told of every sleeper that starts to wait.
    registered: Notify,
}

#[derive(Default)]
struct State {
    elapsed: Duration,
    next_ticket: u64,
    /// Whether waits end at once where nothing else can happen.
    skips: bool,
    /// Sleepers that were woken and have not noticed.
    woken: usize,
    /// Watched work that is being polled or is about to be.
    busy: usize,
    /// Who wants to know when one of these changes.
    watchers: Vec<Waker>,
    /// Who waits, by deadline, then by who came first. Invariant: every deadline lies ahead.
    sleepers: BTreeMap<(Duration, u64), Waker>,
}

impl VirtualClock {
    /// Moves the clock forward and wakes every sleeper whose deadline is reached, the earliest
    /// deadline first and the first to wait first. The woken run after this has returned, so all
    /// of them see the new time; use [`advance_to_next`](Self::advance_to_next) to stop at each.
    pub fn advance(&self, span: Duration) {
        let due = {
            let mut state = self.0.state.lock();
            let target = state.elapsed.saturating_add(span);
            state.move_to(target)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Moves the clock to the earliest deadline and wakes those who wait for it. Returns how far
    /// the clock moved; `None` when nobody waits.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let (moved, due) = {
            let mut state = self.0.state.lock();
            let (&(deadline, _), _) = state.sleepers.first_key_value()?;
            (
                deadline.saturating_sub(state.elapsed),
                state.move_to(deadline),
            )
        };
        due.into_values().for_each(Waker::wake);
        Some(moved)
    }

    /// From here on a flow that waits for nothing but this clock moves it to the next deadline by
    /// itself: waits of hours take no time, in the same order each time. While a neuron has
    /// something to do the clock stands still; whatever else a node waits for, such as another
    /// thread, is not known here and does not hold the clock. For a host that is made for a test,
    /// before its first task.
    pub fn skip_waits(&self) {
        self.0.state.lock().skips = true;
    }

    /// How many sleepers wait. A [`Sleep`] waits from its first poll until it ends or is dropped.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.state.lock().sleepers.len()
    }

    /// Ends as soon as at least `count` sleepers wait.
    pub async fn wait_for_pending(&self, count: usize) {
        loop {
            let registered = self.0.registered.notified();
            let mut registered = std::pin::pin!(registered);
            // Listening starts before the count is read, so that no sleeper is missed.
            registered.as_mut().enable();
            if self.pending() >= count {
                return;
            }
            registered.await;
        }
    }

    fn elapsed(&self) -> Duration {
        self.0.state.lock().elapsed
    }

    fn skips(&self) -> bool {
        self.0.state.lock().skips
    }

    fn skip_wait(&self, waker: &Waker) -> bool {
        let due = {
            let mut state = self.0.state.lock();
            if !state.skips {
                return false;
            }
            let is_idle = state.busy == 0 && state.woken == 0;
            let next = state.sleepers.first_key_value();
            let next = next.map(|((deadline, _), _)| *deadline);
            match next.filter(|_| is_idle) {
                Some(deadline) => state.move_to(deadline),
                None => {
                    if !state.watchers.iter().any(|known| known.will_wake(waker)) {
                        state.watchers.push(waker.clone());
                    }
                    return false;
                }
            }
        };
        due.into_values().for_each(Waker::wake);
        true
    }

    /// Watched work has something to do.
    pub(super) fn work_begins(&self) {
        self.note(|state| state.busy += 1);
    }

    /// It has done that, or is no more.
    pub(super) fn work_ends(&self) {
        self.note(|state| state.busy = state.busy.saturating_sub(1));
    }

    /// Changes what is known of who is busy, and tells those who want to know.
    fn note(&self, change: impl FnOnce(&mut State)) {
        let watchers = {
            let mut state = self.0.state.lock();
            change(&mut state);
            std::mem::take(&mut state.watchers)
        };
        watchers.into_iter().for_each(Waker::wake);
    }

    /// One poll of a sleep that may have waited before under `ticket`.
    fn poll_sleep(&self, deadline: Duration, ticket: &mut Option<u64>, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        let mut state = self.0.state.lock();
        if deadline <= state.elapsed {
            if ticket.take().is_some() {
                drop(state);
                self.note(|state| state.woken = state.woken.saturating_sub(1));
            }
            return Poll::Ready(());
        }
        let (number, is_new) = match *ticket {
            Some(number) => (number, false),
            None => (state.take_ticket(), true),
        };
        *ticket = Some(number);
        let former = state.sleepers.insert((deadline, number), waker);
        // Wakers are dropped and called without the lock: they may own a task that holds sleeps.
        drop(state);
        drop(former);
        if is_new {
            self.0.registered.notify_waiters();
        }
        Poll::Pending
    }
}

impl State {
    fn take_ticket(&mut self) -> u64 {
        let number = self.next_ticket;
        self.next_ticket = number.wrapping_add(1);
        number
    }

    fn move_to(&mut self, target: Duration) -> BTreeMap<(Duration, u64), Waker> {
        self.elapsed = target;
        let later = match target.checked_add(Duration::from_nanos(1)) {
            Some(after) => self.sleepers.split_off(&(after, 0)),
            None => BTreeMap::new(),
        };
        let due = std::mem::replace(&mut self.sleepers, later);
        self.woken = self.woken.saturating_add(due.len());
        due
    }
}

impl fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VirtualClock({:?}, {} waiting)",
            self.elapsed(),
            self.pending()
        )
    }
}

/// A wait for a point in time. Dropping it ends the wait.
#[derive(Debug)]
#[must_use = "a sleep does nothing until it is awaited"]
pub struct Sleep(SleepKind);

#[derive(Debug)]
enum SleepKind {
    System(Pin<Box<tokio::time::Sleep>>),
    Virtual {
        hand: VirtualClock,
        deadline: Duration,
        /// Its place among the sleepers, once it has been polled and had to wait.
        ticket: Option<u64>,
    },
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            SleepKind::System(sleep) => sleep.as_mut().poll(context),
            SleepKind::Virtual {
                hand,
                deadline,
                ticket,
            } => hand.poll_sleep(*deadline, ticket, context.waker()),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let SleepKind::Virtual {
            hand,
            deadline,
            ticket: Some(ticket),
        } = &self.0
        {
            let waker = hand.0.state.lock().sleepers.remove(&(*deadline, *ticket));
            if waker.is_none() {
                hand.note(|state| state.woken = state.woken.saturating_sub(1));
            }
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const SECOND: Duration = Duration::from_secs(1);

    /// Notes in which order sleepers are woken.
    struct Note(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Wake for Note {
        fn wake(self: Arc<Self>) {
            self.1.lock().push(self.0);
        }
    }

    fn virtual_clock() -> (Clock, VirtualClock) {
        Clock::virtual_at(Timestamp::from_millis(1000))
    }

    #[test]
    fn a_virtual_clock_stands_still_until_it_is_moved() {
        let (clock, hand) = virtual_clock();
        assert_eq!(
            (clock.now().millis(), clock.monotonic()),
            (1000, Duration::ZERO)
        );
        hand.advance(SECOND);
        assert_eq!((clock.now().millis(), clock.monotonic()), (2000, SECOND));
        assert_eq!(hand.advance_to_next(), None);
    }

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines_and_then_of_their_coming() {
        let (clock, hand) = virtual_clock();
        let woken = Arc::new(Mutex::new(Vec::new()));
        let mut sleeps = Vec::new();
        for (name, seconds) in [("c", 3), ("a", 1), ("b1", 2), ("b2", 2), ("d", 9)] {
            let mut sleep = clock.sleep(SECOND * seconds);
            let waker = Waker::from(Arc::new(Note(name, woken.clone())));
            assert!(
                Pin::new(&mut sleep)
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            sleeps.push(sleep);
        }
        hand.advance(SECOND * 4);
        assert_eq!(*woken.lock(), ["a", "b1", "b2", "c"]);
        assert_eq!(hand.pending(), 1);
        assert_eq!(hand.advance_to_next(), Some(SECOND * 5));
        assert_eq!(hand.pending(), 0);
    }

    #[test]
    fn a_dropped_sleep_waits_no_more() {
        let (clock, hand) = virtual_clock();
        let mut sleep = clock.sleep(SECOND);
        assert_eq!(hand.pending(), 0, "a sleep waits from its first poll");
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
        assert_eq!(hand.pending(), 1);
        drop(sleep);
        assert_eq!(hand.pending(), 0);
    }

    #[test]
    fn a_sleep_of_zero_ends_at_once_and_an_endless_one_never() {
        let (clock, hand) = virtual_clock();
        let mut context = Context::from_waker(Waker::noop());
        assert!(
            Pin::new(&mut clock.sleep(Duration::ZERO))
                .poll(&mut context)
                .is_ready()
        );
        let mut endless = clock.sleep(Duration::MAX);
        assert!(Pin::new(&mut endless).poll(&mut context).is_pending());
        hand.advance(SECOND);
        assert!(Pin::new(&mut endless).poll(&mut context).is_pending());
        hand.advance(Duration::MAX);
        assert!(Pin::new(&mut endless).poll(&mut context).is_ready());
    }

    #[tokio::test]
    async fn waiting_for_sleepers_ends_when_they_wait() {
        let (clock, hand) = virtual_clock();
        let ended = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let (clock, ended) = (clock.clone(), ended.clone());
                tokio::spawn(async move {
                    clock.sleep(SECOND).await;
                    ended.fetch_add(1, Ordering::SeqCst);
                })
            })
            .collect();
        hand.wait_for_pending(3).await;
        assert_eq!(ended.load(Ordering::SeqCst), 0);
        hand.advance(SECOND);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn system_sleeps_run_on_the_given_runtime_from_any_thread() {
        let timers = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let clock = Clock::system(timers.handle().clone());
        let before = clock.monotonic();
        // This runtime has no time driver of its own.
        let elsewhere = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        elsewhere.block_on(clock.sleep(Duration::from_millis(2)));
        assert!(clock.monotonic() >= before + Duration::from_millis(2));
        assert!(clock.now() > Timestamp::from_millis(1_700_000_000_000));
    }

    #[test]
    fn an_endless_system_sleep_can_be_made() {
        let timers = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let clock = Clock::system(timers.handle().clone());
        let mut sleep = clock.sleep(Duration::MAX);
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut sleep).poll(&mut context).is_pending());
    }

    #[test]
    fn a_stopwatch_measures_real_time_under_a_virtual_clock() {
        let (clock, hand) = virtual_clock();
        let watch = clock.stopwatch();
        hand.advance(SECOND * 86_400);
        assert!(watch.elapsed() < SECOND * 3600);
    }
}
