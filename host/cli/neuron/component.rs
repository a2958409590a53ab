//! A component file as the verbs read it: never more than a neuron may have,
//! and nothing in it compiled.

use std::path::Path;

use crate::{
    cli::{Exit, Failed, refusal},
    neuron::{LoadError, Plugin},
    package::Package,
};

/// Reads a file's bytes.
///
/// # Errors
/// When it cannot be read or is too large.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failed> {
    Plugin::read(path).map_err(|error| match error {
        LoadError::Read { .. } => {
            let failed = Failed::new(Exit::Input, error);
            match refusal::folder(path) {
                Some(advice) => failed.advise(advice),
                None => failed,
            }
        }
        _ => Failed::new(Exit::Input, format!("{}: {error}", path.display())),
    })
}

/// What a file says of itself.
///
/// # Errors
/// When it is no component, or its own words cannot be read.
pub(super) fn open(path: &Path) -> Result<(Vec<u8>, Package), Failed> {
    let bytes = read(path)?;
    let package = Package::read(&bytes)
        .map_err(|error| Failed::new(Exit::Input, format!("{}: {error}", path.display())))?;
    Ok((bytes, package))
}
