//! Flows from outside: real neurons on named routes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

#[path = "flows/checkpoints.rs"]
mod checkpoints;
#[path = "flows/command.rs"]
mod command;
#[path = "flows/deep.rs"]
mod deep;
#[path = "flows/derived.rs"]
mod derived;
#[path = "flows/documents.rs"]
mod documents;
#[path = "flows/groups.rs"]
mod groups;
#[path = "flows/interrupts.rs"]
mod interrupts;
#[path = "flows/journals.rs"]
mod journals;
#[path = "flows/limits.rs"]
mod limits;
#[path = "flows/native.rs"]
mod native;
#[path = "flows/pictures.rs"]
mod pictures;
#[path = "flows/questions.rs"]
mod questions;

use std::{fs, path::Path, sync::Arc, time::Duration};

use common::{Stage, Tap, append, contents, host, plugin, run, tenant, virtual_host, wait_at_gate};
use serde_json::{Value, json};
use soma::{
    Host,
    engram::VectorEngram,
    flow::{
        Cause, Contract, Dag, EventKind, Flow, Lifecycle, Nodes, OnFailure, Run, RunOptions,
        document::{FanOut, Single},
    },
    orchestration::{Access, Dispatch, DispatchError, Neuron, StopOptions, Target, TenantHandle},
    signal::{Object, Payload, SignalType},
};

/// The flow of one document whose nodes are neurons.
fn flow(dag: Dag) -> Flow {
    Flow::new(&[dag], &Nodes::new().or_any_neuron()).unwrap()
}

/// One or more placements of the puppet, each going `on` to the next; the last
/// one ends with `success`.
fn chain(placements: &[&str]) -> Flow {
    let mut dag = Dag::builder("chain", "1");
    for (place, name) in placements.iter().enumerate() {
        let placement = Single::new(*name, "puppet");
        dag = dag.place(match placements.get(place + 1) {
            Some(next) => placement.route("on", *next),
            None => placement.end("success"),
        });
    }
    flow(dag.build())
}

/// A fan-out each of whose routes ends the flow.
fn ending(fan: FanOut) -> FanOut {
    let routes = ["all-success", "partial", "all-error", "empty"];
    routes.into_iter().fold(fan, FanOut::end)
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("no object: {other}"),
    }
}

/// The state whose `do` tells the puppet these steps.
fn state(steps: Value) -> Object {
    object(json!({ "do": steps }))
}

/// The step that goes on to a puppet that does `steps`.
fn go_on(steps: Value) -> Value {
    json!({"output": {"value": {"do": steps}, "route": "on"}})
}

/// Placement, route and pass of each step.
fn steps(run: &Run) -> Vec<(&str, Option<&str>, u32)> {
    let steps = run.executed.iter();
    steps
        .map(|step| (&*step.placement, step.route.as_deref(), step.pass))
        .collect()
}

