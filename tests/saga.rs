//! The saga journal: who settles a trace's writes, and when.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;

use common::{
    LONG, Stage, Tap, append, contents, entries, error, host, puppet, run, said, told, until,
    virtual_host, wait_at_gate,
};
use serde_json::{Value, json};
use soma::{
    engram::VectorEngram,
    orchestration::{Access, Answer, Dispatch, Neuron, RetryStrategy, StopOptions, TenantHandle},
    signal::{SignalType, TraceId},
    tenant::Quotas,
};

fn journal(stage: &Stage) -> u64 {
    stage.tenant.tenant().journal_held()
}

async fn ask(stage: &Stage, task: Dispatch) -> Answer {
    stage.tenant.dispatch_and_wait(task, LONG).await.unwrap()
}

async fn roll_back(tenant: &TenantHandle, trace: &TraceId) -> u64 {
    let acks = tenant.stop_trace(trace, StopOptions::rollback()).await;
    acks.iter().map(|ack| ack.compensated).sum()
}

fn fails_after(writes: &[&str]) -> Value {
    let mut steps: Vec<_> = writes.iter().map(|content| append(content)).collect();
    steps.push(json!({"fail": {"code": "HALFWAY", "recoverable": true}}));
    Value::Array(steps)
}

#[test]
fn a_plain_successful_dispatch_commits_and_its_trace_is_forgotten() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for n in 1..=50 {
            let answer = ask(&stage, puppet(json!([append("a"), append("b")]))).await;
            assert_eq!(
                journal(&stage),
                0,
                "the journal of a success is still there"
            );
            assert_eq!(roll_back(&stage.tenant, &answer.signal.trace_id).await, 0);
            assert_eq!(stage.memory.len(), 2 * n);
        }
        until(|| stage.tenant.traces().is_empty()).await;
    });
}

#[test]
fn a_success_that_nobody_waits_for_is_committed_too() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        drop(stage.tenant.dispatch(puppet(json!([append("a")]))).unwrap());
        until(|| stage.memory.len() == 1 && journal(&stage) == 0).await;
        until(|| stage.tenant.traces().is_empty()).await;
    });
}

#[test]
fn a_success_after_its_caller_gave_up_waiting_is_committed_too() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let task = puppet(json!([append("a"), wait_at_gate(), append("b")]));
        let gave_up = stage
            .tenant
            .dispatch_and_wait(task, std::time::Duration::ZERO);
        assert!(gave_up.await.is_err());
        stage.gate.arrived(1).await;
        assert!(journal(&stage) > 0);
        stage.gate.open();
        until(|| stage.memory.len() == 2 && journal(&stage) == 0).await;
    });
}

#[test]
fn final_commits_what_was_written_until_then_and_no_more() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let on_it = |steps| puppet(steps).on_trace(trace.id().clone());
        let answer = ask(&stage, on_it(json!([append("a")])).terminal()).await;
        assert_eq!(answer.signal.signal_type(), SignalType::Final);
        assert_eq!(journal(&stage), 0);
        let answer = ask(&stage, on_it(json!([append("b")]))).await;
        assert_eq!(answer.signal.signal_type(), SignalType::AgentOutput);
        assert!(journal(&stage) > 0);
        let acks = trace.stop(StopOptions::rollback()).await;
        assert_eq!(acks[0].compensated, 1);
        assert_eq!(contents(&stage.memory).await, [json!("a")]);
    });
}

#[test]
fn an_error_keeps_the_journal_so_that_it_can_be_rolled_back_later() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let before = entries(&stage.memory).await;
        for steps in [
            fails_after(&["a", "b", "c"]),
            json!([append("a"), append("b"), append("c"), {"panic": "no"}]),
            json!([append("a"), append("b"), append("c"), "trap"]),
        ] {
            let answer = ask(&stage, puppet(steps)).await;
            assert!(answer.is_error());
            let trace = &answer.signal.trace_id;
            until(|| stage.tenant.tenant().memory_held() == 0).await;
            assert_eq!(stage.tenant.traces(), std::slice::from_ref(trace));
            assert_eq!(stage.memory.len(), 3, "a partial write");
            // Much may happen in between.
            drop(ask(&stage, puppet(json!([]))).await);
            assert_eq!(roll_back(&stage.tenant, trace).await, 3);
            assert_eq!(entries(&stage.memory).await, before);
            assert_eq!(journal(&stage), 0);
        }
        until(|| stage.tenant.traces().is_empty()).await;
    });
}

#[test]
fn an_error_without_writes_leaves_no_trace_behind() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        assert!(ask(&stage, puppet(fails_after(&[]))).await.is_error());
        until(|| stage.tenant.traces().is_empty()).await;
    });
}

