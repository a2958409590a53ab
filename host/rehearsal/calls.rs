//! Host calls as a case file lists them.

use serde_json::{Value, json};

use crate::{
    neuron::{
        contract::{
            engram::{Entry, Filters, ImprintOptions, Op, Query, RecallMode, RecallOptions},
            orchestration::{Backoff, DispatchOptions, RetryStrategy, StopOptions, Target},
        },
        environment::{HostCall, PathwayCall},
    },
    signal::Object,
};

/// All that are listed.
pub(super) const NAMES: [&str; 19] = [
    "engram.recall",
    "engram.recall-many",
    "engram.imprint",
    "engram.imprint-many",
    "synapse.emit",
    "clock.wall-ms",
    "clock.monotonic-ns",
    "clock.sleep-ms",
    "random.bytes",
    "random.u64",
    "orchestration.dispatch",
    "orchestration.dispatch-and-wait",
    "orchestration.run-with-retry",
    "orchestration.stop-trace",
    "orchestration.pathway.trace-id",
    "orchestration.pathway.task-id",
    "orchestration.pathway.next",
    "orchestration.pathway.wait",
    "orchestration.pathway.close",
];

/// Interface and function, as in the contract.
pub(super) fn name(call: &HostCall<'_>) -> &'static str {
    match call {
        HostCall::Recall { .. } => "engram.recall",
        HostCall::RecallMany { .. } => "engram.recall-many",
        HostCall::Imprint { .. } => "engram.imprint",
        HostCall::ImprintMany { .. } => "engram.imprint-many",
        HostCall::Emit { .. } => "synapse.emit",
        HostCall::WallMs => "clock.wall-ms",
        HostCall::MonotonicNs => "clock.monotonic-ns",
        HostCall::SleepMs(_) => "clock.sleep-ms",
        HostCall::RandomBytes(_) => "random.bytes",
        HostCall::RandomU64 => "random.u64",
        HostCall::Dispatch { .. } => "orchestration.dispatch",
        HostCall::DispatchAndWait { .. } => "orchestration.dispatch-and-wait",
        HostCall::RunWithRetry { .. } => "orchestration.run-with-retry",
        HostCall::StopTrace { .. } => "orchestration.stop-trace",
        HostCall::Pathway { call, .. } => match call {
            PathwayCall::TraceId => "orchestration.pathway.trace-id",
            PathwayCall::TaskId => "orchestration.pathway.task-id",
            PathwayCall::Next => "orchestration.pathway.next",
            PathwayCall::Wait(_) => "orchestration.pathway.wait",
            PathwayCall::Close => "orchestration.pathway.close",
        },
    }
}

/// The call as `{"call": name, "args": {…}}`, without arguments where it has
/// none.
pub(super) fn listed(call: &HostCall<'_>) -> Value {
    let name = name(call);
    let args = args(call);
    if args.is_empty() {
        json!({"call": name})
    } else {
        json!({"call": name, "args": args})
    }
}

fn args(call: &HostCall<'_>) -> Object {
    match *call {
        HostCall::WallMs | HostCall::MonotonicNs | HostCall::RandomU64 => Object::new(),
        HostCall::SleepMs(ms) => told([("ms", json!(ms))]),
        HostCall::RandomBytes(count) => told([("count", json!(count))]),
        HostCall::Recall {
            binding,
            query,
            options,
        } => told([
            ("binding", json!(binding)),
            ("query", query_of(query)),
            ("options", recall_options(options)),
        ]),
        HostCall::RecallMany {
            binding,
            queries,
            options,
        } => told([
            ("binding", json!(binding)),
            ("queries", queries.iter().map(query_of).collect()),
            ("options", recall_options(options)),
        ]),
        HostCall::Imprint {
            binding,
            op,
            entry,
            options,
        } => told([
            ("binding", json!(binding)),
            ("op", json!(op_of(op))),
            ("entry", entry_of(op, entry)),
            ("options", imprint_options(options)),
        ]),
        HostCall::ImprintMany {
            binding,
            op,
            entries,
            options,
        } => told([
            ("binding", json!(binding)),
            ("op", json!(op_of(op))),
            (
                "entries",
                entries.iter().map(|entry| entry_of(op, entry)).collect(),
            ),
            ("options", imprint_options(options)),
        ]),
        HostCall::Emit { kind, payload } => {
            told([("signal", json!(kind.as_str())), ("payload", read(payload))])
        }
        HostCall::Dispatch {
            target,
            input,
            options,
        }
        | HostCall::DispatchAndWait {
            target,
            input,
            options,
        } => told([
            ("target", target_of(target)),
            ("input", read(input)),
            ("options", dispatch_options(options)),
        ]),
        HostCall::RunWithRetry {
            target,
            input,
            strategy,
        } => told([
            ("target", target_of(target)),
            ("input", read(input)),
            ("strategy", strategy_of(strategy)),
        ]),
        HostCall::StopTrace { trace, options } => told([
            ("trace_id", json!(trace)),
            ("options", stop_options(options)),
        ]),
        HostCall::Pathway { task, call } => told([
            ("task_id", json!(task.to_string())),
            (
                "timeout_ms",
                match call {
                    PathwayCall::Wait(ms) => json!(ms),
                    _ => Value::Null,
                },
            ),
        ]),
    }
}

/// An object of what is there: null, `false`, and what is empty is not.
fn told<const N: usize>(keys: [(&str, Value); N]) -> Object {
    let there = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(keys) => !keys.is_empty(),
        _ => true,
    };
    let keys = keys.into_iter().filter(|(_, value)| there(value));
    keys.map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A guest's JSON text; what is none is shown as it is.
fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn query_of(query: &Query) -> Value {
    Value::Object(told([
        ("id", json!(query.id)),
        ("text", json!(query.text)),
        ("tag", json!(query.tag)),
        ("merge_key", json!(query.merge_key)),
        ("embedding", json!(query.embedding)),
        ("top_k", json!(query.top_k)),
    ]))
}

fn recall_options(options: &RecallOptions) -> Value {
    let mode = match options.mode {
        RecallMode::First => Value::Null,
        RecallMode::Merge => json!("merge"),
        RecallMode::All => json!("all"),
    };
    let filters = |filters: &Filters| {
        Value::Object(told([
            ("tags", json!(filters.tags)),
            ("since_ms", json!(filters.since_ms)),
            ("until_ms", json!(filters.until_ms)),
        ]))
    };
    Value::Object(told([
        ("deadline_ms", json!(options.deadline_ms)),
        ("mode", mode),
        ("min_confidence", json!(options.min_confidence)),
        (
            "filters",
            options.filters.as_ref().map_or(Value::Null, filters),
        ),
    ]))
}

fn op_of(op: Op) -> &'static str {
    match op {
        Op::Add => "add",
        Op::Append => "append",
        Op::Merge => "merge",
        Op::Upsert => "upsert",
        Op::Delete => "delete",
    }
}

