//! Publishes signals without end.
//!
//! The host must end it by its limit of calls, fuel, STOP or deadline; slow
//! subscribers lose signals and are told how many, fast ones go on.

use serde_json::json;
use soma_neuron::{Failure, Task, synapse};

fn handle(_: Task) -> Result<(), Failure> {
    let mut step = 0_u64;
    loop {
        synapse::emit_plan(&[json!({"step": step})], Some("to say very much"))?;
        step = step.wrapping_add(1);
    }
}

soma_neuron::neuron!(handle);
