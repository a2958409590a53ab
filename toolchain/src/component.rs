//! From a core module to a component of the contract's world.

use std::path::Path;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::Error;
use crate::project::Project;

/// The world with everything in it; what a module does not import vanishes.
const WORLD: &str = "orchestrator";

/// Answers what a C library or a Go runtime calls of WASI 0.1, and imports
/// nothing itself: `closed-wasi.wat`, assembled.
const CLOSED: &[u8] = include_bytes!("closed-wasi.wasm");

/// Wraps a module that was linked against the project's contract. What it calls
/// of WASI 0.1 becomes WASI 0.2 where the project asks for that, and is
/// answered inside the component where it does not.
pub(crate) fn encode(project: &Project, mut module: Vec<u8>) -> Result<Vec<u8>, Error> {
    let wit = project.wit()?;
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(&wit)
        .map_err(|error| unreadable(&wit, &error))?;
    let world = resolve
        .select_world(&[package], Some(WORLD))
        .map_err(|error| unreadable(&wit, &error))?;
    let adapter = if project.wasi() {
        WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER
    } else {
        CLOSED
    };
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .and_then(|()| ComponentEncoder::default().validate(true).module(&module))
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Error::Build(format!("the module does not make a component: {error:#}")))
}

fn unreadable(wit: &Path, error: &impl std::fmt::Debug) -> Error {
    Error::Project(format!("{}: {error:?}", wit.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::path::Path;

    #[test]
    fn the_adapter_is_what_its_text_says() {
        let text = include_str!("closed-wasi.wat");
        let assembled = wat::parse_str(text).unwrap();
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
            std::fs::write(folder.join("src/closed-wasi.wasm"), &assembled).unwrap();
        }
        assert!(
            assembled == super::CLOSED,
            "closed-wasi.wat has changed: run this test with UPDATE_EXPECT=1, then again"
        );
    }
}
