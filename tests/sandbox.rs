//! The sandbox: what it refuses to load, every way in which a guest can end,
//! its limits, and the compiled code that it keeps. `tests/hostile` holds what
//! Rust cannot write.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use common::{
    LONG, Stage, append, error, host, plugin, plugin_of_text, puppet, run, said, until,
    virtual_host,
};
use expect_test::expect;
use serde_json::{Value, json};
use soma::{
    Host,
    engram::VectorEngram,
    neuron::{Grants, Interface, Limits, Metering, Plugin},
    orchestration::{Access, Answer, Dispatch, Neuron, StopOptions},
    tenant::Quotas,
};

/// A component from `tests/hostile`; a core module gets the frame around it.
fn hostile_text(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let read = |name: &str| fs::read_to_string(folder.join(name).with_extension("wat")).unwrap();
    let text = read(name);
    if text.contains("(core module $main") && !text.contains("(component") {
        framed(&text)
    } else {
        text
    }
}

/// A core module as a neuron.
fn framed(core: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile");
    let frame = fs::read_to_string(folder.join("frame.wat")).unwrap();
    frame.replace("\n  CORE\n", &format!("\n{core}\n"))
}

/// Why a component is not loaded.
fn refusal(host: &Host, wasm: &[u8]) -> String {
    match host.load(wasm, &common::all_grants(), Metering::Fuel) {
        Ok(plugin) => format!("LOADED {plugin:?}"),
        Err(refused) => refused.to_string(),
    }
}

fn refusal_of_text(host: &Host, text: &str) -> String {
    refusal(host, &wat::parse_str(text).unwrap())
}

