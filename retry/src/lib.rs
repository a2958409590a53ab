//! How often a call is tried again, after which wait, and after which failures.
//!
//! One [`RetryPolicy`] serves the host's orchestrator, documents, embedders' own
//! calls and, inside the sandbox, neurons. It only decides: it never calls,
//! sleeps, reads a clock or draws a number. Whoever makes the calls asks
//! [`RetryPolicy::decide`] after each that failed, with a random source of
//! theirs, and sleeps on a clock of theirs.
//!
//! Options, defaults and formulas are those of Dagonizer 0.9's `RetryPolicy`.
//! Where this one differs, it is on purpose:
//!
//! | | Dagonizer 0.9 | here | because |
//! |---|---|---|---|
//! | `maxAttempts` 0 or negative | the call is never made, "attempts exhausted" is thrown | [refused](RetryPolicy::validate) | a call that is never made is a mistake in a document, not a wish |
//! | `maxAttempts` 1.5 | two attempts | cannot be written | attempts are counted |
//! | a negative `baseDelay`, `maxDelay` | no wait | cannot be written | the same; a wait of 0 says it plainly |
//! | a negative or not finite `multiplier` | no wait, or `NaN` | refused | it would call again without a pause |
//! | `jitterFactor` below 0 | none | refused | 0 says it |
//! | `jitterFactor` above 1 | waits below 0 become 0 | refused | it would call again without a pause |
//! | an unknown strategy | an error after the first failure | cannot be written | it is known beforehand |
//! | a delay that is `NaN` or beyond all numbers | `NaN`; infinite under an infinite `maxDelay` | `max_delay` | a sum that overflows must not end the pauses |
//! | `retryOn` and `abortOn` | error classes | error codes and class words | codes cross the sandbox and the wire, classes do not |
//! | neither given | everything is retried | what says of itself that it is recoverable; `["any"]` for everything | what traps or runs out of fuel would do so again. Dagonizer 2 and Cosmonapse do the same |

#![forbid(unsafe_code)]

mod decide;
mod delay;
mod invalid;
#[cfg(feature = "serde")]
mod json;

use std::time::Duration;

pub use decide::{Decision, Failed, GiveUp};
pub use invalid::{InvalidPolicy, Problem};

/// How the wait grows with `n`, the number of the attempt that failed, counted
/// from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Strategy {
    /// `base`
    Constant,
    /// `base × n`
    Linear,
    /// `base × multiplier^(n-1)`
    #[default]
    Exponential,
    /// Uniform in `[base, 3 × base)`, whatever the wait before was.
    DecorrelatedJitter,
}

/// How often a call is tried, how long to wait in between, and which failures
/// are worth it.
///
/// As JSON its keys are in camel case, all of them optional, and delays are
/// numbers of milliseconds; unknown keys are refused:
///
/// ```json
/// {"maxAttempts": 3, "strategy": "exponential", "baseDelay": 1000, "maxDelay": 30000,
///  "multiplier": 2, "jitterFactor": 0.1, "retryOn": null, "abortOn": ["NEURON_PANIC"]}
/// ```
///
/// What can be written but makes no sense, [`validate`](Self::validate) tells;
/// whoever runs a policy asks it first.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "camelCase", deny_unknown_fields, default)
)]
pub struct RetryPolicy {
    /// How often the call is made at most, the first time included; at least 1.
    /// Default 3.
    pub max_attempts: u32,
    /// Default [`Strategy::Exponential`].
    pub strategy: Strategy,
    /// What the strategy starts from; zero never waits. Default 1 s.
    #[cfg_attr(feature = "serde", serde(with = "json::milliseconds"))]
    pub base_delay: Duration,
    /// Upper bound of one wait, applied last. Default 30 s;
    /// [`Duration::MAX`] bounds nothing.
    #[cfg_attr(feature = "serde", serde(with = "json::milliseconds"))]
    pub max_delay: Duration,
    /// Growth per attempt of the exponential strategy: finite, 0 or more; below
    /// 1 waits shrink. Default 2.
    pub multiplier: f64,
    /// Every wait but the decorrelated one is changed by up to this share of
    /// itself, either way: from 0 to 1. Default 0.1.
    pub jitter_factor: f64,
    /// Failures to try again after, each as a code or a class word (see
    /// [`RetryPolicy::retries`]); an empty list is none. Default `None`: those
    /// that are [recoverable](Failed::recoverable).
    pub retry_on: Option<Vec<String>>,
    /// Failures that end the attempts, in the same words; wins over `retry_on`.
    /// Default none.
    pub abort_on: Option<Vec<String>>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            strategy: Strategy::Exponential,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            multiplier: 2.0,
            jitter_factor: 0.1,
            retry_on: None,
            abort_on: None,
        }
    }
}

impl RetryPolicy {
    /// The default without waits: three attempts, one right after the other,
    /// as Cosmonapse's `RetryStrategy` has it.
    #[must_use]
    pub fn immediate() -> Self {
        Self {
            base_delay: Duration::ZERO,
            ..Self::default()
        }
    }
}
