//! What `soma up` is told, a line each.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    orchestration::{Dispatch, Target},
    package::Span,
    signal::TraceId,
};

/// A request as it is written. Which keys stand together is looked at in
/// [`Keys::request`].
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Keys {
    /// Comes back with the answer.
    pub(super) id: Value,
    pub(super) tenant: Option<String>,
    neuron: Option<String>,
    kind: Option<String>,
    capabilities: Option<Vec<String>>,
    input: Option<Map<String, Value>>,
    timeout: Option<Span>,
    trace: Option<String>,
    open: bool,
    commit: Option<String>,
    stop: Option<String>,
    rollback: bool,
    reason: Option<String>,
    reload: bool,
    status: bool,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) enum Request {
    Task {
        task: Box<Dispatch>,
        /// The trace that it is said to belong to.
        trace: Option<TraceId>,
        timeout: Option<Span>,
    },
    Open,
    Commit(TraceId),
    Stop {
        trace: TraceId,
        rollback: bool,
        reason: Option<String>,
    },
    Reload,
    Status,
}

impl Keys {
    /// Reads a line; what is no request comes back as words, with the id where
    /// there is one.
    pub(super) fn read(text: &[u8]) -> Result<Self, (Value, String)> {
        let told = |error| format!("the request makes no sense: {error}");
        // A list would be taken as the values of the keys, in their order.
        let value: Value =
            serde_json::from_slice(text).map_err(|error| (Value::Null, told(error)))?;
        if !value.is_object() {
            let words = "the request makes no sense: it is no JSON object";
            return Err((Value::Null, words.to_owned()));
        }
        serde_json::from_slice(text).map_err(|error| {
            let id = value.get("id").cloned();
            (id.unwrap_or_default(), told(error))
        })
    }

    /// # Errors
    /// In words, when it asks for nothing or for several things.
    pub(super) fn request(self) -> Result<Request, String> {
        let mut found = Vec::new();
        let trace = |text: &str| {
            text.parse::<TraceId>()
                .map_err(|error| format!("`{text}` is no trace: {error}"))
        };
        if let Some(target) = self.target()? {
            let mut task =
                Dispatch::to(target).input(Value::Object(self.input.unwrap_or_default()));
            let trace = self.trace.as_deref().map(trace).transpose()?;
            if let Some(id) = &trace {
                task = task.on_trace(id.clone());
            }
            found.push(Request::Task {
                task: Box::new(task),
                trace,
                timeout: self.timeout,
            });
        }
        if self.open {
            found.push(Request::Open);
        }
        if let Some(id) = &self.commit {
            found.push(Request::Commit(trace(id)?));
        }
        if let Some(id) = &self.stop {
            found.push(Request::Stop {
                trace: trace(id)?,
                rollback: self.rollback,
                reason: self.reason,
            });
        }
        if self.reload {
            found.push(Request::Reload);
        }
        if self.status {
            found.push(Request::Status);
        }
        match (found.pop(), found.is_empty()) {
            (Some(request), true) => Ok(request),
            _ => Err(
                "a request holds one of `neuron`, `kind`, `capabilities`, `open`, `commit`, \
                 `stop`, `reload` and `status`"
                    .to_owned(),
            ),
        }
    }

    fn target(&self) -> Result<Option<Target>, String> {
        match (&self.neuron, &self.kind, &self.capabilities) {
            (None, None, None) => Ok(None),
            (Some(id), None, None) => Ok(Some(Target::neuron(id.as_str()))),
            (None, Some(kind), None) => Ok(Some(Target::Kind(kind.as_str().into()))),
            (None, None, Some(all)) => {
                Ok(Some(Target::capabilities(all.iter().map(String::as_str))))
            }
            _ => Err("a task is for one of `neuron`, `kind` and `capabilities`".to_owned()),
        }
    }
}
