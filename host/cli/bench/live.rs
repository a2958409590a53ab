//! Live neurons that wait: how many, and what each costs.

use std::time::Duration;

use serde_json::json;

use super::{Bench, Exit, Failed, Figures, Measure, figures::Report, roomy_limits, roomy_tenant};
use crate::{
    cli::silent::Silent,
    clock::Stopwatch,
    orchestration::{Access, Dispatch, Neuron, StopOptions},
};

/// Neurons that wait in a host call at the same time.
const LIVE: u32 = 10_000;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let live = bench.rounds(LIVE);
    let before = resident_bytes();
    let host = bench.host(live)?;
    let tenant = roomy_tenant(&host, "bench")?;
    let silent = tenant.add_engram(Silent::new("memory"));
    let probe = Neuron::new("probe", bench.plugin(&host, "probe")?);
    let limits = roomy_limits();
    tenant.register(probe.limits(limits).bind("memory", silent, Access::Read));
    let watch = Stopwatch::start();
    let waiting = host.run({
        let tenant = tenant.clone();
        async move {
            let mut waiting = Vec::new();
            for _ in 0..live {
                let input = json!({"imprints": 0, "recalls": 1});
                match tenant.dispatch(Dispatch::to_neuron("probe").input(input)) {
                    Ok(pathway) => waiting.push(pathway),
                    Err(error) => return Err(error.to_string()),
                }
            }
            Ok(waiting)
        }
    });
    let waiting = waiting.map_err(|error| Failed::new(Exit::Failed, error))?;
    while host.sandbox().live() < live {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut start = Figures::default();
    start.push(watch.elapsed() / live);
    report.line(&Measure::times(
        format!("start of {live} waiting neurons, each"),
        &start,
    ));
    // The last ones get to their host call.
    std::thread::sleep(Duration::from_millis(200));
    let mut memory = Figures::default();
    let grown = resident_bytes().saturating_sub(before) / 1_024;
    let grown = u32::try_from(grown).unwrap_or(u32::MAX);
    memory.push_value(f64::from(grown) / f64::from(live));
    let name = format!("memory of {live} waiting neurons, each");
    report.line(&Measure::values(name, "KiB", &memory));
    let watch = Stopwatch::start();
    host.run(async move {
        for pathway in &waiting {
            tenant
                .stop_trace(pathway.trace_id(), StopOptions::default())
                .await;
        }
    });
    let mut stop = Figures::default();
    stop.push(watch.elapsed() / live);
    report.line(&Measure::times(
        format!("STOP of {live} waiting neurons, each"),
        &stop,
    ));
    Ok(())
}

/// What this process takes of the machine's memory: pages that many instances
/// share, such as their data image, count once.
fn resident_bytes() -> u64 {
    let kib = std::fs::read_to_string("/proc/self/smaps_rollup")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
    kib.unwrap_or(0) * 1_024
}
