//! Tenants: whose code, memory and journals these are, and how much of the
//! host they may take.
//!
//! Knows quotas and fair turns; knows no trace, route or flow.

mod admission;
mod input;
mod quota;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};

pub(crate) use self::input::HeldInput;
use self::quota::{FuelBucket, Held as HeldBytes};
pub use self::{
    admission::{Admission, Overloaded, Permit, Waiting},
    quota::Quotas,
};
use crate::{
    clock::Clock,
    engram::{Engram, Held, Ledger},
    neuron::environment::Governor,
};

/// Engrams by their ids.
type Engrams = BTreeMap<Arc<str>, Arc<dyn Engram>>;

/// One tenant: a name space on the bus, engrams of its own, and quotas.
pub struct Tenant {
    name: Arc<str>,
    quotas: Quotas,
    memory: HeldBytes,
    store: HeldBytes,
    journal: HeldBytes,
    inputs: HeldBytes,
    fuel: Option<Mutex<FuelBucket>>,
    clock: Clock,
    /// None once the tenant was removed. They hold their ledger, the tenant:
    /// until then the two keep each other.
    engrams: RwLock<Option<Engrams>>,
    queue: admission::Queue,
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenant")
            .field("name", &self.name)
            .field("quotas", &self.quotas)
            .finish_non_exhaustive()
    }
}

/// A tenant's name that cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no tenant name: it becomes a part of bus subjects, so use 1 to 64 letters (a-z, A-Z), \
     digits, `-` or `_`"
)]
pub struct InvalidName(pub String);

impl Tenant {
    /// A tenant without engrams.
    ///
    /// # Errors
    /// When the name cannot be a token of a subject.
    pub fn new(name: &str, quotas: Quotas, clock: Clock) -> Result<Arc<Self>, InvalidName> {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(legal) {
            return Err(InvalidName(name.to_owned()));
        }
        Ok(Arc::new(Self {
            name: name.into(),
            memory: HeldBytes::new(quotas.memory_bytes),
            store: HeldBytes::new(quotas.store_bytes),
            journal: HeldBytes::new(quotas.journal_bytes),
            inputs: HeldBytes::new(quotas.input_bytes),
            fuel: quotas
                .fuel_per_second
                .map(|rate| Mutex::new(FuelBucket::new(rate, clock.monotonic()))),
            queue: admission::Queue::new(&quotas),
            quotas,
            clock,
            engrams: RwLock::new(Some(BTreeMap::new())),
        }))
    }

    /// The name; also the namespace of its subjects on the bus.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it may take.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Adds an engram under its id; an engram of that id is replaced. A tenant
    /// that was removed takes none.
    pub fn add_engram(&self, engram: Arc<dyn Engram>) {
        if let Some(engrams) = &mut *self.engrams.write() {
            engrams.insert(Arc::clone(engram.id()), engram);
        }
    }

    /// The engram of that id.
    pub fn engram(&self, id: &str) -> Option<Arc<dyn Engram>> {
        self.engrams.read().as_ref()?.get(id).cloned()
    }

    /// Ids of all its engrams, sorted.
    pub fn engram_ids(&self) -> Vec<Arc<str>> {
        let engrams = self.engrams.read();
        engrams
            .iter()
            .flatten()
            .map(|(id, _)| Arc::clone(id))
            .collect()
    }

    /// Lets go of all engrams, for good.
    pub(crate) fn forget_engrams(&self) {
        let engrams = self.engrams.write().take();
        // Without the lock: they may be anybody's code.
        drop(engrams);
    }

    /// Bytes of linear memory that its live instances hold.
    pub fn memory_held(&self) -> u64 {
        self.memory.held()
    }

    /// Bytes that its engrams hold.
    pub fn store_held(&self) -> u64 {
        self.store.held()
    }

    /// Bytes that its open journals hold.
    pub fn journal_held(&self) -> u64 {
        self.journal.held()
    }

    /// Bytes of the inputs of its tasks that wait or run.
    pub fn inputs_held(&self) -> u64 {
        self.inputs.held()
    }

    fn queue(&self) -> &admission::Queue {
        &self.queue
    }
}

impl Governor for Tenant {
    fn charge_fuel(&self, units: u64) {
        if let Some(fuel) = &self.fuel {
            fuel.lock().charge(units);
        }
    }

    fn throttle(&self) -> Option<Duration> {
        let fuel = self.fuel.as_ref()?;
        fuel.lock().pause(self.clock.monotonic())
    }

    fn reserve_memory(&self, bytes: usize) -> bool {
        self.memory.reserve(bytes as u64)
    }

    fn release_memory(&self, bytes: usize) {
        self.memory.release(bytes as u64);
    }
}

impl Ledger for Tenant {
    fn reserve(&self, what: Held, bytes: u64) -> Result<(), String> {
        let (account, name, mend) = match what {
            Held::Store => (&self.store, "store", "delete entries or raise the quota"),
            Held::Journal => (
                &self.journal,
                "journal",
                "finalize, commit or stop open traces, or raise the quota",
            ),
        };
        if account.reserve(bytes) {
            return Ok(());
        }
        Err(format!(
            "tenant `{}` holds {} of its {} {name} bytes and {bytes} more do not fit; {mend}",
            self.name,
            account.held(),
            account.limit(),
        ))
    }

    fn release(&self, what: Held, bytes: u64) {
        match what {
            Held::Store => self.store.release(bytes),
            Held::Journal => self.journal.release(bytes),
        }
    }
}
