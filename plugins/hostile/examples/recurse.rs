//! Calls itself without end.
//!
//! The host must answer with an ERROR that names the exhausted stack (or memory,
//! which is where this guest keeps part of its stack); it must not run out of
//! stack itself.

use std::hint::black_box;

use soma_neuron::{Failure, Task};

fn handle(_: Task) -> Result<u64, Failure> {
    Ok(deeper(0))
}

#[expect(unconditional_recursion, reason = "this is what the neuron is for")]
fn deeper(depth: u64) -> u64 {
    // Used after the call, so that the call cannot become a jump.
    let kept = black_box([depth; 4]);
    let below = deeper(depth.wrapping_add(1));
    below.wrapping_add(kept.iter().sum())
}

soma_neuron::neuron!(handle);
