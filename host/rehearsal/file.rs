//! Case files: reading one with all that is wrong with it, and writing what is
//! expected back.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    case::{Case, Failing, Fault, TaskAnswer},
    compare::{self, REST},
    text,
};
use crate::{
    package::{Document, Problem, Problems, file, is_name},
    signal::{Object, Payload, Timestamp},
};

/// When a task begins unless its case says: 2026-01-01T00:00:00Z.
const START_MS: u64 = 1_767_225_600_000;

/// A case in its file.
#[derive(Clone, Debug)]
pub struct CaseFile {
    name: String,
    document: Document,
    pub(super) case: Case,
    pub(super) start: Timestamp,
    /// The folders that it gives, by name, as they were looked at.
    pub(super) folders: BTreeMap<String, PathBuf>,
}

impl CaseFile {
    /// Reads a file whose name ends in `.json`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each at its place.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        Self::of(Document::read(path, Document::MAX_BYTES)?)
    }

    /// A case of nothing but this input, which is to be written to `path`.
    ///
    /// # Errors
    /// As [`CaseFile::read`].
    pub fn of_input(path: &Path, input: Object) -> Result<Self, Problems> {
        let text = format!(
            "{{\n  \"input\": {}\n}}\n",
            text::pretty(&Value::Object(input), 2)
        );
        Self::of(Document::parse(path, text)?)
    }

    fn of(document: Document) -> Result<Self, Problems> {
        let case: Case = document.typed()?;
        let mut wrong = Wrong {
            document: &document,
            found: Vec::new(),
        };
        let start = wrong.clock(&case);
        wrong.environment(&case);
        let folders = wrong.folders(&case);
        wrong.engrams(&case);
        for (index, answer) in case.orchestration.iter().enumerate() {
            wrong.answer(index, answer);
        }
        for (index, fault) in case.faults.iter().enumerate() {
            wrong.fault(index, fault);
        }
        wrong.expectation();
        Problems::unless_any(wrong.found, ())?;
        let stem = document.path().file_stem().unwrap_or_default();
        Ok(Self {
            name: stem.to_string_lossy().into_owned(),
            document,
            case,
            start,
            folders,
        })
    }

    /// The file's name without its ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.document.path()
    }

    /// The task's input.
    pub fn input(&self) -> &Object {
        &self.case.input
    }

    /// What it expects, as it stands in the file; null where that is nothing.
    pub fn expectation(&self) -> &Value {
        let expected = self.document.value().get("expect");
        let is_some = |expected: &&Value| expected.as_object().is_some_and(|keys| !keys.is_empty());
        expected.filter(is_some).unwrap_or(&Value::Null)
    }

    /// A problem at the value with these keys.
    pub fn problem(&self, keys: &[&str], message: impl std::fmt::Display) -> Problem {
        self.document.problem(keys, message)
    }

    /// As [`CaseFile::problem`], at the key rather than at its value.
    pub fn key_problem(&self, keys: &[&str], message: impl std::fmt::Display) -> Problem {
        self.document.key_problem(keys, message)
    }

    /// The file's text with another expectation in it; the rest is as it was.
    pub fn with_expectation(&self, expectation: &Value) -> String {
        let text = self.document.text();
        let written = text::pretty(expectation, 2);
        if let Some(range) = self.document.range(&["expect"]) {
            let before = text.get(..range.start).unwrap_or_default();
            let after = text.get(range.end..).unwrap_or_default();
            return format!("{before}{written}{after}");
        }
        // Behind the last key: a case has at least its input.
        let text = text.trim_end();
        let body = text.strip_suffix('}').unwrap_or(text).trim_end();
        format!("{body},\n  \"expect\": {written}\n}}\n")
    }
}

/// What a schema cannot say of a case.
struct Wrong<'a> {
    document: &'a Document,
    found: Vec<Problem>,
}

