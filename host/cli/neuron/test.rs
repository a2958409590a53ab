//! `soma neuron test`: the cases beside a neuron, run in the real sandbox.

use std::{
    fs, io,
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    cli::{
        Exit, Failed,
        args::{self, Grouped},
        files, log, out, paths, run, start,
    },
    neuron::{CompilerLimits, Plugin, Sandbox, SandboxConfig, SandboxError},
    package::{Manifest, Problems, is_name},
    rehearsal::{CaseFile, Rehearsal, RehearsalError, Run, Verdict},
    signal::Object,
};

/// Shown under `soma neuron test --help`.
const EXAMPLES: &str = "\
Examples:
  All cases in the folder `cases` beside the component:
    soma neuron test notes.wasm

  A new case out of one run:
    soma neuron test notes.wasm --record first --input '{\"note\": \"hello\"}'

  What the cases expect becomes what comes, wildcards stay where they hold:
    soma neuron test notes.wasm --update

Exit codes:
  0  all is as expected
  1  something is not
  2  the arguments make no sense
  3  a file is missing, a case is wrong, or the component was refused
  5  the host itself could not start";

/// Arguments of `soma neuron test`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// The component file, or a project folder with a built component
    #[arg(default_value = ".")]
    neuron: PathBuf,

    /// Only these cases, by the names of their files without `.json`
    #[arg(value_name = "CASE")]
    only: Vec<String>,

    /// The folder of the cases; `cases` beside the component or in the project
    /// folder unless given
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,

    /// Run once and write a case of this name, with all that came of it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["only", "update"])]
    record: Option<String>,

    /// With `--record`: input of the task, a JSON object
    #[arg(
        long,
        value_name = "JSON",
        default_value = "{}",
        requires = "record",
        hide_default_value = true
    )]
    input: String,

    /// Rewrite what the cases expect to what comes
    #[arg(long)]
    update: bool,

    /// Most real time of a case, which is stopped then and has failed
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = args::duration)]
    patience: Duration,

    /// Write one JSON object a case, each on a line, instead of text
    #[arg(long)]
    json: bool,
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    log::start(false)?;
    let (component, beside) = find(&args.neuron)?;
    let folder = args.cases.clone().unwrap_or_else(|| beside.join("cases"));
    match &args.record {
        Some(name) => record(args, &component, &folder, name),
        None => test(args, &component, &folder),
    }
}

/// The component, and the folder that its cases lie in.
fn find(neuron: &Path) -> Result<(PathBuf, PathBuf), Failed> {
    let name = neuron.to_str().filter(|name| is_name(name));
    if let Some(name) = name.filter(|_| !neuron.exists()) {
        let message = format!("there is no component or project `{name}`");
        return Err(Failed::new(Exit::Input, message).advise(format!(
            "a case is named behind the project's folder: soma neuron test . {name}"
        )));
    }
    if !neuron.is_dir() {
        let beside = neuron.parent().unwrap_or(Path::new("")).to_owned();
        return Ok((neuron.to_owned(), beside));
    }
    let (manifest, _) =
        Manifest::read(neuron).map_err(|problems| Failed::new(Exit::Input, problems))?;
    let component = manifest.component(neuron);
    if component.is_file() {
        return Ok((component, neuron.to_owned()));
    }
    let folder = out::word(neuron);
    let message = format!("{} is not there", component.display());
    Err(Failed::new(Exit::Input, message)
        .advise(format!("build it with `soma neuron build {folder}`")))
}

fn rehearsal(component: &Path, patience: Duration) -> Result<Rehearsal, Failed> {
    let wasm = Plugin::read(component).map_err(|error| run::refused(component, &error))?;
    let name = component.file_stem().unwrap_or_default().to_string_lossy();
    let rehearsal = Rehearsal::new(sandbox()?, &name, wasm);
    let rehearsal = rehearsal.map_err(|error| failed(component, RehearsalError::Package(error)))?;
    Ok(rehearsal.patience(patience))
}

/// A small sandbox with the code cache, or without where there can be none.
fn sandbox() -> Result<Sandbox, Failed> {
    let config = SandboxConfig {
        instances: 4,
        workers: 1,
        code_cache: paths::code_cache(),
        compiler: start::compiler(CompilerLimits::default()),
        ..SandboxConfig::default()
    };
    let sandbox = match Sandbox::new(&config) {
        Err(SandboxError::Cache(error)) => {
            tracing::warn!(%error, "compiled code is not kept");
            let code_cache = None;
            Sandbox::new(&SandboxConfig {
                code_cache,
                ..config
            })
        }
        other => other,
    };
    sandbox.map_err(|error| Failed::new(Exit::Host, error))
}

