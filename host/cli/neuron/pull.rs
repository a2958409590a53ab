//! `soma neuron pull`: a component from a registry, or from the local store.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::remote;
use crate::{
    cli::{Exit, Failed, args::Bytes, files, out},
    package::Digest,
    registry::{Pulled, Settings},
};

/// Shown under `soma neuron pull --help`.
const EXAMPLES: &str = "\
Examples:
  Into the local store, and to a file:
    soma neuron pull oci://registry.example.org/team/ingester:1.0.0 -o ingester.wasm

  Only if it is the very component that was looked at before:
    soma neuron pull oci://registry.example.org/team/ingester:1.0.0 \\
      --digest sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b

  What was pulled before, without any network:
    soma neuron pull oci://registry.example.org/team/ingester:1.0.0 --offline

Behind `@` a reference may have the digest of a manifest, as in
oci://host/team/ingester@sha256:...; `--digest` is that of the component's
bytes. What is pulled is kept by its digest in
${XDG_CACHE_HOME:-~/.cache}/soma/components and checked whenever it is read.
A component whose digest is known and stored is taken from there without asking.

Registries on this machine (localhost, 127.0.0.1, [::1]) are spoken to without
TLS. Credentials come from SOMA_REGISTRY_HOST, SOMA_REGISTRY_USER and
SOMA_REGISTRY_PASSWORD, or from `~/.docker/config.json` (`docker login`).

Exit codes:
  0  here it is
  2  the arguments make no sense
  3  it is not there, not to be had with these credentials, or refused: another
     digest, no component, too large
  4  the registry did not answer in time
  5  the registry cannot be reached, or failed";

/// Arguments of `soma neuron pull`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// What: oci://host[:port]/repository[:tag][@sha256:...]
    reference: String,

    /// Write the component to this file; an old one is replaced
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Take only the component whose bytes have this digest
    #[arg(long, value_name = "sha256:HEX")]
    digest: Option<Digest>,

    /// Touch no network: take it from the local store or fail
    #[arg(long)]
    offline: bool,

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
    manifest: Option<String>,
    size_bytes: u64,
    from_store: bool,
    file: Option<String>,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let reference = remote::reference(&args.reference)?;
    let settings = Settings {
        offline: args.offline,
        plain_http: args.plain_http,
        ..remote::settings()?
    };
    let pulled = remote::ask(settings, &reference, async |registry| {
        registry.pull(&reference, args.digest).await
    })?;
    match &args.output {
        Some(path) => files::replace(path, &pulled.bytes)?,
        None if pulled.file.is_none() => {
            let message = format!("{reference} was pulled, and there is no store to keep it");
            return Err(Failed::new(Exit::Input, message).advise("name a file with `-o`"));
        }
        None => {}
    }
    let keys = Keys::new(reference.to_string(), args.output.as_deref(), &pulled);
    if args.json {
        out::write_json(&keys)?;
    } else {
        keys.print()?;
    }
    Ok(Exit::Ok)
}

impl Keys {
    fn new(reference: String, output: Option<&Path>, pulled: &Pulled) -> Self {
        let file = output.or(pulled.file.as_deref());
        Self {
            reference,
            digest: pulled.digest.to_string(),
            manifest: pulled.manifest.map(|manifest| manifest.to_string()),
            size_bytes: pulled.bytes.len() as u64,
            from_store: pulled.from_store,
            file: file.map(|file| file.display().to_string()),
        }
    }

    fn print(self) -> Result<(), Failed> {
        let verb = if self.from_store { "stored" } else { "pulled" };
        let mut lines = vec![(verb, self.reference), ("digest", self.digest)];
        lines.extend(self.manifest.map(|manifest| ("manifest", manifest)));
        lines.push(("size", Bytes(self.size_bytes).to_string()));
        lines.extend(self.file.map(|file| ("file", file)));
        remote::print(&lines)
    }
}
