//! STOP is a fact: what holds when `stop_trace` has returned.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "stop/children.rs"]
mod children;
mod common;
#[path = "stop/rollback.rs"]
mod rollback;

use std::sync::Arc;

use common::{
    LONG, Stage, Tap, append, bare_memory, contents, entries, error, host, puppet, run, said, told,
    until, virtual_host, wait_at_gate,
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use soma::{
    Host,
    engram::{
        BoxFuture, Draft, Engram, EngramError, Imprint, MemoryEngram, Op, Query, Recalled, Receipt,
        Rollback, WriteScope,
    },
    neuron::Limits,
    orchestration::{
        Access, Dispatch, DispatchError, Neuron, Pathway, StopOptions, Stopped, TenantHandle,
        WaitError,
    },
    signal::{Payload, SignalType, TraceId},
    tenant::Quotas,
};

/// No bound but STOP ends a task under these.
fn unlimited() -> Limits {
    Limits {
        fuel: u64::MAX,
        wall: LONG,
        host_calls: u64::MAX,
        ..Limits::default()
    }
}

fn is_reply(kind: SignalType) -> bool {
    use SignalType::{AgentOutput, Clarification, Error, Final, Permission};
    [AgentOutput, Final, Error, Clarification, Permission].contains(&kind)
}

/// No instance of the tenant lives: its memory is given back with its store.
fn nothing_runs(tenant: &TenantHandle) -> bool {
    tenant.tenant().memory_held() == 0
}

/// Stops the task and checks all four promises, now and after others have run.
async fn is_stopped_for_good(host: &Host, stage: Stage, mut tap: Tap, mut pathway: Pathway) {
    let trace = pathway.trace_id().clone();
    let acks = stage
        .tenant
        .stop_trace(&trace, StopOptions::default())
        .await;
    assert!(nothing_runs(&stage.tenant), "an instance is still there");
    let written = stage.memory.len();
    let [ack] = &acks[..] else {
        panic!("not one ack: {acks:?}")
    };
    assert_eq!((ack.cancelled, ack.rolled_back), (1, false));
    let waited = pathway.wait(LONG).await.unwrap_err();
    assert_eq!(waited, WaitError::Closed(trace.clone()));

    let refused = stage
        .tenant
        .dispatch(puppet(json!([])).on_trace(trace.clone()));
    assert_eq!(refused.unwrap_err(), DispatchError::Stopped(trace.clone()));

    // The same host serves others meanwhile, and nothing more comes.
    for _ in 0..20 {
        let answer = stage
            .tenant
            .dispatch_and_wait(puppet(json!([])), LONG)
            .await;
        assert!(answer.unwrap().is_output());
    }
    assert_eq!(stage.memory.len(), written, "a write landed after STOP");
    assert_eq!(host.sandbox().live(), 0);
    let types = tap.types_on(&trace);
    assert!(
        !types.iter().any(|kind| is_reply(*kind)),
        "a reply came too"
    );
    let stop = types.iter().position(|kind| *kind == SignalType::Stop);
    let after = &types[stop.unwrap()..];
    assert_eq!(after, [SignalType::Stop, SignalType::Stopped]);
}

/// A hostile neuron that is at it once `ready` says so.
fn hostile_is_stopped(
    name: &str,
    input: Value,
    ready: impl Fn(&Stage, &mut Tap) -> bool + Send + 'static,
) {
    let host = Arc::new(host());
    let stage = Stage::new(&host, "acme");
    stage.hostile(&host, name, unlimited());
    stage.gate.open();
    let mut tap = Tap::on(&stage.tenant);
    let task = Dispatch::to_neuron(name).input(input);
    let shared = Arc::clone(&host);
    run(&host, async move {
        let pathway = stage.tenant.dispatch(task).unwrap();
        while !ready(&stage, &mut tap) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        is_stopped_for_good(&shared, stage, tap, pathway).await;
    });
}

fn lives(stage: &Stage, _: &mut Tap) -> bool {
    !nothing_runs(&stage.tenant)
}

#[test]
fn a_guest_that_spins_is_stopped_for_good() {
    hostile_is_stopped("spin", json!({}), lives);
}

#[test]
fn a_guest_that_sleeps_is_stopped_for_good() {
    hostile_is_stopped("sleep_forever", json!({}), lives);
}

#[test]
fn a_guest_that_has_taken_all_its_memory_is_stopped_for_good() {
    hostile_is_stopped("grow_memory", json!({"then": "spin"}), |stage, _| {
        stage.tenant.tenant().memory_held() > 48 << 20
    });
}

#[test]
fn a_guest_that_allocates_and_frees_is_stopped_for_good() {
    let host = Arc::new(host());
    let stage = Stage::new(&host, "acme");
    let generator = Neuron::new("generator", common::plugin(&host, "generator"))
        .bind("calls", Arc::clone(&stage.memory), Access::ReadWrite)
        .limits(unlimited());
    stage.tenant.register(generator);
    let tap = Tap::on(&stage.tenant);
    let shared = Arc::clone(&host);
    run(&host, async move {
        let input = json!({"question": "?", "stall_first": 1, "stall": "allocate"});
        let task = Dispatch::to_neuron("generator").input(input);
        let pathway = stage.tenant.dispatch(task).unwrap();
        until(|| stage.tenant.tenant().memory_held() > 8 << 20).await;
        is_stopped_for_good(&shared, stage, tap, pathway).await;
    });
}

#[test]
fn a_guest_that_floods_the_bus_is_stopped_for_good() {
    hostile_is_stopped("emit_flood", json!({}), |_, tap| tap.seen().len() > 100);
}

#[test]
fn a_guest_that_floods_the_log_is_stopped_for_good() {
    hostile_is_stopped("host_call_flood", json!({}), lives);
}

#[test]
fn a_guest_that_writes_in_a_loop_is_stopped_for_good() {
    hostile_is_stopped("late_writer", json!({}), |stage, _| {
        stage.memory.len() > 100
    });
}

#[test]
fn a_guest_that_ignores_every_error_is_stopped_for_good() {
    hostile_is_stopped("swallow_errors", json!({}), lives);
}

#[test]
fn a_guest_that_waits_in_a_host_call_is_stopped_for_good_and_its_call_is_cut() {
    let host = Arc::new(host());
    let stage = Stage::new(&host, "acme");
    let tap = Tap::on(&stage.tenant);
    let shared = Arc::clone(&host);
    run(&host, async move {
        let steps = json!([append("before"), wait_at_gate(), append("after")]);
        let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        let gate = stage.gate.clone();
        let memory = Arc::clone(&stage.memory);
        is_stopped_for_good(&shared, stage, tap, pathway).await;
        assert_eq!(gate.inside(), 0, "the host call still waits");
        gate.open();
        assert_eq!(contents(&memory).await, [json!("before")]);
    });
}

#[test]
fn a_guest_that_sleeps_on_a_clock_that_stands_still_is_stopped() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let pathway = stage
            .tenant
            .dispatch(puppet(json!([{"sleep": u64::MAX}])))
            .unwrap();
        hand.wait_for_pending(2).await;
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::default())
            .await;
        assert_eq!(acks[0].cancelled, 1);
        assert_eq!(hand.pending(), 0, "a timer of the task is left");
    });
}

