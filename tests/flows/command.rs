//! `soma flow`, as a person or a script uses it.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::Stdio,
};

use common::command::{command, end, scratch_folder};
use expect_test::expect;
use soma::flow::document::FanIn;

use super::*;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/flows")
        .join(name)
}

/// A deployment whose node `work` is one of this repository's components.
pub(crate) fn deployment(folder: &Path, file: &str, work: &str) -> PathBuf {
    let component = common::component(work);
    let text = format!(
        "[policy]\nsignatures = \"off\"\n\n\
         [tenants.t.engrams.memory]\nkind = \"memory\"\n\n\
         [tenants.t.neurons.work]\nsource = {component:?}\n\
         grants = {{ log = true, clock = \"wall\", random = \"system\", orchestration = true, \
         synapse = [\"PLAN\"] }}\n\
         bind.memory = {{ engram = \"memory\", access = \"read-write\" }}\n"
    );
    let path = folder.join(file);
    fs::write(&path, text).unwrap();
    path
}

/// The document `only.json`: this placement, which ends it by `success`.
pub(crate) fn only(folder: &Path, only: Single) -> PathBuf {
    let path = folder.join("only.json");
    let dag = Dag::builder("only", "1").place(only.end("success")).build();
    fs::write(&path, dag.to_string()).unwrap();
    path
}

/// The placement `only` of the node `work`.
pub(crate) fn work() -> Single {
    Single::new("only", "work")
}

/// A fan-out over scripts within a flow within a flow.
fn nested(folder: &Path, concurrency: u64) -> PathBuf {
    let text = json!([
        {"@context": {}, "@id": "urn:d:outer", "@type": "DAG", "name": "outer", "version": "1",
         "entrypoint": "in", "nodes": [
            {"@id": "urn:n:in", "@type": "DeepDAGNode", "name": "in", "dag": "inner",
             "stateMapping": {"output": {"said": "said"}},
             "outputs": {"success": null, "error": "lost"}},
            {"@id": "urn:n:lost", "@type": "TerminalNode", "name": "lost", "outcome": "failed"}]},
        {"@context": {}, "@id": "urn:d:inner", "@type": "DAG", "name": "inner", "version": "1",
         "entrypoint": "each", "nodes": [
            {"@id": "urn:n:each", "@type": "FanOutNode", "name": "each", "node": "work",
             "source": "items", "itemKey": "do", "concurrency": concurrency,
             "fanIn": {"strategy": "append", "target": "said"},
             "outputs": {"all-success": null, "partial": null, "all-error": null, "empty": null}}]},
    ]);
    let path = folder.join("nested.json");
    fs::write(&path, text.to_string()).unwrap();
    path
}

fn says(n: u64) -> Value {
    json!([{"output": {"value": {"n": n}}}])
}

