//! What a task finds around it, and what is told of it.

use super::*;

#[test]
fn a_case_gives_the_same_bytes_in_every_run() {
    let steps = json!([
        {"random": 8},
        "now",
        {"sleep": 9_000},
        "now",
        {"write": {"to": "notes", "op": "append", "content": "one"}},
        {"emit": {"kind": "PLAN", "payload": {"steps": [{"do": "a"}]}}},
        {"log": "done"},
        {"dispatch": {"input": {}, "neuron": "other"}},
        {"next": 0},
        {"burn": 3000},
    ]);
    let scene = json!({
        "engrams": {"notes": {}},
        "orchestration": [{"neuron": "other", "output": {}, "after": "3s"}],
    });
    let case = case(&steps, &scene);
    let one = PUPPET.run(&case).unwrap();
    let other = rehearsal("puppet").run(&case).unwrap();
    let bytes = |run: &Run| case.with_expectation(&run.expectation());
    assert_eq!(bytes(&one), bytes(&other));
    let costs = |run: &Run| (run.usage().fuel, run.usage().host_calls);
    assert_eq!(costs(&one), costs(&other));
    assert_eq!(costs(&one).1, 11);
}

#[test]
fn runs_from_many_threads_are_as_if_alone() {
    let steps = json!([{"burn": 20_000_000}, {"sleep": 1000}, "now"]);
    let alone = said(&played(steps.clone(), json!({})));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(said(&played(steps.clone(), json!({}))), alone));
        }
    });
}

#[test]
fn time_begins_as_the_case_says_and_moves_while_the_neuron_waits() {
    let steps = json!(["now", {"sleep": 3_600_000}, "now"]);
    let usual = played(steps.clone(), json!({"limits": {"timeout": "2h"}}));
    let start = 1_767_225_600_000_u64;
    assert_eq!(said(&usual), json!([start, start + 3_600_000]));
    let told = json!({"limits": {"timeout": "2h"}, "clock": "1970-01-01T00:00:01Z"});
    assert_eq!(said(&played(steps, told)), json!([1000, 3_601_000]));
}

#[test]
fn randomness_and_ids_come_from_the_seed() {
    let draw = |seed: u64| {
        let steps = json!([{"random": 4}]);
        let run = played(steps, json!({ "random": seed }));
        let task = got(&run)["reply"]["output"]["task"]["id"].clone();
        (said(&run), task)
    };
    assert_eq!(draw(7), draw(7));
    let (one, other) = (draw(7), draw(8));
    assert!(one.0 != other.0 && one.1 != other.1);
}

#[test]
fn attempt_and_context_are_the_cases() {
    let run = played(json!([]), json!({"attempt": 3, "context": [{"a": 1}, "b"]}));
    let task = &got(&run)["reply"]["output"]["task"];
    assert_eq!(task["attempt"], json!(3));
    assert_eq!(task["context"], json!([{"a": 1}, "b"]));
    assert_eq!(task["neuron"], json!("puppet"));
}

#[test]
fn engrams_hold_what_the_case_puts_in_and_what_the_neuron_adds() {
    let steps = json!([
        {"recall": {"from": "notes", "tag": "old"}},
        {"write": {"to": "notes", "op": "merge", "key": "k", "content": {"b": 2}}},
        {"write": {"to": "notes", "op": "add", "id": "mine", "content": [1]}},
    ]);
    let scene = json!({"engrams": {"notes": {"entries": [
        {"id": "first", "content": {"a": 1}, "tags": ["old"], "merge_key": "k", "meta": {"by": "case"}},
    ]}}});
    let run = played(steps, scene);
    assert_eq!(said(&run)[0]["hits"], json!([{"a": 1}]));
    assert_eq!(
        got(&run)["engrams"],
        json!({"notes": [
            {"id": "first", "content": {"a": 1, "b": 2}, "tags": ["old"], "meta": {"by": "case"},
             "merge_key": "k", "version": 2},
            {"id": "mine", "content": [1], "version": 1},
        ]})
    );
    assert_eq!(wrong(&run), [""; 0]);
}

#[test]
fn scripted_recalls_answer_in_place_of_what_is_there() {
    let recall = json!({"recall": {"from": "notes"}});
    let steps = json!([recall, recall]);
    let answers = json!([
        {"hits": [{"content": "scripted", "score": 0.5}], "truncated": true},
        {"fails": "backend", "message": "the disk is gone"},
    ]);
    let scene = |answers: &Value| json!({"engrams": {"notes": {"entries": [{"content": "real"}], "answers": answers}}});
    let run = played(steps.clone(), scene(&answers));
    assert_eq!(
        said(&run)[0],
        json!({"hits": ["scripted"], "truncated": true})
    );
    assert_eq!(
        said(&run)[1]["error"]["message"],
        json!("engram failed: the disk is gone")
    );
    assert_eq!(wrong(&run), [""; 0]);

    let run = played(json!([recall]), scene(&answers));
    assert_eq!(
        wrong(&run),
        ["engrams.notes: 1 of its answers were not asked for"]
    );

    let run = played(steps, scene(&json!([answers[0]])));
    let words = "the case has no further answer of `notes`";
    assert_eq!(wrong(&run), [format!("engrams.notes: {words}")]);
    assert_eq!(
        said(&run)[1]["error"]["message"],
        json!(format!("engram failed: {words}"))
    );
}

