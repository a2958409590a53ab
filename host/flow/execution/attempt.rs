//! One attempt of one node.

use std::{
    borrow::Cow,
    future::{Future, poll_fn},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, atomic::AtomicBool},
    task::Poll,
    time::Duration,
};

use futures_util::FutureExt;
use serde_json::Value;

use super::super::{
    cause::Cause,
    event::{Ask, Node},
    known::NodeRef,
    node::{Call, Failure, Note, Notes, Output},
    plan::Work,
    progress::{Done, MAX_NESTING},
};
use super::control::Control;
use crate::{
    clock::yield_now,
    neuron::{Caps, Usage},
    orchestration::{
        Answer, CallError, Dispatch, DispatchError, StopSignal, Target, TenantHandle, WaitError,
    },
    signal::{Object, Payload, SignalId, TraceId, is_deeper},
};

/// What all nodes of a run share.
pub(super) struct Surroundings {
    pub(super) flow: Arc<str>,
    pub(super) tenant: TenantHandle,
    pub(super) trace: TraceId,
    pub(super) control: Control,
    /// On the monotonic clock.
    pub(super) deadline: Duration,
    /// The deadline as it was asked for.
    pub(super) allowed: Duration,
    /// Knows when somebody stops the trace.
    pub(super) stop: StopSignal,
    /// Whether nodes run, and the run is not about to begin or being settled.
    pub(super) is_at_work: AtomicBool,
}

/// What an attempt has come to.
pub(super) enum Attempted {
    /// An end of the node.
    Done {
        done: Box<Done>,
        usage: Option<Usage>,
        /// The reply, for what follows.
        signal: Option<SignalId>,
    },
    /// A question.
    Asked(Ask),
    /// Nothing: the run ends here.
    Halted(Cause),
    /// Nothing: the run was paused before the attempt began.
    Paused,
}

/// Why a wait between two attempts has ended before its time.
pub(super) enum Interrupted {
    Paused,
    Halted(Cause),
}

/// Whether a task may take its first steps on the thread of whoever waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It may: nothing else waits for this thread.
    Here,
    /// Others are to run beside it.
    Beside,
}

/// How a wait has ended.
enum Raced<T> {
    Ready(T),
    TimedOut,
    Halted(Cause),
}

/// The key of an output under which a node notes errors and warnings.
const NOTES: &str = "$flow";

impl Surroundings {
    pub(super) async fn attempt(
        &self,
        work: &Work,
        node: &Node,
        input: Cow<'_, Object>,
        parent: Option<&SignalId>,
        place: Place,
    ) -> Attempted {
        match &work.node {
            NodeRef::Native(native) => {
                let call = Call {
                    state: &input,
                    placement: &node.placement,
                    attempt: node.attempt,
                    clock: self.tenant.clock(),
                    random: self.tenant.random(),
                };
                // A node that panics before it returns its future does so in it.
                let run = AssertUnwindSafe(async { native.run(call).await }).catch_unwind();
                match self.race(run, work.timeout, node).await {
                    Raced::Ready(Ok(Ok(output))) => done(shallow(native_done(output), node)),
                    Raced::Ready(Ok(Err(failure))) => done(failed(node, failure)),
                    Raced::Ready(Err(panic)) => done(failed(node, panicked(&*panic))),
                    Raced::TimedOut => done(failed(node, timed_out(work.timeout))),
                    Raced::Halted(cause) => Attempted::Halted(cause),
                }
            }
            NodeRef::Neuron(target) => {
                let dispatch = self.dispatch(work, target, node, input.into_owned(), parent);
                let left = self
                    .deadline
                    .saturating_sub(self.tenant.clock().monotonic());
                let waiting = self.answer(dispatch, left, place);
                match self.race(waiting, None, node).await {
                    Raced::Ready(answer) => self.answered(node, answer),
                    Raced::TimedOut => done(failed(node, timed_out(work.timeout))),
                    Raced::Halted(cause) => Attempted::Halted(cause),
                }
            }
        }
    }

