//! From a request to a running task, and from its end to its reply.

use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::{
    Core, TenantState,
    context::TaskContext,
    pathway::{Answer, Listener, Pathway, Scope, WaitError},
    registry::{Neuron, Target},
    trace::{Refused, Settlement, TaskEnd, Trace},
};
use crate::{
    neuron::{End, Ended, Limits, Reply, Surroundings, TaskControl, TaskInput, Usage},
    signal::{self, Directed, Object, Payload, Signal, SignalId, TraceId},
    tenant::{Overloaded, Permit, Waiting},
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
            meta: Object::new(),
        }
    }

    /// A task for the neuron with this id.
    pub fn to_neuron(id: impl Into<Arc<str>>) -> Self {
        Self::to(Target::neuron(id))
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

    /// Further keys for the TASK's `meta`.
    #[must_use]
    pub fn meta(mut self, meta: Object) -> Self {
        self.meta = meta;
        self
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
    pub(super) fn dispatch(
        self: &Arc<Self>,
        tenant: &Arc<TenantState>,
        dispatch: Dispatch,
        parent: Option<Parent<'_>>,
    ) -> Result<Pathway, DispatchError> {
        let neuron = tenant.route(&dispatch.target)?;
        let input = match dispatch.input {
            Value::Object(input) => input,
            other => return Err(DispatchError::InvalidInput(other.to_string())),
        };
        let depth = parent.map_or(0, |parent| parent.depth + 1);
        if depth > MAX_DEPTH {
            return Err(DispatchError::TooDeep(MAX_DEPTH));
        }
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
        let worker = Worker {
            core: Arc::clone(self),
            tenant: Arc::clone(tenant),
            neuron,
            task: Arc::new(task),
            attempt: dispatch.attempt.unwrap_or(0),
            context: dispatch.context,
            limits: dispatch.limits,
            listener: Listener::new(dispatch.scope),
            control: TaskControl::new(),
            depth,
            finalize: dispatch.scope == Scope::Terminal,
        };
        self.start(worker, dispatch.trace.is_some(), parent, admission)
    }

    /// Enters the task into its trace and sets it going.
    fn start(
        self: &Arc<Self>,
        worker: Worker,
        named: bool,
        parent: Option<Parent<'_>>,
        admission: Waiting,
    ) -> Result<Pathway, DispatchError> {
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
        };
        self.guests.spawn(running.run(admission));
        Ok(pathway)
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
            && let Err(refused) = parent.trace.adopt(&trace, parent.task)
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

/// A task and all that it takes to run it.
struct Worker {
    core: Arc<Core>,
    tenant: Arc<TenantState>,
    neuron: Arc<Neuron>,
    task: Arc<Signal>,
    attempt: u32,
    context: Vec<Value>,
    limits: Option<Limits>,
    listener: Arc<Listener>,
    control: Arc<TaskControl>,
    depth: u32,
    /// Whether an output is followed by a FINAL.
    finalize: bool,
}

impl Worker {
    /// The input, shared with the published TASK.
    fn input(&self) -> &Object {
        static NONE: LazyLock<Object> = LazyLock::new(Object::new);
        match &self.task.payload {
            Payload::Task(request) => &request.input,
            _ => &NONE,
        }
    }
}

/// A task that is entered into its trace. However it goes away, the trace
/// learns of it.
struct RunningTask {
    worker: Worker,
    trace: Arc<Trace>,
    end: TaskEnd,
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.worker.listener.close();
        let Worker { task, control, .. } = &self.worker;
        self.trace.end_task(&task.id, control, self.end);
    }
}

impl RunningTask {
    async fn run(mut self, admission: Waiting) {
        let permit = tokio::select! {
            biased;
            () = self.worker.control.stopped() => None,
            permit = admission => permit,
        };
        let ended = match permit {
            Some(permit) => self.work(permit).await,
            // Stopped while it waited, or the host is shutting down.
            None => Ended {
                result: Err(End::Stopped),
                usage: Usage::default(),
            },
        };
        self.end = self.reply(ended).await;
    }

    /// Runs the neuron.
    async fn work(&self, permit: Permit) -> Ended {
        let worker = &self.worker;
        let context = TaskContext::new(
            Arc::clone(&worker.core),
            Arc::clone(&worker.tenant),
            Arc::clone(&self.trace),
            Arc::clone(&worker.neuron),
            &worker.task,
            worker.depth,
            Arc::clone(&worker.listener),
            permit,
        );
        let input = TaskInput {
            id: &worker.task.id,
            trace_id: &worker.task.trace_id,
            neuron: &worker.neuron.id,
            attempt: worker.attempt,
            input: worker.input(),
            context: &worker.context,
        };
        let surroundings = Surroundings {
            environment: Arc::new(context),
            governor: Arc::clone(&worker.tenant.tenant) as _,
            limits: worker.limits.as_ref().unwrap_or(&worker.neuron.limits),
            control: &worker.control,
        };
        let sandbox = &worker.core.sandbox;
        sandbox
            .run(&worker.neuron.plugin, input, surroundings)
            .await
    }

    /// Publishes the one reply of the task; with STOP of its trace it has none.
    async fn reply(&self, ended: Ended) -> TaskEnd {
        let Ended { result, usage } = ended;
        let (payload, route) = match result {
            Err(end) => {
                let code = end.code().to_owned();
                let recoverable = end.recoverable();
                let error = signal::ErrorReport::new(code, end.to_string(), recoverable);
                (Payload::from(error), None)
            }
            Ok(reply) => payload_of(reply),
        };
        let result = match &payload {
            Payload::AgentOutput(reply) => Some(&reply.output),
            _ => None,
        };
        let end = if result.is_some() {
            TaskEnd::Output
        } else {
            TaskEnd::Other
        };
        let result = result.filter(|_| self.worker.finalize).cloned();
        let Some(reply) = self.publish(&self.worker.task.id, payload, route.as_ref()) else {
            return TaskEnd::Cancelled;
        };
        let mut last = reply;
        if let Some(result) = result {
            self.worker.listener.deliver(&last);
            let payload = signal::Final::new(result).into();
            let Some(last_word) = self.publish(&last.id, payload, None) else {
                return end;
            };
            last = last_word;
            self.trace.commit().await;
        }
        self.worker.listener.answer(Answer {
            signal: last,
            route,
            usage,
        });
        end
    }

    /// Publishes a signal in the neuron's name; `None` once STOP has begun.
    fn publish(
        &self,
        parent: &SignalId,
        payload: Payload,
        route: Option<&Arc<str>>,
    ) -> Option<Arc<Signal>> {
        let Worker {
            core,
            tenant,
            neuron,
            ..
        } = &self.worker;
        let from = Directed::to(Arc::clone(&neuron.id));
        let mut signal =
            core.signal_value(self.trace.id(), Some(parent.clone()), Some(from), payload);
        if let Some(route) = route {
            signal
                .meta
                .insert("route".to_owned(), Value::from(route.to_string()));
        }
        let signal = Arc::new(signal);
        self.trace
            .while_open(|| core.publish(tenant, &signal))
            .ok()?;
        Some(signal)
    }
}

/// The wire's form of a reply, and the route beside it.
fn payload_of(reply: Reply) -> (Payload, Option<Arc<str>>) {
    match reply {
        Reply::Output { value, route } => {
            // The wire has objects only (reference: cosmonapse, section 1.1).
            let output = match value {
                Value::Object(output) => output,
                other => Object::from_iter([("value".to_owned(), other)]),
            };
            let route = route.map(Arc::from);
            (signal::AgentOutput::new(output).into(), route)
        }
        Reply::Clarification { question, context } => {
            let mut asked = signal::Clarification::new(question);
            asked.context = context;
            (asked.into(), None)
        }
        Reply::Permission {
            action,
            scope,
            reason,
            context,
        } => {
            let mut asked = signal::Permission::new(action);
            asked.scope = scope.map(Value::Object);
            asked.reason = reason;
            asked.context = context;
            (asked.into(), None)
        }
    }
}
