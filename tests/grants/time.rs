//! Time: the host's, or a clock of the task's own.

use std::time::Duration;

use serde_json::{Value, json};
use soma::{
    neuron::{Limits, Time},
    orchestration::{Dispatch, StopOptions},
};

use crate::{
    TRACE_STARTS, answer, bare, common,
    common::{LONG, run, said, until},
    probe, probe_within, to_do, trace,
};

fn micros(of: soma::signal::Timestamp) -> u64 {
    u64::try_from(of.micros()).unwrap()
}

#[test]
fn wall_time_is_the_hosts_clock() {
    let (host, hand) = common::virtual_host();
    hand.advance(Duration::from_micros(1_234_567));
    let tenant = probe(&host, "wasi_probe", &bare());
    let said = said(&answer(&host, &tenant, to_do(json!(["now", "monotonic"]))));
    let start = micros(common::start());
    assert_eq!(said, [json!(start + 1_234_567), json!(1_234_567)]);
}

#[test]
fn a_sleep_through_wasi_lasts_until_the_hosts_clock_has_moved() {
    let (host, hand) = common::virtual_host();
    let limits = Limits {
        wall: LONG,
        ..Limits::default()
    };
    let tenant = probe_within(&host, "wasi_probe", &bare(), limits);
    run(&host, async move {
        let steps = json!([
            {"sleep": 60_000},
            "monotonic",
            {"sleep_until_first": [90_000, 30_000, 30_000, 40_000]},
            "monotonic",
            {"is_over": 1},
            {"is_over": 0},
            {"sleep_or_read": 10_000},
        ]);
        let mut pathway = tenant.dispatch(to_do(steps)).unwrap();
        // The sleep and the limit on the task.
        hand.wait_for_pending(2).await;
        hand.advance(Duration::from_millis(59_999));
        assert_eq!(hand.pending(), 2, "it woke too early");
        hand.advance(Duration::from_millis(1));
        // Four timers and the limit.
        hand.wait_for_pending(5).await;
        hand.advance(Duration::from_secs(30));
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(
            said(&answer),
            [
                Value::Null,
                json!(60_000_000),
                json!([1, 2]),
                json!(90_000_000),
                json!(false),
                json!(true),
                json!([1]),
            ]
        );
    });
}

#[test]
fn stop_ends_a_sleep_through_wasi() {
    let (host, hand) = common::virtual_host();
    let limits = Limits {
        wall: LONG,
        ..Limits::default()
    };
    let tenant = probe_within(&host, "wasi_probe", &bare(), limits);
    run(&host, async move {
        for sleep in [
            json!({"sleep": 1_000_000}),
            json!({"sleep_until_first": [1_000_000, 2_000_000]}),
        ] {
            let pathway = tenant.dispatch(to_do(json!([sleep]))).unwrap();
            hand.wait_for_pending(2).await;
            let trace = pathway.trace_id().clone();
            let acks = tenant.stop_trace(&trace, StopOptions::default()).await;
            assert_eq!(acks[0].cancelled, 1);
            assert_eq!(
                tenant.tenant().memory_held(),
                0,
                "the instance is still there"
            );
            assert_eq!(hand.pending(), 0, "a timer is left");
        }
    });
}

#[test]
fn the_deadline_ends_a_sleep_through_wasi() {
    let (host, hand) = common::virtual_host();
    let tenant = probe(&host, "wasi_probe", &bare());
    run(&host, async move {
        let mut pathway = tenant
            .dispatch(to_do(json!([{"sleep": 1_000_000}])))
            .unwrap();
        hand.wait_for_pending(2).await;
        hand.advance(Limits::default().wall);
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(common::error(&answer).code, "NEURON_DEADLINE");
    });
}

#[test]
fn virtual_time_starts_with_the_trace_and_moves_by_the_neurons_own_sleeps_alone() {
    let steps = json!([
        "now",
        "monotonic",
        {"sleep": 3_600_000},
        "now",
        "monotonic",
        {"sleep_until_first": [500, 20, 900]},
        "monotonic",
        {"is_over": 1},
        "monotonic",
        {"sleep_or_read": 1_000},
        "monotonic",
    ]);
    let hour = 3_600_000_000_u64;
    let expected = [
        json!(TRACE_STARTS),
        json!(0),
        Value::Null,
        json!(TRACE_STARTS + hour),
        json!(hour),
        json!([1]),
        json!(hour + 20_000),
        json!(false),
        json!(hour + 20_000),
        // What is ready anyway needs no time.
        json!([1]),
        json!(hour + 20_000),
    ];
    // On the system's clock an hour would be one.
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &bare().with_time(Time::Virtual));
    for _ in 0..2 {
        let task = to_do(steps.clone()).on_trace(trace());
        assert_eq!(said(&answer(&host, &tenant, task)), expected);
    }
}

#[test]
fn virtual_time_is_the_contracts_clock_too() {
    let host = common::host();
    let grants = common::all_grants().with_time(Time::Virtual);
    let tenant = probe(&host, "puppet", &grants);
    let steps = json!(["now", {"sleep": 86_400_000}, "now", {"sleep": u64::MAX}, "now"]);
    let task = Dispatch::to_neuron("probe")
        .input(common::told(steps))
        .on_trace(trace());
    let start = TRACE_STARTS / 1_000;
    assert_eq!(
        said(&answer(&host, &tenant, task)),
        // The last day that there is.
        [
            json!(start),
            json!(start + 86_400_000),
            json!(253_402_300_799_999_u64)
        ]
    );
}

#[test]
fn a_trace_without_a_time_starts_in_1970() {
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &bare().with_time(Time::Virtual));
    let task = to_do(json!(["now"])).on_trace("trc_foreign".parse().unwrap());
    assert_eq!(said(&answer(&host, &tenant, task)), [json!(0)]);
}

#[test]
fn stop_ends_a_neuron_that_sleeps_without_end_in_virtual_time() {
    let host = common::host();
    let grants = common::all_grants().with_time(Time::Virtual);
    let limits = Limits {
        fuel: u64::MAX,
        host_calls: u64::MAX,
        wall: LONG,
        ..Limits::default()
    };
    let tenant = probe_within(&host, "puppet", &grants, limits);
    let steps = json!([{"repeat": {"times": u64::MAX, "steps": [{"sleep": 1}]}}]);
    let task = Dispatch::to_neuron("probe").input(common::told(steps));
    run(&host, async move {
        let pathway = tenant.dispatch(task).unwrap();
        let trace = pathway.trace_id().clone();
        until(|| tenant.tenant().memory_held() > 0).await;
        let acks = tenant.stop_trace(&trace, StopOptions::default()).await;
        assert_eq!(acks[0].cancelled, 1);
        assert_eq!(tenant.tenant().memory_held(), 0);
    });
}
