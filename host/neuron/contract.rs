//! The contract of `wit/` as Rust types, generated; nothing here by hand but
//! the version that this host offers.
//!
//! The generated value types (records, variants) carry no engine types, so the
//! traits of [`super::environment`] may speak in them.

#[expect(
    missing_docs,
    reason = "generated from wit/, where every item is documented"
)]
mod generated {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "orchestrator",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "soma:neuron/orchestration.pathway": crate::neuron::environment::PathwayHandle,
        },
    });
}

pub(super) use generated::OrchestratorPre;
pub use generated::soma::neuron::{clock, engram, log, orchestration, random, synapse, types};

/// The package that holds the contract.
pub const PACKAGE: &str = "soma:neuron";

/// The contract version that this host offers.
pub const VERSION: (u64, u64, u64) = (0, 1, 0);
