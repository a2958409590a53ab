//! Policies that can be written but make no sense.

use std::fmt;

use crate::RetryPolicy;

/// One thing that is wrong with a policy.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Problem {
    /// `max_attempts` is 0.
    NoAttempts,
    /// `multiplier` is negative or not finite.
    Multiplier(f64),
    /// `jitter_factor` is not from 0 to 1.
    JitterFactor(f64),
    /// An entry of `retry_on` can name nothing.
    RetryOn(usize),
    /// An entry of `abort_on` can name nothing.
    AbortOn(usize),
}

impl Problem {
    /// Where it is in the policy's JSON: keys and indexes with `.` between them.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::NoAttempts => "maxAttempts".to_owned(),
            Self::Multiplier(_) => "multiplier".to_owned(),
            Self::JitterFactor(_) => "jitterFactor".to_owned(),
            Self::RetryOn(index) => format!("retryOn.{index}"),
            Self::AbortOn(index) => format!("abortOn.{index}"),
        }
    }
}

/// Without the [path](Problem::path).
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAttempts => formatter.write_str("0 attempts make no call; use 1 or more"),
            Self::Multiplier(number) => {
                write!(
                    formatter,
                    "{number} is no growth; use a finite number, 0 or more"
                )
            }
            Self::JitterFactor(number) => write!(
                formatter,
                "{number} is no share of a wait; use a number from 0 to 1"
            ),
            Self::RetryOn(_) | Self::AbortOn(_) => formatter.write_str(
                "this names no failure; use a code or a class word without spaces around it",
            ),
        }
    }
}

/// A policy that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct InvalidPolicy {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the retry policy is invalid")?;
        for (index, problem) in self.problems.iter().enumerate() {
            let before = if index == 0 { ":" } else { ";" };
            write!(formatter, "{before} {}: {problem}", problem.path())?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidPolicy {}

impl RetryPolicy {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// Tells every problem at once.
    pub fn validate(&self) -> Result<(), InvalidPolicy> {
        let mut problems = Vec::new();
        if self.max_attempts == 0 {
            problems.push(Problem::NoAttempts);
        }
        if !self.multiplier.is_finite() || self.multiplier < 0.0 {
            problems.push(Problem::Multiplier(self.multiplier));
        }
        if !(0.0..=1.0).contains(&self.jitter_factor) {
            problems.push(Problem::JitterFactor(self.jitter_factor));
        }
        problems.extend(unnamed(self.retry_on.as_deref()).map(Problem::RetryOn));
        problems.extend(unnamed(self.abort_on.as_deref()).map(Problem::AbortOn));
        if problems.is_empty() {
            Ok(())
        } else {
            Err(InvalidPolicy { problems })
        }
    }
}

/// Indexes of the entries that are empty or have spaces around them.
fn unnamed(list: Option<&[String]>) -> impl Iterator<Item = usize> {
    let entries = list.unwrap_or_default().iter().enumerate();
    entries
        .filter(|(_, entry)| entry.is_empty() || entry.trim() != *entry)
        .map(|(index, _)| index)
}
