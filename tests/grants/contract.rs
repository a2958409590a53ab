//! The contract's own: engrams, synapse, orchestration.

use expect_test::expect;
use serde_json::{Value, json};
use soma::{
    neuron::{Grants, Interface},
    orchestration::{Access, Dispatch, Neuron},
    signal::SignalType,
};

use crate::{
    answer,
    common::{Stage, append, host, plugin, puppet, told},
    refusal,
};

/// What the puppet says to these steps, when `change` has made it.
fn puppet_says(steps: Value, change: impl FnOnce(&Stage, Neuron) -> Neuron) -> Vec<Value> {
    let host = host();
    let stage = Stage::new(&host, "acme");
    stage.gate.open();
    let plugin = plugin(&host, "puppet");
    stage
        .tenant
        .register(change(&stage, Neuron::new("puppet", plugin)));
    crate::common::said(&answer(&host, &stage.tenant, puppet(steps)))
}

fn written() -> Value {
    json!({"id": "e", "version": 1})
}

fn refused(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message, "recoverable": false}})
}

#[test]
fn an_engram_that_is_not_bound_is_neither_read_nor_written() {
    let steps = json!([{"recall": {"from": "memory"}}, append("x")]);
    let message =
        "engram not bound: neuron `puppet` has no engram bound as `memory`; bound: nothing";
    let denied = refused("ENGRAM_NOT_BOUND", message);
    assert_eq!(
        puppet_says(steps, |_, neuron| neuron),
        [denied.clone(), denied]
    );
}

#[test]
fn through_a_binding_to_read_an_engram_is_read_and_not_written() {
    let steps = json!([
        {"recall": {"from": "memory"}},
        append("x"),
        {"write": {"to": "memory", "op": "upsert", "key": "k", "content": 1}},
        {"write": {"to": "memory", "op": "delete", "key": "k"}},
        {"recall": {"from": "memory"}},
    ]);
    let message =
        "engram access denied: neuron `puppet` may only read through the binding `memory`";
    let denied = refused("ENGRAM_DENIED", message);
    let nothing = json!({"hits": [], "truncated": false});
    let said = puppet_says(steps, |stage, neuron| {
        neuron.bind("memory", stage.memory.clone(), Access::Read)
    });
    assert_eq!(
        said,
        [
            nothing.clone(),
            denied.clone(),
            denied.clone(),
            denied,
            nothing
        ]
    );
}

#[test]
fn through_a_binding_to_write_an_engram_is_written() {
    let steps = json!([
        {"write": {"to": "memory", "op": "add", "id": "e", "content": "x"}},
        {"recall": {"from": "memory"}},
    ]);
    let said = puppet_says(steps, |stage, neuron| {
        neuron.bind("memory", stage.memory.clone(), Access::ReadWrite)
    });
    assert_eq!(
        said,
        [written(), json!({"hits": ["x"], "truncated": false})]
    );
}

#[test]
fn only_the_signals_that_are_granted_are_emitted() {
    let audit = json!({"emit": {"kind": "AUDIT", "payload": {
        "kind": "GUARDED", "domain": "security", "outcome": "refused", "attempt": 0,
    }}});
    let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
    let said = puppet_says(json!([audit, plan]), |_, neuron| {
        neuron.emits([SignalType::Audit])
    });
    assert!(said[0].as_str().unwrap().starts_with("evt_"), "{said:?}");
    let message = "signal denied: neuron `puppet` may not emit PLAN";
    assert_eq!(said[1], refused("EMIT_DENIED", message));
    let nothing = puppet_says(json!([audit]), |_, neuron| neuron.emits([]));
    let message = "signal denied: neuron `puppet` may not emit AUDIT";
    assert_eq!(nothing, [refused("EMIT_DENIED", message)]);
}

#[test]
fn without_the_grant_an_orchestrator_is_not_loaded() {
    expect!["the component imports `soma:neuron/orchestration@0.1.0`, which is not granted; grant `orchestration` or build it without"]
        .assert_eq(&refusal("puppet", &Grants::default()));
}

#[test]
fn with_the_grant_a_neuron_starts_others_of_its_tenant_and_no_foreign_ones() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let foreign = host
        .add_tenant("other", soma::tenant::Quotas::default())
        .unwrap();
    let echo = host
        .load_file(crate::common::component("echo"), &Grants::default())
        .unwrap();
    stage.tenant.register(Neuron::new("echo", echo.clone()));
    foreign.register(Neuron::new("theirs", echo));
    let call = |neuron: &str| json!({"call": {"neuron": neuron, "input": {"a": 1}}});
    let task = Dispatch::to_neuron("puppet").input(told(json!([call("echo"), call("theirs")])));
    let said = crate::common::said(&answer(&host, &stage.tenant, task));
    assert_eq!(said[0]["outcome"], json!({"a": 1}));
    assert_eq!(said[1]["error"]["code"], "UNROUTABLE");
}

#[test]
fn each_interface_of_the_contract_is_refused_without_its_grant() {
    // The puppet imports them all.
    let all = Interface::ALL
        .into_iter()
        .fold(Grants::none(), Grants::with);
    for interface in Interface::ALL {
        let told = refusal("puppet", &all.clone().without(interface));
        let name = interface.name();
        assert_eq!(
            told,
            format!(
                "the component imports `soma:neuron/{name}@0.1.0`, which is not granted; \
                 grant `{name}` or build it without"
            )
        );
    }
}
