//! What the sandbox needs from the rooms above it, as traits that it owns: a
//! guest's host calls end here. The sandbox knows no tenant, trace table or
//! route.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::{
    contract::{
        engram,
        orchestration::{
            DispatchOptions, OrchestrationError, Outcome, ResultOf, RetryStrategy, StopOptions,
            Stopped, Target,
        },
    },
    outcome::End,
};
use crate::{
    clock::{Clock, Random},
    engram::{EngramError, Imprint, Query, Recalled, Receipt},
    signal::{Object, Payload, Signal, SignalId, SignalType, TraceId},
};

/// The world around one task.
pub trait Environment: Send + Sync + 'static {
    /// Told of each call to the contract, before anything of it is done. Log
    /// lines are none: they come by [`Environment::log`].
    ///
    /// # Errors
    /// Ends the task in that way: the call does nothing, and no instruction of
    /// the guest runs any more.
    fn admit(&self, _call: HostCall<'_>) -> Result<(), End> {
        Ok(())
    }

    /// Looks something up through a binding. `deadline` bounds the wait.
    fn recall<'a>(
        &'a self,
        binding: &'a str,
        query: &'a Query,
        deadline: Option<Duration>,
    ) -> BoxFuture<'a, Result<Recalled, EngramError>>;

    /// Writes through a binding, journaled on the task's trace. `deadline`
    /// bounds the wait.
    fn imprint<'a>(
        &'a self,
        binding: &'a str,
        imprint: Imprint,
        deadline: Option<Duration>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>>;

    /// Publishes a cognition signal on the task's trace.
    ///
    /// # Errors
    /// When the grant does not cover the type, or the trace was stopped.
    fn emit(&self, payload: Payload) -> Result<SignalId, EmitError>;

    /// Takes a log line of the guest.
    fn log(&self, record: LogRecord);

    /// The clock that the guest sees.
    fn clock(&self) -> &Clock;

    /// The randomness that the guest sees.
    fn random(&self) -> &Random;

    /// The orchestrator. Only a component that was granted the interface gets
    /// here: the linker offers it to no other.
    fn orchestration(&self) -> Arc<dyn Orchestration>;
}

/// A host call with what the guest sent, of which nothing has been checked.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[expect(missing_docs, reason = "named and described in wit/")]
pub enum HostCall<'a> {
    /// `engram.recall`
    Recall {
        binding: &'a str,
        query: &'a engram::Query,
        options: &'a engram::RecallOptions,
    },
    /// `engram.recall-many`
    RecallMany {
        binding: &'a str,
        queries: &'a [engram::Query],
        options: &'a engram::RecallOptions,
    },
    /// `engram.imprint`
    Imprint {
        binding: &'a str,
        op: engram::Op,
        entry: &'a engram::Entry,
        options: &'a engram::ImprintOptions,
    },
    /// `engram.imprint-many`
    ImprintMany {
        binding: &'a str,
        op: engram::Op,
        entries: &'a [engram::Entry],
        options: &'a engram::ImprintOptions,
    },
    /// `synapse.emit`
    Emit { kind: SignalType, payload: &'a str },
    /// `clock.wall-ms`
    WallMs,
    /// `clock.monotonic-ns`
    MonotonicNs,
    /// `clock.sleep-ms`
    SleepMs(u64),
    /// `random.bytes`
    RandomBytes(u32),
    /// `random.u64`
    RandomU64,
    /// `orchestration.dispatch`
    Dispatch {
        target: &'a Target,
        input: &'a str,
        options: &'a DispatchOptions,
    },
    /// `orchestration.dispatch-and-wait`
    DispatchAndWait {
        target: &'a Target,
        input: &'a str,
        options: &'a DispatchOptions,
    },
    /// `orchestration.run-with-retry`
    RunWithRetry {
        target: &'a Target,
        input: &'a str,
        strategy: &'a RetryStrategy,
    },
    /// `orchestration.stop-trace`
    StopTrace {
        trace: &'a str,
        options: &'a StopOptions,
    },
    /// A call on a `pathway` of `orchestration`, by the task that it is of.
    Pathway {
        task: &'a SignalId,
        call: PathwayCall,
    },
}

/// What is called on a pathway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named and described in wit/")]
pub enum PathwayCall {
    TraceId,
    TaskId,
    Next,
    /// With the timeout in milliseconds.
    Wait(u64),
    Close,
}

/// Why a signal was not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// The grant does not include the type.
    #[error("{0}")]
    Denied(String),
    /// The trace was stopped.
    #[error("the trace was stopped")]
    Cancelled,
}

