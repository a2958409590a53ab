//! What can be done about a component that was refused.

use std::path::Path;

use super::Exit;
use crate::{
    neuron::{CompileError, LoadError},
    package::Manifest,
};

/// How the command ends: the component is not to blame for what the host lacks.
pub(super) fn exit(error: &LoadError) -> Exit {
    match error {
        LoadError::Sandbox(_)
        | LoadError::Compile(CompileError::Start { .. } | CompileError::Foreign { .. }) => {
            Exit::Host
        }
        _ => Exit::Input,
    }
}

/// What to name in place of a folder: the component of the project that it is.
pub(super) fn folder(path: &Path) -> Option<String> {
    if !path.is_dir() {
        return None;
    }
    Some(match Manifest::read(path) {
        Ok((manifest, _)) => format!("give its component: {}", manifest.component(path).display()),
        Err(_) => "give a component file, not a folder".to_owned(),
    })
}

/// A step that may help, whoever loads the component.
pub(super) fn advice(error: &LoadError) -> Option<String> {
    let text = match error {
        LoadError::UnknownImport(import) if import.starts_with("wasi:") => {
            "of WASI there are cli, clocks, filesystem, http, io, random and sockets"
        }
        LoadError::NoHandler | LoadError::Mismatch(_) => {
            "build it with the `soma-neuron` crate or from wit/ (docs/neurons.md)"
        }
        _ => return None,
    };
    Some(text.to_owned())
}