#[test]
fn a_crashed_ingest_is_undone_chunk_by_chunk() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let tenant = &stage.tenant;
    let index = tenant.add_engram(VectorEngram::new(
        "index",
        16,
        tenant.clock().clone(),
        tenant.ids().clone(),
        Arc::clone(tenant.tenant()) as _,
    ));
    let ingester = Neuron::new("ingester", common::plugin(&host, "ingester")).bind(
        "index",
        Arc::clone(&index),
        Access::ReadWrite,
    );
    tenant.register(ingester);
    run(&host, async move {
        let text = "One fact stands here. Another fact stands there. ".repeat(100);
        let ingest = |crash_after: Value| {
            Dispatch::to_neuron("ingester").input(json!({
                "document": {"id": "doc", "text": text}, "crash_after": crash_after}))
        };
        let crashed = ask(&stage, ingest(json!(3))).await;
        assert_eq!(error(&crashed).code, "INGEST_CRASHED");
        assert_eq!(index.len(), 3);
        assert_eq!(roll_back(&stage.tenant, &crashed.signal.trace_id).await, 3);
        assert_eq!(index.len(), 0);
        let whole = ask(&stage, ingest(json!(null))).await;
        assert_eq!(whole.output().unwrap()["chunks"], index.len());
        assert!(index.len() > 3);
        assert_eq!(journal(&stage), 0);
    });
}

#[test]
fn an_error_s_writes_can_be_kept_by_a_commit() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let answer = ask(&stage, puppet(fails_after(&["a"]))).await;
        let trace = &answer.signal.trace_id;
        assert!(stage.tenant.commit_trace(trace).await);
        assert_eq!(journal(&stage), 0);
        assert_eq!(roll_back(&stage.tenant, trace).await, 0);
        assert_eq!(contents(&stage.memory).await, [json!("a")]);
        assert!(!stage.tenant.commit_trace(&stage.tenant.ids().trace()).await);
    });
}

#[test]
fn an_open_trace_is_settled_by_its_owner() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let write = |trace: &TraceId, content| {
            ask(
                &stage,
                puppet(json!([append(content)])).on_trace(trace.clone()),
            )
        };
        let kept = stage.tenant.open_trace();
        assert!(write(kept.id(), "kept").await.is_output());
        assert!(journal(&stage) > 0, "a success does not settle it");
        kept.commit().await;
        assert_eq!(journal(&stage), 0);

        let undone = stage.tenant.open_trace();
        assert!(write(undone.id(), "undone").await.is_output());
        let acks = undone.stop(StopOptions::rollback()).await;
        assert_eq!((acks[0].cancelled, acks[0].compensated), (0, 1));

        // Dropped: still to be settled, by its id.
        let dropped = stage.tenant.open_trace();
        let id = dropped.id().clone();
        assert!(write(&id, "dropped").await.is_output());
        drop(dropped);
        assert_eq!(roll_back(&stage.tenant, &id).await, 1);
        assert_eq!(contents(&stage.memory).await, [json!("kept")]);

        drop(stage.tenant.open_trace());
        until(|| stage.tenant.traces().is_empty()).await;
    });
}

#[test]
fn a_question_back_keeps_the_journal_until_the_trace_is_settled() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for writes in [json!([]), json!([append("a")])] {
            let mut steps = writes.as_array().unwrap().clone();
            steps.push(json!({"clarify": {"question": "?"}}));
            let asked = ask(&stage, puppet(Value::Array(steps))).await;
            let before = stage.memory.len();
            let next = puppet(json!([append("b")])).on_trace(asked.signal.trace_id.clone());
            assert!(ask(&stage, next).await.is_output());
            // Whoever names a trace settles it, whether the first task wrote or not.
            assert!(journal(&stage) > 0);
            let undone = roll_back(&stage.tenant, &asked.signal.trace_id).await;
            assert_eq!(undone, before as u64 + 1);
            assert!(stage.memory.is_empty());
        }
    });
}

/// A step that has a child do these steps, and waits for it.
fn child(steps: Value) -> Value {
    json!({"call": {"neuron": "puppet", "input": told(steps)}})
}

