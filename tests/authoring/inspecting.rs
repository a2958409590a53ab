//! `soma neuron inspect`.

use super::*;

const ALL: &str = r#"
language = "c"
kind = "mind"
capabilities = ["remember", "think"]
description = "Keeps notes."
licence = "Apache-2.0"

[engrams.notes]
access = "read-write"
dimension = 16
description = "what was noted"

[engrams.rules]
access = "read"

[grants]
orchestration = true
synapse = ["PLAN", "AUDIT", "CRITIQUE"]
clock = "virtual"
random = "seeded"
log = true
files = { data = "read", out = "read-write" }
environment = ["API_BASE"]
http = ["GET,POST=https://api.example.org", "GET=http://localhost:8080"]

[limits]
fuel = 5_000_000
memory = "32MiB"
timeout = "2s"
host-calls = 1_000
"#;

fn all() -> Vec<u8> {
    let imports = [
        "soma:neuron/engram@0.1.0",
        "soma:neuron/log@0.1.0",
        "soma:neuron/clock@0.2.0",
        "wasi:http/outgoing-handler@0.2.0",
        "print",
    ];
    let schemas = Schemas {
        input: Some(json!({
            "properties": {
                "question": {"type": "string", "description": "what to answer"},
                "depth": {"type": "integer"},
            },
            "required": ["question"],
        })),
        output: Some(json!({"type": "object"})),
    };
    embed(&healthy(&imports), &manifest(ALL), &schemas).unwrap()
}

#[test]
fn what_a_component_is_and_asks_for_is_told_in_words() {
    let file = scratch("all.wasm");
    fs::write(&file, all()).unwrap();
    shows(
        &neuron(&[&"inspect", &file]),
        &expect![[r#"
            exit 0
            --- stdout
            id            notes
            version       1.2.3
            description   Keeps notes.
            licence       Apache-2.0
            kind          mind
            capabilities  remember, think
            language      c
            size          1.8 KiB (1 870 bytes)
            digest        sha256:..
            contract      soma:neuron@0.1.0, runs on this host's 0.1.0
                          soma:neuron@0.2.0, does not run on this host's 0.1.0
            imports       soma:neuron@0.1.0: types, engram, log
                          soma:neuron@0.2.0: clock
                          wasi:http@0.2.0: outgoing-handler
                          print
            asks for      the engram `notes`, to read and write, with embeddings of 16 numbers: what was noted
                          the engram `rules`, to read
                          to start, retry and stop other neurons of its tenant
                          to publish PLAN, AUDIT and CRITIQUE signals
                          a time of its own, which moves by its own sleeps alone
                          randomness that is the same for the same task
                          to write log lines on its trace
                          a folder as /data, to read
                          a folder as /out, to read and to change; no rollback takes that back
                          the environment variable API_BASE
                          to send GET and POST to https://api.example.org:443
                          to send GET to http://localhost:8080
                          WASI 0.2, with everything closed that is not named here
            wishes for    fuel 5000000
                          memory 32MiB
                          timeout 2s
                          host-calls 1000
            input         question, string, required: what to answer
                          depth, integer
            output        {"type":"object"}
            signed by     nobody
            metadata      name: notes
                          version: 1.2.3
                          description: Keeps notes.
                          licenses: Apache-2.0

            warning: its manifest asks for `grants.orchestration`, for which it imports nothing

            warning: its manifest asks for `grants.synapse`, for which it imports nothing

            warning: its manifest asks for `grants.random`, for which it imports nothing

            warning: its manifest asks for `grants.files`, for which it imports nothing

            warning: its manifest asks for `grants.environment`, for which it imports nothing
            --- stderr
        "#]],
    );
}

#[test]
fn the_keys_of_json_are_kept() {
    let file = scratch("all-json.wasm");
    let wasm = all();
    fs::write(&file, &wasm).unwrap();
    let told = neuron(&[&"inspect", &file, &"--json"]).json();
    let keys: Vec<_> = told.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "file",
            "digest",
            "size_bytes",
            "manifest",
            "schemas",
            "contract",
            "imports",
            "exports",
            "unasked",
            "unused",
            "signatures",
            "metadata"
        ]
    );
    let package = Package::read(&wasm).unwrap();
    assert_eq!(told["digest"], package.digest.to_string());
    assert_eq!(told["size_bytes"], wasm.len());
    assert_eq!(told["manifest"]["id"], "notes");
    assert_eq!(told["manifest"]["engrams"]["notes"]["dimension"], 16);
    assert_eq!(told["schemas"]["output"], json!({"type": "object"}));
    assert_eq!(
        told["contract"],
        json!({"package": "soma:neuron", "built_for": ["0.1.0", "0.2.0"], "offered": "0.1.0"})
    );
    assert_eq!(told["imports"][1], "soma:neuron/engram@0.1.0");
    assert_eq!(told["exports"], json!(["soma:neuron/handler@0.1.0"]));
    assert_eq!(told["unasked"], json!([]));
    assert_eq!(told["unused"][0], "grants.orchestration");
    assert_eq!(told["signatures"], json!([]));
    assert_eq!(told["metadata"]["name"], "notes");
}

