//! A task's life: routing, replies, pathways, options, deadlines.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{
    LONG, Stage, Tap, append, error, host, plugin, puppet, run, said, told, wait_at_gate,
};
use serde_json::{Value, json};
use soma::{
    Host,
    neuron::Limits,
    orchestration::{
        Access, Answer, CallError, Dispatch, DispatchError, Neuron, StopOptions, Target,
        TenantHandle, WaitError,
    },
    signal::{Payload, Signal, SignalType},
};

/// A tenant with puppets of these names, each made up by `with`.
fn cast<const N: usize>(
    host: &Host,
    names: [&str; N],
    with: impl Fn(&str, Neuron) -> Neuron,
) -> Stage {
    let stage = Stage::new(host, "acme");
    let plugin = plugin(host, "puppet");
    for name in names {
        let neuron = stage.puppet(name, Arc::clone(&plugin));
        stage.tenant.register(with(name, neuron));
    }
    stage
}

/// Which neuron answered.
async fn who(tenant: &TenantHandle, target: Target) -> String {
    let answer = tenant
        .dispatch_and_wait(Dispatch::to(target).input(told(json!([]))), LONG)
        .await
        .unwrap();
    let output = answer.output().unwrap();
    output["task"]["neuron"].as_str().unwrap().to_owned()
}

fn kind(name: &str) -> Target {
    Target::Kind(name.into())
}

async fn ask(tenant: &TenantHandle, steps: Value) -> Answer {
    tenant.dispatch_and_wait(puppet(steps), LONG).await.unwrap()
}

#[test]
fn a_task_goes_by_id_then_by_kind_then_by_all_its_capabilities_then_to_whoever_takes_any() {
    let host = host();
    let stage = cast(
        &host,
        ["draws", "writes", "writes_and_draws", "takes_any"],
        |name, neuron| match name {
            "draws" => neuron.capability("draw"),
            "writes" => neuron.capability("write").kind("author"),
            "writes_and_draws" => neuron.capability("write").capability("draw"),
            _ => neuron.catch_all(),
        },
    );
    run(&host, async move {
        let tenant = &stage.tenant;
        assert_eq!(who(tenant, Target::neuron("draws")).await, "draws");
        assert_eq!(who(tenant, kind("author")).await, "writes");
        let both = Target::capabilities(["draw", "write"]);
        assert_eq!(who(tenant, both).await, "writes_and_draws");
        assert_eq!(who(tenant, Target::Any).await, "takes_any");
    });
}

#[test]
fn neurons_that_fit_alike_take_turns_and_each_task_runs_once() {
    let host = host();
    let stage = cast(&host, ["a", "b", "c"], |_, neuron| {
        neuron.capability("think").kind("thinker").catch_all()
    });
    run(&host, async move {
        for target in [
            Target::capabilities(["think"]),
            kind("thinker"),
            Target::Any,
        ] {
            let mut answered = Vec::new();
            for _ in 0..9 {
                answered.push(who(&stage.tenant, target.clone()).await);
            }
            answered.sort();
            assert_eq!(answered.concat(), "aaabbbccc", "{target:?}");
        }
    });
}

#[test]
fn neurons_take_turns_whatever_tasks_for_others_come_between() {
    let host = host();
    let stage = cast(&host, ["a", "b", "x", "y"], |name, neuron| match name {
        "a" | "b" => neuron.capability("think"),
        _ => neuron.kind("author"),
    });
    run(&host, async move {
        let mut answered = Vec::new();
        for _ in 0..4 {
            answered.push(who(&stage.tenant, Target::capabilities(["think"])).await);
            answered.push(who(&stage.tenant, kind("author")).await);
        }
        answered.sort();
        assert_eq!(answered.concat(), "aabbxxyy");
    });
}

