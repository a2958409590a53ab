//! dispatch → AGENT_OUTPUT, one at a time and 64 at once, alone and beside
//! 1 000 idle neurons.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::task::JoinSet;

use super::{Bench, Exit, Failed, Figures, Measure, figures::Report, roomy_limits, roomy_tenant};
use crate::{
    clock::Stopwatch,
    neuron::Baseline,
    orchestration::{Dispatch, Neuron, TenantHandle},
};

const INPUT: &str = r#"{"question":"what is a synapse?"}"#;
const CALLS_A_ROUND: u32 = 12_800;
const ROUNDS: u32 = 10;

/// Latencies of single calls, and of whole rounds the time a call took and the
/// calls a second.
#[derive(Default)]
struct Rounds {
    latency: Figures,
    share: Figures,
    rate: Figures,
}

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(256)?;
    let tenant = roomy_tenant(&host, "bench")?;
    let echo = bench.plugin(&host, "echo")?;
    tenant.register(Neuron::new("echo", Arc::clone(&echo)).limits(roomy_limits()));
    let raw = Baseline::new(&bench.wasm("echo")?, 256)
        .map(Arc::new)
        .map_err(|error| Failed::new(Exit::Host, error))?;
    for idle in [0, 1_000] {
        for n in 0..idle {
            let neuron = Neuron::new(format!("idle {n}"), Arc::clone(&echo));
            tenant.register(neuron.capability("idle"));
        }
        for in_flight in [1, 64] {
            let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
            for _ in 0..bench.rounds(ROUNDS) {
                let tenant = tenant.clone();
                ours.add(host.run(round(in_flight, move || call(tenant.clone()))));
                let raw = Arc::clone(&raw);
                theirs.add(host.run(round(in_flight, move || raw_call(Arc::clone(&raw)))));
            }
            let name = format!("dispatch, {in_flight} in flight, {idle} idle");
            let latency = Measure::times(&name, &ours.latency).rate(&ours.rate);
            if in_flight == 1 {
                report.line(&latency.beside(&theirs.latency));
            } else {
                // A raw call never waits for another: only the time that each
                // call takes of the machine compares.
                report.line(&latency);
                let share = Measure::times(format!("{name}, per call"), &ours.share);
                report.line(&share.rate(&ours.rate).beside(&theirs.share));
            }
        }
    }
    Ok(())
}

async fn call(tenant: TenantHandle) -> bool {
    let input = json!({"question": "what is a synapse?"});
    let dispatch = Dispatch::to_neuron("echo").input(input);
    let answer = tenant.dispatch_and_wait(dispatch, Duration::from_secs(10));
    answer.await.is_ok_and(|answer| answer.is_output())
}

async fn raw_call(raw: Arc<Baseline>) -> bool {
    raw.call(INPUT).await.is_ok()
}

/// A round: so many tasks, each calling one after the other.
async fn round<F>(
    in_flight: u32,
    call: impl Fn() -> F + Clone + Send + 'static,
) -> (Figures, Duration)
where
    F: Future<Output = bool> + Send + 'static,
{
    let watch = Stopwatch::start();
    let mut callers = JoinSet::new();
    for _ in 0..in_flight {
        let call = call.clone();
        callers.spawn(async move {
            let mut latency = Figures::default();
            for _ in 0..CALLS_A_ROUND / in_flight {
                let watch = Stopwatch::start();
                if call().await {
                    latency.push(watch.elapsed());
                }
            }
            latency
        });
    }
    let mut latency = Figures::default();
    while let Some(Ok(caller)) = callers.join_next().await {
        latency.extend(caller);
    }
    (latency, watch.elapsed())
}

impl Rounds {
    fn add(&mut self, (latency, took): (Figures, Duration)) {
        self.latency.extend(latency);
        self.share.push(took / CALLS_A_ROUND);
        self.rate
            .push_value(f64::from(CALLS_A_ROUND) / took.as_secs_f64());
    }
}
