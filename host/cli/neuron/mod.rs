//! `soma neuron`: what the author of a neuron works with, one file a verb.

mod asks;
mod build;
mod check;
mod component;
mod inspect;
mod keygen;
mod new;
mod pull;
mod push;
mod remote;
mod sign;
mod test;
mod toolchain;

use clap::Subcommand;

use super::{Exit, Failed};

/// Arguments of `soma neuron`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Begin a project in a language of your choice.
    New(new::Args),
    /// Build a project into one component file that carries its manifest.
    Build(build::Args),
    /// Show what a component file is, what it asks for and who signed it.
    Inspect(inspect::Args),
    /// Say whether this host can run a component, and every reason why not.
    Check(check::Args),
    /// Make a key to sign with.
    Keygen(keygen::Args),
    /// Sign a component file.
    Sign(sign::Args),
    /// Run the cases that lie beside a neuron and show what is not as expected.
    Test(test::Args),
    /// Put a component into a registry, under a tag.
    Push(push::Args),
    /// Get a component from a registry or the local store.
    Pull(pull::Args),
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    match &args.verb {
        Verb::New(args) => new::main(args),
        Verb::Test(args) => test::main(args),
        Verb::Push(args) => push::main(args),
        Verb::Pull(args) => pull::main(args),
        Verb::Build(args) => build::main(args),
        Verb::Inspect(args) => inspect::main(args),
        Verb::Check(args) => check::main(args),
        Verb::Keygen(args) => keygen::main(args),
        Verb::Sign(args) => sign::main(args),
    }
}