#[test]
fn a_task_that_fits_nobody_is_refused_at_once_with_who_is_there() {
    let host = host();
    let stage = cast(&host, ["writer"], |_, neuron| neuron.capability("write"));
    let refusal = |target: Target| {
        let refused = stage.tenant.dispatch(Dispatch::to(target)).unwrap_err();
        assert!(matches!(refused, DispatchError::Unroutable { .. }));
        refused.to_string()
    };
    expect_test::expect![[r#"
        no neuron of tenant `acme` is neuron `nobody`; registered: puppet, writer
        no neuron of tenant `acme` is a neuron of kind `critic`; registered: puppet, writer
        no neuron of tenant `acme` is a neuron with the capabilities `write`, `draw`; registered: puppet, writer
        no neuron of tenant `acme` is a neuron that takes any task; registered: puppet, writer
    "#]]
    .assert_eq(&format!(
        "{}\n{}\n{}\n{}\n",
        refusal(Target::neuron("nobody")),
        refusal(kind("critic")),
        refusal(Target::capabilities(["write", "draw"])),
        refusal(Target::Any),
    ));
    let empty = host.add_tenant("empty", Default::default()).unwrap();
    let refused = empty.dispatch(Dispatch::to_neuron("x")).unwrap_err();
    expect_test::expect!["no neuron of tenant `empty` is neuron `x`; registered: none"]
        .assert_eq(&refused.to_string());
}

/// Capabilities of several neurons do not add up (the peer drops such a task
/// silently).
#[test]
fn capabilities_of_several_neurons_do_not_add_up() {
    let host = host();
    let stage = cast(&host, ["draw", "write"], |name, neuron| {
        neuron.capability(name)
    });
    let both = Dispatch::to(Target::capabilities(["draw", "write"]));
    let refused = stage.tenant.dispatch(both).unwrap_err();
    assert!(matches!(refused, DispatchError::Unroutable { .. }));
}

#[test]
fn a_capability_that_is_written_like_a_kind_is_no_kind() {
    let host = host();
    let stage = cast(&host, ["impostor"], |_, neuron| {
        neuron.capability("kind: judge")
    });
    let refused = stage.tenant.dispatch(Dispatch::to(kind("judge")));
    assert!(matches!(
        refused.unwrap_err(),
        DispatchError::Unroutable { .. }
    ));
}

#[test]
fn a_neuron_that_is_replaced_or_taken_away_finishes_what_it_runs() {
    let host = host();
    let stage = cast(&host, ["one"], |_, neuron| neuron);
    let generator = Neuron::new("one", plugin(&host, "generator"));
    run(&host, async move {
        let waiting = Dispatch::to_neuron("one").input(told(json!([wait_at_gate()])));
        let mut old = stage.tenant.dispatch(waiting.clone()).unwrap();
        stage.gate.arrived(1).await;
        stage.tenant.register(generator);
        let new = stage.tenant.dispatch_and_wait(waiting.clone(), LONG).await;
        assert_eq!(error(&new.unwrap()).code, "INVALID_INPUT");
        assert!(stage.tenant.deregister("one"));
        assert!(!stage.tenant.deregister("one"));
        assert!(stage.tenant.dispatch(waiting).is_err());
        stage.gate.open();
        assert!(old.wait(LONG).await.unwrap().is_output());
    });
}

#[test]
fn an_output_is_published_once_on_the_tasks_trace_with_the_task_as_its_parent() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let task = puppet(json!([{"output": {"value": {"n": 7}, "route": "approved"}}]));
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(answer.output().unwrap()["n"], 7);
        assert_eq!(answer.route.as_deref(), Some("approved"));
        let [task, output] = tap.seen() else {
            panic!("not two signals: {:?}", tap.types())
        };
        assert_eq!(task.signal_type(), SignalType::Task);
        assert_eq!(&task.id, pathway.task_id());
        assert_eq!(
            task.directed.as_ref().unwrap().id.as_deref(),
            Some("puppet")
        );
        assert_eq!(output.signal_type(), SignalType::AgentOutput);
        assert_eq!(output.parent_id.as_ref(), Some(pathway.task_id()));
        assert_eq!(&output.trace_id, pathway.trace_id());
        let from = output.directed.as_ref().unwrap();
        assert_eq!(from.id.as_deref(), Some("puppet"));
        assert_eq!(output.meta["route"], "approved");
    });
}

#[test]
fn an_output_that_is_no_object_travels_in_one() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for value in [json!([1, 2]), json!("text"), json!(null), json!(3)] {
            let answer = ask(&stage.tenant, json!([{"output": {"value": value}}])).await;
            assert_eq!(answer.output().unwrap()["value"], value);
        }
    });
}