#[test]
fn calls_signals_and_log_lines_are_told_in_order() {
    let run = played(
        json!([
            {"log": "begins"},
            {"recall": {"from": "notes", "top_k": 2, "deadline_ms": 50}},
            {"write": {"to": "notes", "op": "upsert", "key": "k", "content": null, "send": true}},
            {"write": {"to": "notes", "op": "delete", "key": "k"}},
            {"emit": {"kind": "AUDIT", "payload": {"kind": "GUARDED", "domain": "security", "outcome": "refused", "attempt": 0}}},
            {"emit": {"kind": "AUDIT", "payload": {}}},
            {"sleep": 5},
            {"random": 2},
            "now",
            {"output": {"value": {"a": 1}, "route": "on"}},
        ]),
        json!({"engrams": {"notes": {}}}),
    );
    expect![[r#"
        {
          "input": {},
          "expect": {
            "reply": {"output": {"a": 1}, "route": "on"},
            "calls": [
              {
                "call": "engram.recall",
                "args": {"binding": "notes", "query": {"top_k": 2}, "options": {"deadline_ms": 50}}
              },
              {
                "call": "engram.imprint",
                "args": {
                  "binding": "notes",
                  "op": "upsert",
                  "entry": {"content": null, "merge_key": "k"},
                  "options": {"await_ack": false}
                }
              },
              {
                "call": "engram.imprint",
                "args": {"binding": "notes", "op": "delete", "entry": {"merge_key": "k"}}
              },
              {
                "call": "synapse.emit",
                "args": {
                  "signal": "AUDIT",
                  "payload": {"attempt": 0, "domain": "security", "kind": "GUARDED", "outcome": "refused"}
                }
              },
              {"call": "synapse.emit", "args": {"signal": "AUDIT"}},
              {"call": "clock.sleep-ms", "args": {"ms": 5}},
              {"call": "random.bytes", "args": {"count": 2}},
              {"call": "clock.wall-ms"}
            ],
            "engrams": {"notes": []},
            "signals": [
              {
                "type": "AUDIT",
                "payload": {"kind": "GUARDED", "domain": "security", "outcome": "refused", "attempt": 0}
              }
            ],
            "log": [{"level": "info", "message": "begins"}]
          }
        }
    "#]]
    .assert_eq(
        &case_of_text("{\n  \"input\": {}\n}\n")
            .unwrap()
            .with_expectation(&run.expectation()),
    );
}

#[test]
fn every_kind_of_reply_is_told_as_what_it_is() {
    let reply = |step: Value| got(&played(json!([step]), json!({})))["reply"].clone();
    assert_eq!(
        reply(json!({"clarify": {"question": "which?", "context": {"of": 2}}})),
        json!({"clarification": {"question": "which?", "context": {"of": 2}}})
    );
    assert_eq!(
        reply(json!({"ask_leave": {"action": "delete", "scope": {"id": 1}, "reason": "old"}})),
        json!({"permission": {"action": "delete", "scope": {"id": 1}, "reason": "old"}})
    );
    assert_eq!(
        reply(json!({"fail": {"code": "NO_SOURCE", "recoverable": true}})),
        json!({"failure": {"code": "NO_SOURCE", "message": "told to fail with NO_SOURCE",
                           "recoverable": true}})
    );
    let end = reply(json!("trap"))["end"].clone();
    assert_eq!(end["code"], json!("NEURON_TRAP"));
    let end = reply(json!({"panic": "on purpose"}))["end"].clone();
    assert_eq!(end["code"], json!("NEURON_PANIC"));
}

#[test]
fn limits_are_the_cases() {
    let limited = |steps: Value, limits: Value| {
        let run = played(steps, json!({ "limits": limits }));
        got(&run)["reply"]["end"]["message"].clone()
    };
    assert_eq!(
        limited(json!(["spin"]), json!({"fuel": 50_000})),
        json!(
            "the neuron used up its 50000 units of fuel; raise the fuel limit if the work is legitimate"
        )
    );
    assert_eq!(
        limited(json!([{"sleep": 2000}]), json!({"timeout": "1s"})),
        json!("the neuron ran longer than its 1000 ms")
    );
    assert_eq!(
        limited(json!(["now", "now", "now"]), json!({"host_calls": 2})),
        json!("the neuron called the host more than 2 times")
    );
    let run = played(
        json!([{"allocate": 8}]),
        json!({"limits": {"memory": "4MiB"}}),
    );
    let mib = said(&run)[0]["mib"].as_u64().unwrap();
    assert!((1..4).contains(&mib), "{mib}");
}

#[test]
fn whatever_a_case_allows_it_ends_when_it_has_taken_its_real_time() {
    let limits = json!({"fuel": u64::MAX, "timeout": "1s", "host_calls": u64::MAX});
    let case = case_of_text(&json!({"input": {}, "limits": limits}).to_string()).unwrap();
    for neuron in ["hostile/spin", "hostile/host_call_flood"] {
        let rehearsal = rehearsal(neuron).patience(Duration::from_millis(100));
        let run = rehearsal.run(&case).unwrap();
        assert!(run.is_cut(), "{neuron}");
        assert_eq!(
            wrong(&run),
            ["it had not ended after 100ms of real time, and was stopped"],
            "{neuron}"
        );
        assert!(run.usage().fuel > 0, "{neuron}");
    }
}

#[test]
fn of_very_many_calls_the_first_are_told() {
    let steps = json!([{"repeat": {"times": 10_003, "steps": ["now"]}}]);
    let calls = got(&played(steps, json!({})))["calls"].clone();
    let calls = calls.as_array().unwrap();
    assert_eq!(calls.len(), 10_001);
    assert_eq!(calls.last(), Some(&json!("and 3 more")));
}

#[test]
fn a_manifest_gives_id_grants_engrams_and_limits() {
    use soma::package::{Document, Manifest, Schemas, embed};

    let manifest: Manifest = Document::parse(
        Path::new("neuron.toml"),
        "id = \"doll\"\nversion = \"1.0.0\"\n\
         [engrams.docs]\naccess = \"read\"\ndimension = 2\n\
         [grants]\nsynapse = [\"PLAN\"]\nclock = \"wall\"\nrandom = \"system\"\nlog = true\n\
         orchestration = true\n[limits]\ntimeout = \"7s\"\n"
            .to_owned(),
    )
    .unwrap()
    .typed()
    .unwrap();
    let wasm = fs::read(common::component("puppet")).unwrap();
    let wasm = embed(&wasm, &manifest, &Schemas::default()).unwrap();
    let doll = Rehearsal::new(sandbox(), "file", wasm).unwrap();
    assert_eq!(doll.neuron(), "doll");
    let steps = json!([
        {"write": {"to": "docs", "op": "append", "content": 1}},
        {"emit": {"kind": "PLAN", "payload": {"steps": []}}},
        {"emit": {"kind": "AUDIT", "payload": {}}},
        {"sleep": 10_000},
    ]);
    let case = |more: Value| {
        let mut case = json!({"input": {"do": steps}});
        case.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        case_of_text(&case.to_string()).unwrap()
    };
    let run = doll.run(&case(json!({}))).unwrap();
    assert_eq!(
        got(&run)["reply"]["end"]["message"],
        json!("the neuron ran longer than its 7000 ms")
    );
    assert_eq!(got(&run)["engrams"], json!({"docs": []}));
    assert_eq!(
        got(&run)["signals"],
        json!([{"type": "PLAN", "payload": {"steps": []}}])
    );

    let changed = json!({
        "limits": {"timeout": "1m"},
        "grants": {"emits": ["AUDIT"]},
        "engrams": {"docs": {"access": "read-write"}},
    });
    let run = doll.run(&case(changed)).unwrap();
    let said = said(&run);
    assert_eq!(
        said[0]["error"]["message"],
        json!("invalid engram request: entry has no embedding, this engram holds dimension 2")
    );
    assert_eq!(
        said[1]["error"]["message"],
        json!("signal denied: neuron `doll` may not emit PLAN")
    );

    let strange = json!({"engrams": {"dosc": {}}});
    let Err(RehearsalError::Case(problems)) = doll.run(&case(strange)) else {
        panic!("it ran");
    };
    assert!(
        problems
            .to_string()
            .ends_with("engrams.dosc: the neuron does not ask for this engram; it asks for `docs`"),
        "{problems}"
    );

    let taken = json!({"grants": {"log": false}});
    let run = doll.run(&case(taken)).unwrap();
    assert_eq!(
        got(&run),
        json!({"reply": {"refused": "the component imports `soma:neuron/log@0.1.0`, which is not \
                                     granted; grant `log` or build it without"}})
    );
}

#[test]
fn input_that_does_not_fit_the_neurons_schema_never_reaches_it() {
    use soma::package::{Document, Schemas, embed};

    let manifest = "id = \"doll\"\nversion = \"1.0.0\"\n[grants]\nlog = true\n";
    let manifest = Document::parse(Path::new("neuron.toml"), manifest.to_owned());
    let schemas = Schemas {
        input: Some(json!({"type": "object", "required": ["greeting"]})),
        output: None,
    };
    let wasm = fs::read(common::component("echo")).unwrap();
    let wasm = embed(&wasm, &manifest.unwrap().typed().unwrap(), &schemas).unwrap();
    let echo = Rehearsal::new(sandbox(), "echo", wasm).unwrap();
    let reply = |text: &str| got(&echo.run(&case_of_text(text).unwrap()).unwrap())["reply"].clone();
    assert_eq!(
        reply(r#"{"input": {"greeting": 1}}"#),
        json!({"output": {"greeting": 1}})
    );
    let end = reply(r#"{"input": {}}"#)["end"].clone();
    assert_eq!(end["code"], json!("INVALID_INPUT"));
    let message = end["message"].as_str().unwrap();
    assert!(message.contains("greeting"), "{message}");
}
