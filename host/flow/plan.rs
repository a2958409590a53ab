//! Checked flows: every name in them leads somewhere.

mod check;
mod problem;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;
use soma_retry::RetryPolicy;

pub(super) use self::check::{aggregate, only_members};
pub use self::problem::{InvalidFlow, Problem};
use super::{
    document::{Caps, Combine, Dag, Outcome},
    known::{NodeRef, Nodes},
    path::StatePath,
};
use crate::package::Digest;

/// A flow that passed all checks, with the flows that it holds. Cheap to clone;
/// any number of runs may use it at a time.
#[derive(Clone, Debug)]
pub struct Flow(pub(super) Arc<Plan>);

/// Flows that hold one another; the first is the root.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) dags: Vec<Planned>,
    documents: Vec<Dag>,
    hash: Digest,
}

/// One flow of a plan.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) name: Arc<str>,
    pub(super) entry: Place,
    pub(super) placements: Vec<Placed>,
}

/// Position of a placement in its flow.
pub(super) type Place = usize;

/// Position of a flow in its plan.
pub(super) type DagAt = usize;

/// A placement whose names are resolved.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Single {
        work: Work,
        routes: Wired,
    },
    Parallel {
        members: Vec<Place>,
        combine: Combine,
        routes: Wired,
    },
    FanOut(Box<FanOutPlan>),
    Deep(Box<DeepPlan>),
    Terminal(Outcome),
}

#[derive(Debug)]
pub(super) struct FanOutPlan {
    pub(super) work: Work,
    pub(super) source: StatePath,
    pub(super) item_key: Arc<str>,
    pub(super) concurrency: Option<usize>,
    pub(super) gather: Gather,
    pub(super) routes: Wired,
}

#[derive(Debug)]
pub(super) struct DeepPlan {
    pub(super) dag: DagAt,
    /// Path in the inner state, path in the outer.
    pub(super) input: Vec<(StatePath, StatePath)>,
    /// Path in the outer state, path in the inner.
    pub(super) output: Vec<(StatePath, StatePath)>,
    pub(super) routes: Wired,
}

/// Where the results of a fan-out go.
#[derive(Debug)]
pub(super) enum Gather {
    Append(StatePath),
    Partition(Vec<(Arc<str>, StatePath)>),
    Custom(Work),
}

/// A node and how it is run.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) node: NodeRef,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) timeout: Option<Duration>,
    pub(super) caps: Caps,
}

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    To(Place),
    End,
}

/// Routes and where they lead.
#[derive(Debug, Default)]
pub(super) struct Wired(Vec<(Arc<str>, Next)>);

impl Wired {
    pub(super) fn next(&self, route: &str) -> Option<Next> {
        let wired = self.0.iter().find(|(output, _)| **output == *route)?;
        Some(wired.1)
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|(name, _)| Arc::clone(name)).collect()
    }

    fn nexts(&self) -> impl Iterator<Item = Next> {
        self.0.iter().map(|(_, next)| *next)
    }
}

impl Placed {
    pub(super) fn routes(&self) -> Option<&Wired> {
        match &self.kind {
            Kind::Single { routes, .. } | Kind::Parallel { routes, .. } => Some(routes),
            Kind::FanOut(fan) => Some(&fan.routes),
            Kind::Deep(deep) => Some(&deep.routes),
            Kind::Terminal(_) => None,
        }
    }
}

impl Plan {
    pub(super) fn placed(&self, dag: DagAt, place: Place) -> Option<&Placed> {
        self.dags.get(dag)?.placements.get(place)
    }
}

impl Flow {
    /// Flows deep in flows at most.
    pub const MAX_DEPTH: usize = 32;
    /// Documents of a flow at most.
    pub const MAX_DOCUMENTS: usize = 1_000;
    /// Placements of one flow at most.
    pub const MAX_PLACEMENTS: usize = 10_000;

    /// Checks documents, of which the first is the root and may hold the
    /// others, against the nodes that they name.
    ///
    /// # Errors
    /// Names every problem at once.
    pub fn new(documents: &[Dag], nodes: &Nodes) -> Result<Self, InvalidFlow> {
        let dags = check::plan(documents, nodes)?;
        // The hash of a flow is that of all that it holds.
        let hashes: BTreeMap<_, _> = documents
            .iter()
            .map(|dag| (dag.name.clone(), Value::from(dag.hash().to_string())))
            .collect();
        let hash = Digest::of(
            serde_json::to_string(&hashes)
                .unwrap_or_default()
                .as_bytes(),
        );
        Ok(Self(Arc::new(Plan {
            dags,
            documents: documents.to_vec(),
            hash,
        })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.documents.first().map_or("", |root| &root.name)
    }

    /// Its version.
    pub fn version(&self) -> &str {
        self.0.documents.first().map_or("", |root| &root.version)
    }

    /// Digest of what its documents say.
    pub fn hash(&self) -> Digest {
        self.0.hash
    }

    /// The documents that it was made of, the root first.
    pub fn documents(&self) -> &[Dag] {
        &self.0.documents
    }
}
