//! Trying a call again, from inside a neuron.
//!
//! How often, after which wait and after which failures is a [`RetryPolicy`]'s
//! to say. Its waits are slept through the host's clock and its jitter is drawn
//! from the host's randomness, so STOP ends a retry in the middle of a wait and
//! a test repeats it exactly.

use std::time::Duration;

use soma_retry::{Decision, Failed, InvalidPolicy, RetryPolicy};

use crate::{Failure, clock, random};

/// Makes a call until it succeeds, as the policy says. The call gets the number
/// of the attempt, counted from 1.
///
/// ```no_run
/// use std::time::Duration;
/// use soma_neuron::{RetryPolicy, retry};
/// use soma_neuron::engram::{Binding, Error, Query};
///
/// # fn main() -> Result<(), Error> {
/// let memory = Binding::new("memory");
/// let policy = RetryPolicy { base_delay: Duration::from_millis(20), ..RetryPolicy::default() };
/// let found = retry(&policy, |_| memory.recall(Query::new().text("soma")))?;
/// # drop(found);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// The error of the last attempt; of an invalid policy, with which no call is
/// made, what that becomes.
pub fn retry<T, E>(policy: &RetryPolicy, call: impl FnMut(u32) -> Result<T, E>) -> Result<T, E>
where
    E: Failed + From<InvalidPolicy>,
{
    retry_with(policy, random::unit, clock::sleep, call)
}

fn retry_with<T, E>(
    policy: &RetryPolicy,
    mut unit: impl FnMut() -> f64,
    mut sleep: impl FnMut(Duration),
    mut call: impl FnMut(u32) -> Result<T, E>,
) -> Result<T, E>
where
    E: Failed + From<InvalidPolicy>,
{
    policy.validate()?;
    let mut attempt = 1;
    loop {
        let failed = match call(attempt) {
            Ok(value) => return Ok(value),
            Err(failed) => failed,
        };
        match policy.decide(attempt, &failed, &mut unit) {
            Decision::Retry { after } if after.is_zero() => {}
            Decision::Retry { after } => sleep(after),
            Decision::GiveUp(_) => return Err(failed),
        }
        attempt += 1;
    }
}

impl Failed for Failure {
    fn code(&self) -> &str {
        &self.code
    }

    fn recoverable(&self) -> bool {
        self.recoverable
    }
}

impl From<InvalidPolicy> for Failure {
    fn from(invalid: InvalidPolicy) -> Self {
        Self::new("INVALID_RETRY_POLICY", invalid.to_string())
    }
}

#[cfg(test)]
mod tests {
    use soma_retry::Strategy;

    use super::*;

    /// 100 ms, 200 ms, 300 ms, ..
    fn linear(max_attempts: u32) -> RetryPolicy {
        RetryPolicy {
            max_attempts,
            strategy: Strategy::Linear,
            base_delay: Duration::from_millis(100),
            jitter_factor: 0.0,
            ..RetryPolicy::default()
        }
    }

    /// Tries a call again that ends with these codes, one an attempt and the
    /// last one for ever; tells its end, and what was slept.
    fn tried(policy: &RetryPolicy, codes: &[&str]) -> (Result<u32, String>, Vec<u128>) {
        let mut slept = Vec::new();
        let ended = retry_with(
            policy,
            || 0.5,
            |delay| slept.push(delay.as_millis()),
            |attempt| {
                let place = usize::try_from(attempt - 1).unwrap_or(usize::MAX);
                match codes.get(place).or(codes.last()).copied() {
                    None | Some("") => Ok(attempt),
                    Some("BROKEN") => Err(Failure::new("BROKEN", "m")),
                    Some(code) => Err(Failure::new(code, "m").recoverable()),
                }
            },
        );
        (ended.map_err(|failure| failure.code), slept)
    }

    fn failed(code: &str) -> Result<u32, String> {
        Err(code.to_owned())
    }

    #[test]
    fn a_call_is_made_until_it_succeeds_with_its_number_from_1() {
        assert_eq!(tried(&linear(5), &[""]), (Ok(1), vec![]));
        let ended = tried(&linear(5), &["FLAKY", "FLAKY", ""]);
        assert_eq!(ended, (Ok(3), vec![100, 200]));
    }

    #[test]
    fn the_last_failure_is_returned_after_max_attempts_with_no_sleep_behind_it() {
        let ended = tried(&linear(3), &["FLAKY", "FLAKY", "LAST", ""]);
        assert_eq!(ended, (failed("LAST"), vec![100, 200]));
    }

    #[test]
    fn what_the_policy_does_not_retry_ends_it() {
        let ended = tried(&linear(5), &["FLAKY", "BROKEN"]);
        assert_eq!(ended, (failed("BROKEN"), vec![100]));
        let policy = RetryPolicy {
            retry_on: Some(vec!["BROKEN".to_owned()]),
            ..linear(5)
        };
        let ended = tried(&policy, &["BROKEN", "FLAKY"]);
        assert_eq!(ended, (failed("FLAKY"), vec![100]));
        let policy = RetryPolicy {
            abort_on: Some(vec!["QUOTA".to_owned()]),
            ..linear(5)
        };
        let ended = tried(&policy, &["FLAKY", "QUOTA", ""]);
        assert_eq!(ended, (failed("QUOTA"), vec![100]));
    }

    #[test]
    fn no_wait_is_not_slept() {
        let ended = tried(&RetryPolicy::immediate(), &["FLAKY"]);
        assert_eq!(ended, (failed("FLAKY"), vec![]));
    }

    #[test]
    fn an_invalid_policy_makes_no_call() {
        let mut calls = 0;
        let ended = retry_with(
            &linear(0),
            || 0.5,
            |_| {},
            |attempt| {
                calls = attempt;
                Ok::<u32, Failure>(attempt)
            },
        );
        let failure = Failure::new(
            "INVALID_RETRY_POLICY",
            "the retry policy is invalid: maxAttempts: 0 attempts make no call; use 1 or more",
        );
        assert_eq!((ended, calls), (Err(failure), 0));
    }
}
