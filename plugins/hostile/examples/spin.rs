//! Computes for ever and calls nothing.
//!
//! The host must end it, by STOP, fuel or deadline, and serve others meanwhile.

use std::hint::black_box;

use soma_neuron::{Failure, Task};

fn handle(_: Task) -> Result<(), Failure> {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

soma_neuron::neuron!(handle);
