//! What `soma run` shows of an answer.

use super::*;

#[test]
fn a_reply_is_shown_with_its_route_and_what_it_cost() {
    let steps = json!([{"output": {"value": {"b": [1, 2.50], "a": "ä"}, "route": "approved"}}]);
    puppet(&steps, []).is(&expect![[r#"
        exit 0
        --- stdout
        AGENT_OUTPUT, route approved
        {
          "a": "ä",
          "b": [
            1,
            2.5
          ]
        }

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
    "#]]);
}

#[test]
fn what_is_no_object_is_an_output_under_the_key_value() {
    let run = puppet(&json!([{"output": {"value": 7}}]), ["--json"]);
    assert_eq!(run.json()["payload"], json!({"output": {"value": 7}}));
}

#[test]
fn a_question_back_and_a_request_for_leave_are_answers() {
    puppet(&json!([{"clarify": {"question": "which one?"}}]), []).is(&expect![[r#"
        exit 0
        --- stdout
        CLARIFICATION
        {
          "question": "which one?"
        }

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
    "#]]);
    let leave = json!([{"ask_leave": {"action": "delete", "scope": {"n": 3}, "reason": "old"}}]);
    puppet(&leave, []).is(&expect![[r#"
        exit 0
        --- stdout
        PERMISSION
        {
          "action": "delete",
          "scope": {
            "n": 3
          },
          "reason": "old"
        }

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
    "#]]);
}

#[test]
fn json_is_one_object_with_these_keys_whatever_the_reply() {
    for steps in [
        json!([{"output": {"value": {}, "route": "next"}}]),
        json!(["trap"]),
    ] {
        let run = puppet(&steps, ["--json"]);
        let object = run.json();
        let keys: Vec<_> = object.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            [
                "type",
                "route",
                "payload",
                "trace_id",
                "fuel",
                "peak_memory_bytes",
                "cpu_us",
                "wall_us",
                "host_calls",
                "digest",
                "imports"
            ]
        );
        assert!(object["fuel"].as_u64().unwrap() > 0);
        assert!(object["peak_memory_bytes"].as_u64().unwrap() >= 65_536);
        assert!(object["wall_us"].as_u64() >= object["cpu_us"].as_u64());
        assert!(object["trace_id"].as_str().unwrap().starts_with("trc_"));
        assert!(object["digest"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn the_same_task_burns_the_same_fuel() {
    let fuel = || puppet(&json!([{"burn": 100_000}]), ["--json"]).json()["fuel"].clone();
    assert_eq!(fuel(), fuel());
}
