//! Running a flow.

mod attempt;
mod control;
mod driver;
mod ending;
mod group;

use std::{
    collections::VecDeque,
    fmt,
    future::{Future, IntoFuture, poll_fn},
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;

pub use self::control::Control;
use self::{attempt::Surroundings, driver::Driver};
use super::{
    cause::Cause,
    checkpoint::{Checkpoint, Journal, ResumeError},
    event::{Event, Observer, Question, Step},
    lifecycle::{Life, Lifecycle},
    node::Notes,
    plan::Flow,
    progress::{Bounds, Progress},
};
use crate::{
    orchestration::{Stopped, TenantHandle},
    signal::{Object, TraceId},
};

/// What becomes of the writes of a run that does not complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They are undone.
    #[default]
    Rollback,
    /// They stay and are permanent.
    Keep,
}

/// Bounds of a run, who is told of it, and what becomes of one that fails.
pub struct RunOptions {
    /// Nodes that a run may run, members and items included, and flows and empty
    /// lists that it may go into.
    pub max_steps: u64,
    /// Items of one fan-out.
    pub max_items: usize,
    /// Members or items that run at a time, whatever a document says.
    pub max_concurrency: usize,
    /// Bytes that the run may take in memory: its states, its notes, and results
    /// that are not gathered yet.
    pub max_state_bytes: usize,
    /// Time for the whole run.
    pub deadline: Duration,
    /// What becomes of the writes of a run that does not complete. A run that
    /// is stopped from outside leaves what that STOP says. One that keeps a
    /// journal keeps the writes of a run that can go on.
    pub on_failure: OnFailure,
    /// Told of everything that happens.
    pub observers: Vec<Arc<dyn Observer>>,
    /// Keeps what has been done, so that another process can go on from there.
    pub journal: Option<Box<dyn Journal>>,
}

impl Default for RunOptions {
    /// 100 000 steps, as many items, 64 at a time, 64 MiB of state, 5 minutes,
    /// rollback.
    fn default() -> Self {
        Self {
            max_steps: 100_000,
            max_items: 100_000,
            max_concurrency: 64,
            max_state_bytes: 64 << 20,
            deadline: Duration::from_secs(300),
            on_failure: OnFailure::Rollback,
            observers: Vec::new(),
            journal: None,
        }
    }
}

impl RunOptions {
    fn bounds(&self) -> Bounds {
        Bounds {
            items: self.max_items,
            bytes: self.max_state_bytes,
        }
    }
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("max_steps", &self.max_steps)
            .field("max_items", &self.max_items)
            .field("max_concurrency", &self.max_concurrency)
            .field("max_state_bytes", &self.max_state_bytes)
            .field("deadline", &self.deadline)
            .field("on_failure", &self.on_failure)
            .field("observers", &self.observers.len())
            .field("journal", &self.journal.is_some())
            .finish()
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Run {
    /// The trace that its tasks ran on.
    pub trace: TraceId,
    /// Its life.
    pub life: Life,
    /// The state as the last node of the root left it.
    pub state: Object,
    /// What nodes noted, and what failed on the way.
    pub notes: Notes,
    /// What has ended, in that order: nodes but for the items of fan-outs, then
    /// the groups and flows that they belong to; since the resume, of a run that
    /// went on from a checkpoint.
    pub executed: Vec<Step>,
    /// Nodes that have run, members, items and what was before a resume included,
    /// and flows and empty lists that it went into: what
    /// [`RunOptions::max_steps`] bounds.
    pub steps: u64,
    /// Why it did not complete; `None` when it did, or can go on.
    pub error: Option<Cause>,
    /// What it waits for; without answers to all of them it waits again.
    pub questions: Vec<Question>,
    /// What ending it undid; empty for a run whose writes stay.
    pub stopped: Arc<[Stopped]>,
    /// From where it can go on: of a run that was paused or waits for input,
    /// and of one that did not complete and whose writes are kept.
    pub checkpoint: Option<Checkpoint>,
}

impl Run {
    /// How it ended, in a word.
    pub fn lifecycle(&self) -> Lifecycle {
        self.life.kind
    }
}

impl Flow {
    /// Runs the flow to its end.
    pub async fn run(&self, tenant: &TenantHandle, state: Object, options: RunOptions) -> Run {
        self.start(tenant, state, options).finish().await
    }

    /// A run that does nothing until it is awaited or its events are read.
    pub fn start(&self, tenant: &TenantHandle, state: Object, options: RunOptions) -> Execution {
        let progress = Progress::new(&self.0, state, options.bounds());
        Execution::new(self, tenant, progress, options, false)
    }