fn failed(component: &Path, error: RehearsalError) -> Failed {
    match error {
        RehearsalError::Load(error) => run::refused(component, &error),
        RehearsalError::Case(problems) => Failed::new(Exit::Input, problems),
        other => Failed::new(
            Exit::Input,
            format!("{} was refused: {other}", component.display()),
        ),
    }
}

fn record(args: &Args, component: &Path, folder: &Path, name: &str) -> Result<Exit, Failed> {
    if !is_name(name) {
        let message = format!("{name:?} cannot be the name of a case");
        return Err(Failed::new(Exit::Usage, message)
            .advise("use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`; its file is NAME.json"));
    }
    let input: Object = serde_json::from_str(&args.input).map_err(|error| {
        Failed::new(Exit::Usage, format!("--input is no JSON object: {error}"))
            .advise("write for example {\"question\": \"why?\"}")
    })?;
    let path = folder.join(format!("{name}.json"));
    if path.exists() {
        return Err(
            Failed::new(Exit::Usage, format!("{} is there already", path.display()))
                .advise("`--update` rewrites what a case expects"),
        );
    }
    let case = CaseFile::of_input(&path, input).map_err(wrong_cases)?;
    let run = rehearsal(component, args.patience)?
        .run(&case)
        .map_err(|error| failed(component, error))?;
    if let Some(words) = run.refusal() {
        let message = format!("{} was refused: {words}", component.display());
        return Err(Failed::new(Exit::Input, message)
            .advise("write a case with the `grants` that it needs and run it with `--update`"));
    }
    if run.is_cut() {
        let patience = args.patience;
        let message = format!("it had not ended after {patience:?} of real time, and was stopped");
        return Err(Failed::new(Exit::Failed, message).advise("allow more with `--patience`"));
    }
    let text = case.with_expectation(&run.expectation());
    files::place(&path, text.as_bytes())?;
    let told = if args.json {
        let path = path.display().to_string();
        line(
            json!({"recorded": path, "fuel": run.usage().fuel, "host_calls": run.usage().host_calls}),
        )
    } else {
        out::plain(&format!("recorded {}  {}\n", path.display(), costs(&run)))
    };
    out::write_as_it_is(&told)?;
    Ok(Exit::Ok)
}

fn wrong_cases(problems: Problems) -> Failed {
    Failed::new(Exit::Input, problems)
}

fn line(value: Value) -> String {
    format!("{value}\n")
}

fn costs(run: &Run) -> String {
    let usage = run.usage();
    let calls = match usage.host_calls {
        1 => "1 host call".to_owned(),
        count => format!("{} host calls", Grouped(count)),
    };
    format!("{} fuel, {calls}", Grouped(usage.fuel))
}

/// Reads the cases of a folder, all or those that are named, by name.
fn read_cases(args: &Args, folder: &Path) -> Result<Vec<CaseFile>, Failed> {
    let missing = |what: String| {
        Failed::new(Exit::Input, what).advise(
            "write a case, or record one: `--record NAME --input JSON` (docs/testing-neurons.md)",
        )
    };
    let shown = folder.display();
    let files = fs::read_dir(folder)
        .map_err(|error| missing(format!("cannot read the folder of cases {shown}: {error}")))?;
    let mut paths: Vec<PathBuf> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    if paths.is_empty() {
        return Err(missing(format!("there is no case in {shown}")));
    }
    let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_owned();
    let known: Vec<_> = paths.iter().map(stem).collect();
    if let Some(name) = args
        .only
        .iter()
        .find(|name| !known.iter().any(|stem| stem == name.as_str()))
    {
        let known: Vec<_> = known.iter().map(|stem| stem.to_string_lossy()).collect();
        let message = format!("there is no case `{name}` in {shown}");
        return Err(
            Failed::new(Exit::Usage, message).advise(format!("there are `{}`", known.join("`, `")))
        );
    }
    if !args.only.is_empty() {
        paths.retain(|path| args.only.iter().any(|name| stem(path) == name.as_str()));
    }
    let mut cases = Vec::new();
    let mut wrong = Vec::new();
    for path in &paths {
        match CaseFile::read(path) {
            Ok(case) if case.expectation().is_null() && !args.update => wrong.push(
                case.problem(&[], "nothing is expected")
                    .help("`--update` writes down what comes"),
            ),
            Ok(case) => cases.push(case),
            Err(Problems(problems)) => wrong.extend(problems),
        }
    }
    Problems::unless_any(wrong, cases).map_err(wrong_cases)
}

