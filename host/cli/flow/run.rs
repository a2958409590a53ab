//! `soma flow run` and `soma flow resume`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    interrupt::{Ended, until_ended},
    live,
    source::{Documents, Neurons, Stage},
};
use crate::{
    cli::{Exit, Failed, args, check::refused, files, input::InputArgs, log, out},
    flow::{
        Ask, CheckpointFile, Execution, FileError, Flow, Lifecycle, Note, OnFailure, Question, Run,
        RunOptions, draw,
    },
    signal::Object,
};

/// Shown under `soma flow run --help`.
const EXAMPLES: &str = "\
Examples:
  Reads documents into an engram, then writes an answer in a bounded loop:
    soma flow run examples/flows/answer.json examples/flows/compose-retry-loop.json \\
      --deployment examples/flows/soma.toml --input-file examples/flows/question.json

  The same, so that another process can go on when this one is gone:
    soma flow run … --checkpoint run.json
    soma flow resume … --checkpoint run.json

With `--checkpoint` all that nodes have done is in the file before it counts;
the file of a run that completes is removed. Without it the writes of a run that
does not complete are undone.

An interrupt (Ctrl-C, or SIGTERM) lets what runs end and pauses a run with
`--checkpoint`; a second one stops it, as the first does without.

Exit codes:
  0  the run completed, or waits for an answer
  1  it failed or was cancelled
  2  the arguments make no sense
  3  a file is missing, unreadable or refused
  4  the time ran out
  5  the host itself could not start
  130  it was interrupted";

/// Arguments of `soma flow run`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct RunArgs {
    #[command(flatten)]
    documents: Documents,

    #[command(flatten)]
    neurons: Neurons,

    #[command(flatten)]
    input: InputArgs,

    /// Keep what is done in this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,

    #[command(flatten)]
    terms: Terms,
}

/// Arguments of `soma flow resume`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    documents: Documents,

    #[command(flatten)]
    neurons: Neurons,

    /// The file of the run to go on with
    #[arg(long, value_name = "FILE", required = true)]
    checkpoint: PathBuf,

    /// The answer to a question: JSON or text. `QUESTION=ANSWER` where the run
    /// asks several
    #[arg(long = "answer", value_name = "ANSWER")]
    answers: Vec<String>,

    #[command(flatten)]
    terms: Terms,
}

/// Bounds of a run, and how it is shown.
#[derive(Debug, clap::Args)]
struct Terms {
    /// Most time for the run
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = args::duration)]
    deadline: Duration,

    /// Most nodes that it runs, members and items included
    #[arg(long, value_name = "N", default_value = "100_000", value_parser = args::count)]
    max_steps: u64,

    /// Most items of one fan-out
    #[arg(long, value_name = "N", default_value = "100_000", value_parser = args::count)]
    max_items: u64,

    /// Most memory for the states, notes and results of the run
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = args::size)]
    max_state: usize,

    /// Keep the writes of a run that fails
    #[arg(long)]
    keep_writes: bool,

    /// Synchronise the checkpoint with the disk at each step
    #[arg(long)]
    durable: bool,

    /// Draw the way that the run took into this file: `.dot` for Graphviz, all
    /// else for Mermaid
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,

    /// Write what happens as lines of JSON, the result last
    #[arg(long)]
    events: bool,

    /// Write the result as one JSON object instead of text
    #[arg(long, conflicts_with = "events")]
    json: bool,

    /// Show information lines of the log too
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn main(args: &RunArgs) -> Result<Exit, Failed> {
    log::start(args.terms.verbose)?;
    args.terms.check_picture()?;
    let input = args.input.read("flow")?;
    let read = args
        .documents
        .read()
        .map_err(|problems| refused(&problems))?;
    let stage = args.neurons.stage()?;
    let flow = read
        .flow(&stage.nodes)
        .map_err(|problems| refused(&problems))?;
    let journal = match &args.checkpoint {
        None => None,
        Some(file) => Some(CheckpointFile::create(file).map_err(|error| unusable(&error))?),
    };
    let state = match input.value {
        Value::Object(state) => state,
        _ => Object::new(),
    };
    let options = args.terms.options(journal);
    let execution = flow.start(&stage.tenant, state, options);
    args.terms
        .finish(&stage, &flow, execution, args.checkpoint.as_ref())
}

