//! Native nodes: what they see, what they may do, and time.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use soma::{
    engram::BoxFuture,
    flow::{Call, Event, Failure, NativeNode, Note, Output},
};
use soma_retry::{RetryPolicy, Strategy};

use super::*;

/// Runs a flow of one document over native nodes, on a host of its own.
pub(super) fn run_native(dag: Dag, nodes: Nodes, state: Value, options: RunOptions) -> Run {
    let flow = Flow::new(&[dag], &nodes).unwrap();
    run_flow(flow, state, options)
}

pub(super) fn run_flow(flow: Flow, state: Value, options: RunOptions) -> Run {
    let (host, hand) = virtual_host();
    hand.skip_waits();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        flow.run(&tenant, object(state), options).await
    })
}

/// A node that always does the same.
pub(super) fn always(
    output: Output,
) -> impl Fn(Call<'_>) -> Result<Output, Failure> + Send + Sync + 'static {
    move |_| Ok(output.clone())
}

/// A node that always fails.
pub(super) fn down(
    code: &'static str,
) -> impl Fn(Call<'_>) -> Result<Output, Failure> + Send + Sync + 'static {
    move |_| Err(Failure::recoverable(code, "out of order"))
}

fn one(single: Single) -> Dag {
    Dag::builder("one", "1").place(single).build()
}

#[test]
fn a_native_node_sees_the_state_and_what_it_answers_is_merged() {
    let nodes = Nodes::new().function("double", Contract::routes(["done"]), |call| {
        let n = call.state["n"].as_u64().unwrap();
        Ok(Output::on("done").set("n", n * 2).set("by", call.placement))
    });
    let dag = one(Single::new("here", "double").end("done"));
    let run = run_native(dag, nodes, json!({"n": 21}), RunOptions::default());
    assert_eq!(run.error, None);
    assert_eq!(Value::Object(run.state), json!({"n": 42, "by": "here"}));
}

#[test]
fn a_failed_node_takes_error_where_that_is_wired_with_its_cause_noted() {
    let nodes = Nodes::new()
        .function("down", Contract::routes(["success"]), down("BROKEN"))
        .function("mend", Contract::open(), always(Output::default()));
    let dag = Dag::builder("mended", "1")
        .place(
            Single::new("first", "down")
                .end("success")
                .route("error", "second"),
        )
        .place(Single::new("second", "mend").end("success"))
        .build();
    let run = run_native(dag, nodes, json!({}), RunOptions::default());
    assert_eq!(run.lifecycle(), Lifecycle::Completed);
    assert_eq!(
        steps(&run),
        [("first", None, 1), ("second", Some("success"), 1)]
    );
    let [note] = run.notes.errors.as_slice() else {
        panic!("{:?}", run.notes);
    };
    assert_eq!(
        (note.placement.as_str(), note.code.as_str()),
        ("first", "BROKEN")
    );
}

#[test]
fn a_node_that_panics_fails_and_the_run_answers() {
    let nodes = Nodes::new().function("panics", Contract::open(), |_| panic!("no mood"));
    let dag = one(Single::new("here", "panics").end("success"));
    let run = run_native(dag, nodes, json!({}), RunOptions::default());
    assert_eq!(
        run.error.unwrap().to_string(),
        "placement `here` ended with NODE_PANIC: no mood"
    );
    assert_eq!(run.life.kind, Lifecycle::Failed);
    assert!(run.life.finished_at >= run.life.started_at);
}

#[test]
fn notes_of_a_node_stop_nothing_and_are_in_the_result() {
    let nodes = Nodes::new().function(
        "notes",
        Contract::open(),
        always(
            Output::default()
                .error(Note::new("RANK_FAILED", "kept the order"))
                .warning(Note::new("SLOW", "took its time")),
        ),
    );
    let dag = one(Single::new("here", "notes").end("success"));
    let run = run_native(dag, nodes, json!({}), RunOptions::default());
    assert_eq!(run.error, None);
    assert_eq!(run.notes.errors[0].code, "RANK_FAILED");
    assert_eq!(run.notes.errors[0].placement, "here");
    assert_eq!(run.notes.warnings[0].code, "SLOW");
}

#[test]
fn a_neuron_notes_under_a_key_that_never_gets_into_the_state() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let noted = json!({"errors": [{"code": "HALF", "message": "one of two"}]});
        let script = json!([{"output": {"value": {"done": 1, "$flow": noted}}}]);
        let run = chain(&["only"])
            .run(&stage.tenant, state(script), RunOptions::default())
            .await;
        assert_eq!(run.error, None);
        assert_eq!(run.notes.errors[0].code, "HALF");
        assert_eq!(run.state.get("$flow"), None);
        let script = json!([{"output": {"value": {"$flow": {"mistakes": []}}}}]);
        let run = chain(&["only"])
            .run(&stage.tenant, state(script), RunOptions::default())
            .await;
        assert_eq!(run.error, None);
        assert_eq!(run.notes.warnings[0].code, "FLOW_NOTES");
    });
}

