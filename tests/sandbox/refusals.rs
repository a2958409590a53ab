//! What a running neuron, or a task for one, is refused, in these very words.

use super::*;

/// `n` different tags.
fn tags(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("t{n}")).collect()
}

/// The code and words with which each step was refused.
fn refusals(answer: &Answer) -> String {
    let mut told = String::new();
    for said in said(answer) {
        let error = &said["error"];
        let text = |key: &str| error[key].as_str().unwrap_or("not refused");
        writeln!(told, "{}: {}", text("code"), text("message")).unwrap();
    }
    told
}

#[test]
fn an_entry_and_a_filter_have_at_most_64_tags() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let write = |op: &str, tags: Vec<String>| json!({"write": {"to": "memory", "op": op, "key": "k", "content": {}, "tags": tags}});
        let filter = |n| json!({"recall": {"from": "memory", "tags": tags(n)}});
        let within = json!({"do": [write("upsert", tags(64)), filter(64)]});
        let within = said(&ends(&stage, "puppet", within).await);
        assert_eq!((&within[0]["version"], within.len()), (&json!(1), 2));
        assert_eq!(within[1]["hits"], json!([{}]));
        let beyond = json!({"do": [
            write("add", tags(65)),
            write("merge", vec!["one more".to_owned()]),
            filter(65),
        ]});
        expect![[r#"
            ENGRAM_INVALID: invalid engram request: entry has 65 tags, at most 64 are allowed
            ENGRAM_INVALID: invalid engram request: entry would have 65 tags, at most 64 are allowed
            ENGRAM_INVALID: invalid engram request: filters name 65 tags, at most 64 are allowed
        "#]]
        .assert_eq(&refusals(&ends(&stage, "puppet", beyond).await));
        let entries = common::entries(&stage.memory).await;
        assert_eq!((entries.len(), entries[0].tags.len()), (1, 64));
        serves(&stage).await;
    });
}

#[test]
fn an_entry_takes_at_most_4_mib_however_it_grows() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        // An entry is charged its content and the text that is searched.
        let write = |op: &str, key: &str| {
            let part = json!({key: "x".repeat(900_000)});
            json!({"do": [{"write": {"to": "memory", "op": op, "key": "k", "content": part}}]})
        };
        for (op, key) in [("upsert", "a"), ("merge", "b")] {
            let fits = ends(&stage, "puppet", write(op, key)).await;
            assert_eq!(refusals(&fits), "not refused: not refused\n");
        }
        let held = stage.tenant.tenant().store_held();
        let told = refusals(&ends(&stage, "puppet", write("merge", "c")).await);
        let bytes = told.split_whitespace().find_map(|word| word.parse().ok());
        let bytes: u64 = bytes.unwrap();
        assert!(bytes > 4 << 20 && bytes < 6 << 20, "{bytes}");
        assert_eq!(
            told,
            format!(
                "ENGRAM_INVALID: invalid engram request: entry would take {bytes} bytes, at most \
                 4194304 are allowed; split it\n"
            )
        );
        assert_eq!(stage.tenant.tenant().store_held(), held);
        assert_eq!(common::entries(&stage.memory).await[0].version, 2);
        serves(&stage).await;
    });
}

#[test]
fn an_answer_that_is_larger_than_may_cross_to_the_guest_asks_for_fewer_hits() {
    let host = host();
    let stage = stage(&host, Quotas::default());
    run(&host, async move {
        let entry = append(&"x".repeat(10_000));
        let fill = json!({"do": [{"repeat": {"times": 10, "steps": [entry]}}]});
        assert!(ends(&stage, "puppet", fill).await.is_output());
        let recall = |top_k: u32| json!({"recall": {"from": "memory", "top_k": top_k}});
        let task = puppet(json!([recall(10), recall(6)])).limits(Limits {
            host_call_bytes: 64 << 10,
            ..Limits::default()
        });
        let answer = stage.tenant.dispatch_and_wait(task, LONG).await.unwrap();
        expect![[r#"
            ENGRAM_INVALID: invalid engram request: the answer is larger than the 65536 bytes that may cross to the guest at once; ask for fewer hits
            not refused: not refused
        "#]]
        .assert_eq(&refusals(&answer));
        assert_eq!(said(&answer)[1]["hits"].as_array().unwrap().len(), 6);
    });
}

#[test]
fn a_plugin_of_another_host_runs_on_its_own_host_only() {
    let (host, other) = (host(), host());
    let (stage, foreign) = (
        stage(&host, Quotas::default()),
        plugin_of_text(&other, &hostile_text("healthy")),
    );
    let trusted = wat::parse_str(hostile_text("healthy")).unwrap();
    let trusted = other
        .load(&trusted, &common::all_grants(), Metering::EpochOnly)
        .unwrap();
    for (name, plugin) in [("foreign", foreign), ("trusted", trusted)] {
        stage.tenant.register(stage.puppet(name, plugin));
    }
    run(&host, async move {
        let mut all = String::new();
        for name in ["foreign", "trusted"] {
            all += &told(name, &ends(&stage, name, json!({})).await);
        }
        expect![[r#"
            foreign: NEURON_INSTANTIATE: the neuron cannot be instantiated: it was loaded by another host; load it with this one
            trusted: NEURON_INSTANTIATE: the neuron cannot be instantiated: it was loaded by another host; load it with this one
        "#]].assert_eq(&all);
        serves(&stage).await;
    });
}
