//! The engine: its settings, its instance pool and its pulse.
//!
//! Settings and the figures behind them: reference wasmtime, sections 2, 4
//! and 7.

use std::{
    hash::{Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::limits::Limits;
use crate::package::Digest;

/// Whether an engine counts instructions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metering {
    /// Deterministic fuel beside the epoch: the default.
    #[default]
    Fuel,
    /// Epoch only, for neurons that the operator trusts: up to a quarter
    /// faster in call-heavy code, no CPU budget.
    EpochOnly,
}

impl Metering {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Fuel, Self::EpochOnly];

    /// As a compiler process is told it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::EpochOnly => "epoch-only",
        }
    }
}

/// Wasm stack of a guest; the fiber below it has as much again for the host.
const WASM_STACK_BYTES: usize = 512 << 10;
const FIBER_STACK_BYTES: usize = 1 << 20;

/// The engine's own bound on one memory. A task's limit lies below it.
pub(super) const MAX_MEMORY_BYTES: usize = 256 << 20;

/// The engine's own bound on one table, for the same reason.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Maps that an instance takes from the kernel's budget, fiber included, and
/// maps that the rest of the process needs.
const MAPS_PER_INSTANCE: u32 = 6;
const MAPS_RESERVED: u32 = 5_000;

/// Most instances that this process can hold: the kernel refuses further maps,
/// to any allocation of the process, above `vm.max_map_count`.
pub(super) fn max_instances() -> u32 {
    let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .unwrap_or(65_530);
    (maps.saturating_sub(MAPS_RESERVED) / MAPS_PER_INSTANCE).clamp(1, 10_000)
}

/// Builds an engine with room for `instances` live guests.
pub(super) fn build(metering: Metering, instances: u32) -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    // What an ordinary neuron takes, and in a small pool room for a few of the
    // largest, such as an interpreter.
    let room = |each: u32, most: u32| instances.saturating_mul(each).max(4 * most);
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_memories(room(2, Limits::MEMORIES))
        .total_core_instances(room(8, Limits::CORE_INSTANCES))
        .total_tables(room(4, Limits::TABLES))
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_core_instances_per_component(Limits::CORE_INSTANCES)
        .max_memories_per_component(Limits::MEMORIES)
        .max_tables_per_component(Limits::TABLES)
        .max_tables_per_module(4)
        .max_core_instance_size(4 << 20)
        .max_component_instance_size(16 << 20)
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto)
        .decommit_batch_size(16)
        .max_unused_warm_slots(100);
    let mut config = config(metering);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// Builds an engine that only compiles: what it makes, an engine of [`build`]
/// with the same metering loads.
pub(super) fn build_compiler(metering: Metering) -> wasmtime::Result<Engine> {
    Engine::new(&config(metering))
}

/// All settings but the pool, which is none of the compiler's matter.
fn config(metering: Metering) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .gc_support(false)
        .wasm_memory64(false)
        .relaxed_simd_deterministic(true)
        .epoch_interruption(true)
        .consume_fuel(metering == Metering::Fuel)
        .memory_init_cow(true)
        .memory_guaranteed_dense_image_size(16 << 20)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        // Nobody is shown where in a guest it trapped, so nothing is kept to
        // find that out: the code is a tenth smaller, and the process's own
        // unwinder is not told of each function.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        .native_unwind_info(false)
        // Not by an environment variable, which the compiler process has not.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    config
}

/// What of an engine's version and settings its code depends on.
pub(super) struct Settings(String);

impl Settings {
    pub(super) fn of(engine: &Engine) -> Self {
        let mut settings = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        Self(Digest::finished(settings.0).hex())
    }

    /// [`Self::LENGTH`] characters that are the same for the same settings.
    pub(super) fn name(&self) -> &str {
        &self.0
    }

    pub(super) const LENGTH: usize = 64;
}

/// Feeds `Hash` values to sha256: the standard hashers promise no stable
/// result from one build to the next.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}

/// Advances an engine's epoch once a millisecond while a guest is on a CPU.
/// An own OS thread: no runtime's load delays it.
pub(super) struct Pulse {
    shared: Arc<PulseShared>,
    thread: Option<JoinHandle<()>>,
}

struct PulseShared {
    engine: Engine,
    /// Guests being polled now.
    running: AtomicUsize,
    parked: AtomicBool,
    closed: AtomicBool,
}

/// The fixed grain at which a busy guest lets others in.
const TICK: Duration = Duration::from_millis(1);

/// Ticks without a running guest before the thread parks. It costs about 3 %
/// of a core while it ticks; waking it costs a system call.
const IDLE_TICKS: u32 = 50;

impl Pulse {
    pub(super) fn new(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(PulseShared {
            engine,
            running: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let thread = thread::Builder::new().name("soma-pulse".into()).spawn({
            let shared = Arc::clone(&shared);
            move || shared.run()
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Makes every guest on a CPU pass its epoch callback now.
    pub(super) fn interrupt(&self) {
        self.shared.tick();
    }

    /// Marks a guest as running for as long as the returned value lives.
    pub(super) fn beat(&self) -> Beat<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Beat(&self.shared.running)
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only ticks; it cannot have panicked.
            drop(thread.join());
        }
    }
}

impl PulseShared {
    fn tick(&self) {
        self.engine.increment_epoch();
    }

    fn run(&self) {
        let mut idle = 0;
        while !self.closed.load(Ordering::SeqCst) {
            thread::sleep(TICK);
            if self.running.load(Ordering::SeqCst) > 0 {
                idle = 0;
                self.tick();
            } else {
                idle += 1;
            }
            if idle > IDLE_TICKS {
                self.park();
                idle = 0;
            }
        }
    }

    /// `parked` is published before `running` is read, and `beat` does the
    /// reverse: one of the two sees the other.
    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.closed.load(Ordering::SeqCst) {
            thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

/// See [`Pulse::beat`].
pub(super) struct Beat<'a>(&'a AtomicUsize);

impl Drop for Beat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