/// A tenant that has the shipped documents in its index, and the neurons that
/// draft and check answers.
fn library(host: &Host) -> TenantHandle {
    let tenant = tenant(host, "library");
    let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
    let ledger = Arc::clone(tenant.tenant()) as _;
    let index = tenant.add_engram(VectorEngram::new("index", 16, clock, ids, ledger));
    for name in ["ingester", "composer", "validator"] {
        let neuron = Neuron::new(name, plugin(host, name));
        tenant.register(neuron.bind("index", Arc::clone(&index), Access::ReadWrite));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let documents = ["stop-and-rollback", "sandbox", "tenants-and-quotas"].map(|id| {
        let text = fs::read_to_string(folder.join(id).with_extension("md")).unwrap();
        json!({"document": {"id": id, "text": text}})
    });
    let handle = tenant.clone();
    run(host, async move {
        for document in documents {
            let dispatch = Dispatch::to_neuron("ingester").input(document);
            let answer = handle.dispatch_and_wait(dispatch, common::LONG).await;
            assert!(answer.unwrap().is_output());
        }
    });
    tenant
}

/// The reference's document (dagonizer, section 3.1), as it is shipped.
fn compose_loop() -> Flow {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/flows/compose-retry-loop.json");
    let dag: Dag = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let nodes = Nodes::new()
        .neuron(
            "compose-response",
            Target::neuron("composer"),
            Contract::routes(["drafted"]),
        )
        .neuron(
            "validate-response",
            Target::neuron("validator"),
            Contract::routes(["approved", "retry", "exhausted"]),
        );
    Flow::new(&[dag], &nodes).unwrap()
}

fn compose(host: &Host, style: &str) -> Run {
    let tenant = library(host);
    let state = object(json!({
        "question": "What becomes of the writes of a trace when it is rolled back?",
        "style": style,
    }));
    run(host, async move {
        let run = compose_loop()
            .run(&tenant, state, RunOptions::default())
            .await;
        common::until(|| tenant.traces().is_empty()).await;
        run
    })
}

#[test]
fn a_careful_draft_is_approved_at_once() {
    let host = host();
    let run = compose(&host, "careful");
    assert_eq!(run.error, None);
    assert_eq!(
        steps(&run),
        [
            ("crl-compose-response", Some("drafted"), 1),
            ("crl-validate-response", Some("approved"), 1),
        ]
    );
    assert_eq!(run.state["approved"], json!(true));
    assert_eq!(run.state["attempts"]["compose"], json!(1));
}

#[test]
fn a_draft_that_is_mended_is_approved_on_a_later_attempt() {
    let host = host();
    let run = compose(&host, "improving");
    assert_eq!(run.error, None);
    assert_eq!(run.lifecycle(), Lifecycle::Completed);
    assert_eq!(
        steps(&run),
        [
            ("crl-compose-response", Some("drafted"), 1),
            ("crl-validate-response", Some("retry"), 1),
            ("crl-compose-response", Some("drafted"), 2),
            ("crl-validate-response", Some("retry"), 2),
            ("crl-compose-response", Some("drafted"), 3),
            ("crl-validate-response", Some("approved"), 3),
        ]
    );
    assert_eq!(run.state["approved"], json!(true));
    assert_eq!(run.state["attempts"]["compose"], json!(3));
    assert_eq!(run.state.get("best_effort"), None);
    let citations = run.state["draft"]["citations"].as_array().unwrap();
    let documents: Vec<_> = citations.iter().map(|cited| &cited["document"]).collect();
    assert!(
        documents.contains(&&json!("stop-and-rollback")),
        "{documents:?}"
    );
}

#[test]
fn drafts_that_never_pass_end_exhausted_with_the_last_one_as_best_effort() {
    let host = host();
    let run = compose(&host, "sloppy");
    assert_eq!(run.error, None);
    assert_eq!(run.lifecycle(), Lifecycle::Completed);
    assert_eq!(
        steps(&run).last(),
        Some(&("crl-validate-response", Some("exhausted"), 3))
    );
    assert_eq!(run.executed.len(), 6);
    assert_eq!(run.state["approved"], json!(false));
    assert_eq!(run.state["best_effort"], json!(true));
    assert_eq!(run.state["attempts"]["compose"], json!(3));
    assert!(!run.state["draft"]["text"].as_str().unwrap().is_empty());
    assert!(!run.state["critique"].as_array().unwrap().is_empty());
}

#[test]
fn a_route_that_is_not_wired_fails_the_run_with_its_cause() {
    let host = host();
    let stage = Stage::new(&host, "t");
    let only = Single::new("only", "puppet");
    let dag = Dag::builder("gaps", "1").place(only.end("approved").end("exhausted"));
    let flow = flow(dag.build());
    let sideways = json!([append("x"), {"output": {"value": {"done": 1}, "route": "sideways"}}]);
    run(&host, async move {
        let run = flow
            .run(&stage.tenant, state(sideways), RunOptions::default())
            .await;
        assert_eq!(run.lifecycle(), Lifecycle::Failed);
        assert_eq!(
            run.error.as_ref().unwrap().to_string(),
            "placement `only` took the route `sideways`, which is not wired; \
             wired: `approved`, `exhausted`"
        );
        assert_eq!(steps(&run), [("only", Some("sideways"), 1)]);
        assert_eq!(run.state["done"], json!(1), "its output counts");
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
    });
}

#[test]
fn a_neuron_that_names_no_route_takes_success() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let steps_of_it = json!([{"output": {"value": {}}}]);
        let run = chain(&["only"])
            .run(&stage.tenant, state(steps_of_it), RunOptions::default())
            .await;
        assert_eq!(run.error, None);
        assert_eq!(steps(&run), [("only", Some("success"), 1)]);
    });
}

