//! Engrams that are bound for one task, and what they hold afterwards.

use super::*;

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
            component("ingester"),
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
