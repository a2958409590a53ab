//! Keeps a note and says which earlier ones mention a word.

use serde::{Deserialize, Serialize};
use soma_neuron::engram::{Binding, Query};
use soma_neuron::{Failure, Task, log};

#[derive(Deserialize)]
struct Input {
    note: String,
    about: String,
}

#[derive(Serialize)]
struct Output {
    earlier: Vec<String>,
}

fn handle(task: Task<Input>) -> Result<Output, Failure> {
    let Input { note, about } = task.input;
    let notes = Binding::new("notes");
    let found = notes.recall(Query::new().text(&about))?;
    let earlier = found.hits.iter().map(|hit| hit.content());
    let earlier = earlier.collect::<Result<Vec<String>, _>>()?;
    notes.append(&note).tags(["note"]).ack()?;
    log::info!("{} earlier notes", earlier.len(); about = about);
    Ok(Output { earlier })
}

soma_neuron::neuron!(handle);
