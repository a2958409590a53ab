//! Nodes: what a placement runs, and what it says of itself.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::{Clock, Random},
    engram::BoxFuture,
    orchestration::Neuron,
    package::FlowTerms,
    signal::{Object, size_of_value},
};

/// The route of a node that names none.
pub const SUCCESS: &str = "success";

/// The route of a node that failed, where it is wired.
pub const ERROR: &str = "error";

/// What a node says of itself, for the checks of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    /// The routes that it may take beside `error`; `None` when it does not say.
    pub(super) routes: Option<BTreeSet<Arc<str>>>,
    /// Keys of the state without which it cannot work.
    pub(super) requires: BTreeSet<Arc<str>>,
    /// Keys of the state that it writes.
    pub(super) produces: BTreeSet<Arc<str>>,
}

fn texts<T: Into<Arc<str>>>(texts: impl IntoIterator<Item = T>) -> BTreeSet<Arc<str>> {
    texts.into_iter().map(Into::into).collect()
}

impl Contract {
    /// A node that does not say which routes it takes.
    pub fn open() -> Self {
        Self::default()
    }

    /// A node that takes one of these routes; each of them must be wired.
    pub fn routes<T: Into<Arc<str>>>(routes: impl IntoIterator<Item = T>) -> Self {
        Self {
            routes: Some(texts(routes)),
            ..Self::default()
        }
    }

    /// Keys of the state that it must find.
    #[must_use]
    pub fn requires<T: Into<Arc<str>>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.requires.extend(texts(keys));
        self
    }

    /// Keys of the state that it writes.
    #[must_use]
    pub fn produces<T: Into<Arc<str>>>(mut self, keys: impl IntoIterator<Item = T>) -> Self {
        self.produces.extend(texts(keys));
        self
    }
}

impl Contract {
    /// Of any one of several nodes: it may take the routes of each, needs what
    /// each needs, and writes what all of them write.
    pub(super) fn any_of<'a>(neurons: impl IntoIterator<Item = &'a Neuron>) -> Option<Self> {
        let contracts = neurons.into_iter().map(|neuron| Self::from(neuron.flow()));
        contracts.reduce(|one, other| Self {
            routes: one
                .routes
                .zip(other.routes)
                .map(|(one, other)| &one | &other),
            requires: &one.requires | &other.requires,
            produces: &one.produces & &other.produces,
        })
    }
}

impl From<&FlowTerms> for Contract {
    fn from(terms: &FlowTerms) -> Self {
        let texts = |names: &Vec<String>| texts(names.iter().map(String::as_str));
        Self {
            routes: terms.routes.as_ref().map(texts),
            requires: texts(&terms.requires),
            produces: texts(&terms.produces),
        }
    }
}

/// A node of the embedder's own code. It is trusted: it runs in the host's
/// process and nothing but its own waits lets an abort or a timeout in.
pub trait NativeNode: Send + Sync + 'static {
    /// Runs it once. The future is dropped when the run is aborted or its time
    /// is up; a panic is a failure with the code `NODE_PANIC`.
    ///
    /// # Errors
    /// A failure merges nothing into the state.
    fn run<'a>(&'a self, call: Call<'a>) -> BoxFuture<'a, Result<Output, Failure>>;
}

/// What a native node gets.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The state as it is; what the node changes it answers with.
    pub state: &'a Object,
    /// The placement that is run.
    pub placement: &'a str,
    /// Which attempt of the placement's retry policy this is, from 1.
    pub attempt: u32,
    /// The host's clock, virtual in tests.
    pub clock: &'a Clock,
    /// The host's randomness, seeded in tests.
    pub random: &'a Random,
}

/// What a node has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// Keys of the state and what they are from here on.
    pub values: Object,
    /// The route that it takes; `None` is `success`.
    pub route: Option<Arc<str>>,
    /// What else it has to say.
    pub notes: Notes,
}

impl Output {
    /// An output on the route `success`.
    pub fn new(values: Object) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// Nothing to write, on a route.
    pub fn on(route: impl Into<Arc<str>>) -> Self {
        Self::default().route(route)
    }

    /// Takes this route.
    #[must_use]
    pub fn route(mut self, route: impl Into<Arc<str>>) -> Self {
        self.route = Some(route.into());
        self
    }

    /// Writes a key.
    #[must_use]
    pub fn set(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.values.insert(key.into(), value.into());
        self
    }

    /// Collects an error that does not fail the node.
    #[must_use]
    pub fn error(mut self, note: Note) -> Self {
        self.notes.errors.push(note);
        self
    }

    /// Collects a warning.
    #[must_use]
    pub fn warning(mut self, note: Note) -> Self {
        self.notes.warnings.push(note);
        self
    }
}

/// Errors and warnings that runs collect.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    /// In the order in which they came up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Note>,
    /// In the order in which they came up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Note>,
}

impl Notes {
    pub(super) fn append(&mut self, mut other: Self) {
        self.errors.append(&mut other.errors);
        self.warnings.append(&mut other.warnings);
    }

    /// Says where they come from: a node cannot say that of itself.
    pub(super) fn stamp(&mut self, placement: &str) {
        for note in self.errors.iter_mut().chain(&mut self.warnings) {
            placement.clone_into(&mut note.placement);
        }
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        let notes = self.errors.iter().chain(&self.warnings);
        let bytes = notes.map(|note| {
            let context = note.context.as_ref();
            size_of::<Note>()
                + note.code.len()
                + note.message.len()
                + note.placement.len()
                + note.operation.as_ref().map_or(0, String::len)
                + context.map_or(0, |context| size_of_value(context).memory)
        });
        bytes.sum()
    }
}

/// Something to note: it stops nothing by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// What kind of thing, in capitals.
    pub code: String,
    /// In words.
    #[serde(default)]
    pub message: String,
    /// Whether the same may succeed when tried again. An error of a flow within
    /// another that is not makes that one take `error`.
    #[serde(default = "yes")]
    pub recoverable: bool,
    /// What the node was doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Whatever helps to understand it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// The placement that it comes from, with those around it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub placement: String,
}

fn yes() -> bool {
    true
}

impl Note {
    /// A recoverable one.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            recoverable: true,
            operation: None,
            context: None,
            placement: String::new(),
        }
    }

    /// The same may not succeed when tried again.
    #[must_use]
    pub fn unrecoverable(mut self) -> Self {
        self.recoverable = false;
        self
    }
}

/// Why a node failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Failure {
    /// What kind of failure, in capitals.
    pub code: String,
    /// In words.
    pub message: String,
    /// Whether the same may succeed when tried again.
    pub recoverable: bool,
}

impl Failure {
    /// One that another attempt may mend.
    pub fn recoverable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            recoverable: true,
        }
    }

    /// One that another attempt does not mend.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            recoverable: false,
            ..Self::recoverable(code, message)
        }
    }
}
