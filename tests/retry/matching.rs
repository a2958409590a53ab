//! After which ends a task is tried again.

use soma::orchestration::{InvalidPolicy, failure_of};

use super::*;

fn codes(codes: &[&str]) -> Option<Vec<String>> {
    Some(codes.iter().map(|code| (*code).to_owned()).collect())
}

fn broken(code: &str, recoverable: bool) -> Value {
    json!([{"fail": {"code": code, "recoverable": recoverable}}])
}

/// How many attempts a task had whose attempts end with these steps, and how
/// the last one did.
async fn tried(stage: &Stage, policy: RetryPolicy, lists: Value) -> (usize, Answer) {
    let mut tap = Tap::on(&stage.tenant);
    let strategy = RetryStrategy {
        policy,
        ..patient()
    };
    let task = by_attempt(lists);
    let answer = stage.tenant.run_with_retry(task, &strategy).await.unwrap();
    (of_type(tap.seen(), Task).len(), answer)
}

#[test]
fn a_list_names_what_is_retried_by_its_code_recoverable_or_not() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let policy = RetryPolicy {
            retry_on: codes(&["RATE_LIMITED", "NEURON_PANIC"]),
            ..attempts(3)
        };
        let lists = json!([broken("RATE_LIMITED", false), [{"panic": "now and then"}], []]);
        let (tasks, answer) = tried(&stage, policy.clone(), lists).await;
        assert_eq!((tasks, answer.is_output()), (3, true));
        let lists = json!([broken("FLAKY", true), []]);
        let (tasks, answer) = tried(&stage, policy.clone(), lists).await;
        assert_eq!((tasks, &*error(&answer).code), (1, "FLAKY"));
        // The last one is the answer, recoverable or not.
        let lists = json!([broken("RATE_LIMITED", false)]);
        let (tasks, answer) = tried(&stage, policy, lists).await;
        assert_eq!((tasks, &*error(&answer).code), (3, "RATE_LIMITED"));
    });
}

#[test]
fn what_is_to_abort_on_is_not_retried_and_its_trace_is_not_stopped() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let policy = RetryPolicy {
            retry_on: codes(&["any"]),
            abort_on: codes(&["QUOTA"]),
            ..attempts(3)
        };
        let lists = json!([broken("BROKEN", false), broken("QUOTA", true), []]);
        let (tasks, answer) = tried(&stage, policy, lists).await;
        assert_eq!((tasks, &*error(&answer).code), (2, "QUOTA"));
        assert_eq!(tap.types(), [Task, Error, Stop, Stopped, Task, Error]);
    });
}

#[test]
fn a_timeout_is_one_whether_the_wait_ran_out_or_the_task() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let strategy = RetryStrategy {
            policy: RetryPolicy {
                retry_on: codes(&["timeout"]),
                ..attempts(4)
            },
            timeout: 2 * HOUR,
            ..RetryStrategy::default()
        };
        // Its own deadline comes first, then the wait's, as the gate's is none.
        let limits = Limits {
            wall: HOUR,
            ..unlimited()
        };
        let task = by_attempt(json!([[wait_at_gate()], broken("FLAKY", true)])).limits(limits);
        let clock = async {
            stage.gate.arrived(1).await;
            hand.wait_for_pending(2).await;
            hand.advance(HOUR);
        };
        let (answer, ()) = tokio::join!(stage.tenant.run_with_retry(task, &strategy), clock);
        assert_eq!(error(&answer.unwrap()).code, "FLAKY");
        let ends = of_type(tap.seen(), Error);
        let codes = ends.iter().map(|end| match &end.payload {
            Payload::Error(error) => error.code.clone(),
            _ => panic!(),
        });
        assert_eq!(codes.collect::<Vec<_>>(), ["NEURON_DEADLINE", "FLAKY"]);

        let impatient = RetryStrategy {
            timeout: HOUR,
            ..strategy
        };
        let task = by_attempt(json!([[wait_at_gate()], []])).limits(unlimited());
        let clock = async {
            stage.gate.arrived(2).await;
            hand.wait_for_pending(2).await;
            hand.advance(HOUR);
        };
        let (answer, ()) = tokio::join!(stage.tenant.run_with_retry(task, &impatient), clock);
        assert!(answer.unwrap().is_output());
    });
}

