//! Answers a question, after having stalled for its first calls.
//!
//! Input: `{"question": text, "stall_first": 1, "stall": "sleep"}`; `stall` is
//! `sleep`, `spin`, `wait` or `allocate`. Output: `{"answer": text, "attempt":
//! n}`, where `n` is the number of this call since the engram was empty.
//!
//! Bindings: `calls` (read and write) holds one entry a call; `never` (read)
//! is only needed to stall by waiting, on an engram that never answers.

mod stall;

use serde::{Deserialize, Serialize};
use soma_neuron::engram::{Binding, Query};
use soma_neuron::{Failure, Task, log};
use stall::Stall;

/// More calls than any demonstration makes: the count is the number of hits.
const MOST_CALLS: u32 = 100_000;

#[derive(Deserialize)]
struct Input {
    question: String,
    #[serde(default)]
    stall_first: usize,
    #[serde(default)]
    stall: Stall,
}

#[derive(Serialize)]
struct Call {
    question: String,
    trace: String,
}

#[derive(Serialize)]
struct Output {
    answer: String,
    attempt: usize,
}

fn handle(task: Task<Input>) -> Result<Output, Failure> {
    let Input {
        question,
        stall_first,
        stall,
    } = task.input;
    let answer = format!("answer to '{question}'");
    let attempt = count_call(Call {
        question,
        trace: task.trace_id,
    })?;
    if attempt <= stall_first {
        log::info!("stalling"; attempt = attempt, how = stall);
        stall.forever()?;
    }
    Ok(Output { answer, attempt })
}

/// An instance remembers nothing: the count is what the engram holds.
fn count_call(call: Call) -> Result<usize, Failure> {
    let calls = Binding::new("calls");
    calls.append(&call).tags(["call"]).ack()?;
    Ok(calls
        .recall(Query::new().tag("call").top_k(MOST_CALLS))?
        .hits
        .len())
}

soma_neuron::neuron!(handle);
