//! Retry: attempts that never overlap.
//!
//! Cosmonapse's `RetryStrategy` (reference, section 3.3) with Dagonizer's
//! backoff formulas (reference, section 1.3).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    Answer, DispatchError, WaitError,
    dispatch::{Dispatch, Parent},
    stop::StopOptions,
    tenant::TenantHandle,
};
use crate::{clock::Random, signal::Payload};

/// How long to wait before the next attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Backoff {
    /// Not at all.
    #[default]
    None,
    /// `base` each time.
    Constant(Duration),
    /// `base × n` after attempt n, counted from 1.
    Linear(Duration),
    /// `base × multiplier^(n-1)`.
    Exponential {
        /// First wait.
        base: Duration,
        /// Usually 2.
        multiplier: f64,
    },
    /// Uniform in [base, 3 × base).
    DecorrelatedJitter(Duration),
}

/// When and how often to try again.
#[derive(Clone)]
pub struct RetryStrategy {
    /// At least 1. Default 3.
    pub max_attempts: u32,
    /// Of one attempt. Default 30 s.
    pub timeout: Duration,
    /// Default none.
    pub backoff: Backoff,
    /// Upper bound of a backoff, applied after jitter. Default 30 s.
    pub max_delay: Duration,
    /// Spreads a backoff by up to this fraction either way; not applied to
    /// [`Backoff::DecorrelatedJitter`]. Default 0.
    pub jitter_factor: f64,
    /// Each attempt on a fresh trace (the default), or all on the one the
    /// dispatch names.
    pub new_trace: bool,
    /// Undo a failed attempt's writes before the next. Default false: they are
    /// committed, as the peer does.
    pub rollback_on_retry: bool,
    /// What to retry. Default: timeouts, closed pathways and recoverable
    /// ERRORs.
    pub retry_on: Arc<dyn Fn(&Outcome) -> bool + Send + Sync>,
    /// Called between attempts with the attempt that failed, counted from 0.
    pub on_retry: Option<OnRetry>,
    /// Reason on the STOP. Default `retry`.
    pub reason: Arc<str>,
}

/// See [`RetryStrategy::on_retry`].
pub type OnRetry = Arc<dyn Fn(u32, &Outcome) + Send + Sync>;

/// How an attempt ended.
pub type Outcome = Result<Answer, WaitError>;

impl std::fmt::Debug for RetryStrategy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RetryStrategy")
            .field("max_attempts", &self.max_attempts)
            .field("timeout", &self.timeout)
            .field("backoff", &self.backoff)
            .finish_non_exhaustive()
    }
}

impl Default for RetryStrategy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            timeout: Duration::from_secs(30),
            backoff: Backoff::None,
            max_delay: Duration::from_secs(30),
            jitter_factor: 0.0,
            new_trace: true,
            rollback_on_retry: false,
            retry_on: Arc::new(is_retryable),
            on_retry: None,
            reason: "retry".into(),
        }
    }
}

/// The default of [`RetryStrategy::retry_on`].
pub fn is_retryable(outcome: &Outcome) -> bool {
    match outcome {
        Err(WaitError::Timeout { .. } | WaitError::Closed(_)) => true,
        Ok(answer) => {
            matches!(&answer.signal.payload, Payload::Error(error) if error.recoverable)
        }
    }
}

impl RetryStrategy {
    /// The wait after `attempt`, counted from 1.
    pub fn delay(&self, attempt: u32, random: &Random) -> Duration {
        let jittered = |seconds: f64| {
            if self.jitter_factor > 0.0 {
                seconds + seconds * self.jitter_factor * (2.0 * random.unit() - 1.0)
            } else {
                seconds
            }
        };
        let seconds = match self.backoff {
            Backoff::None => return Duration::ZERO,
            Backoff::Constant(base) => jittered(base.as_secs_f64()),
            Backoff::Linear(base) => jittered(base.as_secs_f64() * f64::from(attempt)),
            Backoff::Exponential { base, multiplier } => {
                let power = f64::from(attempt.saturating_sub(1));
                jittered(base.as_secs_f64() * multiplier.powf(power))
            }
            Backoff::DecorrelatedJitter(base) => {
                let base = base.as_secs_f64();
                base + random.unit() * 2.0 * base
            }
        };
        // NaN and negative waits are none; an infinite one is the cap.
        let capped = seconds.max(0.0).min(self.max_delay.as_secs_f64());
        Duration::try_from_secs_f64(capped).unwrap_or(self.max_delay)
    }
}

/// Why a retried call has no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetryError {
    /// An attempt could not even start.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// The last attempt's own end.
    #[error("gave up after {attempts} attempts: {last}")]
    Exhausted {
        /// How many ran.
        attempts: u32,
        /// How the last one ended.
        last: WaitError,
    },
    /// An end that the strategy does not retry.
    #[error(transparent)]
    NotRetried(WaitError),
    /// Asked for no attempt.
    #[error("max_attempts is 0; a call needs at least one attempt")]
    NoAttempts,
}

impl TenantHandle {
    /// Runs a task under a retry strategy. A failed attempt is STOPped, the
    /// last one too, and the next is dispatched only when it has really
    /// stopped. A recoverable ERROR of the last attempt is the answer.
    ///
    /// # Errors
    /// When the attempts are used up without a signal, or one could not start.
    pub async fn run_with_retry(
        &self,
        dispatch: Dispatch,
        strategy: &RetryStrategy,
    ) -> Result<Answer, RetryError> {
        self.retry(dispatch, strategy, None).await
    }

