//! Any interleaving of writes by several traces with STOP, rollback and commit
//! leaves the engrams as a plain model says: a list of layers per entry,
//! searched from end to end.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use soma::clock::{Clock, Ids, Random};
use soma::engram::{
    Draft, Engram, EngramError, Fence, Held, Imprint, KeptReason, Ledger, MemoryEngram, Op, Query,
    Receipt, VectorEngram, WriteScope,
};
use soma::signal::{EntryId, Timestamp, TraceId};

const TRACES: usize = 4;
const KEYS: [&str; 3] = ["a", "b", "c"];
const VECTORS: [[f32; 3]; 4] = [
    [1.0, 0.0, 0.0],
    [0.9, 0.4, 0.0],
    [0.3, 0.8, 0.5],
    [-1.0, 0.2, 0.1],
];

#[derive(Clone, Debug)]
struct Write {
    /// None: the operator writes.
    trace: Option<usize>,
    op: Op,
    id: Option<u8>,
    key: Option<usize>,
    idempotency: Option<u8>,
    content: u8,
    tag: u8,
    vector: usize,
}

#[derive(Clone, Debug)]
enum Step {
    Write(Write),
    Stop(usize),
    Rollback(usize),
    Commit(usize),
    /// The number stands for another trace from now on; the old one is left.
    Begin(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![
        1 => Just(Op::Add),
        1 => Just(Op::Append),
        1 => Just(Op::Merge),
        3 => Just(Op::Upsert),
        2 => Just(Op::Delete),
    ];
    let trace = prop_oneof![9 => (0..TRACES).prop_map(Some), 1 => Just(None)];
    let write = (
        trace,
        op,
        prop::option::of(0..4_u8),
        prop::option::weighted(0.8, 0..KEYS.len()),
        prop::option::weighted(0.15, 0..3_u8),
        any::<u8>(),
        0..3_u8,
        0..VECTORS.len(),
    )
        .prop_map(
            |(trace, op, id, key, idempotency, content, tag, vector)| Write {
                trace,
                op,
                id,
                key,
                idempotency,
                content,
                tag,
                vector,
            },
        );
    prop_oneof![
        12 => write.prop_map(Step::Write),
        1 => (0..TRACES).prop_map(Step::Stop),
        2 => (0..TRACES).prop_map(Step::Rollback),
        1 => (0..TRACES).prop_map(Step::Commit),
        1 => (0..TRACES).prop_map(Step::Begin),
    ]
}

/// What the model knows of an entry's state.
#[derive(Clone, Debug, PartialEq)]
struct State {
    content: Value,
    tags: Vec<String>,
    meta: Map<String, Value>,
    key: Option<String>,
    version: u64,
    created: Timestamp,
    updated: Timestamp,
    vector: Option<Vec<f32>>,
    place: u64,
}

#[derive(Clone, Debug)]
struct Layer {
    id: EntryId,
    trace: Option<TraceId>,
    number: u64,
    pending: bool,
    state: Option<State>,
}

#[derive(Debug)]
struct Answered {
    key: String,
    op: Op,
    merge_key: Option<String>,
    receipt: Receipt,
    number: u64,
}

/// All layers of all entries in the order of writing.
#[derive(Debug, Default)]
struct Model {
    layers: Vec<Layer>,
    /// Every journaled write: trace, number, entry, merge key.
    journal: Vec<(TraceId, u64, EntryId, Option<String>)>,
    /// Which commit took a layer away.
    collapsed: HashMap<u64, Option<TraceId>>,
    answered: Vec<Answered>,
    numbers: u64,
}

impl Model {
    fn visible(&self) -> Vec<(EntryId, State)> {
        let mut tops: Vec<(EntryId, Option<State>)> = Vec::new();
        for layer in &self.layers {
            tops.retain(|(id, _)| *id != layer.id);
            tops.push((layer.id.clone(), layer.state.clone()));
        }
        let mut visible: Vec<_> = tops
            .into_iter()
            .filter_map(|(id, state)| Some((id, state?)))
            .collect();
        visible.sort_by_key(|(_, state)| state.place);
        visible
    }

    fn newest(&self, key: &str) -> Option<(EntryId, State)> {
        let mut visible = self.visible();
        visible.retain(|(_, state)| state.key.as_deref() == Some(key));
        visible.pop()
    }

