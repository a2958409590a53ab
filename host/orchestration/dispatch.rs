//! From a request to a task that is entered into its trace.

use std::{
    sync::{Arc, atomic::Ordering},
    task::{Context, Waker},
};

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::{
    Core, TenantState,
    pathway::{Listener, Pathway, Scope, WaitError},
    registry::Target,
    task::{RunningTask, Worker},
    trace::{MAX_CHILDREN, Refused, Settlement, TaskEnd, Trace},
};
use crate::{
    neuron::{Caps, Limits, TaskControl},
    signal::{self, Object, Payload, Signal, SignalId, TraceId, size_of_object, size_of_value},
    tenant::{Overloaded, Waiting},
};

/// A task to be started.
#[derive(Clone, Debug)]
pub struct Dispatch {
    pub(super) target: Target,
    pub(super) input: Value,
    pub(super) context: Vec<Value>,
    pub(super) trace: Option<TraceId>,
    pub(super) parent: Option<SignalId>,
    pub(super) attempt: Option<u32>,
    pub(super) scope: Scope,
    pub(super) limits: Option<Limits>,
    pub(super) caps: Caps,
    pub(super) meta: Object,
}

impl Dispatch {
    /// A task with an empty input on a fresh trace.
    pub fn to(target: Target) -> Self {
        Self {
            target,
            input: Value::Object(Object::new()),
            context: Vec::new(),
            trace: None,
            parent: None,
            attempt: None,
            scope: Scope::default(),
            limits: None,
            caps: Caps::default(),
            meta: Object::new(),
        }
    }

    /// A task for the neuron with this id.
    pub fn to_neuron(id: impl Into<Arc<str>>) -> Self {
        Self::to(Target::neuron(id))
    }

    /// Answers a CLARIFICATION: the neuron that asked gets a new task on the
    /// same trace, with the question and the answer in `input.clarification`
    /// (reference: cosmonapse, section 1.2). `None` for any other signal.
    pub fn answering(asked: &Signal, answer: Value) -> Option<Self> {
        let Payload::Clarification(question) = &asked.payload else {
            return None;
        };
        let input = json!({"clarification": {"question": question.question, "answer": answer}});
        Self::in_reply(asked, input)
    }

    /// Decides on a PERMISSION: the neuron that asked gets a new task on the
    /// same trace, with the decision in `input.permission`. `None` for any
    /// other signal.
    pub fn deciding(asked: &Signal, granted: bool, reason: Option<&str>) -> Option<Self> {
        let Payload::Permission(request) = &asked.payload else {
            return None;
        };
        let mut decision = json!({"action": request.action, "granted": granted});
        if let (Some(reason), Value::Object(decision)) = (reason, &mut decision) {
            decision.insert("reason".to_owned(), reason.into());
        }
        Self::in_reply(asked, json!({"permission": decision}))
    }

    fn in_reply(asked: &Signal, input: Value) -> Option<Self> {
        let neuron = asked.directed.as_ref()?.id.as_ref()?;
        let dispatch = Self::to_neuron(Arc::clone(neuron)).input(input);
        Some(
            dispatch
                .on_trace(asked.trace_id.clone())
                .parent(asked.id.clone()),
        )
    }

    /// The input: a JSON object.
    #[must_use]
    pub fn input(mut self, input: Value) -> Self {
        self.input = input;
        self
    }

    /// Context entries for the neuron, oldest first.
    #[must_use]
    pub fn context(mut self, context: Vec<Value>) -> Self {
        self.context = context;
        self
    }

    /// Runs on this trace, opened if it is new; whoever names a trace settles
    /// it.
    #[must_use]
    pub fn on_trace(mut self, trace: TraceId) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Runs on a trace of its own: the default.
    #[must_use]
    pub fn on_fresh_trace(mut self) -> Self {
        self.trace = None;
        self
    }

    /// The signal that this task follows from.
    #[must_use]
    pub fn parent(mut self, parent: SignalId) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Attempt under a retry strategy, from 0; goes to `meta.attempt`.
    #[must_use]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// Asks for a FINAL: see [`Scope::Terminal`].
    #[must_use]
    pub fn terminal(mut self) -> Self {
        self.scope = Scope::Terminal;
        self
    }

