//! DAG documents: the JSON in which flows are written, kept and sent.
//!
//! The format is the reference's (dagonizer, section 3.1), strict at every
//! level, with what a sandbox adds to a placement: `retry`, `timeoutMs` and
//! `limits`. A document of the reference is one of these.

mod builder;
mod file;
mod retry;

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Value, json};
use soma_retry::RetryPolicy;

pub use self::{builder::DagBuilder, file::DagFile};
use crate::{
    package::{Digest, schema_of},
    signal::Object,
};

/// One flow, as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dag {
    /// What the keys mean to readers of JSON-LD; nothing here reads it.
    #[serde(rename = "@context")]
    pub context: Value,
    /// Its identity among documents, `urn:noocodex:dag:<name>` by convention.
    #[serde(rename = "@id")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Always `DAG`.
    #[serde(rename = "@type")]
    pub kind: DagType,
    /// Its name, by which other flows hold it.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its version; any text.
    #[schemars(length(min = 1))]
    pub version: String,
    /// The name of the placement that a run begins with.
    #[schemars(length(min = 1))]
    pub entrypoint: String,
    /// Its placements; at least one.
    #[schemars(length(min = 1))]
    pub nodes: Vec<Placement>,
}

/// The type of a whole document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DagType {
    /// The only one.
    #[default]
    #[serde(rename = "DAG")]
    Dag,
}

/// One place in a flow.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "@type", deny_unknown_fields)]
pub enum Placement {
    /// One node.
    #[serde(rename = "SingleNode")]
    Single(Single),
    /// Nodes side by side, on the state as the group found it.
    #[serde(rename = "ParallelNode")]
    Parallel(Parallel),
    /// One node for each item of a list.
    #[serde(rename = "FanOutNode")]
    FanOut(FanOut),
    /// A whole flow, on a copy of the state.
    #[serde(rename = "DeepDAGNode")]
    Deep(Deep),
    /// An end.
    #[serde(rename = "TerminalNode")]
    Terminal(Terminal),
}

/// Where each route leads: to the placement of that name, or to the end of this
/// flow (`null`), which completes it.
pub type Routes = BTreeMap<String, Option<String>>;

/// A node's place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Single {
    /// Its identity, `<dag>/node/<name>` by convention.
    #[serde(rename = "@id")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Its name within the flow.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The node: a native node's name, a neuron's id, or `capability:a+b`.
    #[schemars(length(min = 1))]
    pub node: String,
    /// Where its routes lead.
    pub outputs: Routes,
    /// Whether and when it is tried again; without one it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<retry::Form>")]
    pub retry: Option<RetryPolicy>,
    /// Milliseconds that one attempt may take.
    #[serde(default, rename = "timeoutMs", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
    /// What one attempt may use at most, beside the neuron's own limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Caps>,
}

/// What one attempt of a neuron may use at most. A native node has no limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Caps {
    /// Units of fuel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Bytes of all memories and tables together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Calls to the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u64>,
}

/// Nodes side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parallel {
    /// Its identity.
    #[serde(rename = "@id")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Its name within the flow.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The names of its members, which are `SingleNode` placements. Their own
    /// routes lead nowhere from here.
    #[schemars(length(min = 1))]
    pub nodes: Vec<String>,
    /// How the members' routes become the group's.
    pub combine: Combine,
    /// Where `success` and `error` lead.
    pub outputs: Routes,
}

/// How members' routes become the group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// `success` when all took `success`, else `error`.
    AllSuccess,
    /// `success` when one took `success`, else `error`.
    AnySuccess,
    /// Always `success`; the routes are in `metadata.parallelOutputs`.
    Collect,
}

/// One node for each item of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FanOut {
    /// Its identity.
    #[serde(rename = "@id")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Its name within the flow.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The node, as in a `SingleNode`.
    #[schemars(length(min = 1))]
    pub node: String,
    /// Dotted path of the list in the state.
    #[schemars(length(min = 1))]
    pub source: String,
    /// The key under which a node finds its item; `currentItem` unless said.
    #[serde(default, rename = "itemKey", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub item_key: Option<String>,
    /// How many run at a time; all that the run allows unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Where the results go.
    #[serde(rename = "fanIn")]
    pub fan_in: FanIn,
    /// Where `all-success`, `partial`, `all-error` and `empty` lead.
    pub outputs: Routes,
    /// Whether and when it is tried again; without one it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<retry::Form>")]
    pub retry: Option<RetryPolicy>,
    /// Milliseconds that one attempt may take.
    #[serde(default, rename = "timeoutMs", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
    /// What one attempt may use at most, beside the neuron's own limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Caps>,
}

