//! Retry: attempts that never overlap, with the references' semantics.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "retry/backoff.rs"]
mod backoff;
mod common;
#[path = "retry/inside.rs"]
mod inside;
#[path = "retry/matching.rs"]
mod matching;
#[path = "retry/one_trace.rs"]
mod one_trace;
#[path = "retry/own_calls.rs"]
mod own_calls;

use std::{sync::Arc, time::Duration};

use common::{
    LONG, Stage, Tap, append, contents, error, host, puppet, run, said, virtual_host, wait_at_gate,
};
use futures_util::FutureExt;
use parking_lot::Mutex;
use serde_json::{Value, json};
use soma::{
    clock::VirtualClock,
    neuron::Limits,
    orchestration::{
        Access, Answer, Dispatch, DispatchError, Neuron, RetryError, RetryPolicy, RetryStrategy,
        StopOptions, Strategy, WaitError,
    },
    signal::{Payload, Signal, SignalType, TraceId},
};

use SignalType::{AgentOutput, Clarification, Error, Final, Permission, Stop, Stopped, Task};

const HOUR: Duration = Duration::from_secs(3_600);

fn unlimited() -> Limits {
    Limits {
        fuel: u64::MAX,
        wall: LONG,
        ..Limits::default()
    }
}

/// A strategy whose attempts never time out.
fn patient() -> RetryStrategy {
    RetryStrategy {
        timeout: LONG,
        ..RetryStrategy::default()
    }
}

/// So many attempts, one right after the other.
fn attempts(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        ..RetryPolicy::immediate()
    }
}

/// A task that does another list of steps at each attempt.
fn by_attempt(lists: Value) -> Dispatch {
    puppet(json!([{ "by_attempt": lists }])).limits(unlimited())
}

fn fails() -> Value {
    json!([{"fail": {"code": "FLAKY", "recoverable": true}}])
}

fn of_type(signals: &[Arc<Signal>], kind: SignalType) -> Vec<Arc<Signal>> {
    let matching = signals.iter().filter(|signal| signal.signal_type() == kind);
    matching.cloned().collect()
}

fn last_wait(error: &RetryError) -> &WaitError {
    match error {
        RetryError::Exhausted { last, .. } => last,
        other => panic!("not exhausted but {other:?}"),
    }
}

#[test]
fn the_default_strategy_is_the_references() {
    let strategy = RetryStrategy::default();
    assert_eq!(strategy.policy, RetryPolicy::immediate());
    assert_eq!(strategy.policy.max_attempts, 3);
    assert_eq!(strategy.timeout, Duration::from_secs(30));
    assert!(strategy.new_trace && !strategy.rollback_on_retry);
    assert!(strategy.retry_if.is_none() && strategy.on_retry.is_none());
    assert_eq!(&*strategy.reason, "retry");
}

#[test]
fn each_attempt_is_a_task_on_a_fresh_trace_with_its_number_from_0_and_the_same_parent() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let parent = stage.tenant.ids().signal();
        let named = stage.tenant.ids().trace();
        let task = by_attempt(json!([fails(), fails(), []]))
            .parent(parent.clone())
            .on_trace(named.clone());
        let answer = stage.tenant.run_with_retry(task, &patient()).await.unwrap();
        assert_eq!(answer.output().unwrap()["task"]["attempt"], 2);
        let tasks = of_type(tap.seen(), Task);
        let attempts: Vec<_> = tasks
            .iter()
            .map(|task| task.meta["attempt"].clone())
            .collect();
        assert_eq!(attempts, [json!(0), json!(1), json!(2)]);
        assert!(
            tasks
                .iter()
                .all(|task| task.parent_id == Some(parent.clone()))
        );
        let mut traces: Vec<_> = tasks.iter().map(|task| task.trace_id.clone()).collect();
        traces.push(named);
        traces.sort();
        traces.dedup();
        assert_eq!(traces.len(), 4, "a trace was used twice");
    });
}

#[test]
fn the_next_attempt_starts_only_when_the_last_one_has_stopped() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let task =
            by_attempt(json!([["spin"], [{"sleep": u64::MAX}], [wait_at_gate()], fails(), []]));
        let strategy = RetryStrategy {
            policy: attempts(5),
            ..RetryStrategy::default()
        };
        let clock = async {
            // Of each stuck attempt: the wait's timer, the task's deadline, and
            // its own sleep if it sleeps.
            for (attempt, timers) in [2, 3, 2].into_iter().enumerate() {
                while tap.next(Task).await.meta["attempt"] != attempt {}
                hand.wait_for_pending(timers).await;
                hand.advance(Duration::from_secs(30));
            }
        };
        let (answer, ()) = tokio::join!(stage.tenant.run_with_retry(task, &strategy), clock);
        assert!(answer.unwrap().is_output());
        let order = tap.types();
        assert_eq!(
            order,
            [
                [Task, Stop, Stopped].as_slice(),
                &[Task, Stop, Stopped],
                &[Task, Stop, Stopped],
                &[Task, Error, Stop, Stopped],
                &[Task, AgentOutput],
            ]
            .concat()
        );
        let stops = of_type(tap.seen(), Stopped);
        let cancelled: Vec<_> = stops
            .iter()
            .map(|stop| match &stop.payload {
                Payload::Stopped(ack) => ack.cancelled,
                _ => panic!(),
            })
            .collect();
        assert_eq!(cancelled, [1, 1, 1, 0]);
        assert_eq!(hand.pending(), 0);
    });
}

