//! Starting, awaiting, retrying and stopping other neurons' tasks.
//!
//! Needs the operator's `orchestration` grant. What a neuron starts is a child
//! of its own trace: stopping the trace stops the children too.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;
use crate::bindings::soma::neuron::orchestration as wire;
use crate::bindings::soma::neuron::types;

/// Whom a task is for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The neuron with this id.
    Neuron(String),
    /// Any one neuron that has all these capabilities.
    Capabilities(Vec<String>),
    /// Any one neuron that takes what nobody else does.
    Any,
}

impl Target {
    /// The neuron with this id.
    pub fn neuron(id: impl Into<String>) -> Self {
        Self::Neuron(id.into())
    }

    /// Any one neuron that has all these capabilities.
    pub fn capabilities<T: Into<String>>(capabilities: impl IntoIterator<Item = T>) -> Self {
        Self::Capabilities(capabilities.into_iter().map(Into::into).collect())
    }

    fn to_wire(&self) -> wire::Target {
        match self {
            Self::Neuron(id) => wire::Target::Neuron(id.clone()),
            Self::Capabilities(all) => wire::Target::Capabilities(all.clone()),
            Self::Any => wire::Target::Any,
        }
    }
}

/// How to start a task.
#[derive(Debug, Clone, Default)]
pub struct DispatchOptions {
    /// Trace to run on; without one a fresh child trace.
    pub trace_id: Option<String>,
    /// Ask for a FINAL after the output. What the task wrote is settled with
    /// this task's own trace all the same.
    pub finalize: bool,
    /// How long to wait for the reply. Default 30 s.
    pub timeout: Option<Duration>,
}

impl DispatchOptions {
    fn to_wire(&self) -> wire::DispatchOptions {
        wire::DispatchOptions {
            trace_id: self.trace_id.clone(),
            finalize: self.finalize,
            timeout_ms: self.timeout.map(whole_ms),
        }
    }
}

/// How long to wait before attempt `n + 1`, attempts counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Not at all.
    None,
    /// The base.
    Constant(Duration),
    /// `base × n`
    Linear(Duration),
    /// `base × 2^(n-1)`
    Exponential(Duration),
    /// Uniform in `[base, 3 × base)`.
    DecorrelatedJitter(Duration),
}

/// How the host repeats a task that fails.
#[derive(Debug, Clone)]
pub struct RetryStrategy {
    /// At least 1. Default 3.
    pub max_attempts: u32,
    /// How long one attempt may take. Default 30 s.
    pub timeout: Duration,
    /// Default [`Backoff::None`].
    pub backoff: Backoff,
    /// Upper bound of one backoff. Default 30 s.
    pub max_delay: Duration,
    /// Undo the writes of an attempt before the next one starts. Default no.
    pub rollback_on_retry: bool,
    /// What the STOP of a failed attempt says. Default `retry`.
    pub reason: String,
}

impl Default for RetryStrategy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            timeout: Duration::from_secs(30),
            backoff: Backoff::None,
            max_delay: Duration::from_secs(30),
            rollback_on_retry: false,
            reason: "retry".to_owned(),
        }
    }
}

