//! What options grant a neuron.

use super::*;

#[test]
fn what_a_neuron_is_granted_by_options_it_reaches_and_nothing_else() {
    let probe = component("wasi_probe");
    let folder = scratch("granted");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("note"), "a note").unwrap();
    let dir = format!("{}::/data", folder.display());
    let steps = r#"{"do": ["environment", "folders", {"read": ["/data", "note"]}]}"#;
    let said = |words: &[&str]| {
        let run = run(
            &probe,
            ["--json", "--input", steps].iter().chain(words).copied(),
        );
        assert_eq!(run.exit, 0, "{}", run.stderr);
        run.json()["payload"]["output"]["said"].clone()
    };
    assert_eq!(
        said(&["--grant", "wasi"]),
        json!([[], [], {"error": "no such folder"}])
    );
    assert_eq!(
        said(&["--dir", &dir, "--env", "LEVEL=3"]),
        json!([[["LEVEL", "3"]], ["/data"], "a note"])
    );
    let missing = format!("{}/missing::/data", folder.display());
    run(&probe, ["--dir", &missing]).refuses(3, &expect![[r#"
        error: REPOSITORY/target/neurons/wasi_probe.wasm was refused: the folder TMP/granted/missing cannot be granted as `/data`: No such file or directory (os error 2)
        help: give a folder that is there, for example `--dir ./data::/data`
    "#]]);
    run(component("http_probe"), ["--grant", "wasi"]).refuses(3, &expect![[r#"
        error: REPOSITORY/target/neurons/http_probe.wasm was refused: the component imports `wasi:http/types@0.2.12`, which is not granted; grant `http` with a rule for each host that it may reach, or build it without
        help: if it may have that, add `--http https://HOST`
    "#]]);
}

#[test]
fn a_denied_request_is_told_with_the_option_that_allows_it() {
    let input = r#"{"requests": [{"method": "POST", "url": "https://other.invalid/"}]}"#;
    let words = ["--http", "https://api.invalid", "--input", input];
    run(component("http_probe"), words).is(&expect![[r#"
        exit 0
        --- stdout
        AGENT_OUTPUT
        {
          "said": [
            {
              "error": "HttpRequestDenied"
            }
          ]
        }

        fuel: ..
        peak memory: ..
        wall time: ..
        CPU time: ..
        host calls: ..
        --- stderr
         WARN neuron: request denied: no rule allows POST https://other.invalid:443; to allow it grant the http rule `POST=https://other.invalid:443` trace=trc_.. tenant="cli" neuron="http_probe" fields="{\"denied\":\"http\"}"
    "#]]);
}

#[test]
fn on_the_same_trace_a_task_repeats_with_virtual_time_and_seeded_randomness() {
    let steps = r#"{"do": ["now", {"sleep": 3600000}, "now", {"random": 8}]}"#;
    let trace = "trc_01M89QH1ZRRAPXBNCZGR9V5V4J";
    let words = [
        "--grant",
        "wasi",
        "--clock",
        "virtual",
        "--seeded-random",
        "--trace",
        trace,
        "--json",
        "--input",
        steps,
    ];
    let run = || run(component("wasi_probe"), words).json();
    let (one, other) = (run(), run());
    assert_eq!(one["payload"], other["payload"]);
    assert_eq!(one["trace_id"], trace);
    let said = &one["payload"]["output"]["said"];
    assert_eq!(said[0], json!(1_795_622_995_960_000_u64));
    assert_eq!(said[2], json!(1_795_626_595_960_000_u64));
}
