//! The host: wires the rooms together.

use std::{
    collections::BTreeMap,
    future::Future,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::runtime::{self, Runtime};

use crate::{
    clock::{Clock, Ids, Random},
    neuron::{
        Compiled, Compiler, Digest, Grants, LoadError, Metering, Plugin, Sandbox, SandboxConfig,
        SandboxError,
    },
    orchestration::{Core, StopOptions, Stopped, TenantHandle},
    package::Package,
    synapse::{MemorySynapse, Synapse},
    tenant::{Admission, InvalidName, Quotas, Tenant},
};

/// Why a host did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The sandbox cannot be had.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A runtime cannot be started.
    #[error("a runtime cannot be started: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Why a tenant was not added or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// See [`InvalidName`].
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// There is one of that name.
    #[error("there is already a tenant `{0}`")]
    Exists(String),
    /// There is none of that name.
    #[error("there is no tenant `{0}`")]
    Unknown(String),
}

/// Settings of a host.
#[derive(Default)]
pub struct HostBuilder {
    sandbox: SandboxConfig,
    clock: Option<Clock>,
    random: Option<Random>,
    synapse: Option<Arc<dyn Synapse>>,
}

impl std::fmt::Debug for HostBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostBuilder")
            .field("sandbox", &self.sandbox)
            .finish_non_exhaustive()
    }
}

impl HostBuilder {
    /// Live instances at a time. Default 1 000.
    #[must_use]
    pub fn instances(mut self, instances: u32) -> Self {
        self.sandbox.instances = instances;
        self
    }

    /// Threads that run guests. Default: one a core.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.sandbox.workers = workers.max(1);
        self
    }

    /// Keeps compiled code in this directory, which becomes private to the
    /// user. Default: compile at every load.
    #[must_use]
    pub fn code_cache(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sandbox.code_cache = Some(directory.into());
        self
    }

    /// Keeps at most so many bytes of compiled code there; what was not used for
    /// longest is deleted. Default 2 GiB.
    #[must_use]
    pub fn code_cache_bytes(mut self, bytes: u64) -> Self {
        self.sandbox.code_cache_bytes = bytes;
        self
    }

    /// Where components are compiled. Default: in this process, where nothing
    /// bounds the time and memory that a hostile component costs the compiler
    /// once its structure has passed. Name a `soma` program for components of
    /// strangers.
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.sandbox.compiler = compiler;
        self
    }

    /// Uses this clock, a virtual one under test. Default: the system's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Uses this randomness, seeded under test. Default: the system's.
    #[must_use]
    pub fn random(mut self, random: Random) -> Self {
        self.random = Some(random);
        self
    }

    /// Uses this bus. Default: one within the process.
    #[must_use]
    pub fn synapse(mut self, synapse: Arc<dyn Synapse>) -> Self {
        self.synapse = Some(synapse);
        self
    }

    /// Starts the host: its engine and its two runtimes.
    ///
    /// # Errors
    /// When the machine cannot hold what was asked for.
    pub fn build(self) -> Result<Host, HostError> {
        let guests = runtime::Builder::new_multi_thread()
            .worker_threads(self.sandbox.workers)
            .thread_name("soma-guests")
            .enable_all()
            .build()?;
        let control = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("soma-control")
            .enable_all()
            .build()?;
        let clock = self
            .clock
            .unwrap_or_else(|| Clock::system(control.handle().clone()));
        let random = self.random.unwrap_or_else(Random::system);
        let sandbox = Arc::new(Sandbox::new(&self.sandbox)?);
        let core = Core {
            admission: Admission::new(self.sandbox.instances as usize),
            sandbox,
            synapse: self
                .synapse
                .unwrap_or_else(|| Arc::new(MemorySynapse::new())),
            ids: Ids::new(clock.clone(), random.clone()),
            clock,
            random,
            guests: guests.handle().clone(),
            control: control.handle().clone(),
            closed: AtomicBool::new(false),
        };
        Ok(Host {
            core: Arc::new(core),
            tenants: RwLock::default(),
            runtimes: Some(Runtimes { guests, control }),
        })
    }
}

/// A running host. Dropping it ends every task.
pub struct Host {
    core: Arc<Core>,
    tenants: RwLock<BTreeMap<Arc<str>, TenantHandle>>,
    runtimes: Option<Runtimes>,
}

