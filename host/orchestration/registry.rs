//! Which neurons a tenant has, and which of them a task is for.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use serde_json::Value;

use crate::{
    engram::Engram,
    neuron::{Limits, Plugin},
    package::{Checked, FlowTerms, Package, Schema},
    signal::{Directed, SignalType},
};

/// Whom a task is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The neuron with this id.
    Neuron(Arc<str>),
    /// Any one neuron of this kind.
    Kind(Arc<str>),
    /// Any one neuron with all these capabilities.
    Capabilities(Vec<Arc<str>>),
    /// Any one neuron registered to take what nobody else does.
    Any,
}

impl Target {
    /// The neuron with this id.
    pub fn neuron(id: impl Into<Arc<str>>) -> Self {
        Self::Neuron(id.into())
    }

    /// Any one neuron with all these capabilities.
    pub fn capabilities<'a>(capabilities: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Capabilities(capabilities.into_iter().map(Arc::from).collect())
    }

    /// The TASK's address. Capabilities travel in its payload instead
    /// (Cosmonapse wire v1, section 2.4).
    pub(super) fn directed(&self) -> Option<Directed> {
        match self {
            Self::Neuron(id) => Some(Directed {
                id: Some(Arc::clone(id)),
                ..Directed::default()
            }),
            Self::Kind(kind) => Some(Directed {
                kind: Some(Arc::clone(kind)),
                ..Directed::default()
            }),
            Self::Capabilities(_) | Self::Any => None,
        }
    }

    /// The capabilities for the TASK's payload.
    pub(super) fn required(&self) -> Option<Vec<String>> {
        match self {
            Self::Capabilities(required) => {
                Some(required.iter().map(ToString::to_string).collect())
            }
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Neuron(id) => write!(f, "neuron `{id}`"),
            Self::Kind(kind) => write!(f, "a neuron of kind `{kind}`"),
            Self::Capabilities(required) => {
                write!(
                    f,
                    "a neuron with the capabilities `{}`",
                    required.join("`, `")
                )
            }
            Self::Any => f.write_str("a neuron that takes any task"),
        }
    }
}

/// What a neuron may do through a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Recall only.
    Read,
    /// Recall and imprint.
    ReadWrite,
}

/// A local name of a neuron's for an engram.
#[derive(Clone)]
pub struct Binding {
    /// The engram behind the name.
    pub engram: Arc<dyn Engram>,
    /// What the neuron may do with it.
    pub access: Access,
    /// Bound of a call that names none.
    pub deadline: Option<Duration>,
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("engram", self.engram.id())
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// A plugin under an id, with what it may reach and use.
#[derive(Clone, Debug)]
pub struct Neuron {
    pub(super) id: Arc<str>,
    pub(super) kind: Arc<str>,
    pub(super) plugin: Arc<Plugin>,
    pub(super) capabilities: BTreeSet<Arc<str>>,
    pub(super) catch_all: bool,
    pub(super) bindings: BTreeMap<String, Binding>,
    pub(super) emits: BTreeSet<SignalType>,
    pub(super) limits: Limits,
    input: Option<Schema>,
    flow: FlowTerms,
}

impl Neuron {
    /// A neuron that has no capabilities, is bound to nothing, may emit every
    /// cognition signal and runs under the default limits.
    pub fn new(id: impl Into<Arc<str>>, plugin: Arc<Plugin>) -> Self {
        Self {
            id: id.into(),
            kind: "neuron".into(),
            plugin,
            capabilities: BTreeSet::new(),
            catch_all: false,
            bindings: BTreeMap::new(),
            emits: [
                SignalType::Plan,
                SignalType::MemoryAppend,
                SignalType::Escalation,
                SignalType::Consensus,
                SignalType::ContextSync,
                SignalType::Critique,
                SignalType::Audit,
            ]
            .into(),
            limits: Limits::default(),
            input: None,
            flow: FlowTerms::default(),
        }
    }

