//! `soma check`: whether a deployment can run, and everything that is wrong
//! with it at once.

use std::path::PathBuf;

use serde::Serialize;

use super::{
    Exit, Failed, log,
    out::{self, Plain},
    start,
};
use crate::{
    deployment::{Checked, Deployment, Summary},
    package::{Problem, Problems},
};

/// Shown under `soma check --help`.
const EXAMPLES: &str = "\
Examples:
  soma check examples/deployment/soma.toml

Every component is fetched, its digest and signatures are checked, what it asks
for is compared with what it is granted, and it is compiled; nothing of it runs.
A request without a grant is told with the line to add.

Exit codes:
  0  the deployment can run
  2  the arguments make no sense
  3  something is wrong with the file or a component
  5  the host itself could not start";

/// Arguments of `soma check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// The deployment file
    #[arg(default_value = "soma.toml")]
    file: PathBuf,

    /// Never touch the network, whatever the file says
    #[arg(long)]
    offline: bool,

    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,

    /// Show information lines of the log too
    #[arg(short, long)]
    verbose: bool,
}

/// The keys of `--json`.
#[derive(Serialize)]
struct Keys {
    neurons: Vec<Summary>,
    warnings: Vec<Told>,
    problems: Vec<Told>,
}

/// A problem, for machines.
#[derive(Serialize)]
pub(super) struct Told {
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    help: Option<String>,
}

impl From<&Problem> for Told {
    fn from(problem: &Problem) -> Self {
        Self {
            file: problem.file.clone(),
            line: problem.place.map(|place| place.line),
            column: problem.place.map(|place| place.column),
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    log::start(args.verbose)?;
    let checked = check(args)?;
    if args.json {
        let told = |problems: &[Problem]| problems.iter().map(Told::from).collect();
        let keys = match &checked {
            Ok(checked) => Keys {
                neurons: checked.neurons.clone(),
                warnings: told(&checked.warnings),
                problems: Vec::new(),
            },
            Err(Problems(problems)) => Keys {
                neurons: Vec::new(),
                warnings: Vec::new(),
                problems: told(problems),
            },
        };
        out::write_json(&keys)?;
        return Ok(match checked {
            Ok(_) => Exit::Ok,
            Err(_) => Exit::Input,
        });
    }
    let checked = checked.map_err(|problems| refused(&problems))?;
    out::write(&shown(&checked))?;
    Ok(Exit::Ok)
}

fn shown(checked: &Checked) -> String {
    let mut lines = Vec::new();
    for neuron in &checked.neurons {
        let version = neuron.version.as_deref().unwrap_or("(no manifest)");
        let Summary {
            tenant,
            neuron: id,
            digest,
            ..
        } = neuron;
        lines.push(format!("{tenant}/{id} {version} {digest}"));
        let keys = neuron.signed_by.iter();
        lines.extend(keys.map(|key| format!("  signed by {key}")));
        lines.extend(neuron.grants.iter().map(|grant| format!("  {grant}")));
    }
    let mut text: String = lines
        .iter()
        .map(|line| format!("{}\n", Plain(line)))
        .collect();
    for warning in &checked.warnings {
        // It escapes itself, and has several lines.
        text += &format!("warning: {warning}\n");
    }
    text + &format!("{} can run\n", count(checked.neurons.len(), "neuron"))
}

/// The inner error is the deployment's, the outer one the host's own.
fn check(args: &Args) -> Result<Result<Checked, Problems>, Failed> {
    let deployment = match Deployment::read(&args.file) {
        Ok(deployment) => deployment,
        Err(problems) => return Ok(Err(problems)),
    };
    let host = start::host_compiling(deployment.compiler_limits(), || deployment.host())?;
    let offline = args.offline || deployment.is_offline();
    let registry = start::registry(&host, offline, deployment.uses_registries())?;
    Ok(deployment.check(&host, &registry))
}

/// A deployment's problems as the command's failure.
pub(super) fn refused(problems: &Problems) -> Failed {
    let count = problems.count("problem");
    Failed::new(Exit::Input, format!("{count} found\n{problems}"))
}

pub(super) fn count(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
