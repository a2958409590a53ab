//! The orchestrator as a neuron with the grant sees it: the tenant's own
//! neurons, on traces below its own.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use soma_retry::{RetryPolicy, Strategy};

use super::{
    Answer, DispatchError, RetryError, RetryStrategy, StopOptions, TenantHandle, WaitError,
    context::Task, dispatch::Dispatch, pathway::Pathway, registry::Target,
};
use crate::{
    engram::BoxFuture,
    neuron::{
        contract::{orchestration as wit, types},
        environment::{GuestPathway, Orchestration, PathwayHandle},
    },
    signal::{Object, Payload, Signal, SignalId, TraceId},
};

/// See the module.
pub(super) struct GuestOrchestrator {
    task: Arc<Task>,
}

/// Attempts of one `run-with-retry`: a host call is not to last for ever.
const MAX_ATTEMPTS: u32 = 1_000;

/// Capabilities of one target.
const MAX_CAPABILITIES: usize = 64;

/// How long `dispatch-and-wait` waits when it is not told.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

impl GuestOrchestrator {
    pub(super) fn new(task: Arc<Task>) -> Self {
        Self { task }
    }

    fn request(
        &self,
        target: wit::Target,
        input: Object,
        options: &wit::DispatchOptions,
    ) -> Result<Dispatch, wit::OrchestrationError> {
        let mut dispatch = Dispatch::to(target_of(&target)?).input(Value::Object(input));
        if let Some(trace) = &options.trace_id {
            dispatch = dispatch.on_trace(self.own_trace(trace)?);
        }
        if options.finalize {
            dispatch = dispatch.terminal();
        }
        Ok(dispatch)
    }

    /// A trace that the guest may dispatch on: its own or one that it started.
    fn own_trace(&self, text: &str) -> Result<TraceId, wit::OrchestrationError> {
        let id: TraceId = text.parse().map_err(|error| {
            wit::OrchestrationError::Invalid(format!("options.trace-id: {error}"))
        })?;
        if &id == self.task.trace.id() || self.task.trace.started(&id) {
            Ok(id)
        } else {
            Err(foreign(&id))
        }
    }

    fn start(&self, dispatch: Dispatch) -> Result<Pathway, wit::OrchestrationError> {
        let Task { core, tenant, .. } = &*self.task;
        core.dispatch(tenant, dispatch, Some(self.task.as_parent()))
            .map_err(refusal)
    }

    fn handle(&self) -> TenantHandle {
        let Task { core, tenant, .. } = &*self.task;
        TenantHandle::new(Arc::clone(core), Arc::clone(tenant))
    }
}

impl Orchestration for GuestOrchestrator {
    fn dispatch(
        &self,
        target: wit::Target,
        input: Object,
        options: wit::DispatchOptions,
    ) -> Result<PathwayHandle, wit::OrchestrationError> {
        let pathway = self.start(self.request(target, input, &options)?)?;
        Ok(Box::new(ChildPathway {
            task: Arc::clone(&self.task),
            pathway,
        }))
    }

