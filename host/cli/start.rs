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

/// As [`host`], but fails where there can be no code cache.
pub(super) fn caching_host(builder: impl Fn() -> HostBuilder) -> Result<Host, Failed> {
    let directory = paths::code_cache().ok_or_else(|| {
        let message = "neither XDG_CACHE_HOME nor HOME says where to keep compiled code";
        Failed::new(Exit::Host, message)
    })?;
    let host = builder()
        .compiler(compiler(CompilerLimits::default()))
        .code_cache(directory)
        .build();
    host.map_err(|error| Failed::new(Exit::Host, error))
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

/// Where components of registries come from, if any is `wanted` at once.
pub(super) fn registry(host: &Host, offline: bool, wanted: bool) -> Result<Registry, Failed> {
    let credentials = match Credentials::from_environment() {
        Err(error) if wanted && !offline => return Err(Failed::new(Exit::Usage, error)),
        Err(error) => {
            tracing::warn!(%error, "registries are asked without credentials");
            Credentials::default()
        }
        Ok(credentials) => credentials,
    };
    let settings = Settings {
        offline,
        store: paths::components(),
        credentials,
        ..Settings::default()
    };
    Ok(Registry::new(
        settings,
        host.clock().clone(),
        crate::clock::Random::system(),
    ))
}
