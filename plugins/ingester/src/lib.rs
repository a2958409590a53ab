//! Splits a document into chunks, embeds each and imprints them one by one.
//!
//! Input: `{"document": {"id": "intro", "title": text, "text": text}}` and, where
//! wanted, `"engram"` (binding, default `index`), `"chunk_chars"` (default 600)
//! and `"crash_after"`: fail after so many chunks, to show what half an ingest
//! leaves behind. Output: `{"document": "intro", "chunks": n}`.
//!
//! Each chunk is an entry `{"text": ..}` with the document's id as its tag,
//! `meta` `{document, title, position}` (position from 1), the merge key
//! `<document>#<position>` and an embedding of 16 dimensions.
//!
//! Binding: `index` (write).

mod chunks;

use serde::{Deserialize, Serialize};
use soma_embedding::embed;
use soma_neuron::engram::Binding;
use soma_neuron::{Failure, Task, log};

#[derive(Deserialize)]
struct Input {
    document: Document,
    #[serde(default = "index")]
    engram: String,
    #[serde(default = "usual_chars")]
    chunk_chars: usize,
    crash_after: Option<usize>,
}

#[derive(Deserialize)]
struct Document {
    id: String,
    title: Option<String>,
    text: String,
}

#[derive(Serialize)]
struct Content<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct Meta<'a> {
    document: &'a str,
    title: &'a str,
    position: usize,
}

#[derive(Serialize)]
struct Output {
    document: String,
    chunks: usize,
}

fn index() -> String {
    "index".to_owned()
}

fn usual_chars() -> usize {
    600
}

fn handle(task: Task<Input>) -> Result<Output, Failure> {
    let Input {
        document,
        engram,
        chunk_chars,
        crash_after,
    } = task.input;
    let index = Binding::new(engram);
    let title = document.title.as_deref().unwrap_or(&document.id);
    let mut imprinted = 0;
    for (text, position) in chunks::split(&document.text, chunk_chars).iter().zip(1..) {
        if crash_after == Some(imprinted) {
            return Err(crash(&document.id, imprinted));
        }
        index
            .add(&Content { text })
            .tags([document.id.as_str()])
            .meta(&Meta {
                document: &document.id,
                title,
                position,
            })
            .merge_key(format!("{}#{position}", document.id))
            .embedding(embed(text))
            .ack()?;
        imprinted = position;
    }
    if crash_after == Some(imprinted) {
        return Err(crash(&document.id, imprinted));
    }
    log::info!("document ingested"; document = document.id, chunks = imprinted);
    Ok(Output {
        document: document.id,
        chunks: imprinted,
    })
}

fn crash(document: &str, chunks: usize) -> Failure {
    Failure::new(
        "INGEST_CRASHED",
        format!("ingest of '{document}' crashed after {chunks} chunks"),
    )
}

soma_neuron::neuron!(handle);
