//! `soma flow draw`: pictures of flows.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::source::Documents;
use crate::{
    cli::{Exit, Failed, check::refused, files, out},
    flow::{Nodes, PictureFormat, draw},
};

/// Shown under `soma flow draw --help`.
const EXAMPLES: &str = "\
Examples:
  A Mermaid flowchart, which many readers of Markdown show:
    soma flow draw examples/flows/compose-retry-loop.json

  An image, by Graphviz:
    soma flow draw --format dot examples/flows/compose-retry-loop.json | dot -Tsvg > loop.svg

`soma flow run --picture FILE` draws the way that a run took, with its attempts
and times.

Exit codes:
  0  drawn
  2  the arguments make no sense
  3  something is wrong with a file";

/// Arguments of `soma flow draw`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    documents: Documents,

    /// What to write; by the name of `--output` unless said
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Where to; standard output unless said
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// What a picture is written in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Mermaid
    Mermaid,
    /// Graphviz
    Dot,
}

/// By the name of a file.
pub(super) fn format_of(path: &Path) -> PictureFormat {
    match path.extension() {
        Some(end) if end == "dot" || end == "gv" => PictureFormat::Dot,
        _ => PictureFormat::Mermaid,
    }
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let read = args
        .documents
        .read()
        .map_err(|problems| refused(&problems))?;
    let flow = read
        .flow(&Nodes::new().or_any_neuron())
        .map_err(|problems| refused(&problems))?;
    let format = match (args.format, &args.output) {
        (Some(Format::Mermaid), _) | (None, None) => PictureFormat::Mermaid,
        (Some(Format::Dot), _) => PictureFormat::Dot,
        (None, Some(output)) => format_of(output),
    };
    let picture = draw(flow.documents(), &[], format);
    match &args.output {
        Some(output) => files::replace(output, picture.as_bytes())?,
        None => out::write(&picture)?,
    }
    Ok(Exit::Ok)
}
