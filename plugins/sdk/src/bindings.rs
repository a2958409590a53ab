//! The contract as Rust code, generated from `wit/`.
//!
//! Whatever a neuron does not call vanishes when the component is linked, so
//! one world with everything in it serves all neurons.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::restriction
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "orchestrator",
    pub_export_macro: true,
    default_bindings_module: "soma_neuron::bindings",
});
