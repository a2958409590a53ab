//! Component files: what they say of themselves, and who vouches for them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "packages/imports.rs"]
mod imports;
#[path = "packages/manifests.rs"]
mod manifests;
#[path = "packages/schemas.rs"]
mod schemas;
#[path = "packages/sections.rs"]
mod sections;
#[path = "packages/signatures.rs"]
mod signatures;

use std::{fs, path::Path};

use common::wasm::custom;
use expect_test::{Expect, expect, expect_file};
use soma::package::{Document, Manifest, Package, Problems, Schemas, embed, schema_of};

/// A component that does nothing but exist.
fn component() -> Vec<u8> {
    wat::parse_str("(component (core module (func (nop))))").unwrap()
}

const MANIFEST: &str = r#"
id = "notes"
version = "1.2.3"
language = "rust"
capabilities = ["remember"]
description = "Keeps notes."
licence = "Apache-2.0"

[engrams.notes]
access = "read-write"

[grants]
log = true
clock = "wall"
http = ["GET=https://example.org"]

[limits]
memory = "32MiB"
"#;

fn parse(text: &str) -> Result<Manifest, Problems> {
    Document::parse(Path::new("neuron.toml"), text.to_owned())?.typed()
}

fn manifest() -> Manifest {
    parse(MANIFEST).unwrap()
}

/// The component with the manifest in it.
fn packaged() -> Vec<u8> {
    embed(&component(), &manifest(), &Schemas::default()).unwrap()
}
