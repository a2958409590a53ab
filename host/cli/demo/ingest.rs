//! Scenario 3: an ingest that fails halfway is undone.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    report::Report,
    stage::{Stage, cannot, index},
};
use crate::{
    cli::Failed,
    engram::Engram,
    orchestration::{Access, Dispatch, Neuron, StopOptions, Stopped, TenantHandle},
    signal::Payload,
    tenant::Quotas,
};

/// A document of five chunks.
const TEXT: &str = "\
    A Dendrite receives what others send.\n\n\
    An Axon carries one answer to many.\n\n\
    A Synapse is where the two of them meet.\n\n\
    An Engram is what remains of a signal.\n\n\
    A Saga is told backwards when it fails.";

const CHUNK_CHARS: usize = 48;
const CRASH_AFTER: usize = 3;

/// What the scenario saw.
struct Seen {
    before: usize,
    result: String,
    after_crash: usize,
    acks: Arc<[Stopped]>,
    after_rollback: usize,
}

pub(super) fn rolls_back(stage: &Stage, report: &mut Report) -> Result<(), Failed> {
    let tenant = stage.tenant("retry-demo", Quotas::default())?;
    let index = index(&tenant);
    let ingester = Neuron::new("ingester", stage.plugin("ingester")?);
    tenant.register(ingester.bind("index", Arc::clone(&index), Access::ReadWrite));
    let seen = stage.host.run(ingest_and_undo(tenant, index))?;
    let undone: u64 = seen.acks.iter().map(|ack| ack.compensated).sum();
    let Seen {
        before,
        result,
        after_crash,
        acks,
        after_rollback,
    } = seen;
    let partial = if after_crash > before {
        "partial write"
    } else {
        "no write"
    };
    let clean = if after_rollback == before {
        "clean"
    } else {
        "NOT clean"
    };
    let acks_shown: Vec<_> = acks.iter().map(as_python).collect();
    report.say(format_args!("index size before ingest: {before}"));
    report.say(format_args!("ingest result: {result}"));
    report.say(format_args!(
        "index size after crash: {after_crash}  ({partial})"
    ));
    report.say(format_args!(
        "stop_trace(rollback=True): {undone} inverse ops replayed"
    ));
    report.say(format_args!(
        "index size after rollback: {after_rollback}  ({clean})"
    ));
    report.say(format_args!("acks: [{}]", acks_shown.join(", ")));
    report.fact("index_size_before", before);
    report.fact("ingest_result", result.as_str());
    report.fact("index_size_after_crash", after_crash);
    report.fact("compensated", undone);
    report.fact("index_size_after_rollback", after_rollback);
    report.fact("acks", acks.iter().map(as_json).collect::<Vec<_>>());
    let failure = "ERROR (ingest of 'doc' crashed after 3 chunks)";
    report.expect("the ingest's result", failure, result.as_str());
    report.expect("the size after the crash", CRASH_AFTER, after_crash);
    report.expect("the number of writes undone", 3, undone);
    report.expect("the size after the rollback", before, after_rollback);
    let rolled_back = acks.iter().all(|ack| ack.rolled_back);
    report.expect("what every ack says of the rollback", true, rolled_back);
    Ok(())
}

async fn ingest_and_undo(tenant: TenantHandle, index: Arc<dyn Engram>) -> Result<Seen, Failed> {
    let before = index.len();
    let dispatch = Dispatch::to_neuron("ingester").input(json!({
        "document": {"id": "doc", "text": TEXT},
        "chunk_chars": CHUNK_CHARS,
        "crash_after": CRASH_AFTER,
    }));
    let answer = tenant
        .dispatch_and_wait(dispatch, Duration::from_secs(10))
        .await
        .map_err(cannot)?;
    let result = match &answer.signal.payload {
        Payload::Error(error) => format!("ERROR ({})", error.message),
        other => other.signal_type().as_str().to_owned(),
    };
    let after_crash = index.len();
    let trace = &answer.signal.trace_id;
    let acks = tenant.stop_trace(trace, StopOptions::rollback()).await;
    Ok(Seen {
        before,
        result,
        after_crash,
        acks,
        after_rollback: index.len(),
    })
}

/// As Python prints the reference's acknowledgement.
fn as_python(ack: &Stopped) -> String {
    let rolled_back = if ack.rolled_back { "True" } else { "False" };
    format!(
        "{{'rolled_back': {rolled_back}, 'cancelled': {}, 'compensated': {}, 'node': '{}'}}",
        ack.cancelled, ack.compensated, ack.node
    )
}

fn as_json(ack: &Stopped) -> serde_json::Value {
    json!({
        "rolled_back": ack.rolled_back,
        "cancelled": ack.cancelled,
        "compensated": ack.compensated,
        "node": &*ack.node,
    })
}
