//! What came of a task, and whether that is what was expected.

use std::time::Duration;

use serde_json::{Value, json};
use similar::TextDiff;

use super::{
    compare::{self, EXPECTATION},
    file::CaseFile,
    stage::Scene,
    text,
};
use crate::{
    engram::{Entry, Query},
    neuron::{End, Ended, LoadError, Reply, Usage},
    signal::Object,
};

/// A task that has ended.
#[derive(Clone, Debug)]
pub struct Run {
    got: Value,
    usage: Usage,
    wrong: Vec<String>,
    is_cut: bool,
}

/// A run beside what was expected of it.
#[derive(Clone, Debug)]
pub struct Verdict {
    expected: Value,
    got: Value,
    wrong: Vec<String>,
}

/// What the engrams hold, by binding.
pub(super) async fn contents(scene: &Scene) -> Object {
    let mut all = Object::new();
    for (name, bound) in &scene.bindings {
        let everything = Query {
            top_k: Some(bound.engram.len()),
            ..Query::default()
        };
        let found = bound.engram.recall(&everything).await;
        let hits = found.map(|found| found.hits).unwrap_or_default();
        let entries = hits.iter().map(|hit| listed(&hit.entry)).collect();
        all.insert(name.clone(), entries);
    }
    all
}

/// An entry with what it has.
fn listed(entry: &Entry) -> Value {
    let mut keys = Object::new();
    let mut tell = |key: &str, value: Value| keys.insert(key.to_owned(), value);
    tell("id", json!(entry.id.to_string()));
    tell("content", entry.content.clone());
    if !entry.tags.is_empty() {
        tell("tags", json!(entry.tags));
    }
    if !entry.meta.is_empty() {
        tell("meta", Value::Object(entry.meta.clone()));
    }
    if let Some(key) = &entry.merge_key {
        tell("merge_key", json!(key));
    }
    tell("version", json!(entry.version));
    if let Some(embedding) = &entry.embedding {
        tell("embedding", json!(**embedding));
    }
    Value::Object(keys)
}

impl Run {
    pub(super) fn of(ended: Ended, contents: Object, scene: &Scene) -> Self {
        let mut wrong = scene.unused();
        let mut notes = scene.notes.lock();
        wrong.append(&mut notes.wrong);
        let mut got = Object::new();
        got.insert("reply".to_owned(), reply(ended.result));
        got.insert("calls".to_owned(), notes.calls.take());
        if !contents.is_empty() {
            got.insert("engrams".to_owned(), Value::Object(contents));
        }
        got.insert("signals".to_owned(), notes.signals.take());
        got.insert("log".to_owned(), notes.log.take());
        Self {
            got: Value::Object(got),
            usage: ended.usage,
            wrong,
            is_cut: false,
        }
    }

    /// It was stopped because it had taken that much real time.
    pub(super) fn cut(self, patience: Duration) -> Self {
        Self {
            wrong: vec![format!(
                "it had not ended after {patience:?} of real time, and was stopped"
            )],
            is_cut: true,
            ..self
        }
    }

    /// The component was refused before anything of it ran.
    pub(super) fn refused(error: &LoadError) -> Self {
        Self {
            got: json!({"reply": {"refused": error.to_string()}}),
            usage: Usage::default(),
            wrong: Vec::new(),
            is_cut: false,
        }
    }

    /// Whether it took too much real time and was stopped for that. What came
    /// of it then says nothing of the component: it depends on the machine.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Why nothing of the component ran, where the host refused it.
    pub fn refusal(&self) -> Option<&str> {
        self.got.get("reply")?.get("refused")?.as_str()
    }

    /// What the task used. Its fuel and host calls are the same in every run.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// All that came of it, as an expectation that leaves nothing open but
    /// embeddings.
    pub fn expectation(&self) -> Value {
        compare::plain(&self.got)
    }

    /// Compares with what the case expects.
    pub fn against(&self, case: &CaseFile) -> Verdict {
        let expected = case.expectation().clone();
        let mut got = self.got.clone();
        let most = expected.get("fuel_at_most").and_then(Value::as_u64);
        if let (Some(most), Value::Object(got)) = (most, &mut got) {
            got.insert("fuel_at_most".to_owned(), most.max(self.usage.fuel).into());
        }
        Verdict {
            got: compare::written_as(&EXPECTATION, &expected, &got),
            expected,
            wrong: self.wrong.clone(),
        }
    }
}

fn reply(result: Result<Reply, End>) -> Value {
    let failed = |end: &End| {
        json!({
            "code": end.code(),
            "message": end.to_string(),
            "recoverable": end.recoverable(),
        })
    };
    let (kind, said, route) = match result {
        Ok(Reply::Output { value, route }) => ("output", value, route),
        Ok(Reply::Clarification { question, context }) => {
            let said = there([("question", Some(question.into())), ("context", context)]);
            ("clarification", said, None)
        }
        Ok(Reply::Permission {
            action,
            scope,
            reason,
            context,
        }) => {
            let said = there([
                ("action", Some(action.into())),
                ("scope", scope.map(Value::Object)),
                ("reason", reason.map(Value::from)),
                ("context", context),
            ]);
            ("permission", said, None)
        }
        Err(End::Stopped) => ("stopped", Value::Bool(true), None),
        Err(end @ End::Failure { .. }) => ("failure", failed(&end), None),
        Err(end) => ("end", failed(&end), None),
    };
    there([(kind, Some(said)), ("route", route.map(Value::from))])
}

fn there<const N: usize>(keys: [(&str, Option<Value>); N]) -> Value {
    let keys = keys.into_iter();
    let there = keys.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(there.collect())
}

impl Verdict {
    /// Whether all that is expected came, and all that the case has was used.
    pub fn is_ok(&self) -> bool {
        self.is_as_expected() && self.wrong.is_empty()
    }

    fn is_as_expected(&self) -> bool {
        self.expected == self.got
    }

    /// What of the case was not used, or could not be, a line each.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    /// What came, as the expectation would write it: wildcards stay where they
    /// hold, what is left out stays out.
    pub fn got(&self) -> &Value {
        &self.got
    }

    /// The expectation and what came instead as a unified diff; empty where
    /// they are the same.
    pub fn diff(&self) -> String {
        if self.is_as_expected() {
            return String::new();
        }
        let written = |value: &Value| text::pretty(value, 0) + "\n";
        let (expected, got) = (written(&self.expected), written(&self.got));
        TextDiff::from_lines(&expected, &got)
            .unified_diff()
            .context_radius(3)
            .header("expected", "got")
            .to_string()
    }
}
