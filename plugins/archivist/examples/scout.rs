//! Searches a shelf of the catalogue. Registered as `scout-<shelf>`; under any
//! other id it searches all of them and its finds are the key `finds`.
//!
//! Binding: `books` (read), filled by `shelver`.

use archivist::books::{BINDING, Book};
use archivist::scout::Errand;
use archivist::{Done, State, fault};
use soma_neuron::engram::{Binding, Error, RecallOptions};
use soma_neuron::{Failure, Reply, Task, log};

fn handle(task: Task<State>) -> Result<Reply, Failure> {
    fault::happen_or_refuse(&task)?;
    let Some(errand) = Errand::of(&task.neuron, &task.input) else {
        return Done::new("skipped").reply();
    };
    let books = books(&errand)?;
    log::info!("shelf searched"; copies = books.len());
    errand.finds(books).reply()
}

fn books(errand: &Errand) -> Result<Vec<Book>, Error> {
    let answers = Binding::new(BINDING).recall_many(errand.queries(), RecallOptions::default());
    let mut books = Vec::new();
    for answer in answers {
        for hit in answer?.hits {
            books.push(hit.content()?);
        }
    }
    Ok(books)
}

soma_neuron::neuron!(handle);
