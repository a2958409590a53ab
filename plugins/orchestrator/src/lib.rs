//! Drives another neuron by retry, from inside the sandbox.
//!
//! Input: `{"question": text}` and, where wanted, `"target"` (neuron, default
//! `generator`), `"max_attempts"` (default 3), `"timeout_ms"` for one attempt
//! (default 30 000), and `"stall_first"` and `"stall"`, which are handed on to a
//! generator with the question. Output: `{"answer": text, "attempts":
//! n, "trace": "trc_..", "task": "evt_.."}`; the ids are the last attempt's.
//!
//! Needs the grant `orchestration`; no bindings.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use soma_neuron::orchestration::{RetryStrategy, Target, run_with_retry};
use soma_neuron::{Failure, RetryPolicy, Task, log};

#[derive(Deserialize)]
struct Input {
    question: String,
    #[serde(default = "generator")]
    target: String,
    #[serde(default = "usual_attempts")]
    max_attempts: u32,
    #[serde(default = "usual_timeout_ms")]
    timeout_ms: u64,
    #[serde(default)]
    stall_first: u64,
    stall: Option<String>,
}

#[derive(Serialize)]
struct Question {
    question: String,
    stall_first: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stall: Option<String>,
}

/// What the generator answers.
#[derive(Deserialize)]
struct Answer {
    answer: String,
    attempt: u64,
}

#[derive(Serialize)]
struct Output {
    answer: String,
    attempts: u64,
    trace: String,
    task: String,
}

fn generator() -> String {
    "generator".to_owned()
}

fn usual_attempts() -> u32 {
    3
}

fn usual_timeout_ms() -> u64 {
    30_000
}

fn handle(task: Task<Input>) -> Result<Output, Failure> {
    let Input {
        question,
        target,
        max_attempts,
        timeout_ms,
        stall_first,
        stall,
    } = task.input;
    let strategy = RetryStrategy {
        policy: RetryPolicy {
            max_attempts,
            ..RetryPolicy::immediate()
        },
        timeout: Duration::from_millis(timeout_ms),
        ..RetryStrategy::default()
    };
    let input = Question {
        question,
        stall_first,
        stall,
    };
    let ended = run_with_retry(&Target::neuron(target), &input, &strategy)?;
    let Answer { answer, attempt } = ended.outcome.output()?;
    log::info!("answered"; attempts = attempt, trace = ended.trace_id);
    Ok(Output {
        answer,
        attempts: attempt,
        trace: ended.trace_id,
        task: ended.task_id,
    })
}

soma_neuron::neuron!(handle);
