//! The host that a verb runs a neuron on.

use super::{Exit, Failed, paths};
use crate::{Host, HostError, neuron::SandboxError};

/// A small host with the code cache, or without where there can be none.
///
/// # Errors
/// When this machine cannot hold one.
pub(super) fn host() -> Result<Host, Failed> {
    let builder = || Host::builder().instances(64);
    let cached = match paths::code_cache() {
        Some(directory) => builder().code_cache(directory).build(),
        None => builder().build(),
    };
    let host = match cached {
        Err(HostError::Sandbox(SandboxError::Cache(error))) => {
            tracing::warn!(%error, "compiled code is not kept");
            builder().build()
        }
        other => other,
    };
    host.map_err(|error| Failed::new(Exit::Host, error))
}
