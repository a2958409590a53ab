//! What every stage answers with.

use serde::Serialize;
use serde_json::{Map, Value, json};
use soma_neuron::{Failure, Reply};

/// A stage that a component offers: its id, and the routes that it may take.
pub type Stage = (&'static str, &'static [&'static str]);

/// What a component says when it is registered under an id that is none of its
/// stages.
pub fn unknown_stage(id: &str, known: &[Stage]) -> Failure {
    let known: Vec<&str> = known.iter().map(|(id, _)| *id).collect();
    let known = known.join("`, `");
    Failure::new(
        "UNKNOWN_STAGE",
        format!("no stage is called `{id}`; there are `{known}`"),
    )
}

/// The keys of the state that a stage changes, and the route that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    route: &'static str,
    output: Map<String, Value>,
    errors: Vec<Note>,
    warnings: Vec<Note>,
}

/// Something that a stage could live with and that is to be known of its run.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Note {
    code: &'static str,
    message: String,
    recoverable: bool,
}

impl Done {
    /// Nothing changes.
    pub fn new(route: &'static str) -> Self {
        Self {
            route,
            output: Map::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// This key of the state becomes this value.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Serialize) -> Self {
        self.output.insert(key.to_owned(), json!(value));
        self
    }

    /// Adds an error that the run can go on with.
    #[must_use]
    pub fn error(mut self, code: &'static str, message: String) -> Self {
        self.errors.push(Note::new(code, message));
        self
    }

    /// Adds a warning.
    #[must_use]
    pub fn warning(mut self, code: &'static str, message: String) -> Self {
        self.warnings.push(Note::new(code, message));
        self
    }

    /// The route.
    pub fn route(&self) -> &'static str {
        self.route
    }

    /// What a key of the state becomes; null where it stays.
    pub fn get(&self, key: &str) -> &Value {
        self.output.get(key).unwrap_or(&Value::Null)
    }

    /// As the host wants it: notes travel under `$flow`, which the engine takes
    /// out of the output.
    ///
    /// # Errors
    ///
    /// `INVALID_OUTPUT`, which takes a number that JSON does not know.
    pub fn reply(mut self) -> Result<Reply, Failure> {
        if !(self.errors.is_empty() && self.warnings.is_empty()) {
            let notes = json!({"errors": self.errors, "warnings": self.warnings});
            self.output.insert("$flow".to_owned(), notes);
        }
        Ok(Reply::output(&self.output)?.route(self.route))
    }

    /// Codes of errors and warnings, in that order.
    #[cfg(test)]
    pub(crate) fn notes(&self) -> Vec<&'static str> {
        let notes = self.errors.iter().chain(&self.warnings);
        notes.map(|note| note.code).collect()
    }
}

impl Note {
    fn new(code: &'static str, message: String) -> Self {
        Self {
            code,
            message,
            recoverable: true,
        }
    }
}
