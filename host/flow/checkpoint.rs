//! Checkpoints: where a run is, as text that another process can go on from.
//!
//! A checkpoint is one line of JSON. A journal is a checkpoint and below it a
//! line for each thing that has been done since: reading it is applying these
//! to that, by the very code that a run applies them with. A line that was not
//! written to its end counts for nothing.

mod file;
mod saved;

use std::{collections::BTreeMap, fmt, io};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::file::{CheckpointFile, FileError};
use self::saved::{SavedFrame, SavedRecord};
use super::{
    event::Question,
    plan::{Flow, Kind, Plan},
    progress::{Bounds, Need, Progress, Record},
};

/// Version of what is written here.
const FORMAT: u32 = 1;

/// Where a run is. Made by a [`Run`](super::Run) that can go on, or read from
/// the text that one was written as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Checkpoint {
    /// Version of the format.
    soma_checkpoint: u32,
    /// Name of the flow.
    flow: String,
    /// Its version.
    version: String,
    /// Digest of its documents.
    hash: String,
    /// Digests of each of them, to say which has changed.
    documents: BTreeMap<String, String>,
    /// Nodes that have run.
    steps: u64,
    /// The bounds of the run so far.
    bounds: Bounds,
    /// The flow and those within it, the innermost last.
    frames: Vec<SavedFrame>,
    /// What has been done since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    since: Vec<SavedRecord>,
}

/// Why a run cannot go on from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The text is no checkpoint.
    #[error("line {line} is no checkpoint: {reason}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// It was written by a later version.
    #[error("the checkpoint has the format {found}; this version reads format {FORMAT}")]
    Format {
        /// As it says.
        found: u32,
    },
    /// It is that of another flow.
    #[error("the checkpoint is of the flow `{theirs}`, not of `{ours}`")]
    OtherFlow {
        /// The checkpoint's.
        theirs: String,
        /// The one that was to be resumed.
        ours: String,
    },
    /// The documents are not those of the run.
    #[error(
        "the checkpoint is of `{flow}` {version} with other documents: {}; \
         run the documents that it was made of, or begin anew",
        changed.join(", ")
    )]
    Changed {
        /// Name of the flow.
        flow: String,
        /// Version of the checkpoint's flow.
        version: String,
        /// What has changed, for each document.
        changed: Vec<String>,
    },
    /// Its parts do not fit each other.
    #[error("the checkpoint contradicts itself: {0}")]
    Contradiction(String),
    /// An answer to nothing.
    #[error("the run asked nothing at `{id}`; it asked at {}", if asked.is_empty() { "no placement".to_owned() } else { asked.join(", ") })]
    NotAsked {
        /// As given.
        id: String,
        /// What it asked.
        asked: Vec<String>,
    },
    /// An answer of another kind.
    #[error("the answer to `{id}` is not taken: {reason}")]
    BadAnswer {
        /// The question.
        id: String,
        /// Why not.
        reason: String,
    },
}

/// Keeps what a run has done. All texts are single lines of JSON.
///
/// A run counts nothing as done before [`Journal::record`] has returned; it
/// ends as failed when that fails.
pub trait Journal: Send {
    /// Begins with a checkpoint: nothing from before counts any more.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn begin(&mut self, checkpoint: &str) -> io::Result<()>;

    /// Keeps what was done.
    ///
    /// # Errors
    /// When it cannot be kept. Nothing but [`Journal::end`] is called after that.
    fn record(&mut self, record: &str) -> io::Result<()>;

    /// The run has ended. Unless `goes_on` nothing can follow: what was kept is
    /// of no use any more.
    ///
    /// # Errors
    /// When what was kept may not last.
    fn end(&mut self, goes_on: bool) -> io::Result<()>;

    /// Whether so much was recorded that a new beginning would be shorter.
    fn is_long(&self) -> bool {
        false
    }
}

