//! STOP: when it returns, the trace has ended.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

use super::{
    Core, TenantState,
    tenant::TenantHandle,
    trace::{Settlement, StopTurn, StopWork, Trace},
};
use crate::{
    engram::{BoxFuture, Kept},
    signal::{self, Payload, SignalId, TraceId},
};

/// How to stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StopOptions {
    /// Undo every write of the trace, newest first. Without it they stay and
    /// are committed.
    pub rollback: bool,
    /// For the STOP signal.
    pub reason: Option<Arc<str>>,
}

impl StopOptions {
    /// Stop and undo.
    pub fn rollback() -> Self {
        Self {
            rollback: true,
            reason: None,
        }
    }
}

/// A node's acknowledgement: the trace has ended there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Whether a rollback was asked for and nothing was left standing: neither
    /// an entry in `kept` nor writes that a commit had made permanent before.
    pub rolled_back: bool,
    /// Tasks that were running or waiting.
    pub cancelled: u64,
    /// Writes that were really undone.
    pub compensated: u64,
    /// The namespace in which it ended.
    pub node: Arc<str>,
    /// Entries that could not be undone, and why.
    pub kept: Vec<Kept>,
}

impl fmt::Display for Stopped {
    /// One line, as an operator reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} cancelled, {} compensated",
            self.node, self.cancelled, self.compensated
        )?;
        for kept in &self.kept {
            write!(f, "; {kept}")?;
        }
        Ok(())
    }
}

impl TenantHandle {
    /// Stops a trace and waits until it has ended: no instruction of its
    /// neurons runs, no write of it can land, and with `rollback` its writes
    /// are undone. Returns the acknowledgements; none for a trace that is not
    /// known here, whose later tasks are refused all the same.
    ///
    /// Once begun STOP finishes, even if this future is dropped.
    pub async fn stop_trace(&self, trace: &TraceId, options: StopOptions) -> Arc<[Stopped]> {
        let Some(trace) = self.state().traces.bury(trace) else {
            return Arc::new([]);
        };
        self.core().stop(self.state(), &trace, options).await
    }
}

impl TenantHandle {
    /// Takes no task from here on, stops all traces and waits until they have
    /// ended. Once begun it finishes, but for what [`TenantHandle::forget`]
    /// does.
    pub(crate) async fn close(&self, options: StopOptions) -> Vec<Stopped> {
        let traces = self.state().traces.close();
        // All of them are told before any is waited for.
        let stops = traces
            .iter()
            .map(|trace| self.core().stop(self.state(), trace, options.clone()));
        let stops: Vec<_> = stops.collect();
        let mut stopped = Vec::new();
        for stop in stops {
            stopped.extend(stop.await.iter().cloned());
        }
        stopped
    }

    /// Lets go of the tenant's neurons and engrams.
    pub(crate) fn forget(&self) {
        self.state().registry.clear();
        self.tenant().forget_engrams();
    }
}

impl Core {
    /// Stops a live trace. The work is done on the control runtime, which no
    /// guest can delay.
    pub(super) fn stop(
        self: &Arc<Self>,
        tenant: &Arc<TenantState>,
        trace: &Arc<Trace>,
        options: StopOptions,
    ) -> BoxFuture<'static, Arc<[Stopped]>> {
        let (_, mut report) = match self.begin_stop(tenant, trace, options) {
            Some(begun) => begun,
            None => return Box::pin(std::future::ready(Arc::from([]))),
        };
        Box::pin(async move {
            let done = report.wait_for(Option::is_some).await;
            // The sender goes away unfinished only with the whole host.
            done.ok()
                .and_then(|report| report.clone())
                .unwrap_or_else(|| Arc::from([]))
        })
    }

    /// Begins STOP, or joins one that has begun. Says whether it is the first,
    /// and where the report will be; `None` where there is nothing to stop.
    fn begin_stop(
        self: &Arc<Self>,
        tenant: &Arc<TenantState>,
        trace: &Arc<Trace>,
        options: StopOptions,
    ) -> Option<(bool, Report)> {
        match trace.begin_stop() {
            StopTurn::Nothing => None,
            StopTurn::Joined(report) => Some((false, report)),
            StopTurn::First(work) => {
                self.sandbox.interrupt();
                let report = work.report.subscribe();
                let stopping = Stopping {
                    core: Arc::clone(self),
                    tenant: Arc::clone(tenant),
                    trace: Arc::clone(trace),
                    options,
                };
                self.control.spawn(stopping.finish(work));
                Some((true, report))
            }
        }
    }
}

