//! The contract as Rust code, generated from `wit/` by `cargo xtask bindings`.
//!
//! Whatever a neuron does not call vanishes when the component is linked, so
//! one world with everything in it serves all neurons.

#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    clippy::restriction
)]

#[rustfmt::skip]
mod generated;

pub use generated::*;
