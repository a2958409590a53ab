//! What each of the 31 signal types says (Cosmonapse wire v1, section 2.2).
//!
//! Every struct is declared once: its fields are the wire keys, in wire order. A `required` key
//! must be there; an `optional` one is left out when it is `None`; a `flag` is written only when
//! it is true. Keys that a struct does not name are kept in `extra` and written after the named
//! ones.
//!
//! Values that only a receiver can judge (an IMPRINT's `op`, a RECALL's `recall_mode`, a
//! REGISTER's `role`) are plain strings here, because the peer answers an unknown one with a
//! reply instead of dropping the signal.

use serde_json::{Number, Value};

use super::json::put;
use super::{Object, SignalType};

mod field;

use field::Field;

/// The payload lacks a required key, or a key holds the wrong kind of value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// A required key is not there.
    #[error("{kind} payload lacks `{key}` ({expected})")]
    Missing {
        /// The signal's type.
        kind: SignalType,
        /// The wire key.
        key: &'static str,
        /// What the key must hold.
        expected: &'static str,
    },
    /// A key holds something else than it must.
    #[error("{kind} payload has {found} as `{key}`, which must be {expected}")]
    WrongKind {
        /// The signal's type.
        kind: SignalType,
        /// The wire key.
        key: &'static str,
        /// What the key must hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
}