type Report = watch::Receiver<Option<Arc<[Stopped]>>>;

/// A STOP under way.
struct Stopping {
    core: Arc<Core>,
    tenant: Arc<TenantState>,
    trace: Arc<Trace>,
    options: StopOptions,
}

impl Stopping {
    async fn finish(self, work: StopWork) {
        let request = self.publish(None, self.stop_signal());
        let mut ack = Stopped {
            rolled_back: self.options.rollback,
            cancelled: 0,
            compensated: 0,
            node: Arc::clone(self.tenant.tenant.name()),
            kept: Vec::new(),
        };
        self.stop_children(&work.children, &mut ack).await;
        ack.cancelled += self.trace.tasks_ended().await;
        // Stopped by a task, without a rollback: the writes stay undoable with
        // the trace of that task.
        if self.options.rollback || self.trace.settlement() != Settlement::WithParent {
            self.settle(&self.trace, &mut ack).await;
        }
        ack.rolled_back &= ack.kept.is_empty();
        let mut payload = signal::Stopped::new(
            ack.rolled_back,
            ack.cancelled,
            ack.compensated,
            ack.node.to_string(),
        );
        if !ack.kept.is_empty() {
            let kept = ack.kept.iter().map(ToString::to_string).collect();
            payload.extra.insert("kept".to_owned(), kept);
        }
        self.publish(Some(request), payload.into());
        self.trace.end_stop();
        work.report.send_replace(Some(Arc::from([ack])));
    }

    async fn stop_children(&self, children: &[Arc<Trace>], ack: &mut Stopped) {
        // All of them are told before any is waited for.
        let mut reports = Vec::new();
        for child in children {
            drop(self.tenant.traces.bury(child.id()));
            let options = self.options.clone();
            reports.extend(self.core.begin_stop(&self.tenant, child, options));
        }
        for (first, mut report) in reports {
            let Ok(report) = report.wait_for(Option::is_some).await else {
                continue;
            };
            let stopped = report.iter().flat_map(|stopped| stopped.iter());
            // What an earlier STOP of the child did was reported by that.
            for stopped in stopped.filter(|_| first) {
                ack.cancelled += stopped.cancelled;
                ack.compensated += stopped.compensated;
                ack.kept.extend_from_slice(&stopped.kept);
            }
        }
    }

    /// Undoes or commits what is left of a trace and of those below it:
    /// children first, newest write first within an engram.
    fn settle<'a>(&'a self, trace: &'a Trace, ack: &'a mut Stopped) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for child in trace.children() {
                self.settle(&child, ack).await;
            }
            ack.rolled_back &= !trace.is_committed();
            for engram in trace.touched() {
                if self.options.rollback {
                    let undone = engram.rollback(trace.id()).await;
                    ack.compensated += undone.compensated;
                    ack.kept.extend(undone.kept);
                } else {
                    engram.commit(trace.id()).await;
                }
            }
        })
    }

    fn stop_signal(&self) -> Payload {
        let mut stop = signal::Stop::new(self.options.rollback);
        stop.reason = self.options.reason.as_ref().map(ToString::to_string);
        stop.into()
    }

    fn publish(&self, parent: Option<SignalId>, payload: Payload) -> SignalId {
        let signal = self.core.signal(self.trace.id(), parent, None, payload);
        self.core.publish(&self.tenant, &signal);
        signal.id.clone()
    }
}
