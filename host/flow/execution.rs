//! One run of a flow: step after step on one trace, then its settlement.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use serde_json::Value;

use super::{
    cause::{Cause, Lifecycle},
    plan::{Flow, Next, Place, Placed},
};
use crate::{
    neuron::Usage,
    orchestration::{
        Answer, Dispatch, DispatchError, OpenTrace, StopOptions, Stopped, TenantHandle, WaitError,
    },
    signal::{Object, Payload, SignalId, TraceId},
};

/// What becomes of the writes of a run that does not complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are undone, newest first.
    #[default]
    Rollback,
    /// They stay and are permanent.
    Keep,
}

/// Bounds of a run, and what becomes of one that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOptions {
    /// Steps that a run may take.
    pub max_steps: u32,
    /// Time for the whole run.
    pub deadline: Duration,
    /// What becomes of the writes of a run that does not complete. A run that
    /// is stopped from outside leaves what that STOP says.
    pub on_failure: OnFailure,
}

impl Default for RunOptions {
    /// 1 000 steps, 5 minutes, rollback.
    fn default() -> Self {
        Self {
            max_steps: 1_000,
            deadline: Duration::from_secs(300),
            on_failure: OnFailure::Rollback,
        }
    }
}

/// One task of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The placement that ran.
    pub placement: Arc<str>,
    /// The route that its neuron chose; `None` without an output.
    pub route: Option<Arc<str>>,
    /// Which time in this run it was for the placement, from 1.
    pub attempt: u32,
    /// From dispatch to reply, real time.
    pub took: Duration,
    /// What the task used; `None` when it did not come to a reply.
    pub usage: Option<Usage>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// The trace that all steps ran on.
    pub trace: TraceId,
    /// The state as the last output left it.
    pub state: Object,
    /// All steps, the one that failed included.
    pub executed: Vec<Step>,
    /// Why it did not complete; `None` when it did.
    pub error: Option<Cause>,
    /// What ending it undid; empty for a run that completed.
    pub stopped: Arc<[Stopped]>,
}

impl Run {
    /// How it ended, in a word.
    pub fn lifecycle(&self) -> Lifecycle {
        self.error
            .as_ref()
            .map_or(Lifecycle::Completed, Cause::lifecycle)
    }
}

impl Flow {
    /// Runs the flow to its end.
    pub async fn run(&self, tenant: &TenantHandle, state: Object, options: RunOptions) -> Run {
        self.start(tenant, state, options).finish().await
    }

    /// Opens a trace for a run that the caller takes from step to step.
    pub fn start(&self, tenant: &TenantHandle, state: Object, options: RunOptions) -> Execution {
        let trace = tenant.open_trace();
        Execution {
            flow: self.clone(),
            tenant: tenant.clone(),
            trace_id: trace.id().clone(),
            trace: Some(trace),
            deadline: tenant.clock().monotonic().saturating_add(options.deadline),
            options,
            phase: Phase::At(self.entry()),
            state,
            executed: Vec::new(),
            last: None,
            stopped: Arc::new([]),
        }
    }
}

/// A run under way. STOP of its trace cancels it; so does dropping it before it
/// has ended.
pub struct Execution {
    flow: Flow,
    tenant: TenantHandle,
    trace_id: TraceId,
    /// Held until the run is settled.
    trace: Option<OpenTrace>,
    /// On the monotonic clock.
    deadline: Duration,
    options: RunOptions,
    phase: Phase,
    state: Object,
    executed: Vec<Step>,
    /// The last reply: the next task follows from it.
    last: Option<SignalId>,
    stopped: Arc<[Stopped]>,
}

impl std::fmt::Debug for Execution {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execution")
            .field("flow", self.flow.name())
            .field("trace", &self.trace_id)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
enum Phase {
    At(Place),
    Ended(Option<Cause>),
}

impl Execution {
    /// The trace that all steps run on.
    pub fn trace_id(&self) -> &TraceId {
        &self.trace_id
    }

    /// The state as the last step left it.
    pub fn state(&self) -> &Object {
        &self.state
    }

    /// The steps so far.
    pub fn executed(&self) -> &[Step] {
        &self.executed
    }

    /// Runs the next placement; the step that ends the run also settles its
    /// trace. `None` when the run has ended.
    ///
    /// Dropping this future abandons the run: the task it waited for is stopped
    /// when the execution is finished or dropped.
    pub async fn step(&mut self) -> Option<&Step> {
        let Phase::At(place) = self.phase else {
            return None;
        };
        let flow = self.flow.clone();
        let placed = flow.placed(place)?;
        let taken = self.executed.len();
        // What an abandoned wait leaves behind.
        self.phase = Phase::Ended(Some(Cause::Abandoned(Arc::clone(&placed.name))));
        let next = match self.task(placed).await {
            Ok(next) => next,
            Err(cause) => {
                self.phase = Phase::Ended(Some(cause));
                self.settle().await;
                return self.executed.get(taken);
            }
        };
        match next {
            Next::To(place) => self.phase = Phase::At(place),
            Next::End => {
                self.phase = Phase::Ended(None);
                if !self.settle().await {
                    self.phase = Phase::Ended(Some(self.halted(placed)));
                }
            }
        }
        self.executed.get(taken)
    }

