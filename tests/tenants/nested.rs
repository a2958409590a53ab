//! Tasks that start tasks, within the quotas of their tenant.

use super::*;

#[test]
fn a_task_that_waits_for_its_own_task_lends_it_its_place() {
    let host = host();
    let stage = Stage::with_quotas(
        &host,
        "acme",
        Quotas {
            concurrent_tasks: 1,
            ..Quotas::default()
        },
    );
    run(&host, async move {
        let leaf = told(json!([{"output": {"value": "leaf"}}]));
        let call = json!({"call": {"neuron": "puppet", "input": leaf}});
        let inner = told(json!([call]));
        let answer = ask(
            &stage,
            json!([{"call": {"neuron": "puppet", "input": inner}}]),
        )
        .await;
        let inner = &said(&answer)[0]["outcome"]["said"][0]["outcome"];
        assert_eq!(inner["value"], "leaf");
    });
}

/// A task that starts one like itself, for ever, on its own trace or on others.
fn endless(depth: usize, here: bool) -> Value {
    let mut steps = json!([]);
    for _ in 0..depth {
        let mut call = json!({"neuron": "puppet", "input": told(steps)});
        if here {
            call["trace"] = json!("myself");
        }
        steps = json!([{ "call": call }]);
    }
    steps
}

/// The error at the bottom of what nested tasks said.
fn deepest(answer: &Answer) -> (usize, String) {
    let mut said = Value::Object(answer.output().unwrap().clone());
    let mut depth = 0;
    loop {
        let next = &said["said"][0];
        if let Some(code) = next["error"]["code"].as_str() {
            return (depth, code.to_owned());
        }
        depth += 1;
        said = next["outcome"].clone();
    }
}

#[test]
fn recursion_ends_at_its_depth_on_whatever_trace() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        for here in [false, true] {
            let answer = ask(&stage, endless(20, here)).await;
            let bottom = deepest(&answer);
            assert_eq!(bottom, (16, "INVALID_REQUEST".to_owned()), "here: {here}");
        }
    });
}

#[test]
fn recursion_takes_no_more_instances_than_its_tenant_may() {
    let host = builder().instances(12).build().unwrap();
    let greedy = Stage::with_quotas(
        &host,
        "greedy",
        Quotas {
            concurrent_tasks: 2,
            live_instances: 6,
            ..Quotas::default()
        },
    );
    let other = Stage::new(&host, "other");
    run(&host, async move {
        let answer = ask(&greedy, endless(10, true)).await;
        assert_eq!(deepest(&answer), (5, "OVERLOADED".to_owned()));
        // Held at the bottom, it leaves the other slots free.
        let mut steps = json!([wait_at_gate()]);
        for _ in 0..5 {
            steps = json!([{"call": {"neuron": "puppet", "input": told(steps)}}]);
        }
        let mut held = start(&greedy, steps);
        greedy.gate.arrived(1).await;
        let queued = start(&greedy, json!([append("later")]));
        for _ in 0..10 {
            assert!(ask(&other, json!([])).await.is_output());
        }
        assert!(greedy.memory.is_empty());
        greedy.gate.open();
        assert!(held.wait(LONG).await.unwrap().is_output());
        until(|| greedy.memory.len() == 1).await;
        drop(queued);
    });
}

#[test]
fn a_fork_bomb_is_its_own_tenants_trouble() {
    let host = builder().instances(12).build().unwrap();
    let hostile = Stage::with_quotas(
        &host,
        "hostile",
        Quotas {
            concurrent_tasks: 4,
            live_instances: 4,
            queued_tasks: 10,
            ..Quotas::default()
        },
    );
    let other = Stage::new(&host, "other");
    hostile.hostile(&host, "fork_bomb", unlimited());
    let mut tap = Tap::on(&hostile.tenant);
    run(&host, async move {
        let bomb = hostile
            .tenant
            .dispatch(Dispatch::to_neuron("fork_bomb"))
            .unwrap();
        until(|| hostile.tenant.traces().len() > 3).await;
        for _ in 0..20 {
            assert!(ask(&other, json!([append("fine")])).await.is_output());
        }
        let acks = hostile
            .tenant
            .stop_trace(bomb.trace_id(), StopOptions::default())
            .await;
        assert!(acks[0].cancelled >= 4, "{acks:?}");
        assert!(hostile.tenant.traces().is_empty());
        assert_eq!(hostile.tenant.tenant().memory_held(), 0);
        assert_eq!(other.memory.len(), 20);
        assert!(!tap.types().contains(&SignalType::AgentOutput));
    });
}
