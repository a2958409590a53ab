//! Takes a run from what it needs to what follows from it, until its end.

use std::{
    borrow::Cow,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use soma_retry::{Decision, Failed};

use super::{
    Control, Run, RunOptions, Stream,
    attempt::{Attempted, Interrupted, Place as Where, Surroundings},
};
use crate::{
    clock::{Stopwatch, yield_now},
    flow::{
        cause::Cause,
        checkpoint::{Checkpoint, line_of},
        event::{Ask, Event, EventKind, Node, Question, Step},
        lifecycle::Life,
        plan::{Flow, Gather, Kind, Place, Plan, Work},
        progress::{Done, Ended, Need, Progress, Record, Slot, Trail},
    },
    neuron::Usage,
    orchestration::{OpenTrace, Stopped, TenantHandle},
    signal::{Object, SignalId, TraceId},
};

/// A run under way.
pub(super) struct Driver {
    pub(super) flow: Flow,
    pub(super) options: RunOptions,
    pub(super) progress: Progress,
    pub(super) around: Arc<Surroundings>,
    /// Held until the run is settled.
    pub(super) trace: Option<OpenTrace>,
    stream: Arc<Stream>,
    pub(super) life: Life,
    pub(super) executed: Vec<Step>,
    /// Groups and flows within flows that have begun.
    begun: Vec<(Arc<str>, Stopwatch)>,
    /// The last reply: the next task follows from it.
    pub(super) last: Option<SignalId>,
    pub(super) stopped: Arc<[Stopped]>,
    /// Why the journal takes nothing any more.
    unkept_since: Option<Cause>,
    /// What the node that failed the root had answered: shown, and no part of a
    /// checkpoint.
    pub(super) unkept: Object,
}

/// Why a run goes no further.
#[derive(Debug)]
pub(super) enum End {
    Completed,
    Paused,
    /// The answers to [`Progress::questions`].
    Awaiting,
    Failed(Cause),
}

/// Of what cannot be: a placement that is not what a run needs of it.
pub(super) fn nowhere() -> End {
    End::Failed(Cause::Checkpoint(
        "the run is at a placement that runs no node".to_owned(),
    ))
}

impl From<Cause> for End {
    fn from(cause: Cause) -> Self {
        Self::Failed(cause)
    }
}

impl Failed for Cause {
    fn code(&self) -> &str {
        Cause::code(self)
    }

    fn recoverable(&self) -> bool {
        self.is_recoverable()
    }
}

/// The node that a placement runs.
pub(super) fn work_of(plan: &Plan, dag: usize, place: Place, gathers: bool) -> Option<&Work> {
    match &plan.placed(dag, place)?.kind {
        Kind::Single { work, .. } => Some(work),
        Kind::FanOut(fan) if gathers => match &fan.gather {
            Gather::Custom(work) => Some(work),
            _ => None,
        },
        Kind::FanOut(fan) => Some(&fan.work),
        _ => None,
    }
}

/// A state with the keys that answer what its node asked.
pub(super) fn input<'a>(values: Cow<'a, Object>, slot: &Slot) -> Cow<'a, Object> {
    match &slot.answer {
        None => values,
        Some(answer) => {
            let mut values = values.into_owned();
            values.extend(answer.clone());
            Cow::Owned(values)
        }
    }
}

impl Driver {
    pub(super) fn new(
        flow: &Flow,
        tenant: &TenantHandle,
        progress: Progress,
        options: RunOptions,
        control: Control,
        stream: Arc<Stream>,
    ) -> Self {
        let trace = tenant.open_trace();
        let allowed = options.deadline;
        Self {
            flow: flow.clone(),
            around: Arc::new(Surroundings {
                flow: flow.name().into(),
                tenant: tenant.clone(),
                trace: trace.id().clone(),
                control,
                deadline: tenant.clock().monotonic().saturating_add(allowed),
                allowed,
                stop: trace.stop_signal(),
                is_at_work: AtomicBool::new(false),
            }),
            options,
            progress,
            trace: Some(trace),
            stream,
            life: Life::default(),
            executed: Vec::new(),
            begun: Vec::new(),
            last: None,
            stopped: Arc::new([]),
            unkept_since: None,
            unkept: Object::new(),
        }
    }

