//! What happens in a run, as it happens.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{lifecycle::Lifecycle, node::Note};
use crate::{
    neuron::Usage,
    package::Digest,
    signal::{Object, Timestamp, TraceId, size_of_value},
};

/// Something that happened in a run.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// The run began, or goes on from a checkpoint.
    Began {
        /// Name of the flow.
        flow: Arc<str>,
        /// Version of the flow.
        version: Arc<str>,
        /// Digest of its documents.
        hash: Digest,
        /// The trace that its tasks run on.
        trace: TraceId,
        /// Whether it goes on from a checkpoint.
        resumed: bool,
    },
    /// A flow within another began.
    Entered {
        /// The placement that holds it, with those around it.
        placement: Arc<str>,
        /// Its name.
        flow: Arc<str>,
    },
    /// A group of members or items began, or goes on.
    Group {
        /// Its placement, with those around it.
        placement: Arc<str>,
        /// How many there are.
        of: usize,
        /// How many of them had ended before a resume.
        ended: usize,
    },
    /// A node begins to run.
    NodeBegan(Node),
    /// An attempt of a node failed, and there will be another.
    Retrying {
        /// The node.
        node: Node,
        /// Why it failed.
        cause: Note,
        /// How long until the next attempt.
        after: Duration,
    },
    /// A node has ended.
    NodeEnded {
        /// How.
        step: Step,
        /// The keys of the state that it writes.
        output: Object,
    },
    /// A group, or a flow within another, has ended.
    Passed {
        /// Its placement, with those around it.
        placement: Arc<str>,
        /// Which time in its flow it was for the placement, from 1.
        pass: u32,
        /// The route that it took.
        route: Arc<str>,
        /// From its beginning, or the resume, to its end, real time.
        took: Duration,
    },
    /// A neuron asks back, which parks the run.
    Asked(Question),
    /// The run has ended.
    Ended {
        /// How.
        lifecycle: Lifecycle,
        /// Why, where it did not complete.
        why: Option<String>,
    },
}

/// A node that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its placement, with those around it: `outer/inner`.
    pub placement: Arc<str>,
    /// Its position in the list of a fan-out.
    pub item: Option<usize>,
    /// Which time in its flow it is for the placement, from 1.
    pub pass: u32,
    /// Which attempt of its retry policy it is, from 1.
    pub attempt: u32,
}

/// A node that has run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its placement, with those around it: `outer/inner`.
    pub placement: Arc<str>,
    /// Its position in the list of a fan-out.
    pub item: Option<usize>,
    /// Which time in its flow it was for the placement, from 1.
    pub pass: u32,
    /// How many attempts it took; 0 of a group, and of a flow within another.
    pub attempts: u32,
    /// The route that it chose; `None` when it failed.
    pub route: Option<Arc<str>>,
    /// From its first attempt to its end, real time.
    pub took: Duration,
    /// What a neuron's last attempt used.
    pub usage: Option<Usage>,
    /// Why it failed.
    pub failed: Option<Note>,
}

/// What a neuron asked, and nobody but a person can answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The placement, with those around it.
    pub placement: Arc<str>,
    /// Position in the list of a fan-out, or in a group.
    pub item: Option<usize>,
    /// What it asks.
    pub ask: Ask,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Ask {
    /// CLARIFICATION: it needs to know something.
    Clarification {
        /// The question.
        question: String,
        /// What it has to do with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<Value>,
    },
    /// PERMISSION: it wants leave.
    Permission {
        /// For what.
        action: String,
        /// To do it to what.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<Value>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What whoever decides needs to know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        context: Option<Value>,
    },
}

impl Ask {
    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let value = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or(0, |value| size_of_value(value).memory)
        };
        size_of::<Self>()
            + match self {
                Self::Clarification { question, context } => question.len() + value(context),
                Self::Permission {
                    action,
                    scope,
                    reason,
                    context,
                } => action.len() + value(scope) + text(reason) + value(context),
            }
    }

    /// What the node finds in its input when it runs again: the answer to a
    /// clarification is any value, that to a permission true, false or
    /// `{granted, reason?}` (reference: cosmonapse, section 1.2).
    pub(super) fn answered(&self, answer: Value) -> Result<Object, String> {
        let (key, value) = match self {
            Self::Clarification { question, .. } => (
                "clarification",
                json!({"question": question, "answer": answer}),
            ),
            Self::Permission { action, scope, .. } => {
                let (granted, reason) = match &answer {
                    Value::Bool(granted) => (*granted, None),
                    Value::Object(decision) => {
                        let granted = decision.get("granted").and_then(Value::as_bool);
                        let granted = granted.ok_or("`granted` must be true or false")?;
                        (granted, decision.get("reason").cloned())
                    }
                    _ => return Err("it must be true, false or {\"granted\": …}".to_owned()),
                };
                let mut decision = json!({"action": action, "granted": granted});
                if let (Some(scope), Value::Object(decision)) = (scope, &mut decision) {
                    decision.insert("scope".to_owned(), scope.clone());
                }
                if let (Some(reason), Value::Object(decision)) = (reason, &mut decision) {
                    decision.insert("reason".to_owned(), reason);
                }
                ("permission", decision)
            }
        };
        Ok(Object::from_iter([(key.to_owned(), value)]))
    }
}