#[test]
fn a_trapping_node_fails_the_run_and_its_writes_are_rolled_back() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let before = stage
            .tenant
            .dispatch_and_wait(common::puppet(json!([append("before")])), common::LONG);
        before.await.unwrap();
        let first = json!([append("one"), go_on(json!([append("two"), "trap"]))]);
        let run = chain(&["first", "second"])
            .run(&stage.tenant, state(first), RunOptions::default())
            .await;
        assert_eq!(run.lifecycle(), Lifecycle::Failed);
        let Some(Cause::Error {
            placement,
            code,
            recoverable,
            ..
        }) = &run.error
        else {
            panic!("{:?}", run.error);
        };
        assert_eq!(
            (&**placement, code.as_str(), *recoverable),
            ("second", "NEURON_TRAP", false)
        );
        assert_eq!(steps(&run), [("first", Some("on"), 1), ("second", None, 1)]);
        assert!(run.executed[1].usage.unwrap().fuel > 0);
        assert_eq!(run.stopped.len(), 1);
        assert!(run.stopped[0].rolled_back);
        assert_eq!(run.stopped[0].compensated, 2);
        assert_eq!(contents(&stage.memory).await, [json!("before")]);
        assert!(stage.tenant.traces().is_empty());
        let late = Dispatch::to_neuron("puppet").on_trace(run.trace.clone());
        assert_eq!(
            stage.tenant.dispatch(late).unwrap_err(),
            DispatchError::Stopped(run.trace)
        );
    });
}

#[test]
fn a_failed_run_keeps_its_writes_where_it_is_told_to() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let options = RunOptions {
            on_failure: OnFailure::Keep,
            ..RunOptions::default()
        };
        let script = json!([append("kept"), {"fail": {"code": "NO_MOOD"}}]);
        let run = chain(&["only"])
            .run(&stage.tenant, state(script), options)
            .await;
        let cause = run.error.unwrap();
        assert!(
            matches!(&cause, Cause::Error { code, .. } if code == "NO_MOOD"),
            "{cause}"
        );
        assert!(!run.stopped[0].rolled_back);
        assert_eq!(contents(&stage.memory).await, [json!("kept")]);
        assert!(stage.tenant.traces().is_empty());
    });
}

#[test]
fn a_completed_run_commits_the_writes_of_all_its_steps() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let second = json!([append("two"), {"output": {"value": {}}}]);
        let first = json!([append("one"), go_on(second)]);
        let run = chain(&["first", "second"])
            .run(&stage.tenant, state(first), RunOptions::default())
            .await;
        assert_eq!(run.error, None);
        assert!(run.stopped.is_empty());
        assert_eq!(stage.memory.journaled(&run.trace), 0);
        let undo = stage
            .tenant
            .stop_trace(&run.trace, StopOptions::rollback())
            .await;
        let undone: u64 = undo.iter().map(|ack| ack.compensated).sum();
        assert_eq!(undone, 0, "there is nothing left to undo");
        assert_eq!(contents(&stage.memory).await, [json!("one"), json!("two")]);
    });
}

