//! Calls of an embedder's own, tried again by a policy.

use std::{
    cell::{Cell, RefCell},
    future::{Future, pending, ready},
};

use soma::{
    clock::{Clock, Random},
    orchestration::{Abandoned, Failed, GiveUp, retry},
};
use tokio::sync::oneshot;

use super::*;

/// How a call failed: its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Failure(&'static str);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl Failed for Failure {
    fn code(&self) -> &str {
        self.0
    }

    fn recoverable(&self) -> bool {
        self.0 != "BROKEN"
    }
}

const FLAKY: Failure = Failure("FLAKY");

type Ended = Result<u32, Abandoned<Failure>>;

fn exhausted(attempts: u32) -> Ended {
    Err(Abandoned::GaveUp {
        attempts,
        reason: GiveUp::Exhausted,
        last: FLAKY,
    })
}

fn cancelled(attempts: u32, last: Option<Failure>) -> Ended {
    Err(Abandoned::Cancelled { attempts, last })
}

/// Hours that double, without jitter.
fn hours(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        base_delay: HOUR,
        max_delay: 1_000 * HOUR,
        jitter_factor: 0.0,
        ..attempts(max_attempts)
    }
}

fn virtual_clock() -> (Clock, VirtualClock) {
    Clock::virtual_at(common::start())
}

/// A clock that stands still for as long as the call is made.
async fn at_once<F: Future<Output = Result<u32, Failure>>>(
    policy: RetryPolicy,
    cancel: impl Future<Output = ()>,
    call: impl FnMut(u32) -> F,
) -> Ended {
    let (clock, _hand) = virtual_clock();
    retry(&policy, &clock, &Random::seeded(1), cancel, call).await
}

#[test]
fn a_call_is_made_until_it_succeeds_with_its_number_from_1() {
    let calls = RefCell::new(Vec::new());
    let done = at_once(attempts(5), pending(), |attempt| {
        calls.borrow_mut().push(attempt);
        ready(if attempt == 3 {
            Ok(attempt)
        } else {
            Err(FLAKY)
        })
    });
    assert_eq!(done.now_or_never(), Some(Ok(3)));
    assert_eq!(*calls.borrow(), [1, 2, 3]);
}

#[test]
fn without_a_wait_no_timer_is_set_and_the_last_failure_is_told() {
    let done = at_once(attempts(100), pending(), |_| ready(Err(FLAKY)));
    let ended = done.now_or_never();
    assert_eq!(ended, Some(exhausted(100)));
    assert_eq!(
        ended.unwrap().unwrap_err().to_string(),
        "gave up at attempt 100, no attempts are left: FLAKY"
    );
}

#[test]
fn a_failure_that_is_not_to_be_retried_is_told_at_once() {
    let policy = RetryPolicy {
        abort_on: Some(vec!["QUOTA".to_owned()]),
        ..hours(3)
    };
    for (code, reason) in [("BROKEN", GiveUp::NotRetried), ("QUOTA", GiveUp::AbortOn)] {
        let done = at_once(policy.clone(), pending(), |_| ready(Err(Failure(code))));
        let expected = Abandoned::GaveUp {
            attempts: 1,
            reason,
            last: Failure(code),
        };
        assert_eq!(done.now_or_never(), Some(Err(expected)));
    }
}

#[test]
fn a_failure_that_calls_itself_an_abort_is_retried_like_any_other() {
    let done = at_once(attempts(2), pending(), |attempt| {
        ready(if attempt == 1 {
            Err(Failure("ABORTED"))
        } else {
            Ok(attempt)
        })
    });
    assert_eq!(done.now_or_never(), Some(Ok(2)));
}

#[test]
fn an_invalid_policy_makes_no_call() {
    let done = at_once(attempts(0), pending(), |_| -> std::future::Ready<_> {
        panic!("called")
    });
    assert_eq!(
        done.now_or_never().unwrap().unwrap_err().to_string(),
        "the retry policy is invalid: maxAttempts: 0 attempts make no call; use 1 or more"
    );
}

#[tokio::test]
async fn hours_of_backoff_pass_in_no_time_on_a_virtual_clock_and_none_follows_the_last_failure() {
    let (clock, hand) = virtual_clock();
    let policy = hours(6);
    let random = Random::seeded(1);
    let retried = retry(&policy, &clock, &random, pending(), |_| {
        ready(Err::<u32, _>(FLAKY))
    });
    let hand_of_the_clock = async {
        let mut waits = Vec::new();
        for _ in 1..6 {
            hand.wait_for_pending(1).await;
            waits.push(hand.advance_to_next().unwrap());
        }
        waits
    };
    let (ended, waits) = tokio::join!(retried, hand_of_the_clock);
    assert_eq!(ended, exhausted(6));
    assert_eq!(waits, [1, 2, 4, 8, 16].map(|hours| hours * HOUR));
    assert_eq!(hand.pending(), 0);
}

/// The waits of a policy with jitter, drawn from this seed.
async fn waits(policy: &RetryPolicy, seed: u64) -> Vec<Duration> {
    let (clock, hand) = virtual_clock();
    let random = Random::seeded(seed);
    let mut waits = Vec::new();
    let retried = retry(policy, &clock, &random, pending(), |_| {
        ready(Err::<u32, _>(FLAKY))
    });
    let hand_of_the_clock = async {
        loop {
            hand.wait_for_pending(1).await;
            waits.push(hand.advance_to_next().unwrap());
        }
    };
    tokio::select! {
        _ = retried => waits,
        () = hand_of_the_clock => panic!(),
    }
}

