//! What a task may use, and what it shares with no other.

use super::*;

#[test]
fn the_same_component_and_input_burn_the_same_fuel_anywhere() {
    let fuel = |workers: usize| {
        let host = common::builder().workers(workers).build().unwrap();
        let stage = Stage::new(&host, "acme");
        stage.hostile(&host, "spin", Limits::default());
        run(&host, async move {
            let steps =
                json!({"do": [{"burn": 3_000_000}, {"allocate": 3}, {"output": {"value": 1}}]});
            // Beside a guest that keeps taking the CPU away.
            let spinning = stage.tenant.dispatch(Dispatch::to_neuron("spin")).unwrap();
            let mut burnt = Vec::new();
            for _ in 0..3 {
                burnt.push(ends(&stage, "puppet", steps.clone()).await.usage.fuel);
            }
            stage
                .tenant
                .stop_trace(spinning.trace_id(), StopOptions::default())
                .await;
            burnt
        })
    };
    let (one, two) = (fuel(1), fuel(2));
    assert!(one[0] > 3_000_000);
    assert!(
        one.iter().chain(&two).all(|burnt| *burnt == one[0]),
        "{one:?} {two:?}"
    );
}

#[test]
fn fuel_is_a_bound_to_the_unit() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let task = |fuel| {
            puppet(json!([{"burn": 100_000}])).limits(Limits {
                fuel,
                ..Limits::default()
            })
        };
        // The id of a task is part of its input: the same length, so the same fuel.
        let free = stage
            .tenant
            .dispatch_and_wait(task(u64::MAX), LONG)
            .await
            .unwrap();
        let needed = free.usage.fuel;
        let enough = stage
            .tenant
            .dispatch_and_wait(task(needed), LONG)
            .await
            .unwrap();
        assert!(enough.is_output());
        assert_eq!(enough.usage.fuel, needed);
        let short = stage
            .tenant
            .dispatch_and_wait(task(needed - 1_000), LONG)
            .await
            .unwrap();
        assert_eq!(error(&short).code, "NEURON_OUT_OF_FUEL");
        assert!(short.usage.fuel >= needed - 1_000);
    });
}

#[test]
fn a_trusted_neuron_runs_without_fuel_and_is_still_ended_by_deadline_and_stop() {
    let (host, hand) = virtual_host();
    let stage = stage(&host, Quotas::default());
    let spin = fs::read(common::component("hostile/spin")).unwrap();
    let trusted = host
        .load(&spin, &common::all_grants(), Metering::EpochOnly)
        .unwrap();
    assert_eq!(trusted.metering(), Metering::EpochOnly);
    stage.tenant.register(stage.puppet("trusted", trusted));
    run(&host, async move {
        let mut pathway = stage
            .tenant
            .dispatch(Dispatch::to_neuron("trusted"))
            .unwrap();
        hand.wait_for_pending(1).await;
        hand.advance(Duration::from_secs(30));
        let answer = pathway.wait(LONG).await.unwrap();
        assert_eq!(error(&answer).code, "NEURON_DEADLINE");
        assert_eq!(answer.usage.fuel, 0);
        let pathway = stage
            .tenant
            .dispatch(Dispatch::to_neuron("trusted"))
            .unwrap();
        until(|| stage.tenant.tenant().memory_held() > 0).await;
        let acks = stage
            .tenant
            .stop_trace(pathway.trace_id(), StopOptions::default())
            .await;
        assert_eq!(acks[0].cancelled, 1);
        assert_eq!(stage.tenant.tenant().memory_held(), 0);
    });
}

#[test]
fn memory_is_bounded_over_all_that_a_task_holds_and_its_peak_is_told() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        for mib in [4_usize, 8, 32] {
            let limits = Limits {
                memory_bytes: mib << 20,
                ..Limits::default()
            };
            let steps = json!([{"allocate": 1_000}]);
            let task = puppet(steps).limits(limits);
            let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
            let got = said(&answer)[0]["mib"].as_u64().unwrap();
            let got = usize::try_from(got).unwrap();
            assert!(got < mib && got + 3 >= mib, "{got} of {mib} MiB");
            let peak = answer.usage.peak_memory_bytes;
            assert!(peak <= mib << 20 && peak >= got << 20, "{peak}");
        }
        until(|| stage.tenant.tenant().memory_held() == 0).await;
    });
}

#[test]
fn host_calls_are_bounded_to_the_call() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let task = |times: u64| {
            puppet(json!([{"repeat": {"times": times, "steps": ["now"]}}])).limits(Limits {
                host_calls: 100,
                ..Limits::default()
            })
        };
        let within = stage
            .tenant
            .dispatch_and_wait(task(100), LONG)
            .await
            .unwrap();
        assert!(within.is_output());
        assert_eq!(within.usage.host_calls, 100);
        let beyond = stage
            .tenant
            .dispatch_and_wait(task(101), LONG)
            .await
            .unwrap();
        assert_eq!(error(&beyond).code, "NEURON_HOST_CALLS");
        assert_eq!(
            error(&beyond).message,
            "the neuron called the host more than 100 times"
        );
        assert!(!error(&beyond).recoverable);
    });
}

