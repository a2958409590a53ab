//! The steps that a puppet can be told to do, as JSON writes them.

use serde::Deserialize;
use serde_json::{Map, Value};
use soma_neuron::RetryPolicy;

/// What a puppet is told.
#[derive(Deserialize)]
pub(crate) struct Script {
    /// Done one after the other.
    #[serde(default, rename = "do")]
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    /// Computes for ever.
    Spin,
    /// Computes for so many turns: always the same fuel.
    Burn(u64),
    /// Waits for so many milliseconds.
    Sleep(u64),
    /// Takes, touches and keeps so many MiB; says how many it got.
    Allocate(usize),
    Recall(Recall),
    Write(Write),
    Emit {
        kind: String,
        payload: Value,
    },
    Log(String),
    /// Says so many random bytes, in hexadecimal digits.
    Random(u32),
    /// Says the wall clock's milliseconds.
    Now,
    /// Starts a task and keeps its pathway, numbered from 0.
    Dispatch(Call),
    /// Starts a task and waits for its reply.
    Call(Call),
    Retry(Retry),
    /// Makes a call of its own, again as the policy says, that fails with these
    /// codes and then succeeds; says at which attempt.
    Again {
        policy: RetryPolicy,
        codes: Vec<String>,
    },
    /// Waits for the reply of a kept pathway.
    Wait {
        pathway: usize,
        timeout_ms: u64,
    },
    /// Waits for the reply of the pathway that was kept last, and says nothing.
    WaitForLast,
    /// The next signal of a kept pathway.
    Next(usize),
    /// Drops a kept pathway.
    Close(usize),
    Stop {
        trace: TraceOf,
        #[serde(default)]
        rollback: bool,
    },
    Repeat {
        times: u64,
        steps: Vec<Step>,
    },
    /// Does the list for this attempt, the last one for all later attempts.
    ByAttempt(Vec<Vec<Step>>),
    Output {
        value: Value,
        #[serde(default)]
        route: Option<String>,
    },
    Clarify {
        question: String,
        #[serde(default)]
        context: Option<Value>,
    },
    AskLeave {
        action: String,
        scope: Map<String, Value>,
        reason: String,
    },
    Fail {
        code: String,
        #[serde(default)]
        recoverable: bool,
    },
    Panic(String),
    Trap,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recall {
    pub(crate) from: String,
    #[serde(default)]
    pub(crate) tag: Option<String>,
    /// A filter: all of them.
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    pub(crate) embedding: Option<Vec<f32>>,
    #[serde(default)]
    pub(crate) top_k: Option<u32>,
    #[serde(default)]
    pub(crate) deadline_ms: Option<u64>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Write {
    pub(crate) to: String,
    /// `add`, `append`, `merge`, `upsert` or `delete`.
    pub(crate) op: String,
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) key: Option<String>,
    #[serde(default)]
    pub(crate) content: Value,
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    pub(crate) embedding: Option<Vec<f32>>,
    #[serde(default)]
    pub(crate) idempotency: Option<String>,
    #[serde(default)]
    pub(crate) deadline_ms: Option<u64>,
    /// Does not wait for the receipt.
    #[serde(default)]
    pub(crate) send: bool,
}

/// Whom a task is for: one of the two, or nobody in particular.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    #[serde(default)]
    pub(crate) neuron: Option<String>,
    #[serde(default)]
    pub(crate) capabilities: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) input: Value,
    #[serde(default)]
    pub(crate) trace: Option<TraceOf>,
    #[serde(default)]
    pub(crate) finalize: bool,
    #[serde(default)]
    pub(crate) timeout_ms: Option<u64>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TraceOf {
    /// The puppet's own.
    Myself,
    /// Of a kept pathway.
    Pathway(usize),
    Named(String),
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    pub(crate) neuron: String,
    pub(crate) input: Value,
    pub(crate) max_attempts: u32,
    pub(crate) timeout_ms: u64,
    #[serde(default)]
    pub(crate) rollback: bool,
}
