//! The chunks that a draft is made from.

use serde::{Deserialize, Serialize};
use soma_embedding::{embed, words};
use soma_neuron::engram::{Binding, Error, Hit, Query, RecallOptions};

/// How many of the question's words are looked for one by one.
const MOST_WORDS: usize = 6;
/// How many times more chunks are looked at than are kept.
const LOOK_AT: u32 = 3;

/// A recalled chunk.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) id: String,
    merge_key: Option<String>,
    score: f32,
    pub(crate) text: String,
    pub(crate) meta: Meta,
}

/// Where a chunk comes from.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(crate) struct Meta {
    pub(crate) document: String,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) position: u64,
}

/// A chunk as the state keeps it.
#[derive(Serialize)]
pub(crate) struct Recalled<'a> {
    id: &'a str,
    merge_key: Option<&'a str>,
    document: &'a str,
    title: &'a str,
    position: u64,
    score: f32,
}

#[derive(Deserialize)]
struct Content {
    text: String,
}

/// The `top_k` chunks that fit the question best, best first.
///
/// An embedding of few dimensions brings up a neighbourhood, not the answer: so
/// chunks that hold words of the question are recalled beside it, all in one
/// call, and the words decide.
pub(crate) fn recall(engram: &str, question: &str, top_k: u32) -> Result<Vec<Source>, Error> {
    let embedding = embed(question);
    let nearest = || {
        Query::new()
            .embedding(embedding)
            .top_k(top_k.saturating_mul(LOOK_AT))
    };
    let wanted = wanted(question);
    let queries = wanted.iter().map(|word| nearest().text(word));
    let queries = std::iter::once(nearest()).chain(queries);
    let mut sources: Vec<Source> = Vec::new();
    for found in Binding::new(engram).recall_many(queries, RecallOptions::default()) {
        for hit in found?.hits {
            if sources.iter().all(|source| source.id != hit.id) {
                sources.push(Source::of(hit)?);
            }
        }
    }
    Ok(best(
        sources,
        &wanted,
        usize::try_from(top_k).unwrap_or(usize::MAX),
    ))
}

/// The question's words, longest first: they say most.
fn wanted(question: &str) -> Vec<String> {
    let mut wanted: Vec<String> = Vec::new();
    for word in words(question) {
        if !wanted.contains(&word) {
            wanted.push(word);
        }
    }
    wanted.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
    wanted.truncate(MOST_WORDS);
    wanted
}

/// More of the wanted words first, among equals the nearer one.
fn best(mut sources: Vec<Source>, wanted: &[String], most: usize) -> Vec<Source> {
    let held = |source: &Source| {
        let held: Vec<String> = words(&source.text).collect();
        wanted.iter().filter(|word| held.contains(word)).count()
    };
    sources.sort_by(|one, other| {
        held(other)
            .cmp(&held(one))
            .then(other.score.total_cmp(&one.score))
    });
    sources.truncate(most);
    sources
}

impl Source {
    fn of(hit: Hit) -> Result<Self, Error> {
        let Content { text } = hit.content()?;
        let meta = hit.meta()?;
        Ok(Self {
            id: hit.id,
            merge_key: hit.merge_key,
            score: hit.score,
            text,
            meta,
        })
    }

    pub(crate) fn recalled(&self) -> Recalled<'_> {
        Recalled {
            id: &self.id,
            merge_key: self.merge_key.as_deref(),
            document: &self.meta.document,
            title: &self.meta.title,
            position: self.meta.position,
            score: self.score,
        }
    }

    /// A source for tests.
    #[cfg(test)]
    pub(crate) fn named(id: &str, text: &str, score: f32) -> Self {
        Self {
            id: id.to_owned(),
            merge_key: None,
            score,
            text: text.to_owned(),
            meta: Meta::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_that_hold_the_questions_words_come_before_nearer_ones() {
        let sources = vec![
            Source::named("near", "Nothing of the kind.", 0.9),
            Source::named("half", "Lava is hot.", 0.5),
            Source::named("both", "A volcano spills lava.", 0.1),
            Source::named("far", "Nothing again.", 0.2),
        ];
        let wanted = wanted("How hot is the lava of a volcano?");
        assert_eq!(wanted, ["volcano", "lava", "hot"]);
        let order: Vec<String> = best(sources, &wanted, 3)
            .into_iter()
            .map(|s| s.id)
            .collect();
        assert_eq!(order, ["half", "both", "near"]);
    }
}
