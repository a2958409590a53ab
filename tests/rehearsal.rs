//! Rehearsals: one neuron alone on the scene of a case file, by the library and
//! by `soma neuron test`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

#[path = "rehearsal/command.rs"]
mod command;
#[path = "rehearsal/faults.rs"]
mod faults;
#[path = "rehearsal/files.rs"]
mod files;
#[path = "rehearsal/orchestration.rs"]
mod orchestration;
#[path = "rehearsal/scenes.rs"]
mod scenes;
#[path = "rehearsal/wasi.rs"]
mod wasi;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use expect_test::{Expect, expect, expect_file};
use serde_json::{Value, json};
use soma::{
    neuron::{Sandbox, SandboxConfig},
    package::{Problems, schema_of},
    rehearsal::{Case, CaseFile, Rehearsal, RehearsalError, Run},
};

fn sandbox() -> Sandbox {
    let config = SandboxConfig {
        instances: 4,
        workers: 1,
        code_cache: Some(common::code_cache()),
        ..SandboxConfig::default()
    };
    Sandbox::new(&config).unwrap()
}

fn rehearsal(name: &str) -> Rehearsal {
    let wasm = fs::read(common::component(name)).unwrap();
    Rehearsal::new(sandbox(), name, wasm).unwrap()
}

/// Does what a case's input says.
static PUPPET: LazyLock<Rehearsal> = LazyLock::new(|| rehearsal("puppet"));

/// A folder of a test's own, empty.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("rehearsal")
        .join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A case of this text in a file of its own.
fn case_of_text(text: &str) -> Result<CaseFile, Problems> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cases");
    fs::create_dir_all(&folder).unwrap();
    let name = format!(
        "{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let path = folder.join(name).with_extension("json");
    fs::write(&path, text).unwrap();
    let case = CaseFile::read(&path);
    fs::remove_file(&path).unwrap();
    case
}

/// A case of the puppet that does `steps`; `more` keys beside the input. It may
/// start other neurons unless `more` says what is granted.
fn case(steps: &Value, more: &Value) -> CaseFile {
    let mut case = json!({"input": {"do": steps}, "grants": {"orchestration": true}});
    for (key, value) in more.as_object().unwrap() {
        case[key] = value.clone();
    }
    case_of_text(&case.to_string()).unwrap()
}

/// Runs the puppet on such a case.
fn played(steps: Value, more: Value) -> Run {
    PUPPET.run(&case(&steps, &more)).unwrap()
}

/// All that came of it.
fn got(run: &Run) -> Value {
    run.expectation()
}

/// What the puppet said.
fn said(run: &Run) -> Value {
    let got = got(run);
    got["reply"]["output"]["said"].clone()
}

/// What the case had and the run did not use.
fn wrong(run: &Run) -> Vec<String> {
    let nothing = case_of_text(r#"{"input": {}}"#).unwrap();
    run.against(&nothing).wrong().to_vec()
}

#[test]
fn the_committed_schema_of_a_case_is_that_of_the_code() {
    let schema = serde_json::to_string_pretty(&schema_of::<Case>()).unwrap() + "\n";
    expect_file!["../schemas/case.schema.json"].assert_eq(&schema);
}