    /// A run that goes on from a checkpoint, with answers to what it asked: the
    /// id of a [`Question`] and the answer, which is any value for a
    /// clarification, and true, false or `{granted, reason?}` for a permission.
    ///
    /// # Errors
    /// When the checkpoint is that of another flow or of other documents, or an
    /// answer answers nothing.
    pub fn resume(
        &self,
        tenant: &TenantHandle,
        checkpoint: Checkpoint,
        answers: impl IntoIterator<Item = (String, serde_json::Value)>,
        options: RunOptions,
    ) -> Result<Execution, ResumeError> {
        let mut progress = checkpoint.progress(self)?;
        progress.bounds = options.bounds();
        for (id, answer) in answers {
            progress.answer(&self.0, &id, answer)?;
        }
        Ok(Execution::new(self, tenant, progress, options, true))
    }
}

/// A run: awaited, or read event by event. It makes progress only while one of
/// these is polled, and may go from the one to the other. Dropping it before it
/// has ended aborts it: STOP of its trace, with a rollback unless its writes
/// are to be kept.
pub struct Execution {
    trace: TraceId,
    flow: Arc<str>,
    control: Control,
    around: Arc<Surroundings>,
    stream: Arc<Stream>,
    run: Pin<Box<dyn Future<Output = Run> + Send>>,
    ended: Option<Run>,
}

/// Events on their way to a reader.
#[derive(Default)]
struct Stream(Mutex<StreamState>);

#[derive(Default)]
struct StreamState {
    /// Whether anybody reads.
    read: bool,
    events: VecDeque<Event>,
}

impl Stream {
    fn is_read(&self) -> bool {
        self.0.lock().read
    }

    fn is_empty(&self) -> bool {
        self.0.lock().events.is_empty()
    }

    fn push(&self, event: Event) {
        self.0.lock().events.push_back(event);
    }

    fn pop(&self) -> Option<Event> {
        self.0.lock().events.pop_front()
    }

    /// Ends when everything has been read; the reader polls again by itself.
    async fn drained(&self) {
        poll_fn(|_| {
            let state = self.0.lock();
            if state.events.is_empty() || !state.read {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Execution {
    fn new(
        flow: &Flow,
        tenant: &TenantHandle,
        progress: Progress,
        options: RunOptions,
        resumed: bool,
    ) -> Self {
        let stream = Arc::<Stream>::default();
        let control = Control::default();
        let driver = Driver::new(
            flow,
            tenant,
            progress,
            options,
            control.clone(),
            Arc::clone(&stream),
        );
        Self {
            trace: driver.trace_id().clone(),
            flow: flow.name().into(),
            control,
            around: Arc::clone(&driver.around),
            stream,
            run: Box::pin(driver.drive(resumed)),
            ended: None,
        }
    }

    /// The trace that all tasks run on.
    pub fn trace_id(&self) -> &TraceId {
        &self.trace
    }

    /// A handle to pause or abort it from elsewhere.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Runs until the next event; `None` when the run has ended. What runs side
    /// by side stands still between two calls, but for neurons.
    pub async fn next(&mut self) -> Option<Event> {
        self.stream.0.lock().read = true;
        poll_fn(|context| {
            if let Some(event) = self.stream.pop() {
                return Poll::Ready(Some(event));
            }
            if self.ended.is_some() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(run) = self.poll_run(context) {
                self.ended = Some(run);
            }
            match self.stream.pop() {
                Some(event) => Poll::Ready(Some(event)),
                None if self.ended.is_some() => Poll::Ready(None),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Runs what is left and says how it ended.
    pub async fn finish(mut self) -> Run {
        {
            let mut state = self.stream.0.lock();
            state.read = false;
            state.events.clear();
        }
        match self.ended.take() {
            Some(run) => run,
            None => poll_fn(|context| self.poll_run(context)).await,
        }
    }

    /// One poll, and more where only a virtual clock that skips waits is waited
    /// for.
    fn poll_run(&mut self, context: &mut Context<'_>) -> Poll<Run> {
        loop {
            if let Poll::Ready(run) = self.run.as_mut().poll(context) {
                return Poll::Ready(run);
            }
            let may_skip = self.around.is_at_work.load(Ordering::Relaxed) && self.stream.is_empty();
            if !may_skip || !self.around.tenant.clock().skip_wait(context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl IntoFuture for Execution {
    type Output = Run;
    type IntoFuture = Pin<Box<dyn Future<Output = Run> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.finish())
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution")
            .field("flow", &self.flow)
            .field("trace", &self.trace)
            .field("ended", &self.ended.is_some())
            .finish_non_exhaustive()
    }
}
