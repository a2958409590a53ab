//! From a component file that the code cache knows to the first reply, for a
//! neuron of each language.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{Bench, Failed, Figures, Measure, figures::Report, roomy_tenant};
use crate::{
    Host,
    cli::{Exit, start},
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
    // Without one it would be the compiler that is measured.
    let host = start::caching_host(|| Host::builder().instances(64))?;
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
        let answer = answered.map_err(|error| unanswered(name, &error))?;
        if !answer.is_output() {
            let said = Value::Object(answer.signal.payload.to_object());
            return Err(unanswered(name, &said));
        }
        first.push(watch.elapsed());
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

/// What did not do its work is not measured.
fn unanswered(name: &str, said: &dyn fmt::Display) -> Failed {
    Failed::new(Exit::Failed, format!("{name} gave no output: {said}"))
}

/// One sentence, new in each round.
fn document(round: u32) -> Value {
    json!({"document": {"id": format!("d{round}"), "text": "A saga undoes what it did."}})
}