#[test]
fn the_keys_of_an_output_replace_those_of_the_state() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let mut before = state(json!([{"output": {"value": {
            "nested": {"new": 1},
            "gone": null,
            "do": [{"output": {"value": {"last": true}}}],
        }, "route": "on"}}]));
        before.insert("nested".to_owned(), json!({"old": 1}));
        before.insert("gone".to_owned(), json!("there"));
        before.insert("kept".to_owned(), json!([1, 2]));
        let run = chain(&["first", "second"])
            .run(&stage.tenant, before, RunOptions::default())
            .await;
        assert_eq!(run.error, None);
        assert_eq!(
            run.state["nested"],
            json!({"new": 1}),
            "top-level keys only"
        );
        assert_eq!(run.state["gone"], Value::Null);
        assert_eq!(run.state["kept"], json!([1, 2]));
        assert_eq!(run.state["last"], json!(true));
    });
}

#[test]
fn every_step_is_a_task_on_the_runs_trace_that_follows_from_the_reply_before() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let mut tap = Tap::on(&stage.tenant);
        let first = json!([go_on(json!([{"output": {"value": {}}}]))]);
        let run = chain(&["first", "second"])
            .run(&stage.tenant, state(first), RunOptions::default())
            .await;
        let seen = tap.seen();
        assert!(seen.iter().all(|signal| signal.trace_id == run.trace));
        let types: Vec<_> = seen.iter().map(|signal| signal.signal_type()).collect();
        let (task, reply) = (SignalType::Task, SignalType::AgentOutput);
        assert_eq!(types, [task, reply, task, reply]);
        assert_eq!(seen[2].parent_id.as_ref(), Some(&seen[1].id));
        assert_eq!(seen[2].meta["flow"], json!("chain"));
        assert_eq!(seen[2].meta["placement"], json!("second"));
    });
}

#[test]
fn a_loop_without_an_end_meets_the_step_limit() {
    let host = host();
    let stage = Stage::new(&host, "t");
    let lap = Single::new("run", "puppet").route("again", "run");
    let dag = Dag::builder("treadmill", "1").place(lap.end("enough"));
    let flow = flow(dag.build());
    run(&host, async move {
        let options = RunOptions {
            max_steps: 5,
            ..RunOptions::default()
        };
        let script = json!([append("lap"), {"output": {"value": {}, "route": "again"}}]);
        let run = flow.run(&stage.tenant, state(script), options).await;
        assert_eq!(run.error, Some(Cause::StepLimit(5)));
        assert_eq!(run.lifecycle(), Lifecycle::Failed);
        assert_eq!(run.executed.len(), 5);
        assert_eq!(run.executed[4].pass, 5);
        assert_eq!(run.stopped[0].compensated, 5);
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
    });
}

#[test]
fn a_run_past_its_deadline_is_timed_out_its_node_stopped_and_its_writes_undone() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let options = RunOptions {
            deadline: Duration::from_secs(10),
            ..RunOptions::default()
        };
        let waiting = json!([append("two"), wait_at_gate(), {"output": {"value": {}}}]);
        let first = json!([append("one"), go_on(waiting)]);
        let flow = chain(&["first", "second"]);
        let work = flow.run(&stage.tenant, state(first), options);
        let late = async {
            stage.gate.arrived(1).await;
            hand.advance(Duration::from_secs(10));
        };
        let (run, ()) = tokio::join!(work, late);
        assert_eq!(
            run.error,
            Some(Cause::Deadline {
                placement: "second".into(),
                deadline: Duration::from_secs(10),
            })
        );
        assert_eq!(run.lifecycle(), Lifecycle::TimedOut);
        assert_eq!(run.stopped[0].cancelled, 1);
        assert_eq!(run.stopped[0].compensated, 2);
        assert_eq!(stage.gate.inside(), 0, "nobody waits any more");
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
    });
}

