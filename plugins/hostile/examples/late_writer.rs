//! Writes entry after entry on the binding `memory`, every other one without
//! awaiting the ack, and does not care what becomes of them.
//!
//! Once STOP is acked no further write may land; with rollback none is left.

use serde_json::json;
use soma_neuron::engram::Binding;
use soma_neuron::{Failure, Task};

fn handle(_: Task) -> Result<(), Failure> {
    let memory = Binding::new("memory");
    let mut n = 0_u64;
    loop {
        let imprint = memory.append(&json!({"late": n})).tags(["late"]);
        if n.is_multiple_of(2) {
            drop(imprint.ack());
        } else {
            drop(imprint.send());
        }
        n = n.wrapping_add(1);
    }
}

soma_neuron::neuron!(handle);
