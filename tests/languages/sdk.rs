//! The SDKs, through a puppet in each language that does what a test writes
//! down, and the templates.

use std::sync::Arc;

use serde_json::{Value, json};
use soma::{
    engram::VectorEngram,
    orchestration::{Access, Answer, Dispatch, Neuron},
    package::{Randomness, Time},
};

use super::{C, GO, JAVASCRIPT, Language, PYTHON, RUST, ask, host, lines, plugin};
use crate::common::{
    bare_memory, component, contents, error, memory, run, said, tenant, told, virtual_host,
};

/// What a puppet answers to each script, on a host and with a trace of its own
/// whose ids, time and randomness are the same for all puppets.
fn answers(component_name: &str, scripts: &[Value]) -> Vec<Answer> {
    let mut all = Vec::new();
    for steps in scripts {
        let (host, _) = virtual_host();
        let grants = if component_name == RUST.puppet {
            crate::common::all_grants()
        } else {
            Default::default()
        };
        let grants = grants
            .with_time(Time::Virtual)
            .with_randomness(Randomness::Seeded);
        let plugin = host.load_file(component(component_name), &grants).unwrap();
        let tenant = tenant(&host, "acme");
        let memory = memory(&tenant, "memory");
        let vectors = tenant.add_engram(VectorEngram::new(
            "vectors",
            3,
            tenant.clock().clone(),
            tenant.ids().clone(),
            Arc::clone(tenant.tenant()) as _,
        ));
        let sealed = tenant.add_engram(bare_memory(&tenant, "sealed"));
        let neuron = Neuron::new("puppet", plugin)
            .bind("memory", memory, Access::ReadWrite)
            .bind("vectors", vectors, Access::ReadWrite)
            .bind("sealed", sealed, Access::Read);
        tenant.register(neuron);
        let input = told(steps.clone());
        all.push(run(&host, async move {
            ask(&tenant, Dispatch::to_neuron("puppet").input(input)).await
        }));
    }
    all
}

fn write(more: Value) -> Value {
    let mut write = json!({"to": "memory"});
    for (key, value) in more.as_object().unwrap() {
        write[key] = value.clone();
    }
    json!({ "write": write })
}

