//! From a component file that the code cache knows to the first reply, for a
//! neuron of each language.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Bench, Failed, Figures, Measure, figures::Report, roomy_tenant};
use crate::{
    Host,
    clock::Stopwatch,
    engram::VectorEngram,
    orchestration::{Access, Dispatch, Neuron, TenantHandle},
};

const STARTS: u32 = 50;

/// The same ingester in each language, and what the SDK alone costs in Rust.
const NEURONS: [(&str, &str); 6] = [
    ("echo", "Rust"),
    ("ingester", "Rust, ingester"),
    ("c_ingester", "C, ingester"),
    ("javascript_ingester", "JavaScript, ingester"),
    ("python_ingester", "Python, ingester"),
    ("go_ingester", "Go, ingester"),
];

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<(), Failed> {
    let host = bench.host(64)?;
    let tenant = roomy_tenant(&host, "bench")?;
    let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
    let ledger = Arc::clone(tenant.tenant()) as _;
    tenant.add_engram(VectorEngram::new("index", 16, clock, ids, ledger));
    for (name, language) in NEURONS {
        of(bench, &host, &tenant, (name, language), report)?;
    }
    Ok(())
}

fn of(
    bench: &Bench,
    host: &Host,
    tenant: &TenantHandle,
    (name, language): (&str, &str),
    report: &mut Report,
) -> Result<(), Failed> {
    // The first load may have to compile.
    bench.plugin(host, name)?;
    let (mut load, mut first) = (Figures::default(), Figures::default());
    for round in 0..bench.rounds(STARTS) {
        let watch = Stopwatch::start();
        let plugin = bench.plugin(host, name)?;
        load.push(watch.elapsed());
        let neuron = Neuron::new(name, plugin);
        tenant.register(match tenant.tenant().engram("index") {
            Some(index) => neuron.bind("index", index, Access::ReadWrite),
            None => neuron,
        });
        let dispatch = Dispatch::to_neuron(name).input(document(round));
        let tenant = tenant.clone();
        let answered = host.run(async move {
            let timeout = Duration::from_secs(10);
            tenant.dispatch_and_wait(dispatch, timeout).await
        });
        if answered.is_ok_and(|answer| answer.is_output()) {
            first.push(watch.elapsed());
        }
    }
    report.line(&Measure::times(
        format!("load of a known neuron ({language})"),
        &load,
    ));
    report.line(&Measure::times(
        format!("load and first reply ({language})"),
        &first,
    ));
    Ok(())
}

/// One sentence, new in each round.
fn document(round: u32) -> Value {
    json!({"document": {"id": format!("d{round}"), "text": "A saga undoes what it did."}})
}
