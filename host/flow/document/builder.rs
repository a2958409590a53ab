//! Documents from Rust: the same value as from JSON.

use serde_json::{Value, json};
use soma_retry::RetryPolicy;

use super::{
    Caps, Combine, Dag, DagType, Deep, FanIn, FanOut, Outcome, Parallel, Placement, Routes, Single,
    StateMapping, Strategy, Terminal,
};

/// A document in the making.
#[derive(Clone, Debug)]
#[must_use]
pub struct DagBuilder {
    context: Value,
    id: Option<String>,
    name: String,
    version: String,
    entrypoint: Option<String>,
    nodes: Vec<Placement>,
}

impl Dag {
    /// Starts a document. Its first placement is the entrypoint unless another
    /// is named.
    pub fn builder(name: impl Into<String>, version: impl Into<String>) -> DagBuilder {
        DagBuilder {
            context: json!({}),
            id: None,
            name: name.into(),
            version: version.into(),
            entrypoint: None,
            nodes: Vec::new(),
        }
    }
}

impl DagBuilder {
    /// Sets the JSON-LD context; `{}` otherwise.
    pub fn context(mut self, context: Value) -> Self {
        self.context = context;
        self
    }

    /// Sets the identity; `urn:noocodex:dag:<name>` otherwise.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Names the placement that a run begins with.
    pub fn entrypoint(mut self, placement: impl Into<String>) -> Self {
        self.entrypoint = Some(placement.into());
        self
    }

    /// Adds a placement.
    pub fn place(mut self, placement: impl Into<Placement>) -> Self {
        self.nodes.push(placement.into());
        self
    }

    /// The document. Placements without an identity of their own get one below
    /// the document's.
    pub fn build(self) -> Dag {
        let id = self
            .id
            .unwrap_or_else(|| format!("urn:noocodex:dag:{}", self.name));
        let mut nodes = self.nodes;
        for placement in &mut nodes {
            let below = format!("{id}/node/{}", placement.name());
            let own = placement.id_mut();
            if own.is_empty() {
                *own = below;
            }
        }
        let entrypoint = self.entrypoint.unwrap_or_else(|| {
            nodes
                .first()
                .map_or_else(String::new, |first| first.name().to_owned())
        });
        Dag {
            context: self.context,
            id,
            kind: DagType::Dag,
            name: self.name,
            version: self.version,
            entrypoint,
            nodes,
        }
    }
}

impl Placement {
    fn id_mut(&mut self) -> &mut String {
        match self {
            Self::Single(one) => &mut one.id,
            Self::Parallel(one) => &mut one.id,
            Self::FanOut(one) => &mut one.id,
            Self::Deep(one) => &mut one.id,
            Self::Terminal(one) => &mut one.id,
        }
    }
}

/// What all placements with routes have.
macro_rules! routed {
    ($($kind:ident),*) => { $(
        impl $kind {
            /// The route `output` leads to the placement `next`.
            #[must_use]
            pub fn route(mut self, output: impl Into<String>, next: impl Into<String>) -> Self {
                self.outputs.insert(output.into(), Some(next.into()));
                self
            }

            /// The route `output` leads to the end.
            #[must_use]
            pub fn end(mut self, output: impl Into<String>) -> Self {
                self.outputs.insert(output.into(), None);
                self
            }
        }

        impl From<$kind> for Placement {
            fn from(placement: $kind) -> Self {
                Self::$kind(placement)
            }
        }
    )* };
}

routed!(Single, Parallel, FanOut, Deep);

impl From<Terminal> for Placement {
    fn from(placement: Terminal) -> Self {
        Self::Terminal(placement)
    }
}

/// What all placements that run nodes have.
macro_rules! worked {
    ($($kind:ident),*) => { $(
        impl $kind {
            /// Tries the node again under this policy.
            #[must_use]
            pub fn retry(mut self, policy: RetryPolicy) -> Self {
                self.retry = Some(policy);
                self
            }

            /// Milliseconds that one attempt may take.
            #[must_use]
            pub fn timeout_ms(mut self, millis: u64) -> Self {
                self.timeout_ms = Some(millis);
                self
            }

            /// What one attempt of a neuron may use at most.
            #[must_use]
            pub fn limits(mut self, caps: Caps) -> Self {
                self.limits = Some(caps);
                self
            }
        }
    )* };
}

