//! The documents that questions are answered from.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::cli::{Exit, Failed};

/// What is asked when the command line asks nothing else.
pub(super) const QUESTION: &str =
    "How does a rollback treat entries that another trace has overwritten?";

/// The shipped documents: file stem and text.
const SHIPPED: [(&str, &str); 4] = [
    (
        "stop-and-rollback",
        include_str!("../../../examples/data/stop-and-rollback.md"),
    ),
    ("sandbox", include_str!("../../../examples/data/sandbox.md")),
    (
        "tenants-and-quotas",
        include_str!("../../../examples/data/tenants-and-quotas.md"),
    ),
    (
        "retries-and-flows",
        include_str!("../../../examples/data/retries-and-flows.md"),
    ),
];

/// A text, and what it is called.
#[derive(Debug)]
pub(super) struct Document {
    id: String,
    title: String,
    text: String,
}

impl Document {
    fn new(id: String, text: String) -> Self {
        let heading = text.lines().next().and_then(|line| line.strip_prefix("# "));
        let title = heading.map_or_else(|| id.clone(), |title| title.trim().to_owned());
        Self { id, title, text }
    }

    /// As the ingester takes it.
    pub(super) fn to_json(&self) -> Value {
        json!({"id": self.id, "title": self.title, "text": self.text})
    }
}

/// The documents of a folder, by name; without one the shipped ones.
///
/// # Errors
/// When the folder or a file in it cannot be read, or there is no document.
pub(super) fn read(folder: Option<&Path>) -> Result<Vec<Document>, Failed> {
    let Some(folder) = folder else {
        let shipped = SHIPPED.into_iter();
        return Ok(shipped
            .map(|(id, text)| Document::new(id.to_owned(), text.to_owned()))
            .collect());
    };
    let unreadable = |path: &Path, error: std::io::Error| {
        Failed::new(
            Exit::Input,
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let mut documents = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let path = entry.map_err(|error| unreadable(folder, error))?.path();
        let text_file = path
            .extension()
            .is_some_and(|extension| extension == "md" || extension == "txt");
        if let Some(stem) = path.file_stem().filter(|_| text_file) {
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            let id = stem.to_string_lossy().into_owned();
            documents.push(Document::new(id, text));
        }
    }
    if documents.is_empty() {
        let folder = folder.display();
        return Err(
            Failed::new(Exit::Input, format!("no documents in {folder}"))
                .advise("put .md or .txt files there, or leave `--data` out for the shipped ones"),
        );
    }
    documents.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(documents)
}
