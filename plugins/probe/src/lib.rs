//! Times its own host calls, from inside the sandbox.
//!
//! Input: `{"imprints": 1000, "recalls": 1000}`. Output: `{"imprint_ns": n,
//! "recall_ns": n}`, each the mean of one call. Binding: `memory` (read and
//! write).

use serde::{Deserialize, Serialize};
use soma_neuron::engram::{Binding, Query};
use soma_neuron::{Failure, Task, clock};

#[derive(Deserialize)]
struct Input {
    imprints: u64,
    recalls: u64,
}

#[derive(Serialize)]
struct Output {
    imprint_ns: u64,
    recall_ns: u64,
}

fn handle(task: Task<Input>) -> Result<Output, Failure> {
    let Input { imprints, recalls } = task.input;
    let memory = Binding::new("memory");
    let imprint_ns = mean(imprints, |n| {
        memory.upsert(format!("key {n}"), &n).ack()?;
        Ok(())
    })?;
    let recall_ns = mean(recalls, |n| {
        let key = format!("key {}", n % imprints.max(1));
        memory.recall(Query::new().merge_key(key))?;
        Ok(())
    })?;
    Ok(Output {
        imprint_ns,
        recall_ns,
    })
}

fn mean(times: u64, mut call: impl FnMut(u64) -> Result<(), Failure>) -> Result<u64, Failure> {
    let start = clock::monotonic();
    for n in 0..times {
        call(n)?;
    }
    let took = clock::monotonic().saturating_sub(start).as_nanos();
    let mean = took.checked_div(times.into()).unwrap_or(0);
    Ok(u64::try_from(mean).unwrap_or(u64::MAX))
}

soma_neuron::neuron!(handle);
