//! Shared memory.
//!
//! A neuron reaches an engram through a [`Binding`]: a local name that the
//! operator ties to a real engram. Every write is journaled on the task's
//! trace, so `STOP rollback` can undo it.
//!
//! ```no_run
//! use serde_json::json;
//! use soma_neuron::engram::{Binding, Error, Query};
//!
//! # fn main() -> Result<(), Error> {
//! let memory = Binding::new("memory");
//! let receipt = memory.append(&json!({"text": "a fact"})).tags(["fact"]).ack()?;
//! for hit in memory.recall(Query::new().tag("fact").top_k(5))?.hits {
//!     let fact: serde_json::Value = hit.content()?;
//! }
//! # drop(receipt);
//! # Ok(())
//! # }
//! ```

mod error;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::soma::neuron::engram as wire;

pub use crate::bindings::soma::neuron::engram::{Op, RecallMode};
pub use error::Error;

/// A local name for an engram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    name: String,
}

impl Binding {
    /// The engram that the operator tied to `name`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Looks for entries, with the default [`RecallOptions`].
    ///
    /// # Errors
    ///
    /// [`Error`] says why the engram did not answer.
    pub fn recall(&self, query: Query) -> Result<Recalled, Error> {
        self.recall_with(query, RecallOptions::default())
    }

    /// Looks for entries.
    ///
    /// # Errors
    ///
    /// [`Error`] says why the engram did not answer.
    pub fn recall_with(&self, query: Query, options: RecallOptions) -> Result<Recalled, Error> {
        let found = wire::recall(&self.name, &query.0, &options.0)?;
        Ok(Recalled::from_wire(found))
    }

    /// Does several recalls at once; the answers are in the order of the
    /// queries.
    pub fn recall_many(
        &self,
        queries: impl IntoIterator<Item = Query>,
        options: RecallOptions,
    ) -> Vec<Result<Recalled, Error>> {
        let queries: Vec<wire::Query> = queries.into_iter().map(|query| query.0).collect();
        let answers = wire::recall_many(&self.name, &queries, &options.0);
        answers
            .into_iter()
            .map(|answer| Ok(Recalled::from_wire(answer?)))
            .collect()
    }

    /// A new entry; an id that exists is an error.
    pub fn add(&self, content: &impl Serialize) -> Imprint<'_> {
        self.write(Op::Add, Entry::new(content))
    }

    /// A new entry; it gets a fresh id where the chosen one is taken.
    pub fn append(&self, content: &impl Serialize) -> Imprint<'_> {
        self.write(Op::Append, Entry::new(content))
    }

    /// Changes the newest entry with the merge key: objects are merged, lists
    /// joined, scalars replaced. No such entry is an error.
    pub fn merge(&self, merge_key: impl Into<String>, content: &impl Serialize) -> Imprint<'_> {
        self.write(Op::Merge, Entry::new(content))
            .merge_key(merge_key)
    }

    /// Replaces the newest entry with the merge key, or adds one.
    pub fn upsert(&self, merge_key: impl Into<String>, content: &impl Serialize) -> Imprint<'_> {
        self.write(Op::Upsert, Entry::new(content))
            .merge_key(merge_key)
    }

    /// Removes the entry with this id. Nothing there is not an error.
    pub fn delete(&self, id: impl Into<String>) -> Imprint<'_> {
        self.write(Op::Delete, Entry::new(&())).id(id)
    }

    /// Removes the newest entry with the merge key. Nothing there is not an
    /// error.
    pub fn delete_by_key(&self, merge_key: impl Into<String>) -> Imprint<'_> {
        self.write(Op::Delete, Entry::new(&())).merge_key(merge_key)
    }

    /// Several writes with the same op and options, done in order and answered
    /// in the same order, with receipts.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] when an entry cannot be written as JSON; then none is
    /// imprinted.
    pub fn imprint_many(
        &self,
        op: Op,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<Vec<Result<Receipt, Error>>, Error> {
        let entries: Vec<_> = entries
            .into_iter()
            .map(Entry::into_wire)
            .collect::<Result<_, _>>()?;
        let options = wire::ImprintOptions {
            await_ack: true,
            ..no_options()
        };
        let answers = wire::imprint_many(&self.name, op, &entries, options);
        Ok(answers
            .into_iter()
            .map(|answer| receipt_of(answer?))
            .collect())
    }

    fn write(&self, op: Op, entry: Entry) -> Imprint<'_> {
        Imprint {
            binding: self,
            op,
            entry,
            options: no_options(),
        }
    }
}

