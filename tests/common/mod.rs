//! What the black-box tests share: hosts, neurons from `target/neurons`, a tap
//! on the bus, an engram that knows when a guest is inside a host call, and the
//! `soma` command.

#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "each test binary uses a part of it, and a test fails by panicking"
)]

pub mod command;
pub mod gate;
pub mod server;
pub mod tap;
pub mod wasm;

use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};

use serde_json::{Value, json};
use soma::{
    Host, HostBuilder,
    clock::{Clock, Random, VirtualClock},
    engram::{Engram, Entry, MemoryEngram, Query},
    neuron::{Grants, Interface, Limits, Metering, Plugin},
    orchestration::{Access, Answer, Dispatch, Neuron, TenantHandle},
    signal::{ErrorReport, Payload, Timestamp},
    tenant::Quotas,
};

pub use gate::Gate;
pub use tap::Tap;

/// Longer than any test takes: a wait that fails says so instead of hanging.
pub const WATCHDOG: Duration = Duration::from_secs(120);

/// A timeout that is never reached.
pub const LONG: Duration = Duration::from_secs(86_400);

/// Settings that all hosts of the tests have in common.
pub fn builder() -> HostBuilder {
    Host::builder()
        .instances(64)
        .workers(2)
        .code_cache(code_cache())
}

/// Shared by all test binaries: each neuron is compiled once.
pub fn code_cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("code")
}

/// A host on the system's clock.
pub fn host() -> Host {
    builder().build().unwrap()
}

/// A host whose clock stands still until the test moves it.
pub fn virtual_host() -> (Host, VirtualClock) {
    let (clock, hand) = Clock::virtual_at(start());
    let host = builder()
        .clock(clock)
        .random(Random::seeded(1))
        .build()
        .unwrap();
    (host, hand)
}

/// When virtual clocks begin.
pub fn start() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().unwrap()
}

/// Runs a test's orchestrating code, and fails it when it hangs.
pub fn run<T: Send + 'static>(host: &Host, test: impl Future<Output = T> + Send + 'static) -> T {
    let watched = async {
        tokio::time::timeout(WATCHDOG, test)
            .await
            .expect("the test hangs")
    };
    host.run(watched)
}

/// Waits until `reached`, however long that takes.
pub async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A component of `target/neurons`, such as `generator` or `hostile/spin`.
pub fn component(name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let path = root
        .join("target/neurons")
        .join(name)
        .with_extension("wasm");
    assert!(
        path.is_file(),
        "{} is not there: run `cargo xtask neurons` first",
        path.display()
    );
    path
}

/// Everything that the contract offers.
pub fn all_grants() -> Grants {
    Grants::default().with(Interface::Orchestration)
}

/// Loads a component of `target/neurons` with all grants.
pub fn plugin(host: &Host, name: &str) -> Arc<Plugin> {
    host.load_file(component(name), &all_grants()).unwrap()
}

/// Loads a component from its text form.
pub fn plugin_of_text(host: &Host, text: &str) -> Arc<Plugin> {
    let wasm = wat::parse_str(text).unwrap();
    host.load(&wasm, &all_grants(), Metering::Fuel).unwrap()
}

/// A tenant with the default quotas.
pub fn tenant(host: &Host, name: &str) -> TenantHandle {
    host.add_tenant(name, Quotas::default()).unwrap()
}

/// Adds a memory engram to a tenant.
pub fn memory(tenant: &TenantHandle, id: &str) -> Arc<dyn Engram> {
    tenant.add_engram(bare_memory(tenant, id))
}

/// A memory engram that the tenant pays for.
pub fn bare_memory(tenant: &TenantHandle, id: &str) -> MemoryEngram {
    MemoryEngram::new(
        id,
        tenant.clock().clone(),
        tenant.ids().clone(),
        Arc::clone(tenant.tenant()) as _,
    )
}

/// A tenant with a puppet named `puppet` that is bound to its `memory` and,
/// for waiting inside a host call, its `gate`.
pub struct Stage {
    pub tenant: TenantHandle,
    pub memory: Arc<dyn Engram>,
    pub gate: Gate,
}

impl Stage {
    pub fn new(host: &Host, name: &str) -> Self {
        Self::with_quotas(host, name, Quotas::default())
    }

    pub fn with_quotas(host: &Host, name: &str, quotas: Quotas) -> Self {
        let tenant = host.add_tenant(name, quotas).unwrap();
        let memory = memory(&tenant, "memory");
        let gate = Gate::new(bare_memory(&tenant, "gate"));
        tenant.add_engram(gate.clone());
        let stage = Self {
            tenant,
            memory,
            gate,
        };
        stage
            .tenant
            .register(stage.puppet("puppet", plugin(host, "puppet")));
        stage
    }

    /// A neuron of this plugin with the stage's bindings, to be registered.
    pub fn puppet(&self, id: &str, plugin: Arc<Plugin>) -> Neuron {
        Neuron::new(id, plugin)
            .bind("memory", Arc::clone(&self.memory), Access::ReadWrite)
            .bind("gate", Arc::new(self.gate.clone()), Access::ReadWrite)
    }

    /// Registers a hostile neuron under its own name with the stage's bindings.
    pub fn hostile(&self, host: &Host, name: &str, limits: Limits) {
        let plugin = plugin(host, &format!("hostile/{name}"));
        self.tenant
            .register(self.puppet(name, plugin).limits(limits));
    }
}

/// A task that tells the puppet what to do.
pub fn puppet(steps: Value) -> Dispatch {
    Dispatch::to_neuron("puppet").input(told(steps))
}

/// The input of a puppet.
pub fn told(steps: Value) -> Value {
    json!({ "do": steps })
}

/// The step that appends `content` to the engram bound as `memory`.
pub fn append(content: &str) -> Value {
    json!({"write": {"to": "memory", "op": "append", "content": content}})
}

/// The step that waits inside a host call until the gate opens.
pub fn wait_at_gate() -> Value {
    json!({"recall": {"from": "gate"}})
}

/// What a puppet said.
pub fn said(answer: &Answer) -> Vec<Value> {
    let output = answer.output().unwrap_or_else(|| {
        panic!("no output but {:?}", answer.signal.payload);
    });
    output["said"].as_array().unwrap().clone()
}

/// The ERROR that a task was answered with.
pub fn error(answer: &Answer) -> &ErrorReport {
    match &answer.signal.payload {
        Payload::Error(error) => error,
        other => panic!("no ERROR but {other:?}"),
    }
}

/// All entries with all that belongs to them, in order.
pub async fn entries(engram: &Arc<dyn Engram>) -> Vec<Arc<Entry>> {
    let all = Query {
        top_k: Some(1_000_000),
        ..Query::default()
    };
    let found = engram.recall(&all).await.unwrap();
    found.hits.into_iter().map(|hit| hit.entry).collect()
}

/// The contents of all entries, in order.
pub async fn contents(engram: &Arc<dyn Engram>) -> Vec<Value> {
    let entries = entries(engram).await;
    entries.iter().map(|entry| entry.content.clone()).collect()
}
