//! `soma neuron inspect`: what a component file is. Nothing in it is compiled
//! or run, so that any file can be looked at.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{asks, component};
use crate::{
    cli::{
        Exit, Failed,
        args::{Bytes, Grouped},
        out::{self, Plain},
    },
    package::{self, CONTRACT, CONTRACT_VERSION, InterfaceName, Manifest, Package},
};

/// Arguments of `soma neuron inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component file
    file: PathBuf,

    /// A public key to trust: signatures by it are marked. May be given several
    /// times
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,

    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// A signature and what it is worth.
#[derive(Serialize)]
struct Vouched {
    key: String,
    good: bool,
    trusted: bool,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let keys = args.keys.iter().map(|file| package::read_public_key(file));
    let keys: Vec<_> = keys
        .collect::<Result<_, _>>()
        .map_err(|error| Failed::new(Exit::Input, error))?;
    let (_, package) = component::open(&args.file)?;
    let vouched = package.signatures.iter().map(|signature| {
        let good = signature.fits(&package).is_ok();
        Vouched {
            key: signature.key_id(),
            good,
            trusted: good && keys.iter().any(|key| signature.is_by(key)),
        }
    });
    let vouched: Vec<_> = vouched.collect();
    if args.json {
        out::write_json(&keys_of(&args.file, &package, &vouched))?;
    } else {
        out::write(&sheet(&package, &vouched))?;
    }
    Ok(Exit::Ok)
}

/// The keys of `--json`.
fn keys_of(file: &Path, package: &Package, vouched: &[Vouched]) -> Value {
    let texts = package.metadata.texts.iter();
    let mut metadata: Map<_, _> = texts
        .map(|(name, text)| (name.clone(), Value::from(text.as_str())))
        .collect();
    let producers = package.metadata.producers.iter();
    let producers =
        producers.map(|one| json!({"role": one.role, "name": one.name, "version": one.version}));
    metadata.insert("producers".to_owned(), producers.collect());
    let unasked = package.unasked();
    let unused = package.unused();
    json!({
        "file": file.display().to_string(),
        "digest": package.digest.to_string(),
        "size_bytes": package.size_bytes,
        "manifest": package.manifest,
        "schemas": package.schemas,
        "contract": {
            "package": CONTRACT,
            "built_for": package.names.contract_versions(),
            "offered": CONTRACT_VERSION.to_string(),
        },
        "imports": package.names.imports,
        "exports": package.names.exports,
        "unasked": unasked.iter().flat_map(|one| &one.imports).collect::<Vec<_>>(),
        "unused": unused.iter().map(|one| &one.key).collect::<Vec<_>>(),
        "signatures": vouched,
        "metadata": metadata,
    })
}

/// Rows of a name and what belongs to it.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn row(&mut self, name: &str, text: impl std::fmt::Display) {
        let _ = writeln!(self.0, "{name:<13} {text}");
    }

    /// The name stands before the first line only.
    fn rows(&mut self, name: &str, lines: impl IntoIterator<Item = String>) {
        let mut name = name;
        for line in lines {
            self.row(name, line);
            name = "";
        }
    }
}

