//! What a task is answered with.

use super::*;

#[test]
fn an_output_is_published_once_on_the_tasks_trace_with_the_task_as_its_parent() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let task = puppet(json!([{"output": {"value": {"n": 7}, "route": "approved"}}]));
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(answer.output().unwrap()["n"], 7);
        assert_eq!(answer.route.as_deref(), Some("approved"));
        let [task, output] = tap.seen() else {
            panic!("not two signals: {:?}", tap.types())
        };
        assert_eq!(task.signal_type(), SignalType::Task);
        assert_eq!(&task.id, pathway.task_id());
        assert_eq!(
            task.directed.as_ref().unwrap().id.as_deref(),
            Some("puppet")
        );
        assert_eq!(output.signal_type(), SignalType::AgentOutput);
        assert_eq!(output.parent_id.as_ref(), Some(pathway.task_id()));
        assert_eq!(&output.trace_id, pathway.trace_id());
        let from = output.directed.as_ref().unwrap();
        assert_eq!(from.id.as_deref(), Some("puppet"));
        assert_eq!(output.meta["route"], "approved");
    });
}

#[test]
fn an_output_that_is_no_object_travels_in_one() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for value in [json!([1, 2]), json!("text"), json!(null), json!(3)] {
            let answer = ask(&stage.tenant, json!([{"output": {"value": value}}])).await;
            assert_eq!(answer.output().unwrap()["value"], value);
        }
    });
}

#[test]
fn numbers_reach_the_neuron_and_come_back_digit_by_digit() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let big: Value = serde_json::from_str("12345678901234567890123456789.125").unwrap();
    run(&host, async move {
        let content = json!({"write": {"to": "memory", "op": "append", "content": 9_007_199_254_740_993_u64}});
        let answer = ask(&stage.tenant, json!([content])).await;
        assert!(answer.is_output());
        assert_eq!(
            common::contents(&stage.memory).await,
            [json!(9_007_199_254_740_993_u64)]
        );
        let task = puppet(json!([])).context(vec![big.clone()]);
        let mut tap = Tap::on(&stage.tenant);
        drop(
            stage
                .tenant
                .dispatch_and_wait(
                    task.meta([("big".to_owned(), big.clone())].into_iter().collect()),
                    LONG,
                )
                .await
                .unwrap(),
        );
        assert_eq!(tap.seen()[0].meta["big"], big);
    });
}

#[test]
fn a_clarification_ends_the_task_and_its_answer_is_a_new_task_on_the_same_trace() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let steps = json!([{"clarify": {"question": "which year?", "context": {"seen": [1, 2]}}}]);
        let mut first = stage.tenant.dispatch(puppet(steps)).unwrap();
        let asked = first.wait(LONG).await.unwrap();
        let Payload::Clarification(question) = &asked.signal.payload else {
            panic!("no CLARIFICATION: {asked:?}")
        };
        assert_eq!(question.question, "which year?");
        assert_eq!(question.context, Some(json!({"seen": [1, 2]})));
        assert_eq!(asked.signal.parent_id.as_ref(), Some(first.task_id()));
        assert!(!asked.is_output() && !asked.is_error());

        let again = Dispatch::to_neuron("puppet")
            .input(json!({"do": [], "clarification": "2026"}))
            .on_trace(first.trace_id().clone())
            .parent(asked.signal.id.clone());
        let answer = stage.tenant.dispatch_and_wait(again, LONG).await.unwrap();
        assert!(answer.is_output());
        assert_eq!(answer.signal.trace_id, asked.signal.trace_id);
        let types = tap.types_on(first.trace_id());
        use SignalType::{AgentOutput, Clarification, Task};
        assert_eq!(types, [Task, Clarification, Task, AgentOutput]);
        assert_eq!(tap.seen()[2].parent_id, Some(asked.signal.id.clone()));
    });
}

#[test]
fn a_permission_asks_for_leave_with_its_scope_and_reason() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let steps = json!([{"ask_leave": {
            "action": "delete", "scope": {"rows": 3}, "reason": "outdated"}}]);
        let asked = ask(&stage.tenant, steps).await;
        let Payload::Permission(leave) = &asked.signal.payload else {
            panic!("no PERMISSION: {asked:?}")
        };
        assert_eq!(leave.action, "delete");
        assert_eq!(leave.scope, Some(json!({"rows": 3})));
        assert_eq!(leave.reason.as_deref(), Some("outdated"));
    });
}

#[test]
fn a_failure_is_an_error_with_the_neurons_own_code_and_judgement() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for recoverable in [false, true] {
            let steps = json!([{"fail": {"code": "NO_SOURCE", "recoverable": recoverable}}]);
            let answer = ask(&stage.tenant, steps).await;
            assert!(answer.is_error() && !answer.is_output());
            let error = error(&answer);
            assert_eq!(error.code, "NO_SOURCE");
            assert_eq!(error.message, "told to fail with NO_SOURCE");
            assert_eq!(error.recoverable, recoverable);
        }
    });
}

