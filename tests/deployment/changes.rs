//! A deployment that changes while it runs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use soma::orchestration::Pathway;

use super::*;

/// The puppet with a version of its own and what it needs.
fn puppet(version: &str) -> String {
    format!(
        "id = \"puppet\"\nversion = \"{version}\"\n[engrams.memory]\naccess = \"read-write\"\n\
         [grants]\norchestration = true\nsynapse = [\"PLAN\"]\nclock = \"wall\"\n\
         random = \"system\"\nlog = true\n"
    )
}

const TABLE: &str = r#"
policy.signatures = "off"
[tenants.acme.engrams.memory]
kind = "memory"

[tenants.acme.neurons.puppet]
source = "puppet.wasm"
bind.memory = { engram = "memory", access = "read-write" }
grants = { orchestration = true, synapse = ["PLAN"], clock = "wall", random = "system", log = true }
"#;

/// A running host of one puppet.
fn started(name: &str) -> (Site, Host, Running) {
    let site = Site::new(name);
    site.add("puppet", "puppet.wasm", &puppet("1.0.0"))
        .write(TABLE);
    let host = builder().build().unwrap();
    let mut running = Running::default();
    let changes = site.apply(&host, &mut running).unwrap();
    assert_eq!(changes.added, ["acme/puppet"]);
    (site, host, running)
}

fn version(running: &Running) -> String {
    running.summaries()[0].version.clone().unwrap()
}

/// A task of the puppet that has started and does not end by itself.
fn endless(host: &Host) -> Pathway {
    let tenant = host.tenant("acme").unwrap();
    let task = common::puppet(json!([
        {"write": {"to": "memory", "op": "append", "content": "begun"}},
        {"sleep": 86_400_000},
    ]));
    run(host, async move {
        let pathway = tenant.dispatch(task).unwrap();
        let memory = tenant.tenant().engram("memory").unwrap();
        common::until(|| memory.len() == 1).await;
        pathway
    })
}

#[test]
fn a_new_version_takes_new_tasks_and_running_ones_finish_on_the_old() {
    let (site, host, mut running) = started("changes-version");
    let old = endless(&host);
    // The new version is another component altogether: it echoes.
    site.add("echo", "puppet.wasm", &puppet("2.0.0"));
    let changes = site.apply(&host, &mut running).unwrap();
    assert_eq!(changes.replaced, ["acme/puppet"]);
    assert_eq!(version(&running), "2.0.0");
    let input = json!({"do": [{"output": {"value": {"by": "the puppet"}}}]});
    let output = ask(&host, "acme", "puppet", input.clone());
    assert_eq!(output["output"], input, "the new version echoes");
    // The old one is still at its task, and can be stopped and undone.
    let tenant = host.tenant("acme").unwrap();
    let stopped = run(&host, async move {
        let trace = old.trace_id().clone();
        let options = soma::orchestration::StopOptions::rollback();
        tenant.stop_trace(&trace, options).await
    });
    assert_eq!((stopped[0].cancelled, stopped[0].compensated), (1, 1));
}

#[test]
fn a_bad_version_is_refused_and_the_old_one_stays() {
    let (site, host, mut running) = started("changes-bad");
    let bad: [(&str, Vec<u8>); 3] = [
        ("no component", b"hello".to_vec()),
        ("asks for more", {
            let more = puppet("2.0.0") + "http = [\"https://example.org\"]\n";
            packaged("puppet", &more)
        }),
        ("no neuron", {
            let text = "(component)";
            wat::parse_str(text).unwrap()
        }),
    ];
    for (what, bytes) in bad {
        site.put("puppet.wasm", &bytes);
        assert!(site.apply(&host, &mut running).is_err(), "{what}");
        assert_eq!(version(&running), "1.0.0", "{what}");
        let output = ask(
            &host,
            "acme",
            "puppet",
            json!({"do": [{"output": {"value": {"still": "here"}}}]}),
        );
        assert_eq!(output["output"], json!({"still": "here"}), "{what}");
    }
}