pub(super) fn every_helper_does_what_the_one_in_rust_does(language: &Language) {
    let all = json!({"recall": {"from": "memory"}});
    let scripts = [
        json!([
            write(json!({"op": "add", "id": "one", "key": "k", "content": {"a": 1}, "tags": ["t", "ü"]})),
            write(json!({"op": "add", "id": "one", "content": 1})),
            write(json!({"op": "append", "id": "one", "content": "ü\0\n\"\\\u{7f}"})),
            write(json!({"op": "merge", "key": "k", "content": {"b": [1, -2.5, null, true, {}]}})),
            write(json!({"op": "merge", "key": "nope", "content": 1})),
            write(json!({"op": "upsert", "key": "k2", "content": []})),
            write(json!({"op": "upsert", "key": "k2", "content": [{}]})),
            all,
            write(json!({"op": "delete", "key": "k2"})),
            write(json!({"op": "delete", "key": "k2"})),
            write(json!({"op": "add", "content": 5, "send": true})),
            write(json!({"op": "add", "content": 6, "idempotency": "i"})),
            write(json!({"op": "add", "content": 7, "idempotency": "i"})),
            write(json!({"op": "add", "content": 8, "deadline_ms": 1000})),
            all,
            {"recall": {"from": "memory", "tag": "ü"}},
            {"recall": {"from": "memory", "top_k": 1, "deadline_ms": 1000}},
            {"recall": {"from": "nowhere"}},
            {"write": {"to": "sealed", "op": "add", "content": 1}},
            {"recall": {"from": "sealed"}},
        ]),
        json!([
            {"write": {"to": "vectors", "op": "add", "content": 1, "embedding": [0.1, -2.5, 3.25]}},
            {"write": {"to": "vectors", "op": "add", "content": 2, "embedding": [1, 0, 0]}},
            {"write": {"to": "vectors", "op": "add", "content": 3, "embedding": [1, 0]}},
            {"recall": {"from": "vectors", "embedding": [1, 0.1, 0.2]}},
            write(json!({"op": "add", "content": 4, "embedding": [1, 0, 0]})),
        ]),
        json!([
            {"emit": {"kind": "PLAN", "payload": {"steps": [{"do": 1}]}}},
            {"emit": {"kind": "PLAN", "payload": {"steps": 1}}},
            {"emit": {"kind": "MEMORY_APPEND", "payload": {"key": "k", "value": "ü"}}},
            {"emit": {"kind": "ESCALATION", "payload": {"reason": "r"}}},
            {"emit": {"kind": "CONSENSUS", "payload": {"members": ["a"], "verdict": "v"}}},
            {"emit": {"kind": "CONTEXT_SYNC", "payload": {"snapshot": {}}}},
            {"emit": {"kind": "CRITIQUE", "payload": {"target_event_id": "evt_1", "issues": [], "verdict": "v"}}},
            {"emit": {"kind": "AUDIT", "payload": {"kind": "k", "domain": "d", "outcome": "o", "attempt": 0}}},
        ]),
        json!(["now", {"sleep": 1_500}, "now", {"random": 0}, {"random": 33}, {"log": "a line"}]),
        json!([{"repeat": {"times": 300, "steps": [
            write(json!({"op": "append", "content": "x".repeat(9_000), "tags": ["big"]})),
            {"recall": {"from": "memory", "top_k": 1}},
        ]}}, {"output": {"value": 1}}]),
    ];
    let expected = answers(RUST.puppet, &scripts);
    let found = answers(language.puppet, &scripts);
    for ((expected, found), script) in expected.iter().zip(&found).zip(&scripts) {
        let told = |answer: &Answer| answer.signal.payload.clone();
        assert_eq!(told(found), told(expected), "of {script}");
        assert!(found.is_output());
    }
    assert_eq!(said(&found[0]).len(), 20);
}

pub(super) fn every_reply_is_the_same_as_in_rust(language: &Language) {
    let scripts = [
        json!([]),
        json!([{"output": {"value": {"ü": [1, "é\0", null, 2.5]}, "route": "retry"}}]),
        json!([{"output": {"value": null}}]),
        json!([{"clarify": {"question": "which?", "context": {"a": [1]}}}]),
        json!([{"clarify": {"question": ""}}]),
        json!([{"ask_leave": {"action": "delete", "scope": {"all": true}, "reason": "old"}}]),
        json!([write(json!({"op": "add", "content": 1})), {"fail": {"code": "HALFWAY", "recoverable": true}}]),
        json!([{"fail": {"code": "NO"}}]),
    ];
    let expected = answers(RUST.puppet, &scripts);
    for ((expected, found), script) in expected
        .iter()
        .zip(answers(language.puppet, &scripts))
        .zip(&scripts)
    {
        assert_eq!(found.signal.payload, expected.signal.payload, "of {script}");
        assert_eq!(found.route, expected.route, "of {script}");
    }
}

pub(super) fn what_nothing_catches_is_an_error_with_its_words_and_the_next_task_is_done(
    language: &Language,
) {
    lines::collect();
    let host = host();
    let tenant = tenant(&host, "acme");
    let engram = memory(&tenant, "memory");
    let neuron = Neuron::new("puppet", plugin(&host, language.puppet));
    tenant.register(neuron.bind("memory", engram, Access::ReadWrite));
    let uncaught = language.uncaught;
    run(&host, async move {
        let steps = json!([write(json!({"op": "add", "content": 1})), {"panic": "told tö panic"}]);
        let answer = ask(&tenant, Dispatch::to_neuron("puppet").input(told(steps))).await;
        let error = error(&answer);
        assert_eq!((&*error.code, error.recoverable), (uncaught, false));
        assert!(error.message.contains("told tö panic"), "{}", error.message);
        let logged = lines::of(&answer.signal.trace_id);
        let line = logged.last().unwrap();
        assert_eq!(line.level, "ERROR");
        assert!(line.message.contains("told tö panic"), "{line:?}");
        let task = Dispatch::to_neuron("puppet").input(told(json!(["now"])));
        assert!(ask(&tenant, task).await.is_output());
    });
}