#[test]
fn numbers_reach_the_neuron_and_come_back_digit_by_digit() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let big: Value = serde_json::from_str("12345678901234567890123456789.125").unwrap();
    run(&host, async move {
        let content = json!({"write": {"to": "memory", "op": "append", "content": 9_007_199_254_740_993_u64}});
        let answer = ask(&stage.tenant, json!([content])).await;
        assert!(answer.is_output());
        assert_eq!(
            common::contents(&stage.memory).await,
            [json!(9_007_199_254_740_993_u64)]
        );
        let task = puppet(json!([])).context(vec![big.clone()]);
        let mut tap = Tap::on(&stage.tenant);
        drop(
            stage
                .tenant
                .dispatch_and_wait(
                    task.meta([("big".to_owned(), big.clone())].into_iter().collect()),
                    LONG,
                )
                .await
                .unwrap(),
        );
        assert_eq!(tap.seen()[0].meta["big"], big);
    });
}

#[test]
fn a_clarification_ends_the_task_and_its_answer_is_a_new_task_on_the_same_trace() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let steps = json!([{"clarify": {"question": "which year?", "context": {"seen": [1, 2]}}}]);
        let mut first = stage.tenant.dispatch(puppet(steps)).unwrap();
        let asked = first.wait(LONG).await.unwrap();
        let Payload::Clarification(question) = &asked.signal.payload else {
            panic!("no CLARIFICATION: {asked:?}")
        };
        assert_eq!(question.question, "which year?");
        assert_eq!(question.context, Some(json!({"seen": [1, 2]})));
        assert_eq!(asked.signal.parent_id.as_ref(), Some(first.task_id()));
        assert!(!asked.is_output() && !asked.is_error());

        let again = Dispatch::to_neuron("puppet")
            .input(json!({"do": [], "clarification": "2026"}))
            .on_trace(first.trace_id().clone())
            .parent(asked.signal.id.clone());
        let answer = stage.tenant.dispatch_and_wait(again, LONG).await.unwrap();
        assert!(answer.is_output());
        assert_eq!(answer.signal.trace_id, asked.signal.trace_id);
        let types = tap.types_on(first.trace_id());
        use SignalType::{AgentOutput, Clarification, Task};
        assert_eq!(types, [Task, Clarification, Task, AgentOutput]);
        assert_eq!(tap.seen()[2].parent_id, Some(asked.signal.id.clone()));
    });
}

#[test]
fn a_permission_asks_for_leave_with_its_scope_and_reason() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([{"ask_leave": {
            "action": "delete", "scope": {"rows": 3}, "reason": "outdated"}}]);
        let asked = ask(&stage.tenant, steps).await;
        let Payload::Permission(leave) = &asked.signal.payload else {
            panic!("no PERMISSION: {asked:?}")
        };
        assert_eq!(leave.action, "delete");
        assert_eq!(leave.scope, Some(json!({"rows": 3})));
        assert_eq!(leave.reason.as_deref(), Some("outdated"));
    });
}

#[test]
fn a_failure_is_an_error_with_the_neurons_own_code_and_judgement() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for recoverable in [false, true] {
            let steps = json!([{"fail": {"code": "NO_SOURCE", "recoverable": recoverable}}]);
            let answer = ask(&stage.tenant, steps).await;
            assert!(answer.is_error() && !answer.is_output());
            let error = error(&answer);
            assert_eq!(error.code, "NO_SOURCE");
            assert_eq!(error.message, "told to fail with NO_SOURCE");
            assert_eq!(error.recoverable, recoverable);
        }
    });
}

/// The replies that a puppet can be told to give, by the type they become.
fn replies() -> [(SignalType, Value); 5] {
    [
        (SignalType::AgentOutput, json!([])),
        (
            SignalType::Clarification,
            json!([{"clarify": {"question": "?"}}]),
        ),
        (
            SignalType::Permission,
            json!([{"ask_leave": {"action": "a", "scope": {}, "reason": "r"}}]),
        ),
        (SignalType::Error, json!([{"fail": {"code": "C"}}])),
        (SignalType::Error, json!([{"panic": "no"}])),
    ]
}