impl Wrong<'_> {
    fn tell(&mut self, keys: &[&str], message: impl std::fmt::Display) {
        self.found.push(self.document.problem(keys, message));
    }

    fn clock(&mut self, case: &Case) -> Timestamp {
        let start = Timestamp::from_millis(START_MS);
        let Some(text) = &case.clock else {
            return start;
        };
        text.parse().unwrap_or_else(|_| {
            let wanted = "is no time such as \"2026-01-01T00:00:00Z\"";
            self.tell(&["clock"], format!("{text:?} {wanted}"));
            start
        })
    }

    fn name(&mut self, list: &str, name: &str) {
        if !is_name(name) {
            let message = format!(
                "{name:?} cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"
            );
            self.tell(&[list, name], message);
        }
    }

    fn environment(&mut self, case: &Case) {
        for (name, value) in &case.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                let message = "cannot be a variable: a name has no `=`, neither has a NUL";
                self.tell(&["environment", name], message);
            }
        }
    }

    /// A case may be a stranger's: it gives the component nothing but what it
    /// has brought along.
    fn folders(&mut self, case: &Case) -> BTreeMap<String, PathBuf> {
        let mut folders = BTreeMap::new();
        for (name, path) in &case.files {
            self.name("files", name);
            let shown = path.display();
            match file::within(self.document.folder(), path) {
                Ok(Some(folder)) if folder.is_dir() => {
                    folders.insert(name.clone(), folder);
                }
                Ok(None) => {
                    let message = format!("{shown} is not in the folder of this file, or below it");
                    self.tell(&["files", name], message);
                }
                _ => self.tell(&["files", name], format!("there is no folder {shown}")),
            }
        }
        folders
    }

    fn engrams(&mut self, case: &Case) {
        for (name, engram) in &case.engrams {
            self.name("engrams", name);
            for (index, answer) in engram.answers.iter().enumerate() {
                let keys = ["engrams", name, "answers", &index.to_string()];
                if answer.fails.is_some() && !answer.hits.is_empty() {
                    self.tell(&keys, "either finds something or fails");
                }
                if answer.message.is_some() && answer.fails.is_none() {
                    self.tell(&keys, "`message` has words for `fails`, which is missing");
                }
                self.failing(&keys, answer.fails, "an engram", &Failing::OF_ENGRAMS);
            }
        }
    }

    fn failing(&mut self, keys: &[&str], fails: Option<Failing>, who: &str, known: &[Failing]) {
        if let Some(fails) = fails.filter(|fails| !known.contains(fails)) {
            let known: Vec<_> = known.iter().map(ToString::to_string).collect();
            let known = known.join(", ");
            let keys: Vec<_> = keys.iter().copied().chain(["fails"]).collect();
            self.tell(
                &keys,
                format!("{who} does not fail with {fails}; there are {known}"),
            );
        }
    }

    fn answer(&mut self, index: usize, answer: &TaskAnswer) {
        let index = index.to_string();
        let keys @ [list, number] = ["orchestration", index.as_str()];
        let targets = [
            answer.neuron.is_some(),
            answer.capabilities.is_some(),
            answer.any,
        ];
        if count(&targets) != 1 {
            self.tell(&keys, "needs one of `neuron`, `capabilities` and `any`");
        }
        let answers = [
            answer.output.is_some(),
            answer.clarification.is_some(),
            answer.permission.is_some(),
            answer.failure.is_some(),
            answer.fails.is_some(),
            answer.never,
        ];
        if count(&answers) != 1 {
            let message = "needs one of `output`, `clarification`, `permission`, `failure`, \
                           `fails` and `never`";
            self.tell(&keys, message);
        }
        if answer.route.is_some() && answer.output.is_none() {
            self.tell(&keys, "`route` is of an `output`, which is missing");
        }
        for (place, signal) in answer.signals.iter().enumerate() {
            let payload = Payload::from_object(signal.kind.into(), signal.payload.clone());
            if let Err(error) = payload {
                let place = place.to_string();
                let keys = [list, number, "signals", place.as_str(), "payload"];
                self.tell(&keys, error);
            }
        }
        self.failing(
            &keys,
            answer.fails,
            "orchestration",
            &Failing::OF_ORCHESTRATION,
        );
        if answer.message.is_some() && answer.fails.is_none() {
            self.tell(&keys, "`message` has words for `fails`, which is missing");
        }
    }

    fn fault(&mut self, index: usize, fault: &Fault) {
        let index = index.to_string();
        let keys = ["faults", index.as_str()];
        let places = [fault.call.is_some(), fault.binding.is_some()];
        let whats = [
            fault.fails.is_some(),
            fault.delay.is_some(),
            fault.ends.is_some(),
        ];
        if fault.fuel.is_some() {
            if count(&places) + count(&whats) > 0 {
                self.tell(&keys, "`fuel` stands alone");
            }
            return;
        }
        if count(&places) != 1 {
            self.tell(&keys, "needs one of `call` and `binding`, or `fuel` alone");
        }
        if count(&whats) != 1 {
            self.tell(&keys, "needs one of `fails`, `delay` and `ends`");
        }
        if fault.nth.is_some() && fault.binding.is_none() {
            self.tell(&keys, "`nth` is of a `binding`, which is missing");
        }
        if fault.binding.is_some() {
            self.failing(&keys, fault.fails, "an engram", &Failing::OF_ENGRAMS);
        }
        if fault.ends.is_some() && fault.call.is_none() {
            self.tell(&keys, "`ends` is at a `call`, which is missing");
        }
        if fault.message.is_some() && fault.fails.is_none() {
            self.tell(&keys, "`message` has words for `fails`, which is missing");
        }
        if fault.call == Some(0) || fault.nth == Some(0) {
            self.tell(&keys, "calls are counted from 1");
        }
    }

    fn expectation(&mut self) {
        let expected = self.document.value().get("expect");
        let Some(Value::Object(expected)) = expected else {
            return;
        };
        if let Some(Value::Object(reply)) = expected.get("reply") {
            let kinds = reply.keys().filter(|key| *key != "route").count();
            if kinds != 1 {
                let message = "needs one of `output`, `clarification`, `permission`, `failure`, \
                               `end`, `stopped` and `refused`";
                self.tell(&["expect", "reply"], message);
            }
            if reply.contains_key("route") && !reply.contains_key("output") {
                let message = "`route` is of an `output`, which is missing";
                self.tell(&["expect", "reply"], message);
            }
        }
        for (key, value) in expected {
            self.wildcards(&mut vec!["expect".to_owned(), key.clone()], value, false);
        }
    }

    /// `at_end`: last in a list, where there may be more.
    fn wildcards(&mut self, keys: &mut Vec<String>, value: &Value, at_end: bool) {
        match value {
            Value::String(text) if at_end && text == REST => {}
            Value::String(text) => {
                if let Some(message) = compare::problem_of(text) {
                    let keys: Vec<_> = keys.iter().map(String::as_str).collect();
                    self.tell(&keys, message);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    keys.push(index.to_string());
                    self.wildcards(keys, item, index + 1 == items.len());
                    keys.pop();
                }
            }
            Value::Object(inner) => {
                for (key, value) in inner {
                    keys.push(key.clone());
                    self.wildcards(keys, value, false);
                    keys.pop();
                }
            }
            _ => {}
        }
    }
}

fn count(given: &[bool]) -> usize {
    given.iter().filter(|given| **given).count()
}