/// Fails as often as it is told, and counts.
struct Flaky {
    failures: u32,
    calls: AtomicU32,
}

impl NativeNode for Flaky {
    fn run<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Output, Failure>> {
        Box::pin(async move {
            let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            assert_eq!(call.attempt, calls, "attempts are counted from 1");
            if calls <= self.failures {
                Err(Failure::recoverable("FLAKY", "not yet"))
            } else {
                Ok(Output::default().set("calls", calls))
            }
        })
    }
}

fn flaky(failures: u32) -> Nodes {
    let node = Flaky {
        failures,
        calls: AtomicU32::new(0),
    };
    Nodes::new().native("flaky", Contract::routes(["success"]), node)
}

fn patient(attempts: u32, base: Duration) -> RetryPolicy {
    RetryPolicy {
        max_attempts: attempts,
        strategy: Strategy::Exponential,
        base_delay: base,
        max_delay: Duration::MAX,
        jitter_factor: 0.0,
        ..RetryPolicy::default()
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn a_retry_with_waits_of_hours_takes_no_time_on_a_clock_that_skips_them() {
    let dag = one(Single::new("here", "flaky")
        .end("success")
        .retry(patient(5, HOUR)));
    let options = RunOptions {
        deadline: HOUR * 100,
        ..RunOptions::default()
    };
    let run = run_native(dag, flaky(4), json!({}), options);
    assert_eq!(run.error, None);
    assert_eq!(run.executed[0].attempts, 5);
    assert_eq!(run.state["calls"], json!(5));
    let waited = run
        .life
        .finished_at
        .unwrap()
        .since(run.life.started_at.unwrap());
    assert_eq!(waited, HOUR * (1 + 2 + 4 + 8));
}

#[test]
fn a_backoff_ends_with_the_runs_deadline() {
    let dag = one(Single::new("here", "flaky")
        .end("success")
        .retry(patient(5, HOUR)));
    let options = RunOptions {
        deadline: HOUR * 2,
        ..RunOptions::default()
    };
    let run = run_native(dag, flaky(4), json!({}), options);
    assert_eq!(run.lifecycle(), Lifecycle::TimedOut);
    let waited = run
        .life
        .finished_at
        .unwrap()
        .since(run.life.started_at.unwrap());
    assert_eq!(waited, HOUR * 2);
}

#[test]
fn a_failure_that_the_policy_aborts_on_is_not_tried_again() {
    let policy = RetryPolicy {
        abort_on: Some(vec!["FLAKY".to_owned()]),
        ..patient(5, HOUR)
    };
    let dag = one(Single::new("here", "flaky").end("success").retry(policy));
    let run = run_native(dag, flaky(4), json!({}), RunOptions::default());
    assert_eq!(run.executed[0].attempts, 1);
    assert_eq!(run.lifecycle(), Lifecycle::Failed);
}

/// Waits on the clock that it is given.
struct Sleeper(Duration);

impl NativeNode for Sleeper {
    fn run<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Output, Failure>> {
        Box::pin(async move {
            call.clock.sleep(self.0).await;
            Ok(Output::default().set("slept", true))
        })
    }
}

#[test]
fn a_node_that_takes_longer_than_its_time_is_dropped_and_fails() {
    let nodes = Nodes::new().native("sleeper", Contract::open(), Sleeper(HOUR));
    let dag = one(Single::new("here", "sleeper")
        .end("success")
        .timeout_ms(500));
    let run = run_native(dag, nodes, json!({}), RunOptions::default());
    assert_eq!(
        run.error.unwrap().to_string(),
        "placement `here` ended with NODE_TIMEOUT: the node did not end within its 500 ms"
    );
    assert_eq!(run.state.get("slept"), None);
}

#[test]
fn a_neuron_that_takes_longer_than_its_placement_allows_fails_alone() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let nodes = Nodes::new().or_any_neuron();
        let dag = Dag::builder("late", "1")
            .place(
                Single::new("slow", "puppet")
                    .end("success")
                    .route("error", "mend")
                    .timeout_ms(500),
            )
            .place(Single::new("mend", "puppet").end("success").end("error"))
            .build();
        let flow = Flow::new(&[dag], &nodes).unwrap();
        let script = json!([wait_at_gate(), {"output": {"value": {}}}]);
        let work = flow.run(&stage.tenant, state(script), RunOptions::default());
        let late = async {
            stage.gate.arrived(1).await;
            hand.advance(Duration::from_millis(500));
            stage.gate.arrived(2).await;
            stage.gate.open();
        };
        let (run, ()) = tokio::join!(work, late);
        assert_eq!(run.lifecycle(), Lifecycle::Completed);
        assert_eq!(
            steps(&run),
            [("slow", None, 1), ("mend", Some("success"), 1)]
        );
        assert_eq!(run.notes.errors[0].code, "NEURON_DEADLINE");
    });
}