/// What to look for. Every part that is set must match; without any, every
/// entry does.
#[derive(Debug, Clone)]
pub struct Query(wire::Query);

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

impl Query {
    /// Matches every entry.
    pub fn new() -> Self {
        Self(wire::Query {
            id: None,
            text: None,
            tag: None,
            merge_key: None,
            embedding: None,
            top_k: None,
        })
    }

    /// The entry with this id.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.id = Some(id.into());
        self
    }

    /// Case-insensitive substring of the content's text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.0.text = Some(text.into());
        self
    }

    /// One tag that an entry must carry.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.0.tag = Some(tag.into());
        self
    }

    /// The merge key that an entry must have.
    #[must_use]
    pub fn merge_key(mut self, merge_key: impl Into<String>) -> Self {
        self.0.merge_key = Some(merge_key.into());
        self
    }

    /// Ranks by cosine similarity to this vector.
    #[must_use]
    pub fn embedding(mut self, embedding: impl Into<Vec<f32>>) -> Self {
        self.0.embedding = Some(embedding.into());
        self
    }

    /// At most so many hits. Default: the engram's own.
    #[must_use]
    pub fn top_k(mut self, top_k: u32) -> Self {
        self.0.top_k = Some(top_k);
        self
    }
}

/// How to look.
#[derive(Debug, Clone)]
pub struct RecallOptions(wire::RecallOptions);

impl Default for RecallOptions {
    fn default() -> Self {
        Self(wire::RecallOptions {
            deadline_ms: None,
            mode: RecallMode::First,
            min_confidence: None,
            filters: None,
        })
    }
}

impl RecallOptions {
    /// Milliseconds after which the call ends with [`Error::Timeout`].
    #[must_use]
    pub fn deadline_ms(mut self, milliseconds: u64) -> Self {
        self.0.deadline_ms = Some(milliseconds);
        self
    }

    /// How several engrams behind one binding answer. Default: the first.
    #[must_use]
    pub fn mode(mut self, mode: RecallMode) -> Self {
        self.0.mode = mode;
        self
    }

    /// Only hits with at least this score, 0 to 1.
    #[must_use]
    pub fn min_confidence(mut self, score: f32) -> Self {
        self.0.min_confidence = Some(score);
        self
    }

    /// Only entries that carry all these tags.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.filters().tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// Only entries updated at or after this time, in milliseconds since 1970.
    #[must_use]
    pub fn since_ms(mut self, milliseconds: u64) -> Self {
        self.filters().since_ms = Some(milliseconds);
        self
    }

    /// Only entries updated before this time, in milliseconds since 1970.
    #[must_use]
    pub fn until_ms(mut self, milliseconds: u64) -> Self {
        self.filters().until_ms = Some(milliseconds);
        self
    }

    fn filters(&mut self) -> &mut wire::Filters {
        let none = || wire::Filters {
            tags: Vec::new(),
            since_ms: None,
            until_ms: None,
        };
        self.0.filters.get_or_insert_with(none)
    }
}

/// What a recall found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recalled {
    /// Best first; equal scores in the order in which they were written.
    pub hits: Vec<Hit>,
    /// Whether more entries matched than were returned.
    pub truncated: bool,
    /// Milliseconds that the engram took.
    pub took_ms: u64,
}

impl Recalled {
    fn from_wire(found: wire::RecallResult) -> Self {
        let hits = found.hits.into_iter().map(Hit::from_wire).collect();
        Self {
            hits,
            truncated: found.truncated,
            took_ms: found.took_ms,
        }
    }
}