#[tokio::test]
async fn a_seed_repeats_the_jitter_and_one_policy_serves_many_at_a_time() {
    let policy = RetryPolicy {
        jitter_factor: 0.5,
        strategy: Strategy::Constant,
        ..hours(50)
    };
    let alone = waits(&policy, 7).await;
    assert_eq!(alone.len(), 49);
    assert!(
        alone
            .iter()
            .all(|wait| (HOUR / 2..HOUR * 3 / 2).contains(wait)),
        "{alone:?}"
    );
    assert!(alone.iter().any(|wait| *wait < HOUR) && alone.iter().any(|wait| *wait > HOUR));
    let (again, other) = tokio::join!(waits(&policy, 7), waits(&policy, 8));
    assert_eq!(again, alone);
    assert_ne!(other, alone);
}

#[test]
fn what_is_cancelled_beforehand_is_never_called() {
    let done = at_once(attempts(3), ready(()), |_| -> std::future::Ready<_> {
        panic!("called")
    });
    let ended = done.now_or_never().unwrap();
    assert_eq!(ended, cancelled(0, None));
    assert_eq!(ended.unwrap_err().to_string(), "cancelled after 0 attempts");
}

#[tokio::test]
async fn a_cancel_during_a_backoff_ends_it_at_once_and_nothing_is_called_behind_it() {
    let (clock, hand) = virtual_clock();
    let (cancel, cancelling) = oneshot::channel::<()>();
    let policy = hours(5);
    let random = Random::seeded(1);
    let calls = Cell::new(0);
    let retried = retry(&policy, &clock, &random, cancelling.map(drop), |attempt| {
        calls.set(attempt);
        ready(Err::<u32, _>(FLAKY))
    });
    let canceller = async {
        hand.wait_for_pending(1).await;
        hand.advance(HOUR);
        // The first backoff is over, the second has begun.
        while calls.get() < 2 {
            tokio::task::yield_now().await;
        }
        hand.wait_for_pending(1).await;
        cancel.send(()).unwrap();
    };
    let (ended, ()) = tokio::join!(retried, canceller);
    assert_eq!(ended, cancelled(2, Some(FLAKY)));
    assert_eq!(hand.pending(), 0);
    hand.advance(1_000 * HOUR);
    tokio::task::yield_now().await;
    assert_eq!(calls.get(), 2);
}

/// What becomes of a call that ends so after it was cancelled.
async fn cancelled_under_way(policy: RetryPolicy, end: Result<u32, Failure>) -> (Ended, u32) {
    let (cancel, cancelling) = oneshot::channel::<()>();
    let mut cancel = Some(cancel);
    let mut calls = 0;
    let ended = at_once(policy, cancelling.map(drop), |_| {
        calls += 1;
        let cancel = cancel.take();
        async move {
            cancel.unwrap().send(()).unwrap();
            tokio::task::yield_now().await;
            end
        }
    })
    .await;
    (ended, calls)
}

#[tokio::test]
async fn a_call_that_succeeds_while_it_is_cancelled_gives_its_value() {
    assert_eq!(cancelled_under_way(attempts(3), Ok(7)).await, (Ok(7), 1));
}

#[tokio::test]
async fn a_call_that_fails_while_it_is_cancelled_is_not_made_again() {
    for policy in [attempts(3), hours(3)] {
        assert_eq!(
            cancelled_under_way(policy, Err(FLAKY)).await,
            (cancelled(1, Some(FLAKY)), 1)
        );
    }
}

#[tokio::test]
async fn an_end_that_comes_without_the_cancel_is_told_as_what_it_is() {
    assert_eq!(
        cancelled_under_way(attempts(1), Err(FLAKY)).await,
        (exhausted(1), 1)
    );
    let (ended, _) = cancelled_under_way(hours(3), Err(Failure("BROKEN"))).await;
    assert_eq!(ended.unwrap_err().into_last(), Some(Failure("BROKEN")));
}

#[tokio::test]
async fn a_retry_that_is_dropped_leaves_no_timer() {
    let (clock, hand) = virtual_clock();
    let policy = hours(3);
    let random = Random::seeded(1);
    let retried = retry(&policy, &clock, &random, pending(), |_| {
        ready(Err::<u32, _>(FLAKY))
    });
    let mut retried = Box::pin(retried);
    assert!(retried.as_mut().now_or_never().is_none());
    assert_eq!(hand.pending(), 1);
    drop(retried);
    assert_eq!(hand.pending(), 0);
}

#[test]
fn a_call_can_be_made_from_a_hosts_own_runtime_and_on_its_clock() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let tenant = stage.tenant.clone();
        let policy = hours(2);
        let task = |attempt| {
            let steps = json!([{"output": {"value": attempt}}]);
            let call = tenant.dispatch_and_wait(puppet(steps), LONG);
            async move {
                let answer = call.await.map_err(|_| Failure("BROKEN"))?;
                let value = answer.output().unwrap()["value"].as_u64();
                if value == Some(1) { Err(FLAKY) } else { Ok(2) }
            }
        };
        let retried = retry(&policy, tenant.clock(), tenant.random(), pending(), task);
        let clock = async {
            while hand.advance_to_next() != Some(HOUR) {
                tokio::task::yield_now().await;
            }
        };
        let (ended, ()) = tokio::join!(retried, clock);
        assert_eq!(ended, Ok(2));
    });
}