    fn push(&mut self, id: &EntryId, trace: Option<&TraceId>, state: Option<State>) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        let key = state.as_ref().and_then(|state| state.key.clone());
        self.layers.push(Layer {
            id: id.clone(),
            trace: trace.cloned(),
            number,
            pending: trace.is_some(),
            state,
        });
        match trace {
            Some(trace) => self.journal.push((trace.clone(), number, id.clone(), key)),
            None => self.settle(id, number, None),
        }
        number
    }

    fn settle(&mut self, id: &EntryId, number: u64, by: Option<&TraceId>) {
        let lower = |layer: &Layer| layer.id == *id && layer.number < number;
        for layer in self.layers.iter().filter(|layer| lower(layer)) {
            self.collapsed.insert(layer.number, by.cloned());
        }
        self.layers.retain(|layer| !lower(layer));
        for layer in &mut self.layers {
            layer.pending &= layer.number != number;
        }
        self.forget_deleted();
    }

    fn forget_deleted(&mut self) {
        let alone = |layers: &[Layer], id: &EntryId| {
            layers.iter().filter(|layer| layer.id == *id).count() == 1
        };
        let layers = self.layers.clone();
        self.layers
            .retain(|layer| layer.pending || layer.state.is_some() || !alone(&layers, &layer.id));
    }

    fn take_journal(&mut self, trace: &TraceId) -> Vec<(u64, EntryId, Option<String>)> {
        let mine = self.journal.iter().filter(|record| record.0 == *trace);
        let mine = mine.map(|(_, number, id, key)| (*number, id.clone(), key.clone()));
        let mine = mine.collect();
        self.journal.retain(|record| record.0 != *trace);
        mine
    }

    fn commit(&mut self, trace: &TraceId) {
        for (number, id, _) in self.take_journal(trace) {
            if self.layers.iter().any(|layer| layer.number == number) {
                self.settle(&id, number, Some(trace));
            }
        }
    }

    /// What the report must say: compensated, and (entry, merge key, by) kept.
    fn rollback(&mut self, trace: &TraceId) -> (u64, Vec<KeptFact>) {
        let mut compensated = 0;
        let mut kept: Vec<KeptFact> = Vec::new();
        for (number, id, key) in self.take_journal(trace).into_iter().rev() {
            self.answered.retain(|answered| answered.number != number);
            let stack: Vec<_> = self.layers.iter().filter(|layer| layer.id == id).collect();
            let top = stack.last().map(|top| (top.number, top.trace.clone()));
            let stands = stack.iter().any(|layer| layer.number == number);
            let by = match top {
                Some((top, _)) if top == number => None,
                Some((_, writer)) if stands => Some(writer),
                _ => Some(self.collapsed[&number].clone()),
            };
            self.layers.retain(|layer| layer.number != number);
            self.forget_deleted();
            match by {
                None => compensated += 1,
                Some(by) if kept.iter().all(|fact| fact.0 != id) => kept.push((id, key, by)),
                Some(_) => {}
            }
        }
        (compensated, kept)
    }
}

type KeptFact = (EntryId, Option<String>, Option<TraceId>);

/// A state changed by `merge`, written as the reference table says it.
fn merged(old: &Value, new: &Value) -> Value {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let mut all = a.clone();
            for (key, value) in b {
                let value = a.get(key).map_or(value.clone(), |old| merged(old, value));
                all.insert(key.clone(), value);
            }
            Value::Object(all)
        }
        (Value::Array(a), Value::Array(b)) => {
            let mut all: Vec<Value> = Vec::new();
            for item in a.iter().chain(b) {
                if !all.contains(item) {
                    all.push(item.clone());
                }
            }
            Value::Array(all)
        }
        _ => new.clone(),
    }
}

#[derive(Default)]
struct Balance {
    store: AtomicU64,
    journal: AtomicU64,
}

impl Balance {
    fn of(&self, what: Held) -> &AtomicU64 {
        match what {
            Held::Store => &self.store,
            Held::Journal => &self.journal,
        }
    }
}

