//! The states that a run goes through.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::signal::Timestamp;

/// Where a run is in its life (reference: dagonizer, section 1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Nothing has run yet.
    #[default]
    Pending,
    /// Under way.
    Running,
    /// Came to an end that completes it. What its nodes wrote is permanent.
    Completed,
    /// By an error, a terminal, a route that leads nowhere, or a limit.
    Failed,
    /// By an abort, or by STOP of its trace.
    Cancelled,
    /// By its deadline.
    TimedOut,
    /// Asked to pause; goes on from its checkpoint.
    Paused,
    /// Waits for the answer to a question; goes on from its checkpoint.
    AwaitingInput,
}

impl Lifecycle {
    /// In a word, as documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Paused => "paused",
            Self::AwaitingInput => "awaiting_input",
        }
    }

    /// Whether a run leaves this state no more. From a paused one, or one that
    /// waits for input, another run can go on.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run's life: where it is, since when, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Where it is.
    pub kind: Lifecycle,
    /// When it began to run.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// Why it was cancelled or paused, or what it waits for.
    pub reason: Option<String>,
}

/// A change that the state machine does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// Where it is.
    pub from: Lifecycle,
    /// Where it was to go.
    pub to: Lifecycle,
}

impl Life {
    /// From pending to running.
    ///
    /// # Errors
    /// From any other state.
    pub fn start(&mut self, at: Timestamp) -> Result<(), IllegalTransition> {
        self.step(Lifecycle::Pending, Lifecycle::Running)?;
        self.started_at = Some(at);
        Ok(())
    }

    /// From running to a terminal state, which is never left again.
    ///
    /// # Errors
    /// From any other state, and to one that is not terminal.
    pub fn end(
        &mut self,
        kind: Lifecycle,
        at: Timestamp,
        why: Option<String>,
    ) -> Result<(), IllegalTransition> {
        if !kind.is_terminal() {
            return Err(IllegalTransition {
                from: self.kind,
                to: kind,
            });
        }
        self.step(Lifecycle::Running, kind)?;
        self.finished_at = Some(at);
        if kind == Lifecycle::Failed {
            self.error = why;
        } else {
            self.reason = why;
        }
        Ok(())
    }

    fn step(&mut self, from: Lifecycle, to: Lifecycle) -> Result<(), IllegalTransition> {
        if self.kind != from {
            return Err(IllegalTransition {
                from: self.kind,
                to,
            });
        }
        self.kind = to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const ALL: [Lifecycle; 8] = [
        Lifecycle::Pending,
        Lifecycle::Running,
        Lifecycle::Completed,
        Lifecycle::Failed,
        Lifecycle::Cancelled,
        Lifecycle::TimedOut,
        Lifecycle::Paused,
        Lifecycle::AwaitingInput,
    ];

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_run_starts_once_ends_once_and_stays_ended() {
        for end in ALL {
            let mut life = Life::default();
            assert!(life.end(end, at(1), None).is_err(), "pending to {end}");
            life.start(at(1)).unwrap();
            assert!(life.start(at(2)).is_err());
            assert_eq!(life.end(end, at(3), None).is_ok(), end.is_terminal());
            if !end.is_terminal() {
                continue;
            }
            let ended = life.clone();
            assert_eq!(ended.started_at, Some(at(1)));
            assert_eq!(ended.finished_at, Some(at(3)));
            for other in ALL {
                assert!(life.end(other, at(9), Some("no".into())).is_err());
            }
            assert!(life.start(at(9)).is_err());
            assert_eq!(life, ended, "{end} is sticky");
        }
    }

    #[test]
    fn a_failure_has_an_error_and_every_other_end_a_reason() {
        let ended = |kind| {
            let mut life = Life::default();
            life.start(at(1)).unwrap();
            life.end(kind, at(2), Some("why".into())).unwrap();
            (life.error, life.reason)
        };
        assert_eq!(ended(Lifecycle::Failed), (Some("why".into()), None));
        assert_eq!(ended(Lifecycle::Cancelled), (None, Some("why".into())));
    }
}