    pub(super) fn trace_id(&self) -> &TraceId {
        &self.around.trace
    }

    /// Runs it to its end.
    pub(super) async fn drive(mut self, resumed: bool) -> Run {
        let began = self.around.tenant.clock().now();
        self.life.start(began).ok();
        let end = match self.begin(resumed).await {
            Ok(()) => {
                self.around.is_at_work.store(true, Ordering::Relaxed);
                let gone = self.go().await;
                self.around.is_at_work.store(false, Ordering::Relaxed);
                gone.err().unwrap_or(End::Completed)
            }
            Err(end) => end,
        };
        self.end(end).await
    }

    async fn begin(&mut self, resumed: bool) -> Result<(), End> {
        if let Some(journal) = &mut self.options.journal {
            let checkpoint = Checkpoint::of(&self.flow, &self.progress);
            let begun = journal.begin(&checkpoint.to_string());
            begun.map_err(|error| Cause::Checkpoint(error.to_string()))?;
        }
        self.emit(|driver| EventKind::Began {
            flow: Arc::clone(&driver.around.flow),
            version: driver.flow.version().into(),
            hash: driver.flow.hash(),
            trace: driver.trace_id().clone(),
            resumed,
        })
        .await;
        Ok(())
    }

    /// Does what is needed as long as something is.
    async fn go(&mut self) -> Result<(), End> {
        let plan = Arc::clone(&self.flow.0);
        let mut turns = 0;
        loop {
            let need = self.progress.advance(&plan);
            self.told().await;
            if let Some(cause) = self.progress.halted.take() {
                return Err(cause.into());
            }
            self.fits_in_memory(&plan)?;
            match need {
                Need::Nothing => break,
                Need::Again => self.go_on(&plan, &mut turns).await?,
                Need::Node(place) => self.node(&plan, place, false).await?,
                Need::Custom(place) => self.node(&plan, place, true).await?,
                Need::Group(place) => self.group(&plan, place).await?,
            }
        }
        match &self.progress.ended {
            Some(Ended::Failed(cause)) => Err(cause.clone().into()),
            _ => Ok(()),
        }
    }

    /// What has been done counts, and another run with more room goes on there.
    pub(super) fn fits_in_memory(&self, plan: &Plan) -> Result<(), End> {
        let (bytes, most) = (self.progress.bytes(), self.progress.bounds.bytes);
        if bytes <= most || self.progress.ended.is_some() {
            return Ok(());
        }
        Err(End::Failed(Cause::StateTooLarge {
            placement: self.progress.position(plan),
            bytes,
            most,
        }))
    }

    /// Between flows and empty groups, of which any number may follow one
    /// another without a node.
    async fn go_on(&mut self, plan: &Plan, turns: &mut u32) -> Result<(), End> {
        let node = Node {
            placement: self.progress.position(plan),
            item: None,
            pass: 1,
            attempt: 1,
        };
        if self.progress.is_over(plan) {
            return Ok(());
        }
        self.may_go_on(&node, 0)?;
        *turns = turns.wrapping_add(1);
        if turns.is_multiple_of(64) {
            yield_now().await;
        }
        Ok(())
    }

    /// Tells of groups and flows within flows.
    async fn told(&mut self) {
        for trail in std::mem::take(&mut self.progress.trail) {
            match trail {
                Trail::Entered { placement, flow } => {
                    self.begins(&placement);
                    self.emit(|_| EventKind::Entered { placement, flow }).await;
                }
                Trail::Passed {
                    placement,
                    pass,
                    route,
                } => self.passed(placement, pass, route).await,
            }
        }
    }

