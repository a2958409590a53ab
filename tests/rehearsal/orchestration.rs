//! Other neurons, as the case has them answer.

use super::*;

fn with(answers: Value) -> Value {
    json!({ "orchestration": answers })
}

#[test]
fn each_task_takes_the_next_answer_of_its_target() {
    let run = played(
        json!([
            {"call": {"input": {}, "neuron": "a"}},
            {"call": {"input": {}, "capabilities": ["x", "y"]}},
            {"call": {"input": {}, "neuron": "a"}},
            {"call": {"input": {}}},
        ]),
        with(json!([
            {"capabilities": ["y", "x"], "output": {"from": "able"}},
            {"neuron": "a", "output": {"from": "a, first"}, "route": "on"},
            {"neuron": "a", "failure": {"code": "TIRED", "message": "of it"}},
            {"any": true, "clarification": {"question": "who?"}},
        ])),
    );
    let said = said(&run);
    assert_eq!(said[0]["outcome"], json!({"from": "a, first"}));
    assert_eq!(said[1]["outcome"], json!({"from": "able"}));
    assert_eq!(
        said[2]["error"],
        json!({"code": "TIRED", "message": "of it", "recoverable": false})
    );
    assert_eq!(said[3]["outcome"], json!({"question": "who?"}));
    assert_eq!(wrong(&run), [""; 0]);
}

#[test]
fn a_target_without_an_answer_is_not_there() {
    let steps = json!([{"call": {"input": {}, "neuron": "a"}}, {"call": {"input": {}, "neuron": "a"}}, {"call": {"input": {}, "neuron": "b"}}]);
    let answers = json!([{"neuron": "a", "output": {}}, {"neuron": "c", "output": {}}]);
    let run = played(steps, with(answers));
    let message = |index: usize| said(&run)[index]["error"]["message"].clone();
    assert_eq!(
        message(1),
        json!("unroutable: no neuron of tenant `rehearsal` is neuron `a`; registered: a, c")
    );
    assert_eq!(
        message(2),
        json!("unroutable: no neuron of tenant `rehearsal` is neuron `b`; registered: a, c")
    );
    assert_eq!(
        wrong(&run),
        [
            "orchestration.1: no task was started for it",
            "orchestration: there is no further answer of neuron `a`",
        ]
    );
}

#[test]
fn an_answer_that_comes_too_late_or_never_is_waited_for_as_long_as_asked() {
    let run = played(
        json!([
            "now",
            {"call": {"input": {}, "neuron": "late", "timeout_ms": 1000}},
            "now",
            {"call": {"input": {}, "neuron": "late", "timeout_ms": 3000}},
            "now",
            {"retry": {"neuron": "never", "input": {}, "max_attempts": 3, "timeout_ms": 2000}},
            "now",
            {"retry": {"neuron": "never", "input": {}, "max_attempts": 1001, "timeout_ms": 2000}},
        ]),
        with(json!([
            {"neuron": "late", "output": {}, "after": "2s"},
            {"neuron": "late", "output": {}, "after": "2s"},
            {"neuron": "never", "never": true},
        ])),
    );
    let said = said(&run);
    let ms = |index: usize| said[index].as_u64().unwrap();
    let late = said[1]["error"]["message"].as_str().unwrap();
    assert!(
        late.starts_with("no reply in time: no reply on trc_") && late.ends_with(" within 1000 ms"),
        "{late}"
    );
    assert_eq!(said[3]["outcome"], json!({}));
    assert_eq!(said[5]["error"]["code"], json!("TIMEOUT"));
    assert_eq!(
        (ms(2) - ms(0), ms(4) - ms(2), ms(6) - ms(4)),
        (1000, 2000, 6000)
    );
    assert_eq!(
        said[7]["error"]["message"],
        json!("invalid request: max-attempts is 1001, at most 1000 are made")
    );
}

#[test]
fn a_pathway_gives_signals_then_the_reply_then_nothing() {
    let run = played(
        json!([
            {"dispatch": {"input": {}, "neuron": "a"}},
            {"next": 0}, {"next": 0}, {"next": 0},
            {"wait": {"pathway": 0, "timeout_ms": 1}},
            "now",
        ]),
        with(json!([{
            "neuron": "a",
            "signals": [{"type": "PLAN", "payload": {"steps": [{"do": "one"}]}}],
            "output": {"done": true},
            "after": "4s",
        }])),
    );
    let said = said(&run);
    let start = 1_767_225_600_000_u64;
    assert_eq!(
        said.as_array().unwrap()[1..],
        [
            json!("PLAN"),
            json!("AGENT_OUTPUT"),
            Value::Null,
            json!({"done": true}),
            json!(start + 4000)
        ]
    );
}

#[test]
fn a_stopped_trace_reports_as_the_case_says_and_answers_no_more() {
    let run = played(
        json!([
            {"dispatch": {"input": {}, "neuron": "slow"}},
            {"stop": {"trace": {"pathway": 0}, "rollback": true}},
            {"wait": {"pathway": 0, "timeout_ms": 60_000}},
            {"next": 0},
            {"dispatch": {"input": {}, "neuron": "quick"}},
            {"stop": {"trace": {"pathway": 1}}},
            {"wait": {"pathway": 1, "timeout_ms": 0}},
            {"stop": {"trace": "myself"}},
        ]),
        with(json!([
            {"neuron": "slow", "never": true, "stopped": {"compensated": 2, "kept": ["eng_1: changed since"]}},
            {"neuron": "quick", "output": {"a": 1}},
        ])),
    );
    let said = said(&run);
    assert_eq!(
        said[1],
        json!([{"rolled_back": true, "cancelled": 1, "compensated": 2, "node": "rehearsal",
                "kept": ["eng_1: changed since"]}])
    );
    assert_eq!(said[2]["error"]["code"], json!("CLOSED"));
    assert_eq!(said[3], Value::Null);
    assert_eq!(
        said[5],
        json!([{"rolled_back": false, "cancelled": 0, "compensated": 0, "node": "rehearsal",
                "kept": []}])
    );
    // What had come before STOP is there.
    assert_eq!(said[6], json!({"a": 1}));
    let refused = said[7]["error"]["message"].as_str().unwrap();
    assert!(
        refused.ends_with("was not started by this task"),
        "{refused}"
    );
}

#[test]
fn refusals_come_at_once_and_closed_pathways_when_they_are_due() {
    let run = played(
        json!([
            {"dispatch": {"input": {}, "neuron": "busy"}},
            {"dispatch": {"input": {}, "neuron": "gone"}},
            {"wait": {"pathway": 0, "timeout_ms": 9000}},
            {"dispatch": {"input": {}, "neuron": "gone", "trace": {"named": "trc_of_others"}}},
        ]),
        with(json!([
            {"neuron": "busy", "fails": "overloaded", "message": "come back later"},
            {"neuron": "gone", "fails": "closed"},
        ])),
    );
    let said = said(&run);
    assert_eq!(
        said[0]["error"]["message"],
        json!("overloaded: come back later")
    );
    assert_eq!(said[2]["error"]["code"], json!("CLOSED"));
    assert_eq!(
        said[3]["error"]["message"],
        json!("denied: trace trc_of_others is neither this task's own nor one that it started")
    );
}