    /// A neuron as its package describes it: id, kind, capabilities, what it
    /// emits, what its input must be, and the limits that it wishes, as far as
    /// [`Limits::wished`] goes. It is bound to nothing yet. `None` for a
    /// package without a manifest.
    pub fn of_package(plugin: Arc<Plugin>, package: &Package) -> Option<Self> {
        let manifest = package.manifest.as_ref()?;
        let mut neuron = Self::new(manifest.id.as_str(), plugin)
            .emits(manifest.grants.synapse.iter().map(|one| (*one).into()))
            .limits(Limits::wished(&manifest.limits));
        if let Some(kind) = &manifest.kind {
            neuron = neuron.kind(kind.as_str());
        }
        for capability in &manifest.capabilities {
            neuron = neuron.capability(capability.as_str());
        }
        neuron.input.clone_from(&package.input);
        neuron.flow.clone_from(&manifest.flow);
        Some(neuron)
    }

    /// Registers it under another id than its package's.
    #[must_use]
    pub fn named(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = id.into();
        self
    }

    /// The id that it is found by.
    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// Names its kind; `neuron` otherwise.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Arc<str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// Adds a capability by which tasks find it.
    #[must_use]
    pub fn capability(mut self, capability: impl Into<Arc<str>>) -> Self {
        self.capabilities.insert(capability.into());
        self
    }

    /// Sets the capabilities by which tasks find it, in place of those before.
    #[must_use]
    pub fn capabilities<'a>(mut self, capabilities: impl IntoIterator<Item = &'a str>) -> Self {
        self.capabilities = capabilities.into_iter().map(Arc::from).collect();
        self
    }

    /// Lets it take tasks that are for nobody in particular.
    #[must_use]
    pub fn catch_all(mut self) -> Self {
        self.catch_all = true;
        self
    }

    /// Ties a local name to an engram.
    #[must_use]
    pub fn bind(
        mut self,
        name: impl Into<String>,
        engram: Arc<dyn Engram>,
        access: Access,
    ) -> Self {
        let binding = Binding {
            engram,
            access,
            deadline: None,
        };
        self.bindings.insert(name.into(), binding);
        self
    }

    /// Restricts what it may emit to these types.
    #[must_use]
    pub fn emits(mut self, types: impl IntoIterator<Item = SignalType>) -> Self {
        self.emits = types.into_iter().collect();
        self
    }

    /// Sets what one of its tasks may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what its input must be. A task with another is answered with an
    /// ERROR, and no instance is made for it.
    #[must_use]
    pub fn input_schema(mut self, schema: Schema) -> Self {
        self.input = Some(schema);
        self
    }

    /// Says how it behaves in flows; nothing here holds it to that.
    #[must_use]
    pub fn flow_terms(mut self, terms: FlowTerms) -> Self {
        self.flow = terms;
        self
    }

    /// How it says that it behaves in flows.
    pub fn flow(&self) -> &FlowTerms {
        &self.flow
    }

    /// Whether it can take this input, where it says what it takes.
    pub(super) fn check_input(&self, input: &Value) -> Option<Checked> {
        Some(self.input.as_ref()?.check(input))
    }

    /// What tasks find it by.
    pub(crate) fn abilities(&self) -> &BTreeSet<Arc<str>> {
        &self.capabilities
    }

    /// Whether it has all these capabilities.
    pub(crate) fn can(&self, required: &[Arc<str>]) -> bool {
        required
            .iter()
            .all(|capability| self.capabilities.contains(capability))
    }
}

/// The neurons of one tenant.
#[derive(Debug, Default)]
pub(super) struct Registry(RwLock<Index>);

#[derive(Debug, Default)]
struct Index {
    by_id: HashMap<Arc<str>, Arc<Neuron>>,
    by_kind: HashMap<Arc<str>, Group>,
    by_capability: HashMap<Arc<str>, Group>,
    catch_all: Group,
}

/// Neurons that fit alike, in the order of registration. Each group has its
/// own turn: tasks for other groups that come between change nothing.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Arc<Neuron>>,
    turn: AtomicUsize,
}

impl Group {
    fn add(&mut self, neuron: &Arc<Neuron>) {
        self.members.push(Arc::clone(neuron));
    }

    fn remove(&mut self, id: &str) {
        self.members.retain(|member| &*member.id != id);
    }