#[test]
fn times_beyond_all_clocks_are_waited_for_and_stopped_like_any_other() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let child = told(json!([wait_at_gate()]));
        let cases = [
            json!([append("now"), {"sleep": u64::MAX}]),
            json!([append("now"), {"recall": {"from": "gate", "deadline_ms": u64::MAX}}]),
            json!([append("now"), {"call": {
                "neuron": "puppet", "input": child, "timeout_ms": u64::MAX}}]),
            json!([append("now"), {"retry": {"neuron": "puppet", "input": child,
                "max_attempts": 1_000, "timeout_ms": u64::MAX}}]),
        ];
        for (turn, steps) in cases.into_iter().enumerate() {
            let task = puppet(steps).limits(Limits {
                wall: std::time::Duration::MAX,
                ..unlimited()
            });
            let pathway = stage.tenant.dispatch(task).unwrap();
            until(|| stage.memory.len() == turn + 1).await;
            let acks = stage
                .tenant
                .stop_trace(pathway.trace_id(), StopOptions::default())
                .await;
            assert!(acks[0].cancelled >= 1);
            assert!(nothing_runs(&stage.tenant));
        }
    });
}

#[test]
fn a_guest_that_pauses_because_its_tenant_is_out_of_fuel_is_stopped() {
    let (host, hand) = virtual_host();
    let quotas = Quotas {
        fuel_per_second: Some(1_000_000),
        ..Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "acme", quotas);
    run(&host, async move {
        let steps = json!([append("spinning"), "spin"]);
        let task = puppet(steps).limits(unlimited());
        let pathway = stage.tenant.dispatch(task).unwrap();
        // Its deadline and its pause.
        hand.wait_for_pending(2).await;
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        assert_eq!((acks[0].cancelled, acks[0].compensated), (1, 1));
        assert!(nothing_runs(&stage.tenant));
    });
}

