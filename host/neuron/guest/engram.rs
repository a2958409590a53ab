//! `engram`: recall and imprint through bindings.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;

use super::{Guest, parse, parse_object};
use crate::{
    clock::Stopwatch,
    engram::{Draft, EngramError, Filters, Imprint, Op, Query, Recalled, Receipt},
    neuron::{contract::engram as wit, environment::Environment},
    signal::{EntryId, Timestamp},
};

fn refusal(error: EngramError) -> wit::EngramError {
    match error {
        EngramError::NotBound(text) => wit::EngramError::NotBound(text),
        EngramError::Denied(text) => wit::EngramError::Denied(text),
        EngramError::Timeout => wit::EngramError::Timeout,
        EngramError::Cancelled => wit::EngramError::Cancelled,
        EngramError::Overloaded(text) => wit::EngramError::Overloaded(text),
        EngramError::Quota(text) => wit::EngramError::Quota(text),
        EngramError::Invalid(text) => wit::EngramError::Invalid(text),
        EngramError::Backend(text) => wit::EngramError::Backend(text),
    }
}

fn op(op: wit::Op) -> Op {
    match op {
        wit::Op::Add => Op::Add,
        wit::Op::Append => Op::Append,
        wit::Op::Merge => Op::Merge,
        wit::Op::Upsert => Op::Upsert,
        wit::Op::Delete => Op::Delete,
    }
}

fn wit_op(op: Op) -> wit::Op {
    match op {
        Op::Add => wit::Op::Add,
        Op::Append => wit::Op::Append,
        Op::Merge => wit::Op::Merge,
        Op::Upsert => wit::Op::Upsert,
        Op::Delete => wit::Op::Delete,
    }
}

fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn query(query: wit::Query, options: &wit::RecallOptions) -> Result<Query, String> {
    let confidence = options.min_confidence;
    if let Some(confidence) = confidence
        && !(0.0..=1.0).contains(&confidence)
    {
        return Err(format!(
            "options.min-confidence is {confidence}, not between 0 and 1"
        ));
    }
    let filters = options.filters.as_ref();
    Ok(Query {
        id: optional_id("query.id", query.id)?,
        text: query.text,
        tag: query.tag,
        merge_key: query.merge_key,
        embedding: query.embedding,
        top_k: query
            .top_k
            .map(|k| usize::try_from(k).unwrap_or(usize::MAX)),
        min_confidence: confidence,
        filters: Filters {
            tags: filters.map(|f| f.tags.clone()).unwrap_or_default(),
            since: filters.and_then(|f| f.since_ms).map(timestamp),
            until: filters.and_then(|f| f.until_ms).map(timestamp),
        },
    })
}

fn millis(ms: Option<u64>) -> Option<Duration> {
    ms.map(Duration::from_millis)
}

fn elapsed_ms(watch: &Stopwatch) -> u64 {
    u64::try_from(watch.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn result(recalled: Recalled, took_ms: u64) -> wit::RecallResult {
    let hits = recalled.hits.into_iter().map(|hit| {
        let entry = &hit.entry;
        wit::Hit {
            id: entry.id.to_string(),
            content: entry.content.to_string(),
            tags: entry.tags.clone(),
            meta: Value::Object(entry.meta.clone()).to_string(),
            merge_key: entry.merge_key.clone(),
            version: entry.version,
            score: hit.score,
        }
    });
    wit::RecallResult {
        hits: hits.collect(),
        truncated: recalled.truncated,
        took_ms,
    }
}

fn optional_id(what: &str, id: Option<String>) -> Result<Option<EntryId>, String> {
    id.map(|id| id.parse().map_err(|error| format!("{what}: {error}")))
        .transpose()
}

fn imprint(op: Op, entry: wit::Entry) -> Result<Imprint, String> {
    Ok(Imprint {
        op,
        entry: Draft {
            id: optional_id("entry.id", entry.id)?,
            content: parse("entry.content", &entry.content)?,
            tags: entry.tags,
            meta: parse_object("entry.meta", &entry.meta)?,
            embedding: entry.embedding,
        },
        merge_key: entry.merge_key,
        idempotency_key: entry.idempotency_key,
    })
}

fn receipt(receipt: Receipt, took_ms: u64) -> wit::Receipt {
    wit::Receipt {
        engram: receipt.engram.to_string(),
        op: wit_op(receipt.op),
        id: receipt.id.map(|id| id.to_string()),
        version: receipt.version,
        took_ms,
    }
}

type Recall = Result<wit::RecallResult, wit::EngramError>;
type Imprinted = Result<Option<wit::Receipt>, wit::EngramError>;

async fn recall_one(
    environment: &dyn Environment,
    binding: &str,
    what: wit::Query,
    options: &wit::RecallOptions,
) -> Recall {
    let watch = environment.clock().stopwatch();
    let query = query(what, options).map_err(wit::EngramError::Invalid)?;
    let recalled = environment
        .recall(binding, &query, millis(options.deadline_ms))
        .await;
    recalled
        .map(|recalled| result(recalled, elapsed_ms(&watch)))
        .map_err(refusal)
}

async fn imprint_one(
    environment: &dyn Environment,
    binding: &str,
    op: Op,
    entry: wit::Entry,
    options: &wit::ImprintOptions,
) -> Imprinted {
    let watch = environment.clock().stopwatch();
    let imprint = imprint(op, entry).map_err(wit::EngramError::Invalid)?;
    let deadline = millis(options.deadline_ms);
    let written = environment
        .imprint(binding, imprint, options.await_ack, deadline)
        .await;
    match written {
        Ok(written) => Ok(written
            .filter(|_| options.await_ack)
            .map(|written| receipt(written, elapsed_ms(&watch)))),
        Err(error) => Err(refusal(error)),
    }
}

impl wit::Host for Guest {
    async fn recall(
        &mut self,
        binding: String,
        query: wit::Query,
        options: wit::RecallOptions,
    ) -> wasmtime::Result<Recall> {
        self.enter()?;
        Ok(recall_one(&*self.environment, &binding, query, &options).await)
    }

    async fn recall_many(
        &mut self,
        binding: String,
        queries: Vec<wit::Query>,
        options: wit::RecallOptions,
    ) -> wasmtime::Result<Vec<Recall>> {
        self.enter()?;
        let environment = &*self.environment;
        let recalls = queries
            .into_iter()
            .map(|query| recall_one(environment, &binding, query, &options));
        Ok(join_all(recalls).await)
    }

    async fn imprint(
        &mut self,
        binding: String,
        kind: wit::Op,
        entry: wit::Entry,
        options: wit::ImprintOptions,
    ) -> wasmtime::Result<Imprinted> {
        self.enter()?;
        Ok(imprint_one(&*self.environment, &binding, op(kind), entry, &options).await)
    }

    async fn imprint_many(
        &mut self,
        binding: String,
        kind: wit::Op,
        entries: Vec<wit::Entry>,
        options: wit::ImprintOptions,
    ) -> wasmtime::Result<Vec<Imprinted>> {
        self.enter()?;
        let mut written = Vec::with_capacity(entries.len());
        for entry in entries {
            written
                .push(imprint_one(&*self.environment, &binding, op(kind), entry, &options).await);
        }
        Ok(written)
    }
}