pub(super) fn resume(args: &ResumeArgs) -> Result<Exit, Failed> {
    log::start(args.terms.verbose)?;
    args.terms.check_picture()?;
    let read = args
        .documents
        .read()
        .map_err(|problems| refused(&problems))?;
    let (journal, checkpoint) =
        CheckpointFile::open(&args.checkpoint).map_err(|error| unusable(&error))?;
    let stage = args.neurons.stage()?;
    let flow = read
        .flow(&stage.nodes)
        .map_err(|problems| refused(&problems))?;
    let told = |error| {
        let told = format!("{}: {error}", args.checkpoint.display());
        Failed::new(Exit::Input, told)
    };
    let questions = checkpoint.questions(&flow).map_err(told)?;
    let answers = answers(&args.answers, &questions)?;
    let options = args.terms.options(Some(journal));
    let execution = flow
        .resume(&stage.tenant, checkpoint, answers, options)
        .map_err(told)?;
    args.terms
        .finish(&stage, &flow, execution, Some(&args.checkpoint))
}

/// Which question each answer is for.
fn answers(given: &[String], questions: &[Question]) -> Result<Vec<(String, Value)>, Failed> {
    let value = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.into());
    let ids: Vec<_> = questions.iter().map(Question::id).collect();
    let mut answers: Vec<(String, Value)> = Vec::new();
    for text in given {
        let wrong = |words: String| {
            let told = format!("--answer {text}: {words}");
            let failed = Failed::new(Exit::Usage, told);
            Err(match ids.as_slice() {
                [] => failed,
                ids => failed.advise(format!("the run asks {}", ids.join(", "))),
            })
        };
        let named = text.split_once('=').filter(|(id, _)| {
            let id = (*id).to_owned();
            ids.contains(&id)
        });
        // What begins as the id of an item is no answer to another question.
        let unknown = text.split_once('=').filter(|(id, _)| {
            let item = id.strip_suffix(']').and_then(|id| id.split_once('['));
            item.is_some_and(|(at, _)| questions.iter().any(|one| *one.placement == *at))
        });
        let (id, answer) = match (named, ids.as_slice()) {
            (Some((id, answer)), _) => (id.to_owned(), value(answer)),
            (None, _) if unknown.is_some() => {
                let id = unknown.map_or("", |(id, _)| id);
                return wrong(format!("there is no question `{id}`"));
            }
            (None, [only]) => (only.clone(), value(text)),
            (None, []) => return wrong("the run asked nothing".to_owned()),
            (None, _) => {
                return wrong("the run asks several questions; write QUESTION=ANSWER".to_owned());
            }
        };
        if answers.iter().any(|(known, _)| *known == id) {
            return wrong(format!("`{id}` is answered twice"));
        }
        answers.push((id, answer));
    }
    Ok(answers)
}

fn unusable(error: &FileError) -> Failed {
    Failed::new(Exit::Input, error)
}

impl Terms {
    fn options(&self, journal: Option<CheckpointFile>) -> RunOptions {
        let journal = journal.map(|file| if self.durable { file.durable() } else { file });
        RunOptions {
            max_steps: self.max_steps,
            max_items: usize::try_from(self.max_items).unwrap_or(usize::MAX),
            max_state_bytes: self.max_state,
            deadline: self.deadline,
            on_failure: if self.keep_writes {
                OnFailure::Keep
            } else {
                OnFailure::Rollback
            },
            observers: live::observers(self.events),
            journal: journal.map(|file| Box::new(file) as _),
            ..RunOptions::default()
        }
    }

    /// Runs it to its end and says how that was.
    fn finish(
        &self,
        stage: &Stage,
        flow: &Flow,
        execution: Execution,
        checkpoint: Option<&PathBuf>,
    ) -> Result<Exit, Failed> {
        let ended = stage.host.run(until_ended(execution, checkpoint.is_some()));
        let Ended { run, interrupted } = ended.map_err(|error| {
            Failed::new(Exit::Host, format!("cannot listen to interrupts: {error}"))
        })?;
        if self.events {
            out::write(&format!("{}\n", result(&run, true)))?;
        } else if self.json {
            out::write_json(&result(&run, false))?;
        } else {
            out::write(&text(&run, checkpoint))?;
        }
        // The result is out, whatever becomes of its picture.
        let drawn = self.draw(flow, &run);
        let why = match &run.error {
            Some(cause) => format!("{}: {cause}", run.lifecycle()),
            None if run.lifecycle() == Lifecycle::Paused => "paused: interrupted".to_owned(),
            None => return drawn.map(|()| Exit::Ok),
        };
        if let Err(failed) = drawn {
            failed.report();
        }
        let exit = match run.lifecycle() {
            Lifecycle::Paused | Lifecycle::Cancelled if interrupted => Exit::Interrupted,
            Lifecycle::TimedOut => Exit::Timeout,
            _ => Exit::Failed,
        };
        let failed = Failed::new(exit, why);
        Err(match (checkpoint, &run.checkpoint) {
            (Some(file), Some(_)) => failed.advise(goes_on(file)),
            _ => failed,
        })
    }

