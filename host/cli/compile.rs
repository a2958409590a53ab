//! `soma compile-component`: the host's compiler process, not for people.

use super::{Exit, Failed};
use crate::neuron::{INVALID, METERING, Metering, ServiceError, serve};

/// Arguments of `soma compile-component`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How the code counts what it does
    #[arg(long = METERING, value_parser = metering)]
    metering: Metering,
}

// What a host makes of it.
const _: () = assert!(Exit::Input as u8 == INVALID);

fn metering(name: &str) -> Result<Metering, String> {
    let named = Metering::ALL.into_iter().find(|one| one.name() == name);
    named.ok_or_else(|| "there are `fuel` and `epoch-only`".to_owned())
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    match serve(args.metering) {
        Ok(()) => Ok(Exit::Ok),
        Err(ServiceError::Invalid(why)) => Err(Failed::new(Exit::Input, why)),
        Err(ServiceError::Failed(why)) => Err(Failed::new(Exit::Host, why)),
    }
}
