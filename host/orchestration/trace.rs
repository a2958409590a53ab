//! Traces: the unit of STOP and rollback, and the table that reaches every
//! running task.
//!
//! **Invariant**: whatever a trace does (start a task, publish a signal, touch
//! an engram) passes its state lock and is refused once STOP has begun; what
//! passed before is known to STOP, which waits for it.

use std::sync::{Arc, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, watch};

use super::{pathway::Listener, stop::Stopped, table::TraceTable};
use crate::{
    engram::{BoxFuture, Engram, Fence, WriteScope},
    neuron::TaskControl,
    signal::{SignalId, TraceId},
};

/// Who decides whether a trace's writes stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settlement {
    /// A dispatch made the trace for itself: a successful reply commits it.
    OnReply,
    /// Whoever opened or named it: by FINAL, commit or STOP.
    ByOwner,
    /// A task started it: it is settled with the trace of that task.
    WithParent,
}

/// One trace of a tenant.
pub(super) struct Trace {
    scope: WriteScope,
    /// The trace whose task started this one.
    parent: Option<Weak<Trace>>,
    table: Weak<TraceTable>,
    state: Mutex<State>,
    /// Woken when a task or a commit has ended.
    task_gone: Notify,
    /// Woken when STOP begins.
    stopping: Notify,
}

struct State {
    phase: Phase,
    settlement: Settlement,
    tasks: Vec<Running>,
    /// Pathways and handles that keep the trace known.
    holders: usize,
    /// Engrams that the trace has written to.
    touched: Vec<Arc<dyn Engram>>,
    /// Traces that tasks of this trace started and that are not settled.
    children: Vec<Arc<Trace>>,
    cancelled: u64,
    /// Commits under way.
    commits: usize,
    /// Whether a commit has made writes permanent: no STOP can undo them.
    committed: bool,
    /// Whether the last reply was an output.
    succeeded: bool,
}

#[derive(Clone)]
struct Running {
    /// The task that started it, on whatever trace.
    by: Option<SignalId>,
    control: Arc<TaskControl>,
    listener: Arc<Listener>,
}

enum Phase {
    Open,
    /// STOP has begun; the receiver gets its report.
    Stopping(watch::Receiver<Option<Arc<[Stopped]>>>),
    /// STOP has done its work.
    Stopped(watch::Receiver<Option<Arc<[Stopped]>>>),
    /// Nothing is left of it; a new trace of this id may be opened.
    Forgotten,
}

/// How a task of the trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TaskEnd {
    /// With an output.
    Output,
    /// With another reply, or none.
    Other,
    /// By STOP, without a reply.
    Cancelled,
}

/// The trace takes nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// STOP has begun.
    Stopped,
    /// It was forgotten in the meantime; open it again.
    Forgotten,
    /// Its tenant was removed.
    Removed,
    /// Its tasks have started as many traces as they may at a time.
    TooManyChildren,
}

/// Traces that the tasks of one trace may have started and not settled.
pub(super) const MAX_CHILDREN: usize = 1_024;

/// What STOP has to end.
pub(super) struct StopWork {
    pub(super) report: watch::Sender<Option<Arc<[Stopped]>>>,
    pub(super) children: Vec<Arc<Trace>>,
}

/// Whether a call to stop is the one that does it.
pub(super) enum StopTurn {
    /// This call does it.
    First(StopWork),
    /// Another does; its report will come here.
    Joined(watch::Receiver<Option<Arc<[Stopped]>>>),
    /// There is nothing to stop.
    Nothing,
}

impl Trace {
    pub(super) fn new(
        id: TraceId,
        settlement: Settlement,
        parent: Option<&Arc<Self>>,
        table: Weak<TraceTable>,
    ) -> Self {
        Self {
            scope: WriteScope {
                trace: id,
                fence: Fence::default(),
            },
            parent: parent.map(Arc::downgrade),
            table,
            state: Mutex::new(State {
                phase: Phase::Open,
                settlement,
                tasks: Vec::new(),
                holders: 0,
                touched: Vec::new(),
                children: Vec::new(),
                cancelled: 0,
                commits: 0,
                committed: false,
                succeeded: false,
            }),
            task_gone: Notify::new(),
            stopping: Notify::new(),
        }
    }

