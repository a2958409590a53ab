//! Starts itself again and again and waits for none of them.
//!
//! Needs the grant `orchestration`. The host must refuse tasks above the
//! tenant's limit with `overloaded`, leave other tenants alone, and end every
//! child by one STOP of the first trace.

use soma_neuron::orchestration::{DispatchOptions, Target, dispatch};
use soma_neuron::{Failure, Task};

fn handle(task: Task) -> Result<(), Failure> {
    let myself = Target::neuron(task.neuron);
    let options = DispatchOptions::default();
    loop {
        // A refusal changes nothing: it tries again.
        drop(dispatch(&myself, &task.input, &options));
    }
}

soma_neuron::neuron!(handle);
