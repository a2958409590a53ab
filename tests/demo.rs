//! `soma demo` from outside: what it shows, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use common::command::{self, Run, end, scratch};
use expect_test::expect;
use serde_json::{Value, json};

fn neurons() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/neurons")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = command::command();
    command.arg("demo").args(arguments);
    command
}

/// Runs `soma demo` with these arguments and the built neurons.
fn demo(arguments: &[&str]) -> Run {
    end(command(arguments).arg("--neurons").arg(neurons()))
}

/// As [`demo`] with `--json`: the object of each scenario, and the exit code.
fn demo_json(arguments: &[&str]) -> (Vec<Value>, Run) {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let run = demo(&all);
    let objects = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    (objects.collect(), run)
}

#[test]
fn the_first_three_scenarios_print_the_lines_of_the_reference_demo() {
    let run = demo(&["--scenario", "1", "--scenario", "2", "--scenario", "3"]);
    assert_eq!(
        run.stdout,
        include_str!("fixtures/cosmonapse-retry-demo.txt")
    );
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
}

#[test]
fn a_generator_that_stalls_in_any_way_is_stopped_and_tried_again() {
    for stall in ["sleep", "spin", "wait", "allocate"] {
        let scenarios = ["--scenario", "1", "--scenario", "2", "--scenario", "4"];
        let (objects, run) = demo_json(&[&["--stall", stall], &scenarios[..]].concat());
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{stall}");
        let [survives, gives_up, measured] = &objects[..] else {
            panic!("{stall}: {objects:?}");
        };
        assert_eq!(
            survives["facts"]["answered_on_attempt"],
            json!(2),
            "{stall}"
        );
        assert_eq!(survives["facts"]["invocations"], json!(2), "{stall}");
        assert_eq!(
            gives_up["facts"]["raised"],
            json!("TimeoutError"),
            "{stall}"
        );
        assert_eq!(gives_up["facts"]["stopped"], json!(2), "{stall}");
        assert_eq!(measured["facts"]["stall"], json!(stall));
        assert_eq!(measured["facts"]["cancelled"], json!(1), "{stall}");
        assert_eq!(measured["facts"]["memory_held_bytes"], json!(0), "{stall}");
        assert!(
            measured["facts"]["stop_to_stopped_ms"].is_number(),
            "{stall}"
        );
    }
}

#[test]
fn json_is_one_object_a_scenario_with_what_it_found() {
    let (objects, run) = demo_json(&[]);
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    let numbers: Vec<_> = objects.iter().map(|object| &object["scenario"]).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    for object in &objects {
        assert_eq!(object["ok"], json!(true), "{object}");
        assert_eq!(object["broken"], json!([]), "{object}");
    }
    let undone = &objects[2]["facts"];
    assert_eq!(undone["index_size_after_crash"], json!(3));
    assert_eq!(undone["index_size_after_rollback"], json!(0));
    assert_eq!(
        undone["acks"],
        json!([{"rolled_back": true, "cancelled": 0, "compensated": 3, "node": "retry-demo"}])
    );
    assert_eq!(objects[3]["facts"]["stall"], json!("spin"));
    let written = &objects[4]["facts"];
    assert_eq!(written["improving"]["lifecycle"], json!("completed"));
    assert_eq!(written["improving"]["drafts"], json!(3));
    assert_eq!(written["improving"]["steps"][5]["route"], json!("approved"));
    assert!(written["improving"]["draft"]["citations"][0]["id"].is_string());
    assert_eq!(written["sloppy"]["lifecycle"], json!("completed"));
    assert_eq!(written["sloppy"]["steps"][5]["route"], json!("exhausted"));
    assert_eq!(written["sloppy"]["best_effort"], json!(true));
    let tenants = &objects[5]["facts"];
    assert_eq!(
        tenants["quiet_alone"]["checked"],
        tenants["quiet_beside_hostile"]["checked"]
    );
    assert!(tenants["quiet_beside_hostile"]["p99_ms"].is_number());
    assert_eq!(tenants["hostile_held_bytes"], json!(0));
}

#[test]
fn scenarios_come_in_their_order_each_under_its_title() {
    let run = demo(&["--scenario", "5", "--scenario", "3"]);
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    let titles: Vec<_> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    assert_eq!(
        titles,
        [
            "3. roll back a half-finished ingest",
            "5. compose, validate, retry: an answer out of documents"
        ]
    );
    assert!(run.stdout.contains("completed: approved on draft 3"));
    assert!(
        run.stdout
            .contains("[1] STOP and rollback (stop-and-rollback), entry eng_")
    );
    assert!(
        run.stdout
            .contains("exhausted after 3 drafts, the last one is the best effort")
    );
    assert!(
        run.stdout
            .ends_with("\n\nEvery promise of these scenarios held.\n")
    );
}

