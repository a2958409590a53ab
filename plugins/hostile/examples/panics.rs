//! Panics with a message, deep in a call.
//!
//! The host must answer with an ERROR that carries the message and its place,
//! not with a bare `unreachable`.

use soma_neuron::{Failure, Task};

fn handle(task: Task) -> Result<(), Failure> {
    give_up(&task.neuron);
    Ok(())
}

#[expect(clippy::panic, reason = "to panic is what this neuron is for")]
fn give_up(who: &str) {
    if !who.is_empty() {
        panic!("neuron '{who}' lost its nerve");
    }
}

soma_neuron::neuron!(handle);
