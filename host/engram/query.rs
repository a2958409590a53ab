//! What to look for, and the one matcher that both engrams share.

use std::sync::Arc;

use serde_json::Value;

use super::entry::Entry;
use super::error::EngramError;
use super::layers::State;
use super::write::MAX_TAGS;
use crate::signal::{EntryId, Timestamp};

/// What to look for. Every part that is present must match.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The entry with this id.
    pub id: Option<EntryId>,
    /// Case-insensitive substring of the content's text: a string content as
    /// it is, any other as compact JSON. Empty means absent.
    pub text: Option<String>,
    /// One tag that an entry must carry.
    pub tag: Option<String>,
    /// The merge key that an entry must have.
    pub merge_key: Option<String>,
    /// Vector to rank by; only for engrams that hold vectors.
    pub embedding: Option<Vec<f32>>,
    /// At most so many hits; without it the engram's own default.
    pub top_k: Option<usize>,
    /// Only hits with at least this score (0 to 1).
    pub min_confidence: Option<f32>,
    /// Restricts hits by what surrounds the content.
    pub filters: Filters,
}

/// Restricts hits by what surrounds the content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Tags that an entry must carry, all of them.
    pub tags: Vec<String>,
    /// Only entries updated at or after this time.
    pub since: Option<Timestamp>,
    /// Only entries updated before this time.
    pub until: Option<Timestamp>,
}

/// One entry that matched.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The entry as it was when it matched.
    pub entry: Arc<Entry>,
    /// 0 to 1; 1 for a match that is not ranked.
    pub score: f32,
}

/// The answer to a recall.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recalled {
    /// Best first; equal scores in the order in which they were written.
    pub hits: Vec<Hit>,
    /// Whether more entries matched than were returned.
    pub truncated: bool,
}

/// A query made ready to be asked of many entries.
pub(super) struct Matcher<'a> {
    query: &'a Query,
    needle: Option<Folded>,
}

impl<'a> Matcher<'a> {
    /// # Errors
    /// [`EngramError::Invalid`] when the query cannot match by its form.
    pub(super) fn new(query: &'a Query) -> Result<Self, EngramError> {
        if query.min_confidence.is_some_and(f32::is_nan) {
            return Err(EngramError::Invalid(
                "min_confidence is not a number".to_owned(),
            ));
        }
        if query.filters.tags.len() > MAX_TAGS {
            let tags = query.filters.tags.len();
            return Err(EngramError::Invalid(format!(
                "filters name {tags} tags, at most {MAX_TAGS} are allowed"
            )));
        }
        let needle = query.text.as_deref().filter(|text| !text.is_empty());
        Ok(Self {
            query,
            needle: needle.map(Folded::new),
        })
    }

    /// The id that the only match has, when the query names one.
    pub(super) fn id(&self) -> Option<&'a EntryId> {
        self.query.id.as_ref()
    }

    /// The merge key that every match has, when the query names one.
    pub(super) fn merge_key(&self) -> Option<&'a str> {
        self.query.merge_key.as_deref()
    }

    /// Whether matches differ in score without an embedding.
    pub(super) fn ranks(&self) -> bool {
        self.needle.is_some()
    }

    /// Bytes of text that asking this entry reads.
    pub(super) fn text_bytes(&self, state: &State) -> usize {
        self.needle.as_ref().map_or(0, |_| state.text().text.len())
    }

    /// The score of a state that matches, without regard to any embedding.
    pub(super) fn score(&self, state: &State) -> Option<f32> {
        if !self.surroundings_match(&state.entry) {
            return None;
        }
        let Some(needle) = &self.needle else {
            return Some(1.0);
        };
        let hay = state.text();
        hay.text
            .contains(&*needle.text)
            .then(|| ratio(needle.chars, hay.chars))
    }

    /// Whether a score is good enough to be returned.
    pub(super) fn is_confident(&self, score: f32) -> bool {
        self.query.min_confidence.is_none_or(|least| score >= least)
    }

    fn surroundings_match(&self, entry: &Entry) -> bool {
        let query = self.query;
        let filters = &query.filters;
        let has = |tag: &String| entry.tags.contains(tag);
        query.id.as_ref().is_none_or(|id| *id == entry.id)
            && (query.merge_key.is_none() || query.merge_key == entry.merge_key)
            && query.tag.as_ref().is_none_or(has)
            && filters.tags.iter().all(has)
            && filters.since.is_none_or(|at| entry.updated_at >= at)
            && filters.until.is_none_or(|at| entry.updated_at < at)
    }
}

/// A text in lower case with its length in characters.
#[derive(Debug)]
pub(super) struct Folded {
    text: Box<str>,
    chars: usize,
}

impl Folded {
    fn new(text: &str) -> Self {
        let text = text.to_lowercase().into_boxed_str();
        let chars = text.chars().count();
        Self { text, chars }
    }

    /// The text that a text query searches: a string as it is, else JSON.
    pub(super) fn of_content(content: &Value) -> Self {
        match content {
            Value::String(text) => Self::new(text),
            other => Self::new(&other.to_string()),
        }
    }
}

/// `part / whole`, at most 1.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a score needs no more than the 24 bits of an f32"
)]
fn ratio(part: usize, whole: usize) -> f32 {
    (part as f64 / whole.max(1) as f64).min(1.0) as f32
}
