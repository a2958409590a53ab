//! Retries that a neuron drives.

use super::*;

/// A generator that stalls for its first calls, and an orchestrator with the
/// grant that retries it from inside the sandbox.
fn orchestrated(stage: &Stage, host: &soma::Host) {
    let generator = Neuron::new("generator", common::plugin(host, "generator"))
        .bind("calls", Arc::clone(&stage.memory), Access::ReadWrite)
        .bind("never", Arc::new(stage.gate.clone()), Access::Read)
        .limits(unlimited());
    stage.tenant.register(generator);
    let orchestrator = Neuron::new("orchestrator", common::plugin(host, "orchestrator"));
    stage.tenant.register(orchestrator.limits(unlimited()));
}

#[test]
fn a_neuron_with_the_grant_retries_another_that_stalls_in_any_way() {
    for (stall, timers) in [("sleep", 4), ("spin", 3), ("wait", 3), ("allocate", 3)] {
        let (host, hand) = virtual_host();
        let stage = Stage::new(&host, "acme");
        orchestrated(&stage, &host);
        let mut tap = Tap::on(&stage.tenant);
        run(&host, async move {
            let input = json!({"question": "who?", "stall_first": 1, "stall": stall,
                "timeout_ms": 30_000});
            let task = Dispatch::to_neuron("orchestrator").input(input);
            let mut pathway = stage.tenant.dispatch(task).unwrap();
            common::until(|| stage.memory.len() == 1).await;
            // Both tasks' deadlines, the retry's timer, and the sleep.
            hand.wait_for_pending(timers).await;
            hand.advance(Duration::from_secs(30));
            let answer: Answer = pathway.wait(LONG).await.unwrap();
            let output = answer.output().unwrap();
            assert_eq!(output["answer"], "answer to 'who?'", "{stall}");
            assert_eq!(output["attempts"], 2);
            use SignalType::{AgentOutput, Stop, Stopped, Task};
            let expected = [Task, Task, Stop, Stopped, Task, AgentOutput, AgentOutput];
            assert_eq!(tap.types(), expected, "{stall}");
            let own = pathway.task_id();
            let attempts = of_type(tap.seen(), Task);
            assert!(
                attempts[1..]
                    .iter()
                    .all(|task| task.parent_id.as_ref() == Some(own))
            );
        });
    }
}

#[test]
fn a_neuron_whose_retries_are_used_up_is_told_why() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    orchestrated(&stage, &host);
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let input = json!({"question": "?", "stall_first": 9, "stall": "wait",
            "timeout_ms": 1_000, "max_attempts": 2});
        let task = Dispatch::to_neuron("orchestrator").input(input);
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        for attempt in 1..=2 {
            stage.gate.arrived(attempt).await;
            hand.wait_for_pending(3).await;
            hand.advance(Duration::from_secs(1));
        }
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(error(&answer).code, "TIMEOUT");
        assert!(error(&answer).recoverable);
        assert_eq!(of_type(tap.seen(), Stopped).len(), 2);
        assert_eq!(stage.gate.inside(), 0);
    });
}

#[test]
fn a_neuron_asks_for_at_least_one_attempt_and_at_most_1000() {
    let host = common::host();
    let stage = Stage::new(&host, "acme");
    // Of 0.1.0: it sends whatever it is told.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let frozen = folder.join("tests/fixtures/contract-0.1.0/puppet.wasm");
    let frozen = host.load_file(frozen, &common::all_grants()).unwrap();
    stage.tenant.register(stage.puppet("puppet", frozen));
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let retry = |attempts: u32| json!({"retry": {"neuron": "puppet", "input": {}, "max_attempts": attempts, "timeout_ms": 60_000}});
        let steps = json!([retry(1_001), retry(0), retry(1_000)]);
        let answer = stage.tenant.dispatch_and_wait(puppet(steps), LONG).await;
        let said = said(&answer.unwrap());
        let refused = [0, 1].map(|place| {
            let error = &said[place]["error"];
            assert_eq!(error["code"], "INVALID_REQUEST");
            format!("{}\n", error["message"].as_str().unwrap())
        });
        expect_test::expect![[r#"
            invalid request: max-attempts is 1001, at most 1000 are made
            invalid request: max-attempts is 0, at least 1 is made
        "#]]
        .assert_eq(&refused.concat());
        assert!(said[2]["outcome"].is_object(), "{}", said[2]);
        // The puppet's own task, and the one attempt that was made.
        assert_eq!(of_type(tap.seen(), Task).len(), 2);
    });
}

