//! How the command's hosts are set up: compiled neurons are kept, and strangers'
//! are compiled by a process of their own.

use super::{Exit, Failed, paths};
use crate::{
    Host, HostBuilder, HostError,
    neuron::{Compiler, CompilerLimits, SandboxError},
};

/// A host with so many instances, without the code cache where there can be
/// none.
///
/// # Errors
/// When the host cannot start.
pub(super) fn host(instances: u32, compiler: CompilerLimits) -> Result<Host, Failed> {
    let builder = || builder(instances, compiler.clone());
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

fn builder(instances: u32, limits: CompilerLimits) -> HostBuilder {
    let program = paths::this_program();
    let compiler = Compiler::Subprocess { program, limits };
    Host::builder().instances(instances).compiler(compiler)
}