#[test]
fn what_a_child_wrote_is_settled_with_its_parent() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let both = |end: Value| json!([append("parent"), child(json!([append("child")])), end]);
        let done = ask(&stage, puppet(both(json!({"output": {"value": 1}})))).await;
        assert!(done.is_output());
        assert_eq!(journal(&stage), 0);
        assert_eq!(roll_back(&stage.tenant, &done.signal.trace_id).await, 0);
        assert_eq!(stage.memory.len(), 2);

        let failed = ask(&stage, puppet(both(json!({"fail": {"code": "F"}})))).await;
        assert!(failed.is_error());
        assert_eq!(stage.memory.len(), 4);
        assert_eq!(roll_back(&stage.tenant, &failed.signal.trace_id).await, 2);
        assert_eq!(
            contents(&stage.memory).await,
            [json!("parent"), json!("child")]
        );
        until(|| stage.tenant.traces().is_empty()).await;
        assert_eq!(journal(&stage), 0);
    });
}

#[test]
fn a_childs_error_is_its_parents_to_settle() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        // The parent goes on: its success commits what the child had written.
        let answer = ask(&stage, puppet(json!([child(fails_after(&["half"]))]))).await;
        assert_eq!(said(&answer)[0]["error"]["code"], "HALFWAY");
        assert_eq!(contents(&stage.memory).await, [json!("half")]);
        assert_eq!(journal(&stage), 0);

        // Or it takes it back itself.
        let steps = json!([
            {"dispatch": {"neuron": "puppet", "input": told(fails_after(&["other half"]))}},
            {"wait": {"pathway": 0, "timeout_ms": 1_000_000}},
            {"stop": {"trace": {"pathway": 0}, "rollback": true}},
        ]);
        let answer = ask(&stage, puppet(steps)).await;
        assert_eq!(said(&answer)[2][0]["compensated"], 1);
        assert_eq!(contents(&stage.memory).await, [json!("half")]);
    });
}

#[test]
fn a_childs_final_is_its_last_word_and_its_writes_are_settled_with_its_parent_all_the_same() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let finalized = json!({"call": {"neuron": "puppet", "finalize": true,
            "input": told(json!([append("final")]))}});
        let steps = json!([append("parent"), finalized, {"fail": {"code": "F"}}]);
        let failed = ask(&stage, puppet(steps)).await;
        assert!(tap.types().contains(&SignalType::Final));
        assert_eq!(roll_back(&stage.tenant, &failed.signal.trace_id).await, 2);
        assert!(stage.memory.is_empty());
    });
}

#[test]
fn writes_without_an_ack_are_journaled_too() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let send = json!({"write": {"to": "memory", "op": "append", "content": 1, "send": true}});
        let steps = json!([{"repeat": {"times": 20, "steps": [send]}}, {"fail": {"code": "F"}}]);
        let failed = ask(&stage, puppet(steps)).await;
        assert_eq!(stage.memory.len(), 20);
        assert_eq!(roll_back(&stage.tenant, &failed.signal.trace_id).await, 20);
        assert!(stage.memory.is_empty());
    });
}

#[test]
fn what_had_no_effect_is_not_counted_as_undone() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let write = |op: &str, id: &str| json!({"write": {"to": "memory", "op": op, "key": "none", "id": id, "content": 1}});
        let steps = json!([
            write("delete", "nobody"),
            {"write": {"to": "memory", "op": "merge", "key": "none", "content": {}}},
            {"write": {"to": "memory", "op": "add", "id": "one", "content": 1}},
            {"write": {"to": "memory", "op": "add", "id": "one", "content": 2}},
            {"fail": {"code": "F"}},
        ]);
        let failed = ask(&stage, puppet(steps)).await;
        assert_eq!(stage.memory.len(), 1);
        assert_eq!(roll_back(&stage.tenant, &failed.signal.trace_id).await, 1);
    });
}

#[test]
fn a_full_journal_refuses_the_write_in_words_and_makes_room_when_traces_are_settled() {
    let host = host();
    let quotas = Quotas {
        journal_bytes: 2_000,
        ..Quotas::default()
    };
    let stage = Stage::with_quotas(&host, "acme", quotas);
    run(&host, async move {
        let trace = stage.tenant.open_trace();
        let many = json!([{"repeat": {"times": 1_000, "steps": [append("x")]}}]);
        let answer = ask(&stage, puppet(many).on_trace(trace.id().clone())).await;
        let said = said(&answer);
        let refused = said
            .iter()
            .position(|said| said.get("error").is_some())
            .unwrap();
        let error = &said[refused]["error"];
        assert_eq!(error["code"], "ENGRAM_QUOTA");
        assert_eq!(error["recoverable"], false);
        let message = error["message"].as_str().unwrap();
        let expected = "engram quota used up: tenant `acme` holds ";
        assert!(message.starts_with(expected), "{message}");
        let mend = "finalize, commit or stop open traces, or raise the quota";
        assert!(
            message.contains("of its 2000 journal bytes") && message.ends_with(mend),
            "{message}"
        );
        assert_eq!(stage.memory.len(), refused, "a refused write landed");
        assert!(journal(&stage) <= 2_000);
        // Another trace of the tenant meets the same bound, until this one is settled.
        let other = ask(&stage, puppet(json!([append("y")]))).await;
        assert_eq!(common::said(&other)[0]["error"]["code"], "ENGRAM_QUOTA");
        trace.commit().await;
        let other = ask(&stage, puppet(json!([append("y")]))).await;
        assert!(common::said(&other)[0].get("error").is_none());
    });
}

