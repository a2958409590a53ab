//! Checks a draft, and that the books that it names really stand on their
//! shelves: a state can claim anything. Registered as `validate-response`.
//!
//! Binding: `books` (read).

use archivist::books::BINDING;
use archivist::{State, critic, fault};
use soma_neuron::engram::{Binding, Error, RecallOptions};
use soma_neuron::{Failure, Reply, Task};

fn handle(task: Task<State>) -> Result<Reply, Failure> {
    let own = fault::happen(&task)?;
    let missing = missing(&task.input)?;
    critic::validate(&task.input, &missing, own)?.reply()
}

fn missing(state: &State) -> Result<Vec<String>, Error> {
    let (cited, queries): (Vec<_>, Vec<_>) = critic::cited(state).into_iter().unzip();
    if cited.is_empty() {
        return Ok(Vec::new());
    }
    let answers = Binding::new(BINDING).recall_many(queries, RecallOptions::default());
    let mut missing = Vec::new();
    for (work, answer) in cited.into_iter().zip(answers) {
        if answer?.hits.is_empty() {
            missing.push(work.book.title.clone());
        }
    }
    Ok(missing)
}

soma_neuron::neuron!(handle);
