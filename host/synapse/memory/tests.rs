#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Wake};

use super::super::Delivery;
use super::*;
use crate::signal::{Heartbeat, Object, Signal, SignalId, Timestamp, TraceId, Ulid};

fn signal(number: u64) -> Arc<Signal> {
    let ulid = Ulid::from_parts(number, 0);
    Arc::new(Signal {
        id: SignalId::from_ulid(ulid),
        trace_id: TraceId::from_ulid(ulid),
        parent_id: None,
        directed: None,
        ts: Timestamp::from_millis(number),
        payload: Heartbeat::new("ok".to_owned()).into(),
        meta: Object::new(),
    })
}

fn subject(text: &str) -> Subject {
    format!("cosmonapse.{text}").parse().unwrap()
}

fn listen(bus: &MemorySynapse, pattern: &str, capacity: usize) -> Subscription {
    listen_in(bus, pattern, capacity, None)
}

fn listen_in(
    bus: &MemorySynapse,
    pattern: &str,
    capacity: usize,
    group: Option<&str>,
) -> Subscription {
    let pattern = format!("cosmonapse.{pattern}").parse().unwrap();
    let queue_group = group.map(str::to_owned);
    bus.subscribe(
        pattern,
        SubscribeOptions {
            queue_group,
            capacity,
        },
    )
    .unwrap()
}

fn publish(bus: &MemorySynapse, to: &str, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        bus.publish(&subject(to), &signal(number));
    }
}

/// What waits, in short: the signal's number, or how many were lost there.
fn drain(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.try_recv())
        .map(|delivery| match delivery {
            Delivery::Signal(signal) => signal.ts.millis().to_string(),
            Delivery::Lost(count) => format!("lost {count}"),
        })
        .collect()
}

#[test]
fn every_matching_subscription_gets_every_signal_in_order_and_by_reference() {
    let bus = MemorySynapse::new();
    let mut literal = listen(&bus, "dev.TASK", 9);
    let mut star = listen(&bus, "*.TASK", 9);
    let mut tail = listen(&bus, "dev.>", 9);
    let mut other = listen(&bus, "dev.FINAL", 9);
    let sent = signal(1);
    bus.publish(&subject("dev.TASK"), &sent);
    for subscription in [&mut literal, &mut star, &mut tail] {
        let Some(Delivery::Signal(got)) = subscription.try_recv() else {
            panic!("nothing was delivered")
        };
        assert!(Arc::ptr_eq(&got, &sent));
    }
    publish(&bus, "dev.TASK", 2..5);
    assert_eq!(drain(&mut literal), ["2", "3", "4"]);
    assert_eq!(drain(&mut other), [""; 0]);
}

#[test]
fn a_full_subscription_loses_the_newest_and_is_told_how_many_and_where() {
    let bus = MemorySynapse::new();
    let mut slow = listen(&bus, "dev.TASK", 2);
    let mut quick = listen(&bus, "dev.TASK", 100);
    publish(&bus, "dev.TASK", 1..=5);
    assert!(matches!(slow.try_recv(), Some(Delivery::Signal(_))));
    publish(&bus, "dev.TASK", 6..=7);
    assert_eq!(slow.lost(), 4);
    assert_eq!(drain(&mut slow), ["2", "lost 3", "6", "lost 1"]);
    assert_eq!(slow.lost(), 4);
    assert_eq!(drain(&mut quick), ["1", "2", "3", "4", "5", "6", "7"]);
    assert_eq!(quick.lost(), 0);
}

#[test]
fn a_queue_group_takes_turns() {
    let bus = MemorySynapse::new();
    let mut members: Vec<_> = (0..3)
        .map(|_| listen_in(&bus, "dev.TASK", 9, Some("g")))
        .collect();
    let mut solo = listen(&bus, "dev.TASK", 9);
    publish(&bus, "dev.TASK", 0..6);
    let got: Vec<_> = members.iter_mut().map(drain).collect();
    assert_eq!(got, [["0", "3"], ["1", "4"], ["2", "5"]]);
    assert_eq!(drain(&mut solo).len(), 6);
}

#[test]
fn a_group_name_on_two_patterns_is_two_groups_with_their_own_turns() {
    let bus = MemorySynapse::new();
    let mut on_task: Vec<_> = (0..2)
        .map(|_| listen_in(&bus, "dev.TASK", 9, Some("g")))
        .collect();
    let mut on_stop: Vec<_> = (0..2)
        .map(|_| listen_in(&bus, "dev.STOP", 9, Some("g")))
        .collect();
    let mut on_all = listen_in(&bus, "dev.>", 9, Some("g"));
    for round in [0, 10] {
        publish(&bus, "dev.TASK", [round]);
        publish(&bus, "dev.STOP", [round + 1]);
    }
    assert_eq!(
        on_task.iter_mut().map(drain).collect::<Vec<_>>(),
        [["0"], ["10"]]
    );
    assert_eq!(
        on_stop.iter_mut().map(drain).collect::<Vec<_>>(),
        [["1"], ["11"]]
    );
    assert_eq!(drain(&mut on_all).len(), 4);
}

