//! From a case and the neuron's manifest to what is around the task.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use super::{
    case::{Case, EngramKind, EngramScene, GrantChanges, SceneEntry},
    drive::drive,
    faults::Faults,
    file::CaseFile,
    orchestration::Answers,
    stage::{Bound, Notes, Scene},
};
use crate::{
    clock::{Clock, Ids, Random, VirtualClock},
    engram::{
        Draft, Engram, Fence, Imprint, MemoryEngram, Op, Unmetered, VectorEngram, WriteScope,
    },
    neuron::{Folder, Grants, Interface, Limits, Wasi},
    package::{Binding, BindingAccess, Emission, FileAccess, Manifest, Problem, Problems},
};

/// Ids and the neuron's own randomness do not depend on each other.
const SEED_OF_IDS: u64 = 0x5eed;

/// Most numbers of an embedding.
const MAX_DIMENSION: u32 = 65_536;

/// What the neuron may import: what it asks for, as the case changes it.
pub(super) fn grants(manifest: Option<&Manifest>, file: &CaseFile) -> Grants {
    let case = &file.case;
    let GrantChanges {
        engram,
        synapse,
        emits: _,
        orchestration,
        clock,
        log,
        random,
        wasi,
    } = case.grants;
    let changes = [
        (Interface::Engram, engram),
        (Interface::Synapse, synapse),
        (Interface::Orchestration, orchestration),
        (Interface::Clock, clock),
        (Interface::Log, log),
        (Interface::Random, random),
    ];
    let asked = manifest.map_or_else(Grants::default, |manifest| Grants::asked(&manifest.grants));
    let grants = changes
        .into_iter()
        .fold(asked, |grants, (interface, change)| match change {
            Some(true) => grants.with(interface),
            Some(false) => grants.without(interface),
            None => grants,
        });
    let asks = manifest.is_some_and(|manifest| manifest.grants.needs_wasi());
    // To name what it reaches through WASI is to grant WASI.
    let names = !case.environment.is_empty() || !case.files.is_empty();
    if wasi.unwrap_or(asks || names) {
        grants.with_wasi(reached(file))
    } else {
        grants
    }
}

/// What it reaches through WASI: folders to read only, and no network, so that
/// a run changes nothing and depends on nothing outside the case.
fn reached(file: &CaseFile) -> Wasi {
    let folders = file.folders.iter().map(|(name, path)| Folder {
        host: path.clone(),
        guest: format!("/{name}"),
        access: FileAccess::Read,
    });
    Wasi {
        folders: folders.collect(),
        environment: file.case.environment.clone(),
        http: Vec::new(),
    }
}

/// The limits of the task: those that the neuron wishes, as the case changes
/// them.
pub(super) fn limits(manifest: Option<&Manifest>, case: &Case) -> Limits {
    let wished = |manifest: &Manifest| Limits::wished(&manifest.limits);
    let mut limits = manifest.map_or_else(Limits::default, wished);
    let changes = &case.limits;
    if let Some(fuel) = changes.fuel {
        limits.fuel = fuel;
    }
    if let Some(memory) = &changes.memory {
        limits.memory_bytes = memory.bytes;
    }
    if let Some(timeout) = &changes.timeout {
        limits.wall = timeout.duration;
    }
    if let Some(calls) = changes.host_calls {
        limits.host_calls = calls;
    }
    for fuel in case.faults.iter().filter_map(|fault| fault.fuel) {
        limits.fuel = limits.fuel.min(fuel);
    }
    limits
}

/// What is around the task, and the hand of its clock.
///
/// # Errors
/// When an engram cannot be as the case has it.
pub(super) fn build(
    file: &CaseFile,
    neuron: &Arc<str>,
    manifest: Option<&Manifest>,
) -> Result<(Arc<Scene>, VirtualClock), Problems> {
    let case = &file.case;
    let (clock, hand) = Clock::virtual_at(file.start);
    let ids = Ids::new(clock.clone(), Random::seeded(case.random ^ SEED_OF_IDS));
    let (trace, task) = (ids.trace(), ids.signal());
    let mut builder = Builder {
        file,
        clock: clock.clone(),
        ids: ids.clone(),
        hand: &hand,
        wrong: Vec::new(),
    };
    let bindings = builder.bindings(manifest);
    Problems::unless_any(builder.wrong, ())?;
    let asked = manifest.map_or(&Emission::ALL[..], |manifest| &manifest.grants.synapse);
    let emits = case.grants.emits.as_deref().unwrap_or(asked);
    let scene = Scene {
        neuron: Arc::clone(neuron),
        task,
        scope: WriteScope {
            trace,
            fence: Fence::default(),
        },
        wall: limits(manifest, case).wall,
        clock,
        random: Random::seeded(case.random),
        ids,
        bindings,
        emits: emits.iter().map(|emission| (*emission).into()).collect(),
        faults: Faults::new(&case.faults),
        answers: Answers::new(case.orchestration.clone()),
        notes: Mutex::new(Notes::default()),
    };
    Ok((Arc::new(scene), hand))
}

