//! Rollback, imprint and recall of the in-memory engram.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{
    Bench, Exit, Failed, Figures, Measure, figures::Report, roomy_limits, roomy_tenant, with_memory,
};
use crate::{
    clock::Stopwatch,
    engram::{Draft, Engram, Fence, Imprint, MemoryEngram, Op, Query, Unmetered, WriteScope},
    orchestration::{Dispatch, Neuron, TenantHandle},
    signal::{EntryId, Object},
};

const ROLLBACKS: u32 = 10;

/// Rollback of many writes: time per undone write.
pub(super) fn rollback(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(16)?;
    let tenant = roomy_tenant(&host, "bench")?;
    for overwritten in [false, true] {
        for writes in [1_000_u32, 10_000, 100_000] {
            let rounds = bench.rounds(ROLLBACKS);
            let tenant = tenant.clone();
            let per_write = host.run(async move {
                let mut figures = Figures::default();
                for _ in 0..rounds {
                    figures.push(rolled_back(&tenant, writes, overwritten).await / writes);
                }
                figures
            });
            let kind = if overwritten {
                "overwritten"
            } else {
                "created"
            };
            let name = format!("rollback of {writes} {kind}, per write");
            report.line(&Measure::times(name, &per_write));
        }
    }
    Ok(())
}

fn upsert(key: u32, value: u32) -> Imprint {
    Imprint {
        op: Op::Upsert,
        entry: Draft {
            id: None::<EntryId>,
            content: json!({"value": value}),
            tags: Vec::new(),
            meta: Object::new(),
            embedding: None,
        },
        merge_key: Some(format!("key {key}")),
        idempotency_key: None,
    }
}

fn engram(tenant: &TenantHandle) -> MemoryEngram {
    let ledger = Arc::new(Unmetered);
    MemoryEngram::new(
        "bench",
        tenant.clock().clone(),
        tenant.ids().clone(),
        ledger,
    )
}

fn scope(tenant: &TenantHandle) -> WriteScope {
    WriteScope {
        trace: tenant.ids().trace(),
        fence: Fence::default(),
    }
}

async fn write_all(engram: &MemoryEngram, scope: Option<&WriteScope>, writes: u32, value: u32) {
    for key in 0..writes {
        // An in-memory engram without quota takes every upsert.
        drop(engram.imprint(upsert(key, value), scope).await);
    }
}

async fn rolled_back(tenant: &TenantHandle, writes: u32, overwritten: bool) -> Duration {
    let engram = engram(tenant);
    if overwritten {
        write_all(&engram, None, writes, 1).await;
    }
    let scope = scope(tenant);
    write_all(&engram, Some(&scope), writes, 2).await;
    scope.fence.close();
    let watch = Stopwatch::start();
    engram.rollback(&scope.trace).await;
    watch.elapsed()
}

const CALLS: u32 = 1_000;
const ROUNDS: u32 = 50;

/// One imprint and one recall by key, from the host and from a guest.
pub(super) fn calls(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(16)?;
    let tenant = roomy_tenant(&host, "bench")?;
    let probe = Neuron::new("probe", bench.plugin(&host, "probe")?).limits(roomy_limits());
    tenant.register(with_memory(&tenant, probe, "memory"));
    let rounds = bench.rounds(ROUNDS);
    let (imprint, recall) = host.run(from_host(tenant.clone(), rounds));
    report.line(&Measure::times("imprint, acked, by the host", &imprint));
    report.line(&Measure::times("recall by key, by the host", &recall));
    let guest = host.run(from_guest(tenant, rounds));
    let (imprint, recall) = guest.map_err(|error| Failed::new(Exit::Failed, error))?;
    report.line(&Measure::times("imprint, acked, by a neuron", &imprint));
    report.line(&Measure::times("recall by key, by a neuron", &recall));
    Ok(())
}

async fn from_host(tenant: TenantHandle, rounds: u32) -> (Figures, Figures) {
    let engram = engram(&tenant);
    let (mut imprints, mut recalls) = (Figures::default(), Figures::default());
    for round in 0..rounds {
        let scope = scope(&tenant);
        let watch = Stopwatch::start();
        write_all(&engram, Some(&scope), CALLS, round).await;
        imprints.push(watch.elapsed() / CALLS);
        let watch = Stopwatch::start();
        for key in 0..CALLS {
            let query = Query {
                merge_key: Some(format!("key {key}")),
                ..Query::default()
            };
            drop(engram.recall(&query).await);
        }
        recalls.push(watch.elapsed() / CALLS);
        engram.commit(&scope.trace).await;
    }
    (imprints, recalls)
}

async fn from_guest(tenant: TenantHandle, rounds: u32) -> Result<(Figures, Figures), String> {
    let (mut imprints, mut recalls) = (Figures::default(), Figures::default());
    for _ in 0..rounds {
        let input = json!({"imprints": CALLS, "recalls": CALLS});
        let dispatch = Dispatch::to_neuron("probe").input(input);
        let answer = tenant
            .dispatch_and_wait(dispatch, Duration::from_secs(60))
            .await
            .map_err(|error| error.to_string())?;
        let nanos = |key: &str| {
            let value = answer.output().and_then(|output| output.get(key));
            value.and_then(Value::as_u64).map(Duration::from_nanos)
        };
        match (nanos("imprint_ns"), nanos("recall_ns")) {
            (Some(imprint), Some(recall)) => {
                imprints.push(imprint);
                recalls.push(recall);
            }
            _ => return Err(format!("the probe answered {:?}", answer.signal.payload)),
        }
    }
    Ok((imprints, recalls))
}