/// How long a dropped host waits for its guests; they take milliseconds, unless
/// the host is dropped by one of their own runtime's tasks.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Guests and control apart: no busy guest can delay a STOP.
struct Runtimes {
    guests: Runtime,
    control: Runtime,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// A builder with the default settings.
    pub fn builder() -> HostBuilder {
        HostBuilder::default()
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// When the name is taken or cannot be one.
    pub fn add_tenant(&self, name: &str, quotas: Quotas) -> Result<TenantHandle, TenantError> {
        let tenant = self.prepare_tenant(name, quotas)?;
        self.list_tenants(std::slice::from_ref(&tenant))?;
        Ok(tenant)
    }

    /// A tenant that nobody finds yet. One that is not listed afterwards is to
    /// be forgotten.
    pub(crate) fn prepare_tenant(
        &self,
        name: &str,
        quotas: Quotas,
    ) -> Result<TenantHandle, TenantError> {
        let tenant = Tenant::new(name, quotas, self.core.clock.clone())?;
        Ok(self.core.adopt(tenant))
    }

    /// Lets all of them be found or, where a name is taken, none.
    pub(crate) fn list_tenants(&self, fresh: &[TenantHandle]) -> Result<(), TenantError> {
        let mut tenants = self.tenants.write();
        for tenant in fresh {
            let name = tenant.tenant().name();
            if tenants.contains_key(name) {
                return Err(TenantError::Exists(name.to_string()));
            }
        }
        let fresh = fresh.iter();
        tenants.extend(fresh.map(|tenant| (Arc::clone(tenant.tenant().name()), tenant.clone())));
        Ok(())
    }

    /// Removes a tenant: refuses its tasks from here on, stops all its traces,
    /// waits until they have ended, and lets go of its neurons and engrams.
    /// Returns what each STOP did. The name is free again afterwards; a handle
    /// of the old tenant never reaches the new one.
    ///
    /// STOP finishes even if this future is dropped; the tenant then keeps its
    /// name until it is removed again.
    ///
    /// # Errors
    /// [`TenantError::Unknown`].
    pub async fn remove_tenant(
        &self,
        name: &str,
        options: StopOptions,
    ) -> Result<Vec<Stopped>, TenantError> {
        let tenant = self
            .tenant(name)
            .ok_or_else(|| TenantError::Unknown(name.to_owned()))?;
        let stopped = tenant.close(options).await;
        tenant.forget();
        let mut tenants = self.tenants.write();
        // Another removal may have been faster, and the name another's by now.
        let is_same = |known: &TenantHandle| Arc::ptr_eq(known.tenant(), tenant.tenant());
        if tenants.get(name).is_some_and(is_same) {
            tenants.remove(name);
        }
        Ok(stopped)
    }

    /// The tenant of that name.
    pub fn tenant(&self, name: &str) -> Option<TenantHandle> {
        self.tenants.read().get(name).cloned()
    }

    /// Loads a component file, once for all neurons made of it. Blocks while
    /// it compiles, and while others do; async code loads on a thread that may
    /// block, such as `spawn_blocking`'s.
    ///
    /// # Errors
    /// Says in words why this host will not run the component.
    pub fn load_file(
        &self,
        path: impl AsRef<Path>,
        grants: &Grants,
    ) -> Result<Arc<Plugin>, LoadError> {
        let path = path.as_ref();
        self.core.sandbox.load_file(path, grants, Metering::Fuel)
    }

    /// Loads a component from bytes, choosing how its CPU use is bounded.
    ///
    /// # Errors
    /// As [`Host::load_file`].
    pub fn load(
        &self,
        wasm: &[u8],
        grants: &Grants,
        metering: Metering,
    ) -> Result<Arc<Plugin>, LoadError> {
        self.core.sandbox.load(wasm, grants, metering)
    }

    /// As [`Host::load`], of bytes that `package` was read from.
    pub(crate) fn load_package(
        &self,
        wasm: &[u8],
        package: &Package,
        grants: &Grants,
    ) -> Result<Arc<Plugin>, LoadError> {
        let compiled = self.compile(wasm, package.digest)?;
        self.link(&compiled, grants)
    }

    /// The first half of [`Host::load`]: what no grant changes. `digest` is that
    /// of these bytes.
    pub(crate) fn compile(&self, wasm: &[u8], digest: Digest) -> Result<Compiled, LoadError> {
        self.core.sandbox.compile(wasm, digest, Metering::Fuel)
    }

    /// The second half.
    pub(crate) fn link(
        &self,
        compiled: &Compiled,
        grants: &Grants,
    ) -> Result<Arc<Plugin>, LoadError> {
        self.core.sandbox.link(compiled, grants)
    }

    /// The bus.
    pub fn synapse(&self) -> &Arc<dyn Synapse> {
        &self.core.synapse
    }

    /// The sandbox, for its figures.
    pub fn sandbox(&self) -> &Sandbox {
        &self.core.sandbox
    }

    /// The host's clock.
    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Runs orchestrating code on the guests' runtime, where starting a task
    /// and getting its reply costs no change of thread. Blocks until it is
    /// done.
    ///
    /// # Panics
    /// When called from within a runtime, or when `work` panics.
    pub fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let task = self.core.guests.spawn(work);
        match self.core.control.block_on(task) {
            Ok(value) => value,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl Drop for Host {
    /// Guests end at their next tick, and before the control runtime, whose
    /// timers they wait on. A thread of its own waits for them: a host may be
    /// dropped from async code too, where a runtime must not be waited for.
    fn drop(&mut self) {
        self.core.closed.store(true, Ordering::Release);
        let Some(Runtimes { guests, control }) = self.runtimes.take() else {
            return;
        };
        let waiter = std::thread::Builder::new()
            .name("soma-shutdown".into())
            .spawn(move || {
                guests.shutdown_timeout(SHUTDOWN);
                control.shutdown_background();
            });
        if let Ok(waiter) = waiter {
            // It only waits; it cannot have panicked.
            drop(waiter.join());
        }
        for tenant in self.tenants.get_mut().values() {
            tenant.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn of_several_tenants_of_which_one_has_a_taken_name_none_is_added() {
        let host = Host::builder().instances(1).workers(1).build().unwrap();
        let prepared = |name: &str| host.prepare_tenant(name, Quotas::default()).unwrap();
        host.list_tenants(&[prepared("b")]).unwrap();
        let taken = host.list_tenants(&[prepared("a"), prepared("b"), prepared("c")]);
        assert_eq!(taken, Err(TenantError::Exists("b".to_owned())));
        assert!(host.tenant("a").is_none() && host.tenant("c").is_none());
    }
}
