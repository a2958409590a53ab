//! What each engram promises, one requirement a test.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod operations;
mod quotas;
mod recalls;
mod rollbacks;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::{Clock, Ids, Random, VirtualClock};
use crate::signal::{EntryId, Timestamp};

/// 2023-11-14T22:13:20Z in microseconds.
const START: i64 = 1_700_000_000_000_000;

struct Bench {
    engram: Box<dyn Engram>,
    hand: VirtualClock,
    ids: Ids,
}

fn memory() -> Bench {
    memory_with(Arc::new(Unmetered))
}

fn memory_with(ledger: Arc<dyn Ledger>) -> Bench {
    bench(|clock, ids| Box::new(MemoryEngram::new("notes", clock, ids, ledger)))
}

fn vector(dimension: usize) -> Bench {
    bench(|clock, ids| {
        let ledger = Arc::new(Unmetered);
        Box::new(VectorEngram::new("facts", dimension, clock, ids, ledger))
    })
}

fn bench(make: impl FnOnce(Clock, Ids) -> Box<dyn Engram>) -> Bench {
    let (clock, hand) = Clock::virtual_at(Timestamp::from_micros(START));
    let ids = Ids::new(clock.clone(), Random::seeded(1));
    let engram = make(clock, ids.clone());
    Bench { engram, hand, ids }
}

impl Bench {
    fn trace(&self) -> WriteScope {
        let trace = self.ids.trace();
        let fence = Fence::default();
        WriteScope { trace, fence }
    }

    async fn write(&self, imprint: Imprint) -> Result<Receipt, EngramError> {
        self.engram.imprint(imprint, None).await
    }

    async fn write_on(&self, scope: &WriteScope, imprint: Imprint) -> Receipt {
        self.engram.imprint(imprint, Some(scope)).await.unwrap()
    }

    async fn refusal(&self, imprint: Imprint) -> String {
        self.write(imprint).await.unwrap_err().to_string()
    }

    async fn entries(&self) -> Vec<Arc<Entry>> {
        let query = Query {
            top_k: Some(usize::MAX),
            ..Query::default()
        };
        let recalled = self.engram.recall(&query).await.unwrap();
        recalled.hits.into_iter().map(|hit| hit.entry).collect()
    }

    async fn contents(&self) -> Vec<Value> {
        let entries = self.entries().await.into_iter();
        entries.map(|entry| entry.content.clone()).collect()
    }

    fn pass(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }
}

fn imprint(op: Op, content: Value) -> Imprint {
    Imprint {
        op,
        entry: Draft {
            content,
            ..Draft::default()
        },
        merge_key: None,
        idempotency_key: None,
    }
}

impl Imprint {
    fn id(mut self, id: &str) -> Self {
        self.entry.id = Some(id.parse().unwrap());
        self
    }

    fn key(mut self, key: &str) -> Self {
        self.merge_key = Some(key.to_owned());
        self
    }

    fn once(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.to_owned());
        self
    }

    fn tags(mut self, tags: &[&str]) -> Self {
        self.entry.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        self
    }

    fn vector(mut self, vector: &[f32]) -> Self {
        self.entry.embedding = Some(vector.to_vec());
        self
    }
}

fn add(content: Value) -> Imprint {
    imprint(Op::Add, content)
}

fn upsert(key: &str, content: Value) -> Imprint {
    imprint(Op::Upsert, content).key(key)
}

fn delete() -> Imprint {
    imprint(Op::Delete, Value::Null)
}

fn id(text: &str) -> EntryId {
    text.parse().unwrap()
}

fn texts(entries: &[Arc<Entry>]) -> Vec<String> {
    entries.iter().map(|entry| entry.id.to_string()).collect()
}
