//! The `soma` command from outside: what it prints and how it ends. The demo
//! has its own tests in `tests/demo.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "cli/engrams.rs"]
mod engrams;
#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/grants.rs"]
mod grants;
#[path = "cli/input.rs"]
mod input;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/replies.rs"]
mod replies;

use std::{fs, io::Write, path::Path, process::Stdio};

use common::{
    command::{Run, command, end, masked, scratch},
    component,
};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

/// `soma run` with these words behind the component.
fn run<'a>(component: impl AsRef<Path>, words: impl IntoIterator<Item = &'a str>) -> Run {
    end(command().arg("run").arg(component.as_ref()).args(words))
}

/// The puppet does what these steps say.
fn puppet<'a>(steps: &Value, words: impl IntoIterator<Item = &'a str>) -> Run {
    let input = json!({ "do": steps }).to_string();
    let granted = ["run", "--grant", "orchestration", "--input", &input];
    end(command().args(granted).arg(component("puppet")).args(words))
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
        ["--dir", "data"],
        ["--dir", "data::/data:w"],
        ["--env", "LEVEL"],
        ["--env=A=1", "--env=A=2"],
        ["--http", "api.example.org"],
        ["--http", "get=https://api.example.org"],
        ["--http", "https://*.example.org"],
        ["--clock", "fast"],
        ["--trace", "mine"],
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
        error: invalid value 'network' for '--grant <NAME>': `network` is no grant; there are engram, synapse, orchestration, clock, log, random and wasi
        error: invalid value 'data' for '--dir <HOST::GUEST[:ro|:rw]>': write the host's folder, `::` and the guest's, for example ./data::/data
        error: invalid value 'data::/data:w' for '--dir <HOST::GUEST[:ro|:rw]>': `w` is no access; there are `ro` to read and `rw` to read and write
        error: invalid value 'LEVEL' for '--env <NAME=VALUE>': write a name, `=` and its value, for example LEVEL=3
        error: --env sets `A` twice
        error: invalid value 'api.example.org' for '--http <[METHODS=]SCHEME://HOST[:PORT]>': `api.example.org` names no scheme; write for example https://api.example.org
        error: invalid value 'get=https://api.example.org' for '--http <[METHODS=]SCHEME://HOST[:PORT]>': `get` is no method that can be granted; write it in capitals, for example GET
        error: invalid value 'https://*.example.org' for '--http <[METHODS=]SCHEME://HOST[:PORT]>': `*.example.org` is no host; write one name or address without scheme, port and path, for example api.example.org
        error: invalid value 'fast' for '--clock <TIME>'
        error: invalid value 'mine' for '--trace <ID>': an id must be a string that starts with `trc_`
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
            .arg(component("puppet"));
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
fn a_task_logs_so_much_and_is_told_once_that_the_rest_is_dropped() {
    let steps = json!([
        {"repeat": {"times": 600, "steps": [{"log": "x".repeat(8_000)}]}},
        {"panic": "the last words"}
    ]);
    let run = puppet(&steps, ["-v"]);
    let lines: Vec<_> = run.stderr.lines().collect();
    let [shown @ .., warning, error] = &lines[..] else {
        panic!("{lines:?}")
    };
    // Each line is charged its text, its fields `{}` and 128 bytes.
    assert_eq!(shown.len(), (4 << 20) / (8_000 + 2 + 128));
    assert!(shown.iter().all(|line| line.contains("INFO neuron: xxx")));
    expect![[r#"
        WARN neuron: the task has written its 4194304 bytes of log; what follows is dropped trace=trc_.. tenant="cli" neuron="puppet" fields="{}"
    "#]]
    .assert_eq(masked(warning).trim_start());
    assert!(error.starts_with("error: NEURON_PANIC"), "{error}");
    assert!(error.contains("the last words"), "{error}");
}

#[test]
fn without_a_cache_folder_neurons_are_compiled_each_time() {
    let mut command = command();
    let command = command.env_remove("XDG_CACHE_HOME").env_remove("HOME");
    let run = end(command.args(["run", "--json"]).arg(component("echo")));
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    let file = scratch("no-folder");
    fs::write(&file, "").unwrap();
    let mut command = self::command();
    let command = command.env("XDG_CACHE_HOME", &file);
    let run = end(command.args(["run", "--json"]).arg(component("echo")));
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
                  The input: a JSON object

                  [default: {}]

              --input-file <FILE>
                  Read the input from this file, `-` for standard input

              --fuel <UNITS>
                  CPU budget in fuel units, about one a wasm instruction [default: what it wishes for, else
                  10_000_000_000]

              --memory <SIZE>
                  Most memory, all memories and tables of the task together [default: what it wishes for,
                  else 64MiB]

              --timeout <DURATION>
                  Most time until the reply, waits included [default: what it wishes for, else 30s]

              --host-calls <N>
                  Most calls to the host [default: what it wishes for, else 1_000_000]

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
                  Let it import this: engram, synapse, clock, log and random are granted anyway;
                  orchestration and wasi are not. WASI alone reaches no files, no environment and no network

              --no-default-grants
                  Grant nothing but what is named by options

              --dir <HOST::GUEST[:ro|:rw]>
                  Let it use the host's folder HOST as GUEST, to read (`:ro`, the default) or to read and
                  write (`:rw`), for example `./data::/data:rw`; grants wasi too

              --env <NAME=VALUE>
                  Let it see this environment variable; of the host's own it sees none. Grants wasi too

              --http <[METHODS=]SCHEME://HOST[:PORT]>
                  Let it make requests to this host, with GET or the methods named in front, for example
                  `https://api.example.org` or `GET,POST=http://127.0.0.1:8080`; grants wasi too

              --clock <TIME>
                  The time that it sees: the host's, or one that starts at the time in the trace's id and
                  moves by its own sleeps, which end at once

                  [default: wall]
                  [possible values: wall, virtual]

              --seeded-random
                  Give it random numbers that follow from its trace, input and attempt

              --trace <ID>
                  Run it on this trace: with `--clock virtual` and `--seeded-random` a task repeats on the
                  same trace

              --engram <NAME[=KIND]>
                  Bind a fresh engram under this name: NAME or NAME=memory holds entries, NAME=vector:DIM
                  entries with embeddings. Those that its manifest asks for are there anyway

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

          A neuron that uses WASI, with one folder to read and one host to ask:
            soma run neuron.wasm --dir ./data::/data --http https://api.example.org

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