fn test(args: &Args, component: &Path, folder: &Path) -> Result<Exit, Failed> {
    let cases = read_cases(args, folder)?;
    let rehearsal = rehearsal(component, args.patience)?;
    let width = cases.iter().map(|case| case.name().chars().count()).max();
    let report = Report {
        json: args.json,
        colours: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        width: width.unwrap_or_default(),
    };
    let mut counts = Counts::default();
    for case in &cases {
        let run = rehearsal
            .run(case)
            .map_err(|error| failed(component, error))?;
        let verdict = run.against(case);
        let ended = if args.update && !run.is_cut() {
            update(case, &run, &verdict)?
        } else if verdict.is_ok() {
            Ended::Ok
        } else {
            Ended::Failed
        };
        counts.add(ended);
        out::write_as_it_is(&report.case(case, &run, &verdict, ended))?;
    }
    if !args.json {
        out::write(&counts.told(args.update))?;
    }
    Ok(if counts.failed == 0 {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// Writes down what came. What the case has and did not use stays wrong.
fn update(case: &CaseFile, run: &Run, verdict: &Verdict) -> Result<Ended, Failed> {
    let expectation = if case.expectation().is_null() {
        run.expectation()
    } else {
        verdict.got().clone()
    };
    let is_new = expectation != *case.expectation();
    if is_new {
        files::place(case.path(), case.with_expectation(&expectation).as_bytes())?;
    }
    Ok(match (verdict.wrong(), is_new) {
        ([], false) => Ended::Ok,
        ([], true) => Ended::Updated,
        _ => Ended::Failed,
    })
}

/// How a case ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Ok,
    Updated,
    Failed,
}

#[derive(Default)]
struct Counts {
    passed: usize,
    updated: usize,
    failed: usize,
}

impl Counts {
    fn add(&mut self, ended: Ended) {
        match ended {
            Ended::Ok => self.passed += 1,
            Ended::Updated => self.updated += 1,
            Ended::Failed => self.failed += 1,
        }
    }

    fn told(&self, with_updated: bool) -> String {
        let Self {
            passed,
            updated,
            failed,
        } = self;
        let updated = if with_updated {
            format!(", {updated} updated")
        } else {
            String::new()
        };
        format!("\n{passed} passed{updated}, {failed} failed\n")
    }
}

struct Report {
    json: bool,
    colours: bool,
    /// Columns of the longest name.
    width: usize,
}

impl Report {
    fn case(&self, case: &CaseFile, run: &Run, verdict: &Verdict, ended: Ended) -> String {
        let diff = match ended {
            Ended::Failed => verdict.diff(),
            Ended::Ok | Ended::Updated => String::new(),
        };
        if self.json {
            let usage = run.usage();
            return line(json!({
                "case": case.name(),
                "ok": ended != Ended::Failed,
                "updated": ended == Ended::Updated,
                "fuel": usage.fuel,
                "host_calls": usage.host_calls,
                "peak_memory_bytes": usage.peak_memory_bytes,
                "diff": diff,
                "problems": verdict.wrong(),
            }));
        }
        let word = match ended {
            Ended::Ok => self.coloured("32", "ok     "),
            Ended::Updated => self.coloured("33", "updated"),
            Ended::Failed => self.coloured("31", "FAILED "),
        };
        let width = self.width;
        let name = out::plain(case.name());
        let mut text = format!("{word}  {name:width$}  {}\n", costs(run));
        for line in out::plain(&diff).lines() {
            let line = match line.as_bytes().first() {
                Some(b'-') => self.coloured("31", line),
                Some(b'+') => self.coloured("32", line),
                Some(b'@') => self.coloured("36", line),
                _ => line.to_owned(),
            };
            text += &format!("  {line}\n");
        }
        for problem in verdict.wrong() {
            text += &format!("  {}\n", out::plain(problem));
        }
        text
    }

    fn coloured(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