    fn draw(&self, flow: &Flow, run: &Run) -> Result<(), Failed> {
        let Some(picture) = &self.picture else {
            return Ok(());
        };
        let format = super::draw::format_of(picture);
        let text = draw(flow.documents(), &run.executed, format);
        files::replace(picture, text.as_bytes())
    }

    /// What could only be found out at the end of a run, where it can be found
    /// out before.
    fn check_picture(&self) -> Result<(), Failed> {
        let folder = self.picture.as_deref().and_then(Path::parent);
        match folder.filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            None => Ok(()),
            Some(folder) => {
                let told = format!("--picture: there is no folder {}", folder.display());
                Err(Failed::new(Exit::Input, told))
            }
        }
    }
}

fn goes_on(file: &Path) -> String {
    let file = file.display();
    format!("`soma flow resume` with `--checkpoint {file}` goes on from there")
}

/// The result for machines.
fn result(run: &Run, is_event: bool) -> Value {
    let mut keys = Object::new();
    if is_event {
        keys.insert("event".to_owned(), "result".into());
    }
    let time = |at: Option<crate::signal::Timestamp>| at.map(|at| at.to_string());
    let executed: Vec<_> = run.executed.iter().map(|step| step.to_json()).collect();
    let questions: Vec<_> = run.questions.iter().map(Question::to_json).collect();
    let rest = json!({
        "lifecycle": run.lifecycle().as_str(),
        "started_at": time(run.life.started_at),
        "finished_at": time(run.life.finished_at),
        "error": run.error.as_ref().map(ToString::to_string),
        "trace_id": run.trace.to_string(),
        "state": run.state,
        "errors": run.notes.errors,
        "warnings": run.notes.warnings,
        "questions": questions,
        "executed": executed,
        "steps": run.steps,
    });
    if let Value::Object(rest) = rest {
        keys.extend(rest);
    }
    Value::Object(keys)
}

/// The result for a person.
fn text(run: &Run, checkpoint: Option<&PathBuf>) -> String {
    let state = serde_json::to_string_pretty(&run.state).unwrap_or_default();
    let mut text = format!("{}\n{state}\n", run.lifecycle());
    let notes = run.notes.errors.iter().map(|note| ("error", note));
    let warnings = run.notes.warnings.iter().map(|note| ("warning", note));
    let notes: Vec<(&str, &Note)> = notes.chain(warnings).collect();
    if !notes.is_empty() {
        text.push('\n');
    }
    for (kind, note) in notes {
        let line = format!(
            "{kind:<8} {}: {}: {}",
            note.placement, note.code, note.message
        );
        text.push_str(&format!("{}\n", out::Plain(&line)));
    }
    for question in &run.questions {
        let asked = match &question.ask {
            Ask::Clarification { question, .. } => question.clone(),
            Ask::Permission {
                action,
                scope,
                reason,
                ..
            } => {
                let scope = scope.as_ref().map(|scope| format!(" {scope}"));
                let reason = reason.as_ref().map(|reason| format!(" {reason}"));
                format!(
                    "may it {action}{}?{}",
                    scope.unwrap_or_default(),
                    reason.unwrap_or_default()
                )
            }
        };
        let line = format!("{} asks: {asked}", question.id());
        text.push_str(&format!("\n{}\n", out::Plain(&line)));
    }
    if !run.questions.is_empty() {
        let advice = match checkpoint {
            Some(file) => format!("{} with `--answer`", goes_on(file)),
            None => "run it with `--checkpoint FILE` to answer later".to_owned(),
        };
        text.push_str(&format!("{advice}\n"));
    }
    text.push_str(&format!("\nsteps    {}\n", run.steps));
    text
}