#[test]
fn on_retry_is_told_each_failed_attempt_from_0_but_the_last() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let strategy = RetryStrategy {
            on_retry: Some(Arc::new(move |attempt, outcome| {
                let code = error(outcome.as_ref().unwrap()).code.clone();
                telling.lock().push((attempt, code));
            })),
            ..patient()
        };
        let task = by_attempt(json!([fails()]));
        let answer = stage.tenant.run_with_retry(task, &strategy).await.unwrap();
        assert_eq!(error(&answer).code, "FLAKY");
        let flaky = "FLAKY".to_owned();
        assert_eq!(*told.lock(), [(0, flaky.clone()), (1, flaky)]);
    });
}

#[test]
fn a_recoverable_error_of_the_last_attempt_is_the_answer_and_every_attempt_was_stopped() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let task = by_attempt(json!([fails()]));
        let answer = stage.tenant.run_with_retry(task, &patient()).await.unwrap();
        assert!(error(&answer).recoverable);
        assert_eq!(tap.types(), [Task, Error, Stop, Stopped].repeat(3));
    });
}

#[test]
fn timeouts_to_the_end_raise_the_last_one_and_every_attempt_was_stopped() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let strategy = RetryStrategy {
            policy: attempts(2),
            timeout: Duration::from_millis(500),
            ..RetryStrategy::default()
        };
        let task = puppet(json!([wait_at_gate()])).limits(unlimited());
        let clock = async {
            for _ in 0..2 {
                tap.next(Task).await;
                hand.wait_for_pending(2).await;
                hand.advance(Duration::from_millis(500));
            }
        };
        let (answer, ()) = tokio::join!(stage.tenant.run_with_retry(task, &strategy), clock);
        let error = answer.unwrap_err();
        let traces: Vec<_> = of_type(tap.seen(), Task)
            .iter()
            .map(|s| s.trace_id.clone())
            .collect();
        assert_eq!(
            *last_wait(&error),
            WaitError::Timeout {
                trace: traces[1].clone(),
                timeout: strategy.timeout
            }
        );
        assert_eq!(
            error.to_string(),
            format!(
                "gave up after 2 attempts: no reply on {} within 500 ms",
                traces[1]
            )
        );
        assert_eq!(tap.types(), [Task, Stop, Stopped].repeat(2));
        assert_eq!(stage.gate.inside(), 0);
    });
}

#[test]
fn what_is_no_passing_trouble_is_answered_at_once() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        for (kind, steps) in [
            (Error, json!([{"fail": {"code": "BROKEN"}}])),
            (Error, json!([{"panic": "broken"}])),
            (Clarification, json!([{"clarify": {"question": "?"}}])),
            (
                Permission,
                json!([{"ask_leave": {"action": "a", "scope": {}, "reason": "r"}}]),
            ),
            (AgentOutput, json!([])),
        ] {
            let task = puppet(steps);
            let answer = stage.tenant.run_with_retry(task, &patient()).await.unwrap();
            assert_eq!(answer.signal.signal_type(), kind);
            assert_eq!(tap.types_on(&answer.signal.trace_id), [Task, kind]);
        }
    });
}

#[test]
fn an_attempt_that_is_stopped_from_outside_is_tried_again() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let task = by_attempt(json!([[wait_at_gate()], []]));
        let strategy = patient();
        let operator = async {
            let trace = tap.next(Task).await.trace_id.clone();
            stage.gate.arrived(1).await;
            stage
                .tenant
                .stop_trace(&trace, StopOptions::default())
                .await
        };
        let retried = stage.tenant.run_with_retry(task, &strategy);
        let (answer, acks) = tokio::join!(retried, operator);
        assert!(answer.unwrap().is_output());
        assert_eq!(acks[0].cancelled, 1);
        // The retry's own STOP joins the operator's.
        assert_eq!(tap.types(), [Task, Stop, Stopped, Task, AgentOutput]);
    });
}

#[test]
fn no_attempt_at_all_is_refused_and_one_attempt_is_one() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let strategy = |max_attempts| RetryStrategy {
            policy: attempts(max_attempts),
            ..patient()
        };
        let task = by_attempt(json!([fails()]));
        let refused = stage
            .tenant
            .run_with_retry(task.clone(), &strategy(0))
            .await;
        let refused = refused.unwrap_err();
        assert!(matches!(refused, RetryError::Policy(_)));
        assert_eq!(
            refused.to_string(),
            "the retry policy is invalid: maxAttempts: 0 attempts make no call; use 1 or more"
        );
        assert!(tap.seen().is_empty());
        let once = stage
            .tenant
            .run_with_retry(task, &strategy(1))
            .await
            .unwrap();
        assert!(once.is_error());
        assert_eq!(tap.types(), [Task, Error, Stop, Stopped]);
    });
}

