//! What stands in a case file: the scene of one task, and what is expected.
//!
//! The shapes are the file's own. What a schema cannot say of them is told by
//! [`super::file`].

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calls;
use crate::{
    package::{BindingAccess, Emission, Size, Span},
    signal::Object,
};

/// One task of a neuron, all that it finds around it, and what is to come of
/// it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows, for whoever reads it.
    #[serde(default)]
    pub about: Option<String>,
    /// The task's input.
    pub input: Object,
    /// The task's attempt under a retry strategy, from 0.
    #[serde(default)]
    pub attempt: u32,
    /// Context entries of the task, oldest first.
    #[serde(default)]
    pub context: Vec<Value>,
    /// When the task begins, such as `2026-01-01T00:00:00Z`, which it is
    /// without this key. The time moves only while the neuron waits.
    #[serde(default)]
    pub clock: Option<String>,
    /// Seed of the ids and of the randomness that the neuron draws.
    #[serde(default)]
    pub random: u64,
    /// What the neuron may import, where it is not what it asks for.
    #[serde(default)]
    pub grants: GrantChanges,
    /// Limits of the task, where they are not those that the neuron wishes.
    #[serde(default)]
    pub limits: LimitChanges,
    /// Environment variables that it sees through WASI, by name.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Folders that it may read through WASI, by the name under which it sees
    /// them (`data` is `/data`); paths from the case file's own folder, which
    /// they do not leave.
    #[serde(default)]
    pub files: BTreeMap<String, PathBuf>,
    /// Engrams by the names that the neuron knows them by, beside those that
    /// its manifest names.
    #[serde(default)]
    pub engrams: BTreeMap<String, EngramScene>,
    /// How tasks that the neuron starts are answered: each answer once, the
    /// first that is left of a target first.
    #[serde(default)]
    pub orchestration: Vec<TaskAnswer>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// What is to come of it.
    #[serde(default)]
    pub expect: Option<Expectation>,
}

/// What the neuron may import: `true` adds an interface to what it asks for,
/// `false` takes one away.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GrantChanges {
    /// Engrams through bindings.
    pub engram: Option<bool>,
    /// Emission of signals.
    pub synapse: Option<bool>,
    /// The signal types that it may emit.
    pub emits: Option<Vec<Emission>>,
    /// Starting and stopping other neurons.
    pub orchestration: Option<bool>,
    /// Time.
    pub clock: Option<bool>,
    /// Log lines.
    pub log: Option<bool>,
    /// Randomness.
    pub random: Option<bool>,
    /// WASI 0.2: nothing but clock, randomness and output, and what `files` and
    /// `environment` name.
    pub wasi: Option<bool>,
}

/// Limits of the task.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitChanges {
    /// CPU budget in fuel units.
    pub fuel: Option<u64>,
    /// Most memory, all memories and tables together.
    pub memory: Option<Size>,
    /// Most time until the reply, on the case's clock.
    pub timeout: Option<Span>,
    /// Most calls to the host.
    pub host_calls: Option<u64>,
}

/// What sort of engram stands behind a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EngramKind {
    /// Entries without embeddings.
    Memory,
    /// Entries with embeddings.
    Vector,
}

/// An engram as the task finds it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EngramScene {
    /// `vector` where there is a dimension, else `memory`.
    pub kind: Option<EngramKind>,
    /// Numbers in each embedding.
    pub dimension: Option<u32>,
    /// What the neuron may do with it; what its manifest says, else both.
    pub access: Option<BindingAccess>,
    /// What is in it, in the order in which it was written.
    pub entries: Vec<SceneEntry>,
    /// Answers to the recalls, one after the other, in place of what is in it.
    pub answers: Vec<RecallAnswer>,
}

/// An entry that is there before the task.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SceneEntry {
    /// Its id; one is made where it has none.
    #[serde(default)]
    pub id: Option<String>,
    /// What was imprinted: any JSON value.
    pub content: Value,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Free keys beside the content.
    #[serde(default)]
    pub meta: Object,
    /// What `merge`, `upsert` and `delete` find it by.
    #[serde(default)]
    pub merge_key: Option<String>,
    /// Its vector, in an engram that holds them.
    #[serde(default)]
    pub embedding: Option<Vec<f32>>,
}

