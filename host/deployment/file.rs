//! The tables of `soma.toml`.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    neuron::CompilerLimits,
    package::{
        BindingAccess, Digest, Emission, FileAccess, HttpRule, Policy, Randomness, Size, Span,
        Time, Wishes, schema_of,
    },
    tenant,
};

/// The JSON schema of `soma.toml`.
pub fn schema() -> Value {
    schema_of::<File>()
}

/// A deployment: which neurons run for which tenants, with what.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    /// Which components are taken.
    #[serde(default)]
    pub(super) policy: PolicyTable,
    /// The host itself. A change needs a new start.
    #[serde(default)]
    pub(super) host: HostTable,
    /// The tenants, by name.
    pub(super) tenants: BTreeMap<String, Tenant>,
}

/// Which components are taken.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct PolicyTable {
    /// What happens to a component without a signature by a trusted key:
    /// nothing, a warning (the default), or a refusal.
    pub(super) signatures: Policy,
    /// PEM files of the public keys that count, from the file's folder on.
    pub(super) trusted_keys: Vec<PathBuf>,
    /// Never touch the network: what is not in the local store is not to be had.
    pub(super) offline: bool,
}

/// The host itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct HostTable {
    /// Live instances at a time.
    pub(super) instances: Option<u32>,
    /// Threads that run guests.
    pub(super) workers: Option<usize>,
    /// Most memory of the process that compiles a component.
    pub(super) compile_memory: Option<Size>,
    /// Most CPU time of that process, in whole seconds.
    pub(super) compile_cpu: Option<Span>,
    /// Most time until that process has ended.
    pub(super) compile_timeout: Option<Span>,
}

/// One tenant.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Tenant {
    /// What it may take of the host. A change needs a new start.
    #[serde(default)]
    pub(super) quotas: Quotas,
    /// Its engrams, by name.
    #[serde(default)]
    pub(super) engrams: BTreeMap<String, Engram>,
    /// Its neurons, by the id under which tasks reach them.
    #[serde(default)]
    pub(super) neurons: BTreeMap<String, Neuron>,
}

/// What a tenant may take of the host. What is left out has the host's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Quotas {
    /// Tasks that run at a time.
    concurrent_tasks: Option<usize>,
    /// Instances that live at a time, waiting ones included.
    live_instances: Option<usize>,
    /// Tasks that may wait for their turn.
    queued_tasks: Option<usize>,
    /// Fuel units a second, over all its tasks.
    fuel_per_second: Option<u64>,
    /// Linear memory over all its live instances.
    memory: Option<Size>,
    /// The inputs of all its tasks that wait or run.
    inputs: Option<Size>,
    /// All its engrams.
    store: Option<Size>,
    /// All journals of its open traces.
    journal: Option<Size>,
}

/// An engram.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Engram {
    /// `memory` holds entries, `vector` entries with embeddings.
    pub(super) kind: EngramKind,
    /// Numbers in each embedding; for `vector`.
    #[serde(default)]
    pub(super) dimension: Option<u32>,
}

/// What an engram holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EngramKind {
    /// Entries.
    Memory,
    /// Entries with embeddings.
    Vector,
}

/// A neuron.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Neuron {
    /// Its component: a file, the folder of a project that was built, or
    /// `oci://host/repository:tag`. Paths start from the file's folder.
    pub(super) source: String,
    /// The digest that its component must have, `sha256:…`.
    #[serde(default)]
    pub(super) digest: Option<String>,
    /// The kind by which tasks may find it, in place of its manifest's.
    #[serde(default)]
    pub(super) kind: Option<String>,
    /// Capabilities by which tasks may find it, in place of its manifest's.
    #[serde(default)]
    pub(super) capabilities: Option<Vec<String>>,
    /// Whether it takes tasks that are for nobody in particular.
    #[serde(default)]
    pub(super) catch_all: bool,
    /// Engrams, by the names that the neuron knows them by.
    #[serde(default)]
    pub(super) bind: BTreeMap<String, Bind>,
    /// What it may do beside that.
    #[serde(default)]
    pub(super) grants: Grants,
    /// What one of its tasks may use.
    #[serde(default)]
    pub(super) limits: Wishes,
}

