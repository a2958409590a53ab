//! `soma flow check`: everything that is wrong with a flow, at once.

use serde::Serialize;

use super::source::{Documents, Neurons};
use crate::{
    cli::{
        Exit, Failed,
        check::{Told, count, refused},
        log, out,
    },
    flow::{Dag, Flow, Nodes},
    package::Problems,
};

/// Shown under `soma flow check --help`.
const EXAMPLES: &str = "\
Examples:
  What the documents say:
    soma flow check examples/flows/compose-retry-loop.json

  And whether the nodes that they name are there and take these routes:
    soma flow check examples/flows/answer.json \\
      examples/flows/compose-retry-loop.json --deployment examples/flows/soma.toml

Exit codes:
  0  it can run
  2  the arguments make no sense
  3  something is wrong with a file
  5  the host itself could not start";

/// Arguments of `soma flow check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    documents: Documents,

    #[command(flatten)]
    neurons: Neurons,

    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// The keys of `--json`.
#[derive(Serialize)]
struct Keys {
    flow: Option<String>,
    version: Option<String>,
    hash: Option<String>,
    nodes_checked: bool,
    /// Nodes whose routes could not be checked; null where none was looked for.
    undeclared: Option<Vec<String>>,
    problems: Vec<Told>,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    log::start(false)?;
    let nodes_checked = args.neurons.are_known();
    let nodes = if nodes_checked {
        args.neurons.stage()?.nodes
    } else {
        Nodes::new().or_any_neuron()
    };
    let read = args.documents.read();
    let flow = read.and_then(|read| Ok((read.flow(&nodes)?, read.dags())));
    let undeclared = |dags: &[Dag]| nodes_checked.then(|| nodes.undeclared(dags));
    if args.json {
        return json(
            flow.map(|(flow, dags)| (flow, undeclared(&dags))),
            nodes_checked,
        );
    }
    let (flow, dags) = flow.map_err(|problems| refused(&problems))?;
    let mut text = format!("{} {} {}\n", flow.name(), flow.version(), flow.hash());
    for Dag {
        name,
        version,
        nodes,
        ..
    } in dags.iter().skip(1)
    {
        let placements = count(nodes.len(), "placement");
        text.push_str(&format!("  holds {name} {version}: {placements}\n"));
    }
    text.push_str(&match undeclared(&dags).as_deref() {
        None => "nothing is wrong with it; its nodes were not looked for (see --deployment)\n"
            .to_owned(),
        Some([]) => "it can run\n".to_owned(),
        Some(names) => format!(
            "it can run; which routes they take is not said by, and was not checked for: {}\n",
            names.join(", ")
        ),
    });
    out::write(&text)?;
    Ok(Exit::Ok)
}

fn json(
    flow: Result<(Flow, Option<Vec<String>>), Problems>,
    nodes_checked: bool,
) -> Result<Exit, Failed> {
    let (keys, exit) = match flow {
        Ok((flow, undeclared)) => (
            Keys {
                flow: Some(flow.name().to_owned()),
                version: Some(flow.version().to_owned()),
                hash: Some(flow.hash().to_string()),
                nodes_checked,
                undeclared,
                problems: Vec::new(),
            },
            Exit::Ok,
        ),
        Err(Problems(problems)) => (
            Keys {
                flow: None,
                version: None,
                hash: None,
                nodes_checked,
                undeclared: None,
                problems: problems.iter().map(Told::from).collect(),
            },
            Exit::Input,
        ),
    };
    out::write_json(&keys)?;
    Ok(exit)
}
