//! `soma bench`: this host beside raw wasmtime, interleaved in one run.
//!
//! Absolute times belong to the machine; the ratio to `raw`, measured in the
//! same run on the same engine settings, is what can be compared.

mod dispatch;
mod engram;
mod fairness;
mod figures;
mod flow;
mod live;
mod start;
mod stop;

use std::{path::PathBuf, sync::Arc};

use super::{Exit, Failed, paths};
use crate::{
    Host,
    engram::MemoryEngram,
    neuron::{Grants, Limits, Plugin},
    orchestration::{Access, Neuron, TenantHandle},
    tenant::Quotas,
};
pub(super) use figures::{Figures, Measure};

/// Arguments of `soma bench`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Every line is one measure: its median and 99th percentile, how many a second \
where that makes sense, and beside it the median of raw wasmtime doing the \
same store, instantiation and call in the same run.

Examples:
  soma bench                       all groups
  soma bench --only dispatch,stop  two of them
  soma bench --json                one object a line, for machines")]
pub(super) struct Args {
    /// Groups to measure: dispatch, stop, rollback, engram, live, fairness, start, flow.
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    only: Vec<Group>,
    /// One JSON object a measure: name, unit, p50, p99, per_s, raw_p50, ratio.
    #[arg(long)]
    json: bool,
    /// A tenth of the rounds: for a first look.
    #[arg(long)]
    quick: bool,
    /// Folder of the neuron components.
    #[arg(long, value_name = "DIR")]
    neurons: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    Dispatch,
    Stop,
    Rollback,
    Engram,
    Live,
    Fairness,
    Start,
    Flow,
}

/// What every group needs.
pub(super) struct Bench {
    neurons: PathBuf,
    quick: bool,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let bench = Bench {
        neurons: paths::neurons(args.neurons.as_deref())?,
        quick: args.quick,
    };
    let mut report = figures::Report::new(args.json);
    let wanted = |group| args.only.is_empty() || args.only.contains(&group);
    for (group, measure) in GROUPS {
        if wanted(*group) {
            measure(&bench, &mut report)?;
        }
    }
    Ok(Exit::Ok)
}

type MeasureGroup = fn(&Bench, &mut figures::Report) -> Result<(), Failed>;

const GROUPS: &[(Group, MeasureGroup)] = &[
    (Group::Dispatch, dispatch::measure),
    (Group::Stop, stop::measure),
    (Group::Rollback, engram::rollback),
    (Group::Engram, engram::calls),
    (Group::Live, live::measure),
    (Group::Fairness, fairness::measure),
    (Group::Start, start::measure),
    (Group::Flow, flow::measure),
];

impl Bench {
    /// Rounds to do: all, or a tenth and at least one.
    fn rounds(&self, all: u32) -> u32 {
        if self.quick { (all / 10).max(1) } else { all }
    }

    fn wasm(&self, name: &str) -> Result<Vec<u8>, Failed> {
        let path = self.neurons.join(format!("{name}.wasm"));
        std::fs::read(&path).map_err(|error| {
            Failed::new(
                Exit::Input,
                format!("cannot read {}: {error}", path.display()),
            )
            .advise("run `cargo xtask neurons` to build the neurons")
        })
    }

    fn host(&self, instances: u32) -> Result<Host, Failed> {
        super::start::host(|| Host::builder().instances(instances))
    }

    fn plugin(&self, host: &Host, name: &str) -> Result<Arc<Plugin>, Failed> {
        let path = self.neurons.join(format!("{name}.wasm"));
        host.load_file(&path, &Grants::default()).map_err(|error| {
            Failed::new(Exit::Input, format!("{}: {error}", path.display()))
                .advise("run `cargo xtask neurons` to build the neurons")
        })
    }
}

/// A tenant whose quotas no measurement meets.
fn roomy_tenant(host: &Host, name: &str) -> Result<TenantHandle, Failed> {
    let quotas = Quotas {
        concurrent_tasks: 20_000,
        live_instances: 20_000,
        queued_tasks: 100_000,
        input_bytes: u64::MAX,
        memory_bytes: u64::MAX,
        store_bytes: u64::MAX,
        journal_bytes: u64::MAX,
        ..Quotas::default()
    };
    host.add_tenant(name, quotas)
        .map_err(|error| Failed::new(Exit::Host, error))
}

/// Limits that no measurement meets.
fn roomy_limits() -> Limits {
    Limits {
        fuel: u64::MAX / 2,
        wall: std::time::Duration::from_secs(3_600),
        host_calls: u64::MAX,
        ..Limits::default()
    }
}

/// Binds a fresh engram.
fn with_memory(tenant: &TenantHandle, neuron: Neuron, name: &str) -> Neuron {
    let ledger = Arc::clone(tenant.tenant()) as _;
    let engram = MemoryEngram::new(name, tenant.clock().clone(), tenant.ids().clone(), ledger);
    neuron.bind(name, tenant.add_engram(engram), Access::ReadWrite)
}
