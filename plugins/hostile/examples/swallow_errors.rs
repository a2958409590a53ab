//! Ignores every error of the host and keeps calling: bindings that do not
//! exist, writes through `memory`, signals with wrong payloads, sleeps.
//!
//! The host must end it by STOP or deadline: an error, `cancelled` among them, is
//! no way to stop a guest.

use std::time::Duration;

use serde_json::json;
use soma_neuron::engram::{Binding, Query};
use soma_neuron::synapse::{EmissionType, emit};
use soma_neuron::{Failure, Task, clock};

fn handle(_: Task) -> Result<(), Failure> {
    let (nowhere, memory) = (Binding::new("nowhere"), Binding::new("memory"));
    loop {
        drop(nowhere.recall(Query::new()));
        drop(nowhere.append(&json!(1)).ack());
        drop(memory.merge("no such key", &json!({})).ack());
        drop(memory.recall(Query::new().text("x")));
        drop(emit(EmissionType::Plan, &json!("no object")));
        clock::sleep(Duration::from_millis(1));
    }
}

soma_neuron::neuron!(handle);
