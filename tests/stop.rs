//! STOP is a fact: what holds when `stop_trace` has returned.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

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

/// A write as a backend with a queue has it in hand: accepted, not yet done.
struct InHand {
    imprint: Imprint,
    scope: WriteScope,
}

/// A backend that takes writes and does them later, when the test says so.
#[derive(Clone)]
struct Deferring(Arc<(MemoryEngram, Mutex<Vec<InHand>>)>);

impl Deferring {
    fn in_hand(&self) -> usize {
        self.0.1.lock().len()
    }

    /// Does all writes now, for callers that may be gone.
    async fn flush(&self) -> Vec<Result<Receipt, EngramError>> {
        let writes = std::mem::take(&mut *self.0.1.lock());
        let mut done = Vec::new();
        for InHand { imprint, scope } in writes {
            done.push(self.0.0.imprint(imprint, Some(&scope)).await);
        }
        done
    }
}

impl Engram for Deferring {
    fn id(&self) -> &Arc<str> {
        self.0.0.id()
    }

    fn kind(&self) -> &str {
        self.0.0.kind()
    }

    fn capabilities(&self) -> &[&str] {
        &[]
    }

    fn recall<'a>(&'a self, query: &'a Query) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        self.0.0.recall(query)
    }

    fn imprint<'a>(
        &'a self,
        imprint: Imprint,
        scope: Option<&'a WriteScope>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        let scope = scope.unwrap().clone();
        self.0.1.lock().push(InHand { imprint, scope });
        Box::pin(std::future::pending())
    }

    fn commit<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, ()> {
        self.0.0.commit(trace)
    }

    fn rollback<'a>(&'a self, trace: &'a TraceId) -> BoxFuture<'a, Rollback> {
        self.0.0.rollback(trace)
    }

    fn journaled(&self, trace: &TraceId) -> usize {
        self.0.0.journaled(trace)
    }

    fn len(&self) -> usize {
        self.0.0.len()
    }
}

#[test]
fn a_write_that_a_backend_still_has_in_hand_is_refused_after_stop() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let backend = Deferring(Arc::new((
        bare_memory(&stage.tenant, "slow"),
        Mutex::default(),
    )));
    let writer = Neuron::new("writer", common::plugin(&host, "puppet")).bind(
        "memory",
        Arc::new(backend.clone()),
        Access::ReadWrite,
    );
    stage.tenant.register(writer);
    run(&host, async move {
        for options in [StopOptions::default(), StopOptions::rollback()] {
            let task = Dispatch::to_neuron("writer").input(told(json!([append("late")])));
            let pathway = stage.tenant.dispatch(task).unwrap();
            until(|| backend.in_hand() == 1).await;
            let acks = stage.tenant.stop_trace(pathway.trace_id(), options).await;
            assert_eq!((acks[0].cancelled, acks[0].compensated), (1, 0));
            assert_eq!(backend.flush().await, [Err(EngramError::Cancelled)]);
            assert!(backend.is_empty());
            assert_eq!(
                backend.journaled(pathway.trace_id()),
                0,
                "an orphan journal"
            );
        }
    });
}

/// An operator's write.
async fn seed(engram: &Arc<dyn Engram>, key: &str, content: Value) {
    let imprint = Imprint {
        op: Op::Add,
        entry: Draft {
            content,
            tags: vec!["seed".to_owned()],
            ..Draft::default()
        },
        merge_key: Some(key.to_owned()),
        idempotency_key: None,
    };
    engram.imprint(imprint, None).await.unwrap();
}

fn write(op: &str, key: &str, content: Value) -> Value {
    json!({"write": {"to": "memory", "op": op, "key": key, "content": content, "tags": ["new"]}})
}

#[test]
fn rollback_restores_entries_versions_order_and_merge_keys() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for key in ["a", "b", "c", "d"] {
            seed(&stage.memory, key, json!({"key": key, "list": [1]})).await;
        }
        hand.advance(LONG);
        let gate: Arc<dyn Engram> = Arc::new(stage.gate.clone());
        stage.gate.open();
        let before = (entries(&stage.memory).await, entries(&gate).await);
        let steps = json!([
            write("upsert", "a", json!("replaced")),
            write("upsert", "a", json!("replaced again")),
            write("merge", "b", json!({"list": [2], "more": true})),
            write("delete", "c", json!(null)),
            write("add", "c", json!("another c")),
            write("append", "d", json!("a second d")),
            write("upsert", "e", json!("new")),
            write("delete", "e", json!(null)),
            {"write": {"to": "memory", "op": "add", "id": "mine", "content": 1}},
            {"write": {"to": "gate", "op": "append", "content": "elsewhere"}},
        ]);
        let writes = steps.as_array().unwrap().len() as u64;
        let mut all = steps.as_array().unwrap().clone();
        all.push(json!({"fail": {"code": "HALFWAY"}}));
        let failed = stage
            .tenant
            .dispatch_and_wait(puppet(Value::Array(all)), LONG)
            .await
            .unwrap();
        assert_eq!(error(&failed).code, "HALFWAY");
        assert_ne!(entries(&stage.memory).await, before.0);
        let trace = &failed.signal.trace_id;
        let acks = stage
            .tenant
            .stop_trace(trace, StopOptions::rollback())
            .await;
        let expected = Stopped {
            rolled_back: true,
            cancelled: 0,
            compensated: writes,
            node: "acme".into(),
            kept: Vec::new(),
        };
        assert_eq!(acks[..], [expected]);
        assert_eq!(entries(&stage.memory).await, before.0);
        assert_eq!(entries(&gate).await, before.1);
        let by_key = Query {
            merge_key: Some("c".to_owned()),
            ..Query::default()
        };
        let found = stage.memory.recall(&by_key).await.unwrap();
        assert_eq!(found.hits.len(), 1);
        assert_eq!(found.hits[0].entry.version, 1);
    });
}

