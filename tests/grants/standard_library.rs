//! A program of Rust's standard library, built for `wasm32-wasip2`: it starts
//! without any grant, and gets of the world what it is granted.

use std::{fs, path::Path};

use expect_test::{Expect, expect};
use serde_json::json;
use soma::{
    neuron::{FileAccess, Folder, Grants, Limits, Wasi},
    orchestration::Dispatch,
    package::Time,
    signal::TraceId,
};

use crate::{answer, bare, common, files::scratch, lines, probe_of, with};

/// What it says, and writes to its output, in a time of its own in which it
/// sleeps an hour.
fn says(trace: &str, grants: Grants, expected: &Expect) {
    // Of its own: its lines are found by it.
    let trace: TraceId = trace.parse().unwrap();
    let grants = grants.with_time(Time::Virtual);
    lines::collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let component = root.join("tests/fixtures/wasip2/std_guest.wasm");
    let host = common::host();
    let tenant = probe_of(&host, &component, &grants, Limits::default());
    let input = json!({"read": "/data/note", "write": "/data/new"});
    let task = Dispatch::to_neuron("probe")
        .input(input)
        .on_trace(trace.clone());
    let answer = answer(&host, &tenant, task);
    let output = answer.output().unwrap_or_else(|| panic!("{answer:?}"));
    let mut said = serde_json::to_string_pretty(&output).unwrap();
    for line in lines::of(&trace) {
        said.push_str(&format!("\n{}: {}", line.level, line.message));
    }
    expected.assert_eq(&said);
}

#[test]
fn without_grants_it_runs_and_reaches_nothing() {
    says(
        "trc_01M89QH1ZRRAPXBNCZGR9V5V5A",
        bare(),
        &expect![[r#"
        {
          "arguments": 0,
          "colour": null,
          "connected": {
            "error": "permission denied"
          },
          "home": null,
          "letters": 7,
          "now": 1795626595,
          "read": {
            "error": "entity not found"
          },
          "slept": 3600,
          "thread": false,
          "written": {
            "error": "entity not found"
          }
        }
        INFO: to standard output
        WARN: to standard error"#]],
    );
}

#[test]
fn with_grants_it_reaches_what_it_was_granted() {
    let root = scratch("standard-library");
    fs::write(root.join("note"), "a note").unwrap();
    let folder = Folder {
        host: root.clone(),
        guest: "/data".to_owned(),
        access: FileAccess::ReadWrite,
    };
    let granted = with(Wasi {
        folders: vec![folder],
        environment: [("COLOUR".to_owned(), "green".to_owned())].into(),
        ..Wasi::default()
    });
    says(
        "trc_01M89QH1ZRRAPXBNCZGR9V5V5B",
        granted,
        &expect![[r#"
        {
          "arguments": 0,
          "colour": "green",
          "connected": {
            "error": "permission denied"
          },
          "home": null,
          "letters": 7,
          "now": 1795626595,
          "read": {
            "ok": "a note"
          },
          "slept": 3600,
          "thread": false,
          "written": {
            "ok": ""
          }
        }
        INFO: to standard output
        WARN: to standard error"#]],
    );
    assert_eq!(fs::read(root.join("new")).unwrap(), b"by the guest");
}
