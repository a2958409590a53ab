//! The Archivist's library, and scripted visits to it. The example shows them;
//! the tests hold what comes of them against files.

use std::{
    collections::BTreeMap, error::Error, fmt::Write, fs, path::Path, sync::Arc, time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json};
use soma::{
    Host,
    clock::Random,
    deployment::{Deployment, Running},
    engram::{Draft, Engram, Imprint, Op, Query},
    flow::{
        Checkpoint, Control, Event, EventKind, Execution, Flow, Lifecycle, Nodes, OnFailure, Run,
        RunOptions, document::DagFile,
    },
    orchestration::TenantHandle,
    registry::{Registry, Settings},
    signal::Object,
};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A scripted situation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Scenario {
    /// What it shows.
    pub(crate) about: String,
    /// The state that the visit begins with.
    pub(crate) input: Object,
    /// Earlier visits, oldest first.
    #[serde(default)]
    pub(crate) visits: Vec<Value>,
    /// Answers to questions back, in order.
    #[serde(default)]
    pub(crate) answers: Vec<Value>,
    /// How long the run may take.
    #[serde(default)]
    pub(crate) deadline_ms: Option<u64>,
    /// When the run is aborted, to be resumed.
    #[serde(default)]
    pub(crate) abort: Option<Abort>,
    /// What comes of it, in words.
    #[serde(default)]
    pub(crate) expects: Vec<String>,
}

/// The end of a pass at which a run is aborted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Abort {
    after: Vec<String>,
    pass: u32,
}

impl Scenario {
    /// Reads one.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// The library with its neurons at their desks and its books on their shelves.
#[derive(Clone)]
pub(crate) struct Library {
    tenant: TenantHandle,
    visit: Flow,
    visits: Arc<dyn Engram>,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/archivist"))
}

fn flow(file: &str, nodes: &Nodes) -> Result<Flow> {
    let file = DagFile::read(&folder().join(file))?;
    Ok(Flow::new(file.dags(), nodes)?)
}

impl Library {
    /// Opens it on a host: loads the neurons and shelves the catalogue.
    pub(crate) fn open(host: &Host) -> Result<Self> {
        let deployment = Deployment::read(&folder().join("soma.toml"))?;
        let registry = Registry::new(Settings::default(), host.clock().clone(), Random::system());
        deployment.apply(host, &registry, &mut Running::default())?;
        let tenant = host
            .tenant("library")
            .ok_or("there is no tenant `library`")?;
        let nodes = Nodes::of(&tenant);
        let library = Self {
            visit: flow("archivist.json", &nodes)?,
            visits: tenant
                .tenant()
                .engram("visits")
                .ok_or("no engram `visits`")?,
            tenant,
        };
        let stock = flow("stock-shelves.json", &nodes)?;
        let catalogue = fs::read_to_string(folder().join("catalogue.json"))?;
        let catalogue = serde_json::from_str(&catalogue)?;
        let tenant = library.tenant.clone();
        let stocked =
            host.run(async move { stock.run(&tenant, catalogue, RunOptions::default()).await });
        match stocked.error {
            None => Ok(library),
            Some(cause) => Err(cause.into()),
        }
    }

    /// Plays a scenario: what happened, a line each, and the visitor's response.
    pub(crate) async fn play(&self, scenario: &Scenario) -> Result<String> {
        self.remember(&scenario.visits).await?;
        let mut trace = Trace::default();
        trace.say(format_args!("# {}", scenario.about));
        for expected in &scenario.expects {
            trace.say(format_args!("#   {expected}"));
        }
        let mut answers = scenario.answers.iter();
        let mut execution =
            self.visit
                .start(&self.tenant, scenario.input.clone(), options(scenario));
        let mut abort = scenario.abort.clone();
        loop {
            let run = trace.follow(execution, abort.take()).await;
            let goes_on = matches!(
                run.lifecycle(),
                Lifecycle::AwaitingInput | Lifecycle::Cancelled
            );
            let Some(checkpoint) = run.checkpoint.clone().filter(|_| goes_on) else {
                trace.end(&run);
                break;
            };
            // As text, as it goes to another process.
            let checkpoint = Checkpoint::parse(&checkpoint.to_string())?;
            let given: Vec<_> = run
                .questions
                .iter()
                .filter_map(|question| Some((question.id(), answers.next()?.clone())))
                .collect();
            if run.lifecycle() == Lifecycle::AwaitingInput && given.is_empty() {
                trace.end(&run);
                break;
            }
            trace.resumes(&given);
            execution = self
                .visit
                .resume(&self.tenant, checkpoint, given, options(scenario))?;
        }
        let kept = self.forget().await?;
        trace.say(format_args!("visits kept: {kept}"));
        Ok(trace.text)
    }

