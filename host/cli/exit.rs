//! Exit codes, and how a failure is told.

use std::{fmt::Display, process::ExitCode};

use super::out;
use crate::package::Problems;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what it was asked.
    Ok = 0,
    /// The neuron answered with an ERROR, or a shown promise did not hold.
    Failed = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// A file is missing, unreadable or refused.
    Input = 3,
    /// The time ran out.
    Timeout = 4,
    /// The host itself could not start or go on.
    Host = 5,
    /// Somebody interrupted it: 128 and the number of the signal, as shells have
    /// it.
    Interrupted = 130,
}

/// Shown under `--help`.
pub(super) const HELP: &str = "\
Exit codes:
  0  done
  1  the neuron answered with an ERROR, or a shown promise did not hold
  2  the arguments make no sense
  3  a file is missing, unreadable or refused
  4  the time ran out
  5  the host itself could not start or go on
  130  interrupted";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb did not do what it was asked.
#[derive(Debug)]
pub struct Failed {
    exit: Exit,
    message: String,
    advice: Option<String>,
}

impl Failed {
    /// A failure in words: what was wrong, and where.
    pub fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            advice: None,
        }
    }

    /// All that is wrong with a file, a line each.
    pub fn all(all: &Problems) -> Self {
        let lines: Vec<_> = all.0.iter().map(ToString::to_string).collect();
        let message = match lines.as_slice() {
            [one] => one.clone(),
            several => format!("{}\n{}", all.count("mistake"), several.join("\n")),
        };
        Self::new(Exit::Input, message)
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn advise(mut self, advice: impl Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }

    pub(super) fn report(&self) -> ExitCode {
        out::say(&format!("error: {}", self.message));
        if let Some(advice) = &self.advice {
            out::say(&format!("help: {advice}"));
        }
        self.exit.into()
    }
}