    fn next(&self) -> Option<&Arc<Neuron>> {
        self.next_of(self.members.iter())
    }

    fn next_of<'a>(
        &self,
        mut fitting: impl Iterator<Item = &'a Arc<Neuron>> + Clone,
    ) -> Option<&'a Arc<Neuron>> {
        let count = fitting.clone().count();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        fitting.nth(turn.checked_rem(count)?)
    }
}

impl Index {
    fn add(&mut self, neuron: &Arc<Neuron>) {
        let id = Arc::clone(&neuron.id);
        self.by_id.insert(id, Arc::clone(neuron));
        let kind = Arc::clone(&neuron.kind);
        self.by_kind.entry(kind).or_default().add(neuron);
        for capability in &neuron.capabilities {
            let capability = Arc::clone(capability);
            self.by_capability
                .entry(capability)
                .or_default()
                .add(neuron);
        }
        if neuron.catch_all {
            self.catch_all.add(neuron);
        }
    }

    fn remove(&mut self, id: &str) -> Option<Arc<Neuron>> {
        let neuron = self.by_id.remove(id)?;
        for groups in [&mut self.by_kind, &mut self.by_capability] {
            groups.retain(|_, group| {
                group.remove(id);
                !group.members.is_empty()
            });
        }
        self.catch_all.remove(id);
        Some(neuron)
    }

    fn with_capabilities(&self, required: &[Arc<str>]) -> Option<&Arc<Neuron>> {
        // The rarest capability's group is the shortest to look through.
        let groups = required.iter().map(|key| self.by_capability.get(key));
        let smallest = groups
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .min_by_key(|group| group.members.len())?;
        let fitting = smallest.members.iter().filter(|one| one.can(required));
        smallest.next_of(fitting)
    }
}

impl Registry {
    /// Adds a neuron; one of the same id is replaced for new tasks, running
    /// ones finish as they began.
    pub(super) fn register(&self, neuron: Neuron) -> Arc<Neuron> {
        let neuron = Arc::new(neuron);
        self.change(std::slice::from_ref(&neuron), &[]);
        neuron
    }

    /// Takes a neuron away; running tasks finish.
    pub(super) fn deregister(&self, id: &str) -> bool {
        self.change(&[], &[id])
    }

    /// Takes neurons away and adds others, in one step: whoever looks for one
    /// meanwhile finds what was or what will be. Whether all that were to go
    /// were there.
    pub(super) fn change(&self, come: &[Arc<Neuron>], go: &[&str]) -> bool {
        let mut index = self.0.write();
        let gone = go.iter().map(|id| index.remove(id));
        let gone: Vec<_> = gone.collect();
        let replaced = come.iter().map(|neuron| {
            let replaced = index.remove(&neuron.id);
            index.add(neuron);
            replaced
        });
        let replaced: Vec<_> = replaced.collect();
        drop(index);
        // Without the lock: their engrams may be anybody's code.
        drop(replaced);
        gone.iter().all(Option::is_some)
    }

    /// Takes all neurons away; running tasks finish.
    pub(super) fn clear(&self) {
        let neurons = std::mem::take(&mut *self.0.write());
        // Without the lock: their engrams may be anybody's code.
        drop(neurons);
    }

    /// Sorted ids.
    pub(super) fn ids(&self) -> Vec<Arc<str>> {
        let mut ids: Vec<_> = self.0.read().by_id.keys().cloned().collect();
        ids.sort();
        ids
    }

    /// All, sorted by id.
    pub(super) fn all(&self) -> Vec<Arc<Neuron>> {
        let mut neurons: Vec<_> = self.0.read().by_id.values().cloned().collect();
        neurons.sort_by(|one, other| one.id.cmp(&other.id));
        neurons
    }

    /// The neuron for a task. Several that fit take turns.
    pub(super) fn route(&self, target: &Target) -> Option<Arc<Neuron>> {
        let index = self.0.read();
        match target {
            Target::Neuron(id) => index.by_id.get(id),
            Target::Kind(kind) => index.by_kind.get(kind)?.next(),
            Target::Capabilities(required) => index.with_capabilities(required),
            Target::Any => index.catch_all.next(),
        }
        .cloned()
    }
}
