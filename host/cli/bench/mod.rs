//! `soma bench`.

use super::{Exit, Failed};

/// Arguments of `soma bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn main(_args: &Args) -> Result<Exit, Failed> {
    Err(Failed::new(Exit::Host, "not built in"))
}