impl Ledger for Balance {
    fn reserve(&self, what: Held, bytes: u64) -> Result<(), String> {
        self.of(what).fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn release(&self, what: Held, bytes: u64) {
        let before = self.of(what).fetch_sub(bytes, Ordering::SeqCst);
        assert!(before >= bytes, "released more than was reserved");
    }
}

struct World {
    engram: Box<dyn Engram>,
    vectors: bool,
    model: Model,
    balance: Arc<Balance>,
    clock: Clock,
    tick: Box<dyn Fn()>,
    ids: Ids,
    scopes: Vec<WriteScope>,
    all_traces: Vec<TraceId>,
}

impl World {
    fn new(vectors: bool) -> Self {
        let (clock, hand) = Clock::virtual_at(Timestamp::from_micros(1_700_000_000_000_000));
        let ids = Ids::new(clock.clone(), Random::seeded(7));
        let balance = Arc::new(Balance::default());
        let ledger = || Arc::clone(&balance) as Arc<dyn Ledger>;
        let engram: Box<dyn Engram> = if vectors {
            let (clock, ids) = (clock.clone(), ids.clone());
            Box::new(VectorEngram::new("e", 3, clock, ids, ledger()))
        } else {
            Box::new(MemoryEngram::new("e", clock.clone(), ids.clone(), ledger()))
        };
        let mut world = World {
            engram,
            vectors,
            model: Model::default(),
            balance,
            clock,
            tick: Box::new(move || hand.advance(Duration::from_millis(1))),
            ids,
            scopes: Vec::new(),
            all_traces: Vec::new(),
        };
        world.scopes = (0..TRACES).map(|_| world.begin()).collect();
        world
    }

    fn begin(&mut self) -> WriteScope {
        let trace = self.ids.trace();
        self.all_traces.push(trace.clone());
        let fence = Fence::default();
        WriteScope { trace, fence }
    }

    async fn take(&mut self, step: &Step) {
        (self.tick)();
        match step {
            Step::Write(write) => self.write(write).await,
            Step::Stop(trace) => self.scopes[*trace].fence.close(),
            Step::Begin(trace) => self.scopes[*trace] = self.begin(),
            Step::Commit(trace) => {
                let trace = self.scopes[*trace].trace.clone();
                self.engram.commit(&trace).await;
                self.model.commit(&trace);
            }
            Step::Rollback(trace) => {
                let trace = self.scopes[*trace].trace.clone();
                self.rollback(&trace).await;
            }
        }
    }

    async fn rollback(&mut self, trace: &TraceId) {
        let report = self.engram.rollback(trace).await;
        let facts = report.kept.into_iter().map(|kept| match kept.reason {
            KeptReason::OverwrittenBy { trace } => (kept.entry, kept.merge_key, trace),
            other => panic!("{other}"),
        });
        let (compensated, kept) = self.model.rollback(trace);
        assert_eq!(facts.collect::<Vec<_>>(), kept);
        assert_eq!(report.compensated, compensated);
    }

    async fn write(&mut self, write: &Write) {
        let draft = Draft {
            id: write.id.map(|id| format!("id{id}").parse().unwrap()),
            content: json!({"n": write.content, "list": [write.content % 3, "x"]}),
            tags: vec![format!("tag{}", write.tag)],
            meta: Map::from_iter([(format!("m{}", write.tag), json!(write.content))]),
            embedding: self.vectors.then(|| VECTORS[write.vector].to_vec()),
        };
        let imprint = Imprint {
            op: write.op,
            entry: draft.clone(),
            merge_key: write.key.map(|key| KEYS[key].to_owned()),
            idempotency_key: write.idempotency.map(|key| format!("once{key}")),
        };
        let scope = write.trace.map(|trace| self.scopes[trace].clone());
        let answer = self.engram.imprint(imprint.clone(), scope.as_ref()).await;
        let expected = self.expect(&imprint, scope.as_ref(), &answer);
        assert_eq!(answer, expected, "{imprint:?}");
    }

