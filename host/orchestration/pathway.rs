//! The events of one dispatched task: awaited, streamed, or by callback.
//!
//! A pathway belongs to one TASK, not to a trace: what another task of the
//! same trace answers never reaches it.

use std::{
    collections::VecDeque,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use super::trace::Trace;
use crate::{
    clock::Clock,
    neuron::{TaskControl, Usage},
    signal::{Object, Payload, Signal, SignalId, SignalType, TraceId},
};

/// What a pathway lets through, and whether the task is asked for a FINAL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every signal of the task; the reply ends the wait.
    #[default]
    All,
    /// Only FINAL, ERROR, CLARIFICATION and PERMISSION (callbacks see the rest
    /// too); the neuron's output is followed by a FINAL, which commits the
    /// trace's journal.
    Terminal,
}

/// A task's reply.
#[derive(Clone, Debug)]
pub struct Answer {
    /// AGENT_OUTPUT, CLARIFICATION, PERMISSION, ERROR or, in terminal scope,
    /// FINAL.
    pub signal: Arc<Signal>,
    /// The route that the neuron chose.
    pub route: Option<Arc<str>>,
    /// What the task used.
    pub usage: Usage,
}

impl Answer {
    /// Whether it is a result, and not an ERROR or a question back.
    pub fn is_output(&self) -> bool {
        matches!(
            self.signal.payload,
            Payload::AgentOutput(_) | Payload::Final(_)
        )
    }

    /// The result, if it is one.
    pub fn output(&self) -> Option<&Object> {
        match &self.signal.payload {
            Payload::AgentOutput(reply) => Some(&reply.output),
            Payload::Final(reply) => Some(&reply.result),
            _ => None,
        }
    }

    /// Whether it is an ERROR.
    pub fn is_error(&self) -> bool {
        matches!(self.signal.payload, Payload::Error(_))
    }
}

/// Why a wait ended without a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// No reply in time. The task goes on; its trace can be stopped.
    #[error("no reply on {trace} within {} ms", .timeout.as_millis())]
    Timeout {
        /// The task's trace.
        trace: TraceId,
        /// As asked for.
        timeout: Duration,
    },
    /// The trace was stopped, or the pathway closed.
    #[error("the pathway on {0} was closed before a reply")]
    Closed(TraceId),
}

/// Signals that wait for a reader; older ones are dropped first. Those that a
/// neuron emits are at most 32 KiB each.
const BUFFERED: usize = 256;

type Callback = Box<dyn FnMut(&Arc<Signal>) + Send + Sync>;

/// The worker's side of a pathway.
pub(super) struct Listener {
    scope: Scope,
    state: Mutex<State>,
    waker: AtomicWaker,
}

#[derive(Default)]
struct State {
    buffered: VecDeque<Arc<Signal>>,
    lost: u64,
    answer: Option<Answer>,
    /// No further signal will come.
    closed: bool,
}

impl Listener {
    pub(super) fn new(scope: Scope) -> Arc<Self> {
        Arc::new(Self {
            scope,
            state: Mutex::default(),
            waker: AtomicWaker::new(),
        })
    }

    fn lets_through(&self, kind: SignalType) -> bool {
        let terminal = matches!(
            kind,
            SignalType::Final
                | SignalType::Error
                | SignalType::Clarification
                | SignalType::Permission
        );
        terminal || self.scope == Scope::All
    }

    /// Delivers a signal of the task that is no reply.
    pub(super) fn deliver(&self, signal: &Arc<Signal>) {
        let mut state = self.state.lock();
        if !state.closed {
            state.push(signal);
            drop(state);
            self.waker.wake();
        }
    }

    /// Delivers the reply.
    pub(super) fn answer(&self, answer: Answer) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        state.push(&answer.signal);
        state.answer = Some(answer);
        state.closed = true;
        drop(state);
        self.waker.wake();
    }

    /// Ends the pathway; what was delivered stays readable.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.waker.wake();
    }
}

impl State {
    fn push(&mut self, signal: &Arc<Signal>) {
        if self.buffered.len() == BUFFERED {
            self.buffered.pop_front();
            self.lost += 1;
        }
        self.buffered.push_back(Arc::clone(signal));
    }
}