#[test]
fn the_limits_of_a_placement_hold_a_neuron_to_less_than_its_own() {
    let host = host();
    let stage = Stage::new(&host, "t");
    run(&host, async move {
        let caps = soma::flow::document::Caps {
            fuel: Some(1_000_000),
            ..Default::default()
        };
        let only = Single::new("only", "puppet").end("success").limits(caps);
        let flow = flow(Dag::builder("capped", "1").place(only).build());
        let run = flow
            .run(&stage.tenant, state(json!(["spin"])), RunOptions::default())
            .await;
        let Some(Cause::Error { code, .. }) = &run.error else {
            panic!("{:?}", run.error);
        };
        assert_eq!(code, "NEURON_OUT_OF_FUEL");
    });
}

#[test]
fn a_run_can_be_aborted_from_elsewhere() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let nodes = Nodes::new().native("sleeper", Contract::open(), Sleeper(HOUR));
        let dag = one(Single::new("here", "sleeper").end("success"));
        let flow = Flow::new(&[dag], &nodes).unwrap();
        let execution = flow.start(&tenant, Object::new(), RunOptions::default());
        let control = execution.control();
        let finish = execution.finish();
        let (run, ()) = tokio::join!(finish, async { control.abort("enough") });
        assert_eq!(run.lifecycle(), Lifecycle::Cancelled);
        assert_eq!(
            run.error.unwrap().to_string(),
            "the run was aborted at placement `here`: enough"
        );
        control.abort("again");
    });
}

#[test]
fn observers_are_told_of_everything_and_one_that_panics_changes_nothing() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let options = RunOptions {
        observers: vec![
            Arc::new(|_: &Event| panic!("an observer of bad manners")),
            Arc::new(move |event: &Event| log.lock().unwrap().push(event.to_json())),
        ],
        deadline: HOUR * 2,
        ..RunOptions::default()
    };
    let dag = one(Single::new("here", "flaky")
        .end("success")
        .retry(patient(2, HOUR)));
    let run = run_native(dag, flaky(1), json!({}), options);
    assert_eq!(run.error, None);
    let seen = seen.lock().unwrap();
    let names: Vec<_> = seen
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "began",
            "node-began",
            "retrying",
            "node-began",
            "node-ended",
            "ended"
        ]
    );
    assert_eq!(seen[2]["cause"]["code"], json!("FLAKY"));
    assert_eq!(seen[2]["after_ms"], json!(3_600_000.0));
    assert_eq!(seen[4]["attempts"], json!(2));
}

#[test]
fn a_run_does_nothing_before_it_is_awaited() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    let nodes = Nodes::new().function("never", Contract::open(), |_| panic!("it ran"));
    let dag = one(Single::new("here", "never").end("success"));
    let flow = Flow::new(&[dag], &nodes).unwrap();
    let execution = flow.start(&tenant, Object::new(), RunOptions::default());
    let trace = execution.trace_id().clone();
    assert_eq!(tenant.traces(), [trace]);
    drop(execution);
    run(&host, async move {
        common::until(|| tenant.traces().is_empty()).await;
    });
}

