//! `soma flow`: checks, runs, resumes and draws flows.

mod check;
mod draw;
mod interrupt;
mod live;
mod run;
mod source;

use clap::Subcommand;

use super::{Exit, Failed};

/// Arguments of `soma flow`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Say everything that is wrong with a flow
    Check(check::Args),
    /// Run a flow
    Run(run::RunArgs),
    /// Go on with a run from its checkpoint
    Resume(run::ResumeArgs),
    /// Draw a flow, or the way that a run took through it
    Draw(draw::Args),
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    match &args.verb {
        Verb::Check(args) => check::main(args),
        Verb::Run(args) => run::main(args),
        Verb::Resume(args) => run::resume(args),
        Verb::Draw(args) => draw::main(args),
    }
}
