//! Component files that no toolchain makes.

#![allow(clippy::cast_possible_truncation, reason = "a test fails by panicking")]

use std::{fmt::Write as _, fs, path::Path};

/// The text of a file of `tests/hostile`.
pub fn hostile_file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    fs::read_to_string(folder.join(name).with_extension("wat")).unwrap()
}

/// A component of `tests/hostile`, as text; a core module gets the frame around
/// it.
pub fn hostile_text(name: &str) -> String {
    let text = hostile_file(name);
    if text.contains("(core module $main") && !text.contains("(component") {
        framed(&text)
    } else {
        text
    }
}

/// A core module `$main` as a neuron.
pub fn framed(core: &str) -> String {
    hostile_file("frame").replace("\n  CORE\n", &format!("\n{core}\n"))
}

/// A core module around one function.
fn module_of(function: &str) -> String {
    format!("(core module (memory 1) {function})")
}

/// A component around one function.
pub fn component_of(function: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {})", module_of(function))).unwrap()
}

/// A neuron that has one function more than it needs.
pub fn neuron_with(function: &str) -> Vec<u8> {
    let core = hostile_file("healthy") + &module_of(function);
    wat::parse_str(framed(&core)).unwrap()
}

/// A function whose locals all depend on each other around so many loops: what
/// costs a compiler most for its size.
pub fn tangle(locals: usize, loops: usize) -> String {
    let declared = "i64 ".repeat(locals);
    let mut body = String::new();
    for local in 0..locals {
        let next = (local + 1) % locals;
        writeln!(
            body,
            "(local.set {local} (i64.add (local.get {local}) (local.get {next})))"
        )
        .unwrap();
    }
    let (open, close) = ("(loop ".repeat(loops), ")".repeat(loops));
    format!("(func (local {declared}) {open} {body} (br_if 0 (i64.eqz (local.get 0))) {close})")
}

/// A custom section's bytes, for a component.
pub fn custom(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![name.len() as u8];
    body.extend(name.as_bytes());
    body.extend(data);
    let mut section = vec![0];
    let mut size = body.len();
    loop {
        let byte = (size & 0x7f) as u8;
        size >>= 7;
        section.push(if size == 0 { byte } else { byte | 0x80 });
        if size == 0 {
            break;
        }
    }
    section.extend(body);
    section
}