    /// Does the write in the model. Looks at the engram's answer only for an
    /// id that the engram made.
    fn expect(
        &mut self,
        imprint: &Imprint,
        scope: Option<&WriteScope>,
        answer: &Result<Receipt, EngramError>,
    ) -> Result<Receipt, EngramError> {
        let Imprint {
            op,
            entry: draft,
            merge_key,
            idempotency_key,
        } = imprint.clone();
        let invalid = |text: String| Err(EngramError::Invalid(text));
        if matches!(op, Op::Merge | Op::Upsert) && merge_key.is_none() {
            return invalid(format!("{op} requires merge_key"));
        }
        if scope.is_some_and(|scope| scope.fence.is_closed()) {
            return Err(EngramError::Cancelled);
        }
        let known = self.model.answered.iter();
        let mut known = known.filter(|known| Some(&known.key) == idempotency_key.as_ref());
        if let Some(known) = known.next() {
            if known.op == op && known.merge_key == merge_key {
                return Ok(known.receipt.clone());
            }
            let key = &known.key;
            return invalid(format!(
                "idempotency_key '{key}' was used with another op or merge_key"
            ));
        }
        let visible = self.model.visible();
        let by_id = visible
            .iter()
            .find(|(id, _)| Some(id) == draft.id.as_ref())
            .cloned();
        let by_key = merge_key.as_deref().and_then(|key| self.model.newest(key));
        let found = match op {
            Op::Delete if draft.id.is_some() => by_id.clone(),
            Op::Delete | Op::Upsert | Op::Merge => by_key,
            Op::Add | Op::Append => None,
        };
        let taken = by_id.is_some();
        let receipt = |id: Option<EntryId>, version| Receipt {
            engram: Arc::from("e"),
            op,
            id,
            version,
        };
        let (id, state) = match (op, found) {
            (Op::Delete, None) => return Ok(receipt(None, None)),
            (Op::Delete, Some((id, _))) => (id, None),
            (Op::Merge, None) => {
                let key = merge_key.unwrap_or_default();
                return invalid(format!("no entry for merge_key='{key}'"));
            }
            (Op::Merge | Op::Upsert, Some((id, old))) => (id, Some(self.next(&old, op, &draft))),
            (Op::Add | Op::Upsert, None) if taken => {
                let id = draft.id.unwrap();
                return invalid(format!("entry id '{id}' already exists"));
            }
            _ => {
                let made = || {
                    let id = answer.as_ref().unwrap().id.clone().unwrap();
                    assert!(id.to_string().starts_with("eng_"));
                    assert!(self.model.layers.iter().all(|layer| layer.id != id));
                    id
                };
                let id = draft.id.clone().filter(|_| !taken).unwrap_or_else(made);
                (id, Some(self.first(&draft, merge_key.as_ref())))
            }
        };
        let version = state.as_ref().map(|state| state.version);
        let trace = scope.map(|scope| &scope.trace);
        let number = self.model.push(&id, trace, state);
        let receipt = receipt(Some(id), version);
        if let Some(key) = idempotency_key {
            self.model.answered.push(Answered {
                key,
                op,
                merge_key,
                receipt: receipt.clone(),
                number,
            });
        }
        Ok(receipt)
    }

    fn first(&self, draft: &Draft, key: Option<&String>) -> State {
        State {
            content: draft.content.clone(),
            tags: draft.tags.clone(),
            meta: draft.meta.clone(),
            key: key.cloned(),
            version: 1,
            created: self.clock.now(),
            updated: self.clock.now(),
            vector: draft.embedding.clone(),
            place: self.model.numbers,
        }
    }

    fn next(&self, old: &State, op: Op, draft: &Draft) -> State {
        let mut state = State {
            version: old.version + 1,
            created: old.created,
            place: old.place,
            ..self.first(draft, old.key.as_ref())
        };
        if op == Op::Merge {
            state.content = merged(&old.content, &state.content);
            let tags: Vec<_> = [&old.tags[..], &draft.tags[..]].concat();
            let mut seen = HashSet::new();
            state.tags = tags
                .into_iter()
                .filter(|tag| seen.insert(tag.clone()))
                .collect();
            let meta = merged(&Value::Object(old.meta.clone()), &Value::Object(state.meta));
            state.meta = meta.as_object().unwrap().clone();
        }
        state
    }