#[test]
fn one_bad_neuron_keeps_all_others_as_they_were() {
    let (site, host, mut running) = started("changes-all-or-nothing");
    site.add("echo", "echo.wasm", ECHO).write(&format!(
        "{TABLE}[tenants.acme.neurons.echo]\nsource = \"echo.wasm\"\n\
         [tenants.acme.neurons.bad]\nsource = \"missing.wasm\"\n"
    ));
    assert!(site.apply(&host, &mut running).is_err());
    assert_eq!(running.summaries().len(), 1);
    let tenant = host.tenant("acme").unwrap();
    assert_eq!(tenant.neurons().len(), 1);
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_asks_for_no_new_start() {
    const START: &str = r#"
policy = { signatures = "off", offline = true }
host = { workers = 1 }
[tenants.acme.quotas]
live-instances = 3
[tenants.acme.engrams.notes]
kind = "memory"
[tenants.acme.neurons.echo]
source = "echo.wasm"
grants.log = true
[tenants.other.engrams.notes]
kind = "memory"
"#;
    let site = Site::new("changes-mistakes");
    site.add("echo", "echo.wasm", ECHO).write(START);
    let host = builder().build().unwrap();
    let mut running = Running::default();
    site.apply(&host, &mut running).unwrap();
    let before = running.summaries();
    let mut told = |right: &str, wrong: &str| {
        assert!(START.contains(right), "{right}");
        // What is sound is looked at all the same.
        let ungranted = START.replace("grants.log = true\n", "");
        site.write(&ungranted.replace(right, wrong));
        let Problems(mut problems) = site.apply(&host, &mut running).unwrap_err();
        let all = problems.len();
        problems.retain(|problem| !problem.message.contains("grants.log"));
        assert_eq!(problems.len() + 1, all, "{wrong}");
        assert_eq!(running.summaries(), before);
        assert_eq!(host.tenant("acme").unwrap().neurons().len(), 1);
        site.shown(&Problems(problems).to_string())
    };
    let other = "[tenants.other.engrams.notes]";
    let all = [
        told("offline = true", "offline = \"yes\""),
        told("policy = {", "polcy = {"),
        told("workers = 1", "workers = \"1\""),
        told("host = {", "hots = {"),
        told("live-instances = 3", "live-instances = \"3\""),
        told("tenants.acme.quotas", "tenants.acme.qoutas"),
        told("tenants.acme.engrams", "tenants.acme.engrms"),
        told(other, "[tenats.other.engrams.notes]"),
        told(
            other,
            "[tenants.other.engrams]\nnotes = 5\n[tenants.more.engrams.notes]",
        ),
        told(
            "kind = \"memory\"\n[tenants.acme",
            "kind = \"vector\"\n[tenants.acme",
        ),
    ];
    expect![[r#"
        soma.toml:2:42: policy.offline: must be true or false, not a text
        soma.toml:2:1: polcy: unknown key; there are `policy`, `host` and `tenants`
        soma.toml:3:20: host.workers: must be a whole number, not a text
        soma.toml:3:1: hots: unknown key; there are `policy`, `host` and `tenants`
        soma.toml:5:18: tenants.acme.quotas.live-instances: must be a whole number, not a text
        soma.toml:4:15: tenants.acme.qoutas: unknown key; there are `quotas`, `engrams` and `neurons`
        soma.toml:6:15: tenants.acme.engrms: unknown key; there are `quotas`, `engrams` and `neurons`
        soma.toml:10:2: tenats: unknown key; there are `policy`, `host` and `tenants`
        soma.toml:11:9: tenants.other.engrams.notes: must be a table, not a number
        soma.toml:6:23: tenants.acme.engrams.notes: an engram of kind `vector` needs a dimension, for example `dimension = 16`"#]].assert_eq(&all.join("\n"));
}

#[test]
fn a_neuron_that_is_gone_takes_no_more_tasks() {
    let (site, host, mut running) = started("changes-gone");
    site.write("[tenants.acme.engrams.memory]\nkind = \"memory\"\n");
    let changes = site.apply(&host, &mut running).unwrap();
    assert_eq!(changes.removed, ["acme/puppet"]);
    assert!(host.tenant("acme").unwrap().neurons().is_empty());
}

#[test]
fn nothing_is_replaced_where_nothing_has_changed() {
    let (site, host, mut running) = started("changes-nothing");
    assert_eq!(site.apply(&host, &mut running).unwrap(), Changes::default());
    // The same bytes in a new file.
    site.add("puppet", "puppet.wasm", &puppet("1.0.0"));
    assert_eq!(site.apply(&host, &mut running).unwrap(), Changes::default());
}

#[test]
fn other_grants_and_limits_take_effect_for_new_tasks() {
    let (site, host, mut running) = started("changes-limits");
    site.write(&format!("{TABLE}limits = {{ fuel = 1000 }}\n"));
    let changes = site.apply(&host, &mut running).unwrap();
    assert_eq!(changes.replaced, ["acme/puppet"]);
    let error = ask(&host, "acme", "puppet", json!({}));
    assert_eq!(error["code"], "NEURON_OUT_OF_FUEL");
}

#[test]
fn what_only_a_new_start_can_change_is_refused_in_words() {
    let (site, host, mut running) = started("changes-restart");
    let changed = TABLE.replace(
        "kind = \"memory\"",
        "kind = \"vector\"\ndimension = 3\n\n[tenants.acme.quotas]\nconcurrent-tasks = 1",
    );
    site.write(&changed);
    let told = site.apply(&host, &mut running).unwrap_err().to_string();
    expect![[r#"
        soma.toml:3:23: tenants.acme.engrams.memory: this cannot change while it runs; start anew to change it
        soma.toml:7:15: tenants.acme.quotas: this cannot change while it runs; start anew to change it"#]].assert_eq(&site.shown(&told));
    site.write(
        &format!("policy.offline = true\nhost.workers = 1\n{TABLE}").replacen(
            "policy.signatures = \"off\"\n",
            "",
            1,
        ),
    );
    let told = site.apply(&host, &mut running).unwrap_err().to_string();
    expect![[r#"
        soma.toml:1:18: policy.offline: this cannot change while it runs; start anew to change it
        soma.toml:2:1: host: this cannot change while it runs; start anew to change it"#]]
    .assert_eq(&site.shown(&told));
    site.write("[tenants.other]\n");
    let told = site.apply(&host, &mut running).unwrap_err().to_string();
    expect!["soma.toml:1:2: tenants: tenant `acme` is gone, but it runs; start anew without it"]
        .assert_eq(&site.shown(&told));
}

#[test]
fn what_an_engram_holds_outlives_a_change() {
    let (site, host, mut running) = started("changes-engram");
    let write = json!({"do": [{"write": {"to": "memory", "op": "append", "content": "kept"}}]});
    ask(&host, "acme", "puppet", write);
    site.add("puppet", "puppet.wasm", &puppet("1.0.1"));
    site.apply(&host, &mut running).unwrap();
    let tenant = host.tenant("acme").unwrap();
    let memory: Arc<_> = tenant.tenant().engram("memory").unwrap();
    let kept = run(&host, async move { common::contents(&memory).await });
    assert_eq!(kept, [json!("kept")]);
}

/// A tenant of that name with these neurons, each the echo.
fn echoes(tenant: &str, ids: &[&str]) -> String {
    let mut text = format!("[tenants.{tenant}.engrams.notes]\nkind = \"memory\"\n");
    for id in ids {
        text += &format!(
            "[tenants.{tenant}.neurons.{id}]\nsource = \"echo.wasm\"\ngrants.log = true\n"
        );
    }
    text
}

#[test]
fn a_tenants_neurons_change_in_one_step() {
    const ONE: [&str; 3] = ["a1", "a2", "a3"];
    const OTHER: [&str; 3] = ["b1", "b2", "b3"];
    let site = Site::new("changes-one-step");
    site.add("echo", "echo.wasm", ECHO)
        .write(&echoes("acme", &ONE));
    let host = builder().build().unwrap();
    let mut running = Running::default();
    site.apply(&host, &mut running).unwrap();
    let tenant = host.tenant("acme").unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                let ids = tenant.neurons();
                let ids: Vec<_> = ids.iter().map(|id| &**id).collect();
                assert!(
                    [ONE, OTHER].contains(&ids[..].try_into().unwrap()),
                    "{ids:?}"
                );
            }
        });
        for ids in [OTHER, ONE].into_iter().cycle().take(40) {
            let changes = site.write(&echoes("acme", &ids)).apply(&host, &mut running);
            let changes = changes.unwrap();
            assert_eq!((changes.added.len(), changes.removed.len()), (3, 3));
        }
        is_over.store(true, Ordering::Release);
    });
}

#[test]
fn a_new_tenant_is_found_only_with_its_engrams_and_neurons() {
    let site = Site::new("changes-new-tenant");
    site.add("echo", "echo.wasm", ECHO);
    let host = builder().build().unwrap();
    let mut running = Running::default();
    let names: Vec<_> = (0..20).map(|number| format!("t{number}")).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            for name in &names {
                let tenant = loop {
                    match host.tenant(name) {
                        Some(tenant) => break tenant,
                        None => thread::yield_now(),
                    }
                };
                assert_eq!(tenant.neurons().len(), 2, "{name}");
                assert!(tenant.tenant().engram("notes").is_some(), "{name}");
            }
        });
        for count in 1..=names.len() {
            let tables = names[..count].iter();
            let tables = tables.map(|name| echoes(name, &["one", "two"]));
            site.write(&tables.collect::<String>());
            site.apply(&host, &mut running).unwrap();
        }
    });
}
