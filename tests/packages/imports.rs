//! What a component imports against what its manifest asks for.

use super::*;

/// A component with these imports and this manifest, as it is read back.
fn package(imports: &[&str], manifest: &str) -> Package {
    let imports = imports
        .iter()
        .map(|name| format!("(import {name:?} (instance))"));
    let text = format!("(component {})", imports.collect::<String>());
    let wasm = wat::parse_str(text).unwrap();
    let wasm = match manifest {
        "" => wasm,
        keys => {
            let manifest = parse(&format!("id = \"a\"\nversion = \"1.0.0\"\n{keys}")).unwrap();
            embed(&wasm, &manifest, &Schemas::default()).unwrap()
        }
    };
    Package::read(&wasm).unwrap()
}

const ALL: [&str; 12] = [
    "soma:neuron/types@0.1.0",
    "soma:neuron/engram@0.1.0",
    "soma:neuron/synapse@0.1.0",
    "soma:neuron/orchestration@0.1.0",
    "soma:neuron/clock@0.1.0",
    "soma:neuron/random@0.1.0",
    "soma:neuron/log@0.1.0",
    "wasi:io/streams@0.2.0",
    "wasi:cli/environment@0.2.0",
    "wasi:filesystem/types@0.2.0",
    "wasi:http/outgoing-handler@0.2.0",
    "acme:shell/run@1.0.0",
];

const ASKS_FOR_ALL: &str = r#"
[engrams.notes]
access = "read"
[grants]
orchestration = true
synapse = ["PLAN"]
clock = "virtual"
random = "seeded"
log = true
wasi = true
files = { data = "read" }
environment = ["LANG"]
http = ["GET=https://example.org"]
"#;

fn unasked(package: &Package) -> Vec<String> {
    let unasked = package.unasked();
    unasked.iter().map(ToString::to_string).collect()
}

fn unused(package: &Package) -> Vec<String> {
    package.unused().into_iter().map(|one| one.key).collect()
}

