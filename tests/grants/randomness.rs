//! Randomness: the host's, or one that follows from the task.

use serde_json::{Value, json};
use soma::{
    Host,
    neuron::{Grants, Interface, Randomness},
    orchestration::Dispatch,
    signal::TraceId,
};

use crate::{answer, bare, common, other_trace, probe, to_do, trace};

const DRAW: [&str; 1] = ["seed"];

fn draws(more: &Value) -> Value {
    json!([{"random": 16}, DRAW[0], {"random": 3}, more])
}

/// What the WASI probe draws; `more` makes it another input.
fn drawn(host: &Host, trace: TraceId, attempt: u32, more: &Value) -> Vec<Value> {
    let tenant = host.tenant("acme").unwrap();
    let task = to_do(draws(more)).on_trace(trace).attempt(attempt);
    let mut said = common::said(&answer(host, &tenant, task));
    said.truncate(3);
    said
}

fn seeded_host() -> Host {
    let host = common::host();
    probe(
        &host,
        "wasi_probe",
        &bare().with_randomness(Randomness::Seeded),
    );
    host
}

#[test]
fn seeded_the_same_task_draws_the_same_on_any_host() {
    let one = drawn(&seeded_host(), trace(), 0, &json!("now"));
    let other = drawn(&seeded_host(), trace(), 0, &json!("now"));
    assert_eq!(one, other);
    // All interfaces draw on: no two draws of a task are the same.
    let texts = one[0].as_array().unwrap();
    assert_ne!(texts[0], texts[1]);
    assert_ne!(texts[2], texts[3]);
}

#[test]
fn seeded_another_task_draws_something_else() {
    let host = seeded_host();
    let base = drawn(&host, trace(), 0, &json!("now"));
    for (what, other) in [
        ("trace", drawn(&host, other_trace(), 0, &json!("now"))),
        ("attempt", drawn(&host, trace(), 1, &json!("now"))),
        ("input", drawn(&host, trace(), 0, &json!("monotonic"))),
    ] {
        assert_ne!(base, other, "another {what}");
    }
}

#[test]
fn seeded_the_contracts_randomness_repeats_too() {
    let drawn = |trace: TraceId| {
        let host = common::host();
        let grants = common::all_grants().with_randomness(Randomness::Seeded);
        let tenant = probe(&host, "puppet", &grants);
        let task = Dispatch::to_neuron("probe")
            .input(common::told(json!([{"random": 8}, {"random": 8}])))
            .on_trace(trace);
        common::said(&answer(&host, &tenant, task))
    };
    let one = drawn(trace());
    assert_eq!(one, drawn(trace()));
    assert_ne!(one[0], one[1]);
    assert_ne!(one, drawn(other_trace()));
}

#[test]
fn otherwise_it_is_the_hosts_source_and_no_two_tasks_draw_the_same() {
    let host = common::host();
    probe(&host, "wasi_probe", &bare());
    let one = drawn(&host, trace(), 0, &json!("now"));
    assert_ne!(one, drawn(&host, trace(), 0, &json!("now")));
}

#[test]
fn a_seeded_host_repeats_what_its_neurons_draw() {
    let drawn = || {
        let (host, _hand) = common::virtual_host();
        probe(&host, "wasi_probe", &bare());
        drawn(&host, trace(), 0, &json!("now"))
    };
    assert_eq!(drawn(), drawn());
}

#[test]
fn without_the_grant_the_contracts_randomness_is_not_loaded() {
    let grants = common::all_grants().without(Interface::Random);
    let told = crate::refusal("puppet", &Grants::clone(&grants));
    assert!(
        told.contains("`soma:neuron/random@0.1.0`, which is not granted"),
        "{told}"
    );
}
