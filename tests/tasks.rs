//! A task's life: routing, replies, pathways, options, deadlines.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "tasks/children.rs"]
mod children;
mod common;
#[path = "tasks/inputs.rs"]
mod inputs;
#[path = "tasks/pathways.rs"]
mod pathways;
#[path = "tasks/replies.rs"]
mod replies;

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
use futures_util::FutureExt;
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
    assert_eq!(refused.to_string(), "the host is shutting down");
    let asked = stage.tenant.dispatch_and_wait(puppet(json!([])), LONG);
    let refused = asked.now_or_never().unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "the host is shutting down");
}
