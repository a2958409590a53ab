//! Where components come from, and who vouches for them.

use soma::{
    neuron::{Compiler, CompilerLimits},
    package::{generate_key, read_key, sign},
};

use super::*;

const TABLE: &str = "[tenants.acme.neurons.echo]\nsource = \"echo.wasm\"\ngrants.log = true\n";

/// A component signed by the key in `acme.key`, whose public part is there.
fn signed(site: &Site) -> Vec<u8> {
    let (private, public) = generate_key().unwrap();
    fs::write(site.folder.join("acme.key"), private).unwrap();
    fs::write(site.folder.join("acme.pub"), public).unwrap();
    let key = read_key(&site.folder.join("acme.key")).unwrap();
    sign(&packaged("echo", ECHO), &key).unwrap()
}

fn policy(policy: &str) -> String {
    format!("[policy]\nsignatures = \"{policy}\"\ntrusted-keys = [\"acme.pub\"]\n{TABLE}")
}

#[test]
fn a_component_by_a_trusted_key_is_taken_and_its_key_named() {
    let site = Site::new("supply-signed");
    site.put("echo.wasm", &signed(&site))
        .write(&policy("require"));
    let checked = site.check().unwrap();
    assert_eq!(checked.neurons[0].signed_by.len(), 1);
    assert!(checked.warnings.is_empty());
}

#[test]
fn an_unsigned_component_is_refused_where_signatures_are_required() {
    let site = Site::new("supply-unsigned");
    signed(&site);
    site.add("echo", "echo.wasm", ECHO)
        .write(&policy("require"));
    site.told(&expect![
        "soma.toml:5:10: tenants.acme.neurons.echo.source: it is not signed"
    ]);
    site.write(&policy("warn"));
    let warnings = site.check().unwrap().warnings;
    expect!["soma.toml:5:10: tenants.acme.neurons.echo.source: it is not signed"]
        .assert_eq(&site.shown(&warnings[0].to_string()));
    site.write(&policy("off"));
    assert!(site.check().unwrap().warnings.is_empty());
}

#[test]
fn a_component_that_is_refused_for_its_signature_does_not_reach_the_compiler() {
    let site = Site::new("supply-compiler");
    signed(&site);
    let text = "(component (core module (func (result i32) (i64.const 0))))";
    let wasm = wat::parse_str(text).unwrap();
    site.put("echo.wasm", &with_manifest(&wasm, ECHO));
    let refused = |policy: &str| {
        site.write(policy);
        let host = Host::builder().instances(8).compiler(Compiler::Subprocess {
            program: "/nonexistent".into(),
            limits: CompilerLimits::default(),
        });
        let host = host.build().unwrap();
        let deployment = Deployment::read(&site.file()).unwrap();
        let problems = deployment.check(&host, &registry(&host)).unwrap_err();
        site.shown(&problems.to_string())
    };
    expect![[r#"
        soma.toml:5:10: tenants.acme.neurons.echo.source: it is not signed
        soma.toml:5:10: tenants.acme.neurons.echo.source: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron"#]].assert_eq(&refused(&policy("require")));
    expect![[r#"
        soma.toml:5:10: tenants.acme.neurons.echo.source: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
        soma.toml:5:10: tenants.acme.neurons.echo.source: the compiler process `/nonexistent` cannot be had: No such file or directory (os error 2)"#]].assert_eq(&refused(&policy("warn")));
}

#[test]
fn a_component_that_was_changed_after_it_was_signed_is_refused() {
    let site = Site::new("supply-changed");
    let mut wasm = signed(&site);
    let at = wasm.windows(7).rposition(|bytes| bytes == b"\"1.0.0\"");
    wasm[at.unwrap() + 1] = b'9';
    site.put("echo.wasm", &wasm);
    for strict in ["require", "warn"] {
        site.write(&policy(strict));
        let problems = site.check().unwrap_err().to_string();
        assert!(
            problems.ends_with("it was changed after it was signed"),
            "{problems}"
        );
    }
}

#[test]
fn another_component_than_the_pinned_one_is_refused_with_both_digests() {
    let site = Site::new("supply-pinned");
    let pinned = format!("{TABLE}digest = \"sha256:{}\"\n", "0".repeat(64));
    site.put("echo.wasm", b"\0asm\x0d\0\x01\0").write(&pinned);
    site.told(&expect!["soma.toml:2:10: tenants.acme.neurons.echo.source: it has the digest sha256:24eaf3439a60c96764c4f2c92a0a81b52bd4fe5d5b91f090184a0f6486b1bf29, not the pinned sha256:0000000000000000000000000000000000000000000000000000000000000000"]);
}

#[test]
fn files_that_are_no_neurons_are_refused_each_in_words() {
    let site = Site::new("supply-strange");
    site.put("text.wasm", b"hello")
        .put("module.wasm", b"\0asm\x01\0\0\0")
        .put("empty.wasm", b"\0asm\x0d\0\x01\0");
    let table = |name: &str| format!("[tenants.acme.neurons.{name}]\nsource = \"{name}.wasm\"\n");
    let names = ["text", "module", "empty", "missing"];
    site.write(&names.map(table).concat());
    site.told(&expect![[r#"
        soma.toml:2:10: tenants.acme.neurons.text.source: this is not a WebAssembly component: it does not start like one
        soma.toml:4:10: tenants.acme.neurons.module.source: this is not a WebAssembly component: it is a core module
        soma.toml:6:10: tenants.acme.neurons.empty.source: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
        soma.toml:8:10: tenants.acme.neurons.missing.source: cannot read missing.wasm: No such file or directory (os error 2)"#]]);
}

#[test]
fn a_file_of_two_hundred_megabytes_is_refused_before_it_is_read() {
    let site = Site::new("supply-huge");
    let file = fs::File::create(site.folder.join("echo.wasm")).unwrap();
    file.set_len(200 << 20).unwrap();
    site.write(TABLE);
    site.told(&expect!["soma.toml:2:10: tenants.acme.neurons.echo.source: the component has more than the 67108864 bytes that this host takes"]);
}

#[test]
fn a_project_folder_stands_for_what_was_built_in_it() {
    let site = Site::new("supply-folder");
    fs::create_dir(site.folder.join("project")).unwrap();
    fs::write(site.folder.join("project/neuron.toml"), ECHO).unwrap();
    site.write("[tenants.acme.neurons.echo]\nsource = \"project\"\ngrants.log = true\n");
    site.told(&expect!["soma.toml:2:10: tenants.acme.neurons.echo.source: cannot read project/target/echo.wasm: No such file or directory (os error 2)"]);
    fs::create_dir(site.folder.join("project/target")).unwrap();
    site.add("echo", "project/target/echo.wasm", ECHO);
    assert_eq!(
        site.check().unwrap().neurons[0].version.as_deref(),
        Some("1.0.0")
    );
}

#[test]
fn offline_a_component_of_a_registry_must_be_in_the_local_store() {
    let site = Site::new("supply-offline");
    site.write(
        "[policy]\noffline = true\n[tenants.acme.neurons.echo]\n\
         source = \"oci://127.0.0.1:1/acme/echo:1\"\n",
    );
    site.told(&expect!["soma.toml:4:10: tenants.acme.neurons.echo.source: oci://127.0.0.1:1/acme/echo:1 is not in the local store, and offline mode asks no registry"]);
}