struct Builder<'a> {
    file: &'a CaseFile,
    clock: Clock,
    ids: Ids,
    hand: &'a VirtualClock,
    wrong: Vec<Problem>,
}

impl Builder<'_> {
    fn bindings(&mut self, manifest: Option<&Manifest>) -> BTreeMap<String, Bound> {
        let asked = manifest.map(|manifest| manifest.engrams.clone());
        let asked = asked.unwrap_or_default();
        let scenes = &self.file.case.engrams;
        let mut names: Vec<_> = asked.keys().chain(scenes.keys()).collect();
        names.sort();
        names.dedup();
        if manifest.is_some() {
            let known: Vec<_> = asked.keys().map(|name| format!("`{name}`")).collect();
            let known = match known.as_slice() {
                [] => "it asks for none".to_owned(),
                _ => format!("it asks for {}", known.join(", ")),
            };
            for name in scenes.keys().filter(|name| !asked.contains_key(*name)) {
                let message = format!("the neuron does not ask for this engram; {known}");
                let problem = self.file.key_problem(&["engrams", name], message);
                self.wrong.push(problem);
            }
        }
        let mut bindings = BTreeMap::new();
        for name in names {
            let scene = scenes.get(name).cloned().unwrap_or_default();
            if let Some(bound) = self.binding(name, asked.get(name), scene) {
                bindings.insert(name.clone(), bound);
            }
        }
        bindings
    }

    fn binding(
        &mut self,
        name: &str,
        asked: Option<&Binding>,
        scene: EngramScene,
    ) -> Option<Bound> {
        let dimension = match scene.kind {
            Some(EngramKind::Memory) => None,
            _ => scene.dimension.or(asked.and_then(|asked| asked.dimension)),
        };
        let told = match (scene.kind, scene.dimension, dimension) {
            (Some(EngramKind::Memory), Some(_), _) => {
                Some("a memory engram has no `dimension`".to_owned())
            }
            (Some(EngramKind::Vector), _, None) => {
                Some("a vector engram needs a `dimension`".to_owned())
            }
            (_, _, Some(numbers)) if !(1..=MAX_DIMENSION).contains(&numbers) => {
                Some(format!("a dimension is a number from 1 to {MAX_DIMENSION}"))
            }
            _ => None,
        };
        if let Some(message) = told {
            self.wrong
                .push(self.file.problem(&["engrams", name], message));
            return None;
        }
        let engram = self.engram(name, dimension);
        for (index, entry) in scene.entries.into_iter().enumerate() {
            self.fill(&*engram, name, index, entry);
        }
        let access = scene.access.or(asked.map(|asked| asked.access));
        Some(Bound {
            engram,
            access: access.unwrap_or(BindingAccess::ReadWrite),
            answers: (!scene.answers.is_empty()).then(|| Mutex::new(scene.answers.into())),
        })
    }

    fn engram(&self, name: &str, dimension: Option<u32>) -> Arc<dyn Engram> {
        let (clock, ids) = (self.clock.clone(), self.ids.clone());
        let ledger = Arc::new(Unmetered);
        match dimension.and_then(|numbers| usize::try_from(numbers).ok()) {
            None => Arc::new(MemoryEngram::new(name, clock, ids, ledger)),
            Some(numbers) => Arc::new(VectorEngram::new(name, numbers, clock, ids, ledger)),
        }
    }

    /// Writes an entry as the operator does: for good.
    fn fill(&mut self, engram: &dyn Engram, name: &str, index: usize, entry: SceneEntry) {
        let index = index.to_string();
        let keys = ["engrams", name, "entries", index.as_str()];
        let id = match entry.id.map(|id| id.parse()).transpose() {
            Ok(id) => id,
            Err(error) => {
                let problem = self.file.problem(&keys, format!("id: {error}"));
                self.wrong.push(problem);
                return;
            }
        };
        let imprint = Imprint {
            op: Op::Add,
            entry: Draft {
                id,
                content: entry.content,
                tags: entry.tags,
                meta: entry.meta,
                embedding: entry.embedding,
            },
            merge_key: entry.merge_key,
            idempotency_key: None,
        };
        if let Err(error) = drive(self.hand, engram.imprint(imprint, None)) {
            self.wrong.push(self.file.problem(&keys, error));
        }
    }
}
