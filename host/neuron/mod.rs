//! The sandbox: components, and one fresh instance a task.
//!
//! The only room that knows the engine. It knows no tenant, trace table or
//! route: what a guest reaches through its imports lies behind the traits of
//! [`environment`].

mod baseline;
mod cache;
mod compiler;
pub mod contract;
mod control;
mod engine;
pub mod environment;
mod grants;
mod guest;
mod invocation;
mod lane;
mod limits;
mod outcome;
mod plugin;
mod wasi;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use parking_lot::Mutex;
use wasmtime::{Engine, component::Component};

pub(crate) use self::compiler::{INVALID, METERING, ServiceError, VERB, serve};
pub use self::{
    baseline::Baseline,
    compiler::{CompileError, Compiler, CompilerLimits},
    control::TaskControl,
    engine::Metering,
    grants::{Folder, Grants, Interface, UnknownInterface, Wasi},
    invocation::{Surroundings, TaskInput},
    limits::{Caps, Excess, Limits},
    outcome::{End, Ended, Reply, Usage},
    plugin::{LoadError, Plugin},
};
use self::{
    cache::CodeCache,
    engine::{Pulse, Settings},
    lane::SlowLane,
};
pub use crate::package::{
    Digest, FileAccess, HttpRule, HttpScheme, InvalidHttpRule, Randomness, Time,
};
use crate::package::{Extent, quantity::Bytes};

/// What a log line that a component is being compiled is filtered by.
pub(crate) const COMPILING: &str = "soma::compiling";

/// Settings of a sandbox.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// Live instances at a time. Bounded by the kernel's map count (about
    /// 10 000 a process); each reserves 8 GiB of address space, not memory.
    pub instances: u32,
    /// Workers of the runtime that runs guests; one of them is kept free of
    /// guests that burn CPU.
    pub workers: usize,
    /// Directory of compiled code; `None` compiles every time.
    pub code_cache: Option<PathBuf>,
    /// Most bytes of code in that directory; what was not used for longest is
    /// deleted.
    pub code_cache_bytes: u64,
    /// Where components are compiled.
    pub compiler: Compiler,
}

impl Default for SandboxConfig {
    /// 1 000 instances, a worker a core, no code cache (of at most 2 GiB), and
    /// compilation in this process.
    fn default() -> Self {
        Self {
            instances: 1_000,
            workers: std::thread::available_parallelism().map_or(2, usize::from),
            code_cache: None,
            code_cache_bytes: 2 << 30,
            compiler: Compiler::InProcess,
        }
    }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// More instances than the kernel's map count allows.
    #[error(
        "{wanted} live instances need more memory maps than this kernel gives a process; \
         at most {possible} are possible (raise vm.max_map_count for more)"
    )]
    TooManyInstances {
        /// As configured.
        wanted: u32,
        /// The bound on this machine.
        possible: u32,
    },
    /// The engine refused its settings.
    #[error("the WebAssembly engine cannot start: {0}")]
    Engine(String),
    /// The code cache cannot be used.
    #[error("the compiled-code cache cannot be used: {0}")]
    Cache(#[source] std::io::Error),
    /// The pulse thread cannot start.
    #[error("a thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// Engines, instance slots and the code cache.
pub struct Sandbox {
    metered: Machine,
    /// Made with the first trusted neuron: a pool reserves address space.
    trusted: OnceLock<Machine>,
    slow_lane: Arc<SlowLane>,
    instances: u32,
    live: AtomicU32,
    cache: Option<CodeCache>,
    compiler: Compiler,
    /// Held while something is compiled: one at a time, so that many loads take
    /// no more of the machine than one.
    compiling: Mutex<()>,
}

/// An engine and what advances its epoch.
struct Machine {
    engine: Engine,
    pulse: Pulse,
    settings: Settings,
}

impl Machine {
    fn new(metering: Metering, instances: u32) -> Result<Self, SandboxError> {
        let engine = engine::build(metering, instances)
            .map_err(|error| SandboxError::Engine(format!("{error:#}")))?;
        Ok(Self {
            pulse: Pulse::new(engine.clone()).map_err(SandboxError::Thread)?,
            settings: Settings::of(&engine),
            engine,
        })
    }
}

/// A component that was checked and compiled, and is not linked yet.
pub(crate) struct Compiled {
    component: Component,
    digest: Digest,
    size: u64,
    metering: Metering,
}

/// One of the sandbox's instance slots, given back when dropped.
struct Slot<'a>(&'a AtomicU32);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Sandbox {
    /// Starts an engine. Takes some 30 ms and reserves address space.
    ///
    /// # Errors
    /// When the machine cannot hold what the configuration asks for.
    pub fn new(config: &SandboxConfig) -> Result<Self, SandboxError> {
        let possible = engine::max_instances();
        if config.instances > possible {
            return Err(SandboxError::TooManyInstances {
                wanted: config.instances,
                possible,
            });
        }
        let cache = match &config.code_cache {
            Some(directory) => {
                let opened = CodeCache::open(directory, config.code_cache_bytes);
                Some(opened.map_err(SandboxError::Cache)?)
            }
            None => None,
        };
        Ok(Self {
            metered: Machine::new(Metering::Fuel, config.instances)?,
            trusted: OnceLock::new(),
            slow_lane: SlowLane::new(config.workers.saturating_sub(1).max(1)),
            instances: config.instances,
            live: AtomicU32::new(0),
            cache,
            compiler: config.compiler.clone(),
            compiling: Mutex::new(()),
        })
    }

