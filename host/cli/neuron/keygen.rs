//! `soma neuron keygen`: a key to sign with.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    cli::{Exit, Failed, files, out},
    package,
};

/// Arguments of `soma neuron keygen`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the private key goes; the public one goes beside it, with `.pub`
    /// behind its name
    file: PathBuf,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let private_file = args.file.as_path();
    let public_file = public(private_file);
    // Looked at before anything is made; `create` looks again.
    if public_file.symlink_metadata().is_ok() {
        return Err(files::taken(&public_file));
    }
    let (private, public) =
        package::generate_key().map_err(|error| Failed::new(Exit::Host, error))?;
    files::create(private_file, private.as_bytes(), files::PRIVATE)?;
    if let Err(failed) = files::create(&public_file, public.as_bytes(), 0o644) {
        // A key without its public half helps nobody.
        drop(fs::remove_file(private_file));
        return Err(failed);
    }
    let key =
        package::read_public_key(&public_file).map_err(|error| Failed::new(Exit::Input, error))?;
    let word = out::word(private_file);
    let (private_file, public_file) = (private_file.display(), public_file.display());
    out::write(&format!(
        "key {}\n\n\
         {private_file}  private, for you alone: whoever has it signs in your name\n\
         {public_file}  public, for whoever is to trust what you sign\n\n\
         next\n  \
         soma neuron sign COMPONENT.wasm --key {word}\n",
        package::key_id(&key),
    ))?;
    Ok(Exit::Ok)
}

fn public(private: &Path) -> PathBuf {
    let mut name = OsString::from(private);
    name.push(".pub");
    name.into()
}
