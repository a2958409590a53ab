//! `soma flow check`: everything that is wrong with a flow, at once.

use serde::Serialize;

use super::source::{Documents, Neurons};
use crate::{
    cli::{
        Exit, Failed,
        check::{Told, count, refused},
        log, out,
    },
    flow::{Dag, Nodes},
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
    if args.json {
        return json(flow.map(|(flow, _)| flow), nodes_checked);
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
    let undeclared = nodes.undeclared(&dags);
    text.push_str(&match undeclared.as_slice() {
        _ if !nodes_checked => {
            "nothing is wrong with it; its nodes were not looked for (see --deployment)\n"
                .to_owned()
        }
        [] => "it can run\n".to_owned(),
        names => format!(
            "it can run; which routes they take is not said by, and was not checked for: {}\n",
            names.join(", ")
        ),
    });
    out::write(&text)?;
    Ok(Exit::Ok)
}

fn json(flow: Result<crate::flow::Flow, Problems>, nodes_checked: bool) -> Result<Exit, Failed> {
    let (keys, exit) = match flow {
        Ok(flow) => (
            Keys {
                flow: Some(flow.name().to_owned()),
                version: Some(flow.version().to_owned()),
                hash: Some(flow.hash().to_string()),
                nodes_checked,
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
                problems: problems.iter().map(Told::from).collect(),
            },
            Exit::Input,
        ),
    };
    out::write_json(&keys)?;
    Ok(exit)
}
