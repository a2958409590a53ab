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
    site.told(&expect![[r#"
        soma.toml:5:10: tenants.acme.neurons.echo.source: it is not signed
          ask its author for one that is signed (`soma neuron sign`), or take it as it is: `signatures = "warn"` under [policy]"#]]);
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
          ask its author for one that is signed (`soma neuron sign`), or take it as it is: `signatures = "warn"` under [policy]
        soma.toml:5:10: tenants.acme.neurons.echo.source: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron"#]].assert_eq(&refused(&policy("require")));
    expect![[r#"
        soma.toml:5:10: tenants.acme.neurons.echo.source: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
        soma.toml:5:10: tenants.acme.neurons.echo.source: the compiler process `/nonexistent` cannot be had: No such file or directory (os error 2)"#]].assert_eq(&refused(&policy("warn")));
}

#[test]
fn where_the_policy_cannot_be_read_nobody_is_asked_and_nothing_follows_from_it() {
    let site = Site::new("supply-doubts");
    let wasm = signed(&site);
    site.put("echo.wasm", &wasm);
    let told = |text: &str, expected: &Expect| {
        site.write(text);
        let host = Host::builder().instances(8).compiler(Compiler::Subprocess {
            program: "/nonexistent".into(),
            limits: CompilerLimits::default(),
        });
        let host = host.build().unwrap();
        // One that would be asked.
        let (clock, random) = (host.clock().clone(), Random::seeded(1));
        let registry = Registry::new(Settings::default(), clock, random);
        let deployment = Deployment::read(&site.file()).unwrap();
        let problems = deployment.check(&host, &registry).unwrap_err();
        expected.assert_eq(&site.shown(&problems.to_string()));
        deployment.is_offline()
    };
    let far = "[tenants.acme.neurons.far]\nsource = \"oci://127.0.0.1:1/acme/echo:1\"\n";
    let tables = format!("{TABLE}{far}");
    let is_offline = told(
        &format!("[policy]\nsignatures = \"requires\"\n{tables}"),
        &expect![[
            r#"soma.toml:2:14: policy.signatures: "requires" is none of `off`, `warn` and `require`"#
        ]],
    );
    assert!(is_offline);
    let is_offline = told(
        &format!("[polcy]\noffline = true\n{tables}"),
        &expect!["soma.toml:1:2: polcy: unknown key; there are `policy`, `host` and `tenants`"],
    );
    assert!(is_offline);
    // Its key may be the one that cannot be read.
    let keys = "[policy]\nsignatures = \"require\"\ntrusted-keys = [\"acme.pem\"]\n";
    let is_offline = told(
        &format!("{keys}{TABLE}"),
        &expect![
            "soma.toml:3:17: policy.trusted-keys.0: cannot read the key acme.pem: No such file or directory (os error 2)"
        ],
    );
    assert!(!is_offline);
    // The compiler's limits are not known.
    let limits = "[policy]\nsignatures = \"off\"\n[host]\ncompile-memory = 5\n";
    told(
        &format!("{limits}{TABLE}"),
        &expect!["soma.toml:4:18: host.compile-memory: must be a text, not a number"],
    );
}

#[test]
fn a_component_that_was_changed_after_it_was_signed_is_refused_even_where_none_must_be_signed() {
    let site = Site::new("supply-changed");
    let mut wasm = signed(&site);
    *wasm.last_mut().unwrap() ^= 1;
    site.put("echo.wasm", &wasm).write(&policy("warn"));
    let problems = site.check().unwrap_err().to_string();
    assert!(
        problems.ends_with("it was changed after it was signed"),
        "{problems}"
    );
    site.write(&policy("off"));
    assert!(site.check().unwrap().warnings.is_empty());
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