    /// Waits between two attempts; why there is no other meanwhile. Others get
    /// their turn in any case.
    pub(super) async fn rest(&self, span: Duration, node: &Node) -> Option<Interrupted> {
        if span.is_zero() {
            yield_now().await;
            return None;
        }
        let slept = async {
            let mut slept = pin!(self.tenant.clock().sleep(span));
            let mut paused = pin!(self.control.paused());
            poll_fn(|context| {
                if paused.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Some(Interrupted::Paused));
                }
                slept.as_mut().poll(context).map(|()| None)
            })
            .await
        };
        match self.race(slept, None, node).await {
            Raced::Ready(interrupted) => interrupted,
            Raced::Halted(cause) => Some(Interrupted::Halted(cause)),
            Raced::TimedOut => None,
        }
    }

    fn dispatch(
        &self,
        work: &Work,
        target: &Target,
        node: &Node,
        input: Object,
        parent: Option<&SignalId>,
    ) -> Dispatch {
        let mut meta = Object::new();
        meta.insert("flow".to_owned(), Value::from(&*self.flow));
        meta.insert("placement".to_owned(), Value::from(&*node.placement));
        if let Some(item) = node.item {
            meta.insert("item".to_owned(), Value::from(item));
        }
        let caps = Caps {
            fuel: work.caps.fuel,
            memory_bytes: work
                .caps
                .memory_bytes
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            host_calls: work.caps.host_calls,
            wall: work.timeout,
        };
        let mut dispatch = Dispatch::to(target.clone())
            .input(Value::Object(input))
            .on_trace(self.trace.clone())
            .attempt(node.attempt.saturating_sub(1))
            .at_most(caps)
            .meta(meta);
        if let Some(parent) = parent {
            dispatch = dispatch.parent(parent.clone());
        }
        dispatch
    }

    async fn answer(
        &self,
        dispatch: Dispatch,
        left: Duration,
        place: Place,
    ) -> Result<Answer, CallError> {
        match place {
            Place::Here => self.tenant.dispatch_and_wait(dispatch, left).await,
            Place::Beside => {
                let mut pathway = self.tenant.dispatch(dispatch)?;
                Ok(pathway.wait(left).await?)
            }
        }
    }

    fn answered(&self, node: &Node, answer: Result<Answer, CallError>) -> Attempted {
        let placement = || Arc::clone(&node.placement);
        let answer = match answer {
            Ok(answer) => answer,
            Err(CallError::Dispatch(DispatchError::Stopped(_)))
            | Err(CallError::Wait(WaitError::Closed(_))) => {
                return Attempted::Halted(self.stopped(node));
            }
            Err(CallError::Wait(WaitError::Timeout { .. })) => {
                return Attempted::Halted(self.late(node));
            }
            Err(CallError::Dispatch(error)) => {
                let cause = Cause::Dispatch {
                    placement: placement(),
                    error,
                };
                return done(Done {
                    failed: Some(cause),
                    ..Done::default()
                });
            }
        };
        let usage = Some(answer.usage);
        let signal = Some(answer.signal.id.clone());
        let done = match &answer.signal.payload {
            Payload::AgentOutput(reply) => {
                shallow(neuron_done(reply.output.clone(), answer.route), node)
            }
            Payload::Error(error) => Done {
                failed: Some(Cause::Error {
                    placement: placement(),
                    code: error.code.clone(),
                    message: error.message.clone(),
                    recoverable: error.recoverable,
                }),
                ..Done::default()
            },
            Payload::Clarification(asked) => {
                return Attempted::Asked(Ask::Clarification {
                    question: asked.question.clone(),
                    context: asked.context.clone(),
                });
            }
            Payload::Permission(asked) => {
                return Attempted::Asked(Ask::Permission {
                    action: asked.action.clone(),
                    scope: asked.scope.clone(),
                    reason: asked.reason.clone(),
                    context: asked.context.clone(),
                });
            }
            other => Done {
                failed: Some(Cause::Error {
                    placement: placement(),
                    code: "FLOW_REPLY".to_owned(),
                    message: format!("a {} is no reply", other.signal_type().as_str()),
                    recoverable: false,
                }),
                ..Done::default()
            },
        };
        Attempted::Done {
            done: Box::new(done),
            usage,
            signal,
        }
    }

    /// Waits for `work`, but no longer than a node's time, the run's deadline
    /// or an abort.
    async fn race<T>(
        &self,
        work: impl Future<Output = T>,
        timeout: Option<Duration>,
        node: &Node,
    ) -> Raced<T> {
        let mut work = pin!(work);
        // Most of what waits for nothing is done by now: no timer is set.
        let first = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if let Poll::Ready(ready) = first {
            return Raced::Ready(ready);
        }
        let clock = self.tenant.clock();
        let until = timeout.map_or(self.deadline, |timeout| {
            clock.monotonic().saturating_add(timeout).min(self.deadline)
        });
        let mut timer = pin!(clock.sleep_until(until));
        let mut aborted = pin!(self.control.aborted());
        let mut stopped = pin!(self.stop.stopped());
        poll_fn(|context| {
            if let Poll::Ready(ready) = work.as_mut().poll(context) {
                return Poll::Ready(Raced::Ready(ready));
            }
            if let Poll::Ready(reason) = aborted.as_mut().poll(context) {
                return Poll::Ready(Raced::Halted(Cause::Aborted {
                    placement: Arc::clone(&node.placement),
                    reason,
                }));
            }
            // A neuron's own end comes with the STOP of its trace.
            if stopped.as_mut().poll(context).is_ready() {
                return Poll::Ready(Raced::Halted(self.stopped(node)));
            }
            if timer.as_mut().poll(context).is_ready() {
                let late = until >= self.deadline;
                return Poll::Ready(if late {
                    Raced::Halted(self.late(node))
                } else {
                    Raced::TimedOut
                });
            }
            Poll::Pending
        })
        .await
    }

    pub(super) fn late(&self, node: &Node) -> Cause {
        Cause::Deadline {
            placement: Arc::clone(&node.placement),
            deadline: self.allowed,
        }
    }

    pub(super) fn stopped(&self, node: &Node) -> Cause {
        Cause::Stopped {
            trace: self.trace.clone(),
            placement: Arc::clone(&node.placement),
        }
    }
}