#[test]
fn a_timeout_that_no_list_names_is_raised() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for (retry_on, abort_on) in [(codes(&["closed"]), None), (None, codes(&["TIMEOUT"]))] {
            let strategy = RetryStrategy {
                policy: RetryPolicy {
                    retry_on,
                    abort_on,
                    ..attempts(3)
                },
                timeout: HOUR,
                ..RetryStrategy::default()
            };
            let arrivals = stage.gate.arrivals();
            let task = puppet(json!([wait_at_gate()])).limits(unlimited());
            let clock = async {
                stage.gate.arrived(arrivals + 1).await;
                hand.wait_for_pending(2).await;
                hand.advance(HOUR);
            };
            let (ended, ()) = tokio::join!(stage.tenant.run_with_retry(task, &strategy), clock);
            assert!(matches!(
                ended.unwrap_err(),
                RetryError::NotRetried(WaitError::Timeout { .. })
            ));
        }
        assert_eq!(stage.gate.arrivals(), 2);
    });
}

#[test]
fn a_decision_of_ones_own_can_build_on_what_failed_and_never_outvotes_abort_on() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let asked = Arc::new(Mutex::new(0));
        let asking = Arc::clone(&asked);
        let strategy = RetryStrategy {
            policy: RetryPolicy {
                // Its place is taken.
                retry_on: codes(&[]),
                abort_on: codes(&["QUOTA"]),
                ..attempts(9)
            },
            retry_if: Some(Arc::new(move |outcome| {
                *asking.lock() += 1;
                let bad = |answer: &Answer| answer.output().unwrap()["value"] == "bad";
                match failure_of(outcome) {
                    Some(failure) => failure.recoverable(),
                    None => outcome.as_ref().is_ok_and(bad),
                }
            })),
            ..patient()
        };
        let task = by_attempt(json!([
            broken("FLAKY", true),
            [{"output": {"value": "bad"}}],
            broken("QUOTA", true),
            [],
        ]));
        let answer = stage.tenant.run_with_retry(task, &strategy).await.unwrap();
        assert_eq!(error(&answer).code, "QUOTA");
        assert_eq!(of_type(tap.seen(), Task).len(), 3);
        assert_eq!(*asked.lock(), 2, "asked once for each end but the last");
    });
}

#[test]
fn an_invalid_policy_starts_nothing_and_tells_all_that_is_wrong_with_it() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let strategy = RetryStrategy {
            policy: RetryPolicy {
                multiplier: f64::NAN,
                jitter_factor: -1.0,
                ..attempts(0)
            },
            ..patient()
        };
        let task = by_attempt(json!([[]]));
        let refused = stage.tenant.run_with_retry(task, &strategy).await;
        let RetryError::Policy(InvalidPolicy { problems }) = refused.unwrap_err() else {
            panic!()
        };
        assert_eq!(problems.len(), 3);
        assert!(tap.seen().is_empty());
    });
}

#[test]
fn a_document_gives_a_policy_here_where_numbers_keep_their_digits() {
    let text = r#"{"strategy": "linear", "baseDelay": 0.5, "maxDelay": 6e4, "multiplier": 1.50}"#;
    let policy = RetryPolicy {
        strategy: Strategy::Linear,
        base_delay: Duration::from_micros(500),
        max_delay: Duration::from_secs(60),
        multiplier: 1.5,
        ..RetryPolicy::default()
    };
    assert_eq!(serde_json::from_str::<RetryPolicy>(text).unwrap(), policy);
    let value: Value = serde_json::from_str(text).unwrap();
    assert_eq!(
        serde_json::from_value::<RetryPolicy>(value).unwrap(),
        policy
    );
    let written = serde_json::to_value(&policy).unwrap();
    assert_eq!(
        serde_json::from_value::<RetryPolicy>(written).unwrap(),
        policy
    );
}
