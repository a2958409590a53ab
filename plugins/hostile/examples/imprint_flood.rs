//! Imprints without end, on the binding `memory`, each time awaiting the ack.
//!
//! The host must refuse writes above the tenant's quota with `quota`; this guest
//! then gives up with that failure. Whatever landed can be rolled back.

use serde_json::json;
use soma_neuron::engram::Binding;
use soma_neuron::{Failure, Task};

fn handle(_: Task) -> Result<(), Failure> {
    let memory = Binding::new("memory");
    let text = "x".repeat(1000);
    let mut n = 0_u64;
    loop {
        memory
            .append(&json!({"n": n, "text": text}))
            .tags(["flood"])
            .ack()?;
        n = n.wrapping_add(1);
    }
}

soma_neuron::neuron!(handle);
