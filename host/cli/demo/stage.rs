//! What all scenarios share: one host, and where its neurons are.

use std::{fmt::Display, path::PathBuf, sync::Arc};

use super::{
    Args,
    documents::{self, Document},
};
use crate::{
    Host,
    cli::{Exit, Failed, paths, start},
    engram::{Engram, MemoryEngram, VectorEngram},
    neuron::{Grants, Plugin},
    orchestration::TenantHandle,
    tenant::Quotas,
};

/// How the generator fails to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Stall {
    /// It waits for the clock.
    Sleep,
    /// It computes and calls nothing.
    Spin,
    /// It waits for an engram that never answers.
    Wait,
    /// It takes and frees memory.
    Allocate,
}

impl Stall {
    /// As the generator's input has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Sleep => "sleep",
            Self::Spin => "spin",
            Self::Wait => "wait",
            Self::Allocate => "allocate",
        }
    }

    /// As a title has it.
    pub(super) fn verb(self) -> &'static str {
        match self {
            Self::Sleep => "sleeps for ever",
            Self::Spin => "spins for ever",
            Self::Wait => "waits for ever",
            Self::Allocate => "allocates for ever",
        }
    }
}

/// The numbers in an embedding of the document neurons.
const DIMENSION: usize = 16;

/// Instances that the demo has live at a time, at most.
const INSTANCES: u32 = 128;

/// A host with nothing on it yet.
pub(super) struct Stage {
    pub(super) host: Host,
    pub(super) stall: Option<Stall>,
    pub(super) documents: Vec<Document>,
    pub(super) question: String,
    /// Whether documents or question are the user's own: whether they answer it
    /// is then not promised.
    pub(super) own_matter: bool,
    neurons: PathBuf,
}

impl Stage {
    pub(super) fn set(args: &Args) -> Result<Self, Failed> {
        let neurons = paths::neurons(args.neurons.as_deref())?;
        // Told before anything is shown.
        for name in ["generator", "ingester", "composer", "validator"] {
            paths::component(&neurons, name)?;
        }
        let documents = documents::read(args.data.as_deref())?;
        Ok(Self {
            host: start::host(|| Host::builder().instances(INSTANCES))?,
            stall: args.stall,
            documents,
            question: args.question.clone(),
            own_matter: args.data.is_some() || args.question != documents::QUESTION,
            neurons,
        })
    }

    /// Loads a neuron's component.
    pub(super) fn plugin(&self, name: &str) -> Result<Arc<Plugin>, Failed> {
        let path = paths::component(&self.neurons, name)?;
        self.host
            .load_file(&path, &Grants::default())
            .map_err(|error| Failed::new(Exit::Input, format!("{}: {error}", path.display())))
    }

    /// The tenant of that name. Scenarios that share one bring engrams and
    /// neurons of their own, which replace those of the scenario before.
    pub(super) fn tenant(&self, name: &str, quotas: Quotas) -> Result<TenantHandle, Failed> {
        match self.host.tenant(name) {
            Some(tenant) => Ok(tenant),
            None => self.host.add_tenant(name, quotas).map_err(cannot),
        }
    }
}

/// An empty engram of the tenant's.
pub(super) fn memory(tenant: &TenantHandle, id: &str) -> Arc<dyn Engram> {
    tenant.add_engram(MemoryEngram::new(
        id,
        tenant.clock().clone(),
        tenant.ids().clone(),
        Arc::clone(tenant.tenant()) as _,
    ))
}

/// An empty engram of the tenant's, for chunks of documents.
pub(super) fn index(tenant: &TenantHandle) -> Arc<dyn Engram> {
    tenant.add_engram(VectorEngram::new(
        "index",
        DIMENSION,
        tenant.clock().clone(),
        tenant.ids().clone(),
        Arc::clone(tenant.tenant()) as _,
    ))
}

/// The host could not do what a scenario needs.
pub(super) fn cannot(error: impl Display) -> Failed {
    Failed::new(Exit::Host, error)
}
