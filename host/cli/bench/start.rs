//! From a component file that the code cache knows to the first reply.

use std::time::Duration;

use serde_json::json;

use super::{Bench, Failed, Figures, Measure, figures::Report, roomy_tenant};
use crate::{
    clock::Stopwatch,
    orchestration::{Dispatch, Neuron},
};

const STARTS: u32 = 50;

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(64)?;
    let tenant = roomy_tenant(&host, "bench")?;
    // The first load may have to compile.
    bench.plugin(&host, "echo")?;
    let (mut load, mut first) = (Figures::default(), Figures::default());
    for _ in 0..bench.rounds(STARTS) {
        let watch = Stopwatch::start();
        let echo = bench.plugin(&host, "echo")?;
        load.push(watch.elapsed());
        tenant.register(Neuron::new("echo", echo));
        let tenant = tenant.clone();
        let answered = host.run(async move {
            let dispatch = Dispatch::to_neuron("echo").input(json!({}));
            tenant
                .dispatch_and_wait(dispatch, Duration::from_secs(10))
                .await
        });
        if answered.is_ok_and(|answer| answer.is_output()) {
            first.push(watch.elapsed());
        }
    }
    report.line(&Measure::times("load of a known neuron (Rust)", &load));
    report.line(&Measure::times("load and first reply (Rust)", &first));
    Ok(())
}