    /// Runs what is left and says how it ended.
    pub async fn finish(mut self) -> Run {
        while matches!(self.phase, Phase::At(_)) {
            self.step().await;
        }
        // Only an abandoned wait has left it open until here.
        self.settle().await;
        let error = match &self.phase {
            Phase::Ended(cause) => cause.clone(),
            Phase::At(_) => None,
        };
        Run {
            trace: self.trace_id.clone(),
            state: std::mem::take(&mut self.state),
            executed: std::mem::take(&mut self.executed),
            error,
            stopped: Arc::clone(&self.stopped),
        }
    }

    /// One task: where its route leads.
    async fn task(&mut self, placed: &Placed) -> Result<Next<Place>, Cause> {
        let left = self.time_left(placed)?;
        let taken = u32::try_from(self.executed.len()).unwrap_or(u32::MAX);
        if taken >= self.options.max_steps {
            return Err(Cause::StepLimit(self.options.max_steps));
        }
        let before = self
            .executed
            .iter()
            .filter(|step| step.placement == placed.name)
            .count();
        let stopwatch = self.tenant.clock().stopwatch();
        let answer = self.reply(placed, left).await;
        let usage = answer.as_ref().ok().map(|answer| answer.usage);
        let reply = answer.and_then(|answer| output(answer, placed));
        self.executed.push(Step {
            placement: Arc::clone(&placed.name),
            route: reply.as_ref().ok().map(|reply| Arc::clone(&reply.route)),
            attempt: u32::try_from(before.saturating_add(1)).unwrap_or(u32::MAX),
            took: stopwatch.elapsed(),
            usage,
        });
        let reply = reply?;
        self.last = Some(reply.id);
        self.state.extend(reply.output);
        placed.next(&reply.route).ok_or_else(|| Cause::Unwired {
            placement: Arc::clone(&placed.name),
            route: reply.route,
            wired: placed.routes(),
        })
    }

    fn time_left(&self, placed: &Placed) -> Result<Duration, Cause> {
        let now = self.tenant.clock().monotonic();
        let left = self.deadline.saturating_sub(now);
        if left.is_zero() {
            return Err(self.late(placed));
        }
        Ok(left)
    }

    async fn reply(&self, placed: &Placed, left: Duration) -> Result<Answer, Cause> {
        let meta = [("flow", self.flow.name()), ("placement", &placed.name)];
        let meta = meta.map(|(key, name)| (key.to_owned(), Value::from(name.to_string())));
        let mut dispatch = Dispatch::to(placed.target.clone())
            .input(Value::Object(self.state.clone()))
            .on_trace(self.trace_id.clone())
            .meta(Object::from_iter(meta));
        if let Some(last) = &self.last {
            dispatch = dispatch.parent(last.clone());
        }
        let mut pathway = match self.tenant.dispatch(dispatch) {
            Ok(pathway) => pathway,
            Err(DispatchError::Stopped(_)) => return Err(self.halted(placed)),
            Err(error) => {
                return Err(Cause::Dispatch {
                    placement: Arc::clone(&placed.name),
                    error,
                });
            }
        };
        pathway.wait(left).await.map_err(|error| match error {
            WaitError::Timeout { .. } => self.late(placed),
            _ => self.halted(placed),
        })
    }

    fn late(&self, placed: &Placed) -> Cause {
        Cause::Deadline {
            placement: Arc::clone(&placed.name),
            deadline: self.options.deadline,
        }
    }

    fn halted(&self, placed: &Placed) -> Cause {
        Cause::Stopped {
            trace: self.trace_id.clone(),
            placement: Arc::clone(&placed.name),
        }
    }

    /// Commits or stops the trace, once. Whether it was still there to be.
    async fn settle(&mut self) -> bool {
        if self.trace.is_none() {
            return true;
        }
        let found = if matches!(self.phase, Phase::Ended(None)) {
            self.tenant.commit_trace(&self.trace_id).await
        } else {
            let stop = self.tenant.stop_trace(&self.trace_id, self.stop_options());
            self.stopped = stop.await;
            !self.stopped.is_empty()
        };
        self.trace = None;
        found
    }

    fn stop_options(&self) -> StopOptions {
        let (rollback, reason) = match &self.phase {
            // Its commit was cut short; a plain STOP commits the rest.
            Phase::Ended(None) => (false, "completed".into()),
            Phase::Ended(Some(cause)) => (true, cause.to_string().into()),
            Phase::At(_) => (true, "the run was dropped".into()),
        };
        StopOptions {
            rollback: rollback && self.options.on_failure == OnFailure::Rollback,
            reason: Some(reason),
        }
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        if self.trace.is_some() {
            // STOP goes on by itself once it has begun.
            let stop = self.tenant.stop_trace(&self.trace_id, self.stop_options());
            drop(stop.now_or_never());
        }
    }
}

/// What a run needs of an output.
struct Output {
    id: SignalId,
    route: Arc<str>,
    output: Object,
}

/// The route of a neuron that names none (contract, `output.route`).
const DEFAULT_ROUTE: &str = "success";

fn output(answer: Answer, placed: &Placed) -> Result<Output, Cause> {
    let placement = || Arc::clone(&placed.name);
    let Answer { signal, route, .. } = answer;
    match &signal.payload {
        Payload::AgentOutput(reply) => Ok(Output {
            id: signal.id.clone(),
            route: route.unwrap_or_else(|| DEFAULT_ROUTE.into()),
            output: reply.output.clone(),
        }),
        Payload::Error(error) => Err(Cause::Error {
            placement: placement(),
            code: error.code.clone(),
            message: error.message.clone(),
            recoverable: error.recoverable,
        }),
        other => Err(Cause::AskedBack {
            placement: placement(),
            kind: other.signal_type(),
        }),
    }
}
