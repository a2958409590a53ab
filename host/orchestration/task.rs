//! A task from admission to its one reply.

use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use serde_json::Value;

use super::{
    Core, TenantState,
    context::{Task, TaskContext},
    pathway::{Answer, Listener},
    registry::Neuron,
    trace::{TaskEnd, Trace},
};
use crate::{
    neuron::{End, Ended, Limits, Reply, Surroundings, TaskControl, TaskInput, Usage},
    signal::{self, Directed, Object, Payload, Signal, SignalId},
    tenant::{HeldInput, Permit, Waiting},
};

/// A task and all that it takes to run it.
pub(super) struct Worker {
    pub(super) core: Arc<Core>,
    pub(super) tenant: Arc<TenantState>,
    pub(super) neuron: Arc<Neuron>,
    pub(super) task: Arc<Signal>,
    /// The tenant's charge for it, until the task has ended.
    pub(super) held_input: Option<HeldInput>,
    /// Why the neuron cannot take the input, in words.
    pub(super) unfit: Option<String>,
    pub(super) attempt: u32,
    pub(super) context: Vec<Value>,
    pub(super) limits: Option<Limits>,
    pub(super) listener: Arc<Listener>,
    pub(super) control: Arc<TaskControl>,
    pub(super) depth: u32,
    /// Whether an output is followed by a FINAL.
    pub(super) finalize: bool,
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
pub(super) struct RunningTask {
    pub(super) worker: Worker,
    pub(super) trace: Arc<Trace>,
    /// How it ended; by STOP until it has replied.
    pub(super) end: TaskEnd,
    /// For whoever listens, when the task has left its trace.
    pub(super) answer: Option<Answer>,
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        drop(self.worker.held_input.take());
        let Worker {
            task,
            control,
            listener,
            ..
        } = &self.worker;
        self.trace.end_task(&task.id, control, self.end);
        // Whoever has the answer finds the task gone from its trace.
        match self.answer.take() {
            Some(answer) => listener.answer(answer),
            None => listener.close(),
        }
    }
}

impl RunningTask {
    /// Waits for its turn, runs the neuron and replies.
    pub(super) async fn run(mut self, admission: Waiting) {
        let without_instance = |end| Ended {
            result: Err(end),
            usage: Usage::default(),
        };
        let ended = if let Some(words) = self.worker.unfit.take() {
            drop(admission);
            without_instance(End::InvalidInput(words))
        } else {
            let permit = tokio::select! {
                biased;
                () = self.worker.control.stopped() => None,
                permit = admission => permit,
            };
            match permit {
                Some(permit) => self.work(permit).await,
                // Stopped while it waited, or the host is shutting down.
                None => without_instance(End::Stopped),
            }
        };
        if !matches!(ended.result, Ok(Reply::Output { .. })) {
            self.trace.end_started_by(&self.worker.task.id).await;
        }
        self.reply(ended).await;
    }

    /// Runs the neuron.
    async fn work(&self, permit: Permit) -> Ended {
        // Given back when the instance has been dropped: the store's own share
        // of it goes first.
        let permit = Arc::new(Mutex::new(permit));
        let worker = &self.worker;
        let context = TaskContext::new(Task {
            core: Arc::clone(&worker.core),
            tenant: Arc::clone(&worker.tenant),
            trace: Arc::clone(&self.trace),
            id: worker.task.id.clone(),
            depth: worker.depth,
            neuron: Arc::clone(&worker.neuron),
            listener: Arc::clone(&worker.listener),
            permit: Arc::clone(&permit),
        });
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
        let ended = sandbox
            .run(&worker.neuron.plugin, input, surroundings)
            .await;
        drop(permit);
        ended
    }

    /// Publishes the one reply of the task; with STOP of its trace it has none.
    async fn reply(&mut self, ended: Ended) {
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
        let output = match &payload {
            Payload::AgentOutput(reply) => Some(&reply.output),
            _ => None,
        };
        let end = match output {
            Some(_) => TaskEnd::Output,
            None => TaskEnd::Other,
        };
        let finalized = output.filter(|_| self.worker.finalize).cloned();
        let Some(mut last) = self.publish(&self.worker.task.id, payload, route.as_ref()) else {
            return;
        };
        self.end = end;
        if let Some(result) = finalized {
            self.worker.listener.deliver(&last);
            let payload = signal::Final::new(result).into();
            let Some(last_word) = self.publish(&last.id, payload, None) else {
                return;
            };
            last = last_word;
            // What a task started is settled with the task's own trace.
            if self.worker.depth == 0 {
                self.trace.commit().await;
            }
        }
        self.answer = Some(Answer {
            signal: last,
            route,
            usage,
        });
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
