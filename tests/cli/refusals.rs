//! Components that are not run, with the reason.

use super::*;

#[test]
fn an_import_that_is_not_granted_is_refused_with_the_grant_it_needs() {
    run(component("puppet"), []).refuses(
        3,
        &expect![[r#"
            error: REPOSITORY/target/neurons/puppet.wasm was refused: the component imports `soma:neuron/orchestration@0.1.0`, which is not granted; grant `orchestration` or build it without
            help: if it may have that, add `--grant orchestration`
        "#]],
    );
    run(component("generator"), ["--no-default-grants"]).refuses(
        3,
        &expect![[r#"
            error: REPOSITORY/target/neurons/generator.wasm was refused: the component imports `soma:neuron/engram@0.1.0`, which is not granted; grant `engram` or build it without
            help: if it may have that, add `--grant engram`
        "#]],
    );
    let granted = ["--no-default-grants", "--grant", "log", "--grant", "clock"];
    assert_eq!(run(component("echo"), granted).exit, 0);
}

#[test]
fn what_is_no_neuron_is_refused_with_the_reason() {
    run("/nowhere/neuron.wasm", []).refuses(
        3,
        &expect![[r#"
            error: cannot read /nowhere/neuron.wasm: No such file or directory (os error 2)
            help: give the path of a component file; `cargo xtask neurons` builds this repository's into target/neurons
        "#]],
    );
    let refused = |name: &str, bytes: &[u8], expected: &Expect| {
        let file = scratch(name);
        fs::write(&file, bytes).unwrap();
        run(&file, []).refuses(3, expected);
    };
    let wat = |text: &str| wat::parse_str(text).unwrap();
    refused(
        "text.wasm",
        b"hello, world",
        &expect![[r#"
            error: TMP/text.wasm was refused: this is not a WebAssembly component: it does not start with `\0asm` and the component layer's version
        "#]],
    );
    refused(
        "module.wasm",
        &wat("(module)"),
        &expect![[r#"
            error: TMP/module.wasm was refused: this is a core WebAssembly module, not a component; link it with wasm-component-ld or wrap it with `wasm-tools component new`
        "#]],
    );
    refused(
        "bare.wasm",
        &wat("(component)"),
        &expect![[r#"
            error: TMP/bare.wasm was refused: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
            help: build it with the `soma-neuron` crate or from wit/ (docs/neurons.md)
        "#]],
    );
    let wasi = wat("(component (import \"wasi:cli/environment@0.2.0\" (instance)))");
    refused(
        "wasi.wasm",
        &wasi,
        &expect![[r#"
            error: TMP/wasi.wasm was refused: the component imports `wasi:cli/environment@0.2.0`, which is not granted; grant `wasi` (without folders, environment and http rules it reaches none) or build it without
            help: if it may have that, add `--grant wasi`
        "#]],
    );
    let newer = wat("(component (import \"soma:neuron/engram@0.2.0\" (instance)))");
    refused(
        "newer.wasm",
        &newer,
        &expect![[r#"
            error: TMP/newer.wasm was refused: the component was built for soma:neuron@0.2.0 (its `soma:neuron/engram@0.2.0`), this host offers 0.1.0; rebuild it against a 0.1.x contract up to 0.1.0
        "#]],
    );
    let mut broken = wat("(component)");
    broken.extend([1, 200, 1]);
    refused(
        "broken.wasm",
        &broken,
        &expect![[r#"
            error: TMP/broken.wasm was refused: this is not a WebAssembly component: unexpected end-of-file (at offset 0xb)
        "#]],
    );
}