    async fn passed(&mut self, placement: Arc<str>, pass: u32, route: Arc<str>) {
        let begun = self.begun.iter().rposition(|(at, _)| *at == placement);
        let took = begun.map(|at| self.begun.remove(at).1.elapsed());
        let took = took.unwrap_or_default();
        self.executed.push(Step {
            placement: Arc::clone(&placement),
            item: None,
            pass,
            attempts: 0,
            route: Some(Arc::clone(&route)),
            took,
            usage: None,
            failed: None,
        });
        self.emit(|_| EventKind::Passed {
            placement,
            pass,
            route,
            took,
        })
        .await;
    }

    /// Notes when a group or a flow within another has begun.
    pub(super) fn begins(&mut self, placement: &Arc<str>) {
        let stopwatch = self.around.tenant.clock().stopwatch();
        self.begun.push((Arc::clone(placement), stopwatch));
    }

    /// Whether the run may start something more.
    pub(super) fn may_go_on(&self, node: &Node, running: usize) -> Result<(), End> {
        if let Some(reason) = self.around.control.abort_reason() {
            return Err(End::Failed(Cause::Aborted {
                placement: Arc::clone(&node.placement),
                reason,
            }));
        }
        if self.around.stop.is_stopped() {
            return Err(End::Failed(self.around.stopped(node)));
        }
        if self.around.control.is_paused() {
            return Err(End::Paused);
        }
        if self.around.tenant.clock().monotonic() >= self.around.deadline {
            return Err(End::Failed(self.around.late(node)));
        }
        let running = u64::try_from(running).unwrap_or(u64::MAX);
        if self.progress.steps.saturating_add(running) >= self.options.max_steps {
            return Err(End::Failed(Cause::StepLimit(self.options.max_steps)));
        }
        Ok(())
    }

    /// Runs one node with all its attempts.
    async fn node(&mut self, plan: &Plan, place: Place, gathers: bool) -> Result<(), End> {
        let Some(frame) = self.progress.top() else {
            return Ok(());
        };
        let Some((placed, work)) = plan
            .placed(frame.dag, place)
            .zip(work_of(plan, frame.dag, place, gathers))
        else {
            return Err(nowhere());
        };
        let mut node = Node {
            placement: frame.path(placed),
            item: None,
            pass: frame.pass(place),
            attempt: frame.slot.tried.saturating_add(1),
        };
        if frame.slot.asked.is_some() {
            return Err(End::Awaiting);
        }
        let stopwatch = self.around.tenant.clock().stopwatch();
        loop {
            self.may_go_on(&node, 0)?;
            self.emit(|_| EventKind::NodeBegan(node.clone())).await;
            let attempted = {
                let Some(frame) = self.progress.top() else {
                    return Ok(());
                };
                let input = input(Cow::Borrowed(&frame.values), &frame.slot);
                let last = self.last.as_ref();
                let around = &self.around;
                around.attempt(work, &node, input, last, Where::Here).await
            };
            match attempted {
                Attempted::Halted(cause) => return Err(cause.into()),
                Attempted::Paused => return Err(End::Paused),
                Attempted::Asked(ask) => {
                    self.asked(plan, &node, None, ask).await?;
                    return Err(End::Awaiting);
                }
                Attempted::Done {
                    done,
                    usage,
                    signal,
                } => {
                    self.last = signal.or(self.last.take());
                    let again = self.again(plan, work, &node, None, &done).await?;
                    let Some(after) = again else {
                        return self.done(plan, node, None, &stopwatch, done, usage).await;
                    };
                    match self.around.rest(after, &node).await {
                        None => {}
                        Some(Interrupted::Paused) => return Err(End::Paused),
                        Some(Interrupted::Halted(cause)) => return Err(cause.into()),
                    }
                    node.attempt = node.attempt.saturating_add(1);
                }
            }
        }
    }

    /// Whether a node is tried again, and after which wait.
    pub(super) async fn again(
        &mut self,
        plan: &Plan,
        work: &Work,
        node: &Node,
        item: Option<usize>,
        done: &Done,
    ) -> Result<Option<Duration>, End> {
        let (Some(policy), Some(cause)) = (&work.retry, &done.failed) else {
            return Ok(None);
        };
        let random = self.around.tenant.random();
        let Decision::Retry { after } = policy.decide(node.attempt, cause, || random.unit()) else {
            return Ok(None);
        };
        self.record(
            plan,
            Record::Tried {
                item,
                tried: node.attempt,
            },
        )?;
        let note = cause.told(&node.placement);
        self.emit(|_| EventKind::Retrying {
            node: node.clone(),
            cause: note,
            after,
        })
        .await;
        Ok(Some(after))
    }