    /// Runs under these limits instead of the neuron's own.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Runs under no more than these, whatever its limits are.
    #[must_use]
    pub fn at_most(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Further keys for the TASK's `meta`.
    #[must_use]
    pub fn meta(mut self, meta: Object) -> Self {
        self.meta = meta;
        self
    }

    /// What its input, context and metadata take in memory.
    pub(super) fn input_bytes(&self) -> u64 {
        let context = self.context.iter();
        let context = context.map(|entry| size_of::<Value>() + size_of_value(entry).memory);
        let bytes = size_of_value(&self.input).memory
            + context.sum::<usize>()
            + size_of_object(&self.meta).memory;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

/// Why a task did not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// No neuron of the tenant fits.
    #[error("no neuron of tenant `{tenant}` is {target}; registered: {}", list(.registered))]
    Unroutable {
        /// Name of the tenant.
        tenant: Arc<str>,
        /// Whom the task was for.
        target: String,
        /// Who is there.
        registered: Vec<Arc<str>>,
    },
    /// The trace was stopped.
    #[error("trace {0} was stopped; dispatch on a fresh trace")]
    Stopped(TraceId),
    /// No room, not even to wait.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// The input is no object.
    #[error("the input of a task must be a JSON object, not `{0}`")]
    InvalidInput(String),
    /// A trace's tasks started very many traces.
    #[error("the tasks of a trace may have at most {0} traces started and not settled")]
    TooManyTraces(usize),
    /// The host is shutting down.
    #[error("the host is shutting down")]
    ShutDown,
    /// The tenant is no more.
    #[error("tenant `{0}` was removed from this host")]
    Removed(Arc<str>),
    /// Tasks that start tasks that start tasks.
    #[error("a task may start tasks at most {0} levels deep")]
    TooDeep(u32),
}

fn list(ids: &[Arc<str>]) -> String {
    if ids.is_empty() {
        "none".to_owned()
    } else {
        ids.join(", ")
    }
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The task did not start.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
    /// It did, and no reply came.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

/// How deep tasks may start tasks, on whatever trace.
const MAX_DEPTH: u32 = 16;

/// The task on whose behalf another is started.
#[derive(Clone, Copy)]
pub(super) struct Parent<'a> {
    pub(super) trace: &'a Arc<Trace>,
    pub(super) task: &'a SignalId,
    /// How many tasks stand above it.
    pub(super) depth: u32,
}

impl Core {
    /// Starts a task on the guests' runtime.
    pub(super) fn dispatch(
        self: &Arc<Self>,
        tenant: &Arc<TenantState>,
        dispatch: Dispatch,
        parent: Option<Parent<'_>>,
    ) -> Result<Pathway, DispatchError> {
        let (pathway, work) = self.prepare(tenant, dispatch, parent)?;
        self.guests.spawn(self.clock.watched(work));
        Ok(pathway)
    }

    /// Starts a task for a caller that will wait for it: its first slice runs
    /// on the caller's thread, if that is one of the guests'. A short task is
    /// done by then, and no thread was woken and no timer set for it.
    pub(super) fn dispatch_here(
        self: &Arc<Self>,
        tenant: &Arc<TenantState>,
        dispatch: Dispatch,
    ) -> Result<Pathway, DispatchError> {
        let (pathway, work) = self.prepare(tenant, dispatch, None)?;
        let work = self.clock.watched(work);
        // A clock that skips waits has to know of work that is not polled yet.
        let here = !self.clock.skips()
            && Handle::try_current().is_ok_and(|here| here.id() == self.guests.id());
        if here {
            let mut work = Box::pin(work);
            // Nobody is lost who wakes this waker: a spawned task is polled.
            let mut context = Context::from_waker(Waker::noop());
            if work.as_mut().poll(&mut context).is_pending() {
                self.guests.spawn(work);
            }
        } else {
            self.guests.spawn(work);
        }
        Ok(pathway)
    }

    /// Everything but running it.
    fn prepare(
        self: &Arc<Self>,
        tenant: &Arc<TenantState>,
        dispatch: Dispatch,
        parent: Option<Parent<'_>>,
    ) -> Result<(Pathway, impl Future<Output = ()> + Send + use<>), DispatchError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(DispatchError::ShutDown);
        }
        if tenant.traces.is_closed() {
            return Err(tenant.removed());
        }
        let neuron = tenant.route(&dispatch.target)?;
        let bytes = dispatch.input_bytes();
        let depth = parent.map_or(0, |parent| parent.depth + 1);
        if depth > MAX_DEPTH {
            return Err(DispatchError::TooDeep(MAX_DEPTH));
        }
        let held_input = tenant.tenant.hold_input(bytes)?;
        let unfit = tenant.unfit(&neuron, &dispatch.input);
        let input = match dispatch.input {
            Value::Object(input) => input,
            other => return Err(DispatchError::InvalidInput(other.to_string())),
        };
        let admission = self.admission.ask(&tenant.tenant, parent.is_some())?;
        let mut payload = signal::Task::new(input);
        payload.capabilities = dispatch.target.required();
        payload.finalize = dispatch.scope == Scope::Terminal;
        let parent_id = dispatch
            .parent
            .or_else(|| parent.map(|parent| parent.task.clone()));
        let id = dispatch.trace.clone().unwrap_or_else(|| self.ids.trace());
        let mut task =
            self.signal_value(&id, parent_id, dispatch.target.directed(), payload.into());
        task.meta = dispatch.meta;
        if let Some(attempt) = dispatch.attempt {
            task.meta.insert("attempt".to_owned(), attempt.into());
        }
        let limits = if dispatch.caps.is_empty() {
            dispatch.limits
        } else {
            let limits = dispatch.limits.as_ref().unwrap_or(&neuron.limits);
            Some(limits.at_most(&dispatch.caps))
        };
        let worker = Worker {
            core: Arc::clone(self),
            tenant: Arc::clone(tenant),
            neuron,
            task: Arc::new(task),
            held_input: Some(held_input),
            unfit,
            attempt: dispatch.attempt.unwrap_or(0),
            context: dispatch.context,
            limits,
            listener: Listener::new(dispatch.scope),
            control: TaskControl::new(),
            depth,
            finalize: dispatch.scope == Scope::Terminal,
        };
        self.start(worker, dispatch.trace.is_some(), parent, admission)
    }

