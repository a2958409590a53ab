//! Does what the steps in its input say, one after the other: a test writes
//! down how a neuron behaves where it checks what comes of it.
//!
//! Input: `{"do": [step, ..]}`, see `script`. A step that fails is no reason to
//! stop: its error is said like any other result. Output, unless a step replies:
//! `{"said": [result, ..], "task": {id, trace, neuron, attempt, context,
//! deadline_ms}}`.
//!
//! Needs the grant `orchestration`; bindings as its steps name them.

mod script;

use std::hint::black_box;
use std::time::Duration;

use script::{Call, Recall, Retry, Script, Step, TraceOf, Write};
use serde_json::{Value, json};
use soma_neuron::engram::{Binding, Query, RecallOptions};
use soma_neuron::orchestration::{
    DispatchOptions, Ended, Outcome, Pathway, RetryStrategy, Target, dispatch, dispatch_and_wait,
    run_with_retry, stop_trace,
};
use soma_neuron::synapse::{EmissionType, emit};
use soma_neuron::{Failure, Reply, RetryPolicy, Task, clock, log, random, retry};

const MIB: usize = 1 << 20;
const PAGE_BYTES: usize = 4096;

struct Puppet {
    trace: String,
    attempt: u32,
    said: Vec<Value>,
    pathways: Vec<Option<Pathway>>,
    held: Vec<Vec<u8>>,
}

/// What a step leads to.
enum Next {
    Say(Value),
    Nothing,
    Reply(Reply),
}

fn handle(task: Task<Script>) -> Result<Reply, Failure> {
    let facts = json!({
        "id": task.id,
        "trace": task.trace_id,
        "neuron": task.neuron,
        "attempt": task.attempt,
        "context": task.context,
        "deadline_ms": task.deadline_ms,
    });
    let mut puppet = Puppet {
        trace: task.trace_id,
        attempt: task.attempt,
        said: Vec::new(),
        pathways: Vec::new(),
        held: Vec::new(),
    };
    match puppet.all(&task.input.steps)? {
        Some(reply) => Ok(reply),
        None => Reply::output(&json!({"said": puppet.said, "task": facts})),
    }
}

impl Puppet {
    fn all(&mut self, steps: &[Step]) -> Result<Option<Reply>, Failure> {
        for step in steps {
            match self.step(step)? {
                Next::Say(said) => self.said.push(said),
                Next::Nothing => {}
                Next::Reply(reply) => return Ok(Some(reply)),
            }
        }
        Ok(None)
    }

    fn step(&mut self, step: &Step) -> Result<Next, Failure> {
        let said = match step {
            Step::Spin => burn(u64::MAX),
            Step::Burn(turns) => burn(*turns),
            Step::Sleep(ms) => {
                clock::sleep(Duration::from_millis(*ms));
                return Ok(Next::Nothing);
            }
            Step::Allocate(mib) => json!({"mib": self.allocate(*mib)}),
            Step::Recall(recall) => said(self.recall(recall)),
            Step::Write(write) => said(self.write(write)),
            Step::Emit { kind, payload } => {
                let sent = emit(emission(kind)?, payload).map_err(Failure::from);
                said(sent.map(Value::from))
            }
            Step::Log(line) => {
                log::info!("{line}");
                return Ok(Next::Nothing);
            }
            Step::Random(count) => {
                let bytes = random::bytes(*count);
                let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
                digits.collect::<String>().into()
            }
            Step::Now => json!(clock::now_ms()),
            Step::Dispatch(call) => said(self.dispatch(call)),
            Step::Call(call) => said(self.call(call)),
            Step::Retry(retry) => said(self.retry(retry)),
            Step::Again { policy, codes } => said(again(policy, codes)),
            Step::Wait {
                pathway,
                timeout_ms,
            } => said(self.wait(*pathway, *timeout_ms)),
            Step::WaitForLast => {
                let last = self.pathways.len().saturating_sub(1);
                drop(self.wait(last, u64::MAX)?);
                return Ok(Next::Nothing);
            }
            Step::Next(pathway) => said(self.next(*pathway)),
            Step::Close(pathway) => {
                if let Some(kept) = self.pathways.get_mut(*pathway) {
                    drop(kept.take());
                }
                return Ok(Next::Nothing);
            }
            Step::Stop { trace, rollback } => said(self.stop(trace, *rollback)),
            Step::Repeat { times, steps } => return self.repeat(*times, steps),
            Step::ByAttempt(lists) => return self.by_attempt(lists),
            replying => return reply(replying).map(Next::Reply),
        };
        Ok(Next::Say(said))
    }

