#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use serde_json::json;

use super::*;

fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn read(kind: SignalType, payload: Value) -> Result<Payload, String> {
    Payload::from_object(kind, object(payload)).map_err(|error| error.to_string())
}

#[test]
fn refusals_name_the_type_the_key_and_both_kinds() {
    let refused = |kind, payload| read(kind, payload).unwrap_err();
    assert_eq!(
        refused(SignalType::Task, json!({})),
        "TASK payload lacks `input` (an object)"
    );
    assert_eq!(
        refused(SignalType::Task, json!({"input": null})),
        "TASK payload has null as `input`, which must be an object"
    );
    assert_eq!(
        refused(
            SignalType::Task,
            json!({"input": {}, "capabilities": ["a", 7]})
        ),
        "TASK payload has a list with a number at index 1 as `capabilities`, which must be a list of strings"
    );
    assert_eq!(
        refused(SignalType::Task, json!({"input": {}, "finalize": "yes"})),
        "TASK payload has a string as `finalize`, which must be true or false"
    );
    assert_eq!(
        refused(SignalType::Bid, json!({"cost": 1, "eta_ms": -1})),
        "BID payload has another number as `eta_ms`, which must be a whole number from 0 to 2^64-1"
    );
    assert_eq!(
        refused(
            SignalType::Recalled,
            json!({"engram_id": "e", "hits": [1], "truncated": false})
        ),
        "RECALLED payload has a list with a number at index 0 as `hits`, which must be a list of objects"
    );
    assert_eq!(
        refused(
            SignalType::Stopped,
            json!({"rolled_back": true, "cancelled": 1})
        ),
        "STOPPED payload lacks `compensated` (a whole number from 0 to 2^64-1)"
    );
    assert_eq!(
        refused(SignalType::MemoryAppend, json!({"key": "k"})),
        "MEMORY_APPEND payload lacks `value` (any value)"
    );
}

#[test]
fn keys_that_a_type_does_not_name_follow_the_known_ones_in_their_order() {
    let payload = read(
        SignalType::Stop,
        json!({"z": 1, "reason": "r", "a": [2], "rollback": true}),
    );
    let text = Value::Object(payload.unwrap().to_object()).to_string();
    assert_eq!(text, r#"{"rollback":true,"reason":"r","z":1,"a":[2]}"#);
}

#[test]
fn a_known_key_in_extra_is_ignored() {
    let mut stop = Stop::new(true);
    stop.extra = object(json!({"rollback": false, "x": 1}));
    let text = Value::Object(Payload::from(stop).to_object()).to_string();
    assert_eq!(text, r#"{"rollback":true,"x":1}"#);
}

#[test]
fn absent_optionals_and_false_flags_are_not_written() {
    let payload = Payload::from(Task::new(object(json!({"q": 1}))));
    assert_eq!(
        Value::Object(payload.to_object()),
        json!({"input": {"q": 1}})
    );
    let nulls = json!({"input": {"q": 1}, "context_ref": null, "finalize": false});
    assert_eq!(read(SignalType::Task, nulls), Ok(payload));
}

#[test]
fn a_null_result_of_a_tool_is_a_result() {
    let payload = read(SignalType::ToolResult, json!({"tool": "t", "result": null})).unwrap();
    let Payload::ToolResult(result) = &payload else {
        panic!("{payload:?}")
    };
    assert_eq!(result.result, Some(Value::Null));
    assert_eq!(payload.to_object().get("result"), Some(&Value::Null));
}

#[test]
fn the_direct_text_is_the_text_of_the_object() {
    let payloads = [
        read(SignalType::Discover, json!({})),
        read(
            SignalType::Discover,
            json!({"capabilities": ["a\"\n", "ü"], "extra key\t": 1.50}),
        ),
        read(
            SignalType::Bid,
            json!({"cost": 0.1, "eta_ms": u64::MAX, "confidence": 1}),
        ),
    ];
    for payload in payloads {
        let payload = payload.unwrap();
        let mut text = Vec::new();
        payload.write_json(&mut text);
        let object = Value::Object(payload.to_object()).to_string();
        assert_eq!(String::from_utf8(text).unwrap(), object);
    }
}