impl Attempted {
    /// Of a placement that runs no node.
    pub(super) fn nothing() -> Self {
        done(Done::default())
    }
}

fn done(done: Done) -> Attempted {
    Attempted::Done {
        done: Box::new(done),
        usage: None,
        signal: None,
    }
}

fn failed(node: &Node, failure: Failure) -> Done {
    Done {
        failed: Some(Cause::Error {
            placement: Arc::clone(&node.placement),
            code: failure.code,
            message: failure.message,
            recoverable: failure.recoverable,
        }),
        ..Done::default()
    }
}

fn timed_out(timeout: Option<Duration>) -> Failure {
    let millis = timeout.unwrap_or_default().as_millis();
    let message = format!("the node did not end within its {millis} ms");
    Failure::recoverable("NODE_TIMEOUT", message)
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let said = panic
        .downcast_ref::<&str>()
        .map(|said| (*said).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the node panicked".to_owned());
    Failure::permanent("NODE_PANIC", said)
}

/// An end whose output a state can take.
fn shallow(done: Done, node: &Node) -> Done {
    if done
        .values
        .values()
        .any(|value| is_deeper(value, MAX_NESTING - 1))
    {
        let told = format!("its output is nested deeper than {MAX_NESTING}");
        return failed(node, Failure::permanent("FLOW_NESTING", told));
    }
    done
}

fn native_done(mut output: Output) -> Done {
    output.values.shift_remove(NOTES);
    Done {
        route: output.route,
        values: output.values,
        notes: output.notes,
        failed: None,
    }
}

/// A neuron's output, with what it notes taken out.
fn neuron_done(mut values: Object, route: Option<Arc<str>>) -> Done {
    let notes = match values.shift_remove(NOTES) {
        None => Notes::default(),
        Some(noted) => serde_json::from_value(noted).unwrap_or_else(|error| {
            let told = format!("`{NOTES}` of the output was not taken: {error}");
            Notes {
                errors: Vec::new(),
                warnings: vec![Note::new("FLOW_NOTES", told)],
            }
        }),
    };
    Done {
        route,
        values,
        notes,
        failed: None,
    }
}
