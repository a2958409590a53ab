//! The command line: one file a verb. Nothing imports this room.

mod args;
mod bench;
mod check;
mod compile;
mod demo;
mod exit;
mod files;
mod flow;
mod input;
mod log;
mod neuron;
mod out;
mod paths;
mod refusal;
mod run;
mod silent;
mod start;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::exit::{Exit, Failed};
use crate::neuron::VERB;

/// Runs sandboxed plugins ("neurons") under STOP, retry and rollback.
#[derive(Debug, Parser)]
#[command(name = "soma", version, after_long_help = exit::HELP, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show retry, STOP, rollback, the compose loop and two tenants at work.
    Demo(demo::Args),
    /// Run one task on any neuron component and show reply and cost.
    Run(Box<run::Args>),
    /// Say whether a deployment can run, and everything that is wrong with it.
    Check(check::Args),
    /// Run a deployment: tasks as JSON lines in, answers as JSON lines out.
    Up(up::Args),
    /// Check, run, resume and draw flows.
    Flow(flow::Args),
    /// Write, build, test, check, sign, look at, push and pull neurons.
    Neuron(neuron::Args),
    /// Measure this host beside raw wasmtime, in one run.
    Bench(bench::Args),
    /// Compile a component from standard input to standard output, for a host.
    #[command(name = VERB, hide = true)]
    Compile(compile::Args),
}

/// Parses the arguments, does what they say, and reports a failure.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no failures, and clap words both.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Ok.into()
            };
        }
    };
    let done = match cli.verb {
        Verb::Demo(args) => demo::main(&args),
        Verb::Run(args) => run::main(&args),
        Verb::Check(args) => check::main(&args),
        Verb::Up(args) => up::main(&args),
        Verb::Flow(args) => flow::main(&args),
        Verb::Neuron(args) => neuron::main(&args),
        Verb::Bench(args) => bench::main(&args),
        Verb::Compile(args) => compile::main(&args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failed) => failed.report(),
    }
}
