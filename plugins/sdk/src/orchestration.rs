//! Starting, awaiting, retrying and stopping other neurons' tasks.
//!
//! Needs the operator's `orchestration` grant. What a neuron starts is a child
//! of its own trace: stopping the trace stops the children too.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use soma_retry::{Failed, InvalidPolicy, RetryPolicy, Strategy};

use crate::Failure;
use crate::bindings::soma::neuron::orchestration as wire;
use crate::bindings::soma::neuron::types;
use crate::clock::whole_ms;

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

/// How the host repeats a task that fails.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryStrategy {
    /// How often, and after which wait. Default [`RetryPolicy::immediate`].
    ///
    /// The contract 0.1 carries the attempts, the strategy, and the base and the
    /// bound of a wait, in whole milliseconds rounded up. It has no key for
    /// jitter, another growth than doubling, and lists: a policy with a
    /// `retry_on`, an `abort_on` or, where it waits at all, a `jitter_factor`
    /// (but of decorrelated jitter) or a `multiplier` other than 2 is refused.
    pub policy: RetryPolicy,
    /// How long one attempt may take. Default 30 s.
    pub timeout: Duration,
    /// Undo the writes of an attempt before the next one starts. Default no.
    pub rollback_on_retry: bool,
    /// What the STOP of a failed attempt says. Default `retry`.
    pub reason: String,
}

impl Default for RetryStrategy {
    fn default() -> Self {
        Self {
            policy: RetryPolicy::immediate(),
            timeout: Duration::from_secs(30),
            rollback_on_retry: false,
            reason: "retry".to_owned(),
        }
    }
}

impl RetryStrategy {
    fn to_wire(&self) -> Result<wire::RetryStrategy, Error> {
        let policy = &self.policy;
        policy.validate()?;
        if policy.retry_on.is_some() || policy.abort_on.is_some() {
            return Err(not_carried("`retry_on` or `abort_on`", "neither"));
        }
        Ok(wire::RetryStrategy {
            max_attempts: policy.max_attempts,
            timeout_ms: whole_ms(self.timeout),
            backoff: backoff_of(policy)?,
            max_delay_ms: whole_ms(policy.max_delay),
            rollback_on_retry: self.rollback_on_retry,
            reason: self.reason.clone(),
        })
    }
}

fn backoff_of(policy: &RetryPolicy) -> Result<wire::Backoff, Error> {
    let RetryPolicy {
        jitter_factor,
        multiplier,
        ..
    } = policy;
    let base = whole_ms(policy.base_delay);
    if base == 0 {
        return Ok(wire::Backoff::None);
    }
    match policy.strategy {
        Strategy::DecorrelatedJitter => Ok(wire::Backoff::DecorrelatedJitter(base)),
        _ if *jitter_factor != 0.0 => Err(not_carried(
            &format!("a jitter factor of {jitter_factor}"),
            "0, or decorrelated jitter",
        )),
        Strategy::Constant => Ok(wire::Backoff::Constant(base)),
        Strategy::Linear => Ok(wire::Backoff::Linear(base)),
        Strategy::Exponential if *multiplier != 2.0 => {
            Err(not_carried(&format!("a multiplier of {multiplier}"), "2"))
        }
        Strategy::Exponential => Ok(wire::Backoff::Exponential(base)),
    }
}

