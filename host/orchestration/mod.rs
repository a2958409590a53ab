//! Orchestration: traces, routing, dispatch, retry, STOP and rollback.
//!
//! Knows neurons, engrams, tenants and the bus; knows no flow.
//!
//! Every task belongs to a trace and is reachable from its tenant's trace
//! table: `trace` and `table` hold that promise, `dispatch` starts a task, `task` runs it,
//! `pathway` is the caller's end of it, `stop` ends a trace, `retry` strings
//! attempts together, `context` and `guest` answer a running neuron's host
//! calls.

mod context;
mod dispatch;
pub(crate) mod guest;
mod pathway;
mod registry;
mod retry;
mod stop;
mod table;
mod task;
mod tenant;
mod trace;

use std::sync::{Arc, atomic::AtomicBool};

use serde_json::Value;
use tokio::runtime::Handle;

pub use self::{
    dispatch::{CallError, Dispatch, DispatchError},
    pathway::{Answer, Pathway, Scope, WaitError},
    registry::{Access, Binding, Neuron, Target},
    retry::{Abandoned, OnRetry, Outcome, RetryError, RetryIf, RetryStrategy, failure_of, retry},
    stop::{StopOptions, Stopped},
    tenant::{OpenTrace, StopSignal, TenantHandle},
};
use self::{registry::Registry, table::TraceTable};
use crate::{
    clock::{Clock, Ids, Random},
    neuron::{Sandbox, environment::Governor as _},
    signal::{Directed, Object, Payload, Signal, SignalId, TraceId},
    synapse::{Subject, Synapse},
    tenant::{Admission, Tenant},
};
#[doc(inline)]
pub use soma_retry::{Decision, Failed, GiveUp, InvalidPolicy, Problem, RetryPolicy, Strategy};

/// What all tenants of a host share.
pub struct Core {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) synapse: Arc<dyn Synapse>,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) ids: Ids,
    pub(crate) admission: Arc<Admission>,
    /// Runs guests.
    pub(crate) guests: Handle,
    /// Runs STOP, commits and timers: never a guest.
    pub(crate) control: Handle,
    /// Set when the host is dropped: nothing starts on its runtimes any more.
    pub(crate) closed: AtomicBool,
}

/// A tenant's neurons and traces.
pub(crate) struct TenantState {
    tenant: Arc<Tenant>,
    registry: Registry,
    traces: Arc<TraceTable>,
}

/// What a step of a check of input against a schema costs a tenant.
const FUEL_OF_A_STEP: u64 = 20;

impl TenantState {
    fn removed(&self) -> DispatchError {
        DispatchError::Removed(Arc::clone(self.tenant.name()))
    }

    fn route(&self, target: &Target) -> Result<Arc<Neuron>, DispatchError> {
        self.registry
            .route(target)
            .ok_or_else(|| DispatchError::Unroutable {
                tenant: Arc::clone(self.tenant.name()),
                target: target.to_string(),
                registered: self.registry.ids(),
            })
    }

    /// Why the neuron cannot take this input, in words. A look that takes long
    /// is paid for as if a guest had taken it.
    fn unfit(&self, neuron: &Neuron, input: &Value) -> Option<String> {
        let checked = neuron.check_input(input)?;
        self.tenant
            .charge_fuel(checked.steps.saturating_mul(FUEL_OF_A_STEP));
        checked.unfit()
    }
}

impl Core {
    /// A handle on a tenant that has no neurons yet.
    pub(crate) fn adopt(self: &Arc<Self>, tenant: Arc<Tenant>) -> TenantHandle {
        let state = TenantState {
            tenant,
            registry: Registry::default(),
            traces: TraceTable::new(self.control.clone()),
        };
        TenantHandle::new(Arc::clone(self), Arc::new(state))
    }

    fn signal_value(
        &self,
        trace: &TraceId,
        parent_id: Option<SignalId>,
        directed: Option<Directed>,
        payload: Payload,
    ) -> Signal {
        Signal {
            id: self.ids.signal(),
            trace_id: trace.clone(),
            parent_id,
            directed,
            ts: self.clock.now(),
            payload,
            meta: Object::new(),
        }
    }

    fn signal(
        &self,
        trace: &TraceId,
        parent_id: Option<SignalId>,
        directed: Option<Directed>,
        payload: Payload,
    ) -> Arc<Signal> {
        Arc::new(self.signal_value(trace, parent_id, directed, payload))
    }

    fn publish(&self, tenant: &TenantState, signal: &Arc<Signal>) {
        let subject = Subject::of(tenant.tenant.name(), signal);
        self.synapse.publish(&subject, signal);
    }
}