#[test]
fn a_flow_is_checked_with_or_without_its_nodes() {
    let checked = end(command()
        .args(["flow", "check"])
        .arg(example("compose-retry-loop.json")));
    checked.is(&expect![[r#"
        exit 0
        --- stdout
        compose-retry-loop 1.1 sha256:8ec0541eb152d85af819de990a443fc90e98f8ee9792db8276c9563d8e855473
        nothing is wrong with it; its nodes were not looked for (see --deployment)
        --- stderr
    "#]]);
    let checked = end(command()
        .args(["flow", "check", "--json"])
        .arg(example("answer.json")));
    let told = checked.json();
    assert_eq!(
        told["problems"][0]["message"],
        json!("nodes.1.dag: there is no flow `compose-retry-loop`; there are `answer`")
    );
}

#[test]
fn nodes_that_do_not_say_which_routes_they_take_are_named() {
    let folder = scratch_folder("flow-undeclared");
    let checked = end(command()
        .args(["flow", "check", "--deployment"])
        .arg(deployment(&folder, "soma.toml", "echo"))
        .arg(nested(&folder, 1))
        .args(["--node", "other=work"]));
    assert_eq!(checked.exit, 0, "{}", checked.stderr);
    let last = checked.stdout.lines().last();
    expect!["it can run"].assert_eq(last.unwrap());
    let file = only(&folder, Single::new("only", "other"));
    let checked = end(command()
        .args(["flow", "check", "--node", "other=work", "--deployment"])
        .arg(folder.join("soma.toml"))
        .arg(&file));
    let last = checked.stdout.lines().last();
    expect!["it can run; which routes they take is not said by, and was not checked for: other"]
        .assert_eq(last.unwrap());
    // A fan-out that gathers by route needs to know them, one that appends does not.
    let fan = FanOut::new(
        "each",
        "other",
        "items",
        FanIn::partition([("success", "out")]),
    );
    let dag = Dag::builder("each", "1").place(ending(fan)).build();
    fs::write(&file, dag.to_string()).unwrap();
    let checked = end(command()
        .args([
            "flow",
            "check",
            "--json",
            "--node",
            "other=work",
            "--deployment",
        ])
        .args([&folder.join("soma.toml"), &file]));
    assert_eq!(checked.json()["undeclared"], json!(["other"]));
}

#[test]
fn a_flow_that_cannot_run_is_told_all_that_is_wrong_with_the_place_of_each() {
    let folder = scratch_folder("flow-check");
    let names =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flows/invalid/shape.json");
    let file = folder.join("shape.json");
    fs::copy(names, &file).unwrap();
    let checked = end(command()
        .current_dir(&folder)
        .args(["flow", "check", "shape.json"]));
    checked.refuses(
        3,
        &expect![[r#"
            error: 1 problem found
            shape.json:51:18: nodes.4.outputs: `e` has no routes: each reply of it would fail
        "#]],
    );
    let run = end(command().args(["flow", "run"]).arg(&file));
    run.refuses(
        2,
        &expect![[r#"
        error: a flow needs neurons to run
        help: name a file such as soma.toml with `--deployment`
    "#]],
    );
}

#[test]
fn the_nodes_of_the_shipped_flow_say_which_routes_they_take() {
    let checked = end(command()
        .args(["flow", "check", "--deployment"])
        .arg(example("soma.toml"))
        .arg(example("answer.json"))
        .arg(example("compose-retry-loop.json")));
    let last = checked.stdout.lines().last();
    assert_eq!(last, Some("it can run"), "{}", checked.stderr);
}

#[test]
fn the_shipped_flow_reads_documents_and_writes_an_answer() {
    let run = end(command()
        .args(["flow", "run", "--json", "--deployment"])
        .arg(example("soma.toml"))
        .arg("--input-file")
        .arg(example("question.json"))
        .arg(example("answer.json"))
        .arg(example("compose-retry-loop.json")));
    let told = run.json();
    assert_eq!(told["lifecycle"], json!("completed"), "{told}");
    assert_eq!(told["state"]["approved"], json!(true));
    // Three items, a nested flow and what ran in it.
    let in_loop = told["executed"].as_array().unwrap().iter();
    let in_loop = in_loop.filter(|step| step["placement"].as_str().unwrap().contains('/'));
    assert_eq!(told["steps"], json!(3 + 1 + in_loop.count()));
    assert_eq!(told["state"]["ingested"].as_array().unwrap().len(), 3);
    let last = told["executed"].as_array().unwrap().last().unwrap();
    assert_eq!(last["placement"], json!("compose"));
}

/// A process that is killed in the midst of these items, some at a time, once
/// so many have ended; and which of them the next process begins.
fn killed(name: &str, items: &Value, concurrency: u64, acked: usize) -> (Vec<u64>, Value) {
    let folder = scratch_folder(name);
    let nested = nested(&folder, concurrency);
    let checkpoint = folder.join("run.json");
    let mut first = command();
    first
        .args(["flow", "run", "--events", "--deadline", "1h"])
        .arg("--deployment")
        .arg(deployment(&folder, "first.toml", "puppet"))
        .arg("--checkpoint")
        .arg(&checkpoint)
        .args(["--input", &json!({"items": items}).to_string()])
        .arg(&nested)
        .stdout(Stdio::piped());
    let mut first = first.spawn().unwrap();
    let events = BufReader::new(first.stdout.take().unwrap()).lines();
    let mut ended = events.filter(|line| {
        let event: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
        event["event"] == "node-ended"
    });
    assert_eq!(ended.by_ref().take(acked).count(), acked);
    first.kill().unwrap();
    first.wait().unwrap();

    // In the second deployment the node answers with what it was given.
    let second = end(command()
        .args(["flow", "resume", "--events", "--deployment"])
        .arg(deployment(&folder, "second.toml", "echo"))
        .arg("--checkpoint")
        .arg(&checkpoint)
        .arg(&nested));
    assert_eq!(second.exit, 0, "{}", second.stderr);
    assert!(!checkpoint.exists());
    let lines = second.stdout.lines();
    let events: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let began = events.iter().filter(|event| event["event"] == "node-began");
    let mut began: Vec<_> = began.map(|event| event["item"].as_u64().unwrap()).collect();
    began.sort_unstable();
    (began, events.last().unwrap().clone())
}

/// Waits for ever: the process can only be killed there.
fn sleeps() -> Value {
    json!([{"sleep": 3_600_000_u64}])
}

#[test]
fn a_process_that_is_killed_in_a_nested_fan_out_is_followed_by_one_that_runs_only_what_is_left() {
    let items = json!([says(0), says(1), says(2), sleeps(), says(4), says(5)]);
    let (began, result) = killed("flow-kill", &items, 1, 3);
    assert_eq!(began, [3, 4, 5], "nothing that was acked runs again");
    assert_eq!(result["lifecycle"], json!("completed"));
    assert_eq!(
        result["state"]["said"],
        json!([{"n": 0}, {"n": 1}, {"n": 2}, sleeps(), says(4), says(5)]),
        "nothing is lost, and the order is that of the list"
    );
}

#[test]
fn what_runs_beside_others_when_a_process_is_killed_is_all_that_runs_again() {
    let items = json!([says(0), sleeps(), says(2), sleeps(), says(4), says(5)]);
    let (began, result) = killed("flow-kill-beside", &items, 3, 4);
    assert_eq!(began, [1, 3]);
    assert_eq!(
        result["state"]["said"],
        json!([{"n": 0}, sleeps(), {"n": 2}, sleeps(), {"n": 4}, {"n": 5}])
    );
}

#[test]
fn a_run_that_asks_is_answered_by_another_process() {
    let folder = scratch_folder("flow-answer");
    only(&folder, work());
    let asks = json!({"do": [{"clarify": {"question": "which one?"}}]});
    let first = end(command()
        .current_dir(&folder)
        .args(["flow", "run", "only.json", "--checkpoint", "run.json"])
        .arg("--deployment")
        .arg(deployment(&folder, "first.toml", "puppet"))
        .arg("--input")
        .arg(asks.to_string()));
    assert_eq!(first.exit, 0, "{}", first.stderr);
    expect![[r#"
        only asks: which one?
        `soma flow resume` with `--checkpoint run.json` goes on from there with `--answer`
    "#]]
    .assert_eq(
        first
            .stdout
            .split("\n\n")
            .nth(1)
            .map(|part| format!("{part}\n"))
            .as_deref()
            .unwrap_or(""),
    );
    let mut told = String::new();
    for answers in [
        &["--answer", "a", "--answer", "b"][..],
        &["--answer", "only[9]=x"],
    ] {
        let refused = end(command()
            .current_dir(&folder)
            .args(["flow", "resume", "only.json", "--checkpoint", "run.json"])
            .args(answers)
            .args(["--deployment", "first.toml"]));
        assert_eq!(refused.exit, 2, "{}", refused.stderr);
        told.push_str(&refused.stderr);
    }
    expect![[r#"
        error: --answer b: `only` is answered twice
        help: the run asks only
        error: --answer only[9]=x: there is no question `only[9]`
        help: the run asks only
    "#]]
    .assert_eq(&told);
    let second = end(command()
        .current_dir(&folder)
        .args([
            "flow",
            "resume",
            "only.json",
            "--checkpoint",
            "run.json",
            "--json",
        ])
        .args(["--answer", "the left one", "--deployment"])
        .arg(deployment(&folder, "second.toml", "echo")));
    let told = second.json();
    assert_eq!(told["lifecycle"], json!("completed"));
    assert_eq!(
        told["state"]["clarification"],
        json!({"question": "which one?", "answer": "the left one"}),
        "the echo answers with its input"
    );
    let gone = end(command()
        .current_dir(&folder)
        .args(["flow", "resume", "only.json", "--checkpoint", "run.json"])
        .args(["--deployment", "second.toml"]));
    gone.refuses(
        3,
        &expect![[r#"
        error: there is no checkpoint run.json; that of a run that has ended for good is removed
    "#]],
    );
}

#[test]
fn an_answer_may_look_like_anything() {
    let folder = scratch_folder("flow-odd-answer");
    only(&folder, work());
    let asks = json!({"do": [{"clarify": {"question": "which one?"}}]});
    let first = end(command()
        .current_dir(&folder)
        .args(["flow", "run", "only.json", "--checkpoint", "run.json"])
        .arg("--deployment")
        .arg(deployment(&folder, "first.toml", "puppet"))
        .args(["--input", &asks.to_string()]));
    assert_eq!(first.exit, 0, "{}", first.stderr);
    let second = end(command()
        .current_dir(&folder)
        .args(["flow", "resume", "only.json", "--checkpoint", "run.json"])
        .args(["--json", "--answer", "x[0]=5", "--deployment"])
        .arg(deployment(&folder, "second.toml", "echo")));
    let told = second.json();
    assert_eq!(told["state"]["clarification"]["answer"], json!("x[0]=5"));
}

#[test]
fn a_picture_that_cannot_be_drawn_costs_no_result() {
    let folder = scratch_folder("flow-no-picture");
    only(&folder, work());
    deployment(&folder, "soma.toml", "echo");
    let run = |picture: &str| {
        end(command()
            .current_dir(&folder)
            .args(["flow", "run", "only.json", "--deployment", "soma.toml"])
            .args(["--input", "{\"a\": 1}", "--picture", picture]))
    };
    run("nowhere/way.mmd").refuses(
        3,
        &expect![[r#"
            error: --picture: there is no folder nowhere
        "#]],
    );
    // A folder is no file: that is found out when the run has ended.
    fs::create_dir(folder.join("way.mmd")).unwrap();
    let ended = run("way.mmd");
    assert_eq!(ended.exit, 3);
    assert!(ended.stdout.starts_with("completed\n{\n  \"a\": 1\n}\n"));
    expect![[r#"
        error: cannot write way.mmd: Is a directory (os error 21)
    "#]]
    .assert_eq(&ended.stderr);
}

#[test]
fn a_run_that_meets_a_limit_goes_on_under_a_higher_one() {
    let folder = scratch_folder("flow-limits");
    let fan = FanOut::new("each", "work", "items", FanIn::append("out"));
    let dag = Dag::builder("each", "1").place(ending(fan)).build();
    fs::write(folder.join("each.json"), dag.to_string()).unwrap();
    deployment(&folder, "soma.toml", "echo");
    let flow = |arguments: &[&str]| {
        end(command()
            .current_dir(&folder)
            .arg("flow")
            .args(arguments)
            .args(["each.json", "--deployment", "soma.toml"])
            .args(["--checkpoint", "run.json"]))
    };
    let input = r#"{"items": [1, 2, 3]}"#;
    let mut told = flow(&["run", "--input", input, "--max-items", "2"]).stderr;
    told += &flow(&["resume", "--max-state", "100B"]).stderr;
    expect![[r#"
        error: failed: placement `each` has 3 items, more than the 2 that a run takes
        help: `soma flow resume` with `--checkpoint run.json` goes on from there
        error: failed: the run takes 336 bytes in memory at placement `each`, more than 100
        help: `soma flow resume` with `--checkpoint run.json` goes on from there
    "#]]
    .assert_eq(&told);
    let done = flow(&["resume", "--json"]).json();
    assert_eq!(done["lifecycle"], json!("completed"));
    assert_eq!(done["steps"], json!(3));
}

#[test]
fn a_run_that_fails_says_why_and_where() {
    let folder = scratch_folder("flow-fail");
    let file = only(&folder, work());
    let failed = end(command()
        .args(["flow", "run"])
        .arg(&file)
        .arg("--deployment")
        .arg(deployment(&folder, "soma.toml", "puppet"))
        .args(["--input", "{\"do\": [\"trap\"]}"]));
    assert_eq!(failed.exit, 1);
    expect![[r#"
        error: failed: placement `only` ended with NEURON_TRAP: the neuron trapped: wasm `unreachable` instruction executed
    "#]]
    .assert_eq(&failed.stderr);
}

#[test]
fn a_flow_is_drawn_to_a_file_by_its_name_or_to_standard_output() {
    let folder = scratch_folder("flow-draw");
    let drawn = end(command()
        .args(["flow", "draw"])
        .arg(example("compose-retry-loop.json")));
    drawn.is(&expect![[r#"
        exit 0
        --- stdout
        flowchart LR
        %% compose-retry-loop (v1.1)
          f0n0["crl-compose-response"]
          f0n1["crl-validate-response"]
          f0end(["END"])
          f0n0 -->|"drafted"| f0n1
          f0n1 -->|"approved"| f0end
          f0n1 -->|"exhausted"| f0end
          f0n1 -->|"retry"| f0n0
        --- stderr
    "#]]);
    let file = folder.join("loop.dot");
    let drawn = end(command()
        .args(["flow", "draw", "-o"])
        .arg(&file)
        .arg(example("compose-retry-loop.json")));
    assert_eq!(drawn.exit, 0, "{}", drawn.stderr);
    assert!(
        fs::read_to_string(file)
            .unwrap()
            .starts_with("digraph flow {")
    );
}
