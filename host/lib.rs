//! Soma: a host for sandboxed WebAssembly plugins ("neurons") with a signal
//! bus, shared memory that can be rolled back, and orchestration under a STOP
//! that is a fact.
//!
//! The rooms, lowest first; each uses only those before it:
//!
//! | room | what it is |
//! |---|---|
//! | [`signal`] | the envelope, its ids and payloads, and the wire's codec |
//! | [`clock`] | the one clock, the one randomness, the one source of ids |
//! | [`synapse`] | the signal bus |
//! | [`engram`] | shared memory with a saga journal per trace |
//! | [`package`] | a component as a file: manifest, signature, digest |
//! | [`neuron`] | the sandbox; the only room that knows wasmtime |
//! | [`tenant`] | whose code and memory it is, quotas, fair turns |
//! | [`orchestration`] | traces, dispatch, retry, STOP, rollback |
//! | [`rehearsal`] | one neuron alone, on the scene that a case file describes |
//! | [`flow`] | neurons strung together by named routes |
//! | [`host`] | wires them together |
//! | [`registry`] | components to and from OCI registries |
//! | [`deployment`] | a whole set-up from one file |
//!
//! Start with [`Host::builder`].

pub mod cli;
pub mod clock;
pub mod deployment;
pub mod engram;
pub mod flow;
pub mod host;
pub mod neuron;
pub mod orchestration;
pub mod package;
pub mod registry;
pub mod rehearsal;
pub mod signal;
pub mod synapse;
pub mod tenant;

pub use host::{Host, HostBuilder, HostError, TenantError};

/// The documents whose code is compiled with the tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/embedding.md")]
    struct Embedding;
}
