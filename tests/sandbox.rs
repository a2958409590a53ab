//! The sandbox: what it refuses to load, every way in which a guest can end,
//! its limits, and the compiled code that it keeps. `tests/hostile` holds what
//! Rust cannot write.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "sandbox/bounds.rs"]
mod bounds;
#[path = "sandbox/cache.rs"]
mod cache;
mod common;
#[path = "sandbox/compiler.rs"]
mod compiler;
#[path = "sandbox/refusals.rs"]
mod refusals;

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
    wasm::{framed, hostile_file, hostile_text},
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
        a truncated file: the component cannot be read: unexpected end-of-file (at offset 0x188)
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
        wasi_environment: the component imports `wasi:cli/environment@0.2.0`, which is not granted; grant `wasi` (without folders, environment and http rules it reaches none) or build it without
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
    let healthy = hostile_file("healthy");
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
        1 000 memories: the component, read up to offset 0xa07, has 1001 memories; at most 4 are taken
        1 000 tables: the component, read up to offset 0xdf2, has 1000 tables; at most 16 are taken
        a table of a million: the component is invalid: module table does not fit in pooling allocator requirements: table index 0 has a minimum element size of 1000000 which exceeds the limit of 100000
        1 000 core instances: the component, read up to offset 0x2e4, has 51 core instances; at most 50 are taken
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
