//! Tasks that neurons start.

use super::*;

/// A step that has a child do these steps, and waits for it.
fn call(steps: Value) -> Value {
    json!({"call": {"neuron": "puppet", "input": told(steps)}})
}

/// The code and the words of an error that a puppet said.
fn refusal(said: &Value) -> String {
    let text = |key: &str| said["error"][key].as_str().unwrap();
    format!("{}: {}", text("code"), text("message"))
}

#[test]
fn what_a_neuron_starts_is_a_child_of_its_task_on_a_trace_of_its_own() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let answer = ask(&stage.tenant, json!([call(json!([])), call(json!([]))])).await;
        let told = said(&answer);
        let tasks: Vec<_> = tap
            .seen()
            .iter()
            .filter(|signal| signal.signal_type() == SignalType::Task)
            .cloned()
            .collect();
        let [own, children @ ..] = &tasks[..] else {
            panic!("no tasks")
        };
        assert_eq!(children.len(), 2);
        for (child, told) in children.iter().zip(told) {
            assert_eq!(child.parent_id.as_ref(), Some(&own.id));
            assert_ne!(child.trace_id, own.trace_id);
            assert_eq!(told["task"], child.id.to_string());
            assert_eq!(told["trace"], child.trace_id.to_string());
        }
        assert_ne!(children[0].trace_id, children[1].trace_id);
    });
}

#[test]
fn a_neuron_sees_how_the_tasks_ended_that_it_waited_for() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([
            call(json!([{"output": {"value": {"n": 1}}}])),
            call(json!([{"fail": {"code": "F", "recoverable": true}}])),
            call(json!([{"clarify": {"question": "?"}}])),
            call(json!([{"ask_leave": {"action": "a", "scope": {}, "reason": "r"}}])),
            call(json!(["trap"])),
            {"call": {"neuron": "nobody", "input": {}}},
            {"call": {"neuron": "puppet", "input": {}, "trace": {"named": "trc_foreign"}}},
        ]);
        let said = said(&ask(&stage.tenant, steps).await);
        assert_eq!(said[0]["outcome"], json!({"n": 1}));
        assert_eq!(said[2]["outcome"], json!({"question": "?"}));
        assert_eq!(said[3]["outcome"], json!({"action": "a"}));
        let errors = [1, 4, 5, 6].map(|place| refusal(&said[place]) + "\n");
        expect_test::expect![[r#"
            F: told to fail with F
            NEURON_TRAP: the neuron trapped: wasm `unreachable` instruction executed
            UNROUTABLE: unroutable: no neuron of tenant `acme` is neuron `nobody`; registered: puppet
            DENIED: denied: trace trc_foreign is neither this task's own nor one that it started
        "#]].assert_eq(&errors.concat());
    });
}

#[test]
fn a_neurons_wait_is_answered_by_its_own_task_only_and_may_time_out() {
    let (host, hand) = common::virtual_host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let plan = json!({"emit": {"kind": "PLAN", "payload": {"steps": []}}});
        let dispatch = |steps: Value| json!({"dispatch": {"neuron": "puppet", "trace": "myself", "input": told(steps)}});
        let steps = json!([
            dispatch(json!([plan, wait_at_gate(), {"output": {"value": "slow"}}])),
            dispatch(json!([{"output": {"value": "fast"}}])),
            {"wait": {"pathway": 1, "timeout_ms": 1_000}},
            append("the fast one is done"),
            {"wait": {"pathway": 0, "timeout_ms": 1_000}},
            {"next": 0},
            {"recall": {"from": "gate", "tag": "parent"}},
            {"wait": {"pathway": 0, "timeout_ms": 1_000_000}},
            {"next": 0},
            {"next": 0},
        ]);
        let task = puppet(steps).limits(Limits {
            wall: LONG,
            ..Limits::default()
        });
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        stage.gate.arrived(1).await;
        common::until(|| stage.memory.len() == 1).await;
        // The two tasks' deadlines, and the parent's second wait.
        hand.wait_for_pending(3).await;
        assert_eq!(hand.advance_to_next(), Some(Duration::from_secs(1)));
        stage.gate.arrived(2).await;
        stage.gate.open();
        let said = said(&pathway.wait(LONG).await.unwrap());
        assert_eq!(said[2]["value"], "fast");
        assert_eq!(said[4]["error"]["code"], "TIMEOUT");
        assert_eq!(said[5], "PLAN");
        assert_eq!(said[7]["value"], "slow");
        assert_eq!((&said[8], &said[9]), (&json!("AGENT_OUTPUT"), &json!(null)));
    });
}

#[test]
fn what_a_neuron_started_ends_with_it_unless_it_ended_well() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let child = told(json!([append("begun"), wait_at_gate(), append("done")]));
        let start = json!({"dispatch": {"neuron": "puppet", "input": child}});
        let wait = json!({"recall": {"from": "gate", "tag": "parent"}});
        let fail = json!({"fail": {"code": "F"}});
        let failing = puppet(json!([start, wait, fail]));
        let mut pathway = stage.tenant.dispatch(failing).unwrap();
        stage.gate.arrived(2).await;
        stage.gate.open_for("parent");
        assert!(pathway.wait(LONG).await.unwrap().is_error());
        assert_eq!(stage.gate.inside(), 0, "the child outlives its parent");
        let replies = tap.types();
        let errors = replies.iter().filter(|kind| **kind == SignalType::Error);
        assert_eq!(errors.count(), 2);
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        assert_eq!(acks[0].compensated, 1);

        let answer = ask(&stage.tenant, json!([start])).await;
        assert!(answer.is_output());
        stage.gate.arrived(3).await;
        stage.gate.open();
        common::until(|| stage.memory.len() == 2).await;
    });
}

#[test]
fn a_neuron_looks_for_at_most_64_capabilities_at_once() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let call = |n: usize| json!({"call": {"capabilities": vec!["c"; n], "input": {}}});
        let said = said(&ask(&stage.tenant, json!([call(65), call(64)])).await);
        expect_test::expect![
            "INVALID_REQUEST: invalid request: 65 capabilities, at most 64 are looked for"
        ]
        .assert_eq(&refusal(&said[0]));
        assert_eq!(said[1]["error"]["code"], "UNROUTABLE");
    });
}

#[test]
fn the_tasks_of_a_trace_start_at_most_1024_traces_that_are_not_settled() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        // A pathway that is kept keeps its trace.
        let start = json!({"dispatch": {"neuron": "puppet", "input": {}}});
        let steps = json!([
            {"repeat": {"times": 1_024, "steps": [start, "wait_for_last"]}},
            start,
            {"close": 7},
            start,
        ]);
        let task = puppet(steps).limits(Limits {
            wall: LONG,
            ..Limits::default()
        });
        let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
        let said = said(&answer);
        assert!(said[..1_024].iter().all(|said| said["trace"].is_string()));
        expect_test::expect!["OVERLOADED: overloaded: the tasks of a trace may have at most 1024 traces started and not settled"]
            .assert_eq(&refusal(&said[1_024]));
        assert!(said[1_025]["trace"].is_string(), "{}", said[1_025]);
        common::until(|| stage.tenant.traces().is_empty()).await;
    });
}