#[test]
fn every_task_has_exactly_one_reply() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        for (kind, steps) in replies() {
            let answer = ask(&stage.tenant, steps).await;
            assert_eq!(answer.signal.signal_type(), kind);
            let types = tap.types_on(&answer.signal.trace_id);
            assert_eq!(types, [SignalType::Task, kind]);
        }
    });
}

#[test]
fn in_terminal_scope_an_output_is_followed_by_a_final_and_nothing_else_is() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        for (kind, steps) in replies() {
            let task = puppet(steps).terminal();
            let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
            let types = tap.types_on(&answer.signal.trace_id);
            if kind == SignalType::AgentOutput {
                let [task, output, last] = &tap.seen()[..3] else {
                    panic!("not three signals: {types:?}")
                };
                assert!(matches!(&task.payload, Payload::Task(task) if task.finalize));
                assert_eq!(answer.signal.signal_type(), SignalType::Final);
                assert_eq!(last.id, answer.signal.id);
                assert_eq!(last.parent_id.as_ref(), Some(&output.id));
                let Payload::AgentOutput(reply) = &output.payload else {
                    panic!("{output:?}")
                };
                assert_eq!(answer.output(), Some(&reply.output));
            } else {
                assert_eq!(types, [SignalType::Task, kind]);
            }
        }
    });
}

#[test]
fn in_terminal_scope_a_pathway_shows_only_what_ends_the_task() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let mut terminal = stage
            .tenant
            .dispatch(puppet(json!([plan])).terminal())
            .unwrap();
        let mut all = stage.tenant.dispatch(puppet(json!([plan]))).unwrap();
        let mut shown = (Vec::new(), Vec::new());
        while let Some(signal) = terminal.next().await {
            shown.0.push(signal.signal_type());
        }
        while let Some(signal) = all.next().await {
            shown.1.push(signal.signal_type());
        }
        assert_eq!(shown.0, [SignalType::Final]);
        assert_eq!(shown.1, [SignalType::Plan, SignalType::AgentOutput]);
    });
}

#[test]
fn a_pathway_streams_calls_back_and_is_awaited() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let steps = json!([plan, plan, plan, wait_at_gate()]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        pathway.on(SignalType::Plan, move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
        });
        let first = pathway.next().await.unwrap();
        assert_eq!(first.signal_type(), SignalType::Plan);
        assert_eq!(first.parent_id.as_ref(), Some(pathway.task_id()));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        stage.gate.open();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
        assert_eq!(calls.load(Ordering::SeqCst), 3);
        // A reply that was awaited is there for every later wait.
        assert!(pathway.wait(Duration::ZERO).await.unwrap().is_output());
        assert!(pathway.next().await.is_none());
        assert_eq!(pathway.lost(), 0);
    });
}

#[test]
fn a_pathway_that_nobody_reads_keeps_the_latest_signals_and_counts_the_rest() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let steps =
            json!([{"repeat": {"times": 2_000, "steps": [plan]}}, {"output": {"value": 1}}]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        let answer = pathway.wait(LONG).await.unwrap();
        assert!(answer.is_output());
        let mut read = 0;
        let mut last = None;
        while let Some(signal) = pathway.next().await {
            read += 1;
            last = Some(signal.signal_type());
        }
        assert_eq!(read + pathway.lost(), 2_001);
        assert_eq!(last, Some(SignalType::AgentOutput));
    });
}

#[test]
fn closing_a_pathway_ends_its_waits_and_not_the_task() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([wait_at_gate(), append("done")]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        pathway.close();
        let trace = pathway.trace_id().clone();
        let closed = pathway.wait(LONG).await.unwrap_err();
        assert_eq!(closed, WaitError::Closed(trace.clone()));
        assert_eq!(
            closed.to_string(),
            format!("the pathway on {trace} was closed before a reply")
        );
        assert!(pathway.next().await.is_none());
        stage.gate.open();
        common::until(|| stage.memory.len() == 1).await;
    });
}

#[test]
fn a_reply_that_was_there_before_the_pathway_closed_is_still_returned() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let task = puppet(json!([])).on_trace(trace.id().clone());
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        tap.next(SignalType::AgentOutput).await;
        common::until(|| host_is_idle(&stage)).await;
        pathway.close();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
    });
}

