//! The policy as its users see it: the reference's formulas and edge cases.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking"
)]

#[path = "policy/decisions.rs"]
mod decisions;
#[path = "policy/delays.rs"]
mod delays;
#[cfg(feature = "serde")]
#[path = "policy/documents.rs"]
mod documents;
#[path = "policy/problems.rs"]
mod problems;

use std::time::Duration;

use soma_retry::{Decision, Failed, GiveUp, InvalidPolicy, Problem, RetryPolicy, Strategy};

const STRATEGIES: [Strategy; 4] = [
    Strategy::Constant,
    Strategy::Linear,
    Strategy::Exponential,
    Strategy::DecorrelatedJitter,
];

const SECOND: Duration = Duration::from_secs(1);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A failure with this code.
struct Failure(&'static str, bool);

impl Failed for Failure {
    fn code(&self) -> &str {
        self.0
    }

    fn recoverable(&self) -> bool {
        self.1
    }
}

fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn the_defaults_are_the_references() {
    let RetryPolicy {
        max_attempts,
        strategy,
        base_delay,
        max_delay,
        multiplier,
        jitter_factor,
        retry_on,
        abort_on,
    } = RetryPolicy::default();
    assert_eq!((max_attempts, strategy), (3, Strategy::Exponential));
    assert_eq!((base_delay, max_delay), (ms(1_000), ms(30_000)));
    assert_eq!((multiplier, jitter_factor), (2.0, 0.1));
    assert_eq!((retry_on, abort_on), (None, None));
    assert_eq!(RetryPolicy::default().validate(), Ok(()));
}

#[test]
fn the_immediate_policy_is_the_default_without_waits() {
    let immediate = RetryPolicy::immediate();
    assert_eq!(immediate.base_delay, Duration::ZERO);
    let waiting = RetryPolicy {
        base_delay: SECOND,
        ..immediate
    };
    assert_eq!(waiting, RetryPolicy::default());
}
