//! `soma run` on a component that carries a manifest.

use super::*;

/// A file of this component with this manifest, and its input's schema.
fn carrying(file: &str, name: &str, rest: &str, input: Option<Value>) -> PathBuf {
    let wasm = fs::read(component(name)).unwrap();
    let schemas = Schemas {
        input,
        output: None,
    };
    let path = scratch(&format!("running-{file}.wasm"));
    fs::write(&path, embed(&wasm, &manifest(rest), &schemas).unwrap()).unwrap();
    path
}

fn run<'a>(file: &Path, words: impl IntoIterator<Item = &'a str>) -> Run {
    end(command().arg("run").arg(file).args(words))
}

/// All that the puppet imports, its memory with this access.
fn puppet(file: &str, access: &str, more: &str) -> PathBuf {
    let asks = format!(
        "[engrams.memory]\naccess = \"{access}\"\n\
         [grants]\norchestration = true\nsynapse = [\"AUDIT\"]\nlog = true\nrandom = \"system\"\n{more}"
    );
    carrying(file, "puppet", &asks, None)
}

/// What the puppet says when it does this.
fn said(file: &Path, steps: &Value, words: &[&str]) -> Value {
    let input = json!({ "do": steps }).to_string();
    let given = ["--grant", "orchestration", "--json", "--input", &input];
    let run = run(file, given.iter().chain(words).copied());
    assert_eq!(run.exit, 0, "{}", run.stderr);
    run.json()["payload"]["output"]["said"].clone()
}

const GENERATOR: &str =
    "[engrams.calls]\naccess = \"read-write\"\n[grants]\nclock = \"wall\"\nlog = true\n";

fn question() -> Value {
    json!({
        "type": "object",
        "properties": {"question": {"type": "string"}},
        "required": ["question"],
    })
}

