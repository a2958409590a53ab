//! The stages at the desk, which need nothing but the state. Registered under
//! the ids of `archivist::librarian::STAGES`.

use archivist::{State, fault, librarian};
use soma_neuron::{Failure, Reply, Task};

fn handle(task: Task<State>) -> Result<Reply, Failure> {
    fault::happen_or_refuse(&task)?;
    librarian::reply(&task.neuron, task.input)
}

soma_neuron::neuron!(handle);
