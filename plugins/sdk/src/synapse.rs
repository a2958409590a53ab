//! Cognition signals on the task's own trace.
//!
//! Payloads are JSON objects with the keys that the wire protocol gives each
//! type; the host refuses others.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};
use soma_retry::Failed;

use crate::Failure;
use crate::bindings::soma::neuron::synapse as wire;

pub use crate::bindings::soma::neuron::synapse::EmissionType;

/// Why a signal was not published.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The payload lacks a key or has one of the wrong type; says which.
    Invalid(String),
    /// The operator's grant does not include this type.
    Denied(String),
    /// The trace was stopped.
    Cancelled,
}

/// Publishes one signal whose parent is the task. Returns the signal's id.
///
/// # Errors
///
/// [`Error`] says why the host refused it.
pub fn emit(signal: EmissionType, payload: &impl Serialize) -> Result<String, Error> {
    let payload =
        serde_json::to_string(payload).map_err(|error| Error::Invalid(error.to_string()))?;
    wire::emit(signal, &payload).map_err(|error| match error {
        wire::EmitError::Invalid(what) => Error::Invalid(what),
        wire::EmitError::Denied(what) => Error::Denied(what),
        wire::EmitError::Cancelled => Error::Cancelled,
    })
}

/// PLAN: what the neuron is going to do. Each step is an object.
///
/// # Errors
///
/// As [`emit`].
pub fn emit_plan(steps: &[Value], rationale: Option<&str>) -> Result<String, Error> {
    emit(
        EmissionType::Plan,
        &with(
            json!({"steps": steps}),
            [("rationale", rationale.map(Value::from))],
        ),
    )
}

/// MEMORY_APPEND: something worth remembering, for whoever keeps memories.
///
/// # Errors
///
/// As [`emit`].
pub fn emit_memory_append(key: &str, value: &impl Serialize) -> Result<String, Error> {
    let value = serde_json::to_value(value).map_err(|error| Error::Invalid(error.to_string()))?;
    emit(
        EmissionType::MemoryAppend,
        &json!({"key": key, "value": value}),
    )
}

/// ESCALATION: someone else has to look at this.
///
/// # Errors
///
/// As [`emit`].
pub fn emit_escalation(
    reason: &str,
    target: Option<&str>,
    context: Option<Value>,
) -> Result<String, Error> {
    let extra = [("target", target.map(Value::from)), ("context", context)];
    emit(
        EmissionType::Escalation,
        &with(json!({"reason": reason}), extra),
    )
}

/// CONSENSUS: what several members agreed on. `votes` is an object.
///
/// # Errors
///
/// As [`emit`].
pub fn emit_consensus(
    members: &[&str],
    verdict: &str,
    votes: Option<Value>,
) -> Result<String, Error> {
    let known = json!({"members": members, "verdict": verdict});
    emit(EmissionType::Consensus, &with(known, [("votes", votes)]))
}

/// CONTEXT_SYNC: the state as the neuron sees it. `snapshot` is an object.
///
/// # Errors
///
/// As [`emit`].
pub fn emit_context_sync(snapshot: &Value, version: Option<&str>) -> Result<String, Error> {
    let known = json!({"snapshot": snapshot});
    emit(
        EmissionType::ContextSync,
        &with(known, [("version", version.map(Value::from))]),
    )
}

/// CRITIQUE: what is wrong with the signal `target_event_id`.
///
/// # Errors
///
/// As [`emit`].
pub fn emit_critique(
    target_event_id: &str,
    issues: &[Value],
    verdict: &str,
) -> Result<String, Error> {
    let payload = json!({"target_event_id": target_event_id, "issues": issues, "verdict": verdict});
    emit(EmissionType::Critique, &payload)
}

/// AUDIT: a decision worth keeping. The payload has the keys `kind`, `domain`,
/// `outcome` and `attempt` at least.
///
/// # Errors
///
/// As [`emit`].
pub fn emit_audit(payload: &impl Serialize) -> Result<String, Error> {
    emit(EmissionType::Audit, payload)
}

/// Adds the keys that are there: an absent key is left out, never null.
fn with<const N: usize>(mut known: Value, extra: [(&str, Option<Value>); N]) -> Value {
    let mut none = Map::new();
    let object = known.as_object_mut().unwrap_or(&mut none);
    for (key, value) in extra {
        if let Some(value) = value {
            object.insert(key.to_owned(), value);
        }
    }
    known
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(what) => write!(formatter, "invalid signal: {what}"),
            Self::Denied(what) => write!(formatter, "signal denied: {what}"),
            Self::Cancelled => write!(formatter, "the trace was stopped"),
        }
    }
}

impl std::error::Error for Error {}

impl Failed for Error {
    fn code(&self) -> &str {
        match self {
            Self::Invalid(_) => "EMIT_INVALID",
            Self::Denied(_) => "EMIT_DENIED",
            Self::Cancelled => "EMIT_CANCELLED",
        }
    }

    fn recoverable(&self) -> bool {
        false
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_key_is_left_out_and_never_null() {
        let payload = with(json!({"a": 1}), [("b", None), ("c", Some(json!(2)))]);
        assert_eq!(payload, json!({"a": 1, "c": 2}));
    }
}