    /// As [`TenantHandle::run_with_retry`], on behalf of a task or of nobody.
    pub(super) async fn retry(
        &self,
        mut dispatch: Dispatch,
        strategy: &RetryStrategy,
        parent: Option<Parent<'_>>,
    ) -> Result<Answer, RetryError> {
        if strategy.max_attempts == 0 {
            return Err(RetryError::NoAttempts);
        }
        if strategy.new_trace {
            dispatch = dispatch.on_fresh_trace();
        }
        // One trace for all attempts, where none is named and none is made for
        // each.
        let shared = (!strategy.new_trace && dispatch.trace.is_none()).then(|| self.open_trace());
        if let Some(shared) = &shared {
            dispatch = dispatch.on_trace(shared.id().clone());
        }
        let answer = self.attempts(&dispatch, strategy, parent).await?;
        if let Some(shared) = shared
            && answer.is_output()
        {
            shared.commit().await;
        }
        Ok(answer)
    }

    async fn attempts(
        &self,
        dispatch: &Dispatch,
        strategy: &RetryStrategy,
        parent: Option<Parent<'_>>,
    ) -> Result<Answer, RetryError> {
        let mut attempt = 0;
        loop {
            let outcome = self.attempt(dispatch, strategy, attempt, parent).await?;
            if !(strategy.retry_on)(&outcome) {
                return outcome.map_err(RetryError::NotRetried);
            }
            if attempt + 1 >= strategy.max_attempts {
                return outcome.map_err(|last| RetryError::Exhausted {
                    attempts: strategy.max_attempts,
                    last,
                });
            }
            // Its clock stops with the host: there is no waiting on it.
            if self.core().closed.load(Ordering::Acquire) {
                return Err(DispatchError::ShutDown.into());
            }
            if let Some(on_retry) = &strategy.on_retry {
                on_retry(attempt, &outcome);
            }
            attempt += 1;
            let delay = strategy.delay(attempt, self.random());
            if !delay.is_zero() {
                self.clock().sleep(delay).await;
            }
        }
    }

    /// One attempt; when it is to be retried it has ended on return.
    async fn attempt(
        &self,
        dispatch: &Dispatch,
        strategy: &RetryStrategy,
        attempt: u32,
        parent: Option<Parent<'_>>,
    ) -> Result<Outcome, DispatchError> {
        let dispatch = dispatch.clone().attempt(attempt);
        let mut pathway = match parent {
            // A neuron's own stack is no place to run another on.
            Some(parent) => self.core().dispatch(self.state(), dispatch, Some(parent))?,
            None => self.core().dispatch_here(self.state(), dispatch)?,
        };
        let outcome = pathway.wait(strategy.timeout).await;
        if !(strategy.retry_on)(&outcome) {
            if let Ok(answer) = &outcome {
                self.settle(pathway, answer).await;
            }
        } else if strategy.new_trace {
            let options = StopOptions {
                rollback: strategy.rollback_on_retry,
                reason: Some(Arc::clone(&strategy.reason)),
            };
            self.stop_trace(pathway.trace_id(), options).await;
        } else {
            // The trace goes on; only this attempt's task ends.
            pathway.control().stop();
            self.core().sandbox.interrupt();
            pathway.trace().task_ended(pathway.control()).await;
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strategy(backoff: Backoff, jitter_factor: f64) -> RetryStrategy {
        RetryStrategy {
            backoff,
            jitter_factor,
            ..RetryStrategy::default()
        }
    }

    const BASE: Duration = Duration::from_millis(100);

    #[test]
    fn backoffs_follow_the_references_formulas() {
        let random = Random::seeded(1);
        let waits = |backoff| {
            let strategy = strategy(backoff, 0.0);
            [1, 2, 3].map(|attempt| strategy.delay(attempt, &random).as_millis())
        };
        assert_eq!(waits(Backoff::None), [0, 0, 0]);
        assert_eq!(waits(Backoff::Constant(BASE)), [100, 100, 100]);
        assert_eq!(waits(Backoff::Linear(BASE)), [100, 200, 300]);
        let exponential = Backoff::Exponential {
            base: BASE,
            multiplier: 2.0,
        };
        assert_eq!(waits(exponential), [100, 200, 400]);
    }

    #[test]
    fn decorrelated_jitter_stays_between_base_and_three_times_base() {
        let random = Random::seeded(7);
        let strategy = strategy(Backoff::DecorrelatedJitter(BASE), 0.5);
        for attempt in 1..1_000 {
            let wait = strategy.delay(attempt, &random);
            assert!(wait >= BASE && wait < BASE * 3, "{wait:?}");
        }
    }

    #[test]
    fn jitter_spreads_both_ways_and_the_cap_comes_last() {
        let random = Random::seeded(7);
        let mut strategy = strategy(Backoff::Constant(BASE), 0.5);
        let waits: Vec<_> = (0..1_000).map(|_| strategy.delay(1, &random)).collect();
        assert!(waits.iter().any(|wait| *wait < BASE));
        assert!(waits.iter().any(|wait| *wait > BASE));
        assert!(
            waits
                .iter()
                .all(|wait| *wait >= BASE / 2 && *wait <= BASE * 3 / 2)
        );
        strategy.max_delay = BASE / 4;
        assert_eq!(strategy.delay(1, &random), BASE / 4);
    }

    #[test]
    fn a_backoff_beyond_all_numbers_is_the_cap() {
        let endless = Backoff::Exponential {
            base: BASE,
            multiplier: f64::INFINITY,
        };
        let strategy = strategy(endless, 0.0);
        assert_eq!(strategy.delay(5, &Random::seeded(1)), strategy.max_delay);
    }
}
