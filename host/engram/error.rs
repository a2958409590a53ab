//! The one error of this room, case for case the `engram-error` of the WIT
//! contract.

use thiserror::Error;

/// Why a recall or an imprint did not happen. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EngramError {
    /// The neuron has no such binding; the text says what is bound.
    #[error("not bound: {0}")]
    NotBound(String),
    /// The binding does not allow this.
    #[error("denied: {0}")]
    Denied(String),
    /// The caller's deadline passed.
    #[error("timeout")]
    Timeout,
    /// The trace was stopped: no write of it can land any more.
    #[error("cancelled")]
    Cancelled,
    /// Too many requests are waiting.
    #[error("overloaded: {0}")]
    Overloaded(String),
    /// The ledger refused the bytes; the text is the ledger's.
    #[error("quota: {0}")]
    Quota(String),
    /// The request makes no sense; the text says which part.
    #[error("invalid: {0}")]
    Invalid(String),
    /// The store itself failed.
    #[error("backend: {0}")]
    Backend(String),
}