macro_rules! payloads {
    ($(
        $(#[$doc:meta])*
        $variant:ident($name:ident) {
            $( $(#[$field_doc:meta])* $mode:ident $field:ident: $kind:ty, )*
        }
    )*) => {
        /// The typed payload of a signal, one variant a signal type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Payload { $( $(#[$doc])* $variant($name), )* }

        impl Payload {
            /// The type of a signal with this payload.
            #[must_use]
            pub const fn signal_type(&self) -> SignalType {
                match self { $( Payload::$variant(_) => SignalType::$variant, )* }
            }

            /// Reads the payload of a signal of type `kind`.
            ///
            /// # Errors
            /// A required key is missing, or a known key holds the wrong kind of value.
            pub fn from_object(kind: SignalType, object: Object) -> Result<Self, PayloadError> {
                match kind { $( SignalType::$variant => $name::from_object(object).map(Payload::$variant), )* }
            }

            /// The payload as it goes on the wire: known keys in wire order, then `extra`.
            #[must_use]
            pub fn to_object(&self) -> Object {
                match self { $( Payload::$variant(payload) => payload.to_object(), )* }
            }

            /// Keys that the type does not name.
            #[must_use]
            pub const fn extra(&self) -> &Object {
                match self { $( Payload::$variant(payload) => &payload.extra, )* }
            }

            /// Appends the JSON text of [`to_object`](Self::to_object) without building it.
            pub(super) fn write_json(&self, out: &mut Vec<u8>) {
                match self { $( Payload::$variant(payload) => payload.write_json(out), )* }
            }
        }

        $( payload! { $variant $(#[$doc])* $name { $( $(#[$field_doc])* $mode $field: $kind, )* } } )*
    };
}

macro_rules! payload {
    (
        $variant:ident $(#[$doc:meta])*
        $name:ident { $( $(#[$field_doc:meta])* $mode:ident $field:ident: $kind:ty, )* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: field_type!($mode $kind), )*
            /// Keys that this type does not name, in the order they came. A key that the type
            /// does name is ignored here.
            pub extra: Object,
        }

        impl $name {
            constructor! { $name [] [] $( $mode $field: $kind, )* }

            fn from_object(object: Object) -> Result<Self, PayloadError> {
                $( let mut $field: Option<Value> = None; )*
                let mut extra = Object::new();
                for (key, value) in object {
                    match key.as_str() {
                        $( stringify!($field) => $field = Some(value), )*
                        _ => { extra.insert(key, value); }
                    }
                }
                Ok($name {
                    $( $field: field::$mode(SignalType::$variant, stringify!($field), $field)?, )*
                    extra,
                })
            }

            /// Calls `put` with each key that is on the wire, in wire order.
            fn each_field(&self, mut put: impl FnMut(&str, &dyn Field)) {
                $( if let Some(value) = present!($mode self.$field) {
                    put(stringify!($field), value);
                } )*
                for (key, value) in &self.extra {
                    if ![$( stringify!($field) ),*].contains(&key.as_str()) {
                        put(key, value);
                    }
                }
            }

            fn to_object(&self) -> Object {
                let mut object = Object::new();
                self.each_field(|key, value| { object.insert(key.to_owned(), value.to_value()); });
                object
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                let mut separator = b'{';
                self.each_field(|key, value| {
                    out.push(separator);
                    separator = b',';
                    put(out, key);
                    out.push(b':');
                    value.write_json(out);
                });
                if separator == b'{' {
                    out.push(b'{');
                }
                out.push(b'}');
            }
        }

        impl From<$name> for Payload {
            fn from(payload: $name) -> Self {
                Payload::$variant(payload)
            }
        }
    };
}

/// Sorts the fields into arguments and defaults, then writes the constructor.
macro_rules! constructor {
    ($name:ident [$( $argument:ident: $kind:ty, )*] [$( $default:ident: $value:expr, )*]) => {
        /// With the required keys alone.
        #[must_use]
        #[allow(clippy::new_without_default, reason = "few payloads have no required key")]
        pub fn new($( $argument: $kind ),*) -> Self {
            $name { $( $argument, )* $( $default: $value, )* extra: Object::new() }
        }
    };
    ($name:ident [$($arguments:tt)*] [$($defaults:tt)*] required $field:ident: $kind:ty, $($rest:tt)*) => {
        constructor! { $name [$($arguments)* $field: $kind,] [$($defaults)*] $($rest)* }
    };
    ($name:ident [$($arguments:tt)*] [$($defaults:tt)*] optional $field:ident: $kind:ty, $($rest:tt)*) => {
        constructor! { $name [$($arguments)*] [$($defaults)* $field: None,] $($rest)* }
    };
    ($name:ident [$($arguments:tt)*] [$($defaults:tt)*] flag $field:ident: $kind:ty, $($rest:tt)*) => {
        constructor! { $name [$($arguments)*] [$($defaults)* $field: false,] $($rest)* }
    };
}

macro_rules! field_type {
    (required $kind:ty) => { $kind };
    (optional $kind:ty) => { Option<$kind> };
    (flag $kind:ty) => { bool };
}

macro_rules! present {
    (required $value:expr) => {
        Some(&$value as &dyn Field)
    };
    (optional $value:expr) => {
        $value.as_ref().map(|value| value as &dyn Field)
    };
    (flag $value:expr) => {
        $value.then_some(&true as &dyn Field)
    };
}

payloads! {
    /// TASK: work for a neuron.
    Task(Task) {
        /// What the neuron works on.
        required input: Object,
        /// A reference to context that is kept elsewhere.
        optional context_ref: String,
        /// Capabilities that the neuron must have, when the task is not directed at an id.
        optional capabilities: Vec<String>,
        /// The neuron's output also ends the trace with a FINAL.
        flag finalize: bool,
    }
    /// AGENT_OUTPUT: a neuron's answer.
    AgentOutput(AgentOutput) {
        /// The answer.
        required output: Object,
    }
    /// FINAL: the result that ends a trace.
    Final(Final) {
        /// The result.
        required result: Object,
        /// What it cost, in units that the producer names.
        optional cost: Object,
    }
    /// ERROR: a failed task or trace.
    Error(ErrorReport) {
        /// A code for programs, for example `NEURON_EXCEPTION`.
        required code: String,
        /// A sentence for people.
        required message: String,
        /// Whether another attempt may succeed.
        required recoverable: bool,
    }
    /// TASK_OFFER: an open call for bids.
    TaskOffer(TaskOffer) {
        /// What the winner will work on.
        required input: Object,
        /// Capabilities that a bidder must have.
        optional capabilities: Vec<String>,
        /// How long bids are taken, in milliseconds.
        optional deadline_ms: u64,
    }
    /// BID: a bid on a TASK_OFFER.
    Bid(Bid) {
        /// The price; the lowest bid wins.
        required cost: Number,
        /// How long the bidder would take, in milliseconds.
        optional eta_ms: u64,
        /// How sure the bidder is, from 0 to 1.
        optional confidence: Number,
    }
    /// TASK_AWARDED: the task goes to the bidder.
    TaskAwarded(TaskAwarded) {
        /// What the neuron works on.
        required input: Object,
        /// The payload of the bid that won.
        optional winning_bid: Object,
        /// A reference to context that is kept elsewhere.
        optional context_ref: String,
        /// The neuron's output also ends the trace with a FINAL.
        flag finalize: bool,
    }
    /// TASK_DECLINED: the task does not go to the bidder.
    TaskDeclined(TaskDeclined) {
        /// Why not.
        optional reason: String,
    }
    /// AUDIT: a record of a policy or repair decision.
    Audit(Audit) {
        /// What happened, for example `GUARDED`.
        required kind: String,
        /// The field of the decision, for example `security`.
        required domain: String,
        /// How it ended, for example `refused`.
        required outcome: String,
        /// Which attempt it was.
        required attempt: u64,
        /// The component that was judged.
        optional component: String,
        /// `inbound` or `outbound`.
        optional direction: String,
        /// The type of the signal that was judged.
        optional signal: String,
        /// The policy that judged.
        optional policy_id: String,
        /// Its version.
        optional policy_version: String,
        /// The card that the policy came from.
        optional card_id: String,
        /// Why it was decided so.
        optional reason: String,
        /// A digest of what was judged.
        optional hash: String,
        /// How long the decision took, in milliseconds.
        optional took_ms: u64,
    }
    /// PLAN: the steps that a neuron means to take.
    Plan(Plan) {
        /// The steps, in order.
        required steps: Vec<Object>,
        /// Why these.
        optional rationale: String,
    }
    /// TOOL_CALL: a request to an effector.
    ToolCall(ToolCall) {
        /// The tool's name.
        required tool: String,
        /// Its arguments.
        required args: Object,
        /// The caller's id for this call.
        optional call_id: String,
    }
    /// TOOL_RESULT: the effector's answer, a result or an error.
    ToolResult(ToolResult) {
        /// The tool's name.
        required tool: String,
        /// What the tool gave.
        optional result: Value,
        /// What went wrong.
        optional error: String,
        /// The caller's id for the call.
        optional call_id: String,
    }
    /// MEMORY_APPEND: a note of something remembered.
    MemoryAppend(MemoryAppend) {
        /// Under which key.
        required key: String,
        /// What.
        required value: Value,
    }
    /// ESCALATION: a request for a higher instance.
    Escalation(Escalation) {
        /// Why.
        required reason: String,
        /// Whom it should reach.
        optional target: String,
        /// What they need to know.
        optional context: Value,
    }
    /// RECALL: a query to an engram.
    Recall(Recall) {
        /// The query.
        required query: Object,
        /// `first`, `merge` or `all`.
        required recall_mode: String,
        /// Tags and time bounds.
        optional filters: Object,
        /// A reference to context that is kept elsewhere.
        optional context_ref: String,
        /// How long the caller waits, in milliseconds.
        optional deadline_ms: u64,
        /// The lowest score of a hit.
        optional min_confidence: Number,
    }
    /// RECALLED: the engram's hits.
    Recalled(Recalled) {
        /// The engram that answers.
        required engram_id: String,
        /// The hits, best first, each `{id, entry, score}`.
        required hits: Vec<Object>,
        /// Whether there were more.
        required truncated: bool,
        /// How long the search took, in milliseconds.
        optional took_ms: u64,
        /// What went wrong.
        optional error: String,
    }
    /// IMPRINT: a write to an engram.
    Imprint(Imprint) {
        /// `add`, `append`, `merge`, `upsert` or `delete`.
        required op: String,
        /// The entry to write.
        required entry: Object,
        /// The key that finds the entry to merge into or to replace.
        optional merge_key: String,
    }
    /// IMPRINTED: the engram's receipt.
    Imprinted(Imprinted) {
        /// The engram that answers.
        required engram_id: String,
        /// The IMPRINT's `op`.
        required op: String,
        /// The entry that was written.
        optional id: String,
        /// Its version after the write.
        optional version: u64,
        /// How long the write took, in milliseconds.
        optional took_ms: u64,
        /// What went wrong.
        optional error: String,
    }
    /// CONSENSUS: what several neurons agreed on.
    Consensus(Consensus) {
        /// Who took part.
        required members: Vec<String>,
        /// What they agreed on.
        required verdict: String,
        /// Each member's vote.
        optional votes: Object,
    }
    /// CONTEXT_SYNC: a snapshot of shared context.
    ContextSync(ContextSync) {
        /// The context.
        required snapshot: Object,
        /// Its version.
        optional version: String,
    }
    /// CRITIQUE: a judgement on another signal.
    Critique(Critique) {
        /// The id of the signal that is judged.
        required target_event_id: String,
        /// What is wrong with it.
        required issues: Vec<Value>,
        /// The judgement, for example `revise`.
        required verdict: String,
    }
    /// CLARIFICATION: a neuron's question.
    Clarification(Clarification) {
        /// The question.
        required question: String,
        /// What the answerer needs to know.
        optional context: Value,
    }
    /// CLARIFICATION_ANSWER: the answer to a CLARIFICATION.
    ClarificationAnswer(ClarificationAnswer) {
        /// The answer.
        required answer: Value,
    }
    /// PERMISSION: a neuron's request for leave to act.
    Permission(Permission) {
        /// What it wants to do.
        required action: String,
        /// To what.
        optional scope: Value,
        /// Why.
        optional reason: String,
        /// What the decider needs to know.
        optional context: Value,
    }
    /// PERMISSION_DECISION: the decision on a PERMISSION.
    PermissionDecision(PermissionDecision) {
        /// Whether the neuron may.
        required granted: bool,
        /// Why.
        optional reason: String,
        /// How long the decision holds, in milliseconds.
        optional ttl_ms: u64,
    }
    /// REGISTER: a neuron, engram or effector announces itself.
    Register(Register) {
        /// `neuron`, `engram` or `effector`.
        required role: String,
        /// What it can do.
        required capabilities: Vec<String>,
        /// Its version.
        optional version: String,
        /// Set by engrams.
        flag engram: bool,
    }
    /// DEREGISTER: a neuron leaves.
    Deregister(Deregister) {
        /// Why.
        optional reason: String,
    }
    /// HEARTBEAT: a neuron is alive.
    Heartbeat(Heartbeat) {
        /// `ok`.
        required status: String,
    }
    /// DISCOVER: everyone is asked to REGISTER again.
    Discover(Discover) {
        /// Only this neuron.
        optional neuron: String,
        /// Only neurons with these capabilities.
        optional capabilities: Vec<String>,
    }
    /// STOP: the trace is stopped.
    Stop(Stop) {
        /// Whether what the trace wrote is undone.
        required rollback: bool,
        /// Why.
        optional reason: String,
    }
    /// STOPPED: the acknowledgement of a STOP.
    Stopped(Stopped) {
        /// Whether a rollback was made.
        required rolled_back: bool,
        /// How many tasks were cancelled.
        required cancelled: u64,
        /// How many writes were undone.
        required compensated: u64,
        /// The namespace of the host that answers.
        required node: String,
    }
}

#[cfg(test)]
mod tests;
