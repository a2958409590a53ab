//! The world around a rehearsed task: real engrams, a clock that nobody waits
//! for, faults where the case has them, and a note of all that happens.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    calls,
    case::{Ending, RecallAnswer, SceneHit},
    faults::{Failed, Faults, Struck},
    orchestration::{Answers, Orchestrator},
};
use crate::{
    clock::{Clock, Ids, Random},
    engram::{
        Engram, EngramError, Entry, Hit, Imprint, Query, Recalled, Receipt, Rollback, WriteScope,
    },
    neuron::{
        End,
        environment::{
            EmitError, Environment, HostCall, LogLevel, LogRecord, Orchestration, may_not_emit,
            not_bound, read_only,
        },
    },
    package::BindingAccess,
    signal::{EntryId, Payload, SignalId, SignalType},
};

/// A binding of the rehearsed neuron.
pub(super) struct Bound {
    pub(super) engram: Arc<dyn Engram>,
    pub(super) access: BindingAccess,
    /// In place of what the engram would find.
    pub(super) answers: Option<Mutex<VecDeque<RecallAnswer>>>,
}

/// All that is around a task.
pub(super) struct Scene {
    pub(super) neuron: Arc<str>,
    pub(super) task: SignalId,
    pub(super) scope: WriteScope,
    pub(super) wall: Duration,
    pub(super) clock: Clock,
    pub(super) random: Random,
    pub(super) ids: Ids,
    pub(super) bindings: BTreeMap<String, Bound>,
    pub(super) emits: BTreeSet<SignalType>,
    pub(super) faults: Faults,
    pub(super) answers: Answers,
    pub(super) notes: Mutex<Notes>,
}

/// What has happened.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) calls: Listing,
    pub(super) signals: Listing,
    pub(super) log: Listing,
    /// What the case has that does not fit what happens.
    pub(super) wrong: Vec<String>,
}

/// A list in a note. A neuron may call a million times: only the first are
/// kept.
#[derive(Default)]
pub(super) struct Listing {
    items: Vec<Value>,
    count: u64,
}

impl Listing {
    const KEPT: u64 = 10_000;

    /// Adds an item and returns its number, from 1.
    fn push(&mut self, item: impl FnOnce() -> Value) -> u64 {
        self.count += 1;
        if self.count <= Self::KEPT {
            self.items.push(item());
        }
        self.count
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn take(&mut self) -> Value {
        let more = self.count.saturating_sub(Self::KEPT);
        let mut items = std::mem::take(&mut self.items);
        if more > 0 {
            items.push(json!(format!("and {more} more")));
        }
        Value::Array(items)
    }
}

/// See the module.
pub(super) struct Stage(pub(super) Arc<Scene>);

impl Scene {
    /// The number of the call that is being made.
    pub(super) fn call(&self) -> u64 {
        self.notes.lock().calls.count()
    }

    fn bound(&self, name: &str) -> Result<&Bound, EngramError> {
        self.bindings.get(name).ok_or_else(|| {
            let bound = self.bindings.keys().map(String::as_str);
            not_bound(&self.neuron, name, bound)
        })
    }

    /// Waits for an engram as its case and its caller say.
    async fn answered<T>(
        &self,
        struck: Struck,
        deadline: Option<Duration>,
        answer: impl Future<Output = Result<T, EngramError>>,
    ) -> Result<T, EngramError> {
        let Struck { delay, fails } = struck;
        // An answer that is there at once is in time for any deadline.
        if let Some(deadline) = deadline
            && !delay.is_zero()
            && deadline <= delay
        {
            self.clock.sleep(deadline).await;
            return Err(EngramError::Timeout);
        }
        self.clock.sleep(delay).await;
        let Some(fails) = fails else {
            return answer.await;
        };
        let fails = fails.of_engram();
        if fails == EngramError::Timeout
            && let Some(deadline) = deadline
        {
            self.clock.sleep(deadline.saturating_sub(delay)).await;
        }
        Err(fails)
    }

    async fn find(
        &self,
        name: &str,
        bound: &Bound,
        query: &Query,
    ) -> Result<Recalled, EngramError> {
        let Some(answers) = &bound.answers else {
            return bound.engram.recall(query).await;
        };
        let Some(answer) = answers.lock().pop_front() else {
            let words = format!("the case has no further answer of `{name}`");
            self.notes
                .lock()
                .wrong
                .push(format!("engrams.{name}: {words}"));
            return Err(EngramError::Backend(words));
        };
        match answer.fails {
            Some(kind) => Err(Failed::new(kind, answer.message.as_ref()).of_engram()),
            None => Ok(Recalled {
                hits: answer.hits.iter().map(|hit| self.hit(hit)).collect(),
                truncated: answer.truncated,
            }),
        }
    }