/// A record as its line.
pub(super) fn line_of(record: &Record) -> io::Result<String> {
    Ok(serde_json::to_string(&SavedRecord::of(record))?)
}

impl fmt::Display for Checkpoint {
    /// One line of JSON.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

impl Checkpoint {
    /// Of a run as it is.
    pub(super) fn of(flow: &Flow, progress: &Progress) -> Self {
        let frames = progress.frames.iter();
        Self {
            soma_checkpoint: FORMAT,
            flow: flow.name().to_owned(),
            version: flow.version().to_owned(),
            hash: flow.hash().to_string(),
            documents: digests(flow),
            steps: progress.steps,
            bounds: progress.bounds,
            frames: frames.map(|frame| SavedFrame::of(&flow.0, frame)).collect(),
            since: Vec::new(),
        }
    }

    /// Reads a checkpoint, or a journal with what was done since.
    ///
    /// # Errors
    /// When a line is none; a last one without its end counts for nothing.
    pub fn parse(text: &str) -> Result<Self, ResumeError> {
        let malformed = |line: usize, error: serde_json::Error| ResumeError::Malformed {
            line: line + 1,
            reason: error.to_string(),
        };
        let mut lines = text.split_inclusive('\n').enumerate();
        let (_, first) = lines.next().unwrap_or_default();
        let head: Head = serde_json::from_str(first).map_err(|error| malformed(0, error))?;
        if head.soma_checkpoint != FORMAT {
            return Err(ResumeError::Format {
                found: head.soma_checkpoint,
            });
        }
        let mut checkpoint: Self =
            serde_json::from_str(first).map_err(|error| malformed(0, error))?;
        for (at, line) in lines {
            if !line.ends_with('\n') {
                break;
            }
            let record = serde_json::from_str(line).map_err(|error| malformed(at, error))?;
            checkpoint.since.push(record);
        }
        Ok(checkpoint)
    }

    /// Name of the flow that it is of.
    pub fn flow(&self) -> &str {
        &self.flow
    }

    /// Version of the flow that it is of.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Digest of the documents that it is of.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What the run asked and nobody has answered.
    ///
    /// # Errors
    /// When it is not of this flow.
    pub fn questions(&self, flow: &Flow) -> Result<Vec<Question>, ResumeError> {
        Ok(self.clone().progress(flow)?.questions(&flow.0))
    }

    /// Where the run was.
    pub(super) fn progress(self, flow: &Flow) -> Result<Progress, ResumeError> {
        if self.flow != flow.name() {
            return Err(ResumeError::OtherFlow {
                theirs: self.flow,
                ours: flow.name().to_owned(),
            });
        }
        if self.hash != flow.hash().to_string() {
            return Err(self.changed(flow));
        }
        let plan: &Plan = &flow.0;
        let mut progress = Progress::nowhere(self.steps, self.bounds);
        for saved in self.frames {
            let frame = saved.frame(plan, progress.frames.last());
            progress
                .frames
                .push(frame.map_err(ResumeError::Contradiction)?);
        }
        if progress.frames.is_empty() {
            return Err(contradiction("it is nowhere"));
        }
        let mut room = MOST_BETWEEN;
        for saved in self.since {
            settle(&mut progress, plan, &mut room);
            let record = saved.record();
            if !progress.fits(&record) {
                let told = format!(
                    "something was done that is not to be done at `{}`",
                    progress.position(plan)
                );
                return Err(contradiction(&told));
            }
            let applied = progress.apply(plan, record);
            applied.map_err(|cause| contradiction(&cause.to_string()))?;
        }
        settle(&mut progress, plan, &mut room);
        Ok(progress)
    }

