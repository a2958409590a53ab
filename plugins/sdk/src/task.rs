//! The unit of work, as a neuron's function gets it.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;
use crate::bindings::soma::neuron::types;

/// What the neuron is asked to do.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Task<I = Value> {
    /// The TASK signal's id: `evt_` and a ULID.
    pub id: String,
    /// The trace's id, the unit of STOP and rollback: `trc_` and a ULID.
    pub trace_id: String,
    /// The neuron's own id, as it was registered on the host.
    pub neuron: String,
    /// Attempt under a retry strategy, counted from 0.
    pub attempt: u32,
    /// Context entries that the host fetched for the task, oldest first.
    pub context: Vec<Value>,
    /// Milliseconds until the host ends the task, if it has a deadline.
    pub deadline_ms: Option<u64>,
    /// The task's input.
    pub input: I,
}

impl<I: DeserializeOwned> Task<I> {
    /// # Errors
    ///
    /// `INVALID_INPUT` when the input is not what `I` expects; the message
    /// names the place by path, line and column.
    pub(crate) fn from_wire(task: types::Task) -> Result<Self, Failure> {
        let input = match serde_json::from_str(&task.input) {
            Ok(input) => input,
            Err(error) => return Err(invalid_input::<I>(&task.input, &error)),
        };
        let context = task.context.iter().map(|entry| serde_json::from_str(entry));
        let context = context.collect::<Result<_, _>>().map_err(|error| {
            Failure::new(
                "INVALID_INPUT",
                format!("an entry of the task's context: {error}"),
            )
        })?;
        Ok(Self {
            id: task.id,
            trace_id: task.trace_id,
            neuron: task.neuron,
            attempt: task.attempt,
            context,
            deadline_ms: task.deadline_ms,
            input,
        })
    }
}

/// Reads the input once more, now keeping track of where in it the reader is.
#[cold]
fn invalid_input<I: DeserializeOwned>(input: &str, error: &serde_json::Error) -> Failure {
    let mut reader = serde_json::Deserializer::from_str(input);
    let message = match serde_path_to_error::deserialize::<_, I>(&mut reader) {
        Err(traced) if traced.path().iter().next().is_some() => {
            format!("input.{}: {}", traced.path(), traced.inner())
        }
        _ => format!("input: {error}"),
    };
    Failure::new("INVALID_INPUT", message)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Input {
        document: Document,
    }

    #[derive(Debug, Deserialize)]
    struct Document {
        id: String,
    }

    fn task(input: &str) -> types::Task {
        types::Task {
            id: "evt_1".to_owned(),
            trace_id: "trc_1".to_owned(),
            neuron: "n".to_owned(),
            input: input.to_owned(),
            attempt: 1,
            context: vec!["{\"a\":1}".to_owned()],
            deadline_ms: Some(5),
        }
    }

    fn refused(input: &str) -> String {
        let failure = Task::<Input>::from_wire(task(input)).unwrap_err();
        assert_eq!(failure.code, "INVALID_INPUT");
        assert!(!failure.recoverable);
        failure.message
    }

    #[test]
    fn good_input_is_typed_and_the_envelope_is_kept() {
        let task = Task::<Input>::from_wire(task(r#"{"document":{"id":"d"}}"#)).unwrap();
        assert_eq!(task.input.document.id, "d");
        assert_eq!((task.attempt, task.deadline_ms), (1, Some(5)));
        assert_eq!(task.context, [serde_json::json!({"a": 1})]);
    }

    #[test]
    fn bad_input_is_refused_with_the_path_to_the_place() {
        assert_eq!(
            refused("{\"document\":{\n  \"id\": 7}}"),
            "input.document.id: invalid type: integer `7`, expected a string at line 2 column 9"
        );
    }

    #[test]
    fn input_that_is_no_json_is_refused_with_its_place() {
        assert_eq!(
            refused("{\"document\""),
            "input: EOF while parsing an object at line 1 column 11"
        );
        assert_eq!(
            refused("{}"),
            "input: missing field `document` at line 1 column 2"
        );
        assert_eq!(
            refused("{\"document\":{\"id\":\"d\"}} x"),
            "input: trailing characters at line 1 column 25"
        );
    }
}