#[test]
fn the_strategy_decides_what_is_tried_again() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let until_good = RetryStrategy {
            retry_if: Some(Arc::new(|outcome| match outcome {
                Ok(answer) => answer
                    .output()
                    .is_some_and(|output| output["value"] == "bad"),
                Err(_) => false,
            })),
            ..patient()
        };
        let task = by_attempt(json!([
            [{"output": {"value": "bad"}}], [{"output": {"value": "good"}}]]));
        let answer = stage
            .tenant
            .run_with_retry(task, &until_good)
            .await
            .unwrap();
        assert_eq!(answer.output().unwrap()["value"], "good");
        assert_eq!(
            tap.types(),
            [Task, AgentOutput, Stop, Stopped, Task, AgentOutput]
        );

        // A timeout that is not retried is raised, and its task goes on.
        let task = puppet(json!([wait_at_gate(), append("done")])).limits(unlimited());
        let limited = RetryStrategy {
            timeout: HOUR,
            ..until_good
        };
        let retried = stage.tenant.run_with_retry(task, &limited);
        let clock = async {
            hand.wait_for_pending(2).await;
            hand.advance(HOUR);
        };
        let (raised, ()) = tokio::join!(retried, clock);
        assert!(matches!(
            raised.unwrap_err(),
            RetryError::NotRetried(WaitError::Timeout { .. })
        ));
        assert_eq!(stage.gate.inside(), 1);
        stage.gate.open();
        common::until(|| stage.memory.len() == 1).await;
    });
}

#[test]
fn rollback_on_retry_undoes_a_failed_attempt_before_the_next_one_starts() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let wrote =
            |what: &str| json!([append(what), {"fail": {"code": "F", "recoverable": true}}]);
        // The last attempt tells what it finds before it writes itself.
        let task = || {
            by_attempt(json!([
                wrote("first"),
                wrote("second"),
                [{"recall": {"from": "memory"}}, append("third")],
            ]))
        };
        let rolling_back = RetryStrategy {
            rollback_on_retry: true,
            ..patient()
        };
        let answer = stage
            .tenant
            .run_with_retry(task(), &rolling_back)
            .await
            .unwrap();
        assert_eq!(said(&answer)[0]["hits"], json!([]));
        assert_eq!(contents(&stage.memory).await, [json!("third")]);
        assert_eq!(stage.tenant.tenant().journal_held(), 0);

        let answer = stage
            .tenant
            .run_with_retry(task(), &patient())
            .await
            .unwrap();
        let found = &said(&answer)[0]["hits"];
        assert_eq!(*found, json!(["third", "first", "second"]));
        assert_eq!(stage.memory.len(), 4);
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
        common::until(|| stage.tenant.traces().is_empty()).await;
    });
}

#[test]
fn the_stop_of_an_attempt_says_why() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let strategy = |reason: &str, rollback_on_retry| RetryStrategy {
            policy: attempts(1),
            reason: reason.into(),
            rollback_on_retry,
            ..patient()
        };
        for strategy in [strategy("retry", false), strategy("impatience", true)] {
            let task = by_attempt(json!([fails()]));
            drop(stage.tenant.run_with_retry(task, &strategy).await.unwrap());
        }
        let stops = of_type(tap.seen(), Stop);
        let payloads: Vec<_> = stops
            .iter()
            .map(|stop| Value::Object(stop.payload.to_object()))
            .collect();
        assert_eq!(
            payloads,
            [
                json!({"rollback": false, "reason": "retry"}),
                json!({"rollback": true, "reason": "impatience"}),
            ]
        );
    });
}

#[test]
fn an_attempt_that_cannot_start_ends_the_retry_with_the_reason() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let tenant = stage.tenant.clone();
        let strategy = RetryStrategy {
            on_retry: Some(Arc::new(move |_, _| {
                tenant.deregister("puppet");
            })),
            ..patient()
        };
        let task = by_attempt(json!([fails()]));
        let ended = stage
            .tenant
            .run_with_retry(task, &strategy)
            .await
            .unwrap_err();
        assert!(matches!(
            ended,
            RetryError::Dispatch(DispatchError::Unroutable { .. })
        ));
    });
}

#[test]
fn a_retried_success_is_committed_and_its_trace_forgotten() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let task = by_attempt(json!([fails(), [append("done")]]));
        let answer = stage.tenant.run_with_retry(task, &patient()).await.unwrap();
        assert_eq!(stage.tenant.tenant().journal_held(), 0);
        common::until(|| stage.tenant.traces().is_empty()).await;
        let trace = &answer.signal.trace_id;
        let acks = stage
            .tenant
            .stop_trace(trace, StopOptions::rollback())
            .await;
        assert!(acks.is_empty());
        assert_eq!(contents(&stage.memory).await, [json!("done")]);
    });
}

#[test]
fn in_terminal_scope_the_answer_of_a_retry_is_the_final() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let task = by_attempt(json!([fails(), []])).terminal();
        let answer = stage.tenant.run_with_retry(task, &patient()).await.unwrap();
        assert_eq!(answer.signal.signal_type(), Final);
    });
}
