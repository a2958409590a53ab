//! `soma neuron push`: a component into a registry.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::remote;
use crate::{
    cli::{Exit, Failed, args::Bytes, out, refusal},
    neuron::Plugin,
    registry::Settings,
};

/// Shown under `soma neuron push --help`.
const EXAMPLES: &str = "\
Examples:
  A new version, under a tag:
    soma neuron push ingester.wasm oci://registry.example.org/team/ingester:1.0.0

  With an annotation of its manifest, as JSON for a script:
    soma neuron push ingester.wasm oci://registry.example.org/team/ingester:1.0.0 \\
      --annotation org.opencontainers.image.revision=3f2c1a0 --json

  Into a registry on this machine, which needs no TLS:
    soma neuron push ingester.wasm oci://localhost:5000/ingester:dev

The component's own name, version, description, licences, authors, source,
homepage and revision become annotations by themselves. The printed digest is
that of the file: what a deployment pins.

Credentials come from SOMA_REGISTRY_HOST, SOMA_REGISTRY_USER and
SOMA_REGISTRY_PASSWORD, or from `~/.docker/config.json` (`docker login`).

Exit codes:
  0  it is there
  2  the arguments make no sense
  3  the file is missing or no component, or the registry refused it or us
  4  the registry did not answer in time
  5  the registry cannot be reached, or failed";

/// Arguments of `soma neuron push`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// The component file, as `soma neuron build` writes it
    file: PathBuf,

    /// Where to: oci://host[:port]/repository[:tag]
    reference: String,

    /// Add this to the manifest; may be given several times
    #[arg(long = "annotation", value_name = "KEY=VALUE", value_parser = annotation)]
    annotations: Vec<(String, String)>,

    /// Speak HTTP without TLS with this registry, credentials included
    #[arg(long)]
    plain_http: bool,

    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// The keys of `--json`, in this order.
#[derive(Serialize)]
struct Keys {
    reference: String,
    digest: String,
    manifest: String,
    size_bytes: u64,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let reference = remote::reference(&args.reference)?;
    let component = read(&args.file).map_err(|error| {
        let message = format!("cannot read {}: {error}", args.file.display());
        let failed = Failed::new(Exit::Input, message);
        match refusal::folder(&args.file) {
            Some(advice) => failed.advise(advice),
            None => failed,
        }
    })?;
    // The registry's words for it do not say which file it was.
    Plugin::check_form(&component)
        .map_err(|error| Failed::new(Exit::Input, format!("{}: {error}", args.file.display())))?;
    let size_bytes = component.len() as u64;
    let settings = Settings {
        plain_http: args.plain_http,
        ..remote::settings()?
    };
    let annotations = args.annotations.iter().cloned().collect();
    let pushed = remote::ask(settings, &reference, async |registry| {
        registry.push(component, &reference, &annotations).await
    })?;
    let keys = Keys {
        reference: reference.to_string(),
        digest: pushed.digest.to_string(),
        manifest: pushed.manifest.to_string(),
        size_bytes,
    };
    if args.json {
        out::write_json(&keys)?;
    } else {
        let Keys {
            reference,
            digest,
            manifest,
            size_bytes,
        } = keys;
        remote::print(&[
            ("pushed", reference),
            ("digest", digest),
            ("manifest", manifest),
            ("size", Bytes(size_bytes).to_string()),
        ])?;
    }
    Ok(Exit::Ok)
}

/// The file, and no more of it than shows that it is too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(Plugin::MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn annotation(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, for example org.opencontainers.image.version=1.0.0".to_owned()),
    }
}