#[test]
fn what_crosses_to_the_host_in_one_call_is_bounded() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    let limits = Limits {
        host_call_bytes: 64 << 10,
        ..Limits::default()
    };
    stage.hostile(&host, "return_huge", limits.clone());
    run(&host, async move {
        let small = ends(&stage, "return_huge", json!({"bytes": 32_000})).await;
        assert!(small.is_output());
        let large = ends(&stage, "return_huge", json!({"bytes": 80_000})).await;
        assert_eq!(error(&large).code, "NEURON_VALUE_TOO_LARGE");
        let call = puppet(json!([append(&"x".repeat(80_000))])).limits(limits.clone());
        let call = stage.tenant.dispatch_and_wait(call, LONG).await.unwrap();
        assert_eq!(error(&call).code, "NEURON_VALUE_TOO_LARGE");
        assert!(stage.memory.is_empty());
        // The bound is a call's, not the task's.
        let steps = json!([{"repeat": {"times": 50, "steps": [append(&"x".repeat(10_000))]}},
            {"output": {"value": 1}}]);
        let many = stage
            .tenant
            .dispatch_and_wait(puppet(steps).limits(limits), LONG)
            .await;
        assert!(many.unwrap().is_output());
        assert_eq!(stage.memory.len(), 50);
    });
}

#[test]
fn a_task_that_is_larger_than_the_guests_memory_is_an_error_of_that_task() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let task = puppet(json!([]))
            .context(vec![json!("x".repeat(10_000_000))])
            .limits(Limits {
                memory_bytes: 4 << 20,
                ..Limits::default()
            });
        let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
        assert_eq!(error(&answer).code, "NEURON_OUT_OF_MEMORY");
        serves(&stage).await;
    });
}

#[test]
fn more_pathways_than_a_task_may_hold_are_a_fault_of_the_guest() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    let healthy = plugin_of_text(&host, &hostile_text("healthy"));
    stage.tenant.register(stage.puppet("healthy", healthy));
    run(&host, async move {
        let task = json!({"neuron": "healthy", "trace": "myself", "input": {}});
        let kept = json!([{"dispatch": task}, "wait_for_last"]);
        let steps = json!([{"repeat": {"times": 10_100, "steps": kept}}]);
        let answer = ends(&stage, "puppet", json!({"do": steps})).await;
        expect![[r#"
            10 100 pathways: NEURON_FAULT: the neuron broke the calling convention: cannot lend resource: store handle limit exceeded
        "#]].assert_eq(&told("10 100 pathways", &answer));
        until(|| stage.tenant.traces().is_empty()).await;
        serves(&stage).await;
    });
}

#[test]
fn randomness_is_repeated_by_a_seed_and_bounded_in_one_call() {
    let bytes = || {
        let (host, _hand) = virtual_host();
        let stage = Stage::new(&host, "acme");
        run(&host, async move {
            said(&ends(&stage, "puppet", json!({"do": [{"random": 16}]})).await)
        })
    };
    assert_eq!(bytes(), bytes());
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let fine = ends(&stage, "puppet", json!({"do": [{"random": 65_536}]})).await;
        assert_eq!(said(&fine)[0].as_str().unwrap().len(), 2 * 65_536);
        let greedy = ends(&stage, "puppet", json!({"do": [{"random": 65_537}]})).await;
        expect!["greedy: NEURON_TRAP: the neuron trapped: random.bytes asked for 65537 bytes, at most 65536 are given at once\n"]
            .assert_eq(&told("greedy", &greedy));
    });
}

#[test]
fn time_is_the_hosts_and_stands_still_under_a_virtual_clock() {
    let (host, hand) = virtual_host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let steps = json!({"do": ["now", {"sleep": 90_000}, "now"]});
        let task = Dispatch::to_neuron("puppet").input(steps).limits(Limits {
            wall: LONG,
            ..Limits::default()
        });
        let mut pathway = stage.tenant.dispatch(task).unwrap();
        hand.wait_for_pending(2).await;
        assert_eq!(hand.advance_to_next(), Some(Duration::from_secs(90)));
        let answer = pathway.wait(LONG).await.unwrap();
        let start = common::start().millis();
        assert_eq!(said(&answer), [json!(start), json!(start + 90_000)]);
    });
}

#[test]
fn no_instance_knows_what_the_one_before_it_did() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let mut usages = Vec::new();
        for _ in 0..3 {
            let answer = ends(&stage, "puppet", json!({"do": [{"allocate": 5}]})).await;
            usages.push((answer.usage.peak_memory_bytes, answer.usage.fuel));
        }
        assert!(usages.iter().all(|usage| *usage == usages[0]), "{usages:?}");
    });
}

#[test]
fn more_instances_than_the_kernel_has_maps_for_are_refused_in_words() {
    let built = Host::builder().instances(4_000_000).build();
    let told = built.unwrap_err().to_string();
    assert!(
        told.starts_with("4000000 live instances need more memory maps than this kernel gives"),
        "{told}"
    );
}