#[test]
fn an_own_question_is_answered_from_own_documents() {
    let folder = scratch("notes");
    fs::create_dir_all(&folder).unwrap();
    let text =
        "# House rules\n\nThe keys of the cellar are kept by the gardener, who lives next door.\n";
    fs::write(folder.join("rules.md"), text).unwrap();
    fs::write(folder.join("picture.png"), [0xff, 0xd8]).unwrap();
    let folder = folder.to_str().unwrap();
    let question = "Who keeps the keys of the cellar?";
    let (objects, run) = demo_json(&["--scenario", "5", "--data", folder, "--question", question]);
    let facts = &objects[0]["facts"];
    assert_eq!(facts["documents"], json!(1));
    // The rough first draft of so small a text is short enough: only the
    // citations are missing.
    assert_eq!(
        facts["improving"]["lifecycle"],
        json!("completed"),
        "{}",
        run.stdout
    );
    let citation = &facts["improving"]["draft"]["citations"][0];
    assert_eq!(citation["title"], json!("House rules"));
    assert_eq!(run.exit, 0, "{}", run.stderr);
}

#[test]
fn a_promise_that_does_not_hold_is_named_and_makes_the_exit_code_1() {
    // A writer that never drafts anything: the one that only echoes.
    let folder = scratch("no-writer");
    fs::create_dir_all(&folder).unwrap();
    for file in fs::read_dir(neurons()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
    }
    fs::copy(folder.join("echo.wasm"), folder.join("composer.wasm")).unwrap();
    let folder = folder.to_str().unwrap();
    let asked = ["--scenario", "5", "--neurons", folder];
    let run = end(&mut command(&asked));
    assert_eq!(run.exit, 1, "{}", run.stdout);
    assert!(!run.stdout.contains("held"), "{}", run.stdout);
    let broken = "expected the improving writer's end to be Completed, found Failed";
    assert!(
        run.stdout.contains(&format!("   FAILED: {broken}\n")),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr
            .contains(&format!("error: scenario 5: {broken}\n")),
        "{}",
        run.stderr
    );
    let run = end(command(&asked).arg("--json"));
    let object: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(run.exit, 1);
    assert_eq!(object["ok"], json!(false));
    assert_eq!(object["broken"][0], json!(broken));
}

#[test]
fn documents_that_answer_nothing_break_no_promise() {
    let folder = scratch("nothing-to-say");
    fs::create_dir_all(&folder).unwrap();
    let text = "Nothing at all is said in here.\n";
    fs::write(folder.join("empty.txt"), text).unwrap();
    let data = folder.to_str().unwrap();
    let question = ["--question", "Why is lava hot?"];
    let run = demo(&[&["--scenario", "5", "--data", data], &question[..]].concat());
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    assert!(
        run.stdout.contains("exhausted after 3 drafts"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_scenario_or_a_stall_that_does_not_exist_is_a_usage_error() {
    for (arguments, message) in [
        (
            ["--scenario", "7"],
            "error: invalid value '7' for '--scenario <N>': 7 is not in 1..=6\n",
        ),
        (
            ["--stall", "nap"],
            "error: invalid value 'nap' for '--stall <STALL>'\n  \
             [possible values: sleep, spin, wait, allocate]\n",
        ),
    ] {
        let run = demo(&arguments);
        assert_eq!((run.exit, run.stdout.as_str()), (2, ""));
        assert!(run.stderr.starts_with(message), "{}", run.stderr);
    }
}

#[test]
fn missing_neurons_are_told_with_what_to_do() {
    let empty = scratch("no-neurons");
    fs::create_dir_all(&empty).unwrap();
    let root = env!("CARGO_TARGET_TMPDIR");
    let named = end(command(&[]).arg("--neurons").arg(&empty));
    expect![[r"
        error: no neuron `generator` in [..]/no-neurons
        help: build the neurons with `cargo xtask neurons`, or name their folder with `--neurons` or `SOMA_NEURONS`
    "]]
    .assert_eq(&named.stderr.replace(root, "[..]"));
    assert_eq!((named.exit, named.stdout.as_str()), (3, ""));

    let from_environment = end(command(&[]).env("SOMA_NEURONS", &empty));
    assert_eq!(from_environment.stderr, named.stderr);
    assert_eq!(from_environment.exit, 3);

    let nowhere = end(command(&[]).current_dir("/"));
    expect![[r"
        error: no `target/neurons` in / or above
        help: build the neurons with `cargo xtask neurons`, or name their folder with `--neurons` or `SOMA_NEURONS`
    "]]
    .assert_eq(&nowhere.stderr);
    assert_eq!((nowhere.exit, nowhere.stdout.as_str()), (3, ""));
}

#[test]
fn neurons_are_found_from_a_folder_below_the_repository() {
    let below = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let run = end(command(&["--scenario", "3"]).current_dir(below));
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
}

#[test]
fn documents_that_cannot_be_read_are_named() {
    let empty = scratch("no-documents");
    fs::create_dir_all(&empty).unwrap();
    let empty_name = empty.to_str().unwrap();
    let run = demo(&["--data", empty_name]);
    let advice = "help: put .md or .txt files there, or leave `--data` out for the shipped ones\n";
    assert_eq!(
        run.stderr,
        format!("error: no documents in {empty_name}\n{advice}")
    );
    assert_eq!(run.exit, 3);

    let run = demo(&["--data", "/nowhere/at/all"]);
    assert!(
        run.stderr
            .starts_with("error: cannot read /nowhere/at/all: "),
        "{}",
        run.stderr
    );
    assert_eq!((run.exit, run.stdout.as_str()), (3, ""));
}
