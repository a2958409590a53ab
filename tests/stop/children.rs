//! What STOP reaches below a trace, and what it leaves alone.

use super::*;

/// A task that starts a task like itself, `depth` deep, each after a write; the
/// last waits at the gate.
fn nested(depth: usize) -> Value {
    let inner = if depth == 0 {
        wait_at_gate()
    } else {
        json!({"call": {"neuron": "puppet", "input": told(nested(depth - 1))}})
    };
    json!([append(&format!("level {depth}")), inner])
}

#[test]
fn stop_reaches_the_tasks_that_a_neuron_started_at_any_depth() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let pathway = stage.tenant.dispatch(puppet(nested(3))).unwrap();
        stage.gate.arrived(1).await;
        assert_eq!(stage.memory.len(), 4);
        let started: Vec<_> = tap.seen().iter().map(|s| s.trace_id.clone()).collect();
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        assert_eq!((acks[0].cancelled, acks[0].compensated), (4, 4));
        assert!(nothing_runs(&stage.tenant));
        assert!(stage.memory.is_empty());
        assert_eq!(started.len(), 4);
        for trace in started {
            let refused = stage
                .tenant
                .dispatch(puppet(json!([])).on_trace(trace.clone()));
            assert_eq!(refused.unwrap_err(), DispatchError::Stopped(trace.clone()));
            let types = tap.types_on(&trace);
            assert_eq!(
                types,
                [SignalType::Task, SignalType::Stop, SignalType::Stopped]
            );
        }
        assert!(stage.tenant.traces().is_empty());
    });
}

#[test]
fn a_rollback_undoes_what_finished_children_wrote() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let child = json!({"call": {"neuron": "puppet", "input": told(json!([append("child")]))}});
        let steps = json!([child, child, append("parent"), wait_at_gate()]);
        let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        assert_eq!(stage.memory.len(), 3);
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        assert_eq!((acks[0].cancelled, acks[0].compensated), (1, 3));
        assert!(stage.memory.is_empty());
    });
}

#[test]
fn stop_reaches_children_that_nobody_waits_for_and_a_flood_of_them() {
    let host = host();
    let quotas = Quotas {
        concurrent_tasks: 8,
        queued_tasks: 20,
        ..Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "acme", quotas);
    stage.hostile(&host, "fork_bomb", unlimited());
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let pathway = stage
            .tenant
            .dispatch(Dispatch::to_neuron("fork_bomb"))
            .unwrap();
        until(|| stage.tenant.traces().len() > 20).await;
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        assert!(acks[0].cancelled > 20, "{acks:?}");
        assert!(nothing_runs(&stage.tenant));
        assert!(stage.tenant.traces().is_empty());
        let signals = tap.types();
        let count = |kind| signals.iter().filter(|one| **one == kind).count();
        assert_eq!(count(SignalType::Stopped), count(SignalType::Stop));
        // Each of them was counted, and none has a reply.
        assert_eq!(acks[0].cancelled, count(SignalType::Task) as u64);
        assert!(!signals.iter().any(|kind| is_reply(*kind)));
        // Nothing starts again by itself.
        assert!(
            stage
                .tenant
                .dispatch_and_wait(puppet(json!([])), LONG)
                .await
                .is_ok()
        );
        assert!(stage.tenant.traces().is_empty());
    });
}

#[test]
fn a_neuron_stops_what_it_started_and_nothing_else() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let foreign = stage
            .tenant
            .dispatch(puppet(json!([wait_at_gate()])))
            .unwrap();
        let child = told(json!([append("child"), wait_at_gate()]));
        let steps = json!([
            {"dispatch": {"neuron": "puppet", "input": child}},
            {"recall": {"from": "gate", "deadline_ms": 0}},
            {"stop": {"trace": "myself"}},
            {"stop": {"trace": {"named": foreign.trace_id()
                .to_string()}, "rollback": true}},
            {"stop": {"trace": {"named": "not a trace"}}},
            {"recall": {"from": "gate", "tag": "parent"}},
            {"stop": {"trace": {"pathway": 0}, "rollback": true}},
            {"wait": {"pathway": 0, "timeout_ms": 1_000_000}},
            {"dispatch": {"neuron": "puppet", "trace": {"pathway": 0}, "input": {}}},
        ]);
        let mut parent = stage.tenant.dispatch(puppet(steps)).unwrap();
        // Foreign, child and the parent's two.
        stage.gate.arrived(4).await;
        assert_eq!(stage.gate.inside(), 3);
        stage.gate.open_for("parent");
        let answer = parent.wait(LONG).await.unwrap();
        let said = said(&answer);
        let code = |place: usize| said[place]["error"]["code"].as_str().unwrap_or("none");
        assert_eq!([2, 3, 4].map(code), ["DENIED", "DENIED", "INVALID_REQUEST"]);
        assert_eq!(said[6][0]["cancelled"], 1);
        assert_eq!(said[6][0]["compensated"], 1);
        assert_eq!(code(7), "CLOSED");
        assert_eq!(code(8), "DENIED");
        assert!(stage.memory.is_empty());
        assert_eq!(stage.gate.inside(), 1, "the foreign task goes on");
        drop(foreign);
    });
}

#[test]
fn stop_while_a_neuron_stops_its_child_ends_both() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([
            {"dispatch": {"neuron": "puppet", "input": told(json!([
                {"write": {"to": "gate", "op": "append", "content": 1}},
                {"emit": {"kind": "PLAN", "payload": {"steps": []}}},
                wait_at_gate()]))}},
            {"next": 0},
            {"stop": {"trace": {"pathway": 0}, "rollback": true}},
        ]);
        stage.gate.shut_rollbacks();
        let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        // The child's write, its wait, and the rollback that the parent waits for.
        until(|| stage.gate.arrivals() >= 2 && stage.gate.inside() >= 1).await;
        let stop = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback());
        let release = async {
            until(|| nothing_runs(&stage.tenant)).await;
            stage.gate.open_all();
        };
        let (acks, ()) = tokio::join!(stop, release);
        assert!(acks[0].cancelled >= 1);
        assert!(stage.gate.is_empty());
        assert!(stage.tenant.traces().is_empty());
    });
}

#[test]
fn one_tenants_stop_does_not_reach_anothers_trace() {
    let host = host();
    let (ours, theirs) = (Stage::new(&host, "ours"), Stage::new(&host, "theirs"));
    run(&host, async move {
        let mut pathway = theirs
            .tenant
            .dispatch(puppet(json!([append("a"), wait_at_gate()])))
            .unwrap();
        theirs.gate.arrived(1).await;
        let acks = ours
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        assert!(acks.is_empty());
        theirs.gate.open();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
        assert_eq!(contents(&theirs.memory).await, [json!("a")]);
    });
}