#[test]
fn a_run_whose_trace_is_stopped_is_cancelled() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let script = json!([append("x"), wait_at_gate()]);
        let execution = chain(&["only"]).start(&stage.tenant, state(script), RunOptions::default());
        let trace = execution.trace_id().clone();
        let stop = async {
            stage.gate.arrived(1).await;
            stage
                .tenant
                .stop_trace(&trace, StopOptions::rollback())
                .await
        };
        let (run, acks) = tokio::join!(execution.finish(), stop);
        assert_eq!(run.lifecycle(), Lifecycle::Cancelled);
        assert_eq!(
            run.error,
            Some(Cause::Stopped {
                trace: trace.clone(),
                placement: "only".into(),
            })
        );
        assert!(run.executed.is_empty(), "it has not come to an end");
        assert_eq!(acks[0].compensated, 1);
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
    });
}

#[test]
fn a_trace_that_is_stopped_between_two_steps_takes_no_further_step() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let first = json!([append("one"), go_on(json!([append("two")]))]);
        let mut execution =
            chain(&["first", "second"]).start(&stage.tenant, state(first), RunOptions::default());
        while let Some(event) = execution.next().await {
            if matches!(event.kind, EventKind::NodeEnded { .. }) {
                break;
            }
        }
        let trace = execution.trace_id().clone();
        stage
            .tenant
            .stop_trace(&trace, StopOptions::rollback())
            .await;
        let run = execution.finish().await;
        assert_eq!(run.lifecycle(), Lifecycle::Cancelled);
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
    });
}

#[test]
fn a_run_that_is_dropped_is_stopped_and_undone() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let mut tap = Tap::on(&stage.tenant);
        let script = json!([append("x"), wait_at_gate()]);
        let flow = chain(&["only"]);
        let work = flow.run(&stage.tenant, state(script), RunOptions::default());
        tokio::select! {
            biased;
            run = work => panic!("it ended: {run:?}"),
            () = stage.gate.arrived(1) => {}
        }
        let stopped = tap.next(SignalType::Stopped).await;
        let Payload::Stopped(ack) = &stopped.payload else {
            panic!("{stopped:?}");
        };
        assert_eq!((ack.cancelled, ack.compensated), (1, 1));
        assert_eq!(stage.gate.inside(), 0);
        assert_eq!(contents(&stage.memory).await, [] as [Value; 0]);
    });
}

#[test]
fn a_wait_for_an_event_that_is_dropped_loses_nothing() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let script = json!([append("x"), wait_at_gate(), {"output": {"value": {}}}]);
        let mut execution =
            chain(&["only"]).start(&stage.tenant, state(script), RunOptions::default());
        let read = async {
            while let Some(event) = execution.next().await {
                drop(event);
            }
        };
        tokio::select! {
            biased;
            () = read => panic!("it ended"),
            () = stage.gate.arrived(1) => {}
        }
        stage.gate.open();
        let run = execution.finish().await;
        assert_eq!(run.error, None);
        assert_eq!(steps(&run), [("only", Some("success"), 1)]);
        assert_eq!(contents(&stage.memory).await, [json!("x")]);
    });
}

#[test]
fn a_placement_for_which_there_is_no_neuron_fails_the_run() {
    let host = host();
    let stage = Stage::new(&host, "t");
    let only = Single::new("only", "capability:fly").end("success");
    let flow = flow(Dag::builder("lost", "1").place(only).build());
    run(&host, async move {
        let run = flow
            .run(&stage.tenant, Object::new(), RunOptions::default())
            .await;
        assert_eq!(run.lifecycle(), Lifecycle::Failed);
        assert_eq!(
            run.error.unwrap().to_string(),
            "placement `only` could not be started: no neuron of tenant `t` is a neuron with \
             the capabilities `fly`; registered: puppet"
        );
        assert!(stage.tenant.traces().is_empty());
    });
}
