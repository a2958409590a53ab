//! The inputs of tasks, charged for as long as the tasks wait or run.

use super::*;

const BALLAST: usize = 3_000;

/// A task with an input that takes some room.
fn heavy(steps: Value) -> Dispatch {
    let mut input = told(steps);
    input["ballast"] = "x".repeat(BALLAST).into();
    Dispatch::to_neuron("puppet").input(input)
}

fn narrow(host: &Host, input_bytes: u64) -> Stage {
    let quotas = Quotas {
        concurrent_tasks: 1,
        queued_tasks: 5,
        input_bytes,
        ..Quotas::default()
    };
    Stage::with_quotas(host, "acme", quotas)
}

fn held(stage: &Stage) -> u64 {
    stage.tenant.tenant().inputs_held()
}

#[test]
fn inputs_of_running_and_waiting_tasks_are_bounded_together_and_refused_in_words() {
    let host = host();
    let stage = narrow(&host, 8_000);
    let other = Stage::new(&host, "other");
    run(&host, async move {
        let mut running = stage
            .tenant
            .dispatch(heavy(json!([wait_at_gate()])))
            .unwrap();
        stage.gate.arrived(1).await;
        let one = held(&stage);
        assert!((3_000..4_000).contains(&one), "{one}");
        let mut waiting = stage
            .tenant
            .dispatch(heavy(json!([wait_at_gate()])))
            .unwrap();
        assert_eq!(held(&stage), 2 * one);
        let refused = stage.tenant.dispatch(heavy(json!([wait_at_gate()])));
        let refused = refused.unwrap_err();
        assert!(matches!(refused, DispatchError::Overloaded(_)));
        assert_eq!(
            refused.to_string(),
            format!(
                "tenant `acme` holds {} of its 8000 bytes of task inputs and {one} more do not \
                 fit; try again when tasks have ended, or raise `input_bytes`",
                2 * one
            )
        );
        // What is small still fits, and others have room of their own.
        let mut small = start(&stage, json!([]));
        assert!(ask(&other, json!([])).await.is_output());
        stage.gate.let_through(1);
        assert!(running.wait(LONG).await.unwrap().is_output());
        assert!(held(&stage) < 2 * one, "it is still charged");
        let mut again = stage.tenant.dispatch(heavy(json!([]))).unwrap();
        stage.gate.open();
        for task in [&mut waiting, &mut small, &mut again] {
            assert!(task.wait(LONG).await.unwrap().is_output());
        }
        assert_eq!(held(&stage), 0);
    });
}

#[test]
fn an_input_is_charged_no_longer_when_its_task_has_ended_however_it_ends() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let limits = Limits {
            fuel: 50_000_000,
            ..Limits::default()
        };
        for steps in [
            json!([{"output": {"value": 1}}]),
            json!([{"fail": {"code": "F"}}]),
            json!([{"clarify": {"question": "?"}}]),
            json!([{"panic": "no"}]),
            json!(["trap"]),
            json!(["spin"]),
        ] {
            let task = heavy(steps.clone()).limits(limits.clone());
            for task in [task.clone(), task.terminal()] {
                let mut pathway = stage.tenant.dispatch(task).unwrap();
                drop(pathway.wait(LONG).await.unwrap());
                assert_eq!(held(&stage), 0, "{steps}");
            }
        }
    });
}

#[test]
fn a_task_that_is_stopped_or_refused_is_charged_for_nothing() {
    let host = host();
    let stage = narrow(&host, 100_000);
    run(&host, async move {
        let waits = || stage.tenant.dispatch(heavy(json!([wait_at_gate()])));
        let running = waits().unwrap();
        stage.gate.arrived(1).await;
        let one = held(&stage);
        let queued: Vec<_> = (0..5).map(|_| waits().unwrap()).collect();
        assert_eq!(held(&stage), 6 * one);
        // No place in the queue, no such neuron, a trace that was stopped.
        assert!(waits().is_err());
        let nobody = Dispatch::to_neuron("nobody").input(json!({"ballast": "x".repeat(BALLAST)}));
        assert!(stage.tenant.dispatch(nobody).is_err());
        let stop = |pathway: &Pathway| {
            let (tenant, trace) = (stage.tenant.clone(), pathway.trace_id().clone());
            async move { tenant.stop_trace(&trace, StopOptions::default()).await }
        };
        stop(&queued[2]).await;
        assert_eq!(held(&stage), 5 * one);
        let late = heavy(json!([])).on_trace(queued[2].trace_id().clone());
        assert!(stage.tenant.dispatch(late).is_err());
        assert_eq!(held(&stage), 5 * one);
        // Nobody listens any more: they still wait for their turn.
        let traces: Vec<_> = queued.iter().map(|task| task.trace_id().clone()).collect();
        drop(queued);
        assert_eq!(held(&stage), 5 * one);
        stop(&running).await;
        for trace in traces {
            stage
                .tenant
                .stop_trace(&trace, StopOptions::default())
                .await;
        }
        assert_eq!(held(&stage), 0);
    });
}

