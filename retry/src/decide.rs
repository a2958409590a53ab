//! Whether to try again.

use std::fmt;
use std::time::Duration;

use crate::RetryPolicy;

/// What a policy asks of a failure.
///
/// ```
/// use soma_retry::Failed;
///
/// /// An answer that is none.
/// struct Status(u16);
///
/// impl Failed for Status {
///     fn code(&self) -> &str {
///         match self.0 {
///             408 | 504 => "HTTP_TIMEOUT",
///             _ => "HTTP_STATUS",
///         }
///     }
///
///     fn recoverable(&self) -> bool {
///         self.0 >= 500 || self.0 == 408
///     }
/// }
/// ```
pub trait Failed {
    /// Stable code, in words of capital letters with `_` between them, such as
    /// `NEURON_DEADLINE`.
    fn code(&self) -> &str;

    /// Whether the same call may succeed when it is tried again.
    fn recoverable(&self) -> bool;
}

impl<T: Failed + ?Sized> Failed for &T {
    fn code(&self) -> &str {
        (**self).code()
    }

    fn recoverable(&self) -> bool {
        (**self).recoverable()
    }
}

/// What to do after an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Try again.
    Retry {
        /// The wait until then; zero is none.
        after: Duration,
    },
    /// Leave it at this failure.
    GiveUp(GiveUp),
}

/// Why there is no further attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The failure is one of `abort_on`.
    AbortOn,
    /// The failure is none of `retry_on`, or without that list not recoverable.
    NotRetried,
    /// The failure would be retried, but it was the last attempt.
    Exhausted,
}

impl fmt::Display for GiveUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AbortOn => "it is one to abort on",
            Self::NotRetried => "it is none to try again after",
            Self::Exhausted => "no attempts are left",
        })
    }
}

impl RetryPolicy {
    /// What to do after attempt `attempt`, counted from 1, has failed so.
    /// `unit_random` draws from `[0, 1)`; it is asked at most once, and only for
    /// a wait.
    pub fn decide(
        &self,
        attempt: u32,
        failure: &(impl Failed + ?Sized),
        unit_random: impl FnMut() -> f64,
    ) -> Decision {
        if self.aborts(failure) {
            Decision::GiveUp(GiveUp::AbortOn)
        } else if self.retries(failure) {
            self.again(attempt, unit_random)
        } else {
            Decision::GiveUp(GiveUp::NotRetried)
        }
    }

    /// As [`decide`](Self::decide), after a failure that is to be retried
    /// whatever the two lists say.
    pub fn again(&self, attempt: u32, unit_random: impl FnMut() -> f64) -> Decision {
        if attempt < self.max_attempts {
            let after = self.delay(attempt, unit_random);
            Decision::Retry { after }
        } else {
            Decision::GiveUp(GiveUp::Exhausted)
        }
    }

    /// Whether such a failure is tried again while attempts are left.
    ///
    /// A list names it by its code, to the letter, or by one of these words:
    ///
    /// | word | means |
    /// |---|---|
    /// | `any` | every failure |
    /// | `recoverable` | what says so of itself |
    /// | `timeout` | a code whose last word is `TIMEOUT` or `DEADLINE`, such as `TIMEOUT`, `NEURON_DEADLINE`, `ENGRAM_TIMEOUT` |
    /// | `closed` | a code whose last word is `CLOSED` |
    pub fn retries(&self, failure: &(impl Failed + ?Sized)) -> bool {
        let wanted = match &self.retry_on {
            Some(list) => names(list, failure),
            None => failure.recoverable(),
        };
        wanted && !self.aborts(failure)
    }

    /// Whether such a failure is one of `abort_on`.
    pub fn aborts(&self, failure: &(impl Failed + ?Sized)) -> bool {
        let list = self.abort_on.as_deref();
        list.is_some_and(|list| names(list, failure))
    }
}

fn names(list: &[String], failure: &(impl Failed + ?Sized)) -> bool {
    let code = failure.code();
    let last_word = code.rsplit('_').next().unwrap_or(code);
    list.iter().any(|entry| match entry.as_str() {
        same if same == code => true,
        "any" => true,
        "recoverable" => failure.recoverable(),
        "timeout" => matches!(last_word, "TIMEOUT" | "DEADLINE"),
        "closed" => last_word == "CLOSED",
        _ => false,
    })
}