    fn changed(&self, flow: &Flow) -> ResumeError {
        let now = digests(flow);
        let mut changed = Vec::new();
        for (name, before) in &self.documents {
            match now.get(name) {
                None => changed.push(format!("`{name}` is gone")),
                Some(hash) if hash != before => {
                    changed.push(format!("`{name}` was {before} and is {hash}"));
                }
                Some(_) => {}
            }
        }
        for name in now
            .keys()
            .filter(|name| !self.documents.contains_key(*name))
        {
            changed.push(format!("`{name}` is new"));
        }
        ResumeError::Changed {
            flow: self.flow.clone(),
            version: self.version.clone(),
            changed,
        }
    }
}

/// Flows and empty groups between the nodes of a journal, at most: a run yields
/// between them and has its steps, reading a checkpoint does not. As many as a
/// run with a hundred times the usual steps.
const MOST_BETWEEN: usize = 10_000_000;

/// Goes on to the next node, as far as there is room. What is not at a node
/// then goes on as a run.
fn settle(progress: &mut Progress, plan: &Plan, room: &mut usize) {
    while *room > 0 && progress.advance(plan) == Need::Again {
        *room -= 1;
        progress.trail.clear();
    }
    progress.trail.clear();
}

fn contradiction(told: &str) -> ResumeError {
    ResumeError::Contradiction(told.to_owned())
}

/// What is read before all else.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    soma_checkpoint: u32,
}

fn digests(flow: &Flow) -> BTreeMap<String, String> {
    let documents = flow.documents().iter();
    documents
        .map(|dag| (dag.name.clone(), dag.hash().to_string()))
        .collect()
}

impl Progress {
    /// What was asked and not answered.
    pub(super) fn questions(&self, plan: &Plan) -> Vec<Question> {
        let mut questions = Vec::new();
        let Some(frame) = self.frames.last() else {
            return questions;
        };
        let Some(placed) = plan.placed(frame.dag, frame.at) else {
            return questions;
        };
        if let Some(ask) = &frame.slot.asked {
            questions.push(Question {
                placement: frame.path(placed),
                item: None,
                ask: ask.clone(),
            });
        }
        let items = frame.group.iter().flat_map(|group| &group.items);
        for (at, item) in items.enumerate() {
            let Some(ask) = item.slot.asked.clone().filter(|_| item.done.is_none()) else {
                continue;
            };
            let member = match &placed.kind {
                Kind::Parallel { members, .. } => members
                    .get(at)
                    .and_then(|place| plan.placed(frame.dag, *place)),
                _ => None,
            };
            questions.push(Question {
                placement: frame.path(member.unwrap_or(placed)),
                item: member.is_none().then_some(at),
                ask,
            });
        }
        questions
    }

    /// Takes up an answer to what was asked.
    pub(super) fn answer(
        &mut self,
        plan: &Plan,
        id: &str,
        answer: Value,
    ) -> Result<(), ResumeError> {
        let questions = self.questions(plan);
        let Some(question) = questions.iter().find(|question| question.id() == id) else {
            return Err(ResumeError::NotAsked {
                id: id.to_owned(),
                asked: questions.iter().map(Question::id).collect(),
            });
        };
        let answer = question
            .ask
            .answered(answer)
            .map_err(|reason| ResumeError::BadAnswer {
                id: id.to_owned(),
                reason,
            })?;
        let item = self.slot_asked(plan, question);
        let record = Record::Answered { item, answer };
        if !self.fits(&record) {
            return Err(contradiction("what was asked is not to be answered now"));
        }
        self.apply(plan, record)
            .map_err(|cause| ResumeError::Contradiction(cause.to_string()))
    }

    /// Where the node of a question is in its group.
    fn slot_asked(&self, plan: &Plan, question: &Question) -> Option<usize> {
        let frame = self.frames.last()?;
        let placed = plan.placed(frame.dag, frame.at)?;
        match &placed.kind {
            Kind::Parallel { members, .. } => members.iter().position(|place| {
                let member = plan.placed(frame.dag, *place);
                member.is_some_and(|member| frame.path(member) == question.placement)
            }),
            _ => question.item,
        }
    }
}