#[test]
fn a_component_that_says_what_it_needs_runs_without_options() {
    let file = carrying("generator", "generator", GENERATOR, Some(question()));
    let input = r#"{"question": "why?"}"#;
    let run = run(&file, ["--json", "--show-engrams", "--input", input]);
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    let told = run.json();
    assert_eq!(told["payload"]["output"]["attempt"], 1);
    assert_eq!(told["engrams"][0]["name"], "calls");
    assert_eq!(told["engrams"][0]["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn an_engram_with_embeddings_is_made_with_the_dimension_that_is_asked_for() {
    let asks = "[engrams.index]\naccess = \"read-write\"\ndimension = 16\n[grants]\nlog = true\n";
    let file = carrying("ingester", "ingester", asks, None);
    let input = r#"{"document": {"id": "a", "text": "a text"}}"#;
    let told = run(&file, ["--json", "--show-engrams", "--input", input]);
    assert_eq!(told.exit, 0, "{}", told.stderr);
    assert_eq!(told.json()["engrams"][0]["kind"], "semantic");
    for engram in ["index", "index=vector:8"] {
        let refused = run(&file, ["--engram", engram]);
        assert_eq!(refused.exit, 2);
        assert_eq!(
            refused.stderr,
            "error: --engram binds `index` without embeddings of 16 numbers, which the neuron \
             needs\nhelp: write `--engram index=vector:16`\n"
        );
    }
    let given = ["--engram", "index=vector:16", "--input", input];
    assert_eq!(run(&file, given).exit, 0);
}

#[test]
fn an_engram_that_is_not_asked_for_is_not_bound() {
    let file = carrying("unasked-engram", "generator", GENERATOR, None);
    run(&file, ["--engram", "cals"]).refuses(
        2,
        &expect![[r#"
        error: --engram binds `cals`, which the neuron does not ask for
        help: it asks for `calls`
    "#]],
    );
}

#[test]
fn a_binding_to_read_cannot_be_written_through() {
    let write = json!([{"write": {"to": "memory", "op": "append", "content": 1}}]);
    let told = said(&puppet("reads", "read", "clock = \"wall\""), &write, &[]);
    assert_eq!(told[0]["error"]["code"], "ENGRAM_DENIED", "{told}");
    // Nor when the command line binds it.
    let file = puppet("reads-too", "read", "clock = \"wall\"");
    let told = said(&file, &write, &["--engram", "memory"]);
    assert_eq!(told[0]["error"]["code"], "ENGRAM_DENIED", "{told}");
    let file = puppet("writes", "read-write", "clock = \"wall\"");
    assert!(said(&file, &write, &[])[0].get("error").is_none());
}

#[test]
fn only_the_signals_that_are_asked_for_can_be_published() {
    let emit = |kind: &str, payload: Value| json!({"emit": {"kind": kind, "payload": payload}});
    let steps = json!([
        emit("PLAN", json!({"steps": []})),
        emit(
            "AUDIT",
            json!({"kind": "k", "domain": "d", "outcome": "o", "attempt": 1}),
        ),
    ]);
    let told = said(&puppet("emits", "read", "clock = \"wall\""), &steps, &[]);
    assert_eq!(told[0]["error"]["code"], "EMIT_DENIED", "{told}");
    assert!(told[1].get("error").is_none(), "{told}");
}

#[test]
fn a_neuron_that_asks_for_a_time_of_its_own_gets_it() {
    let file = puppet("virtual", "read", "clock = \"virtual\"");
    // A day, within the time limit of half a minute.
    let told = said(&file, &json!(["now", {"sleep": 86_400_000}, "now"]), &[]);
    let times: Vec<_> = told
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    assert_eq!(times[1] - times[0], 86_400_000, "{told}");
}

#[test]
fn input_that_does_not_fit_is_refused_before_anything_runs() {
    let file = carrying("input", "generator", GENERATOR, Some(question()));
    run(&file, ["--input", r#"{"question": 7}"#]).refuses(
        2,
        &expect![[r#"
        error: --input does not fit the neuron's schema: at /question: 7 is not of type "string"
        help: `soma neuron inspect` shows what it takes
    "#]],
    );
    let input = scratch("running-input.json");
    fs::write(&input, "{}").unwrap();
    run(&file, ["--input-file", input.to_str().unwrap()]).refuses(3, &expect![[r#"
        error: TMP/running-input.json does not fit the neuron's schema: "question" is a required property
        help: `soma neuron inspect` shows what it takes
    "#]]);
}

#[test]
fn the_limits_are_those_that_are_wished_for_unless_the_command_line_says_otherwise() {
    let file = carrying(
        "modest",
        "hostile/spin",
        "[grants]\nlog = true\n[limits]\nfuel = 5_000_000\n",
        None,
    );
    let told = |words: &[&str]| run(&file, words.iter().copied()).stderr;
    assert!(
        told(&[]).contains("used up its 5000000 units"),
        "{}",
        told(&[])
    );
    assert!(told(&["--fuel", "7000000"]).contains("used up its 7000000 units"));
    let wishes =
        "[grants]\nlog = true\n[limits]\nmemory = \"2GiB\"\nfuel = 5_000_000\ntimeout = \"1ms\"\n";
    let file = carrying("greedy", "hostile/spin", wishes, None);
    let told = run(&file, ["--timeout", "30s"]);
    expect![[r#"
         WARN soma::cli::run::carried: it wishes for 2GiB of `memory`, more than 256MiB, which it gets unless an option allows more
        error: NEURON_OUT_OF_FUEL: the neuron used up its 5000000 units of fuel; raise the fuel limit if the work is legitimate
        help: allow more with `--fuel`
    "#]].assert_eq(&told.stderr);
}

#[test]
fn what_a_neuron_asks_for_beyond_the_default_is_refused_with_the_options_that_grant_it() {
    let file = puppet("orchestrates", "read", "clock = \"wall\"");
    run(&file, []).refuses(3, &expect![[r#"
        error: TMP/running-orchestrates.wasm was refused: it asks to start and stop other neurons; this is not granted
        help: if it may have that, add `--grant orchestration`
    "#]]);
    let asks = r#"
        [grants]
        log = true
        files = { data = "read", out = "read-write" }
        environment = ["LEVEL"]
        http = ["GET,POST=https://api.example.org"]
    "#;
    let file = carrying("wasi", "wasi_probe", asks, None);
    run(&file, []).refuses(3, &expect![[r#"
        error: TMP/running-wasi.wasm was refused: it asks for the folder `data` (read), for the folder `out` (read-write), for the environment variable `LEVEL`, to make requests `GET,POST=https://api.example.org:443`; this is not granted
        help: if it may have that, add `--dir FOLDER::/data --dir FOLDER::/out:rw --env LEVEL=VALUE --http GET,POST=https://api.example.org:443`
    "#]]);
    run(&file, ["--grant", "wasi", "--env", "LEVEL=1"]).refuses(3, &expect![[r#"
        error: TMP/running-wasi.wasm was refused: it asks for the folder `data` (read), for the folder `out` (read-write), to make requests `GET,POST=https://api.example.org:443`; this is not granted
        help: if it may have that, add `--dir FOLDER::/data --dir FOLDER::/out:rw --http GET,POST=https://api.example.org:443`
    "#]]);
    let file = carrying(
        "closed",
        "wasi_probe",
        "[grants]\nlog = true\nwasi = true\n",
        None,
    );
    run(&file, []).refuses(
        3,
        &expect![[r#"
            error: TMP/running-closed.wasm was refused: it asks for WASI; this is not granted
            help: if it may have that, add `--grant wasi`
        "#]],
    );
    let file = carrying("without", "generator", GENERATOR, None);
    run(&file, ["--no-default-grants"]).refuses(3, &expect![[r#"
        error: TMP/running-without.wasm was refused: it asks for engrams, for the time (`wall`), to write log lines; this is not granted
        help: if it may have that, add `--grant engram --grant clock --grant log`
    "#]]);
}

#[test]
fn a_neuron_gets_what_it_asks_for_and_is_granted_and_the_rest_is_warned_of() {
    let (data, other) = (folder("granted-data"), folder("granted-other"));
    fs::write(data.join("note"), "a note").unwrap();
    let asks = "[grants]\nlog = true\nfiles = { data = \"read\" }\nenvironment = [\"LEVEL\"]\n";
    let file = carrying("both", "wasi_probe", asks, None);
    let steps = r#"{"do": ["environment", "folders", {"read": ["/data", "note"]}, {"write": [["/data", "note"], "x"]}]}"#;
    let data = format!("{}::/data:rw", data.display());
    let other = format!("{}::/other", other.display());
    let words = [
        "--dir", &data, "--dir", &other, "--env", "LEVEL=3", "--env", "HOME=/", "--json",
        "--input", steps,
    ];
    let run = run(&file, words);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let told = &run.json()["payload"]["output"]["said"];
    assert_eq!(told[0], json!([["LEVEL", "3"]]));
    assert_eq!(told[1], json!(["/data"]));
    assert_eq!(told[2], "a note");
    assert!(told[3].get("error").is_some(), "{told}");
    let warned: Vec<_> = run.stderr.lines().map(str::trim).collect();
    expect![[r#"
        WARN soma::cli::run::carried: the neuron does not ask for the folder `other` (read); this grant gives nothing
        WARN soma::cli::run::carried: the neuron does not ask for the environment variable `HOME`; this grant gives nothing"#]].assert_eq(&warned.join("\n"));
}

#[test]
fn a_component_that_imports_more_than_it_says_is_refused() {
    let file = carrying("sly", "puppet", "[grants]\nlog = true\n", None);
    run(&file, ["--grant", "orchestration"]).refuses(3, &expect![[r#"
        error: TMP/running-sly.wasm was refused: it asks for more than it says: it imports `soma:neuron/orchestration@0.1.0`, which its manifest does not ask for
        help: write `orchestration = true` under `[grants]` into its neuron.toml, or build it without that import
    "#]]);
}

#[test]
fn a_component_that_was_changed_after_it_was_signed_is_warned_of() {
    let folder = folder("running-changed");
    let key = folder.join("key");
    assert_eq!(neuron(&[&"keygen", &key]).exit, 0);
    let file = carrying("changed", "generator", GENERATOR, None);
    assert_eq!(neuron(&[&"sign", &file, &"--key", &key]).exit, 0);
    let mut wasm = fs::read(&file).unwrap();
    *wasm.last_mut().unwrap() ^= 1;
    fs::write(&file, wasm).unwrap();
    let run = run(&file, ["--input", r#"{"question": "why?"}"#]);
    assert_eq!(run.exit, 0);
    assert!(
        run.stderr.contains("it was changed after it was signed"),
        "{}",
        run.stderr
    );
}