#[test]
fn a_rollback_of_a_writer_in_full_flight_leaves_nothing_of_it() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    stage.hostile(&host, "late_writer", unlimited());
    run(&host, async move {
        seed(&stage.memory, "k", json!("kept")).await;
        let before = entries(&stage.memory).await;
        for _ in 0..5 {
            let pathway = stage
                .tenant
                .dispatch(Dispatch::to_neuron("late_writer"))
                .unwrap();
            until(|| stage.memory.len() > 50).await;
            let acks = stage
                .tenant
                .stop_trace(pathway.trace_id(), StopOptions::rollback())
                .await;
            assert!(acks[0].compensated >= 50 && acks[0].rolled_back);
            assert_eq!(entries(&stage.memory).await, before);
        }
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
    });
}

#[test]
fn a_later_write_by_another_trace_is_kept_and_named_with_the_reason() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        for key in ["shared", "own"] {
            seed(&stage.memory, key, json!("original")).await;
        }
        let ids: Vec<_> = entries(&stage.memory)
            .await
            .iter()
            .map(|e| e.id.clone())
            .collect();
        let steps = json!([
            write("upsert", "shared", json!("first")),
            write("upsert", "own", json!("first")),
            append("added"),
            wait_at_gate(),
        ]);
        let first = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        let steps = json!([write("upsert", "shared", json!("second"))]);
        let second = stage
            .tenant
            .dispatch_and_wait(puppet(steps), LONG)
            .await
            .unwrap();
        let acks = stage
            .tenant
            .stop_trace(first.trace_id(), StopOptions::rollback())
            .await;
        let ack = &acks[0];
        assert!(!ack.rolled_back);
        assert_eq!(ack.compensated, 2);
        assert_eq!(ack.kept.len(), 1);
        assert_eq!(ack.kept[0].entry, ids[0]);
        assert_eq!(ack.kept[0].merge_key.as_deref(), Some("shared"));
        let reason = format!(
            "entry '{}' of engram 'memory' was overwritten by trace '{}'",
            ids[0], second.signal.trace_id
        );
        assert_eq!(ack.kept[0].to_string(), reason);
        assert_eq!(
            contents(&stage.memory).await,
            [json!("second"), json!("original")]
        );
        let stopped = tap.next(SignalType::Stopped).await;
        let Payload::Stopped(told) = &stopped.payload else {
            panic!("{stopped:?}")
        };
        assert!(!told.rolled_back);
        assert_eq!(told.extra["kept"], json!([reason]));
    });
}

#[test]
fn a_write_below_another_open_traces_write_is_gone_once_both_are_rolled_back() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        seed(&stage.memory, "shared", json!("original")).await;
        let before = entries(&stage.memory).await;
        let mut traces = Vec::new();
        for (turn, content) in ["first", "second"].into_iter().enumerate() {
            let steps = json!([write("upsert", "shared", json!(content)), wait_at_gate()]);
            let pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
            stage.gate.arrived(turn + 1).await;
            traces.push(pathway.trace_id().clone());
        }
        let first = stage
            .tenant
            .stop_trace(&traces[0], StopOptions::rollback())
            .await;
        assert_eq!((first[0].compensated, first[0].kept.len()), (0, 1));
        assert_eq!(contents(&stage.memory).await, [json!("second")]);
        let second = stage
            .tenant
            .stop_trace(&traces[1], StopOptions::rollback())
            .await;
        assert_eq!((second[0].compensated, second[0].kept.len()), (1, 0));
        assert_eq!(entries(&stage.memory).await, before);
    });
}

#[test]
fn stop_without_rollback_keeps_and_commits_what_was_written() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let pathway = stage
            .tenant
            .dispatch(puppet(json!([append("a"), wait_at_gate()])))
            .unwrap();
        stage.gate.arrived(1).await;
        assert!(stage.tenant.tenant().journal_held() > 0);
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::default())
            .await;
        assert_eq!((acks[0].compensated, acks[0].rolled_back), (0, false));
        assert_eq!(contents(&stage.memory).await, [json!("a")]);
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
        assert!(stage.tenant.traces().is_empty());
    });
}

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
