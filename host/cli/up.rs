//! `soma up`: a deployment at work, told what to do line by line.

mod request;
mod server;

use std::{
    io::{self, BufRead, Read as _, Write as _},
    path::PathBuf,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::sync::mpsc;

use self::server::{Line, Server};
use super::{Exit, Failed, check, log, start};
use crate::deployment::Deployment;

/// Shown under `soma up --help`.
const EXAMPLES: &str = "\
One request a line on standard input, a JSON object; one answer a line on
standard output, in the order in which they are ready, with the request's `id`.

Requests:
  {\"id\": 1, \"tenant\": \"acme\", \"neuron\": \"ingester\", \"input\": {…}}
      a task; `kind` or `capabilities` in place of `neuron`; also `timeout`
      (\"5s\") and `trace`, one that is open; a task without one gets its own
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
  5  the host itself could not start, or could not read or write any more";

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

/// Bytes of a request. More are read, thrown away and told of.
const MAX_LINE: u64 = 16 << 20;

/// Answers that wait to be written; then whoever has another one waits.
const WAITING: usize = 1_000;

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    log::start(args.verbose)?;
    let deployment = Deployment::read(&args.file).map_err(|problems| check::refused(&problems))?;
    let host = Arc::new(start::host_compiling(deployment.compiler_limits(), || {
        deployment.host()
    })?);
    let offline = args.offline || deployment.is_offline();
    let registry = start::registry(&host, offline, deployment.uses_registries())?;
    let server = Arc::new(Server::new(args.file.clone(), Arc::clone(&host), registry));
    let changes = server.apply_here(&deployment);
    let changes = changes.map_err(|problems| check::refused(&problems))?;
    for warning in &changes.warnings {
        tracing::warn!("{warning}");
    }
    eprintln!(
        "{} run; reading requests",
        check::count(server.size(), "neuron")
    );
    // Standard streams may block: each has a thread that no guest uses. One line
    // is read ahead, no more: what is in hand the server bounds.
    let (lines, requests) = mpsc::channel(1);
    let (answers, written) = mpsc::channel(WAITING);
    let reader = thread::spawn(move || read(io::stdin().lock(), &lines));
    let writer = thread::spawn(move || write(written));
    host.run(server.serve(requests, answers, args.watch));
    ended("write", writer)?;
    ended("read standard input", reader)?;
    Ok(Exit::Ok)
}

fn ended(what: &str, thread: JoinHandle<io::Result<()>>) -> Result<(), Failed> {
    match thread.join() {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Failed::new(Exit::Host, format!("cannot {what}: {error}"))),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Sends what comes in, line by line, until it ends or nobody takes it.
fn read(mut input: impl BufRead, lines: &mpsc::Sender<Line>) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        (&mut input)
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n") || line.len() as u64 <= MAX_LINE;
        if line.trim_ascii().is_empty() && is_whole {
            continue;
        }
        let line = if is_whole {
            Ok(line)
        } else {
            input.skip_until(b'\n')?;
            Err(format!("the request has more than {MAX_LINE} bytes"))
        };
        if lines.blocking_send(line).is_err() {
            return Ok(());
        }
    }
}

/// Writes answers, a line each. A reader that has gone away has seen what it
/// wanted.
fn write(mut answers: mpsc::Receiver<String>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    while let Some(answer) = answers.blocking_recv() {
        match writeln!(out, "{answer}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