/// Nothing of the tenant holds memory: no instance of it lives.
fn host_is_idle(stage: &Stage) -> bool {
    stage.tenant.tenant().memory_held() == 0
}

#[test]
fn another_tasks_reply_on_the_same_trace_never_answers_this_wait() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let on_it = |steps| puppet(steps).on_trace(trace.id().clone());
        let steps = json!([wait_at_gate(), {"output": {"value": "slow"}}]);
        let mut slow = stage.tenant.dispatch(on_it(steps)).unwrap();
        stage.gate.arrived(1).await;
        for steps in [
            json!([{"output": {"value": "fast"}}]),
            json!([{"fail": {"code": "FAST"}}]),
            json!([{"clarify": {"question": "fast?"}}]),
        ] {
            drop(
                stage
                    .tenant
                    .dispatch_and_wait(on_it(steps), LONG)
                    .await
                    .unwrap(),
            );
        }
        let fast = on_it(json!([{"output": {"value": "last word"}}])).terminal();
        let last = stage.tenant.dispatch_and_wait(fast, LONG).await.unwrap();
        assert_eq!(last.signal.signal_type(), SignalType::Final);
        let waited = slow.wait(Duration::ZERO).await.unwrap_err();
        assert!(matches!(waited, WaitError::Timeout { .. }));
        stage.gate.open();
        let answer = slow.wait(LONG).await.unwrap();
        assert_eq!(answer.output().unwrap()["value"], "slow");
        assert_eq!(answer.signal.parent_id.as_ref(), Some(slow.task_id()));
    });
}

#[test]
fn a_wait_that_times_out_names_the_trace_and_leaves_the_task_running() {
    let (host, hand) = common::virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([wait_at_gate(), append("done")]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        let wait = async {
            // The task's own deadline waits too.
            hand.wait_for_pending(2).await;
            hand.advance(Duration::from_secs(2));
        };
        let (waited, ()) = tokio::join!(pathway.wait(Duration::from_secs(2)), wait);
        let error = waited.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no reply on {} within 2000 ms", pathway.trace_id())
        );
        stage.gate.open();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
        assert_eq!(stage.memory.len(), 1);
    });
}

#[test]
fn dispatch_and_wait_names_the_trace_to_stop_when_it_times_out() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let task = puppet(json!([append("half"), wait_at_gate()]));
        let call = stage.tenant.dispatch_and_wait(task, Duration::ZERO);
        let Err(CallError::Wait(WaitError::Timeout { trace, .. })) = call.await else {
            panic!("no timeout")
        };
        stage.gate.arrived(1).await;
        let acks = stage
            .tenant
            .stop_trace(&trace, StopOptions::rollback())
            .await;
        assert_eq!((acks[0].cancelled, acks[0].compensated), (1, 1));
        assert!(stage.memory.is_empty());
    });
}

#[test]
fn a_task_that_runs_into_its_deadline_is_a_recoverable_error() {
    let (host, hand) = common::virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let limits = Limits {
            wall: Duration::from_secs(5),
            ..Limits::default()
        };
        for steps in [
            json!([wait_at_gate()]),
            json!([{"sleep": 3_600_000}]),
            json!([append("spinning"), "spin"]),
        ] {
            let task = puppet(steps).limits(limits.clone());
            let mut pathway = stage.tenant.dispatch(task).unwrap();
            hand.wait_for_pending(1).await;
            hand.advance(Duration::from_secs(4));
            assert!(pathway.wait(Duration::ZERO).await.is_err());
            hand.advance(Duration::from_secs(1));
            let answer = pathway.wait(LONG).await.unwrap();
            let error = error(&answer);
            assert_eq!(error.code, "NEURON_DEADLINE");
            assert_eq!(error.message, "the neuron ran longer than its 5000 ms");
            assert!(error.recoverable);
        }
    });
}