    async fn check(&self) {
        let visible = self.model.visible();
        assert_eq!(self.engram.len(), visible.len());
        assert_eq!(self.recall(Query::default()).await, visible);
        for key in KEYS {
            let query = Query {
                merge_key: Some(key.to_owned()),
                ..Query::default()
            };
            let mut with_key = visible.clone();
            with_key.retain(|(_, state)| state.key.as_deref() == Some(key));
            assert_eq!(self.recall(query).await, with_key);
        }
        if self.vectors {
            self.check_ranking(visible).await;
        }
        for trace in &self.all_traces {
            let journal = self.model.journal.iter();
            let records = journal.filter(|record| record.0 == *trace).count();
            assert_eq!(self.engram.journaled(trace), records);
        }
        let empty = self.model.journal.is_empty();
        assert_eq!(self.balance.journal.load(Ordering::SeqCst) == 0, empty);
        let empty = self.model.layers.iter().all(|layer| layer.state.is_none());
        assert_eq!(self.balance.store.load(Ordering::SeqCst) == 0, empty);
    }

    async fn check_ranking(&self, mut visible: Vec<(EntryId, State)>) {
        let wanted = [0.7_f32, 0.6, 0.2];
        let cosine = |state: &State| {
            let vector = state.vector.clone().unwrap();
            let dot: f32 = vector.iter().zip(wanted).map(|(a, b)| a * b).sum();
            let length = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>().sqrt();
            (dot / length(&vector) / length(&wanted)).max(0.0)
        };
        visible.sort_by(|(_, a), (_, b)| {
            let close = (cosine(a) - cosine(b)).abs() < 1e-4;
            let by_score = cosine(b).total_cmp(&cosine(a));
            if close {
                a.place.cmp(&b.place)
            } else {
                by_score
            }
        });
        visible.truncate(2);
        let query = Query {
            embedding: Some(wanted.to_vec()),
            top_k: Some(2),
            ..Query::default()
        };
        let recalled = self.engram.recall(&query).await.unwrap();
        let ids: Vec<_> = recalled
            .hits
            .iter()
            .map(|hit| hit.entry.id.clone())
            .collect();
        let expected: Vec<_> = visible.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(ids, expected);
        for (hit, (_, state)) in recalled.hits.iter().zip(&visible) {
            assert!((hit.score - cosine(state)).abs() < 1e-5);
        }
    }

    /// Every entry that the engram shows, as the model's states; the place is
    /// the model's own for the same id, since the engram shows only the order.
    async fn recall(&self, query: Query) -> Vec<(EntryId, State)> {
        let places: HashMap<_, _> = self.model.visible().into_iter().collect();
        let query = Query {
            top_k: Some(usize::MAX),
            ..query
        };
        let recalled = self.engram.recall(&query).await.unwrap();
        let entries = recalled.hits.into_iter().map(|hit| hit.entry);
        let states = entries.map(|entry| {
            let state = State {
                content: entry.content.clone(),
                tags: entry.tags.clone(),
                meta: entry.meta.clone(),
                key: entry.merge_key.clone(),
                version: entry.version,
                created: entry.created_at,
                updated: entry.updated_at,
                vector: entry.embedding.as_ref().map(|vector| vector.to_vec()),
                place: places.get(&entry.id).map_or(0, |state| state.place),
            };
            (entry.id.clone(), state)
        });
        states.collect()
    }

    /// Ends every trace, removes every entry: nothing must be charged for.
    async fn finish(mut self) {
        for trace in self.all_traces.clone() {
            self.rollback(&trace).await;
        }
        self.check().await;
        assert_eq!(self.balance.journal.load(Ordering::SeqCst), 0);
        for (id, _) in self.model.visible() {
            let delete = Imprint {
                op: Op::Delete,
                entry: Draft {
                    id: Some(id),
                    ..Draft::default()
                },
                merge_key: None,
                idempotency_key: None,
            };
            self.engram.imprint(delete, None).await.unwrap();
        }
        assert!(self.engram.is_empty());
        assert_eq!(self.balance.store.load(Ordering::SeqCst), 0);
    }
}

fn run(vectors: bool, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(vectors);
        for step in steps {
            world.take(step).await;
            world.check().await;
        }
        world.finish().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_interleaving_on_a_memory_engram_equals_the_model(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        run(false, &steps);
    }

    #[test]
    fn any_interleaving_on_a_vector_engram_equals_the_model(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        run(true, &steps);
    }
}
