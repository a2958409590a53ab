//! Drafts an answer out of the shortlist. Registered as `compose-response`.

use archivist::{State, fault, writer};
use soma_neuron::{Failure, Reply, Task};

fn handle(task: Task<State>) -> Result<Reply, Failure> {
    let own = fault::happen(&task)?;
    writer::compose(&task.input, own)?.reply()
}

soma_neuron::neuron!(handle);
