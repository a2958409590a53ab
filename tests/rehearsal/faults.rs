//! What goes wrong, and how the task ends then.

use super::*;

fn write(content: &str) -> Value {
    json!({"write": {"to": "notes", "op": "append", "content": content}})
}

fn with(faults: Value) -> Value {
    json!({"engrams": {"notes": {}}, "faults": faults})
}

/// The contents of `notes` afterwards.
fn notes(run: &Run) -> Vec<Value> {
    let entries = got(run)["engrams"]["notes"].clone();
    let entries = entries.as_array().unwrap().iter();
    entries.map(|entry| entry["content"].clone()).collect()
}

#[test]
fn an_engram_fails_in_every_way_and_nothing_is_written() {
    let mut told = String::new();
    for kind in [
        "not-bound",
        "denied",
        "timeout",
        "cancelled",
        "overloaded",
        "quota",
        "invalid",
        "backend",
    ] {
        let faults = json!([{"call": 1, "fails": kind, "message": "words"}]);
        let run = played(json!([write("lost"), write("kept")]), with(faults));
        assert_eq!(notes(&run), [json!("kept")]);
        assert_eq!(wrong(&run), [""; 0]);
        let error = said(&run)[0]["error"].clone();
        told += &format!("{kind}: {} {}\n", error["code"], error["message"]);
    }
    expect![[r#"
        not-bound: "ENGRAM_NOT_BOUND" "engram not bound: words"
        denied: "ENGRAM_DENIED" "engram access denied: words"
        timeout: "ENGRAM_TIMEOUT" "the engram did not answer in time"
        cancelled: "ENGRAM_CANCELLED" "the trace was stopped"
        overloaded: "ENGRAM_OVERLOADED" "engram overloaded: words"
        quota: "ENGRAM_QUOTA" "engram quota used up: words"
        invalid: "ENGRAM_INVALID" "invalid engram request: words"
        backend: "ENGRAM_BACKEND" "engram failed: words"
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_fault_of_a_binding_strikes_at_every_use_or_at_one() {
    let steps = || json!([write("1"), write("2"), {"recall": {"from": "notes"}}, write("3")]);
    let run = played(
        steps(),
        with(json!([{"binding": "notes", "fails": "quota"}])),
    );
    assert!(notes(&run).is_empty());
    assert_eq!(
        said(&run)[2]["error"]["message"],
        json!("engram quota used up: as the case says")
    );
    let run = played(
        steps(),
        with(json!([{"binding": "notes", "nth": 2, "fails": "quota"}])),
    );
    assert_eq!(notes(&run), [json!("1"), json!("3")]);
}

#[test]
fn a_slow_engram_takes_its_time_and_times_out_at_the_callers_deadline() {
    let steps = json!([
        "now",
        {"recall": {"from": "notes"}},
        "now",
        {"recall": {"from": "notes", "deadline_ms": 400}},
        "now",
    ]);
    let faults = json!([{"binding": "notes", "delay": "2s"}]);
    let run = played(steps, with(faults));
    let said = said(&run);
    let ms = |index: usize| said[index].as_u64().unwrap();
    assert_eq!(said[1], json!({"hits": [], "truncated": false}));
    assert_eq!(said[3]["error"]["code"], json!("ENGRAM_TIMEOUT"));
    assert_eq!((ms(2) - ms(0), ms(4) - ms(2)), (2000, 400));
}

#[test]
fn a_timeout_comes_when_the_callers_deadline_does() {
    let steps = json!(["now", {"recall": {"from": "notes", "deadline_ms": 400}}, "now"]);
    let run = played(steps, with(json!([{"call": 2, "fails": "timeout"}])));
    let said = said(&run);
    assert_eq!(said[1]["error"]["code"], json!("ENGRAM_TIMEOUT"));
    assert_eq!(said[2].as_u64().unwrap() - said[0].as_u64().unwrap(), 400);
}

#[test]
fn stop_at_a_call_ends_the_task_before_the_call_does_anything() {
    let steps = || json!([write("first"), {"log": "on"}, write("second"), write("third")]);
    let stopped = played(steps(), with(json!([{"call": 2, "ends": "stop"}])));
    assert_eq!(got(&stopped)["reply"], json!({"stopped": true}));
    assert_eq!(notes(&stopped), [json!("first")]);
    assert_eq!(got(&stopped)["calls"].as_array().unwrap().len(), 2);
    assert_eq!(wrong(&stopped), [""; 0]);

    let undone = played(steps(), with(json!([{"call": 2, "ends": "rollback"}])));
    assert_eq!(got(&undone)["reply"], json!({"stopped": true}));
    assert!(notes(&undone).is_empty());
    assert_eq!(undone.usage().fuel, stopped.usage().fuel);
}

#[test]
fn the_deadline_at_a_call_ends_the_task_there() {
    let faults = json!([{"call": 2, "ends": "deadline"}]);
    let run = played(
        json!([write("first"), "now", write("second")]),
        with(faults),
    );
    assert_eq!(
        got(&run)["reply"],
        json!({"end": {"code": "NEURON_DEADLINE", "message": "the neuron ran longer than its 30000 ms",
                       "recoverable": true}})
    );
    assert_eq!(notes(&run), [json!("first")]);
}

#[test]
fn fuel_ends_where_the_case_says() {
    let whole = played(json!([write("first"), write("second")]), with(json!([])));
    let half = whole.usage().fuel / 2;
    let cut = with(json!([{ "fuel": half }]));
    let run = played(json!([write("first"), write("second")]), cut);
    assert_eq!(
        got(&run)["reply"]["end"]["code"],
        json!("NEURON_OUT_OF_FUEL")
    );
    assert_eq!(run.usage().fuel, half);
}

#[test]
fn an_emission_is_denied_or_cancelled() {
    let emit = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
    let message = |more: Value| {
        let run = played(json!([emit]), more);
        assert_eq!(got(&run)["signals"], json!([]));
        said(&run)[0]["error"]["message"].clone()
    };
    assert_eq!(
        message(json!({"faults": [{"call": 1, "fails": "denied", "message": "not you"}]})),
        json!("signal denied: not you")
    );
    assert_eq!(
        message(json!({"faults": [{"call": 1, "fails": "cancelled"}]})),
        json!("the trace was stopped")
    );
    assert_eq!(
        message(json!({"grants": {"orchestration": true, "emits": []}})),
        json!("signal denied: neuron `puppet` may not emit PLAN")
    );
}

#[test]
fn the_orchestrator_fails_in_every_way() {
    let mut told = String::new();
    for kind in [
        "unroutable",
        "timeout",
        "closed",
        "denied",
        "overloaded",
        "invalid",
    ] {
        let faults = json!([{"call": 1, "fails": kind, "message": "words"}]);
        let run = played(
            json!([{"call": {"input": {}, "neuron": "other"}}]),
            with(faults),
        );
        assert_eq!(wrong(&run), [""; 0]);
        let error = said(&run)[0]["error"].clone();
        told += &format!("{kind}: {} {}\n", error["code"], error["message"]);
    }
    expect![[r#"
        unroutable: "UNROUTABLE" "unroutable: words"
        timeout: "TIMEOUT" "no reply in time: words"
        closed: "CLOSED" "the awaited trace was stopped: words"
        denied: "DENIED" "denied: words"
        overloaded: "OVERLOADED" "overloaded: words"
        invalid: "INVALID_REQUEST" "invalid request: words"
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_grant_that_is_taken_away_refuses_the_component() {
    let run = played(
        json!([]),
        json!({"grants": {"orchestration": true, "engram": false}}),
    );
    assert_eq!(
        got(&run),
        json!({"reply": {"refused": "the component imports `soma:neuron/engram@0.1.0`, which is \
                                     not granted; grant `engram` or build it without"}})
    );
}

#[test]
fn through_a_binding_to_read_nothing_is_written() {
    let scene = json!({"engrams": {"notes": {"access": "read"}}});
    let run = played(json!([write("lost")]), scene);
    assert_eq!(
        said(&run)[0]["error"]["message"],
        json!("engram access denied: neuron `puppet` may only read through the binding `notes`")
    );
    assert!(notes(&run).is_empty());
    let run = played(
        json!([write("lost")]),
        json!({"engrams": {"a": {}, "b": {}}}),
    );
    assert_eq!(
        said(&run)[0]["error"]["message"],
        json!("engram not bound: neuron `puppet` has no engram bound as `notes`; bound: `a`, `b`")
    );
}

#[test]
fn a_fault_that_does_not_fit_or_does_not_strike_is_told() {
    let faults = json!([
        {"call": 1, "fails": "timeout"},
        {"call": 2, "fails": "backend"},
        {"call": 2, "delay": "1s"},
        {"call": 3, "fails": "unroutable"},
        {"call": 4, "fails": "timeout"},
        {"call": 9, "ends": "stop"},
        {"binding": "notes", "nth": 3, "fails": "quota"},
    ]);
    let steps = json!([
        "now",
        {"emit": {"kind": "PLAN", "payload": {"steps": []}}},
        write("first"),
        {"dispatch": {"input": {}, "neuron": "other"}},
    ]);
    let run = played(steps, with(faults));
    let mut wrong = wrong(&run);
    wrong.sort();
    assert_eq!(
        wrong,
        [
            "faults.0: call 1 is clock.wall-ms, which cannot fail",
            "faults.1: call 2 is synapse.emit, which cannot fail with `backend`",
            "faults.2: call 2 is synapse.emit; only an engram's answer has a delay",
            "faults.3: call 3 is engram.imprint, which cannot fail with `unroutable`",
            "faults.5 did not strike: the neuron made 4 calls (log lines do not count)",
            "faults.6 did not strike: the neuron made 4 calls (log lines do not count)",
        ]
    );
}
