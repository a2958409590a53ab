//! `soma flow run` when somebody wants it to end.

use std::{
    io::{BufRead, BufReader, Lines, Read},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
};

use common::command::{command, end, masked, scratch_folder};
use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};
use soma_retry::RetryPolicy;

use super::{
    command::{deployment, only, work},
    *,
};

/// A run of one node, whose events are read.
struct Interrupted {
    process: Child,
    events: Lines<BufReader<ChildStdout>>,
    told: BufReader<ChildStderr>,
}

impl Interrupted {
    fn begin(command: &mut Command) -> Self {
        let mut process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            events: BufReader::new(process.stdout.take().unwrap()).lines(),
            told: BufReader::new(process.stderr.take().unwrap()),
            process,
        }
    }

    fn until(&mut self, event: &str) -> Value {
        loop {
            let line = self.events.next().unwrap().unwrap();
            let read: Value = serde_json::from_str(&line).unwrap();
            if read["event"] == event {
                return read;
            }
        }
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The exit code, how the run ended, and what stands on standard error.
    fn end(mut self) -> (i32, Value, String) {
        let result = self.until("result");
        let mut told = String::new();
        self.told.read_to_string(&mut told).unwrap();
        let exit = self.process.wait().unwrap().code().unwrap();
        (exit, result["lifecycle"].clone(), masked(&told))
    }
}

fn begin(folder: &Path, document: &Path, script: &Value, more: &[&str]) -> Interrupted {
    let input = json!({"do": script}).to_string();
    Interrupted::begin(
        command()
            .current_dir(folder)
            .args(["flow", "run", "--events", "--deadline", "12h"])
            .arg(document)
            .args(["--input", &input, "--deployment"])
            .arg(deployment(folder, "first.toml", "puppet"))
            .args(more),
    )
}

/// Goes on in a deployment whose node answers with what it was given.
fn resumed(folder: &Path, document: &Path) -> Value {
    let resumed = end(command()
        .current_dir(folder)
        .args(["flow", "resume", "--json"])
        .arg(document)
        .arg("--deployment")
        .arg(deployment(folder, "second.toml", "echo"))
        .args(["--checkpoint", "run.json"]));
    assert_eq!(resumed.exit, 0, "{}", resumed.stderr);
    resumed.json()
}

#[test]
fn an_interrupt_pauses_a_run_that_can_go_on() {
    let folder = scratch_folder("flow-pause");
    let hours = RetryPolicy {
        base_delay: Duration::from_secs(7200),
        max_delay: Duration::from_secs(7200),
        retry_on: Some(vec!["any".to_owned()]),
        ..RetryPolicy::default()
    };
    let document = only(&folder, work().retry(hours));
    let more = ["--checkpoint", "run.json"];
    let mut run = begin(&folder, &document, &json!(["trap"]), &more);
    run.until("retrying");
    run.send(Signal::INT);
    let (exit, lifecycle, told) = run.end();
    assert_eq!((exit, lifecycle), (130, json!("paused")));
    expect![[r#"
        pausing when what runs has ended; interrupt once more to stop that
        error: paused: interrupted
        help: `soma flow resume` with `--checkpoint run.json` goes on from there
    "#]]
    .assert_eq(&told);
    let result = resumed(&folder, &document);
    assert_eq!(result["lifecycle"], json!("completed"));
    assert_eq!(result["executed"][0]["attempts"], json!(2));
}

#[test]
fn a_second_interrupt_stops_what_runs_and_the_run_can_go_on() {
    let folder = scratch_folder("flow-stop");
    let document = only(&folder, work());
    let sleeps = json!([{"sleep": 36_000_000_u64}]);
    let more = ["--checkpoint", "run.json"];
    let mut run = begin(&folder, &document, &sleeps, &more);
    run.until("node-began");
    run.send(Signal::INT);
    let mut pausing = String::new();
    run.told.read_line(&mut pausing).unwrap();
    assert!(pausing.starts_with("pausing"), "{pausing}");
    run.send(Signal::INT);
    let (exit, lifecycle, told) = run.end();
    assert_eq!((exit, lifecycle), (130, json!("cancelled")));
    expect![[r#"
        error: cancelled: the run was aborted at placement `only`: interrupted
        help: `soma flow resume` with `--checkpoint run.json` goes on from there
    "#]]
    .assert_eq(&told);
    assert_eq!(resumed(&folder, &document)["lifecycle"], json!("completed"));
}

#[test]
fn a_run_that_cannot_go_on_is_stopped_by_the_first_interrupt() {
    let folder = scratch_folder("flow-term");
    let document = only(&folder, work());
    let sleeps = json!([{"sleep": 36_000_000_u64}]);
    let mut run = begin(&folder, &document, &sleeps, &[]);
    run.until("node-began");
    run.send(Signal::TERM);
    let (exit, lifecycle, told) = run.end();
    assert_eq!((exit, lifecycle), (130, json!("cancelled")));
    expect![[r#"
        error: cancelled: the run was aborted at placement `only`: interrupted
    "#]]
    .assert_eq(&told);
}