#[test]
fn an_imprint_with_the_same_idempotency_key_is_made_once() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let once = json!({"write": {"to": "memory", "op": "append", "content": "paid",
            "idempotency": "order 7"}});
        let answer = ask(&stage, puppet(json!([once, once]))).await;
        let said = said(&answer);
        assert_eq!(said[0], said[1]);
        // Not by a later task either, nor by a later attempt.
        let fails = json!([once, {"fail": {"code": "F", "recoverable": true}}]);
        let task = puppet(json!([{"by_attempt": [fails, [once]]}]));
        let strategy = RetryStrategy::default();
        let retried = stage.tenant.run_with_retry(task, &strategy).await.unwrap();
        assert_eq!(common::said(&retried)[0], said[0]);
        assert_eq!(contents(&stage.memory).await, [json!("paid")]);
    });
}

#[test]
fn a_rolled_back_imprint_is_forgotten_with_its_idempotency_key() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let once = json!({"write": {"to": "memory", "op": "append", "content": "paid",
            "idempotency": "order 7"}});
        let strategy = RetryStrategy {
            rollback_on_retry: true,
            ..RetryStrategy::default()
        };
        let fails = json!([once, {"fail": {"code": "F", "recoverable": true}}]);
        let task = puppet(json!([{"by_attempt": [fails, [once]]}]));
        assert!(
            stage
                .tenant
                .run_with_retry(task, &strategy)
                .await
                .unwrap()
                .is_output()
        );
        assert_eq!(contents(&stage.memory).await, [json!("paid")]);
    });
}

#[test]
fn a_write_that_takes_too_long_is_a_typed_timeout_and_nothing_lands() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    stage.gate.shut_imprints();
    run(&host, async move {
        let steps = json!([{"write": {"to": "gate", "op": "append", "content": 1,
            "deadline_ms": 200}}, append("after")]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        stage.gate.arrived(1).await;
        // The write's deadline and the task's.
        hand.wait_for_pending(2).await;
        assert_eq!(hand.advance_to_next().unwrap().as_millis(), 200);
        let answer = pathway.wait(LONG).await.unwrap();
        let error = &said(&answer)[0]["error"];
        assert_eq!(error["code"], "ENGRAM_TIMEOUT");
        assert_eq!(error["recoverable"], true);
        assert_eq!(stage.gate.inside(), 0);
        stage.gate.open_all();
        assert!(soma::engram::Engram::is_empty(&stage.gate));
        assert_eq!(contents(&stage.memory).await, [json!("after")]);
    });
}

#[test]
fn a_recall_that_takes_too_long_is_a_typed_timeout() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([{"recall": {"from": "gate", "deadline_ms": 300}}]);
        let mut pathway = stage.tenant.dispatch(puppet(steps)).unwrap();
        hand.wait_for_pending(2).await;
        assert_eq!(hand.advance_to_next().unwrap().as_millis(), 300);
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(said(&answer)[0]["error"]["code"], "ENGRAM_TIMEOUT");
        assert_eq!(stage.gate.inside(), 0);
    });
}

#[test]
fn traces_that_write_at_the_same_time_are_undone_each_for_itself() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let task = |name: &str| {
            let write = append(name);
            puppet(json!([{"repeat": {"times": 30, "steps": [write]}}, wait_at_gate()]))
        };
        let names = ["a", "b", "c", "d"];
        let pathways = names.map(|name| stage.tenant.dispatch(task(name)).unwrap());
        stage.gate.arrived(4).await;
        assert_eq!(stage.memory.len(), 120);
        for pathway in [&pathways[2], &pathways[0]] {
            assert_eq!(roll_back(&stage.tenant, pathway.trace_id()).await, 30);
        }
        stage.gate.open();
        for _ in 0..2 {
            tap.next(SignalType::AgentOutput).await;
        }
        let left = contents(&stage.memory).await;
        assert_eq!(left.len(), 60);
        assert!(left.iter().all(|content| content == "b" || content == "d"));
        drop(pathways);
        until(|| journal(&stage) == 0).await;
        assert_eq!(stage.memory.len(), 60);
    });
}