#[test]
fn what_is_no_component_is_refused_in_words() {
    let host = host();
    let healthy = wat::parse_str(hostile_text("healthy")).unwrap();
    let mut told = String::new();
    for (what, wasm) in [
        ("nothing", Vec::new()),
        ("a text", b"#!/bin/sh\nrm -rf /\n".to_vec()),
        ("a truncated header", healthy[..7].to_vec()),
        ("a truncated file", healthy[..healthy.len() / 2].to_vec()),
        (
            "a core module",
            wat::parse_str(hostile_text("core_module")).unwrap(),
        ),
    ] {
        writeln!(told, "{what}: {}", refusal(&host, &wasm)).unwrap();
    }
    expect![[r#"
        nothing: this is not a WebAssembly component: it does not start with `\0asm` and the component layer's version
        a text: this is not a WebAssembly component: it does not start with `\0asm` and the component layer's version
        a truncated header: this is not a WebAssembly component: it does not start with `\0asm` and the component layer's version
        a truncated file: the component is invalid: failed to parse WebAssembly module: unexpected end-of-file (at offset 0x188)
        a core module: this is a core WebAssembly module, not a component; link it with wasm-component-ld or wrap it with `wasm-tools component new`
    "#]].assert_eq(&told);
}

#[test]
fn a_file_with_garbled_bytes_is_refused_or_runs_but_never_harms_the_host() {
    let host = host();
    let stage = Stage::new(&host, "acme");
    let panics = fs::read(common::component("hostile/panics")).unwrap();
    for place in (8..panics.len()).step_by(panics.len() / 40) {
        let mut garbled = panics.clone();
        garbled[place] ^= 0x55;
        drop(host.load(&garbled, &common::all_grants(), Metering::Fuel));
    }
    run(&host, async move {
        let answer = stage
            .tenant
            .dispatch_and_wait(puppet(json!([])), LONG)
            .await;
        assert!(answer.unwrap().is_output());
    });
}

#[test]
fn a_file_that_cannot_be_read_is_refused_with_its_path() {
    let host = host();
    let told = |path: &str| {
        let loaded = host.load_file(path, &Grants::default());
        loaded.unwrap_err().to_string()
    };
    expect![[r#"
        cannot read no/such/neuron.wasm: No such file or directory (os error 2)
        cannot read /proc: Is a directory (os error 21)
    "#]]
    .assert_eq(&format!(
        "{}\n{}\n",
        told("no/such/neuron.wasm"),
        told("/proc")
    ));
}

#[test]
fn a_component_that_asks_for_more_than_the_contract_is_refused_in_words() {
    let host = host();
    let mut told = String::new();
    for name in [
        "wasi_environment",
        "unknown_function",
        "unversioned_import",
        "unknown_interface",
        "next_contract",
        "next_patch",
        "next_handler",
        "no_handler",
        "empty_handler",
        "wrong_handler",
        "wrong_import",
        "larger_than_the_pool",
    ] {
        let refused = refusal_of_text(&host, &hostile_text(name));
        writeln!(told, "{name}: {refused}").unwrap();
    }
    expect![[r#"
        wasi_environment: the component imports `wasi:cli/environment@0.2.0`, which this host does not offer
        unknown_function: the component imports `run-shell`, which this host does not offer
        unversioned_import: the component imports `soma:neuron/clock`, which this host does not offer
        unknown_interface: the component imports `soma:neuron/shell@0.1.0`, which this host does not offer
        next_contract: the component was built for soma:neuron@0.2.0 (its `soma:neuron/engram@0.2.0`), this host offers 0.1.0; rebuild it against a 0.1.x contract up to 0.1.0
        next_patch: the component was built for soma:neuron@0.1.7 (its `soma:neuron/clock@0.1.7`), this host offers 0.1.0; rebuild it against a 0.1.x contract up to 0.1.0
        next_handler: the component was built for soma:neuron@0.2.0 (its `soma:neuron/handler@0.2.0`), this host offers 0.1.0; rebuild it against a 0.1.x contract up to 0.1.0
        no_handler: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
        empty_handler: the component does not fit the contract: `soma:neuron/handler@0.1.0` has no function `handle`
        wrong_handler: the component does not fit the contract: `handle` of `soma:neuron/handler@0.1.0` has the wrong type: expected 1-tuple, found 0-tuple
        wrong_import: the component does not fit the contract: component imports instance `soma:neuron/clock@0.1.0`, but a matching implementation was not found in the linker: instance export `sleep-ms` has the wrong type: type mismatch with parameters: expected `u64` found `string`
        larger_than_the_pool: the component is invalid: module memory does not fit in pooling allocator requirements: memory index 0 is unsupported in this pooling allocator configuration: memory has a minimum byte size of 536870912 which exceeds the limit of 0x10000000 bytes
    "#]].assert_eq(&told);
}

#[test]
fn a_component_with_more_memories_tables_or_instances_than_its_slot_has_is_refused() {
    let host = host();
    let healthy =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/healthy.wat"))
            .unwrap();
    let with =
        |items: String| framed(&healthy.replacen("  (data", &format!("{items}\n  (data"), 1));
    let memories = with("(memory 1)".repeat(1_000));
    let tables = with("(table 1 funcref)".repeat(1_000));
    let large_table = with("(table 1000000 funcref)".to_owned());
    let instances = framed(&format!(
        "{healthy}\n(core module $one){}",
        "(core instance (instantiate $one))".repeat(1_000)
    ));
    let mut told = String::new();
    for (what, text) in [
        ("1 000 memories", memories),
        ("1 000 tables", tables),
        ("a table of a million", large_table),
        ("1 000 core instances", instances),
    ] {
        writeln!(told, "{what}: {}", refusal_of_text(&host, &text)).unwrap();
    }
    expect![[r#"
        1 000 memories: the component is invalid: failed to parse WebAssembly module: memories count exceeds limit of 100 (at offset 0x1d4)
        1 000 tables: the component is invalid: failed to parse WebAssembly module: tables count exceeds limit of 100 (at offset 0x1d4)
        a table of a million: the component is invalid: module table does not fit in pooling allocator requirements: table index 0 has a minimum element size of 1000000 which exceeds the limit of 100000
        1 000 core instances: the component is invalid: failed to parse WebAssembly module: instances count exceeds limit of 1000 (at offset 0x24c)
    "#]].assert_eq(&told);
}

#[test]
fn an_import_of_the_contract_without_its_grant_is_refused() {
    let host = host();
    let refused = |name: &str, grants: &Grants| {
        let loaded = host.load_file(common::component(name), grants);
        loaded.unwrap_err().to_string()
    };
    let mut told = refused("orchestrator", &Grants::default()) + "\n";
    for interface in [Interface::Engram, Interface::Log] {
        told += &refused("generator", &Grants::default().without(interface));
        told += "\n";
    }
    told += &refused(
        "hostile/sleep_forever",
        &Grants::none().with(Interface::Log),
    );
    expect![[r#"
        the component imports `soma:neuron/orchestration@0.1.0`, which is not granted; grant `orchestration` or build it without
        the component imports `soma:neuron/engram@0.1.0`, which is not granted; grant `engram` or build it without
        the component imports `soma:neuron/log@0.1.0`, which is not granted; grant `log` or build it without
        the component imports `soma:neuron/clock@0.1.0`, which is not granted; grant `clock` or build it without"#]].assert_eq(&told);
    // A component that asks for nothing needs no grant.
    let pure = wat::parse_str(hostile_text("healthy")).unwrap();
    assert!(host.load(&pure, &Grants::none(), Metering::Fuel).is_ok());
}

#[test]
fn a_grant_that_the_contract_does_not_have_is_refused_when_it_is_given() {
    let refused = "network".parse::<Interface>().unwrap_err().to_string();
    expect![
        "`network` is no grant; there are engram, synapse, orchestration, clock, log and random"
    ]
    .assert_eq(&refused);
    for interface in Interface::ALL {
        assert_eq!(interface.name().parse(), Ok(interface));
    }
}

/// A host whose stage has a vector engram for `corrupt_embedding` too.
fn stage(host: &Host, quotas: Quotas) -> Stage {
    let stage = Stage::with_quotas(host, "acme", quotas);
    stage.gate.open();
    stage
}

async fn ends(stage: &Stage, id: &str, input: Value) -> Answer {
    let task = Dispatch::to_neuron(id.to_owned()).input(input);
    stage.tenant.dispatch_and_wait(task, LONG).await.unwrap()
}

/// One line: how a task ended.
fn told(name: &str, answer: &Answer) -> String {
    match answer.output() {
        Some(output) => format!("{name}: output {}\n", Value::Object(output.clone())),
        None => {
            let error = error(answer);
            let again = if error.recoverable {
                ", recoverable"
            } else {
                ""
            };
            format!("{name}: {}{again}: {}\n", error.code, error.message)
        }
    }
}

async fn serves(stage: &Stage) {
    let answer = stage
        .tenant
        .dispatch_and_wait(puppet(json!([])), LONG)
        .await;
    assert!(answer.unwrap().is_output());
    until(|| stage.tenant.tenant().memory_held() == 0).await;
}

#[test]
fn every_hostile_neuron_has_its_own_end_and_the_host_serves_after_each() {
    let host = host();
    let limits = Limits {
        fuel: 50_000_000,
        memory_bytes: 16 << 20,
        host_calls: 2_000,
        ..Limits::default()
    };
    let no_fuel_bound = Limits {
        fuel: 1_000_000_000,
        ..limits.clone()
    };
    let stage = stage(&host, Quotas::default());
    let cases = [
        ("spin", json!({}), &limits),
        ("recurse", json!({}), &no_fuel_bound),
        ("grow_memory", json!({"then": "trap"}), &no_fuel_bound),
        ("grow_memory", json!({"then": "answer"}), &no_fuel_bound),
        ("grow_memory", json!({"then": "spin"}), &limits),
        ("many_small_allocations", json!({}), &no_fuel_bound),
        ("return_huge", json!({}), &no_fuel_bound),
        (
            "return_huge",
            json!({"bytes": 9_000_000}),
            &Limits {
                memory_bytes: 64 << 20,
                ..no_fuel_bound.clone()
            },
        ),
        ("host_call_flood", json!({}), &limits),
        ("emit_flood", json!({}), &limits),
        ("late_writer", json!({}), &limits),
        ("panics", json!({}), &limits),
        ("bad_json_output", json!({}), &limits),
    ]
    .map(|(name, input, limits)| (name, input, limits.clone()));
    let plugins = cases
        .each_ref()
        .map(|(name, ..)| plugin(&host, &format!("hostile/{name}")));
    run(&host, async move {
        let mut all = String::new();
        for ((name, input, limits), plugin) in cases.into_iter().zip(plugins) {
            stage
                .tenant
                .register(stage.puppet(name, plugin).limits(limits));
            let answer = ends(&stage, name, input.clone()).await;
            all += &told(&format!("{name} {input}"), &answer);
            serves(&stage).await;
        }
        expect![[r#"
            spin {}: NEURON_OUT_OF_FUEL: the neuron used up its 50000000 units of fuel; raise the fuel limit if the work is legitimate
            recurse {}: NEURON_STACK_OVERFLOW: the neuron ran out of stack (endless recursion?)
            grow_memory {"then":"trap"}: NEURON_OUT_OF_MEMORY: the neuron needs more memory than its limit of 16777216 bytes
            grow_memory {"then":"answer"}: output {"mib":13}
            grow_memory {"then":"spin"}: NEURON_OUT_OF_FUEL: the neuron used up its 50000000 units of fuel; raise the fuel limit if the work is legitimate
            many_small_allocations {}: NEURON_OUT_OF_MEMORY: the neuron needs more memory than its limit of 16777216 bytes
            return_huge {}: NEURON_OUT_OF_MEMORY: the neuron needs more memory than its limit of 16777216 bytes
            return_huge {"bytes":9000000}: NEURON_VALUE_TOO_LARGE: a value of the neuron's is larger than the 8388608 bytes that may cross to the host at once
            host_call_flood {}: NEURON_OUT_OF_FUEL: the neuron used up its 50000000 units of fuel; raise the fuel limit if the work is legitimate
            emit_flood {}: NEURON_HOST_CALLS: the neuron called the host more than 2000 times
            late_writer {}: NEURON_HOST_CALLS: the neuron called the host more than 2000 times
            panics {}: NEURON_PANIC: the neuron panicked: neuron 'panics' lost its nerve (hostile/examples/panics.rs:16:9)
            bad_json_output {}: NEURON_INVALID_REPLY: the neuron's reply breaks the contract: output.value is not JSON: expected ident at line 1 column 13
        "#]].assert_eq(&all);
    });
}

#[test]
fn guests_that_wait_for_ever_end_at_their_deadline() {
    let (host, hand) = virtual_host();
    let stage = stage(&host, Quotas::default());
    let limits = Limits {
        wall: Duration::from_secs(1),
        fuel: u64::MAX,
        ..Limits::default()
    };
    for name in ["sleep_forever", "swallow_errors", "spin"] {
        stage.hostile(&host, name, limits.clone());
    }
    run(&host, async move {
        for name in ["sleep_forever", "swallow_errors", "spin"] {
            let mut pathway = stage.tenant.dispatch(Dispatch::to_neuron(name)).unwrap();
            hand.wait_for_pending(1).await;
            hand.advance(Duration::from_secs(1));
            let answer = pathway.wait(LONG).await.unwrap();
            assert_eq!(error(&answer).code, "NEURON_DEADLINE", "{name}");
            assert!(error(&answer).recoverable);
            serves(&stage).await;
        }
    });
}

#[test]
fn vectors_that_are_none_are_refused_one_by_one() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    let tenant = &stage.tenant;
    let index = tenant.add_engram(VectorEngram::new(
        "index",
        16,
        tenant.clock().clone(),
        tenant.ids().clone(),
        Arc::clone(tenant.tenant()) as _,
    ));
    let neuron = Neuron::new("corrupt", plugin(&host, "hostile/corrupt_embedding")).bind(
        "index",
        Arc::clone(&index),
        Access::ReadWrite,
    );
    tenant.register(neuron);
    run(&host, async move {
        let answer = ends(&stage, "corrupt", json!({})).await;
        let output = answer
            .output()
            .unwrap_or_else(|| panic!("{:?}", answer.signal));
        let refused = output["refused"].as_object().unwrap();
        let lines: String = refused
            .iter()
            .map(|(case, reason)| format!("{case}: {}\n", reason.as_str().unwrap()))
            .collect();
        expect![[r#"
            imprint empty: embedding has dimension 0, this engram holds dimension 16
            imprint infinite: embedding holds a number that is not finite
            imprint not a number: embedding holds a number that is not finite
            imprint too long: embedding has dimension 17, this engram holds dimension 16
            imprint too short: embedding has dimension 15, this engram holds dimension 16
            imprint zero: embedding is a zero vector
            recall empty: embedding has dimension 0, this engram holds dimension 16
            recall infinite: embedding holds a number that is not finite
            recall not a number: embedding holds a number that is not finite
            recall too long: embedding has dimension 17, this engram holds dimension 16
            recall too short: embedding has dimension 15, this engram holds dimension 16
            recall zero: embedding is a zero vector
        "#]]
        .assert_eq(&lines);
        assert!(index.is_empty());
        serves(&stage).await;
    });
}

#[test]
fn a_core_module_that_keeps_to_the_convention_is_a_neuron() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    let healthy = plugin_of_text(&host, &hostile_text("healthy"));
    assert_eq!(healthy.imports(), ["soma:neuron/types@0.1.0"]);
    stage.tenant.register(stage.puppet("healthy", healthy));
    run(&host, async move {
        let answer = ends(&stage, "healthy", json!({})).await;
        assert_eq!(told("healthy", &answer), "healthy: output {}\n");
    });
}

#[test]
fn what_breaks_the_convention_is_an_error_of_its_own_and_the_host_serves_after_each() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    let names = [
        "start_traps",
        "start_grows",
        "start_spins",
        "starts_too_large",
        "grows_tables_and_traps",
        "grows_tables_for_ever",
        "divides_by_zero",
        "reads_outside_its_memory",
        "calls_a_null_function",
        "replies_from_nowhere",
        "replies_with_text_from_nowhere",
        "replies_with_broken_text",
        "replies_with_an_unknown_case",
        "takes_the_task_nowhere",
        "spins_while_it_takes_the_task",
        "nests_its_output_deeply",
    ];
    let limits = Limits {
        fuel: 50_000_000,
        table_elements: 10_000,
        ..Limits::default()
    };
    for name in names {
        let plugin = plugin_of_text(&host, &hostile_text(name));
        let neuron = stage.puppet(name, plugin).limits(limits.clone());
        stage.tenant.register(neuron);
    }
    run(&host, async move {
        let mut all = String::new();
        for name in names {
            all += &told(name, &ends(&stage, name, json!({})).await);
            serves(&stage).await;
        }
        expect![[r#"
            start_traps: NEURON_TRAP: the neuron trapped: wasm `unreachable` instruction executed
            start_grows: NEURON_OUT_OF_MEMORY: the neuron needs more memory than its limit of 67108864 bytes
            start_spins: NEURON_OUT_OF_FUEL: the neuron used up its 50000000 units of fuel; raise the fuel limit if the work is legitimate
            starts_too_large: NEURON_OUT_OF_MEMORY: the neuron needs more memory than its limit of 67108864 bytes
            grows_tables_and_traps: NEURON_OUT_OF_TABLE: the neuron needs more table elements than its limit of 10000
            grows_tables_for_ever: NEURON_OUT_OF_FUEL: the neuron used up its 50000000 units of fuel; raise the fuel limit if the work is legitimate
            divides_by_zero: NEURON_TRAP: the neuron trapped: integer divide by zero
            reads_outside_its_memory: NEURON_TRAP: the neuron trapped: out of bounds memory access
            calls_a_null_function: NEURON_TRAP: the neuron trapped: uninitialized element
            replies_from_nowhere: NEURON_FAULT: the neuron broke the calling convention: pointer out of bounds of memory
            replies_with_text_from_nowhere: NEURON_FAULT: the neuron broke the calling convention: string pointer/length out of bounds of memory
            replies_with_broken_text: NEURON_FAULT: the neuron broke the calling convention: invalid utf-8 sequence of 1 bytes from index 0
            replies_with_an_unknown_case: NEURON_FAULT: the neuron broke the calling convention: unexpected discriminant: 7
            takes_the_task_nowhere: NEURON_FAULT: the neuron broke the calling convention: realloc return: beyond end of memory
            spins_while_it_takes_the_task: NEURON_OUT_OF_FUEL: the neuron used up its 50000000 units of fuel; raise the fuel limit if the work is legitimate
            nests_its_output_deeply: NEURON_INVALID_REPLY: the neuron's reply breaks the contract: output.value is not JSON: recursion limit exceeded at line 1 column 128
        "#]].assert_eq(&all);
    });
}

#[test]
fn a_guest_that_spins_before_it_is_called_or_inside_one_instruction_is_stopped() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    let names = [
        "start_spins",
        "spins_while_it_takes_the_task",
        "fills_memory_for_ever",
    ];
    for name in names {
        let plugin = plugin_of_text(&host, &hostile_text(name));
        let limits = Limits {
            fuel: u64::MAX,
            ..Limits::default()
        };
        stage
            .tenant
            .register(stage.puppet(name, plugin).limits(limits));
    }
    run(&host, async move {
        for name in names {
            let pathway = stage.tenant.dispatch(Dispatch::to_neuron(name)).unwrap();
            until(|| stage.tenant.tenant().memory_held() > 0).await;
            let acks = stage
                .tenant
                .stop_trace(pathway.trace_id(), StopOptions::default())
                .await;
            assert_eq!(acks[0].cancelled, 1, "{name}");
            assert_eq!(stage.tenant.tenant().memory_held(), 0, "{name}");
        }
        serves(&stage).await;
    });
}

#[test]
fn a_panic_is_told_with_its_words_and_its_place() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let answer = ends(&stage, "puppet", json!({"do": [{"panic": "lost \"it\""}]})).await;
        let error = error(&answer);
        assert_eq!(error.code, "NEURON_PANIC");
        assert!(!error.recoverable);
        let message = &error.message;
        assert!(message.contains("lost \"it\""), "{message}");
        assert!(message.contains("puppet/src/lib.rs:"), "{message}");
        assert!(!message.contains("unreachable"), "{message}");
    });
}

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

/// An empty directory of the test's own.
fn fresh_directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    path
}

fn host_with_cache(directory: &Path) -> Host {
    Host::builder()
        .instances(8)
        .workers(1)
        .code_cache(directory)
        .build()
        .unwrap()
}

/// Loads a small neuron in a host of its own and runs it.
fn load_and_run(directory: &Path) -> Arc<Plugin> {
    let host = host_with_cache(directory);
    let stage = Stage::new(&host, "acme");
    let healthy = plugin_of_text(&host, &hostile_text("healthy"));
    stage
        .tenant
        .register(stage.puppet("healthy", Arc::clone(&healthy)));
    run(&host, async move {
        assert!(ends(&stage, "healthy", json!({})).await.is_output());
    });
    healthy
}

/// The cached code of a plugin.
fn code_of(directory: &Path, plugin: &Plugin) -> PathBuf {
    let digest = plugin.digest().to_string().replace("sha256:", "");
    let files = fs::read_dir(directory).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    let is_code = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&digest) && name.ends_with(".cwasm")
    };
    paths.find(is_code).unwrap()
}

#[test]
fn compiled_code_is_kept_private_and_the_second_load_takes_it_from_there() {
    let directory = fresh_directory("cache-hit");
    let plugin = load_and_run(&directory);
    let code = code_of(&directory, &plugin);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&code), 0o600);
    assert_eq!(mode(&directory.join("key")), 0o600);
    // A miss would put a new file into place.
    let before = fs::metadata(&code).unwrap();
    load_and_run(&directory);
    let after = fs::metadata(&code).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec()),
        (after.ino(), after.mtime_nsec())
    );
}

#[test]
fn tampered_code_is_never_loaded_but_compiled_anew() {
    let directory = fresh_directory("cache-tampered");
    let plugin = load_and_run(&directory);
    let code = code_of(&directory, &plugin);
    let good = fs::read(&code).unwrap();
    let tag = code.with_extension("tag");
    let good_tag = fs::read(&tag).unwrap();
    let flip = |bytes: &[u8], place: usize| {
        let mut bytes = bytes.to_vec();
        bytes[place] ^= 1;
        bytes
    };
    let cases = [
        (flip(&good, good.len() / 2), good_tag.clone()),
        (flip(&good, good.len() - 1), good_tag.clone()),
        (good[..good.len() / 2].to_vec(), good_tag.clone()),
        (Vec::new(), good_tag.clone()),
        (good.clone(), flip(&good_tag, 0)),
        (good.clone(), Vec::new()),
    ];
    for (bad, bad_tag) in cases {
        fs::write(&code, bad).unwrap();
        fs::write(&tag, bad_tag).unwrap();
        let before = fs::metadata(&code).unwrap().ino();
        load_and_run(&directory);
        assert_ne!(fs::metadata(&code).unwrap().ino(), before, "it was loaded");
        // What is there now is good again.
        let mended = fs::metadata(&code).unwrap().ino();
        load_and_run(&directory);
        assert_eq!(fs::metadata(&code).unwrap().ino(), mended);
    }
    fs::remove_file(&tag).unwrap();
    load_and_run(&directory);
    assert!(tag.exists());
}

#[test]
fn code_that_another_host_signed_is_not_loaded() {
    let (ours, theirs) = (
        fresh_directory("cache-ours"),
        fresh_directory("cache-theirs"),
    );
    let plugin = load_and_run(&ours);
    load_and_run(&theirs);
    let (code, foreign) = (code_of(&ours, &plugin), code_of(&theirs, &plugin));
    fs::copy(foreign.with_extension("tag"), code.with_extension("tag")).unwrap();
    fs::copy(&foreign, &code).unwrap();
    let before = fs::metadata(&code).unwrap().ino();
    load_and_run(&ours);
    assert_ne!(fs::metadata(&code).unwrap().ino(), before, "it was loaded");
}

#[test]
fn code_of_one_component_is_not_loaded_for_another() {
    let directory = fresh_directory("cache-swapped");
    let healthy = load_and_run(&directory);
    let host = host_with_cache(&directory);
    let divides = plugin_of_text(&host, &hostile_text("divides_by_zero"));
    let (wanted, other) = (code_of(&directory, &healthy), code_of(&directory, &divides));
    fs::copy(other.with_extension("tag"), wanted.with_extension("tag")).unwrap();
    fs::copy(&other, &wanted).unwrap();
    // It would divide by zero.
    load_and_run(&directory);
}

#[test]
fn a_cache_that_others_may_write_to_is_refused() {
    let directory = fresh_directory("cache-shared");
    fs::create_dir(&directory).unwrap();
    for mode in [0o777, 0o770, 0o702] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        let built = Host::builder().instances(8).code_cache(&directory).build();
        let told = built.unwrap_err().to_string();
        assert!(
            told.starts_with("the compiled-code cache cannot be used"),
            "{told}"
        );
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    load_and_run(&directory);
}

#[test]
fn hosts_that_open_one_cache_at_the_same_moment_share_its_key() {
    let directory = fresh_directory("cache-race");
    let hosts: Vec<_> = (0..8)
        .map(|_| {
            let directory = directory.clone();
            std::thread::spawn(move || drop(load_and_run(&directory)))
        })
        .collect();
    for host in hosts {
        host.join().unwrap();
    }
    let left = fs::read_dir(&directory).unwrap().count();
    // The key, and code and tag of puppet and neuron.
    assert_eq!(left, 5, "files were left behind");
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
