//! What push and pull share: a registry to talk to, and how its failures are
//! told.

use tokio::runtime;

use crate::{
    cli::{Exit, Failed, log, out, paths},
    clock::{Clock, Random},
    registry::{Credentials, Reference, Registry, RegistryError, Settings},
};

/// Reads a reference. Not by clap, which would repeat what was typed, with a
/// password that somebody put into it.
pub(super) fn reference(text: &str) -> Result<Reference, Failed> {
    text.parse()
        .map_err(|error| Failed::new(Exit::Usage, error))
}

/// The user's store and credentials.
pub(super) fn settings() -> Result<Settings, Failed> {
    let credentials = Credentials::from_environment();
    Ok(Settings {
        store: paths::components(),
        credentials: credentials.map_err(|error| Failed::new(Exit::Usage, error))?,
        ..Settings::default()
    })
}

/// Has something done by a registry.
pub(super) fn ask<T>(
    settings: Settings,
    reference: &Reference,
    work: impl AsyncFnOnce(Registry) -> Result<T, RegistryError>,
) -> Result<T, Failed> {
    log::start(false)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failed::new(Exit::Host, format!("a runtime cannot be started: {error}"))
    })?;
    let clock = Clock::system(runtime.handle().clone());
    let registry = Registry::new(settings, clock, Random::system());
    runtime
        .block_on(work(registry))
        .map_err(|error| told(&error, reference))
}

fn told(error: &RegistryError, reference: &Reference) -> Failed {
    let exit = match error {
        RegistryError::PushByDigest(_) | RegistryError::PushOffline(_) => Exit::Usage,
        RegistryError::Timeout { .. } => Exit::Timeout,
        RegistryError::Unreachable { .. }
        | RegistryError::Redirect { .. }
        | RegistryError::Answer { .. }
        | RegistryError::Client(_) => Exit::Host,
        _ => Exit::Input,
    };
    let failed = Failed::new(exit, error);
    let host = reference.authority();
    match error {
        RegistryError::Pinned { actual, .. } => failed.advise(format!(
            "its tag may have moved; pin {actual} if that is the component that you want"
        )),
        RegistryError::NotStored { .. } | RegistryError::StoreDamaged { .. } => {
            failed.advise(format!("run `soma neuron pull {reference}` once, online"))
        }
        RegistryError::NotFound { .. } => {
            failed.advise("look at its spelling; some registries hide what needs credentials")
        }
        RegistryError::NoCredentials { .. }
        | RegistryError::WrongCredentials { .. }
        | RegistryError::Denied { .. } => failed.advise(format!(
            "set SOMA_REGISTRY_HOST={host}, SOMA_REGISTRY_USER and SOMA_REGISTRY_PASSWORD, \
             or `docker login {host}` without a credential helper"
        )),
        RegistryError::Unreachable { .. } => failed.advise(
            "is it running, and is this its name? a registry without TLS needs `--plain-http`; \
             what was pulled before is to be had with `--offline`",
        ),
        _ => failed,
    }
}

/// Names and values in two columns.
pub(super) fn print(lines: &[(&str, String)]) -> Result<(), Failed> {
    let text: String = lines
        .iter()
        .map(|(name, value)| format!("{name:<9} {value}\n"))
        .collect();
    out::write(&text)
}