    fn hit(&self, hit: &SceneHit) -> Hit {
        let id = hit.id.as_deref().and_then(|id| id.parse::<EntryId>().ok());
        let now = self.clock.now();
        let entry = Entry {
            id: id.unwrap_or_else(|| self.ids.entry()),
            content: hit.content.clone(),
            tags: hit.tags.clone(),
            meta: hit.meta.clone(),
            merge_key: hit.merge_key.clone(),
            version: hit.version.unwrap_or(1),
            created_at: now,
            updated_at: now,
            embedding: None,
        };
        Hit {
            entry: Arc::new(entry),
            score: hit.score.unwrap_or(1.0),
        }
    }

    /// Undoes what the task wrote.
    pub(super) async fn roll_back(&self) {
        for bound in self.bindings.values() {
            let _: Rollback = bound.engram.rollback(&self.scope.trace).await;
        }
    }

    /// What the case has and the run did not use.
    pub(super) fn unused(&self) -> Vec<String> {
        let calls = self.call();
        let calls = match calls {
            1 => "1 call".to_owned(),
            _ => format!("{calls} calls"),
        };
        let faults = self.faults.unused();
        let faults = faults.map(|index| {
            format!(
                "faults.{index} did not strike: the neuron made {calls} (log lines do not count)"
            )
        });
        let recalls = self.bindings.iter().filter_map(|(name, bound)| {
            let left = bound.answers.as_ref()?.lock().len();
            let left = (left > 0).then_some(left)?;
            Some(format!(
                "engrams.{name}: {left} of its answers were not asked for"
            ))
        });
        let answers = self.answers.unused().into_iter();
        let answers =
            answers.map(|index| format!("orchestration.{index}: no task was started for it"));
        faults.chain(recalls).chain(answers).collect()
    }
}

impl Environment for Stage {
    fn admit(&self, call: HostCall<'_>) -> Result<(), End> {
        let scene = &*self.0;
        let number = scene.notes.lock().calls.push(|| calls::listed(&call));
        let misfits = scene.faults.misfits(number, calls::name(&call));
        scene.notes.lock().wrong.extend(misfits);
        match scene.faults.ending(number) {
            None => Ok(()),
            Some(Ending::Deadline) => Err(End::Deadline(scene.wall)),
            Some(Ending::Stop | Ending::Rollback) => {
                scene.scope.fence.close();
                Err(End::Stopped)
            }
        }
    }

    fn recall<'a>(
        &'a self,
        name: &'a str,
        query: &'a Query,
        deadline: Option<Duration>,
    ) -> BoxFuture<'a, Result<Recalled, EngramError>> {
        let scene = &*self.0;
        Box::pin(async move {
            let bound = scene.bound(name)?;
            let struck = scene.faults.at_engram(scene.call(), name);
            let found = scene.find(name, bound, query);
            scene.answered(struck, deadline, found).await
        })
    }

    fn imprint<'a>(
        &'a self,
        name: &'a str,
        imprint: Imprint,
        deadline: Option<Duration>,
    ) -> BoxFuture<'a, Result<Receipt, EngramError>> {
        let scene = &*self.0;
        Box::pin(async move {
            let bound = scene.bound(name)?;
            if bound.access == BindingAccess::Read {
                return Err(read_only(&scene.neuron, name));
            }
            let struck = scene.faults.at_engram(scene.call(), name);
            let written = bound.engram.imprint(imprint, Some(&scene.scope));
            scene.answered(struck, deadline, written).await
        })
    }

    fn emit(&self, payload: Payload) -> Result<SignalId, EmitError> {
        let scene = &*self.0;
        if let Some(failed) = scene.faults.failure(scene.call()) {
            return Err(failed.of_synapse());
        }
        let kind = payload.signal_type();
        if !scene.emits.contains(&kind) {
            return Err(may_not_emit(&scene.neuron, kind));
        }
        let note = || json!({"type": kind.as_str(), "payload": payload.to_object()});
        scene.notes.lock().signals.push(note);
        Ok(scene.ids.signal())
    }

    fn log(&self, record: LogRecord) {
        let LogRecord {
            level,
            message,
            fields,
        } = record;
        let level = match level {
            LogLevel::Trace => "trace",
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error => "error",
        };
        let note = || {
            let mut line = json!({"level": level, "message": message});
            if let Value::Object(line) = &mut line
                && !fields.is_empty()
            {
                line.insert("fields".to_owned(), Value::Object(fields));
            }
            line
        };
        self.0.notes.lock().log.push(note);
    }

    fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn random(&self) -> &Random {
        &self.0.random
    }

    fn orchestration(&self) -> Arc<dyn Orchestration> {
        Arc::new(Orchestrator(Arc::clone(&self.0)))
    }
}