    fn dispatch_and_wait(
        &self,
        target: wit::Target,
        input: Object,
        options: wit::DispatchOptions,
    ) -> BoxFuture<'_, Result<wit::ResultOf, wit::OrchestrationError>> {
        Box::pin(async move {
            let mut pathway = self.start(self.request(target, input, &options)?)?;
            let timeout = options
                .timeout_ms
                .map_or(DEFAULT_TIMEOUT, Duration::from_millis);
            let answer = self.task.lending(pathway.wait(timeout)).await;
            let answer = answer.map_err(unanswered)?;
            Ok(result_of(&pathway, &answer))
        })
    }

    fn run_with_retry(
        &self,
        target: wit::Target,
        input: Object,
        strategy: wit::RetryStrategy,
    ) -> BoxFuture<'_, Result<wit::ResultOf, wit::OrchestrationError>> {
        Box::pin(async move {
            let fresh = wit::DispatchOptions {
                trace_id: None,
                finalize: false,
                timeout_ms: None,
            };
            let dispatch = self.request(target, input, &fresh)?;
            check_attempts(&strategy)?;
            // Kept for further attempts, each of which has its own.
            let kept = self.task.tenant.tenant.hold_input(dispatch.input_bytes());
            let _kept = kept.map_err(|full| refusal(full.into()))?;
            let strategy = strategy_of(strategy);
            let handle = self.handle();
            let retried = handle.retry(dispatch, &strategy, Some(self.task.as_parent()));
            match self.task.lending(retried).await {
                Ok(answer) => Ok(wit::ResultOf {
                    trace_id: answer.signal.trace_id.to_string(),
                    task_id: answer
                        .signal
                        .parent_id
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    outcome: outcome_of(&answer),
                }),
                Err(RetryError::Dispatch(error)) => Err(refusal(error)),
                Err(RetryError::Exhausted { last, .. } | RetryError::NotRetried(last)) => {
                    Err(unanswered(last))
                }
                Err(RetryError::Policy(invalid)) => {
                    Err(wit::OrchestrationError::Invalid(invalid.to_string()))
                }
            }
        })
    }

    fn stop_trace(
        &self,
        trace: TraceId,
        options: wit::StopOptions,
    ) -> BoxFuture<'_, Result<Vec<wit::Stopped>, wit::OrchestrationError>> {
        Box::pin(async move {
            if !self.task.trace.started(&trace) {
                return Err(not_started(&trace));
            }
            let options = StopOptions {
                rollback: options.rollback,
                reason: options.reason.map(Arc::from),
            };
            let handle = self.handle();
            let acks = self.task.lending(handle.stop_trace(&trace, options)).await;
            let acks = acks.iter().map(|ack| wit::Stopped {
                rolled_back: ack.rolled_back,
                cancelled: ack.cancelled,
                compensated: ack.compensated,
                node: ack.node.to_string(),
                kept: ack.kept.iter().map(ToString::to_string).collect(),
            });
            Ok(acks.collect())
        })
    }
}

/// Whom a task of a neuron's is for.
pub(crate) fn target_of(target: &wit::Target) -> Result<Target, wit::OrchestrationError> {
    Ok(match target {
        wit::Target::Neuron(id) => Target::neuron(id.as_str()),
        wit::Target::Capabilities(required) if required.len() > MAX_CAPABILITIES => {
            return Err(wit::OrchestrationError::Invalid(format!(
                "{} capabilities, at most {MAX_CAPABILITIES} are looked for",
                required.len()
            )));
        }
        wit::Target::Capabilities(required) => {
            Target::capabilities(required.iter().map(String::as_str))
        }
        wit::Target::Any => Target::Any,
    })
}

/// Whether a neuron may ask for so many attempts.
pub(crate) fn check_attempts(strategy: &wit::RetryStrategy) -> Result<(), wit::OrchestrationError> {
    let attempts = strategy.max_attempts;
    let limit = match attempts {
        0 => "at least 1 is".to_owned(),
        1..=MAX_ATTEMPTS => return Ok(()),
        _ => format!("at most {MAX_ATTEMPTS} are"),
    };
    Err(wit::OrchestrationError::Invalid(format!(
        "max-attempts is {attempts}, {limit} made"
    )))
}

/// The refusal of a task on a trace of somebody else's.
pub(crate) fn foreign(trace: &TraceId) -> wit::OrchestrationError {
    wit::OrchestrationError::Denied(format!(
        "trace {trace} is neither this task's own nor one that it started"
    ))
}

/// The refusal to stop a trace of somebody else's.
pub(crate) fn not_started(trace: &TraceId) -> wit::OrchestrationError {
    wit::OrchestrationError::Denied(format!("trace {trace} was not started by this task"))
}

/// What the contract's record has no key for is as without it: no jitter, and
/// what is recoverable is retried.
fn strategy_of(strategy: wit::RetryStrategy) -> RetryStrategy {
    let (growth, base_ms) = match strategy.backoff {
        wit::Backoff::None => (Strategy::Constant, 0),
        wit::Backoff::Constant(base) => (Strategy::Constant, base),
        wit::Backoff::Linear(base) => (Strategy::Linear, base),
        wit::Backoff::Exponential(base) => (Strategy::Exponential, base),
        wit::Backoff::DecorrelatedJitter(base) => (Strategy::DecorrelatedJitter, base),
    };
    RetryStrategy {
        policy: RetryPolicy {
            max_attempts: strategy.max_attempts,
            strategy: growth,
            base_delay: Duration::from_millis(base_ms),
            max_delay: Duration::from_millis(strategy.max_delay_ms),
            multiplier: 2.0,
            jitter_factor: 0.0,
            retry_on: None,
            abort_on: None,
        },
        timeout: Duration::from_millis(strategy.timeout_ms),
        rollback_on_retry: strategy.rollback_on_retry,
        reason: strategy.reason.into(),
        ..RetryStrategy::default()
    }
}