#[test]
fn spinning_guests_on_every_worker_do_not_keep_a_stop_waiting() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    stage.hostile(&host, "spin", unlimited());
    run(&host, async move {
        let spinning: Vec<_> = (0..8)
            .map(|_| stage.tenant.dispatch(Dispatch::to_neuron("spin")).unwrap())
            .collect();
        until(|| stage.tenant.tenant().memory_held() > 0).await;
        for pathway in &spinning {
            let acks = stage
                .tenant
                .stop_trace(pathway.trace_id(), StopOptions::default())
                .await;
            assert_eq!(acks[0].cancelled, 1);
        }
        assert!(nothing_runs(&stage.tenant));
    });
}

#[test]
fn a_task_that_waits_in_the_queue_is_stopped_and_never_runs() {
    let host = host();
    let quotas = Quotas {
        concurrent_tasks: 1,
        ..Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "acme", quotas);
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let mut first = stage
            .tenant
            .dispatch(puppet(json!([wait_at_gate()])))
            .unwrap();
        stage.gate.arrived(1).await;
        let queued = stage
            .tenant
            .dispatch(puppet(json!([append("ran")])))
            .unwrap();
        let acks = stage
            .tenant
            .stop_trace(queued.trace_id(), StopOptions::default())
            .await;
        assert_eq!(acks[0].cancelled, 1);
        stage.gate.open();
        assert!(first.wait(LONG).await.unwrap().is_output());
        // The queue moves on past the place that was given up.
        assert!(
            stage
                .tenant
                .dispatch_and_wait(puppet(json!([])), LONG)
                .await
                .is_ok()
        );
        assert!(stage.memory.is_empty());
        use SignalType::{Stop, Stopped, Task};
        assert_eq!(tap.types_on(queued.trace_id()), [Task, Stop, Stopped]);
    });
}

#[test]
fn stop_ends_every_task_of_the_trace_also_after_one_of_them_failed() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let on_it = |steps| puppet(steps).on_trace(trace.id().clone());
        let waiting = || {
            stage
                .tenant
                .dispatch(on_it(json!([wait_at_gate()])))
                .unwrap()
        };
        let _waiting = [waiting(), waiting(), waiting()];
        stage.gate.arrived(3).await;
        let failed = stage
            .tenant
            .dispatch_and_wait(on_it(json!([{"fail": {"code": "F"}}])), LONG);
        assert!(failed.await.unwrap().is_error());
        let id = trace.id().clone();
        let acks = trace.stop(StopOptions::default()).await;
        assert_eq!(acks[0].cancelled, 3);
        assert_eq!(stage.gate.inside(), 0);
        let replies = tap.types_on(&id).into_iter().filter(|kind| is_reply(*kind));
        assert_eq!(replies.count(), 1);
    });
}

#[test]
fn a_task_has_one_reply_or_is_counted_as_cancelled_never_both_and_never_neither() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let mut outcomes = [0_u64; 2];
        for round in 0..400 {
            let trace = stage.tenant.open_trace();
            let task = puppet(json!([])).on_trace(trace.id().clone());
            let mut pathway = stage.tenant.dispatch(task).unwrap();
            for _ in 0..round % 40 {
                tokio::task::yield_now().await;
            }
            let id = trace.id().clone();
            let acks = trace.stop(StopOptions::default()).await;
            let types = tap.types_on(&id);
            let replies = types.iter().filter(|kind| is_reply(**kind)).count() as u64;
            assert_eq!(replies + acks[0].cancelled, 1, "round {round}: {types:?}");
            assert_eq!(types.last(), Some(&SignalType::Stopped));
            if acks[0].cancelled == 1 {
                assert_eq!(pathway.wait(LONG).await.unwrap_err(), WaitError::Closed(id));
            }
            outcomes[usize::from(replies == 1)] += 1;
        }
        assert!(
            outcomes[0] > 0,
            "no task was stopped: the test tests nothing"
        );
    });
}

#[test]
fn a_stopped_trace_refuses_later_tasks_also_while_it_is_being_stopped() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let to_gate = json!([{"write": {"to": "gate", "op": "append", "content": 1}}]);
        let trace = stage.tenant.open_trace();
        let id = trace.id().clone();
        let task = puppet(to_gate).on_trace(id.clone());
        drop(stage.tenant.dispatch_and_wait(task, LONG).await.unwrap());
        let calls = stage.gate.arrivals();
        stage.gate.shut_rollbacks();
        let late = async {
            stage.gate.arrived(calls + 1).await;
            let refused = stage
                .tenant
                .dispatch(puppet(json!([])).on_trace(id.clone()));
            assert_eq!(
                refused.unwrap_err().to_string(),
                format!("trace {id} was stopped; dispatch on a fresh trace")
            );
            stage.gate.open_all();
        };
        let (acks, ()) = tokio::join!(trace.stop(StopOptions::rollback()), late);
        assert_eq!(acks[0].compensated, 1);
        let refused = stage
            .tenant
            .dispatch(puppet(json!([])).on_trace(id.clone()));
        assert_eq!(refused.unwrap_err(), DispatchError::Stopped(id));
    });
}

