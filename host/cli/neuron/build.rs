//! `soma neuron build`: one component file that carries all there is to know.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    check::{self, Findings, Item},
    component, toolchain,
};
use crate::{
    cli::{Exit, Failed, args::Bytes, files, out},
    package::{Digest, Manifest, Schemas, embed},
    rehearsal::CaseFile,
};

/// Arguments of `soma neuron build`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The project's folder, with `neuron.toml` in it
    #[arg(default_value = ".")]
    folder: PathBuf,

    /// Write the component here instead of FOLDER/target/ID.wasm
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Take this component as it is and only put the manifest into it
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    let (manifest, document) = Manifest::read(&args.folder).map_err(|all| {
        let failed = Failed::all(&all);
        if args.folder.join(Manifest::FILE).exists() {
            return failed;
        }
        failed.advise("give a project's folder; `soma neuron new` makes one")
    })?;
    let schemas = Schemas::read(&manifest, &document).map_err(|all| Failed::all(&all))?;
    let output = match &args.output {
        Some(output) => output.clone(),
        None => manifest.component(&args.folder),
    };
    if args.output.is_none() {
        // Compilers write beside it.
        files::check_place(&output)?;
    }
    let bare = match &args.component {
        Some(file) => component::read(file)?,
        None => compiled(&args.folder, &manifest)?,
    };
    let whole = embed(&bare, &manifest, &schemas).map_err(|error| {
        let from = args.component.as_ref().unwrap_or(&output);
        Failed::new(Exit::Input, format!("{}: {error}", from.display()))
    })?;
    eprintln!("checking that this host can run it (compiles it once)");
    let findings = check::examine(&whole, true)?;
    refuse(&output, &findings)?;
    match &args.output {
        Some(output) => files::replace(output, &whole)?,
        None => files::place(&output, &whole)?,
    }
    let cases = Cases::of(&args.folder);
    out::write(&report(&output, &whole, &schemas, &findings, &cases))?;
    Ok(Exit::Ok)
}

fn compiled(folder: &Path, manifest: &Manifest) -> Result<Vec<u8>, Failed> {
    let language = manifest.language.ok_or_else(|| {
        let file = folder.join(Manifest::FILE);
        let message = format!("{}: there is no `language` to build it by", file.display());
        Failed::new(Exit::Input, message).advise(
            "write for example `language = \"rust\"`, \
             or build it yourself and give the component with `--component FILE`",
        )
    })?;
    // A compiler quotes what it compiles.
    toolchain::build(language, folder, &|lines| out::say(lines))
}

/// What this host would not run is not written.
fn refuse(output: &Path, findings: &Findings) -> Result<(), Failed> {
    if findings.reasons.is_empty() {
        return Ok(());
    }
    let mut message = "this host would not run it; nothing was written".to_owned();
    for reason in &findings.reasons {
        let _ = write!(message, "\n{}", Item("- ", reason).to_string().trim_end());
    }
    Err(Failed::new(
        Exit::Input,
        format!("{}: {message}", output.display()),
    ))
}

/// What the project's cases say of how it is tried.
#[derive(Default)]
struct Cases {
    /// The command that runs them, where there are any.
    test: Option<String>,
    /// The input of the first one.
    input: Option<Value>,
}

impl Cases {
    fn of(folder: &Path) -> Self {
        let files = fs::read_dir(folder.join("cases")).into_iter().flatten();
        let paths = files.filter_map(|file| Some(file.ok()?.path()));
        let is_json = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let Some(first) = paths.filter(is_json).min() else {
            return Self::default();
        };
        let test = match folder.to_str() {
            Some(".") => "soma neuron test".to_owned(),
            _ => format!("soma neuron test {}", out::word(folder)),
        };
        let input = CaseFile::read(&first).ok();
        Self {
            test: Some(test),
            input: input.map(|case| Value::Object(case.input().clone())),
        }
    }
}

fn report(
    output: &Path,
    whole: &[u8],
    schemas: &Schemas,
    findings: &Findings,
    cases: &Cases,
) -> String {
    let mut text = String::new();
    for warning in &findings.warnings {
        let _ = write!(text, "{}", Item("warning: ", warning));
    }
    let (file, word) = (output.display(), out::word(output));
    let (digest, size) = (Digest::of(whole), Bytes(whole.len() as u64));
    let input = match (&cases.input, &schemas.input) {
        (Some(input), _) => input.clone(),
        (None, Some(schema)) => sample(schema),
        (None, None) => json!({}),
    };
    let input = out::quoted(&input.to_string());
    let _ = write!(
        text,
        "built   {file}\nsize    {size}\ndigest  {digest}\n\nnext\n"
    );
    if let Some(test) = &cases.test {
        let _ = writeln!(text, "  {test}");
    }
    let _ = write!(
        text,
        "  soma run {word} --input {input}\n  \
         soma neuron sign {word} --key FILE\n",
    );
    text
}

/// Input to begin with: the schema's own example, or what it requires, empty.
fn sample(schema: &Value) -> Value {
    let examples = schema.get("examples").and_then(Value::as_array);
    if let Some(example) = examples.and_then(|all| all.first()) {
        return example.clone();
    }
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let property = |name: &str| schema.get("properties")?.get(name)?.get("type")?.as_str();
    let values = required.map(|name| {
        let value = match property(name) {
            Some("integer" | "number") => json!(0),
            Some("boolean") => json!(false),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => json!(""),
        };
        (name.to_owned(), value)
    });
    Value::Object(values.collect())
}
