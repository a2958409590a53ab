//! Writes log lines without end.
//!
//! The host must end it by its limit of calls, fuel, STOP or deadline, keep no
//! more of the lines than its bound, and serve others meanwhile.

use soma_neuron::{Failure, Task, log};

fn handle(_: Task) -> Result<(), Failure> {
    let mut line = 0_u64;
    loop {
        log::info!("line {line}"; padding = "x".repeat(1000));
        line = line.wrapping_add(1);
    }
}

soma_neuron::neuron!(handle);
