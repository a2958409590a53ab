//! STOP to stopped, for every way in which a guest can be busy, on an idle
//! host and beside four CPU hogs.

use std::{sync::Arc, time::Duration};

use serde_json::json;

use super::{
    Bench, Exit, Failed, Figures, Measure, figures::Report, roomy_limits, roomy_tenant, with_memory,
};
use crate::{
    cli::silent::Silent,
    clock::Stopwatch,
    neuron::Baseline,
    orchestration::{Access, Dispatch, Neuron, StopOptions, TenantHandle},
};

const STOPS: u32 = 500;
const HOGS: usize = 4;

/// Until the guest is where it stalls.
const WARM_UP: Duration = Duration::from_millis(3);

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(256)?;
    let tenant = roomy_tenant(&host, "bench")?;
    let generator = Neuron::new("generator", bench.plugin(&host, "generator")?);
    let generator = with_memory(&tenant, generator.limits(roomy_limits()), "calls");
    let silent = tenant.add_engram(Silent::new("never"));
    tenant.register(generator.bind("never", silent, Access::Read));
    let others = roomy_tenant(&host, "others")?;
    let spin = bench.plugin(&host, "hostile/spin")?;
    others.register(Neuron::new("hog", spin).limits(roomy_limits()));
    let raw = Baseline::new(&bench.wasm("hostile/spin")?, 16)
        .map(Arc::new)
        .map_err(|error| Failed::new(Exit::Host, error))?;

    for hogs in [0, HOGS] {
        let mut held = Vec::new();
        for _ in 0..hogs {
            let started = others.dispatch(Dispatch::to_neuron("hog"));
            held.push(started.map_err(|error| Failed::new(Exit::Host, error))?);
        }
        for stall in ["spin", "sleep", "wait", "allocate"] {
            let stops = bench.rounds(STOPS);
            let latency = host.run(stops_of(tenant.clone(), stall, stops));
            let name = format!("STOP, {stall}, {hogs} hogs");
            let mut line = Measure::times(name, &latency);
            if stall == "spin" && hogs == 0 {
                line = line.beside(&host.run(raw_stops(Arc::clone(&raw), stops)));
            }
            report.line(&line);
        }
        let others = others.clone();
        host.run(async move {
            for hog in held {
                others
                    .stop_trace(hog.trace_id(), StopOptions::default())
                    .await;
            }
        });
    }
    Ok(())
}

async fn stops_of(tenant: TenantHandle, stall: &'static str, stops: u32) -> Figures {
    let mut latency = Figures::default();
    for _ in 0..stops {
        let input = json!({"question": "?", "stall_first": u32::MAX, "stall": stall});
        let Ok(pathway) = tenant.dispatch(Dispatch::to_neuron("generator").input(input)) else {
            continue;
        };
        tenant.clock().sleep(WARM_UP).await;
        let watch = Stopwatch::start();
        // With rollback, so that the count of calls stays short.
        let acks = tenant
            .stop_trace(pathway.trace_id(), StopOptions::rollback())
            .await;
        if acks.iter().any(|ack| ack.cancelled == 1) {
            latency.push(watch.elapsed());
        }
    }
    latency
}

async fn raw_stops(raw: Arc<Baseline>, stops: u32) -> Figures {
    let mut latency = Figures::default();
    for _ in 0..stops {
        latency.push(raw.stop_latency("{}".to_owned(), WARM_UP).await);
    }
    latency
}