/// The refusal of a binding that the neuron does not have.
pub(crate) fn not_bound<'a>(
    neuron: &str,
    binding: &str,
    bound: impl Iterator<Item = &'a str>,
) -> EngramError {
    let bound: Vec<_> = bound.collect();
    let bound = if bound.is_empty() {
        "nothing".to_owned()
    } else {
        format!("`{}`", bound.join("`, `"))
    };
    EngramError::NotBound(format!(
        "neuron `{neuron}` has no engram bound as `{binding}`; bound: {bound}"
    ))
}

/// The refusal of a write through a binding to read.
pub(crate) fn read_only(neuron: &str, binding: &str) -> EngramError {
    EngramError::Denied(format!(
        "neuron `{neuron}` may only read through the binding `{binding}`"
    ))
}

/// The refusal of a signal type that is not granted.
pub(crate) fn may_not_emit(neuron: &str, kind: SignalType) -> EmitError {
    EmitError::Denied(format!("neuron `{neuron}` may not emit {}", kind.as_str()))
}

/// Severity of a guest's log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Finest.
    Trace,
    /// For authors.
    Debug,
    /// For operators.
    Info,
    /// Something is off.
    Warn,
    /// Something failed.
    Error,
}

/// One log line of a guest.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// Severity.
    pub level: LogLevel,
    /// Text, at most [`LogRecord::MAX_BYTES`] long.
    pub message: String,
    /// Structured fields.
    pub fields: Object,
}

impl LogRecord {
    /// Longer messages are cut at a character boundary.
    pub const MAX_BYTES: usize = 8 << 10;

    /// Whether the guest wrote this line while it panicked: an error line with
    /// the field `panic: true`.
    pub fn is_panic(&self) -> bool {
        self.level == LogLevel::Error && self.fields.get("panic") == Some(&Value::Bool(true))
    }
}

/// Accounts for what a task uses against its tenant's quotas.
pub trait Governor: Send + Sync + 'static {
    /// Charges fuel that was burnt.
    fn charge_fuel(&self, units: u64);
    /// How long the tenant must pause before it may burn more fuel.
    fn throttle(&self) -> Option<Duration>;
    /// Asks for linear memory; `false` refuses.
    fn reserve_memory(&self, bytes: usize) -> bool;
    /// Gives memory back.
    fn release_memory(&self, bytes: usize);
}

/// A governor that grants everything: for trusted use and for measuring.
#[derive(Debug, Default)]
pub struct Ungoverned;

impl Governor for Ungoverned {
    fn charge_fuel(&self, _units: u64) {}
    fn throttle(&self) -> Option<Duration> {
        None
    }
    fn reserve_memory(&self, _bytes: usize) -> bool {
        true
    }
    fn release_memory(&self, _bytes: usize) {}
}

/// The orchestrator as a neuron with the grant sees it: only its own tenant,
/// and for STOP only traces that it started.
pub trait Orchestration: Send + Sync + 'static {
    /// Starts a task on another neuron.
    ///
    /// # Errors
    /// Unroutable target, foreign or stopped trace, full queue.
    fn dispatch(
        &self,
        target: Target,
        input: Object,
        options: DispatchOptions,
    ) -> Result<PathwayHandle, OrchestrationError>;

    /// Starts a task and waits for its reply.
    fn dispatch_and_wait(
        &self,
        target: Target,
        input: Object,
        options: DispatchOptions,
    ) -> BoxFuture<'_, Result<ResultOf, OrchestrationError>>;

    /// Runs a task under a retry strategy.
    fn run_with_retry(
        &self,
        target: Target,
        input: Object,
        strategy: RetryStrategy,
    ) -> BoxFuture<'_, Result<ResultOf, OrchestrationError>>;

    /// Stops a trace that this neuron started.
    fn stop_trace(
        &self,
        trace: TraceId,
        options: StopOptions,
    ) -> BoxFuture<'_, Result<Vec<Stopped>, OrchestrationError>>;
}

/// The events of a task that a neuron dispatched.
pub trait GuestPathway: Send + Sync + 'static {
    /// The dispatched task's trace.
    fn trace_id(&self) -> &TraceId;
    /// The dispatched task.
    fn task_id(&self) -> &SignalId;
    /// The next signal; `None` when the task has ended.
    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Signal>>>;
    /// Waits for the reply.
    fn wait(&mut self, timeout: Duration) -> BoxFuture<'_, Result<Outcome, OrchestrationError>>;
    /// Stops listening.
    fn close(&mut self);
}

/// What a guest's `pathway` resource holds.
pub type PathwayHandle = Box<dyn GuestPathway>;
