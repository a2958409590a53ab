//! Answers with one string of `bytes` of its input, 100 MB where it says none.
//!
//! The host must refuse the answer (or the memory for it) with an ERROR, without
//! copying it first.

use serde_json::{Value, json};
use soma_neuron::{Failure, Task};

fn handle(task: Task) -> Result<Value, Failure> {
    let bytes = task
        .input
        .get("bytes")
        .and_then(Value::as_u64)
        .unwrap_or(100_000_000);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(json!({"huge": "x".repeat(bytes)}))
}

soma_neuron::neuron!(handle);
