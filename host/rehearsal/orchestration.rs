//! The orchestrator of a rehearsal: tasks that the neuron starts are answered
//! by the case.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::Value;

use super::{
    case::{Failing, TaskAnswer},
    faults::Failed,
    stage::Scene,
};
use crate::{
    neuron::{
        Usage,
        contract::orchestration::{
            DispatchOptions, OrchestrationError, Outcome, ResultOf, RetryStrategy, StopOptions,
            Stopped, Target,
        },
        environment::{GuestPathway, Orchestration, PathwayHandle},
    },
    orchestration::{
        Answer, DispatchError, WaitError,
        guest::{
            DEFAULT_TIMEOUT, check_attempts, foreign, not_started, outcome_of, refusal, target_of,
            unanswered,
        },
    },
    signal::{
        AgentOutput, Clarification, Directed, ErrorReport, Object, Payload, Permission, Signal,
        SignalId, TraceId,
    },
};

/// Who answers STOP.
const NODE: &str = "rehearsal";

/// The answers of a case, and the traces that were started for them.
pub(super) struct Answers {
    answers: Vec<TaskAnswer>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: BTreeSet<usize>,
    traces: BTreeMap<TraceId, Started>,
}

/// A trace that the neuron started.
struct Started {
    /// The answer that its task has.
    answer: usize,
    /// When that comes; never without one.
    due: Option<Duration>,
    stopped: Option<Duration>,
}

impl Answers {
    pub(super) fn new(answers: Vec<TaskAnswer>) -> Self {
        Self {
            answers,
            state: Mutex::default(),
        }
    }

    /// The numbers of those that no task was started for.
    pub(super) fn unused(&self) -> Vec<usize> {
        let state = self.state.lock();
        let all = 0..self.answers.len();
        all.filter(|index| !state.used.contains(index)).collect()
    }

    /// The next answer of a target; `Err` says whether it had any.
    fn take(&self, target: &Target) -> Result<(usize, &TaskAnswer), bool> {
        let mut state = self.state.lock();
        let mut had_any = false;
        for (index, answer) in self.answers.iter().enumerate() {
            if is_of(answer, target) {
                had_any = true;
                if state.used.insert(index) {
                    return Ok((index, answer));
                }
            }
        }
        Err(had_any)
    }

    /// Who is there to be asked.
    fn neurons(&self) -> Vec<Arc<str>> {
        let ids = self
            .answers
            .iter()
            .filter_map(|answer| answer.neuron.as_deref());
        let ids: BTreeSet<_> = ids.collect();
        ids.into_iter().map(Arc::from).collect()
    }
}

fn is_of(answer: &TaskAnswer, target: &Target) -> bool {
    match target {
        Target::Neuron(id) => answer.neuron.as_ref() == Some(id),
        Target::Capabilities(required) => answer.capabilities.as_ref().is_some_and(|has| {
            let (has, required): (BTreeSet<_>, BTreeSet<_>) =
                (has.iter().collect(), required.iter().collect());
            has == required
        }),
        Target::Any => answer.any,
    }
}

/// See the module.
pub(super) struct Orchestrator(pub(super) Arc<Scene>);

impl Orchestrator {
    /// Starts a task, on a fresh trace unless one is named.
    fn start(&self, target: &Target, trace: Option<&str>) -> Result<Child, OrchestrationError> {
        let scene = &self.0;
        let wanted = target_of(target)?;
        let trace = match trace {
            Some(text) => self.own_trace(text)?,
            None => scene.ids.trace(),
        };
        if let Some(failed) = scene.faults.failure(scene.call()) {
            return Err(failed.of_orchestration());
        }
        let (index, answer) = scene.answers.take(target).map_err(|had_any| {
            if had_any {
                let words = format!("orchestration: there is no further answer of {wanted}");
                scene.notes.lock().wrong.push(words);
            }
            refusal(DispatchError::Unroutable {
                tenant: NODE.into(),
                target: wanted.to_string(),
                registered: scene.answers.neurons(),
            })
        })?;
        let failed = answer
            .fails
            .map(|kind| Failed::new(kind, answer.message.as_ref()));
        if let Some(failed) = failed.clone()
            && !matches!(failed.kind, Failing::Timeout | Failing::Closed)
        {
            return Err(failed.of_orchestration());
        }
        let after = answer
            .after
            .as_ref()
            .map_or(Duration::ZERO, |span| span.duration);
        let due = scene.clock.monotonic().saturating_add(after);
        let started = Started {
            answer: index,
            due: (!answer.never).then_some(due),
            stopped: None,
        };
        let mut state = scene.answers.state.lock();
        state.traces.insert(trace.clone(), started);
        drop(state);
        let mut child = Child {
            scene: Arc::clone(scene),
            task: scene.ids.signal(),
            due: (!answer.never).then_some(due),
            signals: VecDeque::new(),
            answer: None,
            failed,
            is_read: false,
            closed: None,
            trace,
        };
        child.prepare(answer);
        Ok(child)
    }