    /// A node asks back.
    pub(super) async fn asked(
        &mut self,
        plan: &Plan,
        node: &Node,
        item: Option<usize>,
        ask: Ask,
    ) -> Result<(), End> {
        self.record(
            plan,
            Record::Asked {
                item,
                ask: ask.clone(),
            },
        )?;
        let question = Question {
            placement: Arc::clone(&node.placement),
            item: node.item,
            ask,
        };
        self.emit(|_| EventKind::Asked(question)).await;
        Ok(())
    }

    /// A node has ended.
    pub(super) async fn done(
        &mut self,
        plan: &Plan,
        node: Node,
        item: Option<usize>,
        stopwatch: &Stopwatch,
        done: Box<Done>,
        usage: Option<Usage>,
    ) -> Result<(), End> {
        let done = *done;
        let step = Step {
            route: match &done.failed {
                Some(_) => None,
                None => Some(
                    done.route
                        .clone()
                        .unwrap_or_else(|| crate::flow::node::SUCCESS.into()),
                ),
            },
            failed: done
                .failed
                .as_ref()
                .map(|cause| cause.told(&node.placement)),
            placement: node.placement,
            item: node.item,
            pass: node.pass,
            attempts: node.attempt,
            took: stopwatch.elapsed(),
            usage,
        };
        let output = self.is_watched().then(|| done.values.clone());
        let mut fatal = None;
        if item.is_none() && self.progress.is_fatal(plan, &done) {
            self.unkept.clone_from(&done.values);
            fatal = self.progress.apply(plan, Record::Done { item, done }).err();
        } else {
            self.record(plan, Record::Done { item, done })?;
        }
        // It counts now, and can be told.
        if let Some(output) = output {
            let step = step.clone();
            self.emit(|_| EventKind::NodeEnded { step, output }).await;
        }
        if step.item.is_none() {
            self.executed.push(step);
        }
        match fatal {
            Some(cause) => Err(cause.into()),
            None => Ok(()),
        }
    }

    /// Keeps a record before it counts. Behind one that could not be kept
    /// nothing is kept any more.
    pub(super) fn record(&mut self, plan: &Plan, record: Record) -> Result<(), End> {
        if let Some(journal) = &mut self.options.journal {
            if let Some(cause) = &self.unkept_since {
                return Err(cause.clone().into());
            }
            let kept = line_of(&record).and_then(|line| journal.record(&line));
            if let Err(error) = kept {
                let cause = Cause::Checkpoint(error.to_string());
                self.unkept_since = Some(cause.clone());
                return Err(cause.into());
            }
        }
        self.progress.apply(plan, record)?;
        if let Some(journal) = &mut self.options.journal
            && journal.is_long()
        {
            let checkpoint = Checkpoint::of(&self.flow, &self.progress);
            let begun = journal.begin(&checkpoint.to_string());
            begun.map_err(|error| Cause::Checkpoint(error.to_string()))?;
        }
        Ok(())
    }

    pub(super) fn is_watched(&self) -> bool {
        !self.options.observers.is_empty() || self.stream.is_read()
    }

    /// Tells observers and the reader, and waits until that one has read it.
    pub(super) async fn emit(&mut self, kind: impl FnOnce(&Self) -> EventKind) {
        if !self.is_watched() {
            return;
        }
        let event = Event {
            at: self.around.tenant.clock().now(),
            kind: kind(self),
        };
        for observer in &self.options.observers {
            let told = std::panic::catch_unwind(AssertUnwindSafe(|| observer.observe(&event)));
            if told.is_err() {
                tracing::warn!("an observer of flow `{}` panicked", self.around.flow);
            }
        }
        if self.stream.is_read() {
            self.stream.push(event);
            self.stream.drained().await;
        }
    }
}
