//! What can be wrong with a flow.

use std::{fmt, sync::Arc};

use crate::package::Plain;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the flow.
    pub dag: Arc<str>,
    /// Keys that lead to it in the flow's document.
    pub keys: Vec<String>,
    /// Whether it is about the last key rather than its value.
    pub at_key: bool,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl fmt::Display for Problem {
    /// Where in the document, and what; the help below it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.keys.is_empty() {
            write!(f, "{}: ", Plain(&self.keys.join(".")))?;
        }
        write!(f, "{}", Plain(&self.message))?;
        let mut help = self.help.iter().flat_map(|help| help.lines());
        help.try_for_each(|line| write!(f, "\n    {}", Plain(line)))
    }
}

/// A flow that cannot be run, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidFlow {
    /// Name of the root.
    pub flow: Arc<str>,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for InvalidFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow `{}` is invalid:", Plain(&self.flow))?;
        for problem in &self.problems {
            f.write_str("\n  - ")?;
            if problem.dag != self.flow {
                write!(f, "{}: ", Plain(&problem.dag))?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidFlow {}
