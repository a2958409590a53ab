//! Tenants: quotas, fair turns, and that none reaches another's things.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "tenants/inputs.rs"]
mod inputs;
#[path = "tenants/nested.rs"]
mod nested;
#[path = "tenants/removal.rs"]
mod removal;

use std::{pin::pin, time::Duration};

use common::{
    LONG, Stage, Tap, append, builder, contents, error, host, puppet, run, said, told, until,
    virtual_host, wait_at_gate,
};
use serde_json::{Value, json};
use soma::{
    Host, TenantError,
    neuron::Limits,
    orchestration::{Answer, Dispatch, DispatchError, Pathway, StopOptions},
    signal::SignalType,
    tenant::Quotas,
};

fn unlimited() -> Limits {
    Limits {
        fuel: u64::MAX,
        wall: LONG,
        host_calls: u64::MAX,
        ..Limits::default()
    }
}

async fn ask(stage: &Stage, steps: Value) -> Answer {
    stage
        .tenant
        .dispatch_and_wait(puppet(steps), LONG)
        .await
        .unwrap()
}

fn start(stage: &Stage, steps: Value) -> Pathway {
    stage.tenant.dispatch(puppet(steps)).unwrap()
}

#[test]
fn a_tenants_name_is_a_part_of_subjects_and_there_is_one_of_each() {
    let host = host();
    let long = "x".repeat(65);
    let mut told = String::new();
    for name in ["", "a b", "a.b", "*", ">", "Köln", &long] {
        let refused = host.add_tenant(name, Quotas::default()).unwrap_err();
        assert!(matches!(refused, TenantError::Name(_)));
        told += &format!("{refused}\n");
    }
    let known = host.add_tenant("acme", Quotas::default()).unwrap();
    told += &host
        .add_tenant("acme", Quotas::default())
        .unwrap_err()
        .to_string();
    expect_test::expect![[r#"
        `` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        `a b` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        `a.b` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        `*` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        `>` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        `Köln` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        there is already a tenant `acme`"#]].assert_eq(&told);
    assert_eq!(&**known.tenant().name(), "acme");
    assert!(host.tenant("acme").is_some() && host.tenant("other").is_none());
    for name in ["a", "A-1_b", &long[1..]] {
        assert!(host.add_tenant(name, Quotas::default()).is_ok());
    }
}

#[test]
fn a_tenant_runs_no_more_tasks_at_a_time_than_it_may() {
    let host = host();
    let stage = Stage::with_quotas(
        &host,
        "acme",
        Quotas {
            concurrent_tasks: 3,
            ..Quotas::default()
        },
    );
    run(&host, async move {
        let mut tasks: Vec<_> = (0..10)
            .map(|_| start(&stage, json!([wait_at_gate(), append("done")])))
            .collect();
        for done in 0..10 {
            let running = (10 - done).min(3);
            stage.gate.arrived(done + running).await;
            until(|| stage.memory.len() == done).await;
            assert_eq!(stage.gate.arrivals(), done + running, "a task too many");
            stage.gate.let_through(1);
        }
        for task in &mut tasks {
            assert!(task.wait(LONG).await.unwrap().is_output());
        }
    });
}

#[test]
fn a_full_queue_refuses_in_words_and_takes_tasks_again_when_there_is_room() {
    let host = host();
    let stage = Stage::with_quotas(
        &host,
        "acme",
        Quotas {
            concurrent_tasks: 1,
            queued_tasks: 2,
            ..Quotas::default()
        },
    );
    run(&host, async move {
        let waiting = || stage.tenant.dispatch(puppet(json!([wait_at_gate()])));
        let mut first = waiting().unwrap();
        stage.gate.arrived(1).await;
        let queued = [waiting().unwrap(), waiting().unwrap()];
        let refused = waiting().unwrap_err();
        assert!(matches!(refused, DispatchError::Overloaded(_)));
        expect_test::expect!["tenant `acme` already has 1 tasks running and 2 waiting, its limits; try again later or raise `concurrent_tasks` or `queued_tasks`"]
            .assert_eq(&refused.to_string());
        // A place that is given up is free again.
        stage
            .tenant
            .stop_trace(queued[0].trace_id(), StopOptions::default())
            .await;
        let again = waiting().unwrap();
        assert!(waiting().is_err());
        stage.gate.open();
        assert!(first.wait(LONG).await.is_ok());
        for mut task in queued.into_iter().skip(1).chain([again]) {
            assert!(task.wait(LONG).await.unwrap().is_output());
        }
    });
}

#[test]
fn a_flood_of_one_tenant_does_not_keep_anothers_single_task_waiting_for_more_than_a_turn() {
    let host = builder().instances(2).build().unwrap();
    let (loud, quiet) = (Stage::new(&host, "loud"), Stage::new(&host, "quiet"));
    run(&host, async move {
        let flood: Vec<_> = (0..50)
            .map(|_| start(&loud, json!([wait_at_gate()])))
            .collect();
        loud.gate.arrived(2).await;
        let mut single = start(&quiet, json!([append("served")]));
        // Two freed slots: one goes to the tenant whose turn it is, one to the other.
        loud.gate.let_through(2);
        assert!(single.wait(LONG).await.unwrap().is_output());
        assert!(
            loud.gate.arrivals() <= 4,
            "{} tasks went before",
            loud.gate.arrivals()
        );
        drop(flood);
    });
}

#[test]
fn a_tenant_at_its_limit_leaves_free_slots_to_others() {
    let host = builder().instances(4).build().unwrap();
    let small = Stage::with_quotas(
        &host,
        "small",
        Quotas {
            concurrent_tasks: 1,
            ..Quotas::default()
        },
    );
    let other = Stage::new(&host, "other");
    run(&host, async move {
        let _queue: Vec<_> = (0..20)
            .map(|_| start(&small, json!([wait_at_gate()])))
            .collect();
        small.gate.arrived(1).await;
        for _ in 0..20 {
            assert!(ask(&other, json!([])).await.is_output());
        }
        assert_eq!(small.gate.arrivals(), 1);
    });
}

#[test]
fn a_tenant_out_of_fuel_pauses_until_it_has_some_again_while_others_go_on() {
    let (host, hand) = virtual_host();
    let rate = 100_000_000;
    let thrifty = Stage::with_quotas(
        &host,
        "thrifty",
        Quotas {
            fuel_per_second: Some(rate),
            ..Quotas::default()
        },
    );
    let other = Stage::new(&host, "other");
    thrifty.hostile(&host, "spin", unlimited());
    run(&host, async move {
        let spinning = thrifty
            .tenant
            .dispatch(Dispatch::to_neuron("spin"))
            .unwrap();
        // Its deadline and its pause: on a clock that stands still it never goes on.
        hand.wait_for_pending(2).await;
        for _ in 0..20 {
            assert!(ask(&other, json!([{"burn": 100_000}])).await.is_output());
        }
        assert_eq!(hand.pending(), 2);
        thrifty
            .tenant
            .stop_trace(spinning.trace_id(), StopOptions::default())
            .await;
        hand.advance(Duration::from_secs(3_600));

        // Work for some seconds' worth of fuel takes that many seconds.
        let begun = thrifty.tenant.clock().monotonic();
        let task = puppet(json!([{"burn": 100_000_000}])).limits(unlimited());
        let mut pathway = thrifty.tenant.dispatch(task).unwrap();
        let answer = {
            let mut wait = pin!(pathway.wait(LONG));
            loop {
                tokio::select! {
                    biased;
                    answer = &mut wait => break answer.unwrap(),
                    // The wait, the deadline and the pause.
                    () = hand.wait_for_pending(3) => {
                        hand.advance(Duration::from_millis(100));
                    }
                }
            }
        };
        assert!(answer.is_output());
        let took = (thrifty.tenant.clock().monotonic() - begun).as_secs();
        // A second's worth is free, and the last slice is paid afterwards.
        let worth = answer.usage.fuel / rate;
        assert!(
            worth >= 4,
            "the task is too small to show anything: {worth}"
        );
        assert!(
            took + 2 >= worth && took <= worth + 1,
            "{took} s for {worth} s worth"
        );
    });
}

#[test]
fn what_a_stopped_spinner_burnt_is_its_tenants_debt() {
    let (host, hand) = virtual_host();
    let stage = Stage::with_quotas(
        &host,
        "acme",
        Quotas {
            fuel_per_second: Some(1_000_000),
            ..Quotas::default()
        },
    );
    stage.hostile(&host, "spin", unlimited());
    run(&host, async move {
        let spinning = stage.tenant.dispatch(Dispatch::to_neuron("spin")).unwrap();
        hand.wait_for_pending(2).await;
        stage
            .tenant
            .stop_trace(spinning.trace_id(), StopOptions::default())
            .await;
        assert_eq!(hand.pending(), 0);
        // The next task waits until the debt is paid.
        let mut next = start(&stage, json!([]));
        hand.wait_for_pending(2).await;
        assert!(next.wait(Duration::ZERO).await.is_err());
        hand.advance(Duration::from_secs(3_600));
        // Its own deadline is not what ended it.
        let answer = next.wait(LONG).await.unwrap();
        assert_eq!(error(&answer).code, "NEURON_DEADLINE");
        assert!(ask(&stage, json!([])).await.is_output());
    });
}

#[test]
fn live_memory_is_bounded_over_all_tasks_of_a_tenant_and_given_back() {
    let host = host();
    let stage = Stage::with_quotas(
        &host,
        "acme",
        Quotas {
            memory_bytes: 32 << 20,
            ..Quotas::default()
        },
    );
    let other = Stage::new(&host, "other");
    stage.hostile(&host, "grow_memory", unlimited());
    run(&host, async move {
        let held = || stage.tenant.tenant().memory_held();
        let mut greedy = start(&stage, json!([{"allocate": 20}, wait_at_gate()]));
        stage.gate.arrived(1).await;
        assert!(held() > 20 << 20);
        let second = ask(&stage, json!([{"allocate": 20}])).await;
        let got = said(&second)[0]["mib"].as_u64().unwrap();
        assert!(got < 12, "{got} MiB more than the tenant has");
        let task = Dispatch::to_neuron("grow_memory").input(json!({"then": "trap"}));
        let third = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
        assert_eq!(error(&third).code, "TENANT_OUT_OF_MEMORY");
        assert!(error(&third).recoverable, "others' tasks end");
        let unharmed = ask(&other, json!([{"allocate": 40}])).await;
        assert_eq!(said(&unharmed)[0]["mib"], 40);
        stage.gate.open();
        assert_eq!(said(&greedy.wait(LONG).await.unwrap())[0]["mib"], 20);
        until(|| held() == 0).await;
        let alone = ask(&stage, json!([{"allocate": 20}])).await;
        assert_eq!(said(&alone)[0]["mib"], 20);
    });
}

#[test]
fn a_full_store_refuses_the_write_in_words_and_takes_writes_again_after_a_delete() {
    let host = host();
    let stage = Stage::with_quotas(
        &host,
        "acme",
        Quotas {
            store_bytes: 4_000,
            ..Quotas::default()
        },
    );
    let other = Stage::new(&host, "other");
    stage.hostile(&host, "imprint_flood", Limits::default());
    run(&host, async move {
        let write = |id: &str| json!({"write": {"to": "memory", "op": "append", "key": id, "content": "x".repeat(500)}});
        let many: Vec<_> = (0..20).map(|n| write(&n.to_string())).collect();
        let said = said(&ask(&stage, Value::Array(many)).await);
        let refused = said
            .iter()
            .position(|said| said.get("error").is_some())
            .unwrap();
        let message = said[refused]["error"]["message"].as_str().unwrap();
        assert!(message.contains("of its 4000 store bytes and"), "{message}");
        assert!(
            message.ends_with("do not fit; delete entries or raise the quota"),
            "{message}"
        );
        assert_eq!(stage.memory.len(), refused);
        assert!(stage.tenant.tenant().store_held() <= 4_000);

        let flood = stage
            .tenant
            .dispatch_and_wait(Dispatch::to_neuron("imprint_flood"), LONG);
        let flood = flood.await.unwrap();
        assert_eq!(error(&flood).code, "ENGRAM_QUOTA");
        assert!(
            common::said(&ask(&other, json!([write("o")])).await)[0]
                .get("error")
                .is_none()
        );

        let delete = json!({"write": {"to": "memory", "op": "delete", "key": "0"}});
        assert!(ask(&stage, json!([delete])).await.is_output());
        let again = ask(&stage, json!([write("again")])).await;
        assert!(common::said(&again)[0].get("error").is_none(), "{again:?}");
        assert_eq!(other.memory.len(), 1);
    });
}

#[test]
fn a_rollback_gives_back_what_the_trace_held() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let before = stage.tenant.tenant().store_held();
        let mut steps: Vec<_> = (0..50).map(|n| append(&n.to_string())).collect();
        steps.push(json!({"fail": {"code": "F"}}));
        let failed = ask(&stage, Value::Array(steps)).await;
        assert!(stage.tenant.tenant().store_held() > before);
        stage
            .tenant
            .stop_trace(&failed.signal.trace_id, StopOptions::rollback())
            .await;
        assert_eq!(stage.tenant.tenant().store_held(), before);
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
    });
}