fn entry_of(op: Op, entry: &Entry) -> Value {
    let id = told([("id", json!(entry.id))]);
    // Whatever it is, null or empty too, it is what was written.
    let content = (op != Op::Delete).then(|| ("content".to_owned(), read(&entry.content)));
    let rest = told([
        ("tags", json!(entry.tags)),
        ("meta", read(&entry.meta)),
        ("embedding", json!(entry.embedding)),
        ("merge_key", json!(entry.merge_key)),
        ("idempotency_key", json!(entry.idempotency_key)),
    ]);
    Value::Object(id.into_iter().chain(content).chain(rest).collect())
}

fn imprint_options(options: &ImprintOptions) -> Value {
    let mut told = told([("deadline_ms", json!(options.deadline_ms))]);
    if !options.await_ack {
        told.insert("await_ack".to_owned(), json!(false));
    }
    Value::Object(told)
}

fn target_of(target: &Target) -> Value {
    match target {
        Target::Neuron(id) => json!({"neuron": id}),
        Target::Capabilities(required) => json!({"capabilities": required}),
        Target::Any => json!({"any": true}),
    }
}

fn dispatch_options(options: &DispatchOptions) -> Value {
    Value::Object(told([
        ("trace_id", json!(options.trace_id)),
        ("finalize", json!(options.finalize)),
        ("timeout_ms", json!(options.timeout_ms)),
    ]))
}

fn strategy_of(strategy: &RetryStrategy) -> Value {
    let backoff = match strategy.backoff {
        Backoff::None => Value::Null,
        Backoff::Constant(ms) => json!({"constant": ms}),
        Backoff::Linear(ms) => json!({"linear": ms}),
        Backoff::Exponential(ms) => json!({"exponential": ms}),
        Backoff::DecorrelatedJitter(ms) => json!({"decorrelated-jitter": ms}),
    };
    Value::Object(told([
        ("max_attempts", json!(strategy.max_attempts)),
        ("timeout_ms", json!(strategy.timeout_ms)),
        ("backoff", backoff),
        ("max_delay_ms", json!(strategy.max_delay_ms)),
        ("rollback_on_retry", json!(strategy.rollback_on_retry)),
        ("reason", json!(strategy.reason)),
    ]))
}

fn stop_options(options: &StopOptions) -> Value {
    Value::Object(told([
        ("rollback", json!(options.rollback)),
        ("reason", json!(options.reason)),
    ]))
}