#[test]
fn a_task_reaches_the_neuron_with_all_its_options() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let parent = stage.tenant.ids().signal();
        let task = puppet(json!([]))
            .on_trace(trace.id().clone())
            .parent(parent.clone())
            .attempt(4)
            .context(vec![json!({"a": 1}), json!("b")])
            .meta([("who".to_owned(), json!("me"))].into_iter().collect())
            .limits(Limits {
                wall: Duration::from_millis(12_345),
                ..Limits::default()
            });
        let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
        let task = &answer.output().unwrap()["task"];
        assert_eq!(task["trace"], trace.id().to_string());
        assert_eq!(task["attempt"], 4);
        assert_eq!(task["context"], json!([{"a": 1}, "b"]));
        assert_eq!(task["deadline_ms"], 12_345);
        assert_eq!(task["neuron"], "puppet");
        let signal: &Signal = &tap.seen()[0];
        assert_eq!(task["id"], signal.id.to_string());
        assert_eq!(signal.parent_id, Some(parent));
        assert_eq!(signal.meta["attempt"], 4);
        assert_eq!(signal.meta["who"], "me");
    });
}

#[test]
fn an_input_that_is_no_object_is_refused_before_anything_starts() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    let refused = stage
        .tenant
        .dispatch(Dispatch::to_neuron("puppet").input(json!([1])));
    expect_test::expect!["the input of a task must be a JSON object, not `[1]`"]
        .assert_eq(&refused.unwrap_err().to_string());
    assert!(tap.seen().is_empty());
    assert!(stage.tenant.traces().is_empty());
}

#[test]
fn an_answer_says_what_the_task_used() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([append("a"), {"allocate": 2}, {"burn": 100_000}, "now"]);
        let usage = ask(&stage.tenant, steps).await.usage;
        assert!(usage.fuel > 100_000, "{usage:?}");
        assert!(usage.peak_memory_bytes >= 2 << 20, "{usage:?}");
        assert_eq!(usage.host_calls, 2);
        assert!(
            usage.cpu > Duration::ZERO && usage.wall >= usage.cpu,
            "{usage:?}"
        );
    });
}

#[test]
fn a_neuron_reaches_only_what_it_is_bound_to_and_only_as_far() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let reader = Neuron::new("reader", plugin(&host, "puppet")).bind(
        "memory",
        Arc::clone(&stage.memory),
        Access::Read,
    );
    stage.tenant.register(reader);
    stage
        .tenant
        .register(Neuron::new("loner", plugin(&host, "puppet")));
    run(&host, async move {
        let errors = |id: &'static str, step: Value| {
            let tenant = stage.tenant.clone();
            async move {
                let task = Dispatch::to_neuron(id).input(told(json!([step])));
                let answer = tenant.dispatch_and_wait(task, LONG).await.unwrap();
                let error = &said(&answer)[0]["error"];
                format!(
                    "{}: {}\n",
                    error["code"].as_str().unwrap(),
                    error["message"].as_str().unwrap()
                )
            }
        };
        let told = [
            errors("reader", append("x")).await,
            errors("puppet", json!({"recall": {"from": "secrets"}})).await,
            errors("loner", append("x")).await,
        ]
        .concat();
        expect_test::expect![[r#"
            ENGRAM_DENIED: engram access denied: neuron `reader` may only read through the binding `memory`
            ENGRAM_NOT_BOUND: engram not bound: neuron `puppet` has no engram bound as `secrets`; bound: `gate`, `memory`
            ENGRAM_NOT_BOUND: engram not bound: neuron `loner` has no engram bound as `memory`; bound: nothing
        "#]]
        .assert_eq(&told);
        assert!(stage.memory.is_empty());
    });
}

#[test]
fn a_neuron_emits_only_what_it_may_and_only_well_formed() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let quiet = stage
        .puppet("quiet", plugin(&host, "puppet"))
        .emits([SignalType::Audit]);
    stage.tenant.register(quiet);
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let emit = |kind: &str, payload: Value| json!({"emit": {"kind": kind, "payload": payload}});
        let steps = json!([
            emit("PLAN", json!({"steps": []})),
            emit("AUDIT", json!({"kind": 1})),
            emit("AUDIT", json!("no object")),
        ]);
        let task = Dispatch::to_neuron("quiet").input(told(steps));
        let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
        let messages: Vec<_> = said(&answer)
            .iter()
            .map(|said| said["error"]["message"].as_str().unwrap().to_owned())
            .collect();
        expect_test::expect![[r#"
            signal denied: neuron `quiet` may not emit PLAN
            invalid signal: AUDIT payload has a number as `kind`, which must be a string
            invalid signal: payload must be a JSON object, not a string
        "#]]
        .assert_eq(&(messages.join("\n") + "\n"));
        let types = tap.types();
        assert_eq!(types, [SignalType::Task, SignalType::AgentOutput]);
    });
}

