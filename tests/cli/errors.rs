//! Neurons that answer with an ERROR or run out of something.

use super::*;

#[test]
fn an_error_ends_with_1_its_code_and_its_message() {
    puppet(&json!([{"fail": {"code": "NO_SOURCE"}}]), []).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NO_SOURCE: told to fail with NO_SOURCE
    "#]]);
    puppet(
        &json!([{"fail": {"code": "BUSY", "recoverable": true}}]),
        [],
    )
    .is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: BUSY: told to fail with BUSY
        help: the same task may succeed when it is tried again
    "#]]);
    puppet(&json!(["trap"]), []).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_TRAP: the neuron trapped: wasm `unreachable` instruction executed
    "#]]);
    run(component("generator"), ["--input", "{\"question\": 7}"]).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: INVALID_INPUT: input.question: invalid type: integer `7`, expected a string at line 1 column 13
    "#]]);
}

#[test]
fn a_panic_is_told_in_the_neurons_own_words() {
    let run = puppet(&json!([{"panic": "no such page"}]), ["--json"]);
    assert_eq!(run.exit, 1);
    let payload = &run.json()["payload"];
    assert_eq!(payload["code"], "NEURON_PANIC");
    assert!(
        payload["message"]
            .as_str()
            .unwrap()
            .contains("no such page"),
        "{payload}"
    );
}

#[test]
fn a_budget_that_is_used_up_is_an_error_that_names_its_option() {
    let budgets = [
        (json!(["spin"]), "--fuel", "5_000_000"),
        (json!([{"burn": 1000}, "spin"]), "--fuel", "5000000"),
        (
            json!([{"repeat": {"times": 50, "steps": ["now"]}}]),
            "--host-calls",
            "10",
        ),
    ];
    for (steps, option, value) in budgets {
        let run = puppet(&steps, [option, value]);
        assert_eq!(run.exit, 1, "{}", run.stderr);
        assert!(
            run.stderr
                .ends_with(&format!("help: allow more with `{option}`\n")),
            "{}",
            run.stderr
        );
    }
    puppet(&json!(["spin"]), ["--fuel", "5_000_000"]).is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_OUT_OF_FUEL: the neuron used up its 5000000 units of fuel; raise the fuel limit if the work is legitimate
        help: allow more with `--fuel`
    "#]]);
    run(
        component("hostile/many_small_allocations"),
        ["--memory", "2MiB"],
    )
    .is(&expect![[r#"
        exit 1
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_OUT_OF_MEMORY: the neuron needs more memory than its limit of 2097152 bytes
        help: allow more with `--memory`
    "#]]);
}

#[test]
fn a_neuron_that_takes_too_long_ends_with_4() {
    let expected = expect![[r#"
        exit 4
        --- stdout
        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
        error: NEURON_DEADLINE: the neuron ran longer than its 50 ms
        help: allow more with `--timeout`
    "#]];
    for steps in [json!(["spin"]), json!([{"sleep": 3_600_000}])] {
        puppet(&steps, ["--timeout", "50ms"]).is(&expected);
    }
}

#[test]
fn a_neuron_cannot_pretend_that_the_time_ran_out() {
    let run = puppet(&json!([{"fail": {"code": "NEURON_DEADLINE"}}]), []);
    assert_eq!(run.exit, 1);
}

#[test]
fn starts_are_not_measured_where_each_would_be_compiled_anew() {
    let run = end(command()
        .args(["bench", "--quick", "--only", "start"])
        .env("SOMA_NEURONS", component("echo").parent().unwrap())
        .env_remove("XDG_CACHE_HOME")
        .env_remove("HOME"));
    run.refuses(
        5,
        &expect![[r#"
        error: neither XDG_CACHE_HOME nor HOME says where to keep compiled code
    "#]],
    );
}