fn not_carried(what: &str, instead: &str) -> Error {
    Error::Invalid(format!(
        "the contract carries no retry with {what}: use {instead}, or dispatch inside `retry`"
    ))
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
/// What the last attempt ended with; [`Error::Invalid`] for a policy that makes
/// no sense or that the contract does not carry.
pub fn run_with_retry(
    target: &Target,
    input: &impl Serialize,
    strategy: &RetryStrategy,
) -> Result<Ended, Error> {
    let ended = wire::run_with_retry(&target.to_wire(), &json_of(input)?, &strategy.to_wire()?)?;
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

impl Failed for Error {
    fn code(&self) -> &str {
        match self {
            Self::Unroutable(_) => "UNROUTABLE",
            Self::Timeout(_) => "TIMEOUT",
            Self::Closed(_) => "CLOSED",
            Self::Denied(_) => "DENIED",
            Self::Overloaded(_) => "OVERLOADED",
            Self::Invalid(_) => "INVALID_REQUEST",
        }
    }

    /// Whether the same request may be answered when it is made again.
    fn recoverable(&self) -> bool {
        matches!(
            self,
            Self::Timeout(_) | Self::Closed(_) | Self::Overloaded(_)
        )
    }
}

impl From<InvalidPolicy> for Error {
    fn from(invalid: InvalidPolicy) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
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
    fn the_default_strategy_is_three_attempts_of_thirty_seconds_without_a_wait() {
        let strategy = RetryStrategy::default().to_wire().unwrap();
        assert_eq!((strategy.max_attempts, strategy.timeout_ms), (3, 30_000));
        assert!(matches!(strategy.backoff, wire::Backoff::None));
        assert_eq!(
            (strategy.rollback_on_retry, strategy.reason.as_str()),
            (false, "retry")
        );
    }

    fn with(policy: RetryPolicy) -> Result<wire::RetryStrategy, Error> {
        let strategy = RetryStrategy {
            policy,
            ..RetryStrategy::default()
        };
        strategy.to_wire()
    }

    /// Waits of half a second, without jitter.
    fn waiting(strategy: Strategy) -> RetryPolicy {
        RetryPolicy {
            strategy,
            base_delay: Duration::from_micros(499_001),
            jitter_factor: 0.0,
            ..RetryPolicy::default()
        }
    }

    #[test]
    fn a_policy_is_carried_in_whole_milliseconds() {
        use wire::Backoff;
        let sent = |strategy| with(waiting(strategy)).unwrap();
        let backoff = |strategy| sent(strategy).backoff;
        assert!(matches!(
            backoff(Strategy::Constant),
            Backoff::Constant(500)
        ));
        assert!(matches!(backoff(Strategy::Linear), Backoff::Linear(500)));
        assert!(matches!(
            backoff(Strategy::Exponential),
            Backoff::Exponential(500)
        ));
        let jittered = with(RetryPolicy {
            jitter_factor: 0.1,
            ..waiting(Strategy::DecorrelatedJitter)
        });
        let sent = jittered.unwrap();
        assert!(matches!(sent.backoff, Backoff::DecorrelatedJitter(500)));
        assert_eq!((sent.max_attempts, sent.max_delay_ms), (3, 30_000));
    }

    #[test]
    fn what_the_contract_does_not_carry_is_refused_in_words() {
        let told = |policy| with(policy).unwrap_err().to_string();
        let not_carried = |what: &str| {
            format!(
                "invalid request: the contract carries no retry with {what}, or dispatch inside \
                 `retry`"
            )
        };
        assert_eq!(
            told(RetryPolicy::default()),
            not_carried("a jitter factor of 0.1: use 0, or decorrelated jitter")
        );
        let growing = RetryPolicy {
            multiplier: 1.5,
            ..waiting(Strategy::Exponential)
        };
        assert_eq!(told(growing), not_carried("a multiplier of 1.5: use 2"));
        let lists = [
            RetryPolicy {
                retry_on: Some(vec!["FLAKY".to_owned()]),
                ..RetryPolicy::immediate()
            },
            RetryPolicy {
                abort_on: Some(vec![]),
                ..RetryPolicy::immediate()
            },
        ];
        for policy in lists {
            let expected = not_carried("`retry_on` or `abort_on`: use neither");
            assert_eq!(told(policy), expected);
        }
        let none = RetryPolicy {
            max_attempts: 0,
            ..RetryPolicy::immediate()
        };
        assert_eq!(
            told(none),
            "invalid request: the retry policy is invalid: maxAttempts: 0 attempts make no call; \
             use 1 or more"
        );
    }

    #[test]
    fn an_error_that_may_pass_is_recoverable() {
        let failure = Failure::from(Error::Timeout("t".to_owned()));
        assert_eq!(
            (failure.code.as_str(), failure.recoverable),
            ("TIMEOUT", true)
        );
        let failure = Failure::from(Error::Denied("d".to_owned()));
        assert_eq!(
            (failure.code.as_str(), failure.recoverable),
            ("DENIED", false)
        );
    }
}