    pub(super) fn id(&self) -> &TraceId {
        &self.scope.trace
    }

    /// What a write on this trace carries.
    pub(super) fn scope(&self) -> &WriteScope {
        &self.scope
    }

    pub(super) fn settlement(&self) -> Settlement {
        self.state.lock().settlement
    }

    /// Does `act` unless STOP has begun; STOP waits until it is done.
    pub(super) fn while_open<T>(&self, act: impl FnOnce() -> T) -> Result<T, Refused> {
        let state = self.state.lock();
        state.open()?;
        Ok(act())
    }

    /// Registers a task and a holder for its pathway, and does `publish`. A
    /// trace that a dispatch made for itself becomes its owner's to settle when
    /// a later dispatch names it.
    pub(super) fn begin_task(
        &self,
        control: &Arc<TaskControl>,
        listener: &Arc<Listener>,
        by: Option<&SignalId>,
        settlement: Settlement,
        publish: impl FnOnce(),
    ) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.open()?;
        if settlement == Settlement::ByOwner && state.settlement == Settlement::OnReply {
            state.settlement = settlement;
        }
        state.tasks.push(Running {
            by: by.cloned(),
            control: Arc::clone(control),
            listener: Arc::clone(listener),
        });
        state.holders += 1;
        publish();
        Ok(())
    }

    /// Removes a task that has ended. What it started does not go on unless it
    /// ended well: nobody would wait for it.
    pub(super) fn end_task(
        self: &Arc<Self>,
        task: &SignalId,
        control: &Arc<TaskControl>,
        end: TaskEnd,
    ) {
        if end != TaskEnd::Output {
            self.cancel_started_by(task);
        }
        let mut state = self.state.lock();
        let place = state
            .tasks
            .iter()
            .position(|task| Arc::ptr_eq(&task.control, control));
        if let Some(place) = place {
            state.tasks.swap_remove(place);
        }
        state.cancelled += u64::from(end == TaskEnd::Cancelled);
        state.succeeded = end == TaskEnd::Output;
        self.task_gone.notify_waiters();
        self.rest(state);
    }

    /// Ends the tasks that `task` started here and on child traces, and waits
    /// until they have ended; each of them does the same first. Their journals
    /// stay, to be settled with this trace's.
    pub(super) async fn end_started_by(self: &Arc<Self>, task: &SignalId) {
        for (trace, control) in self.cancel_started_by(task) {
            trace.task_ended(&control).await;
        }
    }

    fn cancel_started_by(self: &Arc<Self>, task: &SignalId) -> Vec<(Arc<Self>, Arc<TaskControl>)> {
        let mut traces = vec![Arc::clone(self)];
        {
            let state = self.state.lock();
            // STOP reaches the children itself: their tasks end without a
            // reply, and are counted.
            if matches!(state.phase, Phase::Open) {
                traces.extend(state.children.iter().cloned());
            }
        }
        let mut started = Vec::new();
        for trace in traces {
            let tasks = trace.state.lock().tasks.clone();
            for running in tasks {
                if running.by.as_ref() == Some(task) {
                    running.control.stop();
                    started.push((Arc::clone(&trace), running.control));
                }
            }
        }
        started
    }

    /// Keeps the trace known until [`Trace::release`].
    pub(super) fn hold(&self) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.open()?;
        state.holders += 1;
        Ok(())
    }

    /// Gives up a hold.
    pub(super) fn release(&self) {
        let mut state = self.state.lock();
        state.holders = state.holders.saturating_sub(1);
        self.rest(state);
    }

    /// Notes an engram that is about to be written to.
    pub(super) fn touch(&self, engram: &Arc<dyn Engram>) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.open()?;
        if !state.touched.iter().any(|known| Arc::ptr_eq(known, engram)) {
            state.touched.push(Arc::clone(engram));
        }
        Ok(())
    }

    pub(super) fn touched(&self) -> Vec<Arc<dyn Engram>> {
        self.state.lock().touched.clone()
    }

    fn has_journal(&self) -> bool {
        self.state.lock().has_journal(self.id())
    }

    /// Ties a trace that a task of this one opened to it. One that another
    /// trace opened is reached through that.
    pub(super) fn adopt(self: &Arc<Self>, child: &Arc<Trace>) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.open()?;
        let is_mine = child
            .parent
            .as_ref()
            .is_some_and(|parent| std::ptr::eq(parent.as_ptr(), Arc::as_ptr(self)));
        let known = |known: &Arc<Trace>| Arc::ptr_eq(known, child);
        if !is_mine || state.children.iter().any(known) {
            return Ok(());
        }
        if state.children.len() >= MAX_CHILDREN {
            state.children.retain(|child| child.is_known());
        }
        if state.children.len() >= MAX_CHILDREN {
            return Err(Refused::TooManyChildren);
        }
        state.children.push(Arc::clone(child));
        Ok(())
    }

    /// Makes what the trace and its children have written permanent; says
    /// whether it did. Once STOP has begun it is STOP that settles.
    pub(super) fn commit(self: &Arc<Self>) -> BoxFuture<'static, bool> {
        let trace = Arc::clone(self);
        Box::pin(async move {
            let mut tree = Vec::new();
            if !trace.begin_commit(&mut tree) {
                return false;
            }
            // Children first, as in a rollback.
            while let Some(committing) = tree.pop() {
                for engram in committing.0.touched() {
                    engram.commit(committing.0.id()).await;
                }
            }
            true
        })
    }

    /// Enters the whole tree into a commit, in one step: a STOP of any part of
    /// it comes before the whole or after the whole.
    fn begin_commit(self: &Arc<Self>, tree: &mut Vec<Committing>) -> bool {
        let mut state = self.state.lock();
        if state.open() == Err(Refused::Stopped) {
            return false;
        }
        self.enter_commit(&mut state, tree);
        true
    }

    fn enter_commit(self: &Arc<Self>, state: &mut State, tree: &mut Vec<Committing>) {
        state.commits += 1;
        state.committed |= state.has_journal(self.id());
        tree.push(Committing(Arc::clone(self)));
        for child in &state.children {
            let mut state = child.state.lock();
            // A child under STOP is settled by that, or later with its parent.
            if !matches!(state.phase, Phase::Stopping(_)) {
                child.enter_commit(&mut state, tree);
            }
        }
    }

    /// Whether a commit has made any of its writes permanent.
    pub(super) fn is_committed(&self) -> bool {
        self.state.lock().committed
    }

    /// The traces that tasks of this one started and that are not settled.
    pub(super) fn children(&self) -> Vec<Arc<Trace>> {
        self.state.lock().children.clone()
    }

    /// Whether `id` is a trace that a task of this one started, at any depth.
    pub(super) fn started(&self, id: &TraceId) -> bool {
        let children = self.state.lock().children.clone();
        children
            .iter()
            .any(|child| child.id() == id || child.started(id))
    }

    fn is_resting(&self) -> bool {
        let state = self.state.lock();
        matches!(state.phase, Phase::Stopped(_) | Phase::Forgotten) || state.is_open_and_resting()
    }

    fn is_known(&self) -> bool {
        let state = self.state.lock();
        match state.phase {
            Phase::Open | Phase::Stopping(_) => true,
            // Stopped without a rollback: its writes are its parent's to settle.
            Phase::Stopped(_) => state.has_journal(self.id()),
            Phase::Forgotten => false,
        }
    }

    /// Begins STOP: from here the trace takes nothing more. Every task is told
    /// and every pathway closed before this returns.
    pub(super) fn begin_stop(&self) -> StopTurn {
        let (tasks, children, report) = {
            let mut state = self.state.lock();
            match &state.phase {
                Phase::Forgotten => return StopTurn::Nothing,
                Phase::Stopping(report) | Phase::Stopped(report) => {
                    return StopTurn::Joined(report.clone());
                }
                Phase::Open => {}
            }
            let (sender, receiver) = watch::channel(None);
            state.phase = Phase::Stopping(receiver);
            self.scope.fence.close();
            (state.tasks.clone(), state.children.clone(), sender)
        };
        self.stopping.notify_waiters();
        for task in &tasks {
            task.control.stop();
            task.listener.close();
        }
        StopTurn::First(StopWork { report, children })
    }

    /// Resolves when STOP has begun.
    pub(super) async fn stop_begun(&self) {
        loop {
            let mut stopping = std::pin::pin!(self.stopping.notified());
            stopping.as_mut().enable();
            if !matches!(self.state.lock().phase, Phase::Open) {
                return;
            }
            stopping.await;
        }
    }

    /// Resolves when no task of the trace runs and no commit of it is under
    /// way; returns how many tasks STOP ended.
    pub(super) async fn tasks_ended(&self) -> u64 {
        self.when(|state| (state.tasks.is_empty() && state.commits == 0).then_some(state.cancelled))
            .await
    }

    /// Resolves when this task of the trace has ended.
    pub(super) async fn task_ended(&self, control: &Arc<TaskControl>) {
        self.when(|state| {
            let runs = |task: &Running| Arc::ptr_eq(&task.control, control);
            (!state.tasks.iter().any(runs)).then_some(())
        })
        .await;
    }

    /// Looks whenever a task has ended, and resolves to what is found.
    async fn when<T>(&self, found: impl Fn(&State) -> Option<T>) -> T {
        loop {
            let mut gone = std::pin::pin!(self.task_gone.notified());
            // Listening begins before the look: an end in between is seen.
            gone.as_mut().enable();
            if let Some(found) = found(&self.state.lock()) {
                return found;
            }
            gone.await;
        }
    }

    /// Forgets a trace that was opened and then not used.
    pub(super) fn forget_if_unused(&self) {
        self.rest(self.state.lock());
    }

    /// STOP has done its work.
    pub(super) fn end_stop(&self) {
        let mut state = self.state.lock();
        if let Phase::Stopping(report) = &state.phase {
            state.phase = Phase::Stopped(report.clone());
        }
        drop(state);
        self.leave_table();
        self.tell_parent();
    }

    /// Called whenever something of the trace has ended: forgets it when
    /// nothing is left, and commits it when only its own settlement is.
    fn rest(&self, mut state: MutexGuard<'_, State>) {
        if !state.is_open_and_resting() {
            return;
        }
        if !state.has_journal(self.id()) {
            state.phase = Phase::Forgotten;
            drop(state);
            self.leave_table();
        } else if state.settlement == Settlement::OnReply && state.succeeded {
            drop(state);
            if let Some(table) = self.table.upgrade()
                && let Some(trace) = table.get(self.id())
            {
                table.control().spawn(trace.commit());
            }
        } else {
            drop(state);
        }
        self.tell_parent();
    }

    fn leave_table(&self) {
        if let Some(table) = self.table.upgrade() {
            table.remove(self);
        }
    }

    fn tell_parent(&self) {
        if let Some(parent) = self.parent.as_ref().and_then(Weak::upgrade) {
            parent.rest(parent.state.lock());
        }
    }
}

/// A commit of a trace under way, until it is done or dropped.
struct Committing(Arc<Trace>);

impl Drop for Committing {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.commits -= 1;
        self.0.task_gone.notify_waiters();
        self.0.rest(state);
    }
}

impl State {
    fn open(&self) -> Result<(), Refused> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Stopping(_) | Phase::Stopped(_) => Err(Refused::Stopped),
            Phase::Forgotten => Err(Refused::Forgotten),
        }
    }

    /// Nothing runs on it or below it, and nobody holds it.
    fn is_open_and_resting(&self) -> bool {
        matches!(self.phase, Phase::Open)
            && self.tasks.is_empty()
            && self.commits == 0
            && self.holders == 0
            && self.children.iter().all(|child| child.is_resting())
    }

    fn has_journal(&self, id: &TraceId) -> bool {
        self.touched.iter().any(|engram| engram.journaled(id) > 0)
            || self.children.iter().any(|child| child.has_journal())
    }
}