/// The step of a call that fails twice, under a policy of hours.
fn again(max_attempts: u32) -> Value {
    json!({"again": {"codes": ["FLAKY", "NET_TIMEOUT"], "policy": {
        "maxAttempts": max_attempts, "baseDelay": 3_600_000, "maxDelay": 36_000_000,
        "jitterFactor": 0.5, "retryOn": ["timeout", "FLAKY"],
    }}})
}

#[test]
fn a_neuron_tries_a_call_of_its_own_again_by_a_policy_of_its_input_on_the_hosts_clock() {
    let waits = || {
        let (host, hand) = virtual_host();
        let stage = Stage::new(&host, "acme");
        run(&host, async move {
            let steps = json!([again(3), again(2)]);
            let task = puppet(steps).limits(unlimited());
            let mut waits = Vec::new();
            let clock = async {
                for _ in 0..3 {
                    // The call's timer, the task's deadline and the backoff.
                    hand.wait_for_pending(3).await;
                    waits.push(hand.advance_to_next().unwrap());
                }
            };
            let asked = stage.tenant.dispatch_and_wait(task, LONG);
            let (answer, ()) = tokio::join!(asked, clock);
            let said = said(&answer.unwrap());
            assert_eq!(said[0], json!({"attempt": 3}));
            assert_eq!(said[1]["error"]["code"], "NET_TIMEOUT");
            waits
        })
    };
    let first = waits();
    for (wait, base) in first.iter().zip([HOUR, 2 * HOUR, HOUR]) {
        assert!((base / 2..base * 3 / 2).contains(wait), "{first:?}");
    }
    // From the same seed.
    assert_eq!(first, waits());
}

#[test]
fn stop_ends_a_neuron_in_the_middle_of_a_backoff_of_its_own() {
    let (host, hand) = virtual_host();
    let stage = Stage::new(&host, "acme");
    let mut tap = Tap::on(&stage.tenant);
    run(&host, async move {
        let task = puppet(json!([again(3), append("late")])).limits(unlimited());
        let pathway = stage.tenant.dispatch(task).unwrap();
        hand.wait_for_pending(2).await;
        let trace = pathway.trace_id();
        let acks = stage.tenant.stop_trace(trace, StopOptions::default());
        assert_eq!(acks.await[0].cancelled, 1);
        hand.advance(10 * HOUR);
        assert_eq!(tap.types(), [Task, Stop, Stopped]);
        assert!(stage.memory.is_empty());
    });
}

#[test]
fn a_host_that_shuts_down_starts_no_further_attempt() {
    let host = common::host();
    let stage = Stage::new(&host, "acme");
    let strategy = RetryStrategy {
        // Its clock stops with the host: nobody may wait on it.
        policy: RetryPolicy {
            base_delay: HOUR,
            max_delay: HOUR,
            ..RetryPolicy::default()
        },
        ..patient()
    };
    let task = puppet(json!([wait_at_gate()]));
    let outside = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let ended = outside.block_on(async {
        let mut retried = Box::pin(stage.tenant.run_with_retry(task, &strategy));
        // Begun, and waiting at the gate.
        assert!(retried.as_mut().now_or_never().is_none());
        stage.gate.arrived(1).await;
        drop(host);
        let ended = tokio::time::timeout(common::WATCHDOG, retried).await;
        ended.unwrap()
    });
    assert_eq!(ended.unwrap_err().to_string(), "the host is shutting down");
    assert_eq!(stage.gate.arrivals(), 1);
}
