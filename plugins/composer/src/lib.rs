//! Drafts an answer from recalled chunks, with citations.
//!
//! Input: the flow's state. It reads `question` and, where they are there,
//! `engram` (binding, default `index`), `top_k` (chunks to draft from, default
//! 4), `attempts.compose`, `style`, and the `critique` that a validator wrote.
//! Output: the state's changed keys, on the route `drafted`:
//!
//! ```json
//! {
//!   "draft": {
//!     "text": "A sentence of a source. [1]",
//!     "citations": [{"n": 1, "id": "eng_..", "document": "intro", "title": "Introduction"}]
//!   },
//!   "recalled": [{"id": "eng_..", "merge_key": "intro#2", "document": "intro",
//!                 "title": "Introduction", "position": 2, "score": 0.8}],
//!   "attempts": {"compose": 1}
//! }
//! ```
//!
//! `style` is `careful` (the default: drafts as well as it can), `improving`
//! (starts rough and mends what the critique names) or `sloppy` (mends nothing).
//!
//! Binding: `index` (read).

mod draft;
mod sources;
mod style;

use draft::Draft;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use soma_neuron::{Failure, Reply, Task, log};
use sources::{Recalled, Source};
use style::{Complaint, Style};

#[derive(Deserialize)]
struct State {
    question: String,
    #[serde(default = "index")]
    engram: String,
    #[serde(default = "usual_chunks")]
    top_k: u32,
    #[serde(default)]
    attempts: Map<String, Value>,
    #[serde(default)]
    style: Style,
    #[serde(default)]
    critique: Vec<Complaint>,
}

#[derive(Serialize)]
struct Changed<'a> {
    draft: Draft,
    recalled: Vec<Recalled<'a>>,
    attempts: Map<String, Value>,
}

fn index() -> String {
    "index".to_owned()
}

fn usual_chunks() -> u32 {
    4
}

fn handle(task: Task<State>) -> Result<Reply, Failure> {
    let State {
        question,
        engram,
        top_k,
        mut attempts,
        style,
        critique,
    } = task.input;
    let before = attempts.get("compose").and_then(Value::as_u64).unwrap_or(0);
    let attempt = before.saturating_add(1);
    let sources = sources::recall(&engram, &question, top_k)?;
    let faults = style.faults(attempt, &critique);
    log::info!("drafting"; attempt = attempt, sources = sources.len(), faults = faults);
    let draft = draft::compose(&question, &sources, &style::banned(&critique), faults);
    attempts.insert("compose".to_owned(), attempt.into());
    let recalled = sources.iter().map(Source::recalled).collect();
    Ok(Reply::output(&Changed {
        draft,
        recalled,
        attempts,
    })?
    .route("drafted"))
}

soma_neuron::neuron!(handle);