#[test]
fn contexts_and_metadata_are_charged_like_inputs() {
    let host = host();
    let stage = narrow(&host, 7_000);
    let text = || Value::from("x".repeat(BALLAST));
    let with_context = puppet(json!([])).context(vec![text(), text(), text()]);
    let with_meta = puppet(json!([])).meta(
        ["a", "b", "c"]
            .into_iter()
            .map(|key| (key.to_owned(), text()))
            .collect(),
    );
    for task in [with_context, with_meta] {
        let refused = stage.tenant.dispatch(task).unwrap_err();
        assert!(matches!(refused, DispatchError::Overloaded(_)), "{refused}");
    }
    assert_eq!(held(&stage), 0);
}

#[test]
fn what_a_neuron_queues_is_charged_to_its_tenant_and_it_is_told_so() {
    let host = host();
    let stage = Stage::with_quotas(
        &host,
        "acme",
        Quotas {
            input_bytes: 6_000,
            ..Quotas::default()
        },
    );
    run(&host, async move {
        let child = json!({"do": [wait_at_gate()], "ballast": "x".repeat(BALLAST)});
        let direct = Dispatch::to_neuron("puppet").input(child.clone());
        let direct = stage.tenant.dispatch(direct).unwrap();
        stage.gate.arrived(1).await;
        let one = held(&stage);
        stage
            .tenant
            .stop_trace(direct.trace_id(), StopOptions::default())
            .await;
        // Its own input holds what it is to hand on.
        let dispatch = json!({"dispatch": {"neuron": "puppet", "input": child}});
        let retry = json!({"retry": {"neuron": "puppet", "input": child, "max_attempts": 9, "timeout_ms": 9}});
        for (arrivals, step) in [(2, dispatch), (3, retry)] {
            let mut parent = start(&stage, json!([step, wait_at_gate()]));
            stage.gate.arrived(arrivals).await;
            let own = held(&stage);
            stage.gate.let_through(1);
            let said = said(&parent.wait(LONG).await.unwrap());
            assert_eq!(
                said[0]["error"],
                json!({
                    "code": "OVERLOADED",
                    "message": format!(
                        "overloaded: tenant `acme` holds {own} of its 6000 bytes of task inputs \
                         and {one} more do not fit; try again when tasks have ended, or raise \
                         `input_bytes`"
                    ),
                    "recoverable": true,
                })
            );
            assert_eq!(held(&stage), 0);
        }
    });
}

#[test]
fn a_retry_keeps_its_input_beside_that_of_the_attempt_under_way() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let child = json!({"do": [wait_at_gate()], "ballast": "x".repeat(BALLAST)});
        let direct = Dispatch::to_neuron("puppet").input(child.clone());
        let mut direct = stage.tenant.dispatch(direct).unwrap();
        let one = held(&stage);
        stage.gate.arrived(1).await;
        stage.gate.let_through(1);
        assert!(direct.wait(LONG).await.unwrap().is_output());
        let retry = json!({"retry": {"neuron": "puppet", "input": child, "max_attempts": 2, "timeout_ms": 600_000}});
        let task = puppet(json!([wait_at_gate(), retry]));
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        stage.gate.arrived(2).await;
        let own = held(&stage);
        stage.gate.let_through(1);
        stage.gate.arrived(3).await;
        assert_eq!(held(&stage), own + 2 * one);
        stage.gate.open();
        assert!(pathway.wait(LONG).await.unwrap().is_output());
        assert_eq!(held(&stage), 0);
    });
}