/// Where the results of a fan-out go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FanIn {
    /// The way.
    pub strategy: Strategy,
    /// `append`: dotted path of the list that all results are appended to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub target: Option<String>,
    /// `partition`: for each route the dotted path of the list that its results
    /// are appended to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partitions: Option<BTreeMap<String, String>>,
    /// `custom`: the node that finds all results in `metadata.fanInResults`.
    #[serde(
        default,
        rename = "customNode",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(length(min = 1))]
    pub custom_node: Option<String>,
}

/// How results are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Into one list, in the order of the source.
    Append,
    /// Into a list for each route, in the order of the source.
    Partition,
    /// By a node.
    Custom,
}

/// A whole flow as a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deep {
    /// Its identity.
    #[serde(rename = "@id")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Its name within the flow.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The name of the flow.
    #[schemars(length(min = 1))]
    pub dag: String,
    /// What goes in and out beside the copy of the state.
    #[serde(
        default,
        rename = "stateMapping",
        skip_serializing_if = "Option::is_none"
    )]
    pub state_mapping: Option<StateMapping>,
    /// Where `success` and `error` lead.
    pub outputs: Routes,
}

/// What is copied between a flow's state and that of a flow within it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateMapping {
    /// Before: path in the inner state from path in the outer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input: BTreeMap<String, String>,
    /// After: path in the outer state from path in the inner.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub output: BTreeMap<String, String>,
}

/// An end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    /// Its identity.
    #[serde(rename = "@id")]
    #[schemars(length(min = 1))]
    pub id: String,
    /// Its name within the flow.
    #[schemars(length(min = 1))]
    pub name: String,
    /// How the flow has ended when it gets here.
    pub outcome: Outcome,
}

/// How a flow ends at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Well.
    Completed,
    /// Not: a flow around it goes on by `error`.
    Failed,
}

/// The JSON schema of a document.
pub fn schema() -> Value {
    schema_of::<Dag>()
}

impl Dag {
    /// Digest of everything that it says. The order of keys and white space do
    /// not count.
    pub fn hash(&self) -> Digest {
        let mut text = String::new();
        canonical(&self.to_json(), &mut text);
        Digest::of(text.as_bytes())
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        // Of texts, numbers, lists and maps with text keys: it cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl fmt::Display for Dag {
    /// The document as text, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.to_json())
    }
}

// By hand: what serde keeps of a value until it has seen its tag loses numbers
// that are kept as they were written.
impl<'de> Deserialize<'de> for Placement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Object::deserialize(deserializer)?;
        let tag = object.shift_remove("@type").unwrap_or_default();
        let value = Value::Object(object);
        let read = match tag.as_str() {
            Some("SingleNode") => serde_json::from_value(value).map(Self::Single),
            Some("ParallelNode") => serde_json::from_value(value).map(Self::Parallel),
            Some("FanOutNode") => serde_json::from_value(value).map(Self::FanOut),
            Some("DeepDAGNode") => serde_json::from_value(value).map(Self::Deep),
            Some("TerminalNode") => serde_json::from_value(value).map(Self::Terminal),
            _ => return Err(D::Error::custom(format!("`{tag}` is no type of placement"))),
        };
        read.map_err(D::Error::custom)
    }
}

impl Placement {
    /// Its name within the flow.
    pub fn name(&self) -> &str {
        match self {
            Self::Single(one) => &one.name,
            Self::Parallel(one) => &one.name,
            Self::FanOut(one) => &one.name,
            Self::Deep(one) => &one.name,
            Self::Terminal(one) => &one.name,
        }
    }

    /// Where its routes lead; none of a terminal.
    pub fn outputs(&self) -> Option<&Routes> {
        match self {
            Self::Single(one) => Some(&one.outputs),
            Self::Parallel(one) => Some(&one.outputs),
            Self::FanOut(one) => Some(&one.outputs),
            Self::Deep(one) => Some(&one.outputs),
            Self::Terminal(_) => None,
        }
    }
}

/// A value as text with sorted keys and no white space.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<_, _> = object.iter().collect();
            text.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                text.push_str(&json!(key).to_string());
                text.push(':');
                canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                canonical(item, text);
            }
            text.push(']');
        }
        plain => text.push_str(&plain.to_string()),
    }
}