/// A handle on a dispatched task's signals. Dropping it stops listening, not
/// the task.
pub struct Pathway {
    task: SignalId,
    control: Arc<TaskControl>,
    trace: Arc<Trace>,
    listener: Arc<Listener>,
    clock: Clock,
    callbacks: Vec<(SignalType, Callback)>,
}

impl std::fmt::Debug for Pathway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pathway")
            .field("task", &self.task)
            .field("trace", self.trace.id())
            .finish_non_exhaustive()
    }
}

impl Pathway {
    pub(super) fn new(
        task: SignalId,
        control: Arc<TaskControl>,
        trace: Arc<Trace>,
        listener: Arc<Listener>,
        clock: Clock,
    ) -> Self {
        Self {
            task,
            control,
            trace,
            listener,
            clock,
            callbacks: Vec::new(),
        }
    }

    /// The task's trace.
    pub fn trace_id(&self) -> &TraceId {
        self.trace.id()
    }

    /// The TASK signal.
    pub fn task_id(&self) -> &SignalId {
        &self.task
    }

    pub(super) fn control(&self) -> &Arc<TaskControl> {
        &self.control
    }

    pub(super) fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }

    /// Calls `callback` with each signal of this type that [`Pathway::next`]
    /// or [`Pathway::wait`] passes.
    pub fn on(
        &mut self,
        kind: SignalType,
        callback: impl FnMut(&Arc<Signal>) + Send + Sync + 'static,
    ) -> &mut Self {
        self.callbacks.push((kind, Box::new(callback)));
        self
    }

    /// Signals that were dropped because nobody read them.
    pub fn lost(&self) -> u64 {
        self.listener.state.lock().lost
    }

    /// The next signal of the scope; `None` when the task has ended and all
    /// were read. Callbacks see those outside the scope too.
    pub async fn next(&mut self) -> Option<Arc<Signal>> {
        loop {
            let listener = &self.listener;
            let signal = std::future::poll_fn(|context| {
                listener.waker.register(context.waker());
                let mut state = listener.state.lock();
                match state.buffered.pop_front() {
                    Some(signal) => Poll::Ready(Some(signal)),
                    None if state.closed => Poll::Ready(None),
                    None => Poll::Pending,
                }
            })
            .await?;
            self.call_back(&signal);
            if self.listener.lets_through(signal.signal_type()) {
                return Some(signal);
            }
        }
    }

    /// Waits for the reply. A reply that is already there is returned even if
    /// the pathway was closed since.
    ///
    /// # Errors
    /// [`WaitError::Timeout`] and [`WaitError::Closed`].
    pub async fn wait(&mut self, timeout: Duration) -> Result<Answer, WaitError> {
        let listener = Arc::clone(&self.listener);
        let mut timer = None;
        let answer = std::future::poll_fn(|context| {
            listener.waker.register(context.waker());
            if !self.callbacks.is_empty() {
                self.drain();
            }
            {
                let state = listener.state.lock();
                if let Some(answer) = &state.answer {
                    return Poll::Ready(Ok(answer.clone()));
                }
                if state.closed {
                    return Poll::Ready(Err(WaitError::Closed(self.trace.id().clone())));
                }
            }
            let timer = timer.get_or_insert_with(|| self.clock.sleep(timeout));
            Pin::new(timer).poll(context).map(|()| {
                Err(WaitError::Timeout {
                    trace: self.trace.id().clone(),
                    timeout,
                })
            })
        });
        pin!(answer).await
    }

    /// Passes what has been buffered to the callbacks.
    fn drain(&mut self) {
        loop {
            let next = self.listener.state.lock().buffered.pop_front();
            let Some(signal) = next else { return };
            self.call_back(&signal);
        }
    }

    fn call_back(&mut self, signal: &Arc<Signal>) {
        for (kind, callback) in &mut self.callbacks {
            if *kind == signal.signal_type() {
                callback(signal);
            }
        }
    }

    /// Stops listening. The task goes on.
    pub fn close(&mut self) {
        self.listener.close();
    }
}

impl Drop for Pathway {
    fn drop(&mut self) {
        self.listener.close();
        self.trace.release();
    }
}
