//! `soma neuron`: what is done with component files. One file a verb.

mod pull;
mod push;
mod remote;

use super::{Exit, Failed};

/// Arguments of `soma neuron`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Put a component into a registry, under a tag.
    Push(push::Args),
    /// Get a component from a registry or the local store.
    Pull(pull::Args),
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    match &args.verb {
        Verb::Push(args) => push::main(args),
        Verb::Pull(args) => pull::main(args),
    }
}
