//! `neuron.toml`: what a neuron says of itself and asks for.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    document::{Document, Problem, Problems},
    http::HttpRule,
    quantity::{Size, Span},
};
use crate::signal::SignalType;

/// What a neuron says of itself. Nothing in it gives any right: what a neuron
/// gets is what it asks for here and what the operator grants, both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Its name: 1 to 64 letters, digits, `-` or `_`.
    pub id: String,
    /// Its own version, by Semantic Versioning: three numbers and what may follow.
    pub version: String,
    /// How `soma neuron build` builds it; without one it is built by other means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// The kind by which tasks may find it; `neuron` unless said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Capabilities by which tasks may find it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What it is for, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its licence, an SPDX expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// JSON schemas of its input and output.
    #[serde(default, skip_serializing_if = "SchemaFiles::is_empty")]
    pub schema: SchemaFiles,
    /// The engrams that it expects, by the names that it knows them by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub engrams: BTreeMap<String, Binding>,
    /// What else it asks for.
    #[serde(default)]
    pub grants: Requests,
    /// The limits that it wishes to have; the operator decides.
    #[serde(default)]
    pub limits: Wishes,
    /// How it behaves in flows.
    #[serde(default, skip_serializing_if = "FlowTerms::is_empty")]
    pub flow: FlowTerms,
}

/// How a neuron behaves as a node of flows: what a flow that names it is checked
/// against.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowTerms {
    /// The routes that it takes, each of which a flow must wire; without them
    /// nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<String>>,
    /// Keys of the state without which it cannot work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// Keys of the state that it writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub produces: Vec<String>,
}

impl FlowTerms {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A language that `soma neuron new` and `build` know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Rust, with the crate `soma-neuron`.
    Rust,
    /// Python, with componentize-py.
    Python,
    /// JavaScript, with componentize-qjs.
    Javascript,
    /// C, with clang or zig.
    C,
    /// Go; experimental.
    Go,
}

impl FileAccess {
    /// `read` or `read-write`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadWrite => "read-write",
        }
    }
}

impl Time {
    /// `wall` or `virtual`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wall => "wall",
            Self::Virtual => "virtual",
        }
    }
}

impl Randomness {
    /// `system` or `seeded`.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Seeded => "seeded",
        }
    }
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rust,
        Self::Python,
        Self::Javascript,
        Self::C,
        Self::Go,
    ];

    /// As `neuron.toml` and the command line write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::C => "c",
            Self::Go => "go",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = String;

    /// Also by the short names that people have for them, in any case.
    fn from_str(name: &str) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        let known = match lower.as_str() {
            "rs" => Some(Self::Rust),
            "py" => Some(Self::Python),
            "js" => Some(Self::Javascript),
            "golang" => Some(Self::Go),
            full => Self::ALL.into_iter().find(|one| one.name() == full),
        };
        known.ok_or_else(|| {
            format!("`{name}` is no language here; there are rust, python, javascript, c and go")
        })
    }
}

/// Files beside the manifest that hold JSON schemas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaFiles {
    /// Of a task's input. The host refuses what does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// Of the output: a promise to readers, which the host does not check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<PathBuf>,
}

impl SchemaFiles {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What may be done through a binding.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum BindingAccess {
    /// Recall only.
    Read,
    /// Recall and imprint.
    ReadWrite,
}

/// An engram that a neuron expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Binding {
    /// What it does with it.
    pub access: BindingAccess,
    /// Numbers in each embedding, where it needs an engram that holds them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimension: Option<u32>,
    /// What it keeps there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What may be done with files of a folder.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FileAccess {
    /// Read only.
    Read,
    /// Read, write, make and remove.
    ReadWrite,
}

/// Which time a neuron sees, through the contract and through WASI alike. The
/// limit on its wall time is the host's clock in either case.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Time {
    /// The host's clock.
    #[default]
    Wall,
    /// A clock of the task's own: it starts at the time in the trace's id
    /// (1970 for an id that holds none), moves by the task's own sleeps alone,
    /// and these end at once. The same trace id gives the same times.
    Virtual,
}

/// Where a neuron's randomness comes from, through the contract and through
/// WASI alike.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Randomness {
    /// The host's source.
    #[default]
    System,
    /// A stream of the task's own, seeded by its trace id, neuron id, attempt
    /// and input: the same task draws the same numbers. Never for secrets.
    Seeded,
}

