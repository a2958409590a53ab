//! What a neuron of an earlier contract may rely on: a component that was
//! built for 0.1.0, and never since, runs here as it did then.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::{fs, path::Path};

use common::{Stage, all_grants, host, puppet, run, said};
use expect_test::expect;
use serde_json::{Value, json};
use soma::{
    neuron::Metering,
    orchestration::Neuron,
    package::{Digest, Randomness, Time},
};

/// Of the frozen component's bytes.
const FROZEN: &str = "sha256:932a7e8a0ebbc5db911af004d61dbd7fad5f660995670558c691bff5dd4ea380";

fn frozen() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read(root.join("tests/fixtures/contract-0.1.0/puppet.wasm")).unwrap()
}

/// What the frozen component says to these steps, in a time of its own in
/// which sleeps end at once.
fn told(steps: Value) -> Vec<Value> {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let grants = all_grants()
        .with_time(Time::Virtual)
        .with_randomness(Randomness::Seeded);
    let plugin = host
        .load(&frozen(), &grants, Metering::Fuel)
        .expect("a component of 0.1.0 loads on every 0.1.x");
    stage.tenant.register(stage.puppet("puppet", plugin));
    let echo = Neuron::new("echo", common::plugin(&host, "echo"));
    stage.tenant.register(echo.capability("echoing"));
    run(&host, async move {
        let task = puppet(steps);
        let answer = stage.tenant.dispatch_and_wait(task, common::LONG).await;
        said(&answer.unwrap())
    })
}

#[test]
fn the_frozen_component_is_the_one_that_was_built_then() {
    assert_eq!(Digest::of(&frozen()).to_string(), FROZEN);
}

#[test]
fn engrams_answer_as_they_did_then() {
    let said = told(json!([
        {"write": {"to": "memory", "op": "add", "id": "a", "content": 1, "tags": ["t"]}},
        {"write": {"to": "memory", "op": "upsert", "key": "k", "content": {"n": 1}}},
        {"write": {"to": "memory", "op": "merge", "key": "k", "content": {"m": 2}}},
        {"write": {"to": "memory", "op": "append", "content": 3, "send": true}},
        {"write": {"to": "memory", "op": "delete", "id": "a"}},
        {"write": {"to": "nowhere", "op": "append", "content": 3}},
        {"recall": {"from": "memory"}},
    ]));
    expect![[r#"
        {"id":"a","version":1}
        {"id":"eng_..","version":1}
        {"id":"eng_..","version":2}
        null
        {"id":"a","version":null}
        {"error":{"code":"ENGRAM_NOT_BOUND","message":"engram not bound: neuron `puppet` has no engram bound as `nowhere`; bound: `gate`, `memory`","recoverable":false}}
        {"hits":[{"m":2,"n":1},3],"truncated":false}"#]].assert_eq(&shown(&said));
}

#[test]
fn signals_log_time_and_randomness_answer_as_they_did_then() {
    let said = told(json!([
        {"emit": {"kind": "PLAN", "payload": {"steps": []}}},
        {"emit": {"kind": "PLAN", "payload": {}}},
        {"log": "a line"},
        "now",
        {"sleep": 1_000},
        "now",
        {"random": 4},
    ]));
    let wall = |said: &Value| said.as_u64().unwrap();
    assert!(said[0].as_str().unwrap().starts_with("evt_"), "{said:?}");
    assert_eq!(wall(&said[3]), wall(&said[2]) + 1_000);
    assert_eq!(said[4].as_str().unwrap().len(), 8);
    expect![[r#"{"error":{"code":"EMIT_INVALID","message":"invalid signal: PLAN payload lacks `steps` (a list of objects)","recoverable":false}}"#]].assert_eq(&shown(&said[1..2]));
}

#[test]
fn orchestration_answers_as_it_did_then() {
    let said = told(json!([
        {"call": {"neuron": "echo", "input": {"n": 1}}},
        {"call": {"capabilities": ["echoing"], "input": {"n": 2}, "finalize": true}},
        {"call": {"neuron": "nobody", "input": {}}},
        {"dispatch": {"neuron": "echo", "input": {"n": 3}}},
        {"next": 0},
        {"wait": {"pathway": 0, "timeout_ms": 10_000}},
        {"retry": {"neuron": "echo", "input": {"n": 4}, "max_attempts": 2, "timeout_ms": 10_000}},
        {"stop": {"trace": {"pathway": 0}, "rollback": true}},
        {"close": 0},
    ]));
    expect![[r#"
        {"outcome":{"n":1},"task":"evt_..","trace":"trc_.."}
        {"outcome":{"n":2},"task":"evt_..","trace":"trc_.."}
        {"error":{"code":"UNROUTABLE","message":"unroutable: no neuron of tenant `acme` is neuron `nobody`; registered: echo, puppet","recoverable":false}}
        {"task":"evt_..","trace":"trc_.."}
        "AGENT_OUTPUT"
        {"n":3}
        {"outcome":{"n":4},"task":"evt_..","trace":"trc_.."}
        [{"cancelled":0,"compensated":0,"kept":[],"node":"acme","rolled_back":true}]"#]].assert_eq(&shown(&said));
}

/// A line each, without what differs from run to run.
fn shown(said: &[Value]) -> String {
    let text: Vec<_> = said.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    let mut shown = String::new();
    let mut rest = text.as_str();
    // An id is its kind and 26 characters.
    while let Some(at) = ["evt_", "trc_", "eng_"]
        .iter()
        .filter_map(|kind| rest.find(kind))
        .min()
    {
        shown += &rest[..at + 4];
        shown += "..";
        rest = rest.get(at + 30..).unwrap_or_default();
    }
    shown + rest
}