/// One entry that was found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Hit {
    /// The entry's id.
    pub id: String,
    /// The entry's tags.
    pub tags: Vec<String>,
    /// The key by which `merge` and `upsert` find the entry.
    pub merge_key: Option<String>,
    /// Counts the writes of this entry, from 1.
    pub version: u64,
    /// 0 to 1; 1 for an exact or unranked match.
    pub score: f32,
    /// The content, as JSON text.
    pub content_json: String,
    /// The free keys beside the content, as the text of a JSON object.
    pub meta_json: String,
}

impl Hit {
    /// The content.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] when it is not what `T` expects.
    pub fn content<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.read("content", &self.content_json)
    }

    /// The free keys beside the content.
    ///
    /// # Errors
    ///
    /// [`Error::Json`] when they are not what `T` expects.
    pub fn meta<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.read("meta", &self.meta_json)
    }

    fn read<T: DeserializeOwned>(&self, part: &str, json: &str) -> Result<T, Error> {
        serde_json::from_str(json)
            .map_err(|error| Error::Json(format!("{part} of entry {}: {error}", self.id)))
    }

    fn from_wire(hit: wire::Hit) -> Self {
        Self {
            id: hit.id,
            tags: hit.tags,
            merge_key: hit.merge_key,
            version: hit.version,
            score: hit.score,
            content_json: hit.content,
            meta_json: hit.meta,
        }
    }
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Entry(Result<wire::Entry, String>);

impl Entry {
    /// An entry with this content and nothing else. A content that is no JSON
    /// is refused when the entry is imprinted.
    pub fn new(content: &impl Serialize) -> Self {
        Self(json_of("content", content).map(|content| wire::Entry {
            id: None,
            content,
            tags: Vec::new(),
            meta: "{}".to_owned(),
            embedding: None,
            merge_key: None,
            idempotency_key: None,
        }))
    }

    /// Chooses the id; without one the engram makes one.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        if let Ok(entry) = &mut self.0 {
            entry.id = Some(id.into());
        }
        self
    }

    /// Sets the tags.
    #[must_use]
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        if let Ok(entry) = &mut self.0 {
            entry.tags = tags.into_iter().map(Into::into).collect();
        }
        self
    }

    /// Sets the free keys beside the content; `meta` has to be an object.
    #[must_use]
    pub fn meta(mut self, meta: &impl Serialize) -> Self {
        if let Ok(entry) = &mut self.0 {
            match json_of("meta", meta) {
                Ok(meta) => entry.meta = meta,
                Err(error) => self.0 = Err(error),
            }
        }
        self
    }

    /// Sets the vector, for engrams that hold vectors: finite numbers, of the
    /// engram's dimension.
    #[must_use]
    pub fn embedding(mut self, embedding: impl Into<Vec<f32>>) -> Self {
        if let Ok(entry) = &mut self.0 {
            entry.embedding = Some(embedding.into());
        }
        self
    }

    /// The key by which a later `merge`, `upsert` or `delete` finds the entry.
    #[must_use]
    pub fn merge_key(mut self, merge_key: impl Into<String>) -> Self {
        if let Ok(entry) = &mut self.0 {
            entry.merge_key = Some(merge_key.into());
        }
        self
    }

    /// A second imprint with the same key answers as the first did and writes
    /// nothing.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        if let Ok(entry) = &mut self.0 {
            entry.idempotency_key = Some(key.into());
        }
        self
    }

    fn into_wire(self) -> Result<wire::Entry, Error> {
        self.0.map_err(Error::Json)
    }
}

/// A write that is about to be made: [`ack`](Self::ack) or [`send`](Self::send)
/// makes it.
#[derive(Debug)]
#[must_use = "nothing is written until `ack` or `send`"]
pub struct Imprint<'b> {
    binding: &'b Binding,
    op: Op,
    entry: Entry,
    options: wire::ImprintOptions,
}