    /// A trace that the neuron may dispatch on.
    fn own_trace(&self, text: &str) -> Result<TraceId, OrchestrationError> {
        let id: TraceId = text
            .parse()
            .map_err(|error| OrchestrationError::Invalid(format!("options.trace-id: {error}")))?;
        let scene = &self.0;
        let is_known = scene.answers.state.lock().traces.contains_key(&id);
        if id == scene.scope.trace || is_known {
            Ok(id)
        } else {
            Err(foreign(&id))
        }
    }
}

impl Orchestration for Orchestrator {
    fn dispatch(
        &self,
        target: Target,
        _input: Object,
        options: DispatchOptions,
    ) -> Result<PathwayHandle, OrchestrationError> {
        let child = self.start(&target, options.trace_id.as_deref())?;
        Ok(Box::new(child))
    }

    fn dispatch_and_wait(
        &self,
        target: Target,
        _input: Object,
        options: DispatchOptions,
    ) -> BoxFuture<'_, Result<ResultOf, OrchestrationError>> {
        Box::pin(async move {
            let child = self.start(&target, options.trace_id.as_deref())?;
            let timeout = options.timeout_ms;
            let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
            let outcome = child.reply(timeout, 1).await?;
            Ok(child.result(outcome))
        })
    }

    fn run_with_retry(
        &self,
        target: Target,
        _input: Object,
        strategy: RetryStrategy,
    ) -> BoxFuture<'_, Result<ResultOf, OrchestrationError>> {
        Box::pin(async move {
            check_attempts(&strategy)?;
            let child = self.start(&target, None)?;
            let timeout = Duration::from_millis(strategy.timeout_ms);
            let outcome = child.reply(timeout, strategy.max_attempts).await?;
            Ok(child.result(outcome))
        })
    }

    fn stop_trace(
        &self,
        trace: TraceId,
        options: StopOptions,
    ) -> BoxFuture<'_, Result<Vec<Stopped>, OrchestrationError>> {
        let stopped = || {
            let scene = &self.0;
            if let Some(failed) = scene.faults.failure(scene.call()) {
                return Err(failed.of_orchestration());
            }
            let mut state = scene.answers.state.lock();
            let started = state.traces.get_mut(&trace);
            let started = started.ok_or_else(|| not_started(&trace))?;
            let now = scene.clock.monotonic();
            let is_running = started.due.is_none_or(|due| due > now) && started.stopped.is_none();
            started.stopped.get_or_insert(now);
            let answer = scene.answers.answers.get(started.answer);
            let report = answer
                .and_then(|answer| answer.stopped.clone())
                .unwrap_or_default();
            Ok(vec![Stopped {
                rolled_back: report.rolled_back.unwrap_or(options.rollback),
                cancelled: report.cancelled.unwrap_or(u64::from(is_running)),
                compensated: report.compensated,
                node: NODE.to_owned(),
                kept: report.kept,
            }])
        };
        Box::pin(std::future::ready(stopped()))
    }
}

/// A task that the neuron has started.
struct Child {
    scene: Arc<Scene>,
    trace: TraceId,
    task: SignalId,
    /// When it answers; never without one.
    due: Option<Duration>,
    /// What comes before the reply.
    signals: VecDeque<Arc<Signal>>,
    /// Its reply, if it has one.
    answer: Option<Answer>,
    /// How a wait for it fails.
    failed: Option<Failed>,
    /// Whether `next` has given the reply.
    is_read: bool,
    /// When the neuron stopped listening.
    closed: Option<Duration>,
}

impl Child {
    /// Makes the signals that the case has.
    fn prepare(&mut self, scripted: &TaskAnswer) {
        let from: Option<Arc<str>> = scripted.neuron.as_deref().map(Arc::from);
        let from = from.map(Directed::to);
        for signal in &scripted.signals {
            // Those that are none were refused with the file.
            let payload = Payload::from_object(signal.kind.into(), signal.payload.clone());
            if let Ok(payload) = payload {
                let signal = self.signal(from.clone(), payload);
                self.signals.push_back(signal);
            }
        }
        self.answer = payload_of(scripted).map(|payload| Answer {
            signal: self.signal(from, payload),
            route: scripted.route.as_deref().map(Arc::from),
            usage: Usage::default(),
        });
    }

