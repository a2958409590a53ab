//! Allocates a few bytes again and again and keeps them all.
//!
//! The host must end it when its memory or its fuel is used up, with an ERROR
//! that says which.

use std::hint::black_box;

use soma_neuron::{Failure, Task};

fn handle(_: Task) -> Result<(), Failure> {
    let mut held: Option<Box<Link>> = None;
    loop {
        held = Some(black_box(Box::new(Link { _before: held })));
    }
}

struct Link {
    _before: Option<Box<Self>>,
}

soma_neuron::neuron!(handle);
