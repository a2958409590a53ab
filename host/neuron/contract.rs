//! The contract of `wit/` as Rust types, generated; nothing here by hand.
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

pub use crate::package::{CONTRACT as PACKAGE, CONTRACT_VERSION as VERSION};
