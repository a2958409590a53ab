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
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          orchestration = true
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.log: the component asks to write log lines, which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          log = true
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.clock: the component asks for the time (`wall`), which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          clock = "wall"
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.random: the component asks for randomness (`system`), which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          random = "system"
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.synapse: the component asks to publish PLAN, AUDIT, which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          synapse = ["PLAN", "AUDIT"]
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.files: the component asks for the folder `data` (read-write), which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          files.data = { path = "a folder", access = "read-write" }
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.environment: the component asks for the environment variable `API_BASE`, which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          environment.API_BASE = "a value"
        soma.toml:1:23: tenants.acme.neurons.puppet.grants.http: the component asks to make requests `GET,POST=https://api.example.org:443`, which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          http = ["GET,POST=https://api.example.org:443"]
        soma.toml:1:23: tenants.acme.neurons.puppet.bind: the component asks for an engram `memory` (read-write), which is not bound
          to bind it, write:
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
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          synapse = ["PLAN", "AUDIT"]
        soma.toml:12:9: tenants.acme.neurons.puppet.grants.clock: the component asks for the time (`wall`), which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          clock = "wall"
        soma.toml:13:10: tenants.acme.neurons.puppet.grants.random: the component asks for randomness (`system`), which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          random = "system"
        soma.toml:15:1: tenants.acme.neurons.puppet.grants.files: the component asks for the folder `data` (read-write), which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          files.data = { path = ".", access = "read-write" }
        soma.toml:17:8: tenants.acme.neurons.puppet.grants.http: the component asks to make requests `GET,POST=https://api.example.org:443`, which is not granted
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          http = ["GET=https://api.example.org:443", "GET,POST=http://api.example.org:80", "GET,POST=https://api.example.org:443"]"#]]);
}

