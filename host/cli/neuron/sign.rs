//! `soma neuron sign`: who vouches for a component.

use std::path::PathBuf;

use super::component;
use crate::{
    cli::{Exit, Failed, files, out},
    package::{self, Digest},
};

/// Arguments of `soma neuron sign`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component file
    file: PathBuf,

    /// The private key, as `soma neuron keygen` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// Write the signed component here and leave the other as it is
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let refused = |error: &dyn std::fmt::Display| {
        Failed::new(Exit::Input, format!("{}: {error}", args.file.display()))
    };
    let key = package::read_key(&args.key).map_err(|error| Failed::new(Exit::Input, error))?;
    let public = key.verifying_key();
    let (bytes, package) = component::open(&args.file)?;
    // Others' signatures stay; a bad one would spoil the file for everybody.
    for signature in &package.signatures {
        signature.fits(&package).map_err(|error| {
            refused(&error).advise("sign the file as it was built, not one that was changed since")
        })?;
    }
    let signed = if package.signatures.iter().any(|one| one.is_by(&public)) {
        bytes
    } else {
        package::sign(&bytes, &key).map_err(|error| refused(&error))?
    };
    let output = args.output.as_ref().unwrap_or(&args.file);
    files::replace(output, &signed)?;
    out::write(&format!(
        "signed  {}\nkey     {}\ndigest  {}\n",
        output.display(),
        package::key_id(&public),
        Digest::of(&signed),
    ))?;
    Ok(Exit::Ok)
}
