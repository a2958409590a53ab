//! Computes for ever and calls nothing.
//!
//! The host must end it: by STOP at once, else by fuel or its deadline; then go
//! on serving others, which never waited longer than a slice of its time.

use std::hint::black_box;

use serde_json::Value;
use soma_neuron::{Failure, Reply, Task};

fn handle(_: Task) -> Result<Reply, Failure> {
    let mut turns = Value::Null;
    loop {
        turns = black_box(turns);
    }
}

soma_neuron::neuron!(handle);
