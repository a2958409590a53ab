//! Puts a copy on its shelf, once however often it is asked to. Registered as
//! `shelve-book`.
//!
//! Input: `{"book": {..}}`, an entry of the catalogue. Output: `{"book": key}`,
//! the merge key `<shelf>/<id>` of its entry, which has the shelf for a tag and
//! the book for content, with the words that it can be found by under `index`.
//!
//! Binding: `books` (write).

use archivist::books::{BINDING, Book};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use soma_neuron::engram::Binding;
use soma_neuron::{Failure, Task};

#[derive(Deserialize)]
struct Input {
    book: Book,
}

#[derive(Serialize)]
struct Output {
    book: String,
}

fn handle(task: Task<Input>) -> Result<Output, Failure> {
    let book = task.input.book;
    let mut content = serde_json::to_value(&book)
        .map_err(|error| Failure::new("INVALID_BOOK", error.to_string()))?;
    if let Value::Object(content) = &mut content {
        content.insert("index".to_owned(), book.index().into());
    }
    let key = book.key();
    let shelves = Binding::new(BINDING);
    let shelved = shelves.upsert(&key, &content).tags([book.source.as_str()]);
    shelved.ack()?;
    Ok(Output { book: key })
}

soma_neuron::neuron!(handle);