fn imports(component_name: &str) -> Vec<String> {
    let host = host();
    let plugin = plugin(&host, component_name);
    let mut imports: Vec<_> = plugin
        .imports()
        .iter()
        .map(|import| {
            let name = import.strip_prefix("soma:neuron/");
            let name = name.and_then(|name| name.strip_suffix("@0.1.0"));
            name.unwrap_or(import).to_owned()
        })
        // Holds types and no function.
        .filter(|name| name != "types")
        .collect();
    imports.sort();
    imports
}

pub(super) fn a_component_imports_what_its_manifest_asks_for_and_nothing_else(language: &Language) {
    assert_eq!(imports(language.ingester), ["engram", "log"]);
    assert_eq!(imports(language.notes), ["engram", "log"]);
    let all = ["clock", "engram", "log", "random", "synapse"];
    // The one in Rust dispatches too.
    if language.puppet != RUST.puppet {
        assert_eq!(imports(language.puppet), all);
    }
}

pub(super) fn a_new_project_keeps_notes_and_finds_them(language: &Language) {
    let host = host();
    let tenant = tenant(&host, "acme");
    let notes = memory(&tenant, "notes");
    let neuron = Neuron::new("notes", plugin(&host, language.notes));
    tenant.register(neuron.bind("notes", Arc::clone(&notes), Access::ReadWrite));
    run(&host, async move {
        let mut earlier = Vec::new();
        for (note, about) in [
            ("A saga undoes.", "saga"),
            ("No Saga here.", "saga"),
            ("Ünd", "x"),
        ] {
            let input = json!({"note": note, "about": about});
            let answer = ask(&tenant, Dispatch::to_neuron("notes").input(input)).await;
            earlier.push(answer.output().unwrap()["earlier"].clone());
        }
        assert_eq!(earlier, [json!([]), json!(["A saga undoes."]), json!([])]);
        let kept = ["A saga undoes.", "No Saga here.", "Ünd"].map(Value::from);
        assert_eq!(contents(&notes).await, kept);
        let task = Dispatch::to_neuron("notes").input(json!({"note": "n"}));
        let answer = ask(&tenant, task).await;
        let error = error(&answer);
        assert_eq!(error.code, "INVALID_INPUT");
        assert!(
            error.message.starts_with("input: missing field `about`"),
            "{}",
            error.message
        );
    });
}

#[test]
fn what_a_program_prints_is_logged_line_by_line() {
    lines::collect();
    for language in [PYTHON, JAVASCRIPT, C, GO] {
        let host = host();
        let tenant = tenant(&host, "acme");
        tenant.register(Neuron::new("puppet", plugin(&host, language.puppet)));
        run(&host, async move {
            let steps = json!([{"print": "one"}, {"print": "zwei ü"}]);
            let answer = ask(&tenant, Dispatch::to_neuron("puppet").input(told(steps))).await;
            let lines = lines::of(&answer.signal.trace_id);
            let printed: Vec<_> = lines
                .iter()
                .map(|line| (&*line.level, &*line.message))
                .collect();
            assert_eq!(
                printed,
                [("INFO", "one"), ("INFO", "zwei ü")],
                "{}",
                language.puppet
            );
        });
    }
}

#[test]
fn a_failed_assertion_in_c_is_told_with_its_place() {
    let host = host();
    let tenant = tenant(&host, "acme");
    tenant.register(Neuron::new("puppet", plugin(&host, C.puppet)));
    run(&host, async move {
        let steps = json!([{"assert": 1}]);
        let answer = ask(&tenant, Dispatch::to_neuron("puppet").input(told(steps))).await;
        let error = error(&answer);
        assert_eq!(error.code, "NEURON_PANIC");
        let place = "the neuron panicked: assertion failed: told == NULL (neuron.c:";
        assert!(error.message.starts_with(place), "{}", error.message);
    });
}