/// What a neuron asks for beside engrams. What is left out is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Requests {
    /// Starting, retrying and stopping other neurons of the tenant.
    #[serde(skip_serializing_if = "is_false")]
    pub orchestration: bool,
    /// Signal types that it publishes, such as `PLAN`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub synapse: Vec<Emission>,
    /// The time that it needs to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<Time>,
    /// The randomness that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub random: Option<Randomness>,
    /// Log lines on the task's trace.
    #[serde(skip_serializing_if = "is_false")]
    pub log: bool,
    /// WASI 0.2, of which everything is denied that the keys below do not
    /// open: what guests of Python, Go or `wasm32-wasip2` may need to start.
    #[serde(skip_serializing_if = "is_false")]
    pub wasi: bool,
    /// Folders, by the name under which the neuron sees them: `data` is `/data`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, FileAccess>,
    /// Environment variables, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// Requests over HTTP, for example `GET,POST=https://api.example.org:8443`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRule>,
}

impl Requests {
    /// Whether anything in it needs WASI.
    pub fn needs_wasi(&self) -> bool {
        self.wasi || self.reaches_through_wasi()
    }

    /// Whether there is anything that is reached through WASI.
    pub(super) fn reaches_through_wasi(&self) -> bool {
        !self.files.is_empty() || !self.environment.is_empty() || !self.http.is_empty()
    }
}

/// A signal type that a neuron may publish.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Emission {
    /// PLAN
    Plan,
    /// MEMORY_APPEND
    MemoryAppend,
    /// ESCALATION
    Escalation,
    /// CONSENSUS
    Consensus,
    /// CONTEXT_SYNC
    ContextSync,
    /// CRITIQUE
    Critique,
    /// AUDIT
    Audit,
}

impl Emission {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Plan,
        Self::MemoryAppend,
        Self::Escalation,
        Self::Consensus,
        Self::ContextSync,
        Self::Critique,
        Self::Audit,
    ];
}

impl From<Emission> for SignalType {
    fn from(emission: Emission) -> Self {
        match emission {
            Emission::Plan => Self::Plan,
            Emission::MemoryAppend => Self::MemoryAppend,
            Emission::Escalation => Self::Escalation,
            Emission::Consensus => Self::Consensus,
            Emission::ContextSync => Self::ContextSync,
            Emission::Critique => Self::Critique,
            Emission::Audit => Self::Audit,
        }
    }
}

/// The limits that a neuron wishes to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Wishes {
    /// CPU budget of a task in fuel units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fuel: Option<u64>,
    /// Most memory of a task, all memories and tables together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// Most time until the reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// Most calls to the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Whether a text can be the name of a neuron, an engram or a tenant.
pub fn is_name(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && text.chars().all(legal)
}

/// Whether a text can be the name of an environment variable.
fn is_variable(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (1..=256).contains(&text.len())
        && text.chars().all(legal)
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

impl Manifest {
    /// Name of the file.
    pub const FILE: &str = "neuron.toml";

    /// Reads `neuron.toml`, or the file of that name in the folder `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each at its place.
    pub fn read(path: &Path) -> Result<(Self, Document), Problems> {
        let path = if path.is_dir() {
            path.join(Self::FILE)
        } else {
            path.to_owned()
        };
        let document = Document::read(&path, Document::MAX_SETTINGS_BYTES)?;
        let manifest: Self = document.typed()?;
        let wrong = manifest.problems(&|keys, message| document.problem(keys, message));
        Problems::unless_any(wrong, (manifest, document))
    }

    /// Where `soma neuron build` puts the component of the project in `folder`.
    pub fn component(&self, folder: &Path) -> PathBuf {
        folder.join("target").join(format!("{}.wasm", self.id))
    }

    /// What a schema cannot say.
    pub(super) fn problems(&self, told: &dyn Fn(&[&str], String) -> Problem) -> Vec<Problem> {
        let mut wrong = Vec::new();
        let no_name = |text: &str| {
            format!("{text:?} cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`")
        };
        if !is_name(&self.id) {
            wrong.push(told(&["id"], no_name(&self.id)));
        }
        if let Err(error) = semver::Version::parse(&self.version) {
            let message = format!(
                "{:?} is no version such as \"1.0.0\": {error}",
                self.version
            );
            wrong.push(told(&["version"], message));
        }
        for name in self.engrams.keys().filter(|name| !is_name(name)) {
            wrong.push(told(&["engrams", name], no_name(name)));
        }
        for (index, name) in self.grants.environment.iter().enumerate() {
            if !is_variable(name) {
                let message = format!(
                    "{name:?} cannot be the name of a variable: use letters, digits and `_`"
                );
                let index = index.to_string();
                wrong.push(told(&["grants", "environment", &index], message));
            }
        }
        for name in self.grants.files.keys().filter(|name| !is_name(name)) {
            wrong.push(told(&["grants", "files", name], no_name(name)));
        }
        wrong
    }
}