fn sheet(package: &Package, vouched: &[Vouched]) -> String {
    let mut sheet = Sheet::default();
    match &package.manifest {
        Some(manifest) => identity(&mut sheet, manifest),
        None => sheet.row("manifest", "none: the file does not say what it is"),
    }
    let size = package.size_bytes as u64;
    sheet.row("size", format!("{} ({} bytes)", Bytes(size), Grouped(size)));
    sheet.row("digest", package.digest);
    contract(&mut sheet, package);
    if let Some(manifest) = &package.manifest {
        let mut asks = asks::lines(manifest);
        if asks.is_empty() {
            asks.push("nothing".to_owned());
        }
        sheet.rows("asks for", asks);
        let wishes = asks::wishes(&manifest.limits).into_iter();
        sheet.rows(
            "wishes for",
            wishes.map(|(name, text)| format!("{name} {text}")),
        );
    }
    for (name, schema) in [
        ("input", &package.schemas.input),
        ("output", &package.schemas.output),
    ] {
        if let Some(schema) = schema {
            sheet.rows(name, outline(schema));
        }
    }
    let signed = vouched.iter().map(|one| {
        let Vouched { key, good, trusted } = one;
        let worth = match (good, trusted) {
            (false, _) => "bad: the file was changed after it was signed",
            (true, true) => "good, by a key that you trust",
            (true, false) => "good, by a key that was not given here",
        };
        format!("{key} {worth}")
    });
    if vouched.is_empty() {
        sheet.row("signed by", "nobody");
    }
    sheet.rows("signed by", signed);
    let texts = package.metadata.texts.iter();
    let texts = texts.map(|(name, text)| format!("{name}: {}", Plain(text)));
    let producers = package.metadata.producers.iter();
    let producers = producers.map(|one| {
        format!(
            "{}: {} {}",
            Plain(&one.role),
            Plain(&one.name),
            Plain(&one.version)
        )
    });
    sheet.rows("metadata", texts.chain(producers));
    for unasked in package.unasked() {
        let _ = writeln!(sheet.0, "\nwarning: {}", Plain(&unasked.to_string()));
    }
    for unused in package.unused() {
        let _ = writeln!(sheet.0, "\nwarning: {}", Plain(&unused.to_string()));
    }
    sheet.0
}

fn identity(sheet: &mut Sheet, manifest: &Manifest) {
    sheet.row("id", Plain(&manifest.id));
    sheet.row("version", Plain(&manifest.version));
    let description = manifest.description.as_deref();
    let licence = manifest.licence.as_deref();
    let kind = manifest.kind.as_deref();
    for (name, text) in [
        ("description", description),
        ("licence", licence),
        ("kind", kind),
    ] {
        if let Some(text) = text {
            sheet.row(name, Plain(text));
        }
    }
    if !manifest.capabilities.is_empty() {
        sheet.row("capabilities", Plain(&manifest.capabilities.join(", ")));
    }
    if let Some(language) = manifest.language {
        sheet.row("language", language);
    }
}

/// Which contract it was built for, and its imports by package.
fn contract(sheet: &mut Sheet, package: &Package) {
    let versions = package.names.contract_versions();
    let shown = versions.iter().map(|version| {
        let runs = if CONTRACT_VERSION.runs(version) {
            "runs on"
        } else {
            "does not run on"
        };
        format!(
            "{CONTRACT}@{}, {runs} this host's {CONTRACT_VERSION}",
            Plain(version)
        )
    });
    sheet.rows("contract", shown);
    if versions.is_empty() {
        sheet.row(
            "contract",
            format!("none: it has nothing to do with {CONTRACT}"),
        );
    }
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for import in &package.names.imports {
        let (group, name) = match InterfaceName::parse(import) {
            Some(name) => (format!("{}@{}", name.package, name.version), name.interface),
            None => (String::new(), import.as_str()),
        };
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, names)) => names.push(name),
            None => groups.push((group, vec![name])),
        }
    }
    if groups.is_empty() {
        sheet.row("imports", "nothing");
    }
    let lines = groups.into_iter().map(|(group, names)| {
        let names = names.join(", ");
        if group.is_empty() {
            Plain(&names).to_string()
        } else {
            Plain(&format!("{group}: {names}")).to_string()
        }
    });
    sheet.rows("imports", lines);
}

/// A line for each key of an object; other schemas whole, on one line.
fn outline(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        return vec![Plain(&schema.to_string()).to_string()];
    };
    let required = schema.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(name)));
    let line = |(name, part): (&String, &Value)| {
        let mut line = Plain(name).to_string();
        if let Some(kind) = part.get("type").and_then(Value::as_str) {
            line += &format!(", {}", Plain(kind));
        }
        if is_required(name) {
            line += ", required";
        }
        if let Some(words) = part.get("description").and_then(Value::as_str) {
            line += &format!(": {}", Plain(words));
        }
        line
    };
    properties.iter().map(line).collect()
}
