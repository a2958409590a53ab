//! `engram`: recall and imprint through bindings.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;

use super::{Guest, parse, parse_object};
use crate::{
    clock::{Clock, yield_now},
    engram::{Draft, EngramError, Filters, Hit, Imprint, Op, Query, Recalled, Receipt},
    neuron::{
        contract::engram as wit,
        environment::{Environment, HostCall},
    },
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

/// Milliseconds on the clock since it stood at `start`.
fn elapsed_ms(clock: &Clock, start: Duration) -> u64 {
    let elapsed = clock.monotonic().saturating_sub(start);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// What one host call may still bring back; shared by the queries of one call.
struct Allowance {
    left: AtomicUsize,
    whole: usize,
}

impl Allowance {
    fn new(bytes: usize) -> Self {
        Self {
            left: AtomicUsize::new(bytes),
            whole: bytes,
        }
    }

    fn take(&self, bytes: usize) -> Result<(), wit::EngramError> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.map(drop).map_err(|_| {
            wit::EngramError::Invalid(format!(
                "the answer is larger than the {} bytes that may cross to the guest at once; \
                 ask for fewer hits",
                self.whole
            ))
        })
    }
}

/// Bytes that a hit takes on its way to the guest.
fn bytes_of(hit: &wit::Hit) -> usize {
    let wit::Hit {
        id,
        content,
        tags,
        meta,
        merge_key,
        version: _,
        score: _,
    } = hit;
    let tags: usize = tags.iter().map(|tag| size_of::<String>() + tag.len()).sum();
    let key = merge_key.as_ref().map_or(0, String::len);
    size_of::<wit::Hit>() + id.len() + content.len() + tags + meta.len() + key
}

fn result(recalled: Recalled, took_ms: u64, allowance: &Allowance) -> Recall {
    let mut hits = Vec::new();
    for Hit { entry, score } in recalled.hits {
        let hit = wit::Hit {
            id: entry.id.to_string(),
            content: entry.content.to_string(),
            tags: entry.tags.clone(),
            meta: serde_json::to_string(&entry.meta).unwrap_or_default(),
            merge_key: entry.merge_key.clone(),
            version: entry.version,
            score,
        };
        allowance.take(bytes_of(&hit))?;
        hits.push(hit);
    }
    Ok(wit::RecallResult {
        hits,
        truncated: recalled.truncated,
        took_ms,
    })
}

fn optional_id(what: &str, id: Option<String>) -> Result<Option<EntryId>, String> {
    id.map(|id| id.parse().map_err(|error| format!("{what}: {error}")))
        .transpose()
}

fn imprint(op: Op, entry: wit::Entry, limit: usize) -> Result<Imprint, String> {
    Ok(Imprint {
        op,
        entry: Draft {
            id: optional_id("entry.id", entry.id)?,
            content: parse("entry.content", &entry.content, limit)?,
            tags: entry.tags,
            meta: parse_object("entry.meta", &entry.meta, limit)?,
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

/// Recalls of one call that are asked at the same time, and imprints that are
/// made before STOP and neighbours get in.
const AT_ONCE: usize = 32;

type Recall = Result<wit::RecallResult, wit::EngramError>;
type Imprinted = Result<Option<wit::Receipt>, wit::EngramError>;

async fn recall_one(
    environment: &dyn Environment,
    binding: &str,
    what: wit::Query,
    options: &wit::RecallOptions,
    allowance: &Allowance,
) -> Recall {
    let clock = environment.clock();
    let start = clock.monotonic();
    let query = query(what, options).map_err(wit::EngramError::Invalid)?;
    let recalled = environment
        .recall(binding, &query, millis(options.deadline_ms))
        .await;
    let recalled = recalled.map_err(refusal)?;
    result(recalled, elapsed_ms(clock, start), allowance)
}

async fn imprint_one(
    environment: &dyn Environment,
    binding: &str,
    op: Op,
    entry: wit::Entry,
    limit: usize,
    options: &wit::ImprintOptions,
) -> Imprinted {
    let clock = environment.clock();
    let start = clock.monotonic();
    let imprint = imprint(op, entry, limit).map_err(wit::EngramError::Invalid)?;
    let deadline = millis(options.deadline_ms);
    let written = environment
        .imprint(binding, imprint, deadline)
        .await
        .map_err(refusal)?;
    Ok(options
        .await_ack
        .then(|| receipt(written, elapsed_ms(clock, start))))
}

impl wit::Host for Guest {
    async fn recall(
        &mut self,
        binding: String,
        query: wit::Query,
        options: wit::RecallOptions,
    ) -> wasmtime::Result<Recall> {
        self.begin(HostCall::Recall {
            binding: &binding,
            query: &query,
            options: &options,
        })?;
        let allowance = Allowance::new(self.host_call_bytes);
        Ok(recall_one(&*self.environment, &binding, query, &options, &allowance).await)
    }

    async fn recall_many(
        &mut self,
        binding: String,
        queries: Vec<wit::Query>,
        options: wit::RecallOptions,
    ) -> wasmtime::Result<Vec<Recall>> {
        self.enter_many(queries.len())?;
        self.admit(HostCall::RecallMany {
            binding: &binding,
            queries: &queries,
            options: &options,
        })?;
        let environment = &*self.environment;
        let allowance = Allowance::new(self.host_call_bytes);
        let mut recalled = Vec::with_capacity(queries.len());
        let mut queries = queries.into_iter();
        while queries.len() > 0 {
            let together = queries.by_ref().take(AT_ONCE);
            let recalls = together
                .map(|query| recall_one(environment, &binding, query, &options, &allowance));
            recalled.extend(join_all(recalls).await);
            yield_now().await;
        }
        Ok(recalled)
    }

    async fn imprint(
        &mut self,
        binding: String,
        kind: wit::Op,
        entry: wit::Entry,
        options: wit::ImprintOptions,
    ) -> wasmtime::Result<Imprinted> {
        self.begin(HostCall::Imprint {
            binding: &binding,
            op: kind,
            entry: &entry,
            options: &options,
        })?;
        Ok(imprint_one(
            &*self.environment,
            &binding,
            op(kind),
            entry,
            self.json_bytes,
            &options,
        )
        .await)
    }

    async fn imprint_many(
        &mut self,
        binding: String,
        kind: wit::Op,
        entries: Vec<wit::Entry>,
        options: wit::ImprintOptions,
    ) -> wasmtime::Result<Vec<Imprinted>> {
        self.enter_many(entries.len())?;
        self.admit(HostCall::ImprintMany {
            binding: &binding,
            op: kind,
            entries: &entries,
            options: &options,
        })?;
        let mut written = Vec::with_capacity(entries.len());
        for entry in entries {
            if written.len() % AT_ONCE == AT_ONCE - 1 {
                yield_now().await;
            }
            let environment = &*self.environment;
            written.push(
                imprint_one(
                    environment,
                    &binding,
                    op(kind),
                    entry,
                    self.json_bytes,
                    &options,
                )
                .await,
            );
        }
        Ok(written)
    }
}
