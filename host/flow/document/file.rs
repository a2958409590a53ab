//! Files of DAG documents.

use std::path::Path;

use super::{super::plan::Problem as FlowProblem, Dag};
use crate::package::{Document, Problem, Problems};

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
            let dags = vec![document.typed()?];
            return Ok(Self {
                document,
                dags,
                is_list: false,
            });
        };
        let (mut dags, mut wrong) = (Vec::new(), Vec::new());
        for at in 0..list.len() {
            match document.part(&[&at.to_string()]) {
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
