//! Why an engram said no.

use std::fmt;

use soma_retry::{Failed, InvalidPolicy};

use crate::Failure;
use crate::bindings::soma::neuron::engram as wire;

/// Why an engram did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No such binding on this neuron; says what is bound.
    NotBound(String),
    /// The binding does not allow this.
    Denied(String),
    /// The call's deadline has passed.
    Timeout,
    /// The trace was stopped: no write of it can land any more.
    Cancelled,
    /// Too many requests are waiting.
    Overloaded(String),
    /// The tenant's journal or store quota is used up.
    Quota(String),
    /// The request makes no sense; says which part.
    Invalid(String),
    /// The store itself failed.
    Backend(String),
    /// A value of this neuron is no JSON, or stored JSON is not what the neuron
    /// expects.
    Json(String),
}

impl Failed for Error {
    fn code(&self) -> &str {
        match self {
            Self::NotBound(_) => "ENGRAM_NOT_BOUND",
            Self::Denied(_) => "ENGRAM_DENIED",
            Self::Timeout => "ENGRAM_TIMEOUT",
            Self::Cancelled => "ENGRAM_CANCELLED",
            Self::Overloaded(_) => "ENGRAM_OVERLOADED",
            Self::Quota(_) => "ENGRAM_QUOTA",
            Self::Invalid(_) => "ENGRAM_INVALID",
            Self::Backend(_) => "ENGRAM_BACKEND",
            Self::Json(_) => "ENGRAM_JSON",
        }
    }

    /// Whether the same call may succeed a little later.
    fn recoverable(&self) -> bool {
        matches!(self, Self::Timeout | Self::Overloaded(_) | Self::Backend(_))
    }
}

impl From<InvalidPolicy> for Error {
    fn from(invalid: InvalidPolicy) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

impl From<wire::EngramError> for Error {
    fn from(error: wire::EngramError) -> Self {
        match error {
            wire::EngramError::NotBound(what) => Self::NotBound(what),
            wire::EngramError::Denied(what) => Self::Denied(what),
            wire::EngramError::Timeout => Self::Timeout,
            wire::EngramError::Cancelled => Self::Cancelled,
            wire::EngramError::Overloaded(what) => Self::Overloaded(what),
            wire::EngramError::Quota(what) => Self::Quota(what),
            wire::EngramError::Invalid(what) => Self::Invalid(what),
            wire::EngramError::Backend(what) => Self::Backend(what),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBound(what) => write!(formatter, "engram not bound: {what}"),
            Self::Denied(what) => write!(formatter, "engram access denied: {what}"),
            Self::Timeout => write!(formatter, "the engram did not answer in time"),
            Self::Cancelled => write!(formatter, "the trace was stopped"),
            Self::Overloaded(what) => write!(formatter, "engram overloaded: {what}"),
            Self::Quota(what) => write!(formatter, "engram quota used up: {what}"),
            Self::Invalid(what) => write!(formatter, "invalid engram request: {what}"),
            Self::Backend(what) => write!(formatter, "engram failed: {what}"),
            Self::Json(what) => write!(formatter, "engram JSON: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_may_pass_are_recoverable() {
        let failure = Failure::from(Error::Overloaded("full".to_owned()));
        assert_eq!(
            (failure.code.as_str(), failure.recoverable),
            ("ENGRAM_OVERLOADED", true)
        );
        let failure = Failure::from(Error::Denied("read only".to_owned()));
        assert_eq!(
            (failure.code.as_str(), failure.recoverable),
            ("ENGRAM_DENIED", false)
        );
    }
}