worked!(Single, FanOut);

impl Single {
    /// A place of that name for a node.
    pub fn new(name: impl Into<String>, node: impl Into<String>) -> Self {
        Self {
            id: String::new(),
            name: name.into(),
            node: node.into(),
            outputs: Routes::new(),
            retry: None,
            timeout_ms: None,
            limits: None,
        }
    }
}

impl Parallel {
    /// A place of that name for members side by side.
    pub fn new<T: Into<String>>(
        name: impl Into<String>,
        members: impl IntoIterator<Item = T>,
        combine: Combine,
    ) -> Self {
        Self {
            id: String::new(),
            name: name.into(),
            nodes: members.into_iter().map(Into::into).collect(),
            combine,
            outputs: Routes::new(),
        }
    }
}

impl FanOut {
    /// A place of that name for a node that runs for each item of the list at
    /// a path of the state.
    pub fn new(
        name: impl Into<String>,
        node: impl Into<String>,
        source: impl Into<String>,
        fan_in: FanIn,
    ) -> Self {
        Self {
            id: String::new(),
            name: name.into(),
            node: node.into(),
            source: source.into(),
            item_key: None,
            concurrency: None,
            fan_in,
            outputs: Routes::new(),
            retry: None,
            timeout_ms: None,
            limits: None,
        }
    }

    /// The key under which a node finds its item.
    #[must_use]
    pub fn item_key(mut self, key: impl Into<String>) -> Self {
        self.item_key = Some(key.into());
        self
    }

    /// How many run at a time.
    #[must_use]
    pub fn concurrency(mut self, most: u32) -> Self {
        self.concurrency = Some(most);
        self
    }
}

impl FanIn {
    fn of(strategy: Strategy) -> Self {
        Self {
            strategy,
            target: None,
            partitions: None,
            custom_node: None,
        }
    }

    /// All results into the list at a path.
    pub fn append(target: impl Into<String>) -> Self {
        Self {
            target: Some(target.into()),
            ..Self::of(Strategy::Append)
        }
    }

    /// For each route the path of the list that its results go to.
    pub fn partition<R: Into<String>, P: Into<String>>(
        partitions: impl IntoIterator<Item = (R, P)>,
    ) -> Self {
        let partitions = partitions.into_iter();
        let partitions = partitions.map(|(route, path)| (route.into(), path.into()));
        Self {
            partitions: Some(partitions.collect()),
            ..Self::of(Strategy::Partition)
        }
    }

    /// By a node that finds all results in `metadata.fanInResults`.
    pub fn custom(node: impl Into<String>) -> Self {
        Self {
            custom_node: Some(node.into()),
            ..Self::of(Strategy::Custom)
        }
    }
}

impl Deep {
    /// A place of that name for a whole flow.
    pub fn new(name: impl Into<String>, dag: impl Into<String>) -> Self {
        Self {
            id: String::new(),
            name: name.into(),
            dag: dag.into(),
            state_mapping: None,
            outputs: Routes::new(),
        }
    }

    /// Before: copies the outer state's `from` to `to` in the inner one.
    #[must_use]
    pub fn input(mut self, to: impl Into<String>, from: impl Into<String>) -> Self {
        let mapping = self.state_mapping.get_or_insert_with(StateMapping::default);
        mapping.input.insert(to.into(), from.into());
        self
    }

    /// After: copies the inner state's `from` to `to` in the outer one.
    #[must_use]
    pub fn output(mut self, to: impl Into<String>, from: impl Into<String>) -> Self {
        let mapping = self.state_mapping.get_or_insert_with(StateMapping::default);
        mapping.output.insert(to.into(), from.into());
        self
    }
}

impl Terminal {
    /// An end that completes the flow.
    pub fn completed(name: impl Into<String>) -> Self {
        Self::new(name, Outcome::Completed)
    }

    /// An end that fails the flow.
    pub fn failed(name: impl Into<String>) -> Self {
        Self::new(name, Outcome::Failed)
    }

    fn new(name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            id: String::new(),
            name: name.into(),
            outcome,
        }
    }
}
