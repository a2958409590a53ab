//! Neurons in every language: the same ingester answers and imprints the same,
//! each SDK does what the one in Rust does, and a new project works.
//!
//! What the neurons in other languages do is compared with what those in Rust
//! do; the tests of a language differ in nothing but the component's name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
#[path = "languages/ingesting.rs"]
mod ingesting;
#[path = "grants/lines.rs"]
mod lines;
#[path = "languages/sdk.rs"]
mod sdk;

use std::sync::Arc;

use common::{LONG, component, host};
use soma::{
    Host,
    neuron::{Grants, Plugin},
    orchestration::{Answer, Dispatch, TenantHandle},
};

/// What differs between the languages.
struct Language {
    ingester: &'static str,
    puppet: &'static str,
    notes: &'static str,
    /// The ERROR of what nothing in the neuron catches.
    uncaught: &'static str,
}

const RUST: Language = Language {
    ingester: "ingester",
    puppet: "puppet",
    notes: "rust_notes",
    uncaught: "NEURON_PANIC",
};
const PYTHON: Language = Language {
    ingester: "python_ingester",
    puppet: "python_puppet",
    notes: "python_notes",
    uncaught: "NEURON_ERROR",
};
const JAVASCRIPT: Language = Language {
    ingester: "javascript_ingester",
    puppet: "javascript_puppet",
    notes: "javascript_notes",
    uncaught: "NEURON_ERROR",
};
const C: Language = Language {
    ingester: "c_ingester",
    puppet: "c_puppet",
    notes: "c_notes",
    uncaught: "NEURON_PANIC",
};
const GO: Language = Language {
    ingester: "go_ingester",
    puppet: "go_puppet",
    notes: "go_notes",
    uncaught: "NEURON_PANIC",
};

/// One module a language, with all tests.
macro_rules! languages {
    ($($module:ident: $language:ident),+ => $tests:tt) => {
        $(languages!(@ $module $language $tests);)+
    };
    (@ $module:ident $language:ident [$($room:ident::$test:ident),+ $(,)?]) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$room::$test(&super::$language);
                }
            )+
        }
    };
}

languages! {
    rust: RUST, python: PYTHON, javascript: JAVASCRIPT, c: C, go: GO => [
        ingesting::documents_become_the_same_answers_and_entries_as_in_rust,
        ingesting::odd_texts_become_the_same_answers_and_entries_as_in_rust,
        ingesting::bad_input_is_refused_at_the_same_place_as_in_rust,
        ingesting::a_crash_leaves_the_chunks_before_it_and_a_rollback_takes_them_away,
        ingesting::a_stop_between_two_chunks_ends_the_ingest_and_undoes_it,
        ingesting::an_engram_that_refuses_is_a_failure_as_in_rust,
        sdk::every_helper_does_what_the_one_in_rust_does,
        sdk::every_reply_is_the_same_as_in_rust,
        sdk::what_nothing_catches_is_an_error_with_its_words_and_the_next_task_is_done,
        sdk::a_component_imports_what_its_manifest_asks_for_and_nothing_else,
        sdk::a_new_project_keeps_notes_and_finds_them,
    ]
}

/// A component of `target/neurons` with the world `neuron` and no WASI.
fn plugin(host: &Host, name: &str) -> Arc<Plugin> {
    let grants = if name == RUST.puppet {
        common::all_grants()
    } else {
        Grants::default()
    };
    host.load_file(component(name), &grants).unwrap()
}

async fn ask(tenant: &TenantHandle, task: Dispatch) -> Answer {
    tenant.dispatch_and_wait(task, LONG).await.unwrap()
}