#[test]
fn engrams_neurons_traces_and_signals_of_one_tenant_are_out_of_anothers_reach() {
    let host = host();
    let (ours, theirs) = (Stage::new(&host, "ours"), Stage::new(&host, "theirs"));
    ours.tenant
        .register(ours.puppet("secret", common::plugin(&host, "puppet")));
    let mut tap = Tap::on(&theirs.tenant);
    run(&host, async move {
        // Engrams of the same name are different ones.
        assert!(ask(&ours, json!([append("ours")])).await.is_output());
        assert_eq!(ours.tenant.tenant().engram_ids().len(), 2);
        let found = ask(&theirs, json!([{"recall": {"from": "memory"}}])).await;
        assert_eq!(said(&found)[0]["hits"], json!([]));
        // Neurons.
        let refused = theirs.tenant.dispatch(Dispatch::to_neuron("secret"));
        assert!(matches!(
            refused.unwrap_err(),
            DispatchError::Unroutable { .. }
        ));
        let steps = json!([{"call": {"neuron": "secret", "input": {}}}]);
        let refused = ask(&theirs, steps).await;
        assert_eq!(said(&refused)[0]["error"]["code"], "UNROUTABLE");
        // Traces: neither from outside nor from inside the sandbox.
        let mut pathway = start(&ours, json!([append("more"), wait_at_gate()]));
        ours.gate.arrived(1).await;
        let trace = pathway.trace_id().clone();
        assert!(
            theirs
                .tenant
                .stop_trace(&trace, StopOptions::rollback())
                .await
                .is_empty()
        );
        assert!(!theirs.tenant.commit_trace(&trace).await);
        let named = json!({"named": trace.to_string()});
        let steps = json!([
            {"stop": {"trace": named, "rollback": true}},
            {"dispatch": {"neuron": "puppet", "trace": named, "input": {}}},
        ]);
        let denied = ask(&theirs, steps).await;
        let codes: Vec<_> = said(&denied)
            .iter()
            .map(|said| said["error"]["code"].clone())
            .collect();
        assert_eq!(codes, ["DENIED", "DENIED"]);
        ours.gate.open();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
        assert_eq!(contents(&ours.memory).await, [json!("ours"), json!("more")]);
        // Signals.
        assert!(tap.seen().iter().all(|signal| signal.trace_id != trace));
        assert!(!tap.seen().is_empty());
    });
}

#[test]
fn a_slow_listener_loses_signals_counts_them_and_keeps_nobody_waiting() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let options = soma::synapse::SubscribeOptions {
        queue_group: None,
        capacity: 10,
    };
    let mut slow = stage.tenant.observe(options).unwrap();
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let steps = json!([{"repeat": {"times": 500, "steps": [plan]}}, {"output": {"value": 1}}]);
        assert!(ask(&stage, steps).await.is_output());
        let mut read = 0;
        while let Some(delivery) = slow.try_recv() {
            read += u64::from(matches!(delivery, soma::synapse::Delivery::Signal(_)));
        }
        // TASK, 500 PLAN and AGENT_OUTPUT.
        assert_eq!((read, slow.lost()), (10, 492));
    });
}
