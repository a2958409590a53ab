//! A host as the verbs start one.

use super::{Exit, Failed, paths};
use crate::{
    Host, HostBuilder, HostError,
    neuron::{Compiler, CompilerLimits, SandboxError},
    registry::{Credentials, Registry, Settings},
};

/// A host with the code cache, or without where there can be none. What is not
/// in the cache a process of its own compiles.
pub(super) fn host(builder: impl Fn() -> HostBuilder) -> Result<Host, Failed> {
    host_compiling(CompilerLimits::default(), builder)
}

/// As [`host`], with limits of that process.
pub(super) fn host_compiling(
    limits: CompilerLimits,
    builder: impl Fn() -> HostBuilder,
) -> Result<Host, Failed> {
    let builder = || builder().compiler(compiler(limits.clone()));
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

/// This program once more, in a process that only compiles.
pub(super) fn compiler(limits: CompilerLimits) -> Compiler {
    Compiler::Subprocess {
        program: paths::this_program(),
        limits,
    }
}

/// One for a task or two.
pub(super) fn small_host() -> Result<Host, Failed> {
    host(|| Host::builder().instances(64))
}

/// Where components of registries come from.
pub(super) fn registry(host: &Host, offline: bool) -> Result<Registry, Failed> {
    let settings = Settings {
        offline,
        store: paths::components(),
        credentials: Credentials::from_environment()
            .map_err(|error| Failed::new(Exit::Input, error))?,
        ..Settings::default()
    };
    Ok(Registry::new(
        settings,
        host.clock().clone(),
        crate::clock::Random::system(),
    ))
}
