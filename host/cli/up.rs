//! `soma up`: a deployment at work, told what to do line by line.

mod request;
mod server;

use std::{
    io::{self, BufRead},
    path::PathBuf,
    sync::Arc,
};

use tokio::sync::mpsc;

use self::server::Server;
use super::{Exit, Failed, check, log, start};
use crate::deployment::Deployment;

/// Shown under `soma up --help`.
const EXAMPLES: &str = "\
One request a line on standard input, a JSON object; one answer a line on
standard output, in the order in which they are ready, with the request's `id`.

Requests:
  {\"id\": 1, \"tenant\": \"acme\", \"neuron\": \"ingester\", \"input\": {…}}
      a task; `kind` or `capabilities` in place of `neuron`; also `timeout`
      (\"5s\") and `trace`, one that was opened before
  {\"id\": 2, \"tenant\": \"acme\", \"open\": true}          a trace whose writes stay undoable
  {\"id\": 3, \"tenant\": \"acme\", \"commit\": \"trc_…\"}     makes them permanent
  {\"id\": 4, \"tenant\": \"acme\", \"stop\": \"trc_…\", \"rollback\": true}
      stops a trace; answers when nothing of it runs any more
  {\"id\": 5, \"reload\": true}                          reads the file and its components anew
  {\"id\": 6, \"status\": true}                          what runs

Example:
  echo '{\"tenant\": \"demo\", \"neuron\": \"echo\", \"input\": {}}' \\
    | soma up examples/deployment/soma.toml

A reload is all or nothing: new tasks go to new versions, running ones finish on
the old, and where anything is wrong everything stays as it was.

Exit codes:
  0  standard input has ended, and so have all tasks
  2  the arguments make no sense
  3  something is wrong with the file or a component
  5  the host itself could not start";

/// Arguments of `soma up`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// The deployment file
    #[arg(default_value = "soma.toml")]
    file: PathBuf,

    /// Reload by itself when the file or a component changes
    #[arg(long)]
    watch: bool,

    /// Never touch the network, whatever the file says
    #[arg(long)]
    offline: bool,

    /// Show information lines of the log too
    #[arg(short, long)]
    verbose: bool,
}

/// Lines that wait to be read; then standard input waits.
const WAITING: usize = 1_000;

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    log::start(args.verbose)?;
    let deployment = Deployment::read(&args.file).map_err(|problems| check::refused(&problems))?;
    let host = Arc::new(start::host_compiling(deployment.compiler_limits(), || {
        deployment.host()
    })?);
    let registry = start::registry(&host, args.offline || deployment.is_offline())?;
    let server = Arc::new(Server::new(args.file.clone(), Arc::clone(&host), registry));
    let changes = server.apply_here(&deployment);
    let changes = changes.map_err(|problems| check::refused(&problems))?;
    for warning in &changes.warnings {
        tracing::warn!("{warning}");
    }
    let (lines, requests) = mpsc::channel(WAITING);
    std::thread::spawn(move || read(&lines));
    host.run(server.serve(requests, args.watch));
    Ok(Exit::Ok)
}

/// Sends what comes in, line by line, until it ends or nobody takes it.
fn read(lines: &mpsc::Sender<String>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if !line.trim().is_empty() && lines.blocking_send(line).is_err() {
            return;
        }
    }
}
