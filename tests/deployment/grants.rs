//! What a neuron gets: what it asks for and what it is granted, both.

use super::*;

/// Asks for everything there is.
const GREEDY: &str = r#"
id = "puppet"
version = "1.0.0"

[engrams.memory]
access = "read-write"
dimension = 4

[grants]
orchestration = true
synapse = ["PLAN", "AUDIT"]
clock = "wall"
random = "system"
log = true
files = { data = "read-write" }
environment = ["API_BASE"]
http = ["GET,POST=https://api.example.org"]

[limits]
memory = "1GiB"
timeout = "1h"
"#;

#[test]
fn each_request_without_a_grant_is_refused_with_the_lines_to_add() {
    let site = Site::new("grants-missing");
    site.add("puppet", "puppet.wasm", GREEDY).write(
        r#"[tenants.acme.neurons.puppet]
source = "puppet.wasm"
"#,
    );
    site.told(&expect![[r#"
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.orchestration: the component asks to start and stop other neurons, which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.synapse: the component asks to publish PLAN, AUDIT, which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.clock: the component asks for the time (`wall`), which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.random: the component asks for randomness (`system`), which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.log: the component asks to write log lines, which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.files: the component asks for the folder `data` (read-write), which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.environment: the component asks for the environment variable `API_BASE`, which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.http: the component asks to make requests `GET,POST=https://api.example.org:443`, which is not granted
        soma.toml:1:23: tenants.acme.neurons.puppet.bind: the component asks for an engram `memory` (read-write), which is not bound
          to grant that, write:
          [tenants.acme.engrams.memory]
          kind = "vector"
          dimension = 4
          [tenants.acme.neurons.puppet.grants]
          orchestration = true
          synapse = ["PLAN", "AUDIT"]
          clock = "wall"
          random = "system"
          log = true
          files.data = { path = "a folder", access = "read-write" }
          environment.API_BASE = "a value"
          http = ["GET,POST=https://api.example.org:443"]
          [tenants.acme.neurons.puppet.bind]
          memory = { engram = "memory", access = "read-write" }"#]]);
}

#[test]
fn less_than_what_is_asked_for_is_refused_too() {
    let site = Site::new("grants-less");
    site.add("puppet", "puppet.wasm", GREEDY).write(
        r#"[tenants.acme.engrams.memory]
kind = "vector"
dimension = 3

[tenants.acme.neurons.puppet]
source = "puppet.wasm"
bind.memory = { engram = "memory", access = "read" }

[tenants.acme.neurons.puppet.grants]
orchestration = true
synapse = ["PLAN"]
clock = "virtual"
random = "seeded"
log = true
files.data = { path = ".", access = "read" }
environment = { API_BASE = "x" }
http = ["GET=https://api.example.org", "GET,POST=http://api.example.org"]
"#,
    );
    site.told(&expect![[r#"
        soma.toml:7:26: tenants.acme.neurons.puppet.bind.memory.engram: the component needs embeddings of 4 numbers, engram `memory` has 3
        soma.toml:7:45: tenants.acme.neurons.puppet.bind.memory.access: the component asks for `read-write`, which is not granted
        soma.toml:11:11: tenants.acme.neurons.puppet.grants.synapse: the component asks to publish AUDIT, which is not granted
          to grant it, write there:
          synapse = ["PLAN", "AUDIT"]
        soma.toml:12:9: tenants.acme.neurons.puppet.grants.clock: the component asks for the time (`wall`), which is not granted
          to grant it, write there:
          clock = "wall"
        soma.toml:13:10: tenants.acme.neurons.puppet.grants.random: the component asks for randomness (`system`), which is not granted
          to grant it, write there:
          random = "system"
        soma.toml:15:1: tenants.acme.neurons.puppet.grants.files: the component asks for the folder `data` (read-write), which is not granted
          to grant it, write there:
          files.data = { path = ".", access = "read-write" }
        soma.toml:17:8: tenants.acme.neurons.puppet.grants.http: the component asks to make requests `POST=https://api.example.org:443`, which is not granted
          to grant it, write there:
          http = ["GET=https://api.example.org:443", "GET,POST=http://api.example.org:80", "POST=https://api.example.org:443"]"#]]);
}

#[test]
fn the_lines_that_a_refusal_tells_to_add_are_all_that_is_missing() {
    let site = Site::new("grants-mended");
    let start = "[tenants.acme.neurons.puppet]\nsource = \"puppet.wasm\"\n";
    site.add("puppet", "puppet.wasm", GREEDY).write(start);
    let Problems(problems) = site.check().unwrap_err();
    let helps: Vec<_> = problems.into_iter().filter_map(|one| one.help).collect();
    let [help] = helps.as_slice() else {
        panic!("told once: {helps:?}");
    };
    let lines: Vec<_> = help.lines().skip(1).collect();
    let lines = lines.join("\n").replace("\"a folder\"", "\".\"");
    site.write(&format!("{start}{lines}\n"));
    let checked = site.check().unwrap();
    let summary = &checked.neurons[0];
    expect![[r#"
        engram memory: memory (read-write)
        orchestration
        log
        wasi
        clock: wall
        random: system
        publish PLAN
        publish AUDIT
        folder data: read-write
        environment API_BASE
        http GET,POST=https://api.example.org:443"#]]
    .assert_eq(&summary.grants.join("\n"));
    expect![[r#"
        soma.toml:1:23: tenants.acme.neurons.puppet.limits: the component wishes `memory = "268435456B"`, and gets the host's own limit
        soma.toml:1:23: tenants.acme.neurons.puppet.limits: the component wishes `timeout = "3600000ms"`, and gets the host's own limit
          to give it that, write:
          [tenants.acme.neurons.puppet.limits]
          memory = "268435456B"
          timeout = "3600000ms"
        soma.toml:2:10: tenants.acme.neurons.puppet.source: it is not signed"#]].assert_eq(&site.warned(&checked));
}

#[test]
fn a_grant_that_nothing_asks_for_gives_nothing_and_is_told() {
    let site = Site::new("grants-unasked");
    site.add("echo", "echo.wasm", ECHO).write(
        r#"[tenants.acme.engrams.memory]
kind = "memory"

[tenants.acme.neurons.echo]
source = "echo.wasm"
bind.memory = { engram = "memory", access = "read" }

[tenants.acme.neurons.echo.grants]
orchestration = true
synapse = ["PLAN"]
clock = "wall"
random = "system"
log = true
wasi = true
files.data = { path = ".", access = "read" }
environment = { API_BASE = "x" }
pass-environment = ["HOME", "API_BASE"]
http = ["https://api.example.org"]
"#,
    );
    let checked = site.check().unwrap();
    assert_eq!(checked.neurons[0].grants, ["log"]);
    expect![[r#"
        soma.toml:5:10: tenants.acme.neurons.echo.source: it is not signed
        soma.toml:6:15: tenants.acme.neurons.echo.bind.memory: the component does not ask for this engram, and does not get it
        soma.toml:9:17: tenants.acme.neurons.echo.grants.orchestration: the component does not ask to start and stop other neurons; this grant gives nothing
        soma.toml:10:12: tenants.acme.neurons.echo.grants.synapse.0: the component does not ask to publish PLAN; this grant gives nothing
        soma.toml:11:9: tenants.acme.neurons.echo.grants.clock: the component does not ask for the time (`wall`); this grant gives nothing
        soma.toml:12:10: tenants.acme.neurons.echo.grants.random: the component does not ask for randomness (`system`); this grant gives nothing
        soma.toml:14:8: tenants.acme.neurons.echo.grants.wasi: the component does not ask for WASI; this grant gives nothing
        soma.toml:15:14: tenants.acme.neurons.echo.grants.files.data: the component does not ask for the folder `data` (read); this grant gives nothing
        soma.toml:16:28: tenants.acme.neurons.echo.grants.environment.API_BASE: the component does not ask for the environment variable `API_BASE`; this grant gives nothing
        soma.toml:17:21: tenants.acme.neurons.echo.grants.pass-environment.0: the component does not ask for the environment variable `HOME`; this grant gives nothing
        soma.toml:17:29: tenants.acme.neurons.echo.grants.pass-environment.1: the component does not ask for the environment variable `API_BASE`; this grant gives nothing
        soma.toml:18:9: tenants.acme.neurons.echo.grants.http.0: the component does not ask to make requests `GET=https://api.example.org:443`; this grant gives nothing"#]].assert_eq(&site.warned(&checked));
}

#[test]
fn what_is_granted_beside_what_is_asked_for_is_told_one_by_one() {
    let site = Site::new("grants-beside");
    let manifest = r#"
id = "echo"
version = "1.0.0"

[grants]
synapse = ["AUDIT"]
log = true
files = { data = "read" }
environment = ["LEVEL", "SOMA_TEST_LEVEL"]
http = ["GET=https://api.example.org"]
"#;
    site.add("echo", "echo.wasm", manifest).write(
        r#"policy.signatures = "off"

[tenants.acme.neurons.echo]
source = "echo.wasm"

[tenants.acme.neurons.echo.grants]
synapse = ["PLAN", "AUDIT", "CRITIQUE"]
log = true
files.data = { path = ".", access = "read-write" }
files.other = { path = ".", access = "read" }
environment = { LEVEL = "3", TOKEN = "secret", SOMA_TEST_LEVEL = "4" }
pass-environment = ["SOMA_TEST_TOKEN"]
http = [
    "GET,POST=https://api.example.org",
    "GET=https://other.example.org",
    "POST=https://api.example.org",
]
"#,
    );
    let checked = site.check().unwrap();
    expect![[r#"
        log
        wasi
        publish AUDIT
        folder data: read
        environment LEVEL
        environment SOMA_TEST_LEVEL
        http GET=https://api.example.org:443"#]]
    .assert_eq(&checked.neurons[0].grants.join("\n"));
    expect![[r#"
        soma.toml:7:12: tenants.acme.neurons.echo.grants.synapse.0: the component does not ask to publish PLAN; this grant gives nothing
        soma.toml:7:29: tenants.acme.neurons.echo.grants.synapse.2: the component does not ask to publish CRITIQUE; this grant gives nothing
        soma.toml:10:15: tenants.acme.neurons.echo.grants.files.other: the component does not ask for the folder `other` (read); this grant gives nothing
        soma.toml:11:38: tenants.acme.neurons.echo.grants.environment.TOKEN: the component does not ask for the environment variable `TOKEN`; this grant gives nothing
        soma.toml:12:21: tenants.acme.neurons.echo.grants.pass-environment.0: the component does not ask for the environment variable `SOMA_TEST_TOKEN`; this grant gives nothing
        soma.toml:15:5: tenants.acme.neurons.echo.grants.http.1: the component does not ask to make requests `GET=https://other.example.org:443`; this grant gives nothing
        soma.toml:16:5: tenants.acme.neurons.echo.grants.http.2: the component does not ask to make requests `POST=https://api.example.org:443`; this grant gives nothing"#]].assert_eq(&site.warned(&checked));
}

#[test]
fn everything_that_is_wrong_with_a_neuron_is_told_at_once() {
    let site = Site::new("grants-all");
    let manifest = r#"
id = "bad"
version = "1.0.0"

[engrams.notes]
access = "read"

[grants]
log = true
files = { data = "read", out = "read-write" }
environment = ["SOMA_NOT_SET"]
"#;
    let invalid = "(component (core module (func (result i32) (i64.const 0))))";
    let locals = "i64 ".repeat(10_000);
    let bomb = format!("(component (core module (func (local {locals}))))");
    for (name, text) in [("invalid", invalid), ("bomb", &bomb)] {
        let wasm = wat::parse_str(text).unwrap();
        site.put(&format!("{name}.wasm"), &with_manifest(&wasm, manifest));
    }
    let table = |name: &str| {
        format!(
            "[tenants.acme.neurons.{name}]\nsource = \"{name}.wasm\"\n\
             [tenants.acme.neurons.{name}.grants]\n\
             files.data = {{ path = \"missing\", access = \"read\" }}\n\
             pass-environment = [\"SOMA_NOT_SET\"]\n"
        )
    };
    site.write(&["invalid", "bomb"].map(table).concat());
    site.told(&expect![[r#"
        soma.toml:1:23: tenants.acme.neurons.invalid.bind: the component asks for an engram `notes` (read), which is not bound
        soma.toml:2:10: tenants.acme.neurons.invalid.source: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
        soma.toml:2:10: tenants.acme.neurons.invalid.source: the component is invalid: failed to compile: wasm[0]::function[0]: WebAssembly translation error: Invalid input WebAssembly code at offset 36: type mismatch: expected i32, found i64
        soma.toml:3:31: tenants.acme.neurons.invalid.grants.log: the component asks to write log lines, which is not granted
          to grant that, write:
          [tenants.acme.engrams.notes]
          kind = "memory"
          [tenants.acme.neurons.invalid.bind]
          notes = { engram = "notes", access = "read" }
          and add below line 3:
          log = true
        soma.toml:4:1: tenants.acme.neurons.invalid.grants.files: the component asks for the folder `out` (read-write), which is not granted
          to grant it, write there:
          files.out = { path = "a folder", access = "read-write" }
        soma.toml:4:14: tenants.acme.neurons.invalid.grants.files.data: the folder missing cannot be granted as `/data`: No such file or directory (os error 2)
        soma.toml:5:21: tenants.acme.neurons.invalid.grants.pass-environment.0: the host's own variable `SOMA_NOT_SET` is not set
        soma.toml:6:23: tenants.acme.neurons.bomb.bind: the component asks for an engram `notes` (read), which is not bound
        soma.toml:7:10: tenants.acme.neurons.bomb.source: the component exports no `soma:neuron/handler@0.1.0`: it is no neuron
        soma.toml:7:10: tenants.acme.neurons.bomb.source: function 0 of core module 0 (at offset 0x20) has 10000 locals; at most 5000 are taken
        soma.toml:8:28: tenants.acme.neurons.bomb.grants.log: the component asks to write log lines, which is not granted
          to grant that, write:
          [tenants.acme.engrams.notes]
          kind = "memory"
          [tenants.acme.neurons.bomb.bind]
          notes = { engram = "notes", access = "read" }
          and add below line 8:
          log = true
        soma.toml:9:1: tenants.acme.neurons.bomb.grants.files: the component asks for the folder `out` (read-write), which is not granted
          to grant it, write there:
          files.out = { path = "a folder", access = "read-write" }
        soma.toml:9:14: tenants.acme.neurons.bomb.grants.files.data: the folder missing cannot be granted as `/data`: No such file or directory (os error 2)
        soma.toml:10:21: tenants.acme.neurons.bomb.grants.pass-environment.0: the host's own variable `SOMA_NOT_SET` is not set"#]]);
}

#[test]
fn a_component_with_other_types_than_the_contract_is_told_beside_its_grants() {
    let site = Site::new("grants-types");
    let text = fs::read_to_string("tests/hostile/wrong_handler.wat").unwrap();
    let wasm = wat::parse_str(text).unwrap();
    site.put("wrong.wasm", &with_manifest(&wasm, ECHO))
        .write("[tenants.acme.neurons.wrong]\nsource = \"wrong.wasm\"\n");
    site.told(&expect![[r#"
        soma.toml:1:23: tenants.acme.neurons.wrong.grants.log: the component asks to write log lines, which is not granted
          to grant that, write:
          [tenants.acme.neurons.wrong.grants]
          log = true
        soma.toml:2:10: tenants.acme.neurons.wrong.source: the component does not fit the contract: `handle` of `soma:neuron/handler@0.1.0` has the wrong type: expected 1-tuple, found 0-tuple"#]]);
}

#[test]
fn no_value_of_a_variable_is_in_the_debug_text_of_a_deployment() {
    let site = Site::new("grants-debug");
    let manifest = "id = \"echo\"\nversion = \"1.0.0\"\n\
                    [grants]\nlog = true\nenvironment = [\"API_TOKEN\"]\n";
    site.add("echo", "echo.wasm", manifest).write(
        "[tenants.acme.neurons.echo]\nsource = \"echo.wasm\"\n\
         grants.log = true\ngrants.environment = { API_TOKEN = \"hunter2\" }\n",
    );
    let host = builder().build().unwrap();
    let deployment = Deployment::read(&site.file()).unwrap();
    let mut running = Running::default();
    deployment
        .apply(&host, &registry(&host), &mut running)
        .unwrap();
    for text in [format!("{deployment:?}"), format!("{running:?}")] {
        assert!(text.contains("API_TOKEN"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_neuron_that_is_granted_more_than_it_asks_for_gets_what_it_asks_for() {
    let site = Site::new("grants-narrow");
    let reader = GREEDY
        .replace(
            "access = \"read-write\"\ndimension = 4",
            "access = \"read\"",
        )
        .replace("synapse = [\"PLAN\", \"AUDIT\"]", "synapse = [\"AUDIT\"]")
        .replace("clock = \"wall\"", "clock = \"virtual\"")
        .replace("files = { data = \"read-write\" }\n", "")
        .replace("environment = [\"API_BASE\"]\n", "")
        .replace("http = [\"GET,POST=https://api.example.org\"]\n", "");
    site.add("puppet", "puppet.wasm", &reader).write(
        r#"[tenants.acme.engrams.memory]
kind = "memory"

[tenants.acme.neurons.puppet]
source = "puppet.wasm"
bind.memory = { engram = "memory", access = "read-write" }
grants = { orchestration = true, synapse = ["PLAN", "AUDIT"], clock = "wall", random = "system", log = true }
"#,
    );
    let host = builder().build().unwrap();
    site.apply(&host, &mut Running::default()).unwrap();
    let said = |steps: Value| {
        let answer = ask(&host, "acme", "puppet", common::told(steps));
        answer["output"]["said"].as_array().unwrap().clone()
    };
    let write = said(json!([{"write": {"to": "memory", "op": "append", "content": 1}}]));
    assert_eq!(
        write[0]["error"]["message"],
        "engram access denied: neuron `puppet` may only read through the binding `memory`"
    );
    let plan = said(json!([{"emit": {"kind": "PLAN", "payload": {"steps": []}}}]));
    assert_eq!(
        plan[0]["error"]["message"],
        "signal denied: neuron `puppet` may not emit PLAN"
    );
    // The trace's own time, in which a day is over at once.
    let now = said(json!(["now", {"sleep": 86_400_000}, "now"]));
    let at = |index: usize| now[index].as_u64().unwrap();
    assert_eq!(at(now.len() - 1) - at(0), 86_400_000);
}

#[test]
fn a_component_without_a_manifest_gets_what_it_is_granted_and_its_imports_must_be() {
    let site = Site::new("grants-bare");
    site.put("puppet.wasm", &fs::read(component("puppet")).unwrap());
    let table = "[tenants.acme.neurons.puppet]\nsource = \"puppet.wasm\"\n";
    site.write(table);
    site.told(&expect![[r#"
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/orchestration@0.1.0`, which is not granted; grant `orchestration` or build it without
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/synapse@0.1.0`, which is not granted; grant `synapse` or build it without
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/clock@0.1.0`, which is not granted; grant `clock` or build it without
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/log@0.1.0`, which is not granted; grant `log` or build it without
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/random@0.1.0`, which is not granted; grant `random` or build it without
          to grant that, write:
          [tenants.acme.neurons.puppet.grants]
          orchestration = true
          synapse = ["PLAN"]
          clock = "wall"
          log = true
          random = "system""#]]);
    let all = "grants = { orchestration = true, synapse = [\"PLAN\"], clock = \"wall\", \
               random = \"system\", log = true }\n";
    site.write(&format!("{table}{all}"));
    assert_eq!(site.check().unwrap().neurons[0].version, None);
    let host = builder().build().unwrap();
    site.apply(&host, &mut Running::default()).unwrap();
    let audit = json!({"kind": "k", "domain": "d", "outcome": "o", "attempt": 1});
    let emit = common::told(json!([{"emit": {"kind": "AUDIT", "payload": audit}}]));
    let answer = ask(&host, "acme", "puppet", emit);
    assert_eq!(
        answer["output"]["said"][0]["error"]["message"],
        "signal denied: neuron `puppet` may not emit AUDIT"
    );
}

#[test]
fn a_variable_of_the_hosts_own_is_passed_by_name_and_told_when_it_is_not_there() {
    let site = Site::new("grants-environment");
    let manifest = "id = \"echo\"\nversion = \"1.0.0\"\n[grants]\nlog = true\nenvironment = [\"SOMA_NOT_SET\"]\n";
    site.add("echo", "echo.wasm", manifest).write(
        "[tenants.acme.neurons.echo]\nsource = \"echo.wasm\"\n\
         grants.log = true\ngrants.pass-environment = [\"SOMA_NOT_SET\"]\n",
    );
    site.told(&expect!["soma.toml:4:28: tenants.acme.neurons.echo.grants.pass-environment.0: the host's own variable `SOMA_NOT_SET` is not set"]);
}

#[test]
fn a_binding_of_another_name_is_told_with_the_one_that_is_missing() {
    let site = Site::new("grants-typo");
    let manifest = "id = \"puppet\"\nversion = \"1.0.0\"\n[engrams.memory]\naccess = \"read\"\n\
                    [grants]\nlog = true\nclock = \"wall\"\n";
    site.add("generator", "puppet.wasm", manifest).write(
        r#"[tenants.acme.engrams.memory]
kind = "memory"

[tenants.acme.neurons.puppet]
source = "puppet.wasm"
bind.memroy = { engram = "memory", access = "read" }
grants = { clock = "wall" }
"#,
    );
    site.told(&expect![[r#"
        soma.toml:6:1: tenants.acme.neurons.puppet.bind: the component asks for an engram `memory` (read), which is not bound; `memroy` is bound, which it does not ask for
        soma.toml:7:1: tenants.acme.neurons.puppet.grants.log: the component asks to write log lines, which is not granted
          to grant that, add to the `grants` in line 7:
          log = true
          and add beside line 6:
          bind.memory = { engram = "memory", access = "read" }"#]]);
}

#[test]
fn imports_of_wasi_that_are_not_granted_are_told_once() {
    let site = Site::new("grants-wasi");
    site.put("wasi.wasm", &fs::read(component("wasi_probe")).unwrap())
        .write("[tenants.acme.neurons.wasi]\nsource = \"wasi.wasm\"\ngrants = { log = true }\n");
    site.told(&expect![[r#"
        soma.toml:2:10: tenants.acme.neurons.wasi.source: the component imports `wasi:io/poll@0.2.12`, which is not granted; grant `wasi` (without folders, environment and http rules it reaches none) or build it without; and 21 more of WASI
          to grant that, add to the `grants` in line 3:
          wasi = true"#]]);
}