impl RetryStrategy {
    fn to_wire(&self) -> wire::RetryStrategy {
        let backoff = match self.backoff {
            Backoff::None => wire::Backoff::None,
            Backoff::Constant(base) => wire::Backoff::Constant(whole_ms(base)),
            Backoff::Linear(base) => wire::Backoff::Linear(whole_ms(base)),
            Backoff::Exponential(base) => wire::Backoff::Exponential(whole_ms(base)),
            Backoff::DecorrelatedJitter(base) => wire::Backoff::DecorrelatedJitter(whole_ms(base)),
        };
        wire::RetryStrategy {
            max_attempts: self.max_attempts,
            timeout_ms: whole_ms(self.timeout),
            backoff,
            max_delay_ms: whole_ms(self.max_delay),
            rollback_on_retry: self.rollback_on_retry,
            reason: self.reason.clone(),
        }
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How an awaited task ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome {
    /// It finished.
    Output {
        /// The result, as JSON text.
        json: String,
        /// The route that the neuron named.
        route: Option<String>,
    },
    /// It asks back.
    Clarification {
        /// The question.
        question: String,
        /// What helps to answer, as JSON text.
        context: Option<String>,
    },
    /// It asks for leave.
    Permission {
        /// What it wants to do.
        action: String,
        /// What the action would touch, as the text of a JSON object.
        scope: Option<String>,
        /// Why.
        reason: Option<String>,
        /// What helps to decide, as JSON text.
        context: Option<String>,
    },
    /// It failed.
    Failed(Failure),
}

impl Outcome {
    /// The result of a finished task.
    ///
    /// # Errors
    ///
    /// The task's own failure; `INVALID_REPLY` when the result is not what `T`
    /// expects, or the task asked something instead.
    pub fn output<T: DeserializeOwned>(self) -> Result<T, Failure> {
        let invalid = |what: String| Failure::new("INVALID_REPLY", what);
        match self {
            Self::Output { json, .. } => {
                serde_json::from_str(&json).map_err(|error| invalid(error.to_string()))
            }
            Self::Clarification { question, .. } => Err(invalid(format!("it asks: {question}"))),
            Self::Permission { action, .. } => {
                Err(invalid(format!("it asks for leave to {action}")))
            }
            Self::Failed(failure) => Err(failure),
        }
    }

    fn from_wire(outcome: wire::Outcome) -> Self {
        match outcome {
            wire::Outcome::Failed(failure) => Self::Failed(Failure::from_wire(failure)),
            wire::Outcome::Replied(types::Reply::Output(types::Output { value, route })) => {
                Self::Output { json: value, route }
            }
            wire::Outcome::Replied(types::Reply::Clarification(asked)) => Self::Clarification {
                question: asked.question,
                context: asked.context,
            },
            wire::Outcome::Replied(types::Reply::Permission(asked)) => Self::Permission {
                action: asked.action,
                scope: asked.scope,
                reason: asked.reason,
                context: asked.context,
            },
        }
    }
}

/// An awaited task.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Ended {
    /// The trace that it ran on.
    pub trace_id: String,
    /// The TASK signal's id.
    pub task_id: String,
    /// How it ended.
    pub outcome: Outcome,
}

impl Ended {
    fn from_wire(result: wire::ResultOf) -> Self {
        let wire::ResultOf {
            trace_id,
            task_id,
            outcome,
        } = result;
        Self {
            trace_id,
            task_id,
            outcome: Outcome::from_wire(outcome),
        }
    }
}

/// Starts a task.
///
/// # Errors
///
/// [`Error`] says why it was not started.
pub fn dispatch(
    target: &Target,
    input: &impl Serialize,
    options: &DispatchOptions,
) -> Result<Pathway, Error> {
    let pathway = wire::dispatch(&target.to_wire(), &json_of(input)?, &options.to_wire())?;
    Ok(Pathway(pathway))
}

/// Starts a task and waits for its reply.
///
/// # Errors
///
/// [`Error`] says why there is no reply. A task that failed is no error: its
/// [`Outcome`] says so.
pub fn dispatch_and_wait(
    target: &Target,
    input: &impl Serialize,
    options: &DispatchOptions,
) -> Result<Ended, Error> {
    let ended = wire::dispatch_and_wait(&target.to_wire(), &json_of(input)?, &options.to_wire())?;
    Ok(Ended::from_wire(ended))
}

/// Starts a task, and again while it fails recoverably or does not answer in
/// time. Each attempt runs on a fresh child trace; a failed one is stopped, and
/// has ended, before the next starts.
///
/// # Errors
///
/// What the last attempt ended with.
pub fn run_with_retry(
    target: &Target,
    input: &impl Serialize,
    strategy: &RetryStrategy,
) -> Result<Ended, Error> {
    let ended = wire::run_with_retry(&target.to_wire(), &json_of(input)?, &strategy.to_wire())?;
    Ok(Ended::from_wire(ended))
}

/// Stops a trace that this neuron started; returns when every task of it has
/// ended. With `rollback` every write of the trace is undone, newest first.
///
/// # Errors
///
/// [`Error::Denied`] for a trace that is not this neuron's.
pub fn stop_trace(
    trace_id: &str,
    rollback: bool,
    reason: Option<&str>,
) -> Result<Vec<Stopped>, Error> {
    let options = wire::StopOptions {
        rollback,
        reason: reason.map(str::to_owned),
    };
    let acks = wire::stop_trace(trace_id, &options)?;
    Ok(acks.into_iter().map(Stopped::from_wire).collect())
}

/// A node's report that a trace has really ended there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stopped {
    /// Whether the trace's writes were undone.
    pub rolled_back: bool,
    /// Tasks that were running.
    pub cancelled: u64,
    /// Writes that were really undone.
    pub compensated: u64,
    /// The node's name.
    pub node: String,
    /// Entries that could not be undone, each with the reason.
    pub kept: Vec<String>,
}

impl Stopped {
    fn from_wire(stopped: wire::Stopped) -> Self {
        let wire::Stopped {
            rolled_back,
            cancelled,
            compensated,
            node,
            kept,
        } = stopped;
        Self {
            rolled_back,
            cancelled,
            compensated,
            node,
            kept,
        }
    }
}