    /// Writes earlier visits down.
    async fn remember(&self, visits: &[Value]) -> Result<()> {
        for visit in visits {
            let imprint = Imprint {
                op: Op::Append,
                entry: Draft {
                    id: None,
                    content: visit.clone(),
                    tags: vec!["visit".to_owned()],
                    meta: Object::new(),
                    embedding: None,
                },
                merge_key: None,
                idempotency_key: None,
            };
            self.visits.imprint(imprint, None).await?;
        }
        Ok(())
    }

    /// Removes all visits, and says how many there were.
    async fn forget(&self) -> Result<usize> {
        let all = Query {
            top_k: Some(1_000),
            ..Query::default()
        };
        let found = self.visits.recall(&all).await?.hits;
        let count = found.len();
        for hit in found {
            let imprint = Imprint {
                op: Op::Delete,
                entry: Draft {
                    id: Some(hit.entry.id.clone()),
                    content: Value::Null,
                    tags: Vec::new(),
                    meta: Object::new(),
                    embedding: None,
                },
                merge_key: None,
                idempotency_key: None,
            };
            self.visits.imprint(imprint, None).await?;
        }
        Ok(count)
    }
}

fn options(scenario: &Scenario) -> RunOptions {
    let usual = RunOptions::default();
    RunOptions {
        deadline: scenario
            .deadline_ms
            .map_or(usual.deadline, Duration::from_millis),
        // What an aborted run has written stays: it is gone on with.
        on_failure: OnFailure::Keep,
        ..usual
    }
}

/// What happened, a line each. Members of a group end in any order: they are
/// told in that of their names.
#[derive(Default)]
struct Trace {
    text: String,
    group: Option<Vec<String>>,
}

impl Trace {
    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        match &mut self.group {
            Some(lines) => lines.push(line.to_string()),
            None => {
                let _ = writeln!(self.text, "{line}");
            }
        }
    }

    fn settle(&mut self) {
        if let Some(mut lines) = self.group.take() {
            lines.sort();
            for line in lines {
                let _ = writeln!(self.text, "{line}");
            }
        }
    }

    /// Runs to the end, or until the moment at which the script aborts.
    async fn follow(&mut self, mut execution: Execution, mut abort: Option<Abort>) -> Run {
        let control = execution.control();
        while let Some(event) = execution.next().await {
            self.tell(&event);
            aborted(&control, &event, &mut abort);
        }
        self.settle();
        execution.finish().await
    }

    fn tell(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Group { .. } => self.group = Some(Vec::new()),
            EventKind::Retrying { node, cause, after } => self.say(format_args!(
                "{} attempt {}: {}, again after {} ms",
                node.placement,
                node.attempt,
                cause.code,
                after.as_millis()
            )),
            EventKind::NodeEnded { step, .. } => {
                let pass = match step.pass {
                    1 => String::new(),
                    pass => format!(" pass {pass}"),
                };
                match (&step.failed, step.route.as_deref()) {
                    (Some(failed), _) => self.say(format_args!(
                        "{}{pass} failed: {}: {}",
                        step.placement, failed.code, failed.message
                    )),
                    (None, route) => self.say(format_args!(
                        "{}{pass} -> {}",
                        step.placement,
                        route.unwrap_or_default()
                    )),
                }
            }
            EventKind::Passed {
                placement, route, ..
            } => {
                self.settle();
                self.say(format_args!("{placement} -> {route}"));
            }
            EventKind::Asked(question) => {
                let asked = json!(question.ask);
                self.say(format_args!("{} asks {asked}", question.placement));
            }
            EventKind::Ended { lifecycle, why } => {
                self.settle();
                match why {
                    None => self.say(format_args!("{lifecycle}")),
                    Some(why) => self.say(format_args!("{lifecycle}: {why}")),
                }
            }
            _ => {}
        }
    }

    fn resumes(&mut self, answers: &[(String, Value)]) {
        match answers {
            [] => self.say(format_args!("resumed")),
            answers => {
                for (id, answer) in answers {
                    self.say(format_args!("resumed: {id} is answered {answer}"));
                }
            }
        }
    }

    fn end(&mut self, run: &Run) {
        let mut noted = BTreeMap::<String, usize>::new();
        for note in run.notes.errors.iter().chain(&run.notes.warnings) {
            *noted
                .entry(format!("{}: {}", note.placement, note.code))
                .or_default() += 1;
        }
        for (note, times) in noted {
            let times = if times > 1 {
                format!(" ({times} times)")
            } else {
                String::new()
            };
            self.say(format_args!("noted {note}{times}"));
        }
        let response = run.state.get("response").and_then(|one| one.get("text"));
        match response.and_then(Value::as_str) {
            Some(text) => self.say(format_args!("response: {text}")),
            None => self.say(format_args!("no response")),
        }
    }
}

/// Aborts the run when the script says so.
fn aborted(control: &Control, event: &Event, abort: &mut Option<Abort>) {
    let EventKind::NodeEnded { step, .. } = &event.kind else {
        return;
    };
    let is_then =
        |abort: &mut Abort| *step.placement == *abort.after.join("/") && step.pass == abort.pass;
    if abort.take_if(is_then).is_some() {
        control.abort("as the scenario says");
    }
}