    /// Enters the task into its trace.
    fn start(
        self: &Arc<Self>,
        worker: Worker,
        named: bool,
        parent: Option<Parent<'_>>,
        admission: Waiting,
    ) -> Result<(Pathway, impl Future<Output = ()> + Send + use<>), DispatchError> {
        let settlement = match (parent, named) {
            (Some(_), _) => Settlement::WithParent,
            (None, true) => Settlement::ByOwner,
            (None, false) => Settlement::OnReply,
        };
        let trace = loop {
            match self.enter(&worker, settlement, parent) {
                Ok(trace) => break trace,
                // It went quiet between two steps: open it anew.
                Err(Refused::Forgotten) => {}
                Err(Refused::Stopped) => {
                    return Err(DispatchError::Stopped(worker.task.trace_id.clone()));
                }
                Err(Refused::Removed) => return Err(worker.tenant.removed()),
                Err(Refused::TooManyChildren) => {
                    return Err(DispatchError::TooManyTraces(MAX_CHILDREN));
                }
            }
        };
        let pathway = Pathway::new(
            worker.task.id.clone(),
            Arc::clone(&worker.control),
            Arc::clone(&trace),
            Arc::clone(&worker.listener),
            self.clock.clone(),
        );
        let running = RunningTask {
            worker,
            trace,
            end: TaskEnd::Cancelled,
            answer: None,
        };
        Ok((pathway, running.run(admission)))
    }

    fn enter(
        &self,
        worker: &Worker,
        settlement: Settlement,
        parent: Option<Parent<'_>>,
    ) -> Result<Arc<Trace>, Refused> {
        let table = &worker.tenant.traces;
        let parent_trace = parent.map(|parent| parent.trace);
        let trace = table.open(worker.task.trace_id.clone(), settlement, parent_trace)?;
        if let Some(parent) = parent
            && !Arc::ptr_eq(parent.trace, &trace)
            && let Err(refused) = parent.trace.adopt(&trace)
        {
            trace.forget_if_unused();
            return Err(refused);
        }
        let by = parent.map(|parent| parent.task);
        trace.begin_task(&worker.control, &worker.listener, by, settlement, || {
            self.publish(&worker.tenant, &worker.task);
        })?;
        Ok(trace)
    }
}