/// The events of one task that was started. Dropping it stops listening; the
/// task goes on.
#[derive(Debug)]
pub struct Pathway(wire::Pathway);

impl Pathway {
    /// The trace that the task runs on.
    pub fn trace_id(&self) -> String {
        self.0.trace_id()
    }

    /// The TASK signal's id.
    pub fn task_id(&self) -> String {
        self.0.task_id()
    }

    /// Waits for the task's next signal; none when it has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when the host sends a payload that is no JSON.
    pub fn next(&self) -> Result<Option<Signal>, Error> {
        let Some(signal) = self.0.next() else {
            return Ok(None);
        };
        let payload = serde_json::from_str(&signal.payload)
            .map_err(|error| Error::Invalid(format!("payload of {}: {error}", signal.id)))?;
        Ok(Some(Signal {
            id: signal.id,
            signal_type: signal.signal_type,
            payload,
        }))
    }

    /// Waits for the reply.
    ///
    /// # Errors
    ///
    /// [`Error`] says why there is none.
    pub fn wait(&self, timeout: Duration) -> Result<Outcome, Error> {
        Ok(Outcome::from_wire(self.0.wait(whole_ms(timeout))?))
    }

    /// Stops listening. The task goes on.
    pub fn close(self) {
        self.0.close();
    }
}

/// A signal of an awaited task.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Signal {
    /// The signal's id.
    pub id: String,
    /// Wire name of the type, such as `AGENT_OUTPUT`.
    pub signal_type: String,
    /// The signal's payload.
    pub payload: Value,
}

/// Why an orchestration call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No neuron fits the target.
    Unroutable(String),
    /// No reply within the time.
    Timeout(String),
    /// The awaited trace was stopped.
    Closed(String),
    /// The trace is not this neuron's to touch, or was stopped before.
    Denied(String),
    /// The tenant's queue is full.
    Overloaded(String),
    /// The request makes no sense.
    Invalid(String),
}

impl From<wire::OrchestrationError> for Error {
    fn from(error: wire::OrchestrationError) -> Self {
        match error {
            wire::OrchestrationError::Unroutable(what) => Self::Unroutable(what),
            wire::OrchestrationError::Timeout(what) => Self::Timeout(what),
            wire::OrchestrationError::Closed(what) => Self::Closed(what),
            wire::OrchestrationError::Denied(what) => Self::Denied(what),
            wire::OrchestrationError::Overloaded(what) => Self::Overloaded(what),
            wire::OrchestrationError::Invalid(what) => Self::Invalid(what),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unroutable(what) => write!(formatter, "unroutable: {what}"),
            Self::Timeout(what) => write!(formatter, "no reply in time: {what}"),
            Self::Closed(what) => write!(formatter, "the awaited trace was stopped: {what}"),
            Self::Denied(what) => write!(formatter, "denied: {what}"),
            Self::Overloaded(what) => write!(formatter, "overloaded: {what}"),
            Self::Invalid(what) => write!(formatter, "invalid request: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (code, again) = match error {
            Error::Unroutable(_) => ("UNROUTABLE", false),
            Error::Timeout(_) => ("TIMEOUT", true),
            Error::Closed(_) => ("CLOSED", true),
            Error::Denied(_) => ("DENIED", false),
            Error::Overloaded(_) => ("OVERLOADED", true),
            Error::Invalid(_) => ("INVALID_REQUEST", false),
        };
        let failure = Self::new(code, error.to_string());
        if again {
            failure.recoverable()
        } else {
            failure
        }
    }
}

fn json_of(input: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(input).map_err(|error| Error::Invalid(format!("input: {error}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_outcome_gives_its_output_or_the_reason_why_there_is_none() {
        let output = Outcome::Output {
            json: "[1,2]".to_owned(),
            route: None,
        };
        assert_eq!(output.output::<Vec<u8>>().unwrap(), [1, 2]);
        let output = Outcome::Output {
            json: "{}".to_owned(),
            route: None,
        };
        assert_eq!(
            output.output::<Vec<u8>>().unwrap_err().code,
            "INVALID_REPLY"
        );
        let failed = Outcome::Failed(Failure::new("CRASHED", "m").recoverable());
        let failure = failed.output::<Value>().unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.recoverable),
            ("CRASHED", true)
        );
    }

    #[test]
    fn the_default_strategy_is_three_attempts_of_thirty_seconds() {
        let strategy = RetryStrategy::default().to_wire();
        assert_eq!((strategy.max_attempts, strategy.timeout_ms), (3, 30_000));
        assert_eq!(
            (strategy.rollback_on_retry, strategy.reason.as_str()),
            (false, "retry")
        );
    }
}
