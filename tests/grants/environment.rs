//! Environment, arguments, standard input, sockets.

use serde_json::json;
use soma::neuron::Wasi;

use crate::{bare, error, said, with};

#[test]
fn of_the_hosts_own_environment_nothing_is_seen() {
    // This process has some: cargo's.
    assert!(std::env::vars().count() > 0);
    assert_eq!(said(&bare(), json!(["environment"])), [json!([])]);
}

#[test]
fn the_variables_that_are_granted_are_seen_and_no_others() {
    let wasi = Wasi {
        environment: [
            ("API_BASE".to_owned(), "https://api.example.org".to_owned()),
            ("EMPTY".to_owned(), String::new()),
        ]
        .into(),
        ..Wasi::default()
    };
    assert_eq!(
        said(&with(wasi), json!(["environment"])),
        [json!([
            ["API_BASE", "https://api.example.org"],
            ["EMPTY", ""]
        ])]
    );
}

#[test]
fn there_are_no_arguments_and_standard_input_is_empty() {
    assert_eq!(
        said(&bare(), json!(["arguments", "stdin"])),
        [json!([]), error("closed")]
    );
}

#[test]
fn there_are_no_sockets_and_names_are_not_looked_up() {
    let steps =
        json!(["create_tcp", "create_udp", {"resolve": "localhost"}, {"resolve": "127.0.0.1"}]);
    assert_eq!(
        said(&bare(), steps),
        [
            error("access-denied"),
            error("access-denied"),
            error("permanent-resolver-failure"),
            error("permanent-resolver-failure"),
        ]
    );
}

#[test]
fn the_debug_text_of_grants_names_variables_and_keeps_their_values() {
    let wasi = Wasi {
        environment: [("API_TOKEN".to_owned(), "hunter2".to_owned())].into(),
        ..Wasi::default()
    };
    for text in [format!("{wasi:?}"), format!("{:#?}", with(wasi.clone()))] {
        assert!(text.contains("API_TOKEN"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
