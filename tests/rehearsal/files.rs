//! Case files: what is wrong with one is told with its place.

use super::*;

/// Compares what is told of a file; the file is named by itself.
fn told(text: &str, expected: &Expect) {
    let problems = case_of_text(text).unwrap_err();
    expected.assert_eq(&named(&problems));
}

fn named(problems: &Problems) -> String {
    let lines = problems.0.iter().map(|problem| {
        let mut problem = problem.clone();
        problem.file = "case.json".to_owned();
        problem.to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn wrong_syntax_is_told_at_its_place() {
    told(
        "{\n  \"input\": {},\n  \"clock\" 5\n}",
        &expect!["case.json:3:11: is no JSON: expected `:`"],
    );
    told(
        "",
        &expect!["case.json:1:1: is no JSON: EOF while parsing a value"],
    );
    told(
        "{\"input\": {}, \"input\": {}}",
        &expect![[r#"case.json:1:15: the key "input" is there twice"#]],
    );
    told("[]", &expect!["case.json: must be an object, not a list"]);
}

#[test]
fn keys_and_values_that_do_not_fit_are_told_all_at_once() {
    told(
        r#"{
  "inputs": {},
  "attempt": -1,
  "clock": 5,
  "limits": {"fuel": "much", "memory": "lots", "wall": "1s"},
  "engrams": {
    "notes": {"kind": "disk", "access": "write", "entries": [{"tags": "a"}]}
  },
  "faults": [{"call": 1, "fails": "badly"}],
  "expect": {
    "reply": {"answer": 1},
    "calls": [{"call": "engram.forget"}],
    "logs": []
  }
}"#,
        &expect![[r#"
            case.json: the key `input` is missing
            case.json:2:3: inputs: unknown key; there are `about`, `input`, `attempt`, `context`, `clock`, `random`, `grants`, `limits`, `environment`, `files`, `engrams`, `orchestration`, `faults` and `expect`
            case.json:3:14: attempt: -1 is less than the minimum of 0
            case.json:4:12: clock: must be a text, not a number
            case.json:5:22: limits.fuel: must be a whole number, not a text
            case.json:5:40: limits.memory: "lots" is no size: write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB
            case.json:5:48: limits.wall: unknown key; there are `fuel`, `memory`, `timeout` and `host_calls`
            case.json:7:23: engrams.notes.kind: "disk" is none of `memory` and `vector`
            case.json:7:41: engrams.notes.access: "write" is none of `read` and `read-write`
            case.json:7:62: engrams.notes.entries.0: the key `content` is missing
            case.json:7:71: engrams.notes.entries.0.tags: must be a list, not a text
            case.json:9:35: faults.0.fails: "badly" is none of `not-bound`, `denied`, `timeout`, `cancelled`, `overloaded`, `quota`, `invalid`, `backend`, `unroutable` and `closed`
            case.json:11:15: expect.reply.answer: unknown key; there are `output`, `route`, `clarification`, `permission`, `failure`, `end`, `stopped` and `refused`
            case.json:12:24: expect.calls.0.call: "engram.forget" is none of `engram.recall`, `engram.recall-many`, `engram.imprint`, `engram.imprint-many`, `synapse.emit`, `clock.wall-ms`, `clock.monotonic-ns`, `clock.sleep-ms`, `random.bytes`, `random.u64`, `orchestration.dispatch`, `orchestration.dispatch-and-wait`, `orchestration.run-with-retry`, `orchestration.stop-trace`, `orchestration.pathway.trace-id`, `orchestration.pathway.task-id`, `orchestration.pathway.next`, `orchestration.pathway.wait` and `orchestration.pathway.close`
            case.json:13:5: expect.logs: unknown key; there are `reply`, `calls`, `engrams`, `signals`, `log` and `fuel_at_most`"#]],
    );
}

#[test]
fn parts_that_contradict_each_other_are_told() {
    told(
        r#"{
  "input": {},
  "clock": "yesterday",
  "engrams": {
    "a b": {},
    "notes": {"answers": [{"hits": [{"content": 1}], "fails": "quota"}, {"message": "words"}, {"fails": "closed"}]}
  },
  "orchestration": [
    {},
    {"neuron": "a", "any": true, "output": {}, "never": true},
    {"neuron": "a", "failure": {"code": "A", "message": "b"}, "route": "on", "message": "c"},
    {"neuron": "a", "fails": "quota"}
  ],
  "faults": [
    {},
    {"call": 0, "binding": "notes", "fails": "quota", "delay": "1s"},
    {"binding": "notes", "ends": "stop"},
    {"call": 1, "nth": 1, "delay": "1s", "message": "words"},
    {"fuel": 5, "call": 1},
    {"binding": "notes", "fails": "unroutable"}
  ],
  "expect": {
    "reply": {"stopped": true, "failure": {}, "route": "on"},
    "calls": [{"call": "engram.recall", "args": {"a": "$all", "b": ["$rest", 1, "$rest"], "c": "$$all"}}],
    "log": [{"message": "$text:*"}, {"message": "$rest"}]
  }
}"#,
        &expect![[r#"
            case.json:3:12: clock: "yesterday" is no time such as "2026-01-01T00:00:00Z"
            case.json:5:12: engrams."a b": "a b" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
            case.json:6:27: engrams.notes.answers.0: either finds something or fails
            case.json:6:73: engrams.notes.answers.1: `message` has words for `fails`, which is missing
            case.json:6:105: engrams.notes.answers.2.fails: an engram does not fail with `closed`; there are `not-bound`, `denied`, `timeout`, `cancelled`, `overloaded`, `quota`, `invalid`, `backend`
            case.json:9:5: orchestration.0: needs one of `neuron`, `capabilities` and `any`
            case.json:9:5: orchestration.0: needs one of `output`, `clarification`, `permission`, `failure`, `fails` and `never`
            case.json:10:5: orchestration.1: needs one of `neuron`, `capabilities` and `any`
            case.json:10:5: orchestration.1: needs one of `output`, `clarification`, `permission`, `failure`, `fails` and `never`
            case.json:11:5: orchestration.2: `route` is of an `output`, which is missing
            case.json:11:5: orchestration.2: `message` has words for `fails`, which is missing
            case.json:12:30: orchestration.3.fails: orchestration does not fail with `quota`; there are `unroutable`, `timeout`, `closed`, `denied`, `overloaded`, `invalid`
            case.json:15:5: faults.0: needs one of `call` and `binding`, or `fuel` alone
            case.json:15:5: faults.0: needs one of `fails`, `delay` and `ends`
            case.json:16:5: faults.1: needs one of `call` and `binding`, or `fuel` alone
            case.json:16:5: faults.1: needs one of `fails`, `delay` and `ends`
            case.json:16:5: faults.1: calls are counted from 1
            case.json:17:5: faults.2: `ends` is at a `call`, which is missing
            case.json:18:5: faults.3: `nth` is of a `binding`, which is missing
            case.json:18:5: faults.3: `message` has words for `fails`, which is missing
            case.json:19:5: faults.4: `fuel` stands alone
            case.json:20:35: faults.5.fails: an engram does not fail with `unroutable`; there are `not-bound`, `denied`, `timeout`, `cancelled`, `overloaded`, `quota`, `invalid`, `backend`
            case.json:23:14: expect.reply: needs one of `output`, `clarification`, `permission`, `failure`, `end`, `stopped` and `refused`
            case.json:23:14: expect.reply: `route` is of an `output`, which is missing
            case.json:24:55: expect.calls.0.args.a: "$all" is no wildcard here; there are "$any" and "$text:PATTERN", and "$rest" at the end of a list; the text itself is written "$$all"
            case.json:24:69: expect.calls.0.args.b.0: "$rest" is no wildcard here; there are "$any" and "$text:PATTERN", and "$rest" at the end of a list; the text itself is written "$$rest"
            case.json:25:49: expect.log.1.message: "$rest" is no wildcard here; there are "$any" and "$text:PATTERN", and "$rest" at the end of a list; the text itself is written "$$rest""#]],
    );
}

#[test]
fn engrams_that_cannot_be_are_told_before_anything_runs() {
    let text = r#"{
  "input": {},
  "grants": {"orchestration": true},
  "engrams": {
    "a": {"kind": "memory", "dimension": 3},
    "b": {"kind": "vector"},
    "c": {"dimension": 0},
    "d": {"entries": [{"id": "x", "content": 1}, {"id": "x", "content": 2}, {"id": "", "content": 3}]},
    "e": {"dimension": 2, "entries": [{"content": 1, "embedding": [1]}, {"content": 2}]}
  }
}"#;
    let case = case_of_text(text).unwrap();
    let Err(RehearsalError::Case(problems)) = PUPPET.run(&case) else {
        panic!("it ran");
    };
    expect![[r#"
        case.json:5:10: engrams.a: a memory engram has no `dimension`
        case.json:6:10: engrams.b: a vector engram needs a `dimension`
        case.json:7:10: engrams.c: a dimension is a number from 1 to 65536
        case.json:8:50: engrams.d.entries.1: invalid: entry id 'x' already exists
        case.json:8:77: engrams.d.entries.2: id: an id must be a string that is not empty
        case.json:9:39: engrams.e.entries.0: invalid: embedding has dimension 1, this engram holds dimension 2
        case.json:9:73: engrams.e.entries.1: invalid: entry has no embedding, this engram holds dimension 2"#]]
    .assert_eq(&named(&problems));
}
