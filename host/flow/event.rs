//! What happens in a run, as it happens.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{lifecycle::Lifecycle, node::Note};
use crate::{
    neuron::Usage,
    package::Digest,
    signal::{Object, Timestamp, TraceId},
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
    /// How many attempts it took.
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
        context: Option<Value>,
    },
    /// PERMISSION: it wants leave.
    Permission {
        /// For what.
        action: String,
        /// Why.
        reason: Option<String>,
    },
}

impl Ask {
    /// What the node finds in its input when it runs again: the answer to a
    /// clarification is any value, that to a permission true, false or
    /// `{granted, reason?}` (reference: cosmonapse, section 1.2).
    pub(super) fn answered(&self, answer: Value) -> Result<Object, String> {
        let (key, value) = match self {
            Self::Clarification { question, .. } => (
                "clarification",
                json!({"question": question, "answer": answer}),
            ),
            Self::Permission { action, .. } => {
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