    /// Loads, checks, compiles (or takes from the cache) and links a component
    /// file. Blocks; a first compilation takes from 30 ms to many seconds, and
    /// waits for others to end. Async code loads on a thread that may block.
    ///
    /// # Errors
    /// Says in words why this host will not run the component.
    pub fn load_file(
        &self,
        path: &Path,
        grants: &Grants,
        metering: Metering,
    ) -> Result<Arc<Plugin>, LoadError> {
        self.load(&Plugin::read(path)?, grants, metering)
    }

    /// As [`Sandbox::load_file`], from bytes in memory.
    ///
    /// # Errors
    /// As there.
    pub fn load(
        &self,
        wasm: &[u8],
        grants: &Grants,
        metering: Metering,
    ) -> Result<Arc<Plugin>, LoadError> {
        Plugin::check_form(wasm)?;
        let compiled = self.compile(wasm, Digest::of(wasm), metering)?;
        self.link(&compiled, grants)
    }

    /// Checks and compiles a component, or takes its code from the cache.
    /// `digest` is that of these bytes.
    ///
    /// # Errors
    /// What is wrong with its structure or its code.
    pub(crate) fn compile(
        &self,
        wasm: &[u8],
        digest: Digest,
        metering: Metering,
    ) -> Result<Compiled, LoadError> {
        let machine = self.machine_for(metering)?;
        let component = match self.kept(machine, &digest) {
            Some(component) => component,
            None => self.compile_anew(machine, metering, &digest, wasm)?,
        };
        Ok(Compiled {
            component,
            digest,
            size: wasm.len() as u64,
            metering,
        })
    }

    /// Links a compiled component to what it is granted and nothing else.
    ///
    /// # Errors
    /// What its imports and exports lack, or what of the grants cannot be had.
    pub(crate) fn link(
        &self,
        compiled: &Compiled,
        grants: &Grants,
    ) -> Result<Arc<Plugin>, LoadError> {
        let machine = self.machine_for(compiled.metering)?;
        Plugin::link(&machine.engine, compiled, grants)
    }

    /// The component's code from the cache: it was checked before it was put
    /// there.
    fn kept(&self, machine: &Machine, digest: &Digest) -> Option<Component> {
        let cache = self.cache.as_ref()?;
        cache.read(&machine.engine, digest, &machine.settings)
    }

    fn compile_anew(
        &self,
        machine: &Machine,
        metering: Metering,
        digest: &Digest,
        wasm: &[u8],
    ) -> Result<Component, LoadError> {
        Extent::of(wasm, &Extent::MOST)?;
        let _turn = self.compiling.lock();
        // Whoever had the turn before may have compiled the same.
        if let Some(component) = self.kept(machine, digest) {
            return Ok(component);
        }
        tracing::info!(target: COMPILING, "compiling a component of {}, once", Bytes(wasm.len() as u64));
        let compiler = &self.compiler;
        let code = compiler.compile(&machine.engine, &machine.settings, metering, wasm)?;
        // SAFETY: it comes from this process's compiler, or over a pipe from the
        // program that the operator trusts to be one.
        let component = unsafe { Component::deserialize(&machine.engine, &code) }
            .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
        let Some(cache) = &self.cache else {
            return Ok(component);
        };
        if let Err(error) = cache.write(digest, &machine.settings, &code) {
            tracing::warn!(%error, "compiled code was not cached");
        }
        // Code in a file is memory that hosts share, and that the system can
        // take back.
        Ok(self.kept(machine, digest).unwrap_or(component))
    }

    /// Makes every guest that is on a CPU notice its STOP now rather than at
    /// the next tick.
    pub fn interrupt(&self) {
        self.metered.pulse.interrupt();
        if let Some(trusted) = self.trusted.get() {
            trusted.pulse.interrupt();
        }
    }

    /// Instances that are live now.
    pub fn live(&self) -> u32 {
        self.live.load(Ordering::Acquire)
    }

    /// Instances that can be live at a time.
    pub fn capacity(&self) -> u32 {
        self.instances
    }

    fn take_slot(&self) -> Result<Slot<'_>, End> {
        let slot = Slot(&self.live);
        if self.live.fetch_add(1, Ordering::AcqRel) >= self.instances {
            return Err(End::NoSlot(self.instances));
        }
        Ok(slot)
    }

    fn machine_for(&self, metering: Metering) -> Result<&Machine, SandboxError> {
        match metering {
            Metering::Fuel => Ok(&self.metered),
            Metering::EpochOnly => {
                if let Some(machine) = self.trusted.get() {
                    return Ok(machine);
                }
                let machine = Machine::new(metering, self.instances)?;
                Ok(self.trusted.get_or_init(|| machine))
            }
        }
    }

    /// The machine that the plugin was compiled for.
    fn machine_of(&self, plugin: &Plugin) -> &Machine {
        match (plugin.metering(), self.trusted.get()) {
            (Metering::EpochOnly, Some(trusted)) => trusted,
            _ => &self.metered,
        }
    }

    /// Only this sandbox's pulse reaches guests on its engines: a plugin of
    /// another could not be stopped here.
    fn own(&self, plugin: &Plugin) -> Result<(), End> {
        if Engine::same(plugin.pre.engine(), &self.machine_of(plugin).engine) {
            return Ok(());
        }
        let words = "it was loaded by another host; load it with this one";
        Err(End::Instantiate(words.to_owned()))
    }

    fn slow_lane(&self) -> &Arc<SlowLane> {
        &self.slow_lane
    }
}
