//! What a neuron can make the host hold and do through WASI has an end.

use serde_json::{Value, json};
use soma::{neuron::Limits, signal::ErrorReport};

use crate::{answer, bare, common, probe, probe_within, to_do};

fn ends(steps: Value, limits: Limits) -> ErrorReport {
    let host = common::host();
    let tenant = probe_within(&host, "wasi_probe", &bare(), limits);
    common::error(&answer(&host, &tenant, to_do(steps))).clone()
}

fn ends_with(steps: Value, code: &str, message: &str) {
    let error = ends(steps, Limits::default());
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        (code, message)
    );
}

#[test]
fn a_task_holds_so_many_handles_of_wasi_and_no_more() {
    // A timer and its pollable are two.
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &bare());
    let said = common::said(&answer(&host, &tenant, to_do(json!([{"hold": 490}]))));
    assert_eq!(said, [json!(490)]);
    ends_with(
        json!([{"hold": 510}]),
        "NEURON_FAULT",
        "the neuron broke the calling convention: resource table has no free keys",
    );
}

#[test]
fn one_call_asks_for_so_much_and_no_more() {
    ends_with(
        json!([{"poll_many": 1_001}]),
        "NEURON_TRAP",
        "the neuron trapped: poll was given 1001 pollables, at most 1000 are taken",
    );
    ends_with(
        json!([{"random": 65_537}]),
        "NEURON_TRAP",
        "the neuron trapped: get-random-bytes asked for 65537 bytes, at most 65536 are given at once",
    );
}

#[test]
fn calls_of_wasi_count_as_host_calls_and_end_with_their_limit() {
    let limits = Limits {
        host_calls: 1_000,
        fuel: u64::MAX,
        wall: common::LONG,
        ..Limits::default()
    };
    // Through an interface that can fail, and through one that cannot.
    let polls: Vec<_> = (0..1_100).map(|_| json!({"is_over": 0})).collect();
    for steps in [json!(polls), json!([{"repeat": u64::MAX}])] {
        let error = ends(steps, limits.clone());
        assert_eq!(error.code, "NEURON_HOST_CALLS");
        assert_eq!(
            error.message,
            "the neuron called the host more than 1000 times"
        );
    }
}

#[test]
fn a_few_calls_too_many_are_counted_whatever_their_interface() {
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &bare());
    let calls = |count: u64| {
        let steps = json!([{"repeat": count}]);
        answer(&host, &tenant, to_do(steps)).usage.host_calls
    };
    assert_eq!(calls(25), calls(0) + 25);
}

#[test]
fn a_neuron_without_wasi_makes_no_call_of_it() {
    let host = common::host();
    let tenant = probe(&host, "echo", &bare());
    let used = answer(&host, &tenant, to_do(json!([]))).usage;
    assert_eq!(used.host_calls, 0);
}