#[test]
fn the_lines_that_a_refusal_tells_to_add_are_all_that_is_missing() {
    let site = Site::new("grants-mended");
    let start = "[tenants.acme.engrams.memory]\nkind = \"vector\"\ndimension = 4\n\
                 [tenants.acme.neurons.puppet]\nsource = \"puppet.wasm\"\n";
    site.add("puppet", "puppet.wasm", GREEDY).write(start);
    let Problems(problems) = site.check().unwrap_err();
    let (mut bind, mut grants) = (String::new(), String::new());
    for problem in problems {
        let help = problem.help.unwrap();
        let lines: Vec<_> = help.lines().skip(1).collect();
        let table = if lines[0].ends_with(".bind]") {
            &mut bind
        } else {
            &mut grants
        };
        *table += &format!("{}\n", lines[1]);
    }
    let grants = grants.replace("\"a folder\"", "\".\"");
    site.write(&format!(
        "{start}[tenants.acme.neurons.puppet.bind]\n{bind}\
         [tenants.acme.neurons.puppet.grants]\n{grants}"
    ));
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
    let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
    expect![[r#"
        soma.toml:4:23: tenants.acme.neurons.puppet.limits: the component wishes `memory = "268435456B"`, and gets the host's own limit
          to give it that, write:
          [tenants.acme.neurons.puppet.limits]
          memory = "268435456B"
        soma.toml:4:23: tenants.acme.neurons.puppet.limits: the component wishes `timeout = "3600000ms"`, and gets the host's own limit
          to give it that, write:
          [tenants.acme.neurons.puppet.limits]
          timeout = "3600000ms"
        soma.toml:5:10: tenants.acme.neurons.puppet.source: it is not signed"#]].assert_eq(&site.shown(&warnings.join("\n")));
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
files.data = { path = ".", access = "read" }
environment = { API_BASE = "x" }
http = ["https://api.example.org"]
"#,
    );
    let checked = site.check().unwrap();
    assert_eq!(checked.neurons[0].grants, ["log"]);
    let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
    expect![[r#"
        soma.toml:5:10: tenants.acme.neurons.echo.source: it is not signed
        soma.toml:6:15: tenants.acme.neurons.echo.bind.memory: the component does not ask for this engram, and does not get it
        soma.toml:9:17: tenants.acme.neurons.echo.grants.orchestration: the component does not ask for this, and does not get it
        soma.toml:10:11: tenants.acme.neurons.echo.grants.synapse: the component does not ask for this, and does not get it
        soma.toml:11:9: tenants.acme.neurons.echo.grants.clock: the component does not ask for this, and does not get it
        soma.toml:12:10: tenants.acme.neurons.echo.grants.random: the component does not ask for this, and does not get it
        soma.toml:14:14: tenants.acme.neurons.echo.grants.files.data: the component does not ask for this, and does not get it
        soma.toml:15:28: tenants.acme.neurons.echo.grants.environment.API_BASE: the component does not ask for this, and does not get it
        soma.toml:16:8: tenants.acme.neurons.echo.grants.http: the component does not ask for this, and does not get it"#]].assert_eq(&site.shown(&warnings.join("\n")));
}

#[test]
fn a_component_that_imports_more_than_it_says_is_refused() {
    let site = Site::new("grants-forged");
    // The puppet imports everything.
    let modest = "id = \"puppet\"\nversion = \"1.0.0\"\n";
    site.add("puppet", "puppet.wasm", modest).write(
        r#"[tenants.acme.neurons.puppet]
source = "puppet.wasm"

[tenants.acme.neurons.puppet.grants]
orchestration = true
clock = "wall"
"#,
    );
    site.told(&expect![[r#"
        soma.toml:2:10: tenants.acme.neurons.puppet.source: it asks for more than it says: it imports `soma:neuron/orchestration@0.1.0`, which its manifest does not ask for
        soma.toml:2:10: tenants.acme.neurons.puppet.source: it asks for more than it says: it imports `soma:neuron/engram@0.1.0`, which its manifest does not ask for
        soma.toml:2:10: tenants.acme.neurons.puppet.source: it asks for more than it says: it imports `soma:neuron/synapse@0.1.0`, which its manifest does not ask for
        soma.toml:2:10: tenants.acme.neurons.puppet.source: it asks for more than it says: it imports `soma:neuron/clock@0.1.0`, which its manifest does not ask for
        soma.toml:2:10: tenants.acme.neurons.puppet.source: it asks for more than it says: it imports `soma:neuron/log@0.1.0`, which its manifest does not ask for
        soma.toml:2:10: tenants.acme.neurons.puppet.source: it asks for more than it says: it imports `soma:neuron/random@0.1.0`, which its manifest does not ask for"#]]);
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
    // The trace's own time, and nobody's sleep in it: it stands still.
    let now = said(json!(["now", "now"]));
    assert_eq!(now[0], now[1]);
}

#[test]
fn a_component_without_a_manifest_gets_what_it_is_granted_and_its_imports_must_be() {
    let site = Site::new("grants-bare");
    site.put("puppet.wasm", &fs::read(component("puppet")).unwrap());
    let table = "[tenants.acme.neurons.puppet]\nsource = \"puppet.wasm\"\n";
    site.write(table);
    site.told(&expect![[r#"
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/orchestration@0.1.0`, which is not granted; grant `orchestration` or build it without
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          orchestration = true
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/synapse@0.1.0`, which is not granted; grant `synapse` or build it without
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          synapse = ["PLAN"]
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/clock@0.1.0`, which is not granted; grant `clock` or build it without
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          clock = "wall"
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/log@0.1.0`, which is not granted; grant `log` or build it without
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          log = true
        soma.toml:2:10: tenants.acme.neurons.puppet.source: the component imports `soma:neuron/random@0.1.0`, which is not granted; grant `random` or build it without
          to grant it, write:
          [tenants.acme.neurons.puppet.grants]
          random = "system""#]]);
    let all = "grants = { orchestration = true, synapse = [\"PLAN\"], clock = \"wall\", \
               random = \"system\", log = true }\n";
    site.write(&format!("{table}{all}"));
    assert_eq!(site.check().unwrap().neurons[0].version, None);
}

#[test]
fn a_variable_of_the_hosts_own_is_passed_by_name_and_told_when_it_is_not_there() {
    let site = Site::new("grants-environment");
    let manifest = "id = \"echo\"\nversion = \"1.0.0\"\n[grants]\nlog = true\nenvironment = [\"SOMA_NOT_SET\"]\n";
    site.add("echo", "echo.wasm", manifest).write(
        "[tenants.acme.neurons.echo]\nsource = \"echo.wasm\"\n\
         grants.log = true\ngrants.pass-environment = [\"SOMA_NOT_SET\"]\n",
    );
    site.told(&expect!["soma.toml:4:27: tenants.acme.neurons.echo.grants.pass-environment: the host's own variable `SOMA_NOT_SET` is not set"]);
}
