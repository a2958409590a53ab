//! The Archivist's visits: what happens in each scripted situation, held
//! against the file beside it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "../examples/archivist/scenario.rs"]
mod scenario;

use std::{fs, path::Path};

use common::virtual_host;
use expect_test::expect_file;
use scenario::{Library, Scenario};

#[test]
fn every_visit_goes_as_its_script_says_and_the_visitor_always_gets_a_response() {
    let (host, hand) = virtual_host();
    hand.skip_waits();
    let library = Library::open(&host).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/archivist/scenarios");
    let entries = fs::read_dir(folder).unwrap();
    let mut scenarios: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    scenarios.retain(|file| file.extension().is_some_and(|end| end == "json"));
    scenarios.sort();
    assert!(scenarios.len() >= 12);
    let mut silent = Vec::new();
    for file in scenarios {
        let scenario = Scenario::read(&file).unwrap();
        let library = library.clone();
        let trace = common::run(&host, async move { library.play(&scenario).await }).unwrap();
        if !trace.contains("\nresponse: ") {
            silent.push(file.file_stem().unwrap().to_string_lossy().into_owned());
        }
        expect_file![file.with_extension("trace")].assert_eq(&trace);
    }
    // Nobody speaks where the door itself is down, or the visitor has left.
    assert_eq!(silent, ["no-response", "slow-scout-deadline"]);
}