#[test]
fn a_component_that_says_nothing_is_shown_as_far_as_it_goes() {
    let file = scratch("says-nothing.wasm");
    fs::write(&file, wat::parse_str("(component)").unwrap()).unwrap();
    shows(
        &neuron(&[&"inspect", &file]),
        &expect![[r#"
        exit 0
        --- stdout
        manifest      none: the file does not say what it is
        size          8 B (8 bytes)
        digest        sha256:..
        contract      none: it has nothing to do with soma:neuron
        imports       nothing
        signed by     nobody
        --- stderr
    "#]],
    );
    let told = neuron(&[&"inspect", &file, &"--json"]).json();
    assert_eq!(told["manifest"], Value::Null);
}

#[test]
fn a_component_of_this_repository_is_known_by_its_imports() {
    let told = neuron(&[&"inspect", &component("puppet"), &"--json"]).json();
    let imports: Vec<_> = told["imports"].as_array().unwrap().iter().collect();
    assert!(
        imports.contains(&&json!("soma:neuron/orchestration@0.1.0")),
        "{imports:?}"
    );
}

#[test]
fn a_strangers_words_do_nothing_to_the_terminal() {
    let file = scratch("escapes.wasm");
    let says = "description = \"\\u001b[2J\\u202eevil\\nsigned by    everybody\"\n";
    fs::write(&file, packaged(&healthy(&["\u{1b}[31m"]), says)).unwrap();
    for verb in ["inspect", "check"] {
        let run = neuron(&[&verb, &file]);
        let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!run.stdout.contains(odd), "{}", run.stdout);
        assert!(!run.stderr.contains(odd), "{}", run.stderr);
    }
    let told = neuron(&[&"inspect", &file]).stdout;
    assert!(
        told.contains("description   \\u{1b}[2J\\u{202e}evil\\nsigned by    everybody\n"),
        "{told}"
    );
}

#[test]
fn what_cannot_be_looked_at_is_told_why() {
    let file = scratch("no-component.wasm");
    fs::write(&file, "hello").unwrap();
    shows(
        &neuron(&[&"inspect", &file]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/no-component.wasm: this is not a WebAssembly component: it does not start like one
    "#]],
    );
    shows(
        &neuron(&[&"inspect", &"/nowhere.wasm"]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: cannot read /nowhere.wasm: No such file or directory (os error 2)
    "#]],
    );
    shows(
        &neuron(&[&"inspect", &file, &"--key", &file]),
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: TMP/no-component.wasm is no public key: it must be a PEM file of an ed25519 key, as `soma neuron keygen` writes it (ASN.1 error: PEM error: PEM preamble contains invalid data (NUL byte))
        "#]],
    );
}

/// A component whose manifest is wrong in a way that quotes what it says.
fn quoting() -> Vec<u8> {
    let mut wasm = healthy(&[]);
    let key = "\\u001b]0;title\\u0007\u{202e}\u{9b}2J\\nx";
    let text = format!("{{\"format\": 1, \"manifest\": {{\"{key}\": 1}}}}");
    let name = b"soma:manifest";
    let size = 1 + name.len() + text.len();
    wasm.extend([
        0,
        u8::try_from(size).unwrap(),
        u8::try_from(name.len()).unwrap(),
    ]);
    wasm.extend(name);
    wasm.extend(text.as_bytes());
    wasm
}

#[test]
fn what_a_broken_manifest_says_reaches_no_terminal_as_it_is() {
    let folder = folder("quoting");
    let file = folder.join("notes.wasm");
    fs::write(&file, quoting()).unwrap();
    let key = folder.join("mine");
    neuron(&[&"keygen", &key]);
    let case = folder.join("cases");
    fs::create_dir(&case).unwrap();
    fs::write(
        case.join("one.json"),
        r#"{"input": {}, "expect": {"reply": {"output": {}}}}"#,
    )
    .unwrap();
    let all: [&[&dyn AsRef<Path>]; 5] = [
        &[&"neuron", &"inspect", &file],
        &[&"neuron", &"sign", &file, &"--key", &key],
        &[&"neuron", &"test", &file],
        &[&"neuron", &"check", &file],
        &[&"run", &file],
    ];
    let mut told = Vec::new();
    for words in all {
        let words = words.iter().map(|word| word.as_ref().as_os_str());
        let run = end(command().args(words));
        assert_eq!(run.exit, 3);
        let said = run.stdout + &run.stderr;
        assert!(
            !said.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}']),
            "{said:?}"
        );
        told.push(said.replace(env!("CARGO_TARGET_TMPDIR"), "TMP"));
    }
    expect![[r#"
        error: TMP/authoring-quoting/notes.wasm: its embedded manifest is wrong: unknown field `\u{1b}]0;title\u{7}\u{202e}\u{9b}2J\nx`, expected one of `id`, `version`, `language`, `kind`, `capabilities`, `description`, `licence`, `schema`, `engrams`, `grants`, `limits`, `flow` at line 1 column 59
        error: TMP/authoring-quoting/notes.wasm: its embedded manifest is wrong: unknown field `\u{1b}]0;title\u{7}\u{202e}\u{9b}2J\nx`, expected one of `id`, `version`, `language`, `kind`, `capabilities`, `description`, `licence`, `schema`, `engrams`, `grants`, `limits`, `flow` at line 1 column 59
        error: TMP/authoring-quoting/notes.wasm was refused: its embedded manifest is wrong: unknown field `\u{1b}]0;title\u{7}\u{202e}\u{9b}2J\nx`, expected one of `id`, `version`, `language`, `kind`, `capabilities`, `description`, `licence`, `schema`, `engrams`, `grants`, `limits`, `flow` at line 1 column 59
        TMP/authoring-quoting/notes.wasm: this host cannot run it
        - its embedded manifest is wrong: unknown field `\u{1b}]0;title\u{7}\u{202e}\u{9b}2J\nx`, expected one of `id`, `version`, `language`, `kind`, `capabilities`, `description`, `licence`, `schema`, `engrams`, `grants`, `limits`, `flow` at line 1 column 59
        error: TMP/authoring-quoting/notes.wasm was refused: its embedded manifest is wrong: unknown field `\u{1b}]0;title\u{7}\u{202e}\u{9b}2J\nx`, expected one of `id`, `version`, `language`, `kind`, `capabilities`, `description`, `licence`, `schema`, `engrams`, `grants`, `limits`, `flow` at line 1 column 59
    "#]].assert_eq(&told.concat());
}