/// The replies that a puppet can be told to give, by the type they become.
fn replies() -> [(SignalType, Value); 5] {
    [
        (SignalType::AgentOutput, json!([])),
        (
            SignalType::Clarification,
            json!([{"clarify": {"question": "?"}}]),
        ),
        (
            SignalType::Permission,
            json!([{"ask_leave": {"action": "a", "scope": {}, "reason": "r"}}]),
        ),
        (SignalType::Error, json!([{"fail": {"code": "C"}}])),
        (SignalType::Error, json!([{"panic": "no"}])),
    ]
}

#[test]
fn every_task_has_exactly_one_reply() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        for (kind, steps) in replies() {
            let answer = ask(&stage.tenant, steps).await;
            assert_eq!(answer.signal.signal_type(), kind);
            let types = tap.types_on(&answer.signal.trace_id);
            assert_eq!(types, [SignalType::Task, kind]);
        }
    });
}

#[test]
fn in_terminal_scope_an_output_is_followed_by_a_final_and_nothing_else_is() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        for (kind, steps) in replies() {
            let task = puppet(steps).terminal();
            let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
            let types = tap.types_on(&answer.signal.trace_id);
            if kind == SignalType::AgentOutput {
                let [task, output, last] = &tap.seen()[..3] else {
                    panic!("not three signals: {types:?}")
                };
                assert!(matches!(&task.payload, Payload::Task(task) if task.finalize));
                assert_eq!(answer.signal.signal_type(), SignalType::Final);
                assert_eq!(last.id, answer.signal.id);
                assert_eq!(last.parent_id.as_ref(), Some(&output.id));
                let Payload::AgentOutput(reply) = &output.payload else {
                    panic!("{output:?}")
                };
                assert_eq!(answer.output(), Some(&reply.output));
            } else {
                assert_eq!(types, [SignalType::Task, kind]);
            }
        }
    });
}

#[test]
fn the_answer_to_a_question_goes_to_the_neuron_that_asked() {
    let host = host();
    let stage = cast(&host, ["other"], |_, neuron| neuron);
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let asked = ask(
            &stage.tenant,
            json!([{"clarify": {"question": "which year?"}}]),
        )
        .await;
        let answering = Dispatch::answering(&asked.signal, json!("2026")).unwrap();
        let answer = stage
            .tenant
            .dispatch_and_wait(answering, LONG)
            .await
            .unwrap();
        assert!(answer.is_output());
        assert_eq!(answer.signal.trace_id, asked.signal.trace_id);
        let task = tap.seen()[2].clone();
        assert_eq!(task.parent_id, Some(asked.signal.id.clone()));
        let Payload::Task(request) = &task.payload else {
            panic!("{task:?}")
        };
        assert_eq!(
            request.input["clarification"],
            json!({"question": "which year?", "answer": "2026"})
        );
        assert!(Dispatch::deciding(&asked.signal, true, None).is_none());

        let leave = json!([{"ask_leave": {"action": "delete", "scope": {}, "reason": "old"}}]);
        let asked = ask(&stage.tenant, leave).await;
        let deciding = Dispatch::deciding(&asked.signal, false, Some("no")).unwrap();
        assert!(
            stage
                .tenant
                .dispatch_and_wait(deciding, LONG)
                .await
                .unwrap()
                .is_output()
        );
        let seen = tap.seen();
        let mut tasks = seen
            .iter()
            .filter(|one| one.signal_type() == SignalType::Task);
        let Payload::Task(request) = &tasks.next_back().unwrap().payload else {
            panic!()
        };
        assert_eq!(
            request.input["permission"],
            json!({"action": "delete", "granted": false, "reason": "no"})
        );
        assert!(Dispatch::answering(&asked.signal, json!(1)).is_none());
    });
}

#[test]
fn the_words_of_a_reply_have_bounds_too() {
    let host = host();
    let stage = cast(&host, ["puppet"], |_, neuron| {
        neuron.limits(Limits {
            json_bytes: 1_000,
            ..Limits::default()
        })
    });
    run(&host, async move {
        let mut refusals = Vec::new();
        for step in [
            json!({"output": {"value": 1, "route": "r".repeat(257)}}),
            json!({"clarify": {"question": "q".repeat(1_001)}}),
            json!({"ask_leave": {"action": "a".repeat(1_001), "scope": {}, "reason": ""}}),
            json!({"ask_leave": {"action": "a", "scope": {}, "reason": "r".repeat(1_001)}}),
        ] {
            let task = puppet(json!([step]));
            let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
            let refusal = error(&answer);
            assert_eq!(refusal.code, "NEURON_INVALID_REPLY");
            refusals.push(refusal.message.clone());
        }
        let said = "the neuron's reply breaks the contract";
        assert_eq!(
            refusals,
            [
                format!("{said}: output.route has 257 bytes, at most 256 are taken"),
                format!("{said}: clarification.question has 1001 bytes, at most 1000 are taken"),
                format!("{said}: permission.action has 1001 bytes, at most 1000 are taken"),
                format!("{said}: permission.reason has 1001 bytes, at most 1000 are taken"),
            ]
        );
        // What failed has failed: its words are cut.
        let task = puppet(json!([{"fail": {"code": "c".repeat(1_000_000)}}]));
        let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
        assert_eq!(error(&answer).code, "c".repeat(256));
    });
}
