//! What one tenant's spinning guests do to another's latency.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::{Bench, Exit, Failed, Figures, Measure, figures::Report, roomy_limits, roomy_tenant};
use crate::{
    clock::Stopwatch,
    orchestration::{Dispatch, Neuron, Pathway, StopOptions, TenantHandle},
};

/// Tasks that arrive in a second, and for how long.
const PER_SECOND: u32 = 2_000;
const SECONDS: u32 = 5;

/// One spinning guest in so many tasks.
const SPINNER_EVERY: u32 = 100;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(1_000)?;
    let quiet = roomy_tenant(&host, "quiet")?;
    quiet.register(Neuron::new("echo", bench.plugin(&host, "echo")?).limits(roomy_limits()));
    let noisy = roomy_tenant(&host, "noisy")?;
    let spin = bench.plugin(&host, "hostile/spin")?;
    noisy.register(Neuron::new("spin", spin).limits(roomy_limits()));
    let tasks = bench.rounds(PER_SECOND * SECONDS);
    let alone = host.run(arrivals(quiet.clone(), None, tasks));
    let beside = host.run(arrivals(quiet, Some(noisy), tasks));
    let (alone, beside) = alone
        .and_then(|alone| Ok((alone, beside?)))
        .map_err(|error| Failed::new(Exit::Failed, error))?;
    report.line(&Measure::times("dispatch at 2 000 a second, alone", &alone));
    report.line(&Measure::times(
        "the same beside 1 % spinning guests",
        &beside,
    ));
    Ok(())
}

/// Tasks arrive at a fixed rate, whatever happened to those before.
async fn arrivals(
    quiet: TenantHandle,
    noisy: Option<TenantHandle>,
    tasks: u32,
) -> Result<Figures, String> {
    let mut callers = JoinSet::new();
    let mut spinners: Vec<Pathway> = Vec::new();
    let gap = Duration::from_secs(1) / PER_SECOND;
    let begin = quiet.clock().monotonic();
    for n in 0..tasks {
        let due = begin + gap * n;
        if quiet.clock().monotonic() < due {
            quiet.clock().sleep_until(due).await;
        }
        if let Some(noisy) = &noisy
            && n % SPINNER_EVERY == 0
        {
            let started = noisy.dispatch(Dispatch::to_neuron("spin"));
            spinners.push(started.map_err(|error| error.to_string())?);
        }
        let quiet = quiet.clone();
        callers.spawn(async move {
            let watch = Stopwatch::start();
            let dispatch = Dispatch::to_neuron("echo").input(json!({"n": n}));
            let answer = quiet.dispatch_and_wait(dispatch, Duration::from_secs(60));
            let answered = answer.await.is_ok_and(|answer| answer.is_output());
            answered.then(|| watch.elapsed())
        });
    }
    let mut latency = Figures::default();
    while let Some(caller) = callers.join_next().await {
        match caller {
            Ok(Some(took)) => latency.push(took),
            _ => return Err("a task of the quiet tenant got no output".to_owned()),
        }
    }
    if let Some(noisy) = &noisy {
        for spinner in &spinners {
            noisy
                .stop_trace(spinner.trace_id(), StopOptions::default())
                .await;
        }
    }
    Ok(latency)
}