    fn signal(&self, from: Option<Directed>, payload: Payload) -> Arc<Signal> {
        Arc::new(Signal {
            id: self.scene.ids.signal(),
            trace_id: self.trace.clone(),
            parent_id: Some(self.task.clone()),
            directed: from,
            ts: self.scene.clock.now(),
            payload,
            meta: Object::new(),
        })
    }

    /// When nothing of the task is heard any more, if that is already so.
    fn ended(&self) -> Option<Duration> {
        let state = self.scene.answers.state.lock();
        let stopped = state.traces.get(&self.trace)?.stopped;
        [self.closed, stopped].into_iter().flatten().min()
    }

    /// The reply, if it came before the neuron stopped listening.
    fn arrived(&self) -> Option<&Answer> {
        let now = self.scene.clock.monotonic();
        let until = self.ended().map_or(now, |ended| ended.min(now));
        self.answer
            .as_ref()
            .filter(|_| self.due.is_some_and(|due| due <= until))
    }

    /// Time until it answers.
    fn left(&self) -> Option<Duration> {
        Some(self.due?.saturating_sub(self.scene.clock.monotonic()))
    }

    /// Waits for the reply, as often as so many attempts do and each so long.
    async fn reply(&self, timeout: Duration, attempts: u32) -> Result<Outcome, OrchestrationError> {
        if let Some(answer) = self.arrived() {
            return Ok(outcome_of(answer));
        }
        let own_words = self.failed.clone().filter(|failed| !failed.is_wordless());
        let closed = || unanswered(WaitError::Closed(self.trace.clone()));
        if self.ended().is_some() {
            return Err(closed());
        }
        let clock = &self.scene.clock;
        let in_time = self.left().filter(|left| *left <= timeout);
        let is_closed = |failed: &Failed| failed.kind == Failing::Closed;
        match (in_time, &self.answer) {
            (Some(left), Some(answer)) => {
                clock.sleep(left).await;
                Ok(outcome_of(answer))
            }
            (Some(left), None) if self.failed.as_ref().is_some_and(is_closed) => {
                clock.sleep(left).await;
                Err(own_words.map_or_else(closed, Failed::of_orchestration))
            }
            _ => {
                clock.sleep(timeout.saturating_mul(attempts)).await;
                let late = || {
                    let trace = self.trace.clone();
                    unanswered(WaitError::Timeout { trace, timeout })
                };
                Err(own_words.map_or_else(late, Failed::of_orchestration))
            }
        }
    }

    fn result(&self, outcome: Outcome) -> ResultOf {
        ResultOf {
            trace_id: self.trace.to_string(),
            task_id: self.task.to_string(),
            outcome,
        }
    }
}

/// The signal that a scripted answer is.
fn payload_of(answer: &TaskAnswer) -> Option<Payload> {
    if let Some(output) = &answer.output {
        return Some(AgentOutput::new(output.clone()).into());
    }
    if let Some(asked) = &answer.clarification {
        let mut signal = Clarification::new(asked.question.clone());
        signal.context.clone_from(&asked.context);
        return Some(signal.into());
    }
    if let Some(asked) = &answer.permission {
        let mut signal = Permission::new(asked.action.clone());
        signal.scope = asked.scope.clone().map(Value::Object);
        signal.reason.clone_from(&asked.reason);
        signal.context.clone_from(&asked.context);
        return Some(signal.into());
    }
    let failure = answer.failure.as_ref()?;
    let error = ErrorReport::new(
        failure.code.clone(),
        failure.message.clone(),
        failure.recoverable,
    );
    Some(error.into())
}

impl GuestPathway for Child {
    fn trace_id(&self) -> &TraceId {
        &self.trace
    }

    fn task_id(&self) -> &SignalId {
        &self.task
    }

    fn next(&mut self) -> BoxFuture<'_, Option<Arc<Signal>>> {
        Box::pin(async move {
            if let Some(signal) = self.signals.pop_front() {
                return Some(signal);
            }
            if self.is_read {
                return None;
            }
            if self.arrived().is_none() {
                if self.ended().is_some() {
                    return None;
                }
                match self.left() {
                    Some(left) => self.scene.clock.sleep(left).await,
                    None => std::future::pending().await,
                }
            }
            self.is_read = true;
            let answer = self.answer.as_ref()?;
            Some(Arc::clone(&answer.signal))
        })
    }

    fn wait(&mut self, timeout: Duration) -> BoxFuture<'_, Result<Outcome, OrchestrationError>> {
        Box::pin(async move {
            if let Some(failed) = self.scene.faults.failure(self.scene.call()) {
                return Err(failed.of_orchestration());
            }
            self.reply(timeout, 1).await
        })
    }

    fn close(&mut self) {
        let now = self.scene.clock.monotonic();
        self.closed.get_or_insert(now);
    }
}