/// What a neuron's name for an engram stands for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Bind {
    /// An engram of the tenant's.
    pub(super) engram: String,
    /// What the neuron may do with it.
    pub(super) access: BindingAccess,
}

/// What a neuron may do. It gets what it asks for and is granted here, both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct Grants {
    /// Start, retry and stop other neurons of its tenant.
    pub(super) orchestration: bool,
    /// Publish signals of these types.
    pub(super) synapse: Vec<Emission>,
    /// See time: the host's, or one that moves only by its own sleeps.
    pub(super) clock: Option<Time>,
    /// Draw randomness: the host's, or the same for the same task.
    pub(super) random: Option<Randomness>,
    /// Write log lines.
    pub(super) log: bool,
    /// Use WASI 0.2, of which everything is denied that is not granted below.
    pub(super) wasi: bool,
    /// Use folders, by the name that the neuron has for them.
    pub(super) files: BTreeMap<String, Folder>,
    /// See environment variables with these values.
    pub(super) environment: Variables,
    /// See these variables of the host's own environment.
    pub(super) pass_environment: Vec<String>,
    /// Make requests over HTTP, for example
    /// `GET,POST=https://api.example.org:8443`.
    pub(super) http: Vec<HttpRule>,
}

/// Environment variables and their values.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Variables(pub(super) BTreeMap<String, String>);

impl fmt::Debug for Variables {
    /// The names only: the values are often secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A folder that a neuron may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Folder {
    /// The folder, from the file's folder on.
    pub(super) path: PathBuf,
    /// What the neuron may do in it.
    pub(super) access: FileAccess,
}

impl Engram {
    /// What a schema cannot say of it.
    pub(super) fn problem(&self) -> Option<&'static str> {
        match (self.kind, self.dimension) {
            (EngramKind::Memory, None) | (EngramKind::Vector, Some(1..=65_536)) => None,
            (EngramKind::Memory, Some(_)) => {
                Some("only an engram of kind `vector` has a dimension")
            }
            (EngramKind::Vector, None) => {
                Some("an engram of kind `vector` needs a dimension, for example `dimension = 16`")
            }
            (EngramKind::Vector, Some(_)) => Some("the dimension is a number from 1 to 65536"),
        }
    }
}

impl Neuron {
    /// The pinned digest.
    pub(super) fn digest(&self) -> Option<Result<Digest, crate::package::InvalidDigest>> {
        self.digest.as_ref().map(|text| text.parse())
    }
}

impl HostTable {
    pub(super) fn compiler_limits(&self) -> CompilerLimits {
        let default = CompilerLimits::default();
        let memory = self.compile_memory.as_ref().map(|size| size.bytes as u64);
        let duration = |span: &Option<Span>| span.as_ref().map(|span| span.duration);
        CompilerLimits {
            memory_bytes: memory.unwrap_or(default.memory_bytes),
            cpu: duration(&self.compile_cpu).unwrap_or(default.cpu),
            wall: duration(&self.compile_timeout).unwrap_or(default.wall),
            ..default
        }
    }
}

impl Quotas {
    pub(super) fn quotas(&self) -> tenant::Quotas {
        let default = tenant::Quotas::default();
        let bytes = |size: &Option<Size>, default: u64| {
            size.as_ref().map_or(default, |size| size.bytes as u64)
        };
        tenant::Quotas {
            concurrent_tasks: self.concurrent_tasks.unwrap_or(default.concurrent_tasks),
            live_instances: self.live_instances.unwrap_or(default.live_instances),
            queued_tasks: self.queued_tasks.unwrap_or(default.queued_tasks),
            fuel_per_second: self.fuel_per_second.or(default.fuel_per_second),
            memory_bytes: bytes(&self.memory, default.memory_bytes),
            input_bytes: bytes(&self.inputs, default.input_bytes),
            store_bytes: bytes(&self.store, default.store_bytes),
            journal_bytes: bytes(&self.journal, default.journal_bytes),
        }
    }
}
