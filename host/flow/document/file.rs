//! Files of DAG documents.

use std::path::Path;

use serde_json::Value;

use super::{super::plan::Problem as FlowProblem, Dag};
use crate::package::{Document, Problem, Problems};

/// The `@type` of a document.
const DAG: &str = "DAG";

/// Whether nothing about an object is as in a DAG document: not a word on each
/// of its keys, but one on all of it.
fn is_something_else(value: &Value) -> bool {
    let Some(keys) = value.as_object() else {
        return false;
    };
    let has_none = ["@type", "entrypoint", "nodes"]
        .iter()
        .all(|key| !keys.contains_key(*key));
    has_none || keys.get("@type").is_some_and(|kind| kind != DAG) && !keys.contains_key("nodes")
}

fn something_else(document: &Document, keys: &[&str]) -> Problem {
    let told = document.problem(keys, "this is no DAG document");
    told.help(format!(
        "one has `\"@type\": \"{DAG}\"`, a `name`, an `entrypoint` and `nodes`"
    ))
}

/// A file that holds one DAG document or a list of them; the first is the root.
#[derive(Clone, Debug)]
pub struct DagFile {
    document: Document,
    dags: Vec<Dag>,
    is_list: bool,
}

impl DagFile {
    /// Reads a JSON file.
    ///
    /// # Errors
    /// When it cannot be read, is no JSON, or does not fit the format: all that
    /// does not fit, each with its line and column.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        Self::of(Document::read_as_json(path, Document::MAX_BYTES)?)
    }

    /// As [`DagFile::read`], of text that stands for the file `path`.
    ///
    /// # Errors
    /// As there.
    pub fn parse(path: &Path, text: String) -> Result<Self, Problems> {
        Self::of(Document::parse_as_json(path, text)?)
    }

    fn of(document: Document) -> Result<Self, Problems> {
        let Some(list) = document.value().as_array() else {
            if is_something_else(document.value()) {
                return Err(Problems(vec![something_else(&document, &[])]));
            }
            let dags = vec![document.typed()?];
            return Ok(Self {
                document,
                dags,
                is_list: false,
            });
        };
        let (mut dags, mut wrong) = (Vec::new(), Vec::new());
        for (at, value) in list.iter().enumerate() {
            let at = at.to_string();
            if is_something_else(value) {
                wrong.push(something_else(&document, &[&at]));
                continue;
            }
            match document.part(&[&at]) {
                Ok(dag) => dags.push(dag),
                Err(Problems(problems)) => wrong.extend(problems),
            }
        }
        if list.is_empty() {
            wrong.push(document.problem(&[], "a list of DAG documents must not be empty"));
        }
        let file = Self {
            document,
            dags,
            is_list: true,
        };
        Problems::unless_any(wrong, file)
    }

    /// The documents, in their order.
    pub fn dags(&self) -> &[Dag] {
        &self.dags
    }

    /// A problem of one of its documents, with its place in the file; `None`
    /// where it is a problem of another's.
    pub fn locate(&self, problem: &FlowProblem) -> Option<Problem> {
        let at = self.dags.iter().position(|dag| *dag.name == *problem.dag)?;
        let index = at.to_string();
        let keys = problem.keys.iter().map(String::as_str);
        let keys: Vec<_> = self
            .is_list
            .then_some(index.as_str())
            .into_iter()
            .chain(keys)
            .collect();
        let told = if problem.at_key {
            self.document.key_problem(&keys, &problem.message)
        } else {
            self.document.problem(&keys, &problem.message)
        };
        Some(match &problem.help {
            Some(help) => told.help(help),
            None => told,
        })
    }
}
