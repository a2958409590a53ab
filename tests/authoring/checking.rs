//! `soma neuron check`.

use super::*;

/// Checks a file of these bytes.
fn check(name: &str, wasm: &[u8], words: &[&str]) -> Run {
    let file = folder("check").with_file_name(format!("{name}.wasm"));
    fs::write(&file, wasm).unwrap();
    let mut all: Vec<&dyn AsRef<Path>> = vec![&"check", &file];
    all.extend(words.iter().map(|word| word as &dyn AsRef<Path>));
    neuron(&all)
}

#[test]
fn a_component_in_order_can_be_run() {
    let wasm = packaged(&healthy(&[]), "");
    shows(
        &check("in-order", &wasm, &[]),
        &expect![[r#"
        exit 0
        --- stdout
        TMP/in-order.wasm: this host can run it
        --- stderr
    "#]],
    );
    shows(
        &check("in-order", &wasm, &["--no-compile"]),
        &expect![[r#"
        exit 0
        --- stdout
        TMP/in-order.wasm: nothing speaks against it; it was not compiled
        --- stderr
    "#]],
    );
    assert_eq!(
        check("in-order", &wasm, &["--json"]).json(),
        json!({
            "file": scratch("in-order.wasm"),
            "runs": true,
            "compiled": true,
            "reasons": [],
            "warnings": [],
        })
    );
}

/// A component without a handler that imports all that is wrong.
fn hopeless() -> Vec<u8> {
    let imports = [
        "soma:neuron/engram@0.2.0",
        "soma:neuron/clock@0.1.7",
        "soma:neuron/shell@0.1.0",
        "soma:neuron/log@0.1.0",
        "acme:shell/run@1.0.0",
        "print",
    ];
    let imports = imports.map(|name| format!("(import {name:?} (instance))"));
    let wasm = wat::parse_str(format!("(component {})", imports.concat())).unwrap();
    packaged(
        &wasm,
        r#"
        [engrams.notes]
        access = "read"
        [grants]
        orchestration = true
        clock = "wall"
        [limits]
        memory = "2GiB"
        timeout = "2h"
        "#,
    )
}

#[test]
fn every_reason_against_a_component_is_told_at_once() {
    shows(
        &check("hopeless", &hopeless(), &[]),
        &expect![[r#"
            exit 3
            --- stdout
            TMP/hopeless.wasm: this host cannot run it, for 9 reasons
            - the component was built for soma:neuron@0.2.0 (its `soma:neuron/engram@0.2.0`), this host offers 0.1.0; rebuild it against a 0.1.x contract up to 0.1.0
            - the component was built for soma:neuron@0.1.7 (its `soma:neuron/clock@0.1.7`), this host offers 0.1.0; rebuild it against a 0.1.x contract up to 0.1.0
            - the component imports `soma:neuron/shell@0.1.0`, which this host does not offer
            - the component imports `acme:shell/run@1.0.0`, which this host does not offer
            - the component imports `print`, which this host does not offer
            - the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
              build it with the `soma-neuron` crate or from wit/ (docs/neurons.md)
            - it asks for more than it says: it imports `soma:neuron/log@0.1.0`, which its manifest does not ask for
              write `log = true` under `[grants]` into its neuron.toml, or build it without that import
            - it wishes for 2GiB of `memory`, more than 256MiB, the most that this host gives for a wish
            - it wishes for 2h of `timeout`, more than 3600s, the most that this host gives for a wish
            warning: its manifest asks for `grants.orchestration`, for which it imports nothing
            --- stderr
        "#]],
    );
    let told = check("hopeless", &hopeless(), &["--json"]).json();
    assert_eq!(
        (&told["runs"], &told["compiled"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(told["reasons"].as_array().unwrap().len(), 9);
    let asks = &told["reasons"][6];
    assert_eq!(
        asks["message"],
        json!(
            "it asks for more than it says: it imports `soma:neuron/log@0.1.0`, which its manifest does not ask for"
        )
    );
    assert_eq!(
        told["warnings"][0],
        json!({
            "message": "its manifest asks for `grants.orchestration`, for which it imports nothing",
            "help": null,
        })
    );
}

#[test]
fn what_shows_only_when_it_is_compiled_is_told_then() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let wrong = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        packaged(
            &wat::parse_str(text).unwrap(),
            "[grants]\nclock = \"wall\"\n",
        )
    };
    let wasm = wrong("wrong_import.wat");
    shows(
        &check("mistyped", &wasm, &[]),
        &expect![[r#"
        exit 3
        --- stdout
        TMP/mistyped.wasm: this host cannot run it
        - the component does not fit the contract: component imports instance `soma:neuron/clock@0.1.0`, but a matching implementation was not found in the linker: instance export `sleep-ms` has the wrong type: type mismatch with parameters: expected `u64` found `string`
          build it with the `soma-neuron` crate or from wit/ (docs/neurons.md)
        --- stderr
    "#]],
    );
    assert_eq!(check("mistyped", &wasm, &["--no-compile"]).exit, 0);
}

#[test]
fn what_is_no_component_is_told_so() {
    shows(
        &check("text", b"hello, world", &[]),
        &expect![[r#"
        exit 3
        --- stdout
        TMP/text.wasm: this host cannot run it
        - this is not a WebAssembly component: it does not start with `\0asm` and the component layer's version
        --- stderr
    "#]],
    );
    shows(
        &check("text", b"hello, world", &["--no-compile"]),
        &expect![[r#"
            exit 3
            --- stdout
            TMP/text.wasm: this host cannot run it
            - this is not a WebAssembly component: it does not start with `\0asm` and the component layer's version
            --- stderr
        "#]],
    );
    shows(
        &check("core", b"\0asm\x01\0\0\0", &[]),
        &expect![[r#"
        exit 3
        --- stdout
        TMP/core.wasm: this host cannot run it
        - this is a core WebAssembly module, not a component; link it with wasm-component-ld or wrap it with `wasm-tools component new`
        --- stderr
    "#]],
    );
    let cut = healthy(&[]);
    shows(
        &check("cut", &cut[..cut.len() - 1], &["--no-compile"]),
        &expect![[r#"
            exit 3
            --- stdout
            TMP/cut.wasm: this host cannot run it
            - this is not a WebAssembly component: unexpected end-of-file (at offset 0x2c9)
            --- stderr
        "#]],
    );
    shows(
        &neuron(&[&"check", &"/nowhere.wasm"]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: cannot read /nowhere.wasm: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn a_file_of_200_megabytes_is_not_read_to_its_end() {
    let path = scratch("huge.wasm");
    let file = fs::File::create(&path).unwrap();
    file.set_len(200_000_000).unwrap();
    shows(
        &neuron(&[&"check", &path]),
        &expect![[r#"
        exit 3
        --- stdout
        TMP/huge.wasm: this host cannot run it
        - the component has more than the 67108864 bytes that this host takes
        --- stderr
    "#]],
    );
    shows(
        &neuron(&[&"inspect", &path]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/huge.wasm: the component has more than the 67108864 bytes that this host takes
    "#]],
    );
    fs::remove_file(path).unwrap();
}

#[test]
fn a_component_without_a_manifest_can_be_run_and_is_warned_of() {
    shows(
        &check("bare", &healthy(&["soma:neuron/log@0.1.0"]), &[]),
        &expect![[r#"
            exit 0
            --- stdout
            TMP/bare.wasm: this host can run it
            warning: it carries no manifest: nobody can tell what it is and asks for
              embed one: soma neuron build FOLDER --component FILE
            --- stderr
        "#]],
    );
}

#[test]
fn a_forged_manifest_is_told_with_what_is_wrong_in_it() {
    let mut wasm = packaged(&healthy(&[]), "");
    // The last section is the manifest: 1.2.3 becomes 1.2.x, as long as before.
    let at = wasm
        .windows(7)
        .rposition(|bytes| bytes == b"\"1.2.3\"")
        .unwrap();
    wasm[at + 5] = b'x';
    shows(
        &check("forged", &wasm, &[]),
        &expect![[r#"
        exit 3
        --- stdout
        TMP/forged.wasm: this host cannot run it
        - its embedded manifest is wrong: version: "1.2.x" is no version such as "1.0.0": unexpected character 'x' while parsing patch version number
        --- stderr
    "#]],
    );
}

#[test]
fn a_project_is_checked_with_its_manifest_and_what_was_built_of_it() {
    let folder = folder("project");
    let toml = folder.join("neuron.toml");
    fs::write(
        &toml,
        "id = \"notes\"\nversion = \"1.2.3\"\nlangauge = \"c\"\n",
    )
    .unwrap();
    shows(
        &neuron(&[&"check", &folder]),
        &expect![[r#"
        exit 3
        --- stdout
        TMP/authoring-project/neuron.toml: this host cannot run it
        - TMP/authoring-project/neuron.toml:3:1: langauge: unknown key; there are `id`, `version`, `language`, `kind`, `capabilities`, `description`, `licence`, `schema`, `engrams`, `grants`, `limits` and `flow`
        --- stderr
    "#]],
    );
    fs::write(&toml, "id = \"notes\"\nversion = \"1.2.3\"\n").unwrap();
    shows(
        &neuron(&[&"check", &folder]),
        &expect![[r#"
            exit 3
            --- stdout
            TMP/authoring-project/target/notes.wasm: this host cannot run it
            - there is no such file: it is not built yet
              build it: soma neuron build TMP/authoring-project
            --- stderr
        "#]],
    );
    fs::create_dir_all(folder.join("target")).unwrap();
    fs::write(
        folder.join("target/notes.wasm"),
        packaged(&healthy(&[]), ""),
    )
    .unwrap();
    shows(
        &neuron(&[&"check", &folder]),
        &expect![[r#"
            exit 0
            --- stdout
            TMP/authoring-project/target/notes.wasm: this host can run it
            --- stderr
        "#]],
    );
    fs::write(&toml, "id = \"notes\"\nversion = \"1.2.4\"\n").unwrap();
    shows(
        &neuron(&[&"check", &folder]),
        &expect![[r#"
            exit 0
            --- stdout
            TMP/authoring-project/target/notes.wasm: this host can run it
            warning: neuron.toml or a schema has changed since it was built
              build it again: soma neuron build TMP/authoring-project
            --- stderr
        "#]],
    );
}

#[test]
fn a_component_that_speaks_of_memory_is_refused_for_what_is_wrong_with_it() {
    let twice = r#"(export "out of memory" (func 0))"#.repeat(2);
    let wasm = healthy_with(&format!("(core module (func) {twice})"));
    shows(
        &check("speaks", &wasm, &[]),
        &expect![[r#"
            exit 3
            --- stdout
            TMP/speaks.wasm: this host cannot run it
            - the component is invalid: failed to parse WebAssembly module: duplicate export name `out of memory` already defined (at offset 0x259)
            warning: it carries no manifest: nobody can tell what it is and asks for
              embed one: soma neuron build FOLDER --component FILE
            --- stderr
        "#]],
    );
}
