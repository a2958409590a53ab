//! A tenant as its orchestrating code sees it.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    Core, TenantState,
    dispatch::{CallError, Dispatch, DispatchError},
    pathway::{Answer, Pathway},
    registry::Neuron,
    stop::{StopOptions, Stopped},
    trace::{Settlement, Trace},
};
use crate::{
    clock::{Clock, Ids, Random},
    engram::Engram,
    signal::TraceId,
    synapse::{Pattern, SubscribeOptions, Subscription, SynapseError},
    tenant::Tenant,
};

/// Everything that one tenant can do: its engrams and neurons, and running
/// tasks on them. Cheap to clone; other tenants are out of its reach.
#[derive(Clone)]
pub struct TenantHandle {
    core: Arc<Core>,
    state: Arc<TenantState>,
}

impl std::fmt::Debug for TenantHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TenantHandle")
            .field(self.state.tenant.name())
            .finish()
    }
}

impl TenantHandle {
    pub(super) fn new(core: Arc<Core>, state: Arc<TenantState>) -> Self {
        Self { core, state }
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(super) fn state(&self) -> &Arc<TenantState> {
        &self.state
    }

    /// Its accounts and quotas; also the ledger of its engrams.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.state.tenant
    }

    /// The host's clock.
    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// The host's source of ids.
    pub fn ids(&self) -> &Ids {
        &self.core.ids
    }

    /// The host's randomness.
    pub fn random(&self) -> &Random {
        &self.core.random
    }

    /// Adds an engram, and returns it for binding.
    pub fn add_engram(&self, engram: impl Engram) -> Arc<dyn Engram> {
        let engram: Arc<dyn Engram> = Arc::new(engram);
        self.state.tenant.add_engram(Arc::clone(&engram));
        engram
    }

    /// Registers a neuron. One of the same id is replaced for new tasks;
    /// running ones finish on the old. That of a removed tenant gets no task.
    pub fn register(&self, neuron: Neuron) -> Arc<Neuron> {
        self.state.registry.register(neuron)
    }

    /// Takes a neuron away; running tasks finish. Whether there was one.
    pub fn deregister(&self, id: &str) -> bool {
        self.state.registry.deregister(id)
    }

    /// Takes neurons away and registers others, in one step: each task finds
    /// all of them as they were, or all as they are then. One of the same id is
    /// replaced, as by [`TenantHandle::register`].
    pub fn change(&self, come: impl IntoIterator<Item = Neuron>, go: &[&str]) {
        let come: Vec<_> = come.into_iter().map(Arc::new).collect();
        self.state.registry.change(&come, go);
    }

    /// Ids of the registered neurons, sorted.
    pub fn neurons(&self) -> Vec<Arc<str>> {
        self.state.registry.ids()
    }

    /// The registered neurons, sorted by their ids.
    pub fn registered(&self) -> Vec<Arc<Neuron>> {
        self.state.registry.all()
    }

    /// Traces that run something or whose writes could still be undone.
    pub fn traces(&self) -> Vec<TraceId> {
        self.state.traces.ids()
    }

    /// Listens to the tenant's signals, all types.
    ///
    /// # Errors
    /// When the bus refuses the options, or the tenant was removed.
    pub fn observe(&self, options: SubscribeOptions) -> Result<Subscription, SynapseError> {
        if self.state.traces.is_closed() {
            // Its name may be another's by now.
            return Err(SynapseError::Refused(self.state.removed().to_string()));
        }
        let all = Pattern::all_of(self.state.tenant.name());
        self.core.synapse.subscribe(all, options)
    }

    /// Starts a task.
    ///
    /// # Errors
    /// When no neuron fits, the trace was stopped, there is no room, or the
    /// tenant was removed.
    pub fn dispatch(&self, dispatch: Dispatch) -> Result<Pathway, DispatchError> {
        self.core.dispatch(&self.state, dispatch, None)
    }

    /// Starts a task and waits for its reply. A trace that was made for it is
    /// committed when the reply is an output; after an ERROR its writes can
    /// still be rolled back.
    ///
    /// # Errors
    /// As [`TenantHandle::dispatch`]; on a timeout the task goes on until its
    /// own deadline, and the error names the trace to stop.
    pub async fn dispatch_and_wait(
        &self,
        dispatch: Dispatch,
        timeout: Duration,
    ) -> Result<Answer, CallError> {
        let mut pathway = self.core.dispatch_here(&self.state, dispatch)?;
        let answer = pathway.wait(timeout).await?;
        self.settle(pathway, &answer).await;
        Ok(answer)
    }

    /// Opens a fresh trace whose writes stay undoable until its owner commits
    /// or stops it. On one of a removed tenant every task is refused.
    pub fn open_trace(&self) -> OpenTrace {
        let id = self.core.ids.trace();
        let settlement = Settlement::ByOwner;
        loop {
            // A fresh id is neither stopped nor known: only the table of a
            // removed tenant refuses it.
            let trace = match self.state.traces.open(id.clone(), settlement, None) {
                Ok(trace) => trace,
                Err(_) => Arc::new(Trace::new(id.clone(), settlement, None, Weak::new())),
            };
            if trace.hold().is_ok() {
                return OpenTrace {
                    tenant: self.clone(),
                    trace,
                };
            }
        }
    }

    /// Makes a trace's writes permanent. Whether there was such a trace, and no
    /// STOP had begun to end it.
    pub async fn commit_trace(&self, trace: &TraceId) -> bool {
        match self.state.traces.get(trace) {
            Some(trace) => trace.commit().await,
            None => false,
        }
    }

    /// Commits the trace of an answer that the caller took, if the dispatch
    /// made that trace for itself.
    pub(super) async fn settle(&self, pathway: Pathway, answer: &Answer) {
        let trace = Arc::clone(pathway.trace());
        if trace.settlement() == Settlement::OnReply && answer.is_output() {
            trace.commit().await;
        }
    }
}

/// A trace that its holder settles. Dropping it settles nothing: what was
/// written stays undoable by [`TenantHandle::stop_trace`].
pub struct OpenTrace {
    tenant: TenantHandle,
    trace: Arc<Trace>,
}

impl OpenTrace {
    /// The trace, to dispatch on.
    pub fn id(&self) -> &TraceId {
        self.trace.id()
    }

    /// Tells when somebody stops it.
    pub fn stop_signal(&self) -> StopSignal {
        StopSignal(Arc::clone(&self.trace))
    }

    /// Makes its writes permanent.
    pub async fn commit(self) {
        self.trace.commit().await;
    }

    /// Stops it. Where somebody else has done so, theirs are the
    /// acknowledgements, also when that STOP is over and the trace known to
    /// nobody else.
    pub async fn stop(self, options: StopOptions) -> Arc<[Stopped]> {
        let state = self.tenant.state();
        let live = state.traces.bury(self.trace.id());
        // That of a removed tenant was never entered: there is nothing to stop.
        if live.is_none() && !self.stop_signal().is_stopped() {
            return Arc::new([]);
        }
        self.tenant.core().stop(state, &self.trace, options).await
    }
}

/// Knows when a trace is stopped, without holding it.
#[derive(Clone)]
pub struct StopSignal(Arc<Trace>);

impl StopSignal {
    /// Whether STOP has begun.
    pub fn is_stopped(&self) -> bool {
        self.0.while_open(|| ()).is_err()
    }

    /// Ends when STOP begins.
    pub async fn stopped(&self) {
        self.0.stop_begun().await;
    }
}

impl Drop for OpenTrace {
    fn drop(&mut self) {
        self.trace.release();
    }
}
