//! The `soma` command from outside: what it prints and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    env, fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// One call of the command, and how it ended.
struct Run {
    exit: i32,
    stdout: String,
    stderr: String,
}

fn neuron(name: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target/neurons")
        .join(name)
        .with_extension("wasm");
    assert!(
        file.is_file(),
        "{} is missing: `cargo xtask neurons` builds it",
        file.display()
    );
    file
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Compiled code of this run only: what an earlier build left would be told
/// of in a log line.
static CACHE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = scratch("cache");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
        _ => folder,
    }
});

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soma"));
    command
        .env("XDG_CACHE_HOME", &*CACHE)
        .env_remove("SOMA_LOG")
        .env_remove("COLUMNS")
        .stdin(Stdio::null());
    command
}

fn end(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        exit: output.status.code().expect("ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `soma run` with these words behind the component.
fn run<'a>(component: impl AsRef<Path>, words: impl IntoIterator<Item = &'a str>) -> Run {
    end(command().arg("run").arg(component.as_ref()).args(words))
}

/// The puppet does what these steps say.
fn puppet<'a>(steps: &Value, words: impl IntoIterator<Item = &'a str>) -> Run {
    let input = json!({ "do": steps }).to_string();
    let granted = ["run", "--grant", "orchestration", "--input", &input];
    end(command().args(granted).arg(neuron("puppet")).args(words))
}

impl Run {
    /// Compares exit code and both streams; what differs from run to run is
    /// masked.
    fn is(&self, expected: &Expect) {
        let Self {
            exit,
            stdout,
            stderr,
        } = self;
        let all = format!("exit {exit}\n--- stdout\n{stdout}--- stderr\n{stderr}");
        expected.assert_eq(&masked(&all));
    }

