//! The nodes that documents may name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use super::{
    document::{Dag, Placement, Strategy},
    listed::list,
    node::{Call, Contract, Failure, NativeNode, Output},
};
use crate::{
    engram::BoxFuture,
    orchestration::{Neuron, Target, TenantHandle},
};

/// What stands behind a name in a document.
#[derive(Clone)]
pub(super) enum NodeRef {
    Native(Arc<dyn NativeNode>),
    Neuron(Target),
}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(_) => f.write_str("Native"),
            Self::Neuron(target) => f.debug_tuple("Neuron").field(target).finish(),
        }
    }
}

/// A name's node and what it says of itself.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) node: NodeRef,
    pub(super) contract: Contract,
}

impl Known {
    /// A neuron that is found when it is to run.
    pub(super) fn neuron(target: Target) -> Self {
        Self {
            node: NodeRef::Neuron(target),
            contract: Contract::open(),
        }
    }
}

/// The nodes that documents may name.
#[derive(Clone, Debug, Default)]
pub struct Nodes {
    known: BTreeMap<Arc<str>, Known>,
    /// Those that may be meant by their capabilities.
    neurons: Vec<Arc<Neuron>>,
    /// Whether any other name is that of a neuron.
    any: bool,
}

/// A name that begins so asks for any one neuron with the capabilities that
/// follow, with `+` between them.
const CAPABILITY: &str = "capability:";

impl Nodes {
    /// None, and no neuron by its capabilities either.
    pub fn new() -> Self {
        Self::default()
    }

    /// The neurons of a tenant as they are registered now, by their ids and by
    /// their capabilities. A run finds the neuron that is registered then.
    pub fn of(tenant: &TenantHandle) -> Self {
        let neurons = tenant.registered();
        let mut nodes = Self::new();
        for neuron in &neurons {
            let target = Target::neuron(Arc::clone(neuron.id()));
            let contract = Contract::from(neuron.flow());
            nodes = nodes.neuron(Arc::clone(neuron.id()), target, contract);
        }
        nodes.neurons = neurons;
        nodes
    }

    /// Takes every other name for a neuron that is found when it is to run;
    /// what it says of itself is not known.
    #[must_use]
    pub fn or_any_neuron(mut self) -> Self {
        self.any = true;
        self
    }

    /// A native node. One of the same name is replaced.
    #[must_use]
    pub fn native(
        mut self,
        name: impl Into<Arc<str>>,
        contract: Contract,
        node: impl NativeNode,
    ) -> Self {
        let node = NodeRef::Native(Arc::new(node));
        self.known.insert(name.into(), Known { node, contract });
        self
    }

    /// A native node that is a function and waits for nothing.
    #[must_use]
    pub fn function<F>(self, name: impl Into<Arc<str>>, contract: Contract, function: F) -> Self
    where
        F: Fn(Call<'_>) -> Result<Output, Failure> + Send + Sync + 'static,
    {
        self.native(name, contract, Function(function))
    }

    /// A neuron under a name of the documents'. One of the same name is
    /// replaced.
    #[must_use]
    pub fn neuron(mut self, name: impl Into<Arc<str>>, target: Target, contract: Contract) -> Self {
        let node = NodeRef::Neuron(target);
        self.known.insert(name.into(), Known { node, contract });
        self
    }

    /// A node under one more name. One that has this name is replaced.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn alias(mut self, name: impl Into<Arc<str>>, node: &str) -> Result<Self, UnknownNode> {
        let known = self.find(node)?;
        self.known.insert(name.into(), known);
        Ok(self)
    }

    /// Of the nodes whose routes documents wire or part results by, those that
    /// do not say which they take: that cannot be checked.
    pub fn undeclared<'a>(&self, documents: impl IntoIterator<Item = &'a Dag>) -> Vec<String> {
        let placements = documents.into_iter().flat_map(|dag| &dag.nodes);
        let names = placements.filter_map(|placement| match placement {
            Placement::Single(single) => Some(&single.node),
            Placement::FanOut(fan) if fan.fan_in.strategy == Strategy::Partition => Some(&fan.node),
            _ => None,
        });
        let undeclared = names.filter(|name| {
            let known = self.find(name);
            known.is_ok_and(|known| known.contract.routes.is_none())
        });
        let undeclared: BTreeSet<_> = undeclared.cloned().collect();
        undeclared.into_iter().collect()
    }

    pub(super) fn find(&self, name: &str) -> Result<Known, UnknownNode> {
        if let Some(known) = self.known.get(name) {
            return Ok(known.clone());
        }
        let Some(capabilities) = name.strip_prefix(CAPABILITY) else {
            return match self.any {
                true => Ok(Known::neuron(Target::neuron(name))),
                false => Err(self.unknown(name)),
            };
        };
        if capabilities.split('+').any(str::is_empty) {
            return Err(UnknownNode::NoCapability(name.to_owned()));
        }
        let capabilities: Vec<Arc<str>> = capabilities.split('+').map(Arc::from).collect();
        let fitting = self.neurons.iter().filter(|one| one.can(&capabilities));
        let contract = match Contract::any_of(fitting.map(|one| &**one)) {
            // Others may come of which nothing is known.
            _ if self.any => Contract::open(),
            Some(contract) => contract,
            None if self.neurons.is_empty() => return Err(self.unknown(name)),
            None => return Err(self.unable(&capabilities)),
        };
        Ok(Known {
            node: NodeRef::Neuron(Target::Capabilities(capabilities)),
            contract,
        })
    }

    fn unknown(&self, name: &str) -> UnknownNode {
        UnknownNode::Name {
            name: name.to_owned(),
            known: self.known.keys().map(ToString::to_string).collect(),
        }
    }

    fn unable(&self, wanted: &[Arc<str>]) -> UnknownNode {
        let known = self.neurons.iter().flat_map(|neuron| neuron.abilities());
        let known: BTreeSet<_> = known.map(ToString::to_string).collect();
        UnknownNode::Capabilities {
            wanted: wanted.iter().map(ToString::to_string).collect(),
            known: known.into_iter().collect(),
        }
    }
}

/// Why a name stands for no node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownNode {
    /// There is none of this name.
    #[error("there is no node `{name}`; there are {}", listed(known))]
    Name {
        /// As given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A list of capabilities with an empty one in it.
    #[error("`{0}` leaves a capability out; write `capability:a+b`")]
    NoCapability(String),
    /// No neuron has all of these.
    #[error("no neuron can do `{}`; there are {}", wanted.join("` and `"), listed(known))]
    Capabilities {
        /// As given.
        wanted: Vec<String>,
        /// The capabilities that there are.
        known: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    list(names.iter().map(String::as_str))
}

struct Function<F>(F);

impl<F> NativeNode for Function<F>
where
    F: Fn(Call<'_>) -> Result<Output, Failure> + Send + Sync + 'static,
{
    fn run<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Output, Failure>> {
        Box::pin(async move { (self.0)(call) })
    }
}