/// An answer to a recall: hits, or how it fails.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecallAnswer {
    /// What is found, best first.
    pub hits: Vec<SceneHit>,
    /// Whether there was more.
    pub truncated: bool,
    /// The recall fails in this way.
    pub fails: Option<Failing>,
    /// The words of that failure.
    pub message: Option<String>,
}

/// An entry that a scripted recall finds.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SceneHit {
    /// Its id; one is made where it has none.
    #[serde(default)]
    pub id: Option<String>,
    /// What was imprinted: any JSON value.
    pub content: Value,
    /// Tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Free keys beside the content.
    #[serde(default)]
    pub meta: Object,
    /// Its merge key.
    #[serde(default)]
    pub merge_key: Option<String>,
    /// How often it was written; 1 unless said.
    #[serde(default)]
    pub version: Option<u64>,
    /// From 0 to 1; 1 unless said.
    #[serde(default)]
    pub score: Option<f32>,
}

/// How a host call fails: the errors of `engram`, `synapse` and
/// `orchestration` in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "described in wit/")]
pub enum Failing {
    NotBound,
    Denied,
    Timeout,
    Cancelled,
    Overloaded,
    Quota,
    Invalid,
    Backend,
    Unroutable,
    Closed,
}

/// How a task ends from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By STOP: what it wrote stays.
    Stop,
    /// By STOP with a rollback of what it wrote.
    Rollback,
    /// Because its time is over.
    Deadline,
}

/// Something that goes wrong. `call` or `binding` says where, one of `fails`,
/// `delay` and `ends` what; or it is `fuel` alone.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fault {
    /// At the call of this number, counted from 1 as `expect.calls` lists them.
    pub call: Option<u64>,
    /// At every use of this engram; each query and each entry of a call for
    /// many is a use.
    pub binding: Option<String>,
    /// With `binding`: only at the use of this number, from 1.
    pub nth: Option<u64>,
    /// The call fails in this way and does nothing.
    pub fails: Option<Failing>,
    /// The words of that failure.
    pub message: Option<String>,
    /// The engram takes this long to answer.
    pub delay: Option<Span>,
    /// With `call`: the task ends there, before the call has done anything.
    pub ends: Option<Ending>,
    /// The fuel is used up after so many units.
    pub fuel: Option<u64>,
}

/// How a task that the neuron starts is answered. `neuron`, `capabilities` or
/// `any` says whose answer it is; one of `output`, `clarification`,
/// `permission`, `failure`, `fails` and `never` what comes of it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskAnswer {
    /// For tasks to the neuron with this id.
    pub neuron: Option<String>,
    /// For tasks to a neuron with these capabilities.
    pub capabilities: Option<Vec<String>>,
    /// For tasks to any neuron that takes them.
    pub any: bool,
    /// How long the answer takes; no time unless said.
    pub after: Option<Span>,
    /// A result.
    pub output: Option<Object>,
    /// With `output`: the route that was taken.
    pub route: Option<String>,
    /// A question back.
    pub clarification: Option<Clarification>,
    /// A request for leave.
    pub permission: Option<Permission>,
    /// An ERROR.
    pub failure: Option<Failure>,
    /// The host refuses, or the wait ends without a reply.
    pub fails: Option<Failing>,
    /// The words of that failure.
    pub message: Option<String>,
    /// It does not answer at all.
    pub never: bool,
    /// Signals that come on its pathway before the reply.
    pub signals: Vec<Signal>,
    /// What stopping its trace reports.
    pub stopped: Option<Stopped>,
}

/// A question back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clarification {
    /// The question.
    pub question: String,
    /// Anything that helps to answer.
    #[serde(default)]
    pub context: Option<Value>,
}

/// A request for leave.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// What is to be done.
    pub action: String,
    /// What that would touch.
    #[serde(default)]
    pub scope: Option<Object>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
    /// Anything that helps to decide.
    #[serde(default)]
    pub context: Option<Value>,
}

