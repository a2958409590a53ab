//! Takes and touches memory until it is refused; then does what `then` of its
//! input says: `spin` (the default), `trap`, or `answer` with `{"mib": n}`.
//!
//! The host must refuse memory above the task's limit, count it against the
//! tenant, and give all of it back when the task ends.

use std::hint::black_box;

use serde_json::{Value, json};
use soma_neuron::{Failure, Task};

const BLOCK_BYTES: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

fn handle(task: Task) -> Result<Value, Failure> {
    let mut held: Vec<Vec<u8>> = Vec::new();
    while let Some(block) = block() {
        held.push(block);
    }
    match task.input.get("then").and_then(Value::as_str) {
        Some("answer") => Ok(json!({"mib": held.len()})),
        Some("trap") => std::process::abort(),
        _ => loop {
            black_box(&held);
        },
    }
}

/// One touched block, if there is memory for it.
fn block() -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(BLOCK_BYTES).ok()?;
    block.resize(BLOCK_BYTES, 0_u8);
    for byte in block.iter_mut().step_by(PAGE_BYTES) {
        *byte = byte.wrapping_add(1);
    }
    Some(black_box(block))
}

soma_neuron::neuron!(handle);