#[test]
fn a_full_group_member_is_passed_over_before_a_signal_is_lost() {
    let bus = MemorySynapse::new();
    let mut small = listen_in(&bus, "dev.TASK", 1, Some("g"));
    let mut large = listen_in(&bus, "dev.TASK", 2, Some("g"));
    publish(&bus, "dev.TASK", 0..5);
    assert_eq!((small.lost(), large.lost()), (1, 1), "turns 3 and 4");
    assert_eq!(drain(&mut small), ["0", "lost 1"]);
    assert_eq!(drain(&mut large), ["1", "2", "lost 1"]);
}

#[test]
fn a_dropped_subscription_is_off_the_bus_and_out_of_its_group() {
    let bus = MemorySynapse::new();
    let first = listen_in(&bus, "dev.TASK", 9, Some("g"));
    let mut second = listen_in(&bus, "dev.TASK", 9, Some("g"));
    drop((
        first,
        listen(&bus, "dev.TASK", 9),
        listen(&bus, "*.TASK", 9),
    ));
    publish(&bus, "dev.TASK", 0..3);
    assert_eq!(drain(&mut second), ["0", "1", "2"]);
    drop(second);
    assert_eq!(bus.shared.count.load(Ordering::SeqCst), 0);
    let index = bus.shared.index.read();
    assert!(index.literal.is_empty() && index.wild.is_empty());
}

#[test]
fn a_subscription_without_capacity_is_refused() {
    let options = SubscribeOptions {
        capacity: 0,
        ..SubscribeOptions::default()
    };
    let refused = MemorySynapse::new().subscribe(subject("dev.TASK").into(), options);
    assert_eq!(refused.unwrap_err(), SynapseError::NoCapacity);
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken_by_a_signal_and_by_the_end_of_the_bus() {
    let bus = MemorySynapse::new();
    let mut subscription = listen(&bus, "dev.TASK", 9);
    let task = tokio::spawn(async move {
        let first = subscription.recv().await;
        (first, subscription.recv().await)
    });
    tokio::task::yield_now().await;
    publish(&bus, "dev.TASK", [7]);
    tokio::task::yield_now().await;
    drop(bus);
    let (first, end) = task.await.unwrap();
    assert_eq!(first, Some(Delivery::Signal(signal(7))));
    assert_eq!(end, None);
}

/// A waker that goes back into the bus, as one that runs a task on the spot would.
struct Meddler(Arc<MemorySynapse>, Mutex<Option<Subscription>>);

impl Wake for Meddler {
    fn wake(self: Arc<Self>) {
        drop(self.1.lock().unwrap().take());
        drop(listen(&self.0, "dev.>", 1));
    }
}

#[test]
fn a_woken_subscriber_may_use_the_bus_at_once() {
    let bus = Arc::new(MemorySynapse::new());
    let mut subscription = listen(&bus, "dev.TASK", 1);
    let held = Mutex::new(Some(listen(&bus, "dev.TASK", 1)));
    let waker = Arc::new(Meddler(Arc::clone(&bus), held)).into();
    {
        let mut wait = pin!(subscription.recv());
        assert!(
            wait.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    publish(&bus, "dev.TASK", [1]);
    assert_eq!(drain(&mut subscription), ["1"]);
    assert_eq!(bus.shared.count.load(Ordering::SeqCst), 1);
}

#[test]
fn parallel_publishers_and_subscribers_lose_and_double_nothing() {
    let bus = MemorySynapse::new();
    let mut members: Vec<_> = (0..3)
        .map(|_| listen_in(&bus, "dev.TASK", 10_000, Some("g")))
        .collect();
    std::thread::scope(|scope| {
        for publisher in 0..3 {
            let bus = &bus;
            scope.spawn(move || publish(bus, "dev.TASK", (0..1000).map(|n| publisher * 1000 + n)));
        }
        scope.spawn(|| (0..1000).for_each(|_| drop(listen(&bus, "dev.*", 1))));
    });
    let mut got: Vec<u64> = members
        .iter_mut()
        .flat_map(drain)
        .map(|number| number.parse().unwrap())
        .collect();
    got.sort_unstable();
    assert_eq!(got, (0..3000).collect::<Vec<_>>());
}
