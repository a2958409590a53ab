//! `soma demo`: what the host promises, shown on real neurons.
//!
//! Each scenario does something, says what happened, and checks what it
//! promises. Scenarios 1 to 3 print the lines of Cosmonapse's retry demo, so
//! that both can be laid side by side.

mod documents;
mod figures;
mod ingest;
mod report;
mod retry;
mod stage;
mod tenants;
mod writing;

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;

use super::{Exit, Failed};
use report::Report;
use stage::{Stage, Stall};

/// Arguments of `soma demo`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Scenarios:
  1  retry survives a stalled stage
  2  retry gives up
  3  roll back a half-finished ingest
  4  retry survives a stage that spins for ever; measures STOP to stopped
  5  compose, validate, retry: an answer with citations out of documents
  6  two tenants side by side, one of them hostile

Examples:
  soma demo                                 all scenarios
  soma demo --scenario 1 --stall allocate   the stalled stage allocates memory
  soma demo --scenario 5 --data notes --question 'Who keeps the keys?'
  soma demo --json                          one object a scenario, for machines")]
pub(super) struct Args {
    /// Scenario to show; may be given several times. Default: all.
    #[arg(long = "scenario", value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=SCENARIOS.len() as u64))]
    scenarios: Vec<usize>,
    /// How the generator of scenarios 1, 2 and 4 fails to answer. Default:
    /// sleep, in scenario 4 spin.
    #[arg(long, value_enum)]
    stall: Option<Stall>,
    /// One JSON object a scenario, each on a line.
    #[arg(long)]
    json: bool,
    /// Folder of the neuron components. Default: $SOMA_NEURONS, else
    /// target/neurons here or above.
    #[arg(long, value_name = "DIR")]
    neurons: Option<PathBuf>,
    /// Folder of .md and .txt documents to answer from in scenarios 5 and 6.
    /// Default: those shipped in examples/data.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What scenarios 5 and 6 ask the documents.
    #[arg(long, value_name = "TEXT", default_value = documents::QUESTION)]
    question: String,
}

/// A scenario: its title, given how the generator stalls, and what it does.
struct Scenario {
    title: fn(Option<Stall>) -> String,
    play: fn(&Stage, &mut Report) -> Result<(), Failed>,
}

const SCENARIOS: [Scenario; 6] = [
    Scenario {
        title: |_| "retry survives a stalled stage".to_owned(),
        play: retry::survives,
    },
    Scenario {
        title: |_| "retry gives up".to_owned(),
        play: retry::gives_up,
    },
    Scenario {
        title: |_| "roll back a half-finished ingest".to_owned(),
        play: ingest::rolls_back,
    },
    Scenario {
        title: |stall| {
            format!(
                "retry survives a stage that {}",
                retry::endless(stall).verb()
            )
        },
        play: retry::measures_stop,
    },
    Scenario {
        title: |_| "compose, validate, retry: an answer out of documents".to_owned(),
        play: writing::answers,
    },
    Scenario {
        title: |_| "two tenants, one of them hostile".to_owned(),
        play: tenants::side_by_side,
    },
];

/// The scenarios that print the reference demo's lines, and nothing else.
const OF_THE_REFERENCE: usize = 3;

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let stage = Stage::set(args)?;
    let mut broken = Vec::new();
    let mut last = 0;
    for (number, scenario) in (1..).zip(&SCENARIOS) {
        if !args.scenarios.is_empty() && !args.scenarios.contains(&number) {
            continue;
        }
        if last > 0 && !args.json {
            report::print("");
        }
        last = number;
        let mut report = Report::open(number, (scenario.title)(args.stall), args.json);
        (scenario.play)(&stage, &mut report)?;
        broken.extend(report.close());
    }
    if broken.is_empty() {
        if last > OF_THE_REFERENCE && !args.json {
            report::print("\nEvery promise of these scenarios held.");
        }
        return Ok(Exit::Ok);
    }
    Err(Failed::new(Exit::Failed, broken.join("\nerror: ")))
}