    fn repeat(&mut self, times: u64, steps: &[Step]) -> Result<Next, Failure> {
        for _ in 0..times {
            if let Some(reply) = self.all(steps)? {
                return Ok(Next::Reply(reply));
            }
        }
        Ok(Next::Nothing)
    }

    fn by_attempt(&mut self, lists: &[Vec<Step>]) -> Result<Next, Failure> {
        let attempt = usize::try_from(self.attempt).unwrap_or(usize::MAX);
        let Some(steps) = lists.get(attempt).or(lists.last()) else {
            return Ok(Next::Nothing);
        };
        Ok(self.all(steps)?.map_or(Next::Nothing, Next::Reply))
    }

    fn allocate(&mut self, mib: usize) -> usize {
        let before = self.held.len();
        while self.held.len() < before.saturating_add(mib) {
            let mut block = Vec::new();
            if block.try_reserve_exact(MIB).is_err() {
                break;
            }
            block.resize(MIB, 0_u8);
            for byte in block.iter_mut().step_by(PAGE_BYTES) {
                *byte = byte.wrapping_add(1);
            }
            self.held.push(black_box(block));
        }
        self.held.len().saturating_sub(before)
    }

    fn recall(&self, recall: &Recall) -> Result<Value, Failure> {
        let mut query = Query::new();
        if let Some(tag) = &recall.tag {
            query = query.tag(tag);
        }
        if let Some(embedding) = &recall.embedding {
            query = query.embedding(embedding.clone());
        }
        if let Some(top_k) = recall.top_k {
            query = query.top_k(top_k);
        }
        let mut options = RecallOptions::default().tags(recall.tags.iter().cloned());
        if let Some(ms) = recall.deadline_ms {
            options = options.deadline_ms(ms);
        }
        let found = Binding::new(&recall.from).recall_with(query, options)?;
        let hits = found.hits.iter().map(|hit| hit.content::<Value>());
        let hits = hits.collect::<Result<Vec<_>, _>>()?;
        Ok(json!({"hits": hits, "truncated": found.truncated}))
    }

    fn write(&self, write: &Write) -> Result<Value, Failure> {
        let binding = Binding::new(&write.to);
        let key = || write.key.clone().unwrap_or_default();
        let content = &write.content;
        let mut imprint = match write.op.as_str() {
            "add" => binding.add(content),
            "append" => binding.append(content),
            "merge" => binding.merge(key(), content),
            "upsert" => binding.upsert(key(), content),
            "delete" => binding.delete_by_key(key()),
            other => return Err(unknown("op", other)),
        };
        imprint = imprint.tags(write.tags.iter().cloned());
        if let Some(id) = &write.id {
            imprint = imprint.id(id);
        }
        if let Some(key) = &write.key {
            imprint = imprint.merge_key(key);
        }
        if let Some(embedding) = &write.embedding {
            imprint = imprint.embedding(embedding.clone());
        }
        if let Some(key) = &write.idempotency {
            imprint = imprint.idempotency_key(key);
        }
        if let Some(ms) = write.deadline_ms {
            imprint = imprint.deadline_ms(ms);
        }
        if write.send {
            imprint.send()?;
            return Ok(Value::Null);
        }
        let receipt = imprint.ack()?;
        Ok(json!({"id": receipt.id, "version": receipt.version}))
    }

    fn dispatch(&mut self, call: &Call) -> Result<Value, Failure> {
        let pathway = dispatch(&target(call), &call.input, &self.options(call)?)?;
        let ids = json!({"trace": pathway.trace_id(), "task": pathway.task_id()});
        self.pathways.push(Some(pathway));
        Ok(ids)
    }

    fn call(&self, call: &Call) -> Result<Value, Failure> {
        let ended = dispatch_and_wait(&target(call), &call.input, &self.options(call)?)?;
        ended_said(ended)
    }

    fn retry(&self, retry: &Retry) -> Result<Value, Failure> {
        let strategy = RetryStrategy {
            policy: RetryPolicy {
                max_attempts: retry.max_attempts,
                ..RetryPolicy::immediate()
            },
            timeout: Duration::from_millis(retry.timeout_ms),
            rollback_on_retry: retry.rollback,
            ..RetryStrategy::default()
        };
        let target = Target::neuron(&retry.neuron);
        ended_said(run_with_retry(&target, &retry.input, &strategy)?)
    }

    fn wait(&self, pathway: usize, timeout_ms: u64) -> Result<Value, Failure> {
        let pathway = self.pathway(pathway)?;
        outcome_said(pathway.wait(Duration::from_millis(timeout_ms))?)
    }