#[test]
fn the_answer_to_a_question_goes_to_the_neuron_that_asked() {
    let host = host();
    let stage = cast(&host, ["other"], |_, neuron| neuron);
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let asked = ask(
            &stage.tenant,
            json!([{"clarify": {"question": "which year?"}}]),
        )
        .await;
        let answering = Dispatch::answering(&asked.signal, json!("2026")).unwrap();
        let answer = stage
            .tenant
            .dispatch_and_wait(answering, LONG)
            .await
            .unwrap();
        assert!(answer.is_output());
        assert_eq!(answer.signal.trace_id, asked.signal.trace_id);
        let task = tap.seen()[2].clone();
        assert_eq!(task.parent_id, Some(asked.signal.id.clone()));
        let Payload::Task(request) = &task.payload else {
            panic!("{task:?}")
        };
        assert_eq!(
            request.input["clarification"],
            json!({"question": "which year?", "answer": "2026"})
        );
        assert!(Dispatch::deciding(&asked.signal, true, None).is_none());

        let leave = json!([{"ask_leave": {"action": "delete", "scope": {}, "reason": "old"}}]);
        let asked = ask(&stage.tenant, leave).await;
        let deciding = Dispatch::deciding(&asked.signal, false, Some("no")).unwrap();
        assert!(
            stage
                .tenant
                .dispatch_and_wait(deciding, LONG)
                .await
                .unwrap()
                .is_output()
        );
        let seen = tap.seen();
        let mut tasks = seen
            .iter()
            .filter(|one| one.signal_type() == SignalType::Task);
        let Payload::Task(request) = &tasks.next_back().unwrap().payload else {
            panic!()
        };
        assert_eq!(
            request.input["permission"],
            json!({"action": "delete", "granted": false, "reason": "no"})
        );
        assert!(Dispatch::answering(&asked.signal, json!(1)).is_none());
    });
}

#[test]
fn a_tenant_is_used_from_any_thread_and_any_runtime() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let outside = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let answer = outside.block_on(stage.tenant.dispatch_and_wait(puppet(json!([])), LONG));
    assert!(answer.unwrap().is_output());
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let tenant = stage.tenant.clone();
            std::thread::spawn(move || {
                let work = async {
                    for _ in 0..25 {
                        assert!(ask(&tenant, json!([append("x")])).await.is_output());
                    }
                };
                tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap()
                    .block_on(work);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(stage.memory.len(), 100);
}

#[test]
fn a_host_that_is_gone_takes_no_task() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    drop(host);
    let refused = stage.tenant.dispatch(puppet(json!([]))).unwrap_err();
    assert_eq!(refused, DispatchError::ShutDown);
}

/// A step that has a child do these steps, and waits for it.
fn call(steps: Value) -> Value {
    json!({"call": {"neuron": "puppet", "input": told(steps)}})
}

#[test]
fn what_a_neuron_starts_is_a_child_of_its_task_on_a_trace_of_its_own() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let answer = ask(&stage.tenant, json!([call(json!([])), call(json!([]))])).await;
        let told = said(&answer);
        let tasks: Vec<_> = tap
            .seen()
            .iter()
            .filter(|signal| signal.signal_type() == SignalType::Task)
            .cloned()
            .collect();
        let [own, children @ ..] = &tasks[..] else {
            panic!("no tasks")
        };
        assert_eq!(children.len(), 2);
        for (child, told) in children.iter().zip(told) {
            assert_eq!(child.parent_id.as_ref(), Some(&own.id));
            assert_ne!(child.trace_id, own.trace_id);
            assert_eq!(told["task"], child.id.to_string());
            assert_eq!(told["trace"], child.trace_id.to_string());
        }
        assert_ne!(children[0].trace_id, children[1].trace_id);
    });
}