/// A refused dispatch as the contract tells it.
pub(crate) fn refusal(error: DispatchError) -> wit::OrchestrationError {
    let text = error.to_string();
    match error {
        DispatchError::Unroutable { .. } => wit::OrchestrationError::Unroutable(text),
        DispatchError::Stopped(_) | DispatchError::Removed(_) => {
            wit::OrchestrationError::Denied(text)
        }
        DispatchError::Overloaded(_)
        | DispatchError::TooManyTraces(_)
        | DispatchError::ShutDown => wit::OrchestrationError::Overloaded(text),
        DispatchError::InvalidInput(_) | DispatchError::TooDeep(_) => {
            wit::OrchestrationError::Invalid(text)
        }
    }
}

/// A wait without a reply as the contract tells it.
pub(crate) fn unanswered(error: WaitError) -> wit::OrchestrationError {
    let text = error.to_string();
    match error {
        WaitError::Timeout { .. } => wit::OrchestrationError::Timeout(text),
        WaitError::Closed(_) => wit::OrchestrationError::Closed(text),
    }
}

fn result_of(pathway: &Pathway, answer: &Answer) -> wit::ResultOf {
    wit::ResultOf {
        trace_id: pathway.trace_id().to_string(),
        task_id: pathway.task_id().to_string(),
        outcome: outcome_of(answer),
    }
}

fn text(object: &Object) -> String {
    serde_json::to_string(object).unwrap_or_default()
}

/// A reply as the contract tells it.
pub(crate) fn outcome_of(answer: &Answer) -> wit::Outcome {
    let output = |value: &Object| types::Output {
        value: text(value),
        route: answer.route.as_ref().map(ToString::to_string),
    };
    wit::Outcome::Replied(match &answer.signal.payload {
        Payload::AgentOutput(reply) => types::Reply::Output(output(&reply.output)),
        Payload::Final(reply) => types::Reply::Output(output(&reply.result)),
        Payload::Clarification(asked) => types::Reply::Clarification(types::Clarification {
            question: asked.question.clone(),
            context: asked.context.as_ref().map(Value::to_string),
        }),
        Payload::Permission(asked) => types::Reply::Permission(types::Permission {
            action: asked.action.clone(),
            scope: asked.scope.as_ref().map(Value::to_string),
            reason: asked.reason.clone(),
            context: asked.context.as_ref().map(Value::to_string),
        }),
        Payload::Error(error) => {
            return wit::Outcome::Failed(types::Failure {
                code: error.code.clone(),
                message: error.message.clone(),
                recoverable: error.recoverable,
            });
        }
        other => {
            return wit::Outcome::Failed(types::Failure {
                code: "UNEXPECTED_REPLY".to_owned(),
                message: format!("{} is no reply", other.signal_type().as_str()),
                recoverable: false,
            });
        }
    })
}

/// A pathway in a guest's hands.
struct ChildPathway {
    task: Arc<Task>,
    pathway: Pathway,
}

impl GuestPathway for ChildPathway {
    fn trace_id(&self) -> &TraceId {
        self.pathway.trace_id()
    }

    fn task_id(&self) -> &SignalId {
        self.pathway.task_id()
    }

    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Signal>>> {
        Box::pin(self.task.lending(self.pathway.next()))
    }

    fn wait(
        &mut self,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<wit::Outcome, wit::OrchestrationError>> {
        Box::pin(async move {
            let answer = self.task.lending(self.pathway.wait(timeout)).await;
            answer.map(|answer| outcome_of(&answer)).map_err(unanswered)
        })
    }

    fn close(&mut self) {
        self.pathway.close();
    }
}