    fn refuses(&self, exit: i32, expected: &Expect) {
        assert_eq!(
            (self.exit, self.stdout.as_str()),
            (exit, ""),
            "{}",
            self.stderr
        );
        expected.assert_eq(&masked(&self.stderr));
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Figures, ids and this machine's folders are replaced by their names.
fn masked(text: &str) -> String {
    let figures = [
        "fuel  ",
        "peak memory  ",
        "wall time  ",
        "CPU time  ",
        "host calls  ",
    ];
    let mut masked = String::new();
    for line in text.lines().map(str::trim_end) {
        match figures.iter().find(|figure| line.starts_with(*figure)) {
            Some(figure) => masked.push_str(&format!("{}: ..", figure.trim_end())),
            None => {
                let words = line.split(' ').map(|word| {
                    if word.starts_with("eng_") || word.starts_with("trace=trc_") {
                        let (kind, _) = word.split_once('_').unwrap();
                        format!("{kind}_..")
                    } else {
                        word.to_owned()
                    }
                });
                masked.push_str(&words.collect::<Vec<_>>().join(" "));
            }
        }
        masked.push('\n');
    }
    masked
        .replace(env!("CARGO_TARGET_TMPDIR"), "TMP")
        .replace(env!("CARGO_MANIFEST_DIR"), "REPOSITORY")
}

#[test]
fn a_reply_is_shown_with_its_route_and_what_it_cost() {
    let steps = json!([{"output": {"value": {"b": [1, 2.50], "a": "ä"}, "route": "approved"}}]);
    puppet(&steps, []).is(&expect![[r#"
        exit 0
        --- stdout
        AGENT_OUTPUT, route approved
        {
          "a": "ä",
          "b": [
            1,
            2.5
          ]
        }

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
    "#]]);
}

#[test]
fn what_is_no_object_is_an_output_under_the_key_value() {
    let run = puppet(&json!([{"output": {"value": 7}}]), ["--json"]);
    assert_eq!(run.json()["payload"], json!({"output": {"value": 7}}));
}

#[test]
fn a_question_back_and_a_request_for_leave_are_answers() {
    puppet(&json!([{"clarify": {"question": "which one?"}}]), []).is(&expect![[r#"
        exit 0
        --- stdout
        CLARIFICATION
        {
          "question": "which one?"
        }

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
    "#]]);
    let leave = json!([{"ask_leave": {"action": "delete", "scope": {"n": 3}, "reason": "old"}}]);
    puppet(&leave, []).is(&expect![[r#"
        exit 0
        --- stdout
        PERMISSION
        {
          "action": "delete",
          "scope": {
            "n": 3
          },
          "reason": "old"
        }

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
    "#]]);
}

#[test]
fn without_input_the_task_has_an_empty_one() {
    let run = run(neuron("echo"), ["--json"]);
    assert_eq!(run.json()["payload"], json!({"output": {}}));
}

#[test]
fn input_comes_from_a_file_or_from_standard_input() {
    let file = scratch("input.json");
    fs::write(&file, "{\"from\": \"a file\"}\n").unwrap();
    let read = run(
        neuron("echo"),
        ["--json", "--input-file", file.to_str().unwrap()],
    );
    assert_eq!(read.json()["payload"]["output"], json!({"from": "a file"}));

    let mut child = command()
        .args(["run", "--json", "--input-file", "-"])
        .arg(neuron("echo"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"from\": \"a pipe\"}").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["payload"]["output"], json!({"from": "a pipe"}));
}

#[test]
fn input_that_is_no_json_object_is_refused_with_its_place() {
    let echo = neuron("echo");
    run(&echo, ["--input", "{\"a\": }"]).refuses(
        2,
        &expect![[r#"
            error: --input is not JSON: expected value at line 1 column 7
            help: the input of a task is a JSON object, for example {"question": "why?"}
        "#]],
    );
    run(&echo, ["--input", "[1]"]).refuses(
        2,
        &expect![[r#"
            error: --input is JSON, but no object
            help: the input of a task is a JSON object, for example {"question": "why?"}
        "#]],
    );
    run(&echo, ["--input-file", "/nowhere/input.json"]).refuses(
        3,
        &expect![[r#"
            error: cannot read /nowhere/input.json: No such file or directory (os error 2)
        "#]],
    );
    let file = scratch("broken.json");
    fs::write(&file, "{\n  \"a\": tru\n}").unwrap();
    run(&echo, ["--input-file", file.to_str().unwrap()]).refuses(
        3,
        &expect![[r#"
            error: TMP/broken.json is not JSON: expected ident at line 3 column 0
            help: the input of a task is a JSON object, for example {"question": "why?"}
        "#]],
    );
    run(&echo, ["--input", "{}", "--input-file", "-"]).refuses(
        2,
        &expect![[r#"
            error: the argument '--input <JSON>' cannot be used with '--input-file <FILE>'

            Usage: soma run --input <JSON> <COMPONENT>

            For more information, try '--help'.
        "#]],
    );
}

#[test]
fn an_error_ends_with_1_its_code_and_its_message() {
    puppet(&json!([{"fail": {"code": "NO_SOURCE"}}]), []).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NO_SOURCE: told to fail with NO_SOURCE
    "#]]);
    puppet(
        &json!([{"fail": {"code": "BUSY", "recoverable": true}}]),
        [],
    )
    .is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: BUSY: told to fail with BUSY
        help: the same task may succeed when it is tried again
    "#]]);
    puppet(&json!(["trap"]), []).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_TRAP: the neuron trapped: wasm `unreachable` instruction executed
    "#]]);
    run(neuron("generator"), ["--input", "{\"question\": 7}"]).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: INVALID_INPUT: input.question: invalid type: integer `7`, expected a string at line 1 column 13
    "#]]);
}

#[test]
fn a_panic_is_told_in_the_neurons_own_words() {
    let run = puppet(&json!([{"panic": "no such page"}]), ["--json"]);
    assert_eq!(run.exit, 1);
    let payload = &run.json()["payload"];
    assert_eq!(payload["code"], "NEURON_PANIC");
    assert!(
        payload["message"]
            .as_str()
            .unwrap()
            .contains("no such page"),
        "{payload}"
    );
}

#[test]
fn a_budget_that_is_used_up_is_an_error_that_names_its_option() {
    let budgets = [
        (json!(["spin"]), "--fuel", "5_000_000"),
        (json!([{"burn": 1000}, "spin"]), "--fuel", "5000000"),
        (
            json!([{"repeat": {"times": 50, "steps": ["now"]}}]),
            "--host-calls",
            "10",
        ),
    ];
    for (steps, option, value) in budgets {
        let run = puppet(&steps, [option, value]);
        assert_eq!(run.exit, 1, "{}", run.stderr);
        assert!(
            run.stderr
                .ends_with(&format!("help: allow more with `{option}`\n")),
            "{}",
            run.stderr
        );
    }
    puppet(&json!(["spin"]), ["--fuel", "5_000_000"]).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_OUT_OF_FUEL: the neuron used up its 5000000 units of fuel; raise the fuel limit if the work is legitimate
        help: allow more with `--fuel`
    "#]]);
    run(
        neuron("hostile/many_small_allocations"),
        ["--memory", "2MiB"],
    )
    .is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_OUT_OF_MEMORY: the neuron needs more memory than its limit of 2097152 bytes
        help: allow more with `--memory`
    "#]]);
}

#[test]
fn a_neuron_that_takes_too_long_ends_with_4() {
    let expected = expect![[r#"
        exit 4
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_DEADLINE: the neuron ran longer than its 50 ms
        help: allow more with `--timeout`
    "#]];
    for steps in [json!(["spin"]), json!([{"sleep": 3_600_000}])] {
        puppet(&steps, ["--timeout", "50ms"]).is(&expected);
    }
}

#[test]
fn a_neuron_cannot_pretend_that_the_time_ran_out() {
    let run = puppet(&json!([{"fail": {"code": "NEURON_DEADLINE"}}]), []);
    assert_eq!(run.exit, 1);
}

#[test]
fn an_import_that_is_not_granted_is_refused_with_the_grant_it_needs() {
    run(neuron("puppet"), []).refuses(
        3,
        &expect![[r#"
            error: REPOSITORY/target/neurons/puppet.wasm was refused: the component imports `soma:neuron/orchestration@0.1.0`, which is not granted; grant `orchestration` or build it without
            help: if it may have that, add `--grant orchestration`
        "#]],
    );
    run(neuron("generator"), ["--no-default-grants"]).refuses(
        3,
        &expect![[r#"
            error: REPOSITORY/target/neurons/generator.wasm was refused: the component imports `soma:neuron/engram@0.1.0`, which is not granted; grant `engram` or build it without
            help: if it may have that, add `--grant engram`
        "#]],
    );
    let granted = ["--no-default-grants", "--grant", "log", "--grant", "clock"];
    assert_eq!(run(neuron("echo"), granted).exit, 0);
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
            error: TMP/wasi.wasm was refused: the component imports `wasi:cli/environment@0.2.0`, which this host does not offer
            help: build it for wasm32-unknown-unknown, which imports nothing of WASI (docs/neurons.md)
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
            error: TMP/broken.wasm was refused: the component cannot be read: unexpected end-of-file (at offset 0xb)
        "#]],
    );
}

#[test]
fn a_value_that_makes_no_sense_is_told_what_would() {
    let told = |words: &[&str]| {
        let run = run("neuron.wasm", words.iter().copied());
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""));
        run.stderr.lines().next().unwrap().to_owned()
    };
    let all = [
        ["--fuel", "lots"],
        ["--memory", "64M"],
        ["--timeout", "30"],
        ["--timeout=-1s", "--json"],
        ["--host-calls", "1.5"],
        ["--grant", "network"],
        ["--engram", "notes=disk"],
        ["--engram", "docs=vector:0"],
        ["--engram", ""],
        ["--engram=notes", "--engram=notes"],
        ["--color", "red"],
    ]
    .map(|words| told(&words));
    expect![[r#"
        error: invalid value 'lots' for '--fuel <UNITS>': write a whole number, for example 5000000 or 5_000_000
        error: invalid value '64M' for '--memory <SIZE>': write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB
        error: invalid value '30' for '--timeout <DURATION>': write a number and a unit, for example 500ms, 30s or 2m
        error: invalid value '-1s' for '--timeout <DURATION>': time cannot be negative
        error: invalid value '1.5' for '--host-calls <N>': write a whole number, for example 5000000 or 5_000_000
        error: invalid value 'network' for '--grant <NAME>': `network` is no grant; there are engram, synapse, orchestration, clock, log and random
        error: invalid value 'notes=disk' for '--engram <NAME[=KIND]>': `disk` is no kind of engram; there are `memory` and `vector:DIM`
        error: invalid value 'docs=vector:0' for '--engram <NAME[=KIND]>': the dimension is a number from 1 to 65536
        error: invalid value '' for '--engram <NAME[=KIND]>': the name is missing, for example `notes` or `notes=memory`
        error: --engram binds `notes` twice
        error: unexpected argument '--color' found
    "#]]
    .assert_eq(&(all.join("\n") + "\n"));
    run("neuron.wasm", ["--timeout=30"]).refuses(
        2,
        &expect![[r#"
            error: invalid value '30' for '--timeout <DURATION>': write a number and a unit, for example 500ms, 30s or 2m

            For more information, try '--help'.
        "#]],
    );
}

#[test]
fn engrams_are_bound_to_read_and_write_and_shown_on_request() {
    let note = |id: &str| json!({"write": {"to": "notes", "op": "upsert", "key": "k", "id": id, "content": {"n": 1}, "tags": ["a", "b"]}});
    let steps = json!([note("one"), note("two"), {"write": {"to": "notes", "op": "add", "content": "text"}},
        {"output": {"value": {}}}]);
    let words = ["--engram", "notes", "--engram", "empty=memory"];
    puppet(&steps, words.into_iter().chain(["--show-engrams"])).is(&expect![[r#"
        exit 0
        --- stdout
        AGENT_OUTPUT
        {}

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..

        engram notes (context): 2 entries
          one v2 key=k tags=a,b {"n":1}
          eng_.. v1 "text"

        engram empty (context): 0 entries
        --- stderr
    "#]]);
    assert!(!puppet(&steps, words).stdout.contains("engram"));
    let shown = puppet(
        &steps,
        words.into_iter().chain(["--show-engrams", "--json"]),
    )
    .json();
    assert_eq!(shown["engrams"][0]["entries"][0]["id"], "one");
    assert_eq!(
        shown["engrams"][1],
        json!({"name": "empty", "kind": "context", "entries": []})
    );
}

#[test]
fn a_vector_engram_takes_embeddings_of_its_dimension() {
    let input = json!({"document": {"id": "intro", "text": "One sentence. And another."}});
    let ingest = |engram: &str| {
        let input = input.to_string();
        run(
            neuron("ingester"),
            [
                "--show-engrams",
                "--json",
                "--engram",
                engram,
                "--input",
                &input,
            ],
        )
    };
    let fits = ingest("index=vector:16").json();
    assert_eq!(fits["engrams"][0]["kind"], "semantic");
    assert_eq!(fits["engrams"][0]["entries"].as_array().unwrap().len(), 1);
    let other = ingest("index=vector:8");
    assert_eq!(other.exit, 1);
    assert!(other.stdout.contains("dimension 16"), "{}", other.stdout);
}

#[test]
fn what_an_errors_neuron_wrote_before_is_shown_too() {
    let steps =
        json!([{"write": {"to": "notes", "op": "add", "content": 1}}, {"fail": {"code": "X"}}]);
    let run = puppet(&steps, ["--engram", "notes", "--show-engrams"]);
    assert_eq!(run.exit, 1);
    assert!(
        run.stdout.contains("engram notes (context): 1 entry\n"),
        "{}",
        run.stdout
    );
}

#[test]
fn json_is_one_object_with_these_keys_whatever_the_reply() {
    for steps in [
        json!([{"output": {"value": {}, "route": "next"}}]),
        json!(["trap"]),
    ] {
        let run = puppet(&steps, ["--json"]);
        let object = run.json();
        let keys: Vec<_> = object.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "type",
                "route",
                "payload",
                "trace_id",
                "fuel",
                "peak_memory_bytes",
                "cpu_us",
                "wall_us",
                "host_calls",
                "digest",
                "imports"
            ]
        );
        assert!(object["fuel"].as_u64().unwrap() > 0);
        assert!(object["peak_memory_bytes"].as_u64().unwrap() >= 65_536);
        assert!(object["wall_us"].as_u64() >= object["cpu_us"].as_u64());
        assert!(object["trace_id"].as_str().unwrap().starts_with("trc_"));
        assert!(object["digest"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn the_same_task_burns_the_same_fuel() {
    let fuel = || puppet(&json!([{"burn": 100_000}]), ["--json"]).json()["fuel"].clone();
    assert_eq!(fuel(), fuel());
}

#[test]
fn log_lines_go_to_standard_error_from_warnings_on_or_as_asked() {
    let steps = json!([{"log": "turning the page"}, {"output": {"value": {}}}]);
    assert_eq!(puppet(&steps, []).stderr, "");
    let line = expect![[r#"
        INFO neuron: turning the page trace=trc_.. tenant="cli" neuron="puppet" fields="{}"
    "#]];
    line.assert_eq(masked(&puppet(&steps, ["-v"]).stderr).trim_start());
    let asked = |filter: &str| {
        let input = json!({ "do": steps }).to_string();
        let mut command = command();
        let command = command
            .env("SOMA_LOG", filter)
            .arg("run")
            .arg(neuron("puppet"));
        end(command.args(["--grant", "orchestration", "--input", &input]))
    };
    line.assert_eq(masked(&asked("neuron=info").stderr).trim_start());
    assert_eq!(asked("off").stderr, "");
    asked("neuron=loud").refuses(
        2,
        &expect![[r#"
            error: SOMA_LOG is `neuron=loud`: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
            help: write a level (off, error, warn, info, debug, trace) or targets with levels, for example `neuron=debug,warn`
        "#]],
    );
}

#[test]
fn without_a_cache_folder_neurons_are_compiled_each_time() {
    let mut command = command();
    let command = command.env_remove("XDG_CACHE_HOME").env_remove("HOME");
    let run = end(command.args(["run", "--json"]).arg(neuron("echo")));
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    let file = scratch("no-folder");
    fs::write(&file, "").unwrap();
    let mut command = self::command();
    let command = command.env("XDG_CACHE_HOME", &file);
    let run = end(command.args(["run", "--json"]).arg(neuron("echo")));
    assert_eq!(run.exit, 0);
    assert!(
        run.stderr.contains("compiled code is not kept"),
        "{}",
        run.stderr
    );
}

#[test]
fn help_shows_two_examples_and_the_exit_codes() {
    let help = end(command().args(["run", "--help"]));
    assert_eq!((help.exit, help.stderr.as_str()), (0, ""));
    expect![[r#"
        Run one task on any neuron component and show reply and cost

        Usage: soma run [OPTIONS] <COMPONENT>

        Arguments:
          <COMPONENT>
                  The component file

        Options:
              --input <JSON>
                  Input of the task: a JSON object

                  [default: {}]

              --input-file <FILE>
                  Read the input from this file, `-` for standard input

              --fuel <UNITS>
                  CPU budget in fuel units, about one a wasm instruction

                  [default: 10_000_000_000]

              --memory <SIZE>
                  Most memory, all memories and tables of the task together

                  [default: 64MiB]

              --timeout <DURATION>
                  Most time until the reply, waits included

                  [default: 30s]

              --host-calls <N>
                  Most calls to the host

                  [default: 1_000_000]

              --compile-memory <SIZE>
                  Most memory of the process that compiles it

                  [default: 2GiB]

              --compile-cpu <DURATION>
                  Most CPU time of that process, in whole seconds

                  [default: 180s]

              --compile-timeout <DURATION>
                  Most time until that process has ended

                  [default: 600s]

              --grant <NAME>
                  Let it import this interface: engram, synapse, clock, log and random are granted anyway,
                  orchestration is not

              --no-default-grants
                  Grant nothing but what `--grant` names

              --engram <NAME[=KIND]>
                  Bind a fresh engram under this name, to read and write: NAME or NAME=memory holds entries,
                  NAME=vector:DIM entries with embeddings

              --show-engrams
                  Show what the engrams hold afterwards

              --json
                  Write one JSON object instead of text

          -v, --verbose
                  Show information lines of the log too

          -h, --help
                  Print help (see a summary with '-h')

          -V, --version
                  Print version

        Examples:
          One task, with its reply and what it cost:
            soma run target/neurons/echo.wasm --input '{"greeting": "hello"}'

          A neuron that keeps something in an engram, and what is in it afterwards:
            soma run target/neurons/generator.wasm --engram calls --show-engrams \
              --input '{"question": "what is a saga?"}'

        Log lines of the neuron go to standard error; SOMA_LOG filters them
        (for example SOMA_LOG=neuron=debug).

        Exit codes:
          0  the neuron answered: a result, a question back or a request for leave
          1  it answered with an ERROR
          2  the arguments make no sense
          3  a file is missing or unreadable, or the component was refused
          4  the time ran out
          5  the host itself could not start
    "#]]
    .assert_eq(&masked(&help.stdout));
    let top = end(command().arg("--help"));
    assert!(
        top.stdout.contains("Exit codes:\n  0  done\n"),
        "{}",
        top.stdout
    );
}

#[test]
fn a_command_line_without_a_verb_or_with_an_unknown_one_ends_with_2() {
    assert_eq!(end(&mut command()).exit, 2);
    let unknown = end(command().arg("rum"));
    assert_eq!(unknown.exit, 2);
    assert!(
        unknown.stderr.contains("similar subcommand exists: 'run'"),
        "{}",
        unknown.stderr
    );
}