impl Question {
    /// By which an answer names it: the placement, and the item in brackets.
    pub fn id(&self) -> String {
        match self.item {
            Some(item) => format!("{}[{item}]", self.placement),
            None => self.placement.to_string(),
        }
    }
}

/// Told of everything that happens in a run. A panic in it changes nothing.
pub trait Observer: Send + Sync {
    /// Called in the midst of the run: it should return soon.
    fn observe(&self, event: &Event);
}

impl<F: Fn(&Event) + Send + Sync> Observer for F {
    fn observe(&self, event: &Event) {
        self(event);
    }
}

impl Event {
    /// For machines: `at`, `event`, and the keys of that kind of event.
    pub fn to_json(&self) -> Value {
        let (name, keys) = self.kind.to_json();
        let mut object = Object::new();
        object.insert("at".to_owned(), self.at.to_string().into());
        object.insert("event".to_owned(), name.into());
        object.extend(keys);
        Value::Object(object)
    }
}

impl EventKind {
    fn to_json(&self) -> (&'static str, Object) {
        let (name, keys) = match self {
            Self::Began {
                flow,
                version,
                hash,
                trace,
                resumed,
            } => (
                "began",
                json!({
                    "flow": &**flow,
                    "version": &**version,
                    "hash": hash.to_string(),
                    "trace_id": trace.to_string(),
                    "resumed": resumed,
                }),
            ),
            Self::Entered { placement, flow } => (
                "entered",
                json!({"placement": &**placement, "flow": &**flow}),
            ),
            Self::Group {
                placement,
                of,
                ended,
            } => (
                "group",
                json!({"placement": &**placement, "of": of, "ended": ended}),
            ),
            Self::NodeBegan(node) => ("node-began", node.to_json()),
            Self::Retrying { node, cause, after } => {
                let mut keys = node.to_json();
                if let Value::Object(keys) = &mut keys {
                    keys.insert("cause".to_owned(), json!(cause));
                    keys.insert("after_ms".to_owned(), millis(*after));
                }
                ("retrying", keys)
            }
            Self::NodeEnded { step, output } => {
                let mut keys = step.to_json();
                if let Value::Object(keys) = &mut keys {
                    keys.insert("output".to_owned(), Value::Object(output.clone()));
                }
                ("node-ended", keys)
            }
            Self::Passed {
                placement,
                pass,
                route,
                took,
            } => (
                "passed",
                json!({
                    "placement": &**placement,
                    "pass": pass,
                    "route": &**route,
                    "took_ms": millis(*took),
                }),
            ),
            Self::Asked(question) => ("asked", question.to_json()),
            Self::Ended { lifecycle, why } => (
                "ended",
                json!({"lifecycle": lifecycle.as_str(), "why": why}),
            ),
        };
        match keys {
            Value::Object(keys) => (name, keys),
            _ => (name, Object::new()),
        }
    }
}

/// Milliseconds with three decimals.
fn millis(span: Duration) -> Value {
    // Whole milliseconds and three decimals, as a number is written.
    let micros = span.subsec_micros();
    json!(span.as_secs_f64().trunc() * 1_000.0 + f64::from(micros) / 1_000.0)
}

impl Node {
    fn to_json(&self) -> Value {
        json!({
            "placement": &*self.placement,
            "item": self.item,
            "pass": self.pass,
            "attempt": self.attempt,
        })
    }
}

impl Step {
    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({
            "placement": &*self.placement,
            "item": self.item,
            "pass": self.pass,
            "attempts": self.attempts,
            "route": self.route.as_deref(),
            "failed": self.failed,
            "took_ms": millis(self.took),
            "fuel": self.usage.map(|usage| usage.fuel),
        })
    }
}

impl Question {
    /// For machines.
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id(),
            "placement": &*self.placement,
            "item": self.item,
            "ask": self.ask,
        })
    }
}
