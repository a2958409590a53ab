//! The author's side of the `soma` command: building, looking, checking,
//! signing, and running what carries a manifest.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "authoring/beginning.rs"]
mod beginning;
#[path = "authoring/building.rs"]
mod building;
#[path = "authoring/checking.rs"]
mod checking;
mod common;
#[path = "authoring/inspecting.rs"]
mod inspecting;
#[path = "authoring/running.rs"]
mod running;
#[path = "authoring/signing.rs"]
mod signing;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{
    command::{Run, command, end, scratch},
    component,
};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use soma::package::{Document, Manifest, Package, Schemas, embed};

/// `soma neuron` with these words.
fn neuron(words: &[&dyn AsRef<Path>]) -> Run {
    let words = words.iter().map(|word| word.as_ref().as_os_str());
    end(command().arg("neuron").args(words))
}

/// An empty folder of this name.
fn folder(name: &str) -> PathBuf {
    let folder = scratch(&format!("authoring-{name}"));
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A neuron that answers `{}`, and imports these interfaces beside.
fn healthy(imports: &[&str]) -> Vec<u8> {
    let imports = imports
        .iter()
        .map(|name| format!("(import {name:?} (instance))"));
    healthy_with(&imports.collect::<String>())
}

/// A neuron that answers `{}`, with this text inside.
fn healthy_with(text: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let inside = read("healthy.wat") + text;
    wat::parse_str(read("frame.wat").replace("\n  CORE\n", &format!("\n{inside}\n"))).unwrap()
}

/// A manifest that says this behind id and version.
fn manifest(rest: &str) -> Manifest {
    let text = format!("id = \"notes\"\nversion = \"1.2.3\"\n{rest}");
    let document = Document::parse(Path::new("neuron.toml"), text).unwrap();
    document.typed().unwrap()
}

/// A component with a manifest in it.
fn packaged(wasm: &[u8], rest: &str) -> Vec<u8> {
    embed(wasm, &manifest(rest), &Schemas::default()).unwrap()
}

/// Digests and names of keys are replaced by their names.
fn shown(run: &Run) -> String {
    let Run {
        exit,
        stdout,
        stderr,
    } = run;
    let all = format!("exit {exit}\n--- stdout\n{stdout}--- stderr\n{stderr}");
    let hex = |word: &str| word.chars().all(|c| c.is_ascii_hexdigit());
    let word = |word: &str| match word.strip_prefix("sha256:") {
        Some(_) => "sha256:..".to_owned(),
        None if word.len() == 16 && hex(word) => "KEY".to_owned(),
        None => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    let masked: String = all.lines().map(line).collect();
    masked
        .replace(env!("CARGO_TARGET_TMPDIR"), "TMP")
        .replace(env!("CARGO_MANIFEST_DIR"), "REPOSITORY")
}

fn shows(run: &Run, expected: &Expect) {
    expected.assert_eq(&shown(run));
}
