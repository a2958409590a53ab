//! Sleeps, and sleeps again when it wakes up.
//!
//! The host must end it, by STOP or deadline, without waiting for a sleep to
//! pass; a sleeping neuron must cost no CPU.

use std::time::Duration;

use soma_neuron::{Failure, Task, clock};

fn handle(_: Task) -> Result<(), Failure> {
    loop {
        clock::sleep(Duration::from_secs(3600));
    }
}

soma_neuron::neuron!(handle);
