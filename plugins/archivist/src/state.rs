//! What the flow hands from stage to stage.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::books::Book;
use crate::fault::Faults;

/// The state of a visit, as far as a stage reads it. A stage may be entered
/// after others have failed: whatever they would have left can be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// What the visitor asks.
    pub query: String,
    /// The visitor's answer to a question back: a text, or an object with it
    /// under `answer`. Only there for the stage that asked.
    pub clarification: Option<Value>,
    /// Identity of this visit; the trace that it began on.
    pub run_id: Option<String>,
    /// What kind of question it is.
    pub intent: Option<Intent>,
    /// What to look for, at most six.
    pub terms: Vec<String>,
    /// Which shelves are to be searched, and for what.
    pub tool_plan: Vec<Request>,
    /// What the scout of a shelf has brought; none where it did not go or did
    /// not come back.
    pub folio_finds: Option<Vec<Candidate>>,
    /// As for the folio.
    pub athenaeum_finds: Option<Vec<Candidate>>,
    /// As for the folio.
    pub stacks_finds: Option<Vec<Candidate>>,
    /// What the engine notes down.
    pub metadata: Metadata,
    /// All finds, one an entry.
    pub candidates: Vec<Candidate>,
    /// The best of them, each work once.
    pub shortlist: Vec<Candidate>,
    /// The book of an earlier visit that similar ones are looked for by.
    pub seed: Option<Seed>,
    /// What the writer has written. Nobody has checked it yet.
    pub draft: Option<String>,
    /// Whether the critic let the draft pass; none before it has read one.
    pub approved: Option<bool>,
    /// What the critic found wrong with the last draft.
    pub critique: Vec<Complaint>,
    /// How often something was tried.
    pub attempts: Attempts,
    /// What may be said to the visitor.
    pub answer: Option<String>,
    /// Why the search was less than it should have been, for a person.
    pub failure_cause: Option<String>,
    /// What earlier visits have to do with this one.
    pub recalled_context: Recollection,
    /// What all earlier visits were about, in a sentence or two.
    pub memory_digest: Option<Digest>,
    /// Stages that are to fail, by neuron id.
    pub faults: Faults,
}

/// What kind of question a visitor asks; each is a route of its own, a plain
/// search being `on-topic`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Whose is this, or what else is theirs?
    LookupAuthor,
    /// What do readers say?
    FindReviews,
    /// What is in it?
    DescribeBook,
    /// More like the last one.
    RecommendSimilar,
    /// What did I ask before?
    RecallMemories,
    /// Books about something.
    #[default]
    Search,
    /// Nothing that a library can help with.
    OffTopic,
}

impl Intent {
    /// As the state spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::LookupAuthor => "lookup-author",
            Self::FindReviews => "find-reviews",
            Self::DescribeBook => "describe-book",
            Self::RecommendSimilar => "recommend-similar",
            Self::RecallMemories => "recall-memories",
            Self::Search => "search",
            Self::OffTopic => "off-topic",
        }
    }

    /// The route that the classifier takes.
    pub fn route(self) -> &'static str {
        match self {
            Self::Search => "on-topic",
            other => other.name(),
        }
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A shelf that is to be searched.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Request {
    /// `search-<shelf>`.
    pub name: String,
    /// What is looked for there.
    #[serde(default)]
    pub arguments: Arguments,
}

/// What a shelf is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Arguments {
    /// As in the state.
    #[serde(default)]
    pub terms: Vec<String>,
}

/// A book that may be part of the answer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Candidate {
    /// The book.
    pub book: Book,
    /// How well it fits, 0 to 1: the scout's opinion until it is ranked.
    #[serde(default)]
    pub score: f64,
    /// The shelves that have a copy.
    #[serde(default)]
    pub sources: Vec<String>,
    /// In which of its fields a term was found.
    #[serde(default)]
    pub reason: String,
}

/// What the engine notes down for stages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// The route of each member of the last parallel group.
    pub parallel_outputs: BTreeMap<String, String>,
}

/// The book that similar ones are looked for by.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Seed {
    /// Its canonical id.
    pub id: String,
    /// Its title.
    pub title: String,
}

/// How often something was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Attempts {
    /// Drafts that were written.
    pub compose: u32,
}

/// One finding of the critic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Complaint {
    /// `length`, `citation`, `invented`, `source`, `tone` or `refused`.
    pub rule: String,
    /// What is wrong, for the writer.
    pub message: String,
}

/// What earlier visits have to do with this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Recollection {
    /// What was asked before, most alike first; at most five.
    pub prior_intents: Vec<Prior>,
    /// Books that were shown lately, newest first; at most six.
    pub recent_candidates: Vec<Seed>,
    /// Earlier questions that are much like this one.
    pub similar_prior_queries: Vec<String>,
    /// The same in a sentence.
    pub summary: String,
}

/// An earlier question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Prior {
    /// What was asked.
    pub query: String,
    /// What kind it was of.
    pub intent: Intent,
}

/// What all earlier visits were about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Digest {
    /// Different books that were shown.
    pub book_count: usize,
    /// Visits.
    pub query_count: usize,
    /// Titles, newest first; at most ten.
    pub recent_books: Vec<String>,
    /// How many visits of each kind there were.
    pub intent_breakdown: BTreeMap<Intent, usize>,
    /// The same in a sentence.
    pub summary: String,
}

impl State {
    /// What is looked for: the terms, else the words of the question.
    pub fn wanted(&self) -> Vec<String> {
        if self.terms.is_empty() {
            return crate::text::words(&self.query);
        }
        self.terms.clone()
    }
}
