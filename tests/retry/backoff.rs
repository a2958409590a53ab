//! How long a retry waits between attempts.

use super::*;

/// Runs three failing attempts and returns how long each backoff waited.
async fn backoffs(stage: &Stage, hand: &VirtualClock, strategy: RetryStrategy) -> Vec<Duration> {
    let mut tap = Tap::on(&stage.tenant);
    let task = by_attempt(json!([fails()]));
    let attempts = strategy.policy.max_attempts;
    let clock = async {
        let mut waits = Vec::new();
        for _ in 1..attempts {
            // Nothing of an attempt is left once it has stopped: what waits
            // next is the backoff.
            tap.next(Stopped).await;
            hand.wait_for_pending(1).await;
            assert_eq!(hand.pending(), 1);
            waits.push(hand.advance_to_next().unwrap());
        }
        waits
    };
    let (answer, waits) = tokio::join!(stage.tenant.run_with_retry(task, &strategy), clock);
    assert!(answer.unwrap().is_error());
    waits
}

#[test]
fn backoffs_wait_on_the_clock_between_attempts_as_their_formulas_say() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let with = |strategy, max_delay| RetryStrategy {
            policy: RetryPolicy {
                max_attempts: 5,
                strategy,
                base_delay: HOUR,
                max_delay,
                jitter_factor: 0.0,
                ..RetryPolicy::default()
            },
            ..patient()
        };
        let constant = with(Strategy::Constant, 100 * HOUR);
        assert_eq!(backoffs(&stage, &hand, constant).await, [HOUR; 4]);
        let linear = with(Strategy::Linear, 100 * HOUR);
        let waits = backoffs(&stage, &hand, linear).await;
        assert_eq!(waits, [HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR]);
        let exponential = with(Strategy::Exponential, 100 * HOUR);
        let waits = backoffs(&stage, &hand, exponential).await;
        assert_eq!(waits, [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR]);
        let capped = with(Strategy::Exponential, 3 * HOUR);
        let waits = backoffs(&stage, &hand, capped).await;
        assert_eq!(waits, [HOUR, 2 * HOUR, 3 * HOUR, 3 * HOUR]);
    });
}

#[test]
fn jittered_backoffs_stay_in_their_bounds_and_a_seed_repeats_them() {
    let waits = || {
        let (host, hand) = virtual_host();
        let stage = Stage::new(&host, "acme");
        run(&host, async move {
            let strategy = RetryStrategy {
                policy: RetryPolicy {
                    max_attempts: 8,
                    strategy: Strategy::DecorrelatedJitter,
                    base_delay: HOUR,
                    max_delay: 100 * HOUR,
                    ..RetryPolicy::default()
                },
                ..patient()
            };
            backoffs(&stage, &hand, strategy).await
        })
    };
    let first = waits();
    assert!(
        first.iter().all(|wait| (HOUR..3 * HOUR).contains(wait)),
        "{first:?}"
    );
    assert!(first.iter().any(|wait| *wait != first[0]), "{first:?}");
    assert_eq!(first, waits());
}