impl Imprint<'_> {
    /// As [`Entry::id`].
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.entry = self.entry.id(id);
        self
    }

    /// As [`Entry::tags`].
    pub fn tags<T: Into<String>>(mut self, tags: impl IntoIterator<Item = T>) -> Self {
        self.entry = self.entry.tags(tags);
        self
    }

    /// As [`Entry::meta`].
    pub fn meta(mut self, meta: &impl Serialize) -> Self {
        self.entry = self.entry.meta(meta);
        self
    }

    /// As [`Entry::embedding`].
    pub fn embedding(mut self, embedding: impl Into<Vec<f32>>) -> Self {
        self.entry = self.entry.embedding(embedding);
        self
    }

    /// As [`Entry::merge_key`].
    pub fn merge_key(mut self, merge_key: impl Into<String>) -> Self {
        self.entry = self.entry.merge_key(merge_key);
        self
    }

    /// As [`Entry::idempotency_key`].
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.entry = self.entry.idempotency_key(key);
        self
    }

    /// Milliseconds after which an awaited write ends with [`Error::Timeout`].
    /// It may still land, and is journaled all the same.
    pub fn deadline_ms(mut self, milliseconds: u64) -> Self {
        self.options.deadline_ms = Some(milliseconds);
        self
    }

    /// Makes the write and waits until it is done.
    ///
    /// # Errors
    ///
    /// [`Error`] says why the engram refused it.
    pub fn ack(mut self) -> Result<Receipt, Error> {
        self.options.await_ack = true;
        receipt_of(self.run()?)
    }

    /// Hands the write over without waiting for it.
    ///
    /// # Errors
    ///
    /// [`Error`] says why it was not accepted.
    pub fn send(self) -> Result<(), Error> {
        self.run().map(drop)
    }

    fn run(self) -> Result<Option<wire::Receipt>, Error> {
        let entry = self.entry.into_wire()?;
        Ok(wire::imprint(
            &self.binding.name,
            self.op,
            &entry,
            self.options,
        )?)
    }
}

/// The engram's word that a write is done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Receipt {
    /// The engram's own id.
    pub engram: String,
    /// What was done.
    pub op: Op,
    /// The entry that was written; none where a delete found nothing.
    pub id: Option<String>,
    /// The entry's version after the write.
    pub version: Option<u64>,
    /// Milliseconds that the engram took.
    pub took_ms: u64,
}

fn receipt_of(receipt: Option<wire::Receipt>) -> Result<Receipt, Error> {
    let receipt =
        receipt.ok_or_else(|| Error::Backend("no receipt for an awaited write".to_owned()))?;
    let wire::Receipt {
        engram,
        op,
        id,
        version,
        took_ms,
    } = receipt;
    Ok(Receipt {
        engram,
        op,
        id,
        version,
        took_ms,
    })
}

fn no_options() -> wire::ImprintOptions {
    wire::ImprintOptions {
        await_ack: false,
        deadline_ms: None,
    }
}

fn json_of(part: &str, value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| format!("{part}: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::collections::HashMap;

    use super::*;

    #[test]
    fn an_imprint_collects_its_entry_and_options() {
        let binding = Binding::new("index");
        let imprint = binding
            .upsert("doc#1", &serde_json::json!({"text": "t"}))
            .tags(["doc"])
            .meta(&serde_json::json!({"position": 1}))
            .embedding([1.0, 0.0])
            .idempotency_key("once")
            .deadline_ms(9);
        assert_eq!(imprint.op, Op::Upsert);
        assert_eq!(imprint.options.deadline_ms, Some(9));
        let entry = imprint.entry.into_wire().unwrap();
        assert_eq!(
            (entry.content.as_str(), entry.meta.as_str()),
            ("{\"text\":\"t\"}", "{\"position\":1}")
        );
        assert_eq!(
            (entry.tags, entry.embedding),
            (vec!["doc".to_owned()], Some(vec![1.0, 0.0]))
        );
        assert_eq!(entry.merge_key.as_deref(), Some("doc#1"));
        assert_eq!(entry.idempotency_key.as_deref(), Some("once"));
    }

    #[test]
    fn content_that_is_no_json_is_refused_before_it_reaches_the_engram() {
        let keys: HashMap<Vec<u8>, u8> = HashMap::from([(vec![1], 1)]);
        let refused = Binding::new("index")
            .append(&keys)
            .tags(["t"])
            .ack()
            .unwrap_err();
        assert!(matches!(refused, Error::Json(what) if what.starts_with("content: ")));
    }
}
