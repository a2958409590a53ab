//! `soma neuron new`: a project that builds, tests and runs.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::toolchain;
use crate::{
    cli::{Exit, Failed, out},
    package::{Language, is_name},
};

/// Shown under `soma neuron new --help`.
const EXAMPLES: &str = "\
Examples:
  soma neuron new --lang python notes
  soma neuron new --lang rust notes --path ~/neurons/notes

The project needs nothing beside it: it holds a copy of the contract and of the
SDK of its language. `soma neuron build` sets up what the language needs.

Exit codes:
  0  the project is there
  2  the arguments make no sense
  3  the folder is there already and not empty, or cannot be written";

/// Arguments of `soma neuron new`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Its id, and the name of its folder
    #[arg(value_parser = name)]
    name: String,

    /// The language: rust, python, javascript, c or go
    #[arg(long = "lang", value_name = "LANGUAGE")]
    language: Language,

    /// The folder to make, in place of ./NAME
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        return Ok(text.to_owned());
    }
    Err("use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`".to_owned())
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none())
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let folder = args
        .path
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.name));
    let shown = folder.display();
    let unwritable = |error| Failed::new(Exit::Input, format!("cannot write {shown}: {error}"));
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(unwritable)?;
    }
    // Made by this call or empty: nothing of anybody's is written over.
    match fs::create_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_empty(&folder) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(
                Failed::new(Exit::Input, format!("{shown} is there already"))
                    .advise("choose another name, or another folder with `--path`"),
            );
        }
        made => made.map_err(unwritable)?,
    }
    for file in toolchain::template(args.language, &args.name) {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(unwritable)?;
        }
        fs::write(&path, file.contents).map_err(unwritable)?;
    }
    let component = format!("target/{}.wasm", args.name);
    out::write(&format!(
        "{shown}: a neuron in {}\n\nnext\n  \
         cd {}\n  \
         soma neuron build\n  \
         soma neuron test\n  \
         soma run {component} --input '{{\"note\": \"A saga undoes what it did.\", \"about\": \"saga\"}}'\n",
        args.language,
        out::word(&folder),
    ))?;
    Ok(Exit::Ok)
}