#[test]
fn each_import_that_a_manifest_does_not_ask_for_is_told_with_the_line_that_is_missing() {
    let package = package(&ALL, "[grants]\n");
    let told = package.unasked();
    let lines: Vec<_> = told
        .iter()
        .map(|one| format!("{one}\n  {}\n", one.help()))
        .collect();
    expect![[r#"
        it asks for more than it says: it imports `soma:neuron/engram@0.1.0`, which its manifest does not ask for
          write `[engrams.NAME]` with `access = "read-write"` into its neuron.toml, or build it without that import
        it asks for more than it says: it imports `soma:neuron/synapse@0.1.0`, which its manifest does not ask for
          write `synapse = ["PLAN"]` with its signal types under `[grants]` into its neuron.toml, or build it without that import
        it asks for more than it says: it imports `soma:neuron/orchestration@0.1.0`, which its manifest does not ask for
          write `orchestration = true` under `[grants]` into its neuron.toml, or build it without that import
        it asks for more than it says: it imports `soma:neuron/clock@0.1.0`, which its manifest does not ask for
          write `clock = "wall"` under `[grants]` into its neuron.toml, or build it without that import
        it asks for more than it says: it imports `soma:neuron/random@0.1.0`, which its manifest does not ask for
          write `random = "system"` under `[grants]` into its neuron.toml, or build it without that import
        it asks for more than it says: it imports `soma:neuron/log@0.1.0`, which its manifest does not ask for
          write `log = true` under `[grants]` into its neuron.toml, or build it without that import
        it asks for more than it says: it imports `wasi:io/streams@0.2.0`, `wasi:cli/environment@0.2.0`, `wasi:filesystem/types@0.2.0`, which its manifest does not ask for
          write `wasi = true` under `[grants]` into its neuron.toml, or build it without that import
        it asks for more than it says: it imports `wasi:http/outgoing-handler@0.2.0`, which its manifest does not ask for
          write `http = ["GET=https://api.example.org"]` under `[grants]` into its neuron.toml, or build it without that import
    "#]].assert_eq(&lines.concat());
}

#[test]
fn of_many_imports_that_one_line_would_ask_for_the_first_are_named() {
    let all = ["io/poll", "io/error", "io/streams", "cli/exit", "cli/stdin"];
    let all = all.map(|name| format!("wasi:{name}@0.2.0"));
    let package = package(&all.each_ref().map(String::as_str), "[grants]\n");
    expect!["it asks for more than it says: it imports `wasi:io/poll@0.2.0`, `wasi:io/error@0.2.0`, `wasi:io/streams@0.2.0` and 2 more of the kind, which its manifest does not ask for"]
        .assert_eq(&unasked(&package).join("\n"));
}

#[test]
fn a_manifest_that_asks_for_all_that_is_imported_is_in_order() {
    let package = package(&ALL, ASKS_FOR_ALL);
    assert_eq!(unasked(&package), [""; 0]);
    assert_eq!(unused(&package), [""; 0]);
}

#[test]
fn files_environment_and_http_bring_wasi_with_them_and_wasi_brings_no_http() {
    let imports = ["wasi:io/streams@0.2.0", "wasi:clocks/wall-clock@0.2.0"];
    for asks in [
        "[grants]\nfiles = { data = \"read\" }",
        "[grants]\nenvironment = [\"LANG\"]",
        "[grants]\nhttp = [\"GET=https://api.example.org\"]",
    ] {
        assert_eq!(unasked(&package(&imports, asks)), [""; 0], "{asks}");
    }
    let http = package(&["wasi:http/types@0.2.0"], "[grants]\nwasi = true");
    assert_eq!(unasked(&http).len(), 1);
}

#[test]
fn what_a_manifest_asks_for_in_vain_is_told_by_its_key() {
    assert_eq!(
        unused(&package(&[], ASKS_FOR_ALL)),
        [
            "engrams.notes",
            "grants.orchestration",
            "grants.synapse",
            "grants.clock",
            "grants.random",
            "grants.log",
            "grants.wasi",
            "grants.files",
            "grants.environment",
            "grants.http"
        ]
    );
    // Time and randomness may come by either way.
    let wasi = ["wasi:clocks/wall-clock@0.2.0", "wasi:random/random@0.2.0"];
    let asks = "[grants]\nclock = \"wall\"\nrandom = \"system\"\nwasi = true";
    assert_eq!(unused(&package(&wasi, asks)), [""; 0]);
}

#[test]
fn a_component_without_a_manifest_is_held_to_nothing() {
    let package = package(&ALL, "");
    assert_eq!(unasked(&package), [""; 0]);
    assert_eq!(unused(&package), [""; 0]);
}

#[test]
fn imports_and_exports_are_read_in_their_order_without_those_of_inner_components() {
    let wasm = wat::parse_str(
        r#"(component
            (import "b:b/b@1.0.0" (instance $b))
            (component (import "x:x/x@1.0.0" (instance)))
            (import "a" (func))
            (export "soma:neuron/handler@0.1.0" (instance $b)))"#,
    )
    .unwrap();
    let names = Package::read(&wasm).unwrap().names;
    assert_eq!(names.imports, ["b:b/b@1.0.0", "a"]);
    assert_eq!(names.exports, ["soma:neuron/handler@0.1.0"]);
    assert_eq!(
        names.contract_versions().into_iter().collect::<Vec<_>>(),
        ["0.1.0"]
    );
}

#[test]
fn garbled_sections_of_imports_are_refused_in_words() {
    let mut wasm = component();
    wasm.extend([10, 2, 1, 0xff]);
    let told = Package::read(&wasm).unwrap_err().to_string();
    expect!["this is not a WebAssembly component: invalid leading byte (0xff) for component name (at offset 0x26)"].assert_eq(&told);
}