#[test]
fn stop_of_an_unknown_trace_has_no_ack_yet_its_later_task_is_refused() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let unknown = stage.tenant.ids().trace();
        let foreign: TraceId = "trc_a peer's own!".parse().unwrap();
        for trace in [unknown, foreign] {
            let acks = stage
                .tenant
                .stop_trace(&trace, StopOptions::rollback())
                .await;
            assert!(acks.is_empty());
            let refused = stage
                .tenant
                .dispatch(puppet(json!([])).on_trace(trace.clone()));
            assert_eq!(refused.unwrap_err(), DispatchError::Stopped(trace));
        }
        assert!(tap.seen().is_empty());
        assert!(stage.tenant.traces().is_empty());
    });
}

#[test]
fn stop_twice_is_harmless() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let pathway = stage
            .tenant
            .dispatch(puppet(json!([append("a"), wait_at_gate()])))
            .unwrap();
        stage.gate.arrived(1).await;
        let trace = pathway.trace_id();
        let first = stage.tenant.stop_trace(trace, StopOptions::default()).await;
        assert_eq!(first.len(), 1);
        let signals = tap.seen().len();
        // The first STOP has settled the trace: a rollback finds nothing to undo.
        for options in [StopOptions::rollback(), StopOptions::default()] {
            let again = stage.tenant.stop_trace(trace, options).await;
            assert!(again.is_empty());
        }
        assert_eq!(contents(&stage.memory).await, [json!("a")]);
        assert_eq!(tap.seen().len(), signals);
    });
}

#[test]
fn two_stops_at_the_same_time_give_the_same_report() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let steps =
            json!([{"write": {"to": "gate", "op": "append", "content": 1}}, wait_at_gate()]);
        let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(2).await;
        stage.gate.shut_rollbacks();
        let trace = pathway.trace_id();
        let stop = || stage.tenant.stop_trace(trace, StopOptions::rollback());
        let release = async {
            stage.gate.arrived(3).await;
            stage.gate.open_all();
        };
        let (first, second, ()) = tokio::join!(stop(), stop(), release);
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!((first[0].cancelled, first[0].compensated), (1, 1));
        let types = tap.types_on(trace);
        assert_eq!(
            types,
            [SignalType::Task, SignalType::Stop, SignalType::Stopped]
        );
    });
}

#[test]
fn a_stop_whose_caller_went_away_finishes_all_the_same() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let steps =
            json!([{"write": {"to": "gate", "op": "append", "content": 1}}, wait_at_gate()]);
        let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(2).await;
        stage.gate.shut_rollbacks();
        let stop = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback());
        assert!(stop.now_or_never().is_none(), "it did not even wait");
        stage.gate.arrived(3).await;
        assert_eq!(stage.gate.len(), 1);
        stage.gate.open_all();
        let ack = tap.next(SignalType::Stopped).await;
        assert!(matches!(&ack.payload, Payload::Stopped(ack) if ack.rolled_back));
        assert!(stage.gate.is_empty());
    });
}

#[test]
fn stop_and_its_ack_travel_as_the_wire_has_them() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let steps = json!([append("a"), append("b"), wait_at_gate()]);
        let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        let options = StopOptions {
            rollback: true,
            reason: Some("operator".into()),
        };
        stage.tenant.stop_trace(pathway.trace_id(), options).await;
        let [_, stop, stopped] = tap.seen() else {
            panic!("not three signals")
        };
        assert_eq!(stop.parent_id, None);
        assert_eq!(stop.directed, None);
        assert_eq!(
            Value::Object(stop.payload.to_object()),
            json!({"rollback": true, "reason": "operator"})
        );
        assert_eq!(stopped.parent_id.as_ref(), Some(&stop.id));
        assert_eq!(&stopped.trace_id, pathway.trace_id());
        assert_eq!(
            Value::Object(stopped.payload.to_object()),
            json!({"rolled_back": true, "cancelled": 1, "compensated": 2, "node": "acme"})
        );
    });
}

#[test]
fn a_host_that_is_dropped_ends_its_guests() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    stage.hostile(&host, "spin", unlimited());
    let Stage { tenant, memory, .. } = stage;
    let dispatching = tenant.clone();
    let pathway = run(&host, async move {
        let pathway = dispatching.dispatch(Dispatch::to_neuron("spin")).unwrap();
        until(|| !nothing_runs(&dispatching)).await;
        pathway
    });
    drop(host);
    while !nothing_runs(&tenant) {
        std::thread::yield_now();
    }
    drop((pathway, memory));
}
