//! Trying a call again, from inside a neuron.
//!
//! The delays are Dagonizer's four backoff strategies. They are slept through
//! the host's clock and drawn from the host's randomness, so STOP ends a retry
//! in the middle of a wait and a test repeats it exactly.

use std::time::Duration;

use crate::{clock, random};

/// How the delay grows with the number of the attempt that failed, `n`,
/// counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// `base`
    Constant,
    /// `base × n`
    Linear,
    /// `base × multiplier^(n-1)`
    Exponential,
    /// Uniform in `[base, 3 × base)`, whatever the delay before was.
    DecorrelatedJitter,
}

/// How often to try, and how long to wait in between.
///
/// ```no_run
/// use std::time::Duration;
/// use soma_neuron::Retry;
/// use soma_neuron::engram::{Binding, Error, Query};
///
/// # fn main() -> Result<(), Error> {
/// let memory = Binding::new("memory");
/// let retry = Retry { base: Duration::from_millis(20), ..Retry::default() };
/// let found = retry.run_if(Error::is_transient, |_| memory.recall(Query::new().text("soma")))?;
/// # drop(found);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// How often the call is made at most; 0 counts as 1. Default 3.
    pub max_attempts: u32,
    /// Default [`Strategy::Exponential`].
    pub strategy: Strategy,
    /// Default 1 s.
    pub base: Duration,
    /// Upper bound of one delay, applied last. Default 30 s.
    pub max_delay: Duration,
    /// Growth per attempt of the exponential strategy. Default 2.
    pub multiplier: f64,
    /// Each delay but the decorrelated one is changed by up to this share of
    /// itself, either way. Default 0.1.
    pub jitter_factor: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            strategy: Strategy::Exponential,
            base: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            multiplier: 2.0,
            jitter_factor: 0.1,
        }
    }
}

