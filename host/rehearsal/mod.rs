//! Rehearsals: one neuron alone, on a scene that a case file describes, so that
//! its author can test it without a deployment.
//!
//! The execution is the real one: the sandbox runs the component, and engrams
//! are real. Around it the clock is virtual and moves when the neuron waits,
//! ids and randomness come from a seed, other neurons' answers from the case:
//! the same case on the same component gives the same to the last byte.
//!
//! Knows no tenant, bus or host, and nothing of the engine.

mod calls;
mod case;
mod compare;
mod drive;
mod faults;
mod file;
mod orchestration;
mod run;
mod scene;
mod stage;
mod text;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde_json::Value;

use self::stage::{Scene, Stage};
pub use self::{
    case::{
        Case, Clarification, Ending, EngramKind, EngramScene, Expectation, ExpectedCall,
        ExpectedClarification, ExpectedEntry, ExpectedFailure, ExpectedLine, ExpectedPermission,
        ExpectedReply, ExpectedSignal, Failing, Failure, Fault, GrantChanges, LimitChanges,
        Permission, RecallAnswer, SceneEntry, SceneHit, Signal, Stopped, TaskAnswer,
    },
    file::CaseFile,
    run::{Run, Verdict},
};
use crate::{
    clock::{Stopwatch, VirtualClock},
    neuron::{
        End, Ended, Grants, LoadError, Metering, Plugin, Sandbox, Surroundings, TaskControl,
        TaskInput, Usage, environment::Ungoverned,
    },
    package::{Manifest, Package, PackageError, Problems, Schema},
};

/// A component to be rehearsed.
pub struct Rehearsal {
    sandbox: Sandbox,
    wasm: Vec<u8>,
    neuron: Arc<str>,
    manifest: Option<Manifest>,
    /// What its input must be.
    input: Option<Schema>,
    /// Most real time of a run.
    patience: Duration,
    /// Under the grants of the cases so far. Held by the one run that there is
    /// at a time: a guest that waited for another's turn on a CPU would look
    /// like one that waits for time to pass.
    plugins: Mutex<Plugins>,
}

type Plugins = Vec<(Grants, Arc<Plugin>)>;

/// Why a case was not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// What the component says of itself cannot be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The component cannot be run at all.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What the case has cannot be.
    #[error(transparent)]
    Case(#[from] Problems),
}

impl Rehearsal {
    /// Most real time of a run, unless [`Rehearsal::patience`] says otherwise.
    pub const PATIENCE: Duration = Duration::from_secs(60);

    /// Takes a component. Its manifest, if it carries one, gives its id, what
    /// it is granted, what its input must be, its engrams and its limits; without
    /// one its id is `name`, and all of it is as a host has it for a neuron that
    /// it knows nothing of.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn new(sandbox: Sandbox, name: &str, wasm: Vec<u8>) -> Result<Self, PackageError> {
        let (manifest, input) = match Package::read(&wasm) {
            Ok(package) => (package.manifest, package.input),
            // The sandbox has better words for what is no component.
            Err(PackageError::NotComponent(_)) => (None, None),
            Err(error) => return Err(error),
        };
        let id = manifest.as_ref().map_or(name, |manifest| &manifest.id);
        Ok(Self {
            sandbox,
            neuron: id.into(),
            manifest,
            input,
            wasm,
            patience: Self::PATIENCE,
            plugins: Mutex::default(),
        })
    }

    /// Stops a run that takes more real time than this. All other limits of a
    /// case are of its own choice, and its time is virtual.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The component's id.
    pub fn neuron(&self) -> &str {
        &self.neuron
    }

    /// Runs one case. Blocks until the task has ended; one runs at a time.
    ///
    /// # Errors
    /// When there is nothing to run; a component that asks for more than the
    /// case grants is a run that was refused.
    pub fn run(&self, case: &CaseFile) -> Result<Run, RehearsalError> {
        let manifest = self.manifest.as_ref();
        let mut plugins = self.plugins.lock();
        let plugin = match self.plugin(&mut plugins, scene::grants(manifest, case)) {
            Ok(plugin) => plugin,
            Err(
                error @ (LoadError::NotGranted { .. }
                | LoadError::WasiNotGranted(_)
                | LoadError::HttpNotGranted(_)),
            ) => return Ok(Run::refused(&error)),
            Err(error) => return Err(error.into()),
        };
        let (scene, hand) = scene::build(case, &self.neuron, manifest)?;
        let (ended, is_cut) = match self.unfit(case) {
            Some(words) => {
                let ended = Ended {
                    result: Err(End::InvalidInput(words)),
                    usage: Usage::default(),
                };
                (ended, false)
            }
            None => self.perform(&plugin, case, &scene, &hand),
        };
        let contents = drive::drive(&hand, async {
            if scene.faults.rolls_back() {
                scene.roll_back().await;
            }
            run::contents(&scene).await
        });
        let run = Run::of(ended, contents, &scene);
        Ok(if is_cut { run.cut(self.patience) } else { run })
    }

    /// Why a host does not give the neuron this input.
    fn unfit(&self, case: &CaseFile) -> Option<String> {
        let input = Value::Object(case.case.input.clone());
        self.input.as_ref()?.check(&input).unfit()
    }

    /// How the task ended, and whether that was because it took too long.
    fn perform(
        &self,
        plugin: &Plugin,
        case: &CaseFile,
        scene: &Arc<Scene>,
        hand: &VirtualClock,
    ) -> (Ended, bool) {
        let control = TaskControl::new();
        let task = TaskInput {
            id: &scene.task,
            trace_id: &scene.scope.trace,
            neuron: &self.neuron,
            attempt: case.case.attempt,
            input: &case.case.input,
            context: &case.case.context,
        };
        let surroundings = Surroundings {
            environment: Arc::new(Stage(Arc::clone(scene))),
            governor: Arc::new(Ungoverned),
            limits: &scene::limits(self.manifest.as_ref(), &case.case),
            control: &control,
        };
        let run = self.sandbox.run(plugin, task, surroundings);
        let (watch, mut is_cut) = (Stopwatch::start(), false);
        let ended = drive::drive_watched(hand, run, || {
            let left = self.patience.saturating_sub(watch.elapsed());
            if !left.is_zero() {
                return left;
            }
            is_cut = true;
            control.stop();
            Duration::MAX
        });
        (ended, is_cut)
    }

    fn plugin(&self, plugins: &mut Plugins, grants: Grants) -> Result<Arc<Plugin>, LoadError> {
        if let Some((_, plugin)) = plugins.iter().find(|(known, _)| *known == grants) {
            return Ok(Arc::clone(plugin));
        }
        let plugin = self.sandbox.load(&self.wasm, &grants, Metering::Fuel)?;
        plugins.push((grants, Arc::clone(&plugin)));
        Ok(plugin)
    }
}
