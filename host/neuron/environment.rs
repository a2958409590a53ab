//! What the sandbox needs from the rooms above it, as traits that it owns: a
//! guest's host calls end here. The sandbox knows no tenant, trace table or
//! route.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::contract::orchestration::{
    DispatchOptions, OrchestrationError, Outcome, ResultOf, RetryStrategy, StopOptions, Stopped,
    Target,
};
use crate::{
    clock::{Clock, Random},
    engram::{EngramError, Imprint, Query, Recalled, Receipt},
    signal::{Object, Payload, Signal, SignalId, TraceId},
};

/// The world around one task.
pub trait Environment: Send + Sync + 'static {
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