#[test]
fn a_neuron_sees_how_the_tasks_ended_that_it_waited_for() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([
            call(json!([{"output": {"value": {"n": 1}}}])),
            call(json!([{"fail": {"code": "F", "recoverable": true}}])),
            call(json!([{"clarify": {"question": "?"}}])),
            call(json!([{"ask_leave": {"action": "a", "scope": {}, "reason": "r"}}])),
            call(json!(["trap"])),
            {"call": {"neuron": "nobody", "input": {}}},
            {"call": {"neuron": "puppet", "input": {}, "trace": {"named": "trc_foreign"}}},
        ]);
        let said = said(&ask(&stage.tenant, steps).await);
        assert_eq!(said[0]["outcome"], json!({"n": 1}));
        assert_eq!(said[2]["outcome"], json!({"question": "?"}));
        assert_eq!(said[3]["outcome"], json!({"action": "a"}));
        let errors: String = [1, 4, 5, 6]
            .map(|place| {
                let error = &said[place]["error"];
                format!(
                    "{}: {}\n",
                    error["code"].as_str().unwrap(),
                    error["message"].as_str().unwrap()
                )
            })
            .concat();
        expect_test::expect![[r#"
            F: told to fail with F
            NEURON_TRAP: the neuron trapped: wasm `unreachable` instruction executed
            UNROUTABLE: unroutable: no neuron of tenant `acme` is neuron `nobody`; registered: puppet
            DENIED: denied: trace trc_foreign is neither this task's own nor one that it started
        "#]].assert_eq(&errors);
    });
}

#[test]
fn a_neurons_wait_is_answered_by_its_own_task_only_and_may_time_out() {
    let (host, hand) = common::virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let dispatch = |steps: Value| json!({"dispatch": {"neuron": "puppet", "trace": "myself", "input": told(steps)}});
        let steps = json!([
            dispatch(json!([plan, wait_at_gate(), {"output": {"value": "slow"}}])),
            dispatch(json!([{"output": {"value": "fast"}}])),
            {"wait": {"pathway": 1, "timeout_ms": 1_000}},
            append("the fast one is done"),
            {"wait": {"pathway": 0, "timeout_ms": 1_000}},
            {"next": 0},
            {"recall": {"from": "gate", "tag": "parent"}},
            {"wait": {"pathway": 0, "timeout_ms": 1_000_000}},
            {"next": 0},
            {"next": 0},
        ]);
        let task = puppet(steps).limits(Limits {
            wall: LONG,
            ..Limits::default()
        });
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        stage.gate.arrived(1).await;
        common::until(|| stage.memory.len() == 1).await;
        // The two tasks' deadlines, and the parent's second wait.
        hand.wait_for_pending(3).await;
        assert_eq!(hand.advance_to_next(), Some(Duration::from_secs(1)));
        stage.gate.arrived(2).await;
        stage.gate.open();
        let said = said(&pathway.wait(LONG).await.unwrap());
        assert_eq!(said[2]["value"], "fast");
        assert_eq!(said[4]["error"]["code"], "TIMEOUT");
        assert_eq!(said[5], "PLAN");
        assert_eq!(said[7]["value"], "slow");
        assert_eq!((&said[8], &said[9]), (&json!("AGENT_OUTPUT"), &json!(null)));
    });
}

#[test]
fn what_a_neuron_started_ends_with_it_unless_it_ended_well() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let child = told(json!([append("begun"), wait_at_gate(), append("done")]));
        let start = json!({"dispatch": {"neuron": "puppet", "input": child}});
        let wait = json!({"recall": {"from": "gate", "tag": "parent"}});
        let fail = json!({"fail": {"code": "F"}});
        let failing = puppet(json!([start, wait, fail]));
        let mut pathway = stage.tenant.dispatch(failing).unwrap();
        stage.gate.arrived(2).await;
        stage.gate.open_for("parent");
        assert!(pathway.wait(LONG).await.unwrap().is_error());
        assert_eq!(stage.gate.inside(), 0, "the child outlives its parent");
        let replies = tap.types();
        let errors = replies.iter().filter(|kind| **kind == SignalType::Error);
        assert_eq!(errors.count(), 2);
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        assert_eq!(acks[0].compensated, 1);

        let answer = ask(&stage.tenant, json!([start])).await;
        assert!(answer.is_output());
        stage.gate.arrived(3).await;
        stage.gate.open();
        common::until(|| stage.memory.len() == 2).await;
    });
}