/// An ERROR.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Its code.
    pub code: String,
    /// A sentence for a person.
    pub message: String,
    /// Whether trying again may help.
    #[serde(default)]
    pub recoverable: bool,
}

/// A signal.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// Wire name of its type, such as `PLAN`.
    #[serde(rename = "type")]
    pub kind: Emission,
    /// Its payload.
    pub payload: Object,
}

/// What stopping a trace reports.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stopped {
    /// Whether it was rolled back; as asked for unless said.
    pub rolled_back: Option<bool>,
    /// Tasks that were running; 1 where the task had not answered yet.
    pub cancelled: Option<u64>,
    /// Writes that were undone.
    pub compensated: u64,
    /// Entries that could not be undone, each with the reason.
    pub kept: Vec<String>,
}

/// What is to come of the task. What is left out is not compared. In every
/// value `"$any"` stands for any value and `"$text:PATTERN"` for a text, in
/// whose pattern `*` stands for any characters. In free JSON a list may end in
/// `"$rest"` and an object may have the key `"$rest"`: further items or keys
/// are not compared.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expectation {
    /// How the task ends.
    pub reply: Option<ExpectedReply>,
    /// The calls to the host but log lines, in order.
    pub calls: Option<Vec<ExpectedCall>>,
    /// What the engrams hold afterwards, by binding, in the order in which it
    /// was first written.
    pub engrams: Option<BTreeMap<String, Vec<ExpectedEntry>>>,
    /// The signals that were emitted, in order.
    pub signals: Option<Vec<ExpectedSignal>>,
    /// The log lines, in order.
    pub log: Option<Vec<ExpectedLine>>,
    /// Most fuel that the task may use.
    pub fuel_at_most: Option<u64>,
}

/// How the task ends: one of these, `route` beside `output`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedReply {
    /// The result: any JSON value.
    pub output: Option<Value>,
    /// The route that a flow takes next.
    pub route: Option<Value>,
    /// A question back.
    pub clarification: Option<ExpectedClarification>,
    /// A request for leave.
    pub permission: Option<ExpectedPermission>,
    /// The neuron's own failure.
    pub failure: Option<ExpectedFailure>,
    /// The host ended the task, such as with `NEURON_OUT_OF_FUEL`.
    pub end: Option<ExpectedFailure>,
    /// STOP ended the task.
    pub stopped: Option<bool>,
    /// The host does not run the component, with these words.
    pub refused: Option<Value>,
}

/// A question back.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as in `Clarification`, or patterns of it")]
pub struct ExpectedClarification {
    pub question: Option<Value>,
    pub context: Option<Value>,
}

/// A request for leave.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as in `Permission`, or patterns of it")]
pub struct ExpectedPermission {
    pub action: Option<Value>,
    pub scope: Option<Value>,
    pub reason: Option<Value>,
    pub context: Option<Value>,
}

/// A failure.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as in `Failure`, or patterns of it")]
pub struct ExpectedFailure {
    pub code: Option<Value>,
    pub message: Option<Value>,
    pub recoverable: Option<Value>,
}

/// A call to the host.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCall {
    /// Interface and function as in the contract, such as `engram.recall`.
    #[schemars(extend("enum" = calls::NAMES))]
    pub call: String,
    /// Its arguments. What is empty, and options that are as usual (`mode:
    /// first`, `await_ack: true`), are not among them.
    #[serde(default)]
    pub args: Option<Value>,
}

/// An entry of an engram.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "as in `SceneEntry`, or patterns of it")]
pub struct ExpectedEntry {
    pub id: Option<Value>,
    pub content: Option<Value>,
    pub tags: Option<Value>,
    pub meta: Option<Value>,
    pub merge_key: Option<Value>,
    /// How often it was written.
    pub version: Option<Value>,
    pub embedding: Option<Value>,
}

/// A signal that was emitted.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "as in `Signal`, or patterns of it")]
pub struct ExpectedSignal {
    #[serde(rename = "type")]
    pub kind: Emission,
    #[serde(default)]
    pub payload: Option<Value>,
}

/// A log line.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectedLine {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: Option<Value>,
    /// Its text.
    pub message: Option<Value>,
    /// Its structured fields.
    pub fields: Option<Value>,
}