impl Retry {
    /// Makes the call until it succeeds, whatever its error. The call gets the
    /// number of the attempt, counted from 1.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run<T, E>(&self, call: impl FnMut(u32) -> Result<T, E>) -> Result<T, E> {
        self.run_if(|_| true, call)
    }

    /// As [`run`](Self::run), but gives up at the first error that `retry_if`
    /// says no to.
    ///
    /// # Errors
    ///
    /// The error of the last attempt.
    pub fn run_if<T, E>(
        &self,
        retry_if: impl Fn(&E) -> bool,
        call: impl FnMut(u32) -> Result<T, E>,
    ) -> Result<T, E> {
        self.run_with(&mut random::unit, &mut clock::sleep, retry_if, call)
    }

    fn run_with<T, E>(
        &self,
        unit: &mut dyn FnMut() -> f64,
        sleep: &mut dyn FnMut(Duration),
        retry_if: impl Fn(&E) -> bool,
        mut call: impl FnMut(u32) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempt = 1;
        loop {
            match call(attempt) {
                Err(error) if attempt < self.max_attempts && retry_if(&error) => {}
                ended => return ended,
            }
            let delay = self.delay(attempt, unit);
            if !delay.is_zero() {
                sleep(delay);
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// The delay after attempt `attempt`, counted from 1, has failed. `unit`
    /// draws from `[0, 1)`.
    fn delay(&self, attempt: u32, unit: &mut dyn FnMut() -> f64) -> Duration {
        let base = self.base.as_secs_f64();
        let attempt = f64::from(attempt);
        let seconds = match self.strategy {
            Strategy::Constant => base,
            Strategy::Linear => base * attempt,
            Strategy::Exponential => base * self.multiplier.powf(attempt - 1.0),
            Strategy::DecorrelatedJitter => base + unit() * (3.0 * base - base),
        };
        let jittered = self.jitter_factor > 0.0 && self.strategy != Strategy::DecorrelatedJitter;
        let seconds = if jittered {
            seconds + seconds * self.jitter_factor * (2.0 * unit() - 1.0)
        } else {
            seconds
        };
        // Beyond what a Duration holds, and NaN, the cap is the answer.
        Duration::try_from_secs_f64(seconds.max(0.0))
            .map_or(self.max_delay, |delay| delay.min(self.max_delay))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(strategy: Strategy) -> Retry {
        let base = Duration::from_millis(100);
        Retry {
            strategy,
            base,
            jitter_factor: 0.0,
            ..Retry::default()
        }
    }

    fn delays(retry: &Retry, unit: f64) -> Vec<u128> {
        (1..=4)
            .map(|attempt| retry.delay(attempt, &mut || unit).as_millis())
            .collect()
    }

    /// Runs a call that always fails; tells how often it ran and what was slept.
    fn exhaust(retry: &Retry, retry_if: fn(&u32) -> bool) -> (Result<(), u32>, Vec<u128>) {
        let mut slept = Vec::new();
        let ended = retry.run_with(
            &mut || 0.5,
            &mut |delay| slept.push(delay.as_millis()),
            retry_if,
            Err::<(), u32>,
        );
        (ended, slept)
    }

    #[test]
    fn each_strategy_follows_its_formula() {
        assert_eq!(
            delays(&plain(Strategy::Constant), 0.9),
            [100, 100, 100, 100]
        );
        assert_eq!(delays(&plain(Strategy::Linear), 0.9), [100, 200, 300, 400]);
        assert_eq!(
            delays(&plain(Strategy::Exponential), 0.9),
            [100, 200, 400, 800]
        );
        assert_eq!(
            delays(&plain(Strategy::DecorrelatedJitter), 0.0),
            [100, 100, 100, 100]
        );
        assert_eq!(
            delays(&plain(Strategy::DecorrelatedJitter), 0.5),
            [200, 200, 200, 200]
        );
    }

    #[test]
    fn jitter_changes_a_delay_by_its_share_either_way_and_the_cap_comes_last() {
        let jittered = Retry {
            jitter_factor: 0.5,
            ..plain(Strategy::Constant)
        };
        assert_eq!(jittered.delay(1, &mut || 0.0).as_millis(), 50);
        assert_eq!(jittered.delay(1, &mut || 0.5).as_millis(), 100);
        assert_eq!(jittered.delay(1, &mut || 1.0).as_millis(), 150);
        let capped = Retry {
            max_delay: Duration::from_millis(120),
            ..jittered
        };
        assert_eq!(capped.delay(1, &mut || 1.0).as_millis(), 120);
    }

    #[test]
    fn a_delay_beyond_all_bounds_is_the_cap() {
        let wild = Retry {
            multiplier: f64::INFINITY,
            ..plain(Strategy::Exponential)
        };
        assert_eq!(wild.delay(9, &mut || 0.0), wild.max_delay);
        let negative = Retry {
            multiplier: -2.0,
            ..plain(Strategy::Exponential)
        };
        assert_eq!(negative.delay(2, &mut || 0.0), Duration::ZERO);
    }

    #[test]
    fn the_last_error_is_returned_after_max_attempts_with_no_sleep_behind_it() {
        let (ended, slept) = exhaust(&plain(Strategy::Linear), |_| true);
        assert_eq!((ended, slept), (Err(3), vec![100, 200]));
    }

    #[test]
    fn an_error_that_is_not_worth_it_ends_the_retry() {
        let (ended, slept) = exhaust(&plain(Strategy::Linear), |attempt| *attempt < 2);
        assert_eq!((ended, slept), (Err(2), vec![100]));
    }

    #[test]
    fn no_attempts_count_as_one_and_no_delay_is_not_slept() {
        let once = Retry {
            max_attempts: 0,
            ..Retry::default()
        };
        assert_eq!(exhaust(&once, |_| true), (Err(1), vec![]));
        let eager = Retry {
            base: Duration::ZERO,
            ..Retry::default()
        };
        assert_eq!(exhaust(&eager, |_| true), (Err(3), vec![]));
    }
}
