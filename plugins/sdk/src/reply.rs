//! What a neuron answers: a reply, or a failure.

use std::fmt;

use serde::Serialize;
use soma_retry::Failed;

use crate::bindings::soma::neuron::types;

/// The answer that ends a task.
#[derive(Debug, Clone)]
pub struct Reply(types::Reply);

impl Reply {
    /// A finished task.
    ///
    /// # Errors
    ///
    /// `INVALID_OUTPUT` when the value cannot be written as JSON.
    pub fn output(value: &impl Serialize) -> Result<Self, Failure> {
        let value = to_json("output", value)?;
        Ok(Self(types::Reply::Output(types::Output {
            value,
            route: None,
        })))
    }

    /// A question back to whoever asked. The answer arrives as a new task on
    /// the same trace, with `input.clarification`.
    pub fn clarification(question: impl Into<String>) -> Self {
        let question = question.into();
        Self(types::Reply::Clarification(types::Clarification {
            question,
            context: None,
        }))
    }

    /// A request for leave to do something. The decision arrives as a new task
    /// on the same trace, with `input.permission`.
    pub fn permission(action: impl Into<String>) -> Self {
        let action = action.into();
        Self(types::Reply::Permission(types::Permission {
            action,
            scope: None,
            reason: None,
            context: None,
        }))
    }

    /// Names the route that a flow takes next; without one it takes `success`.
    /// Only an output has a route: other replies stay as they are.
    #[must_use]
    pub fn route(mut self, name: impl Into<String>) -> Self {
        if let types::Reply::Output(output) = &mut self.0 {
            output.route = Some(name.into());
        }
        self
    }

    /// Adds what helps to answer a clarification or to decide on a permission.
    /// An output has no context: it stays as it is.
    ///
    /// # Errors
    ///
    /// `INVALID_OUTPUT` when the value cannot be written as JSON.
    pub fn context(mut self, value: &impl Serialize) -> Result<Self, Failure> {
        let context = Some(to_json("context", value)?);
        match &mut self.0 {
            types::Reply::Output(_) => {}
            types::Reply::Clarification(clarification) => clarification.context = context,
            types::Reply::Permission(permission) => permission.context = context,
        }
        Ok(self)
    }

    /// Says what the action of a permission would touch, as an object. Other
    /// replies stay as they are.
    ///
    /// # Errors
    ///
    /// `INVALID_OUTPUT` when the value cannot be written as JSON.
    pub fn scope(mut self, value: &impl Serialize) -> Result<Self, Failure> {
        if let types::Reply::Permission(permission) = &mut self.0 {
            permission.scope = Some(to_json("scope", value)?);
        }
        Ok(self)
    }

    /// Says why a permission is asked for. Other replies stay as they are.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        if let types::Reply::Permission(permission) = &mut self.0 {
            permission.reason = Some(reason.into());
        }
        self
    }

    pub(crate) fn into_wire(self) -> types::Reply {
        self.0
    }
}

fn to_json(what: &str, value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::new("INVALID_OUTPUT", format!("{what}: {error}")))
}

/// What a neuron's function may return: a [`Reply`], or any value that serde
/// can write, which becomes an output without a route.
pub trait IntoReply {
    /// # Errors
    ///
    /// `INVALID_OUTPUT` when the value cannot be written as JSON.
    fn into_reply(self) -> Result<Reply, Failure>;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply, Failure> {
        Ok(self)
    }
}

impl<T: Serialize> IntoReply for T {
    fn into_reply(self) -> Result<Reply, Failure> {
        Reply::output(&self)
    }
}

/// Why a neuron could not do its task. Becomes an ERROR signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable machine-readable code, such as `NEURON_ERROR`.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// Whether the same task may succeed when it is tried again.
    pub recoverable: bool,
}

impl Failure {
    /// A failure that trying again would not change.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            recoverable: false,
        }
    }

    /// Says that trying again may help.
    #[must_use]
    pub fn recoverable(mut self) -> Self {
        self.recoverable = true;
        self
    }

    /// Of an error that says all of it itself.
    pub(crate) fn of(error: &(impl Failed + fmt::Display)) -> Self {
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            recoverable: error.recoverable(),
        }
    }

    pub(crate) fn into_wire(self) -> types::Failure {
        let Self {
            code,
            message,
            recoverable,
        } = self;
        types::Failure {
            code,
            message,
            recoverable,
        }
    }

    pub(crate) fn from_wire(failure: types::Failure) -> Self {
        let types::Failure {
            code,
            message,
            recoverable,
        } = failure;
        Self {
            code,
            message,
            recoverable,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use std::collections::HashMap;

    use super::*;

    #[test]
    fn any_value_that_serde_writes_is_an_output_without_a_route() {
        let wire = serde_json::json!({"a": 1})
            .into_reply()
            .unwrap()
            .into_wire();
        let types::Reply::Output(output) = wire else {
            panic!("not an output: {wire:?}")
        };
        assert_eq!((output.value.as_str(), output.route), ("{\"a\":1}", None));
    }

    #[test]
    fn an_output_carries_its_route_and_other_replies_none() {
        let wire = Reply::output(&1)
            .unwrap()
            .route("retry")
            .into_reply()
            .unwrap()
            .into_wire();
        let types::Reply::Output(output) = wire else {
            panic!("not an output: {wire:?}")
        };
        assert_eq!(output.route.as_deref(), Some("retry"));
        let wire = Reply::clarification("which?")
            .route("retry")
            .context(&2)
            .unwrap()
            .into_wire();
        let types::Reply::Clarification(asked) = wire else {
            panic!("no question: {wire:?}")
        };
        assert_eq!(
            (asked.question.as_str(), asked.context.as_deref()),
            ("which?", Some("2"))
        );
    }

    #[test]
    fn a_permission_carries_scope_reason_and_context() {
        let asked = Reply::permission("delete")
            .scope(&[1])
            .unwrap()
            .reason("old");
        let wire = asked.context(&"c").unwrap().into_wire();
        let types::Reply::Permission(asked) = wire else {
            panic!("no request: {wire:?}")
        };
        assert_eq!(asked.scope.as_deref(), Some("[1]"));
        assert_eq!(asked.reason.as_deref(), Some("old"));
        assert_eq!(asked.context.as_deref(), Some("\"c\""));
    }

    #[test]
    fn a_value_that_is_no_json_is_an_invalid_output() {
        let keys: HashMap<Vec<u8>, u8> = HashMap::from([(vec![1], 1)]);
        assert_eq!(Reply::output(&keys).unwrap_err().code, "INVALID_OUTPUT");
    }
}
