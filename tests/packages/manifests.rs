//! `neuron.toml`.

use super::*;

fn told(text: &str, expected: &Expect) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manifests");
    fs::create_dir_all(&folder).unwrap();
    let name = soma::package::Digest::of(text.as_bytes()).hex();
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    let problems = Manifest::read(&path).unwrap_err().to_string();
    let shown = problems.replace(&path.display().to_string(), "neuron.toml");
    expected.assert_eq(&shown);
}

#[test]
fn a_manifest_says_what_a_neuron_is_and_asks_for() {
    let manifest = manifest();
    assert_eq!(manifest.id, "notes");
    assert_eq!(manifest.limits.memory.unwrap().bytes, 32 << 20);
    assert_eq!(manifest.grants.http[0].port(), 443);
    assert!(manifest.grants.needs_wasi());
    assert!(!manifest.grants.orchestration);
}

#[test]
fn all_that_is_wrong_with_a_manifest_is_told_at_once_with_line_and_column() {
    told(
        r#"id = "no te"
version = "one"
langauge = "rust"
capabilities = "remember"

[engrams.notes]
access = "write"

[grants]
telepathy = true
clock = 7
http = ["ftp://example.org"]

[limits]
memory = "much"
"#,
        &expect![[r#"
            neuron.toml:3:1: langauge: unknown key; there are `id`, `version`, `language`, `kind`, `capabilities`, `description`, `licence`, `schema`, `engrams`, `grants`, `limits` and `flow`
            neuron.toml:4:16: capabilities: must be a list, not a text
            neuron.toml:7:10: engrams.notes.access: "write" is none of `read` and `read-write`
            neuron.toml:10:1: grants.telepathy: unknown key; there are `orchestration`, `synapse`, `clock`, `random`, `log`, `wasi`, `files`, `environment` and `http`
            neuron.toml:11:9: grants.clock: 7 is none of `wall` and `virtual`
            neuron.toml:12:9: grants.http.0: "ftp://example.org" is no rule: write methods, scheme, host and port, for example "GET,POST=https://api.example.org:8443"
            neuron.toml:15:10: limits.memory: "much" is no size: write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB"#]],
    );
}

#[test]
fn what_no_schema_can_say_is_told_too() {
    told(
        r#"id = "no te"
version = "one"

[grants]
files = { "../up" = "read" }
"#,
        &expect![[r#"
            neuron.toml:1:6: id: "no te" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
            neuron.toml:2:11: version: "one" is no version such as "1.0.0": unexpected character 'o' while parsing major version number
            neuron.toml:5:21: grants.files."../up": "../up" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"#]],
    );
}

#[test]
fn what_has_the_right_form_and_still_makes_no_sense_has_a_place_too() {
    told(
        "id = \"a\"\nversion = \"1.0.0\"\n[grants]\nhttp = [\"http://a\", \"http://a:0\"]\n",
        &expect!["neuron.toml:4:21: grants.http.1: 0 is no port"],
    );
}

#[test]
fn what_a_manifest_says_cannot_pose_as_lines_of_ours() {
    told(
        r#"id = "a"
version = "1.0.0"
[grants]
environment = ["X = 1\norchestration = true\n#"]
[engrams."b\u001b[2K\nerror: none"]
access = "read"
"#,
        &expect![[r#"
            neuron.toml:4:16: grants.environment.0: "X = 1\norchestration = true\n#" cannot be the name of a variable: use letters, digits and `_`
            neuron.toml:5:1: engrams."b\u{1b}[2K\nerror: none": "b\u{1b}[2K\nerror: none" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"#]],
    );
}

#[test]
fn what_is_missing_is_named() {
    told(
        "",
        &expect![[r#"
            neuron.toml: the key `id` is missing
            neuron.toml: the key `version` is missing"#]],
    );
}

#[test]
fn wrong_syntax_is_told_in_every_place() {
    told(
        "id = \nversion = \"1\" \"2\"\n",
        &expect![[r#"
        neuron.toml:1:6: string values must be quoted, expected literal string
        neuron.toml:2:15: unexpected key or value, expected newline, `#`"#]],
    );
}

#[test]
fn a_schema_file_that_is_missing_or_no_schema_is_told_at_its_key() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemas");
    fs::create_dir_all(&folder).unwrap();
    let text =
        "id = \"a\"\nversion = \"1.0.0\"\n[schema]\ninput = \"no.json\"\noutput = \"bad.json\"\n";
    fs::write(folder.join("bad.json"), r#"{"type": "sting"}"#).unwrap();
    fs::write(folder.join("neuron.toml"), text).unwrap();
    let (manifest, document) = Manifest::read(&folder).unwrap();
    let problems = Schemas::read(&manifest, &document).unwrap_err().to_string();
    let shown = problems.replace(&folder.display().to_string(), "");
    expect![[r#"
        /neuron.toml:4:9: schema.input: no.json: cannot read: No such file or directory (os error 2)
        /neuron.toml:5:10: schema.output: bad.json: is no JSON schema (draft 2020-12): at /type: "sting" is not valid under any of the schemas listed in the 'anyOf' keyword"#]].assert_eq(&shown);
}

#[test]
fn the_committed_schema_of_the_manifest_is_that_of_the_code() {
    let schema = serde_json::to_string_pretty(&schema_of::<Manifest>()).unwrap() + "\n";
    expect_file!["../../schemas/neuron.schema.json"].assert_eq(&schema);
}

#[test]
fn a_key_is_no_longer_than_a_name_and_what_lies_below_it_costs_no_more_for_it() {
    let key = "k".repeat(100_000);
    let items = vec!["0"; 50_000].join(",");
    let toml = Document::parse(
        Path::new("neuron.toml"),
        format!("id = \"a\"\n\"{key}\" = [{items}]\n"),
    );
    expect!["neuron.toml:2:1: this key has more than 256 bytes"]
        .assert_eq(&toml.unwrap_err().to_string());
    let json = Document::parse(
        Path::new("case.json"),
        format!("{{\"a\": {{\"{key}\": [{items}], \"{key}\": 1}}}}"),
    );
    expect![[r#"
        case.json:1:8: this key has more than 256 bytes
        case.json:1:200015: this key has more than 256 bytes"#]]
    .assert_eq(&json.unwrap_err().to_string());
}

#[test]
fn mistakes_are_found_at_their_place_in_a_text_of_any_length() {
    let blank = "\n".repeat(200_000);
    let text = format!("id = \"ä\"\nversion = \"1.0.0\"{blank}# ü\n[grants]\n\"lög\" = true\n");
    expect![[r#"neuron.toml:1:6: id: "ä" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"#]]
    .assert_eq(&wrong_at(&text.replace("\"lög\"", "log")));
    expect![[r#"neuron.toml:200004:1: grants."lög": unknown key; there are `orchestration`, `synapse`, `clock`, `random`, `log`, `wasi`, `files`, `environment` and `http`"#]]
        .assert_eq(&wrong_at(&text));
}

fn wrong_at(text: &str) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("places");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("neuron.toml"), text).unwrap();
    let told = Manifest::read(&folder).unwrap_err().to_string();
    told.replace(&format!("{}/", folder.display()), "")
}
