//! The file itself.

use super::*;

#[test]
fn all_that_is_wrong_with_a_file_is_told_at_once_with_line_and_column() {
    let site = Site::new("file-wrong");
    site.write(
        r#"[policy]
signatures = "maybe"
trusted-keys = ["none.pub"]

[tenants."a b".engrams.docs]
kind = "vector"

[tenants.acme.neurons.echo]
source = "echo.wasm"
digets = "sha256:00"
limits = { fuel = "much", memory = "64 potatoes" }

[tenants.acme.neurons.echo.grants]
clock = "atomic"
telepathy = true
http = ["example.org"]
"#,
    );
    site.told(&expect![[r#"
        soma.toml:2:14: policy.signatures: "maybe" is none of `off`, `warn` and `require`
        soma.toml:3:17: policy.trusted-keys.0: cannot read the key none.pub: No such file or directory (os error 2)
        soma.toml:5:10: tenants."a b": "a b" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        soma.toml:5:24: tenants."a b".engrams.docs: an engram of kind `vector` needs a dimension, for example `dimension = 16`
        soma.toml:10:1: tenants.acme.neurons.echo.digets: unknown key; there are `source`, `digest`, `kind`, `capabilities`, `catch-all`, `bind`, `grants` and `limits`
        soma.toml:11:19: tenants.acme.neurons.echo.limits.fuel: must be a whole number, not a text
        soma.toml:11:36: tenants.acme.neurons.echo.limits.memory: "64 potatoes" is no size: write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB
        soma.toml:14:9: tenants.acme.neurons.echo.grants.clock: "atomic" is none of `wall` and `virtual`
        soma.toml:15:1: tenants.acme.neurons.echo.grants.telepathy: unknown key; there are `orchestration`, `synapse`, `clock`, `random`, `log`, `wasi`, `files`, `environment`, `pass-environment` and `http`
        soma.toml:16:9: tenants.acme.neurons.echo.grants.http.0: "example.org" is no rule: write methods, scheme, host and port, for example "GET,POST=https://api.example.org:8443""#]]);
}

#[test]
fn what_no_schema_can_say_of_a_file_is_told_too() {
    let site = Site::new("file-senseless");
    site.write(
        r#"[policy]
trusted-keys = ["none.pub"]

[tenants."a b".engrams.docs]
kind = "vector"

[tenants.acme.engrams.notes]
kind = "memory"
dimension = 3

[tenants.acme.neurons.echo]
source = "echo.wasm"
digest = "sha256:00"
bind.notes = { engram = "nots", access = "read" }
"#,
    );
    site.told(&expect![[r#"
        soma.toml:2:17: policy.trusted-keys.0: cannot read the key none.pub: No such file or directory (os error 2)
        soma.toml:4:10: tenants."a b": "a b" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        soma.toml:4:24: tenants."a b".engrams.docs: an engram of kind `vector` needs a dimension, for example `dimension = 16`
        soma.toml:7:23: tenants.acme.engrams.notes: only an engram of kind `vector` has a dimension
        soma.toml:13:10: tenants.acme.neurons.echo.digest: `sha256:00` is no digest: it is `sha256:` and 64 lower-case hexadecimal digits
        soma.toml:14:25: tenants.acme.neurons.echo.bind.notes.engram: tenant `acme` has no engram `nots`
          add:
          [tenants.acme.engrams.nots]
          kind = "memory""#]]);
}

/// Asks for an engram and for log lines.
const NOTES: &str = "id = \"notes\"\nversion = \"1.0.0\"\n[engrams.memory]\n\
                     access = \"read-write\"\ndimension = 4\n[grants]\nlog = true\n";

#[test]
fn mistakes_of_the_file_and_of_its_components_are_told_at_once() {
    let site = Site::new("file-and-components");
    site.add("echo", "echo.wasm", ECHO)
        .add("echo", "notes.wasm", NOTES)
        .write(
            r#"[policy]
signatures = "require"

[tenants."a b".neurons.echo]
source = "echo.wasm"

[tenants.acme.neurons.typo]
source = "echo.wasm"
digest = "sha256:00"
bind.memory = { engram = "none" }
grants = { clok = "wall" }

[tenants.acme.neurons.other]
source = "echo.wasm"
bind.memory = { engram = "none", access = "read" }
limits.memory = "64 potatoes"

[tenants.acme.neurons.pinned]
source = "echo.wasm"
digest = "sha256:00"

[tenants.acme.neurons.unbound]
source = "notes.wasm"
grants.log = true
bind.memory = { engram = "none", access = "read" }
"#,
        );
    site.told(&expect![[r#"
        soma.toml:4:10: tenants."a b": "a b" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        soma.toml:4:24: tenants."a b".neurons.echo.grants.log: the component asks to write log lines, which is not granted
          to grant that, write:
          [tenants."a b".neurons.echo.grants]
          log = true
        soma.toml:5:10: tenants."a b".neurons.echo.source: it is not signed
          ask its author for one that is signed (`soma neuron sign`), or take it as it is: `signatures = "warn"` under [policy]
        soma.toml:9:10: tenants.acme.neurons.typo.digest: `sha256:00` is no digest: it is `sha256:` and 64 lower-case hexadecimal digits
        soma.toml:10:15: tenants.acme.neurons.typo.bind.memory: the key `access` is missing
        soma.toml:10:26: tenants.acme.neurons.typo.bind.memory.engram: tenant `acme` has no engram `none`
          add:
          [tenants.acme.engrams.none]
          kind = "memory"
        soma.toml:11:12: tenants.acme.neurons.typo.grants.clok: unknown key; there are `orchestration`, `synapse`, `clock`, `random`, `log`, `wasi`, `files`, `environment`, `pass-environment` and `http`
        soma.toml:15:26: tenants.acme.neurons.other.bind.memory.engram: tenant `acme` has no engram `none`
          add:
          [tenants.acme.engrams.none]
          kind = "memory"
        soma.toml:16:17: tenants.acme.neurons.other.limits.memory: "64 potatoes" is no size: write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB
        soma.toml:20:10: tenants.acme.neurons.pinned.digest: `sha256:00` is no digest: it is `sha256:` and 64 lower-case hexadecimal digits
        soma.toml:23:10: tenants.acme.neurons.unbound.source: it is not signed
          ask its author for one that is signed (`soma neuron sign`), or take it as it is: `signatures = "warn"` under [policy]
        soma.toml:25:26: tenants.acme.neurons.unbound.bind.memory.engram: tenant `acme` has no engram `none`
          add:
          [tenants.acme.engrams.none]
          kind = "memory"
        soma.toml:25:43: tenants.acme.neurons.unbound.bind.memory.access: the component asks for `read-write`, which is not granted"#]]);
}

#[test]
fn what_follows_from_a_mistake_is_told_as_no_other() {
    let site = Site::new("file-consequences");
    site.add("echo", "notes.wasm", NOTES);
    let told = |text: &str, expected: &Expect| {
        site.write(text);
        site.told(expected);
    };
    let neuron = r#"
[tenants.acme.neurons.notes]
source = "notes.wasm"
grants.log = true
bind.memory = { engram = "memory", access = "read-write" }
"#;
    // The engram is there, and what it holds is not known.
    told(
        &format!("[tenants.acme.engrams.memory]\nkind = \"vector\"\n{neuron}"),
        &expect![
            "soma.toml:1:23: tenants.acme.engrams.memory: an engram of kind `vector` needs a dimension, for example `dimension = 16`"
        ],
    );
    told(
        &format!("[tenants.acme.engrams.memory]\nkind = \"vektor\"\n{neuron}"),
        &expect![[
            r#"soma.toml:2:8: tenants.acme.engrams.memory.kind: "vektor" is none of `memory` and `vector`"#
        ]],
    );
    // It may be meant to be there.
    told(
        &format!("[tenants.acme.engrms.memory]\nkind = \"memory\"\n{neuron}"),
        &expect![
            "soma.toml:1:15: tenants.acme.engrms: unknown key; there are `quotas`, `engrams` and `neurons`"
        ],
    );
    // Bound by another name, it is not to be added once more.
    let other = neuron.replace("bind.memory", "bind.other");
    told(
        &format!("[tenants.acme.engrams.memory]\nkind = \"vektor\"\n{other}"),
        &expect![[r#"
            soma.toml:2:8: tenants.acme.engrams.memory.kind: "vektor" is none of `memory` and `vector`
            soma.toml:7:1: tenants.acme.neurons.notes.bind: the component asks for an engram `memory` (read-write), which is not bound; `other` is bound, which it does not ask for
              to grant that, add beside line 7:
              bind.memory = { engram = "memory", access = "read-write" }"#]],
    );
}

#[test]
fn of_very_many_neurons_that_are_wrong_the_first_are_told() {
    let site = Site::new("file-many-neurons");
    let text: String = (0..5_000)
        .map(|number| format!("[tenants.a.neurons.n{number}]\nsorce=\"a\"\n"))
        .collect();
    site.write(&text);
    let problems = site.check().unwrap_err();
    assert_eq!(problems.count("problem"), "more than 50 problems");
}

#[test]
fn a_file_that_is_missing_is_told() {
    let site = Site::new("file-missing");
    site.told(&expect![
        "soma.toml: cannot read: No such file or directory (os error 2)"
    ]);
}

#[test]
fn the_committed_schema_of_the_file_is_that_of_the_code() {
    let schema = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    expect_file!["../../schemas/soma.schema.json"].assert_eq(&schema);
}

#[test]
fn a_folder_that_is_no_project_is_told_and_watched_all_the_same() {
    let site = Site::new("file-projects");
    site.write(
        "[policy]\nsignatures = \"off\"\n\n[tenants.acme.neurons.bare]\nsource = \"bare\"\n\n\
         [tenants.acme.neurons.broken]\nsource = \"broken\"\n",
    );
    for folder in ["bare", "broken"] {
        fs::create_dir(site.folder.join(folder)).unwrap();
    }
    fs::write(
        site.folder.join("broken/neuron.toml"),
        "id = 7\nversion = 7\n",
    )
    .unwrap();
    site.told(&expect![[r#"
        soma.toml:5:10: tenants.acme.neurons.bare.source: the folder is no project that can be read: bare/neuron.toml: cannot read: No such file or directory (os error 2)
        soma.toml:8:10: tenants.acme.neurons.broken.source: the folder is no project that can be read: broken/neuron.toml:1:6: id: must be a text, not a number (and more: `soma neuron check` tells all)"#]]);
    let files = Deployment::read(&site.file()).unwrap().files();
    let names: Vec<_> = files
        .iter()
        .map(|file| site.shown(&file.display().to_string()))
        .collect();
    assert_eq!(
        names,
        ["soma.toml", "bare/neuron.toml", "broken/neuron.toml"]
    );
}

#[test]
fn a_file_of_many_mistakes_is_told_in_part() {
    let site = Site::new("file-many");
    let text: String = (0..5_000)
        .map(|number| format!("k{number} = 1\n"))
        .collect();
    site.write(&text);
    let problems = site.check().unwrap_err();
    assert_eq!(problems.0.len(), 51);
    assert_eq!(problems.count("problem"), "more than 50 problems");
    let told = site.shown(&problems.to_string());
    assert!(
        told.starts_with("soma.toml:1:1: k0: unknown key;"),
        "{told}"
    );
    assert!(
        told.ends_with("\nsoma.toml: more than that is wrong"),
        "{told}"
    );
}
