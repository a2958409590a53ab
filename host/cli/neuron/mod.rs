//! `soma neuron`: what authors do with a neuron, one file a verb.

mod test;

use super::{Exit, Failed};

/// Arguments of `soma neuron`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Run the cases that lie beside a neuron and show what is not as expected.
    Test(test::Args),
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    match &args.verb {
        Verb::Test(args) => test::main(args),
    }
}