    fn next(&self, pathway: usize) -> Result<Value, Failure> {
        let signal = self.pathway(pathway)?.next()?;
        Ok(signal.map_or(Value::Null, |signal| signal.signal_type.into()))
    }

    fn stop(&self, trace: &TraceOf, rollback: bool) -> Result<Value, Failure> {
        let stopped = stop_trace(&self.trace_of(trace)?, rollback, None)?;
        Ok(json!(stopped))
    }

    fn pathway(&self, number: usize) -> Result<&Pathway, Failure> {
        let pathway = self.pathways.get(number).and_then(Option::as_ref);
        pathway.ok_or_else(|| unknown("pathway", &number.to_string()))
    }

    fn trace_of(&self, trace: &TraceOf) -> Result<String, Failure> {
        Ok(match trace {
            TraceOf::Myself => self.trace.clone(),
            TraceOf::Pathway(number) => self.pathway(*number)?.trace_id(),
            TraceOf::Named(name) => name.clone(),
        })
    }

    fn options(&self, call: &Call) -> Result<DispatchOptions, Failure> {
        let trace = call.trace.as_ref().map(|trace| self.trace_of(trace));
        Ok(DispatchOptions {
            trace_id: trace.transpose()?,
            finalize: call.finalize,
            timeout: call.timeout_ms.map(Duration::from_millis),
        })
    }
}

fn burn(turns: u64) -> Value {
    let mut turn = 0_u64;
    while turn < turns {
        turn = black_box(turn.wrapping_add(1));
    }
    Value::Null
}

fn again(policy: &RetryPolicy, codes: &[String]) -> Result<Value, Failure> {
    let mut codes = codes.iter();
    retry(policy, |attempt| match codes.next() {
        Some(code) => Err(Failure::new(code, "told to").recoverable()),
        None => Ok(json!({"attempt": attempt})),
    })
}

fn said(result: Result<Value, Failure>) -> Value {
    result.unwrap_or_else(|failure| {
        json!({"error": {
            "code": failure.code,
            "message": failure.message,
            "recoverable": failure.recoverable,
        }})
    })
}

fn unknown(what: &str, which: &str) -> Failure {
    Failure::new("UNKNOWN_STEP", format!("{what} `{which}`"))
}

fn target(call: &Call) -> Target {
    match (&call.neuron, &call.capabilities) {
        (Some(id), _) => Target::neuron(id),
        (None, Some(all)) => Target::capabilities(all.iter().cloned()),
        (None, None) => Target::Any,
    }
}

fn ended_said(ended: Ended) -> Result<Value, Failure> {
    let outcome = outcome_said(ended.outcome)?;
    Ok(json!({"trace": ended.trace_id, "task": ended.task_id, "outcome": outcome}))
}

fn outcome_said(outcome: Outcome) -> Result<Value, Failure> {
    match outcome {
        Outcome::Clarification { question, .. } => Ok(json!({"question": question})),
        Outcome::Permission { action, .. } => Ok(json!({"action": action})),
        other => other.output(),
    }
}

fn emission(kind: &str) -> Result<EmissionType, Failure> {
    Ok(match kind {
        "PLAN" => EmissionType::Plan,
        "MEMORY_APPEND" => EmissionType::MemoryAppend,
        "ESCALATION" => EmissionType::Escalation,
        "CONSENSUS" => EmissionType::Consensus,
        "CONTEXT_SYNC" => EmissionType::ContextSync,
        "CRITIQUE" => EmissionType::Critique,
        "AUDIT" => EmissionType::Audit,
        other => return Err(unknown("signal", other)),
    })
}

/// The steps that end the task.
#[expect(clippy::panic, reason = "to panic when it is told to is its purpose")]
fn reply(step: &Step) -> Result<Reply, Failure> {
    match step {
        Step::Output { value, route } => {
            let reply = Reply::output(value)?;
            Ok(match route {
                Some(route) => reply.route(route),
                None => reply,
            })
        }
        Step::Clarify { question, context } => match context {
            Some(context) => Reply::clarification(question).context(context),
            None => Ok(Reply::clarification(question)),
        },
        Step::AskLeave {
            action,
            scope,
            reason,
        } => Reply::permission(action).reason(reason).scope(scope),
        Step::Fail { code, recoverable } => {
            let failure = Failure::new(code, format!("told to fail with {code}"));
            Err(if *recoverable {
                failure.recoverable()
            } else {
                failure
            })
        }
        Step::Panic(words) => panic!("{words}"),
        _ => std::process::abort(),
    }
}

soma_neuron::neuron!(handle);
