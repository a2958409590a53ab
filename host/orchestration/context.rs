//! The world around a running task: where its host calls arrive.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    Core, TenantState,
    dispatch::Parent,
    guest::GuestOrchestrator,
    pathway::Listener,
    registry::{Access, Binding, Neuron},
    trace::Trace,
};
use crate::{
    clock::{Clock, Random},
    engram::{BoxFuture, EngramError, Imprint, Query, Recalled, Receipt},
    neuron::environment::{self, EmitError, Environment, LogLevel, LogRecord, Orchestration},
    signal::{Directed, Payload, SignalId, TraceId},
    tenant::Permit,
};

/// What a running task's host calls work on.
pub(super) struct TaskContext(Arc<Task>);

/// A running task, as its host calls need it.
pub(super) struct Task {
    pub(super) core: Arc<Core>,
    pub(super) tenant: Arc<TenantState>,
    pub(super) trace: Arc<Trace>,
    pub(super) id: SignalId,
    /// How many tasks stand above this one.
    pub(super) depth: u32,
    pub(super) neuron: Arc<Neuron>,
    pub(super) listener: Arc<Listener>,
    pub(super) permit: Arc<Mutex<Permit>>,
}

impl TaskContext {
    pub(super) fn new(task: Task) -> Self {
        Self(Arc::new(task))
    }
}

impl Task {
    /// This task, as the parent of those that it starts.
    pub(super) fn as_parent(&self) -> Parent<'_> {
        Parent {
            trace: &self.trace,
            task: &self.id,
            depth: self.depth,
        }
    }

    fn binding(&self, name: &str) -> Result<&Binding, EngramError> {
        let bindings = &self.neuron.bindings;
        bindings.get(name).ok_or_else(|| {
            let bound = bindings.keys().map(String::as_str);
            environment::not_bound(&self.neuron.id, name, bound)
        })
    }

    /// Waits for a task of this task's with the place on the tenant's limit
    /// lent to it.
    pub(super) async fn lending<T>(&self, wait: impl Future<Output = T>) -> T {
        struct TakeBack<'a>(&'a Mutex<Permit>);
        impl Drop for TakeBack<'_> {
            fn drop(&mut self) {
                self.0.lock().take_back();
            }
        }
        self.permit.lock().lend();
        let _back = TakeBack(&self.permit);
        wait.await
    }

    /// Bounds a wait on an engram.
    async fn within<T>(
        &self,
        deadline: Option<Duration>,
        wait: impl Future<Output = Result<T, EngramError>>,
    ) -> Result<T, EngramError> {
        let Some(deadline) = deadline else {
            return wait.await;
        };
        tokio::select! {
            biased;
            done = wait => done,
            () = self.core.clock.sleep(deadline) => Err(EngramError::Timeout),
        }
    }

    async fn write(
        &self,
        binding: &Binding,
        name: &str,
        imprint: Imprint,
    ) -> Result<Receipt, EngramError> {
        if binding.access == Access::Read {
            return Err(environment::read_only(&self.neuron.id, name));
        }
        self.trace
            .touch(&binding.engram)
            .map_err(|_| EngramError::Cancelled)?;
        binding
            .engram
            .imprint(imprint, Some(self.trace.scope()))
            .await
    }
}

impl Environment for TaskContext {
    fn recall<'a>(
        &'a self,
        binding: &'a str,
        query: &'a Query,
        deadline: Option<Duration>,
    ) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        Box::pin(async move {
            let binding = self.0.binding(binding)?;
            let deadline = deadline.or(binding.deadline);
            self.0.within(deadline, binding.engram.recall(query)).await
        })
    }

    fn imprint<'a>(
        &'a self,
        name: &'a str,
        imprint: Imprint,
        deadline: Option<Duration>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        Box::pin(async move {
            let binding = self.0.binding(name)?;
            let deadline = deadline.or(binding.deadline);
            let write = self.0.write(binding, name, imprint);
            self.0.within(deadline, write).await
        })
    }

    fn emit(&self, payload: Payload) -> Result<SignalId, EmitError> {
        let task = &self.0;
        let kind = payload.signal_type();
        if !task.neuron.emits.contains(&kind) {
            return Err(environment::may_not_emit(&task.neuron.id, kind));
        }
        let from = Directed::to(Arc::clone(&task.neuron.id));
        let signal = task
            .core
            .signal(task.trace.id(), Some(task.id.clone()), Some(from), payload);
        task.trace
            .while_open(|| task.core.publish(&task.tenant, &signal))
            .map_err(|_| EmitError::Cancelled)?;
        task.listener.deliver(&signal);
        Ok(signal.id.clone())
    }

    fn log(&self, record: LogRecord) {
        log_line(&self.0, &record);
    }

    fn clock(&self) -> &Clock {
        &self.0.core.clock
    }

    fn random(&self) -> &Random {
        &self.0.core.random
    }

    fn orchestration(&self) -> Arc<dyn Orchestration> {
        Arc::new(GuestOrchestrator::new(Arc::clone(&self.0)))
    }
}

fn log_line(task: &Task, record: &LogRecord) {
    let LogRecord {
        level,
        message,
        fields,
    } = record;
    let trace: &TraceId = task.trace.id();
    let neuron = &*task.neuron.id;
    let tenant = &**task.tenant.tenant.name();
    let fields = serde_json::to_string(fields).unwrap_or_default();
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(target: "neuron", %trace, tenant, neuron, fields, "{message}")
        };
    }
    match level {
        LogLevel::Trace => line!(trace),
        LogLevel::Debug => line!(debug),
        LogLevel::Info => line!(info),
        LogLevel::Warn => line!(warn),
        LogLevel::Error => line!(error),
    }
}
