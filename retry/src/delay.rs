//! How long to wait.

use std::time::Duration;

use crate::{RetryPolicy, Strategy};

impl RetryPolicy {
    /// The wait after attempt `attempt` has failed, counted from 1 (0 is taken
    /// for 1). `unit_random` draws from `[0, 1)`; it is asked once at most, and
    /// not at all where chance has no part.
    ///
    /// ```text
    /// d = base | base × n | base × multiplier^(n-1) | base + U[0,1) × (3 × base - base)
    /// d = d + d × jitter_factor × U[-1,1)          not for decorrelated jitter
    /// min(max(d, 0), max_delay)
    /// ```
    ///
    /// Rounded to nanoseconds. What is no number or beyond all numbers is
    /// `max_delay`, so that an overflow never ends the pauses between calls.
    #[must_use]
    pub fn delay(&self, attempt: u32, mut unit_random: impl FnMut() -> f64) -> Duration {
        if self.base_delay.is_zero() {
            return Duration::ZERO;
        }
        let base = self.base_delay.as_secs_f64();
        let failed = f64::from(attempt.max(1));
        let grown = match self.strategy {
            Strategy::Constant => base,
            Strategy::Linear => base * failed,
            Strategy::Exponential => base * self.multiplier.powf(failed - 1.0),
            Strategy::DecorrelatedJitter => {
                return self.bounded(base + unit_random() * (3.0 * base - base));
            }
        };
        // A share of infinity either way would be no number.
        let jittered = if self.jitter_factor > 0.0 && grown.is_finite() {
            grown + grown * self.jitter_factor * (2.0 * unit_random() - 1.0)
        } else {
            grown
        };
        self.bounded(jittered)
    }

    fn bounded(&self, seconds: f64) -> Duration {
        if seconds <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(seconds)
            .map_or(self.max_delay, |delay| delay.min(self.max_delay))
    }
}