#[test]
fn a_stop_from_outside_ends_a_wait_between_attempts_and_a_native_node() {
    for placement in [
        Single::new("here", "flaky")
            .end("success")
            .retry(patient(5, HOUR)),
        Single::new("here", "sleeper").end("success"),
    ] {
        let (host, _hand) = virtual_host();
        let tenant = tenant(&host, "t");
        run(&host, async move {
            let nodes = flaky(9).native("sleeper", Contract::open(), Sleeper(HOUR));
            let flow = Flow::new(&[one(placement)], &nodes).unwrap();
            let execution = flow.start(&tenant, Object::new(), RunOptions::default());
            let trace = execution.trace_id().clone();
            let finish = tokio::spawn(execution.finish());
            tenant.stop_trace(&trace, StopOptions::rollback()).await;
            let run = finish.await.unwrap();
            assert_eq!(run.lifecycle(), Lifecycle::Cancelled);
        });
    }
}

#[test]
fn a_pause_ends_a_wait_between_attempts() {
    let (host, _hand) = virtual_host();
    let tenant = tenant(&host, "t");
    run(&host, async move {
        let dag = one(Single::new("here", "flaky")
            .end("success")
            .retry(patient(5, HOUR)));
        let flow = Flow::new(&[dag], &flaky(9)).unwrap();
        let mut execution = flow.start(&tenant, Object::new(), RunOptions::default());
        let control = execution.control();
        while let Some(event) = execution.next().await {
            if matches!(event.kind, EventKind::Retrying { .. }) {
                control.pause();
            }
        }
        let run = execution.finish().await;
        assert_eq!(run.lifecycle(), Lifecycle::Paused);
        assert!(run.checkpoint.is_some());
    });
}

#[test]
fn a_loop_that_replaces_keys_does_not_grow() {
    let nodes = Nodes::new().function("count", Contract::open(), |call| {
        let n = call
            .state
            .get("a rather long key")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let route = if n < 5_000 { "again" } else { "enough" };
        Ok(Output::on(route).set("a rather long key", n + 1))
    });
    let options = RunOptions {
        max_state_bytes: 1_000,
        ..RunOptions::default()
    };
    let count = Single::new("count", "count")
        .route("again", "count")
        .end("enough");
    let run = run_native(one(count), nodes, json!({}), options);
    assert_eq!(run.error, None);
}

#[test]
fn an_output_that_is_nested_too_deep_is_a_failure_of_its_node() {
    let nodes = Nodes::new().function("deep", Contract::open(), |_| {
        let mut value = json!(1);
        for _ in 0..100 {
            value = json!([value]);
        }
        Ok(Output::default().set("deep", value))
    });
    let run = run_native(
        one(Single::new("here", "deep").end("success")),
        nodes,
        json!({}),
        RunOptions::default(),
    );
    assert_eq!(
        run.error.unwrap().to_string(),
        "placement `here` ended with FLOW_NESTING: its output is nested deeper than 96"
    );
}

#[test]
fn neurons_that_sleep_and_more_of_them_than_may_run_take_no_time_on_a_clock_that_skips_waits() {
    let (host, hand) = virtual_host();
    hand.skip_waits();
    let quotas = soma::tenant::Quotas {
        concurrent_tasks: 2,
        ..soma::tenant::Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "t", quotas);
    run(&host, async move {
        let fan = ending(
            FanOut::new(
                "each",
                "puppet",
                "items",
                soma::flow::document::FanIn::append("out"),
            )
            .item_key("do"),
        );
        let flow = flow(Dag::builder("each", "1").place(fan).build());
        let sleeps = json!([{"sleep": 10_000}, {"output": {"value": {"n": 1}}}]);
        let items: Vec<_> = (0..8).map(|_| sleeps.clone()).collect();
        let run = flow
            .run(
                &stage.tenant,
                object(json!({"items": items})),
                RunOptions::default(),
            )
            .await;
        assert_eq!(run.error, None);
        assert!(run.notes.errors.is_empty(), "{:?}", run.notes);
        let took = run
            .life
            .finished_at
            .unwrap()
            .since(run.life.started_at.unwrap());
        assert_eq!(took, Duration::from_secs(40));
    });
}
