//! Why a run did not complete.

use std::{sync::Arc, time::Duration};

use super::{lifecycle::Lifecycle, node::Note};
use crate::{orchestration::DispatchError, signal::TraceId};

/// Why a run, a flow within it, or a node of it did not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A task could not be started.
    #[error("placement `{placement}` could not be started: {error}")]
    Dispatch {
        /// The placement, with those around it.
        placement: Arc<str>,
        /// Why.
        error: DispatchError,
    },
    /// A node failed: a neuron answered with an ERROR, or a native node with a
    /// failure.
    #[error("placement `{placement}` ended with {code}: {message}")]
    Error {
        /// The placement, with those around it.
        placement: Arc<str>,
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
        /// Whether the same task may succeed when tried again.
        recoverable: bool,
    },
    /// A node chose a route that leads nowhere.
    #[error("placement `{placement}` took the route `{route}`, which is not wired; wired: `{}`",
        .wired.join("`, `"))]
    Unwired {
        /// The placement, with those around it.
        placement: Arc<str>,
        /// The route.
        route: Arc<str>,
        /// The routes that lead on.
        wired: Vec<Arc<str>>,
    },
    /// The run came to a terminal with the outcome `failed`.
    #[error("the run ended at `{0}`, whose outcome is `failed`")]
    Terminal(Arc<str>),
    /// A fan-in or a mapping could not write into the state.
    #[error("placement `{placement}`: {reason}")]
    State {
        /// The placement, with those around it.
        placement: Arc<str>,
        /// What stands in the way.
        reason: String,
    },
    /// A fan-out over too much.
    #[error("placement `{placement}` has {items} items, more than the {most} that a run takes")]
    TooManyItems {
        /// The placement, with those around it.
        placement: Arc<str>,
        /// How many there are.
        items: usize,
        /// How many a run takes.
        most: usize,
    },
    /// The state has grown too large.
    #[error("the run takes {bytes} bytes in memory at placement `{placement}`, more than {most}")]
    StateTooLarge {
        /// The placement, with those around it.
        placement: Arc<str>,
        /// What it takes.
        bytes: usize,
        /// What it may.
        most: usize,
    },
    /// A loop did not end.
    #[error("the run took its {0} steps without coming to an end")]
    StepLimit(u64),
    /// The run's deadline passed.
    #[error("the run did not end within {} ms; it was at placement `{placement}`",
        .deadline.as_millis())]
    Deadline {
        /// The placement that ran or was to run, with those around it.
        placement: Arc<str>,
        /// As asked for.
        deadline: Duration,
    },
    /// Somebody stopped the run's trace.
    #[error("trace {trace} was stopped at placement `{placement}`")]
    Stopped {
        /// The run's trace.
        trace: TraceId,
        /// The placement that ran or was to run, with those around it.
        placement: Arc<str>,
    },
    /// The run was aborted through its control.
    #[error("the run was aborted at placement `{placement}`: {reason}")]
    Aborted {
        /// The placement that ran or was to run, with those around it.
        placement: Arc<str>,
        /// As given.
        reason: Arc<str>,
    },
    /// What has been done could not be recorded, so the run does not go on.
    #[error("the checkpoint could not be written: {0}")]
    Checkpoint(String),
}

impl Cause {
    /// How a run with this cause ended.
    pub fn lifecycle(&self) -> Lifecycle {
        match self {
            Self::Stopped { .. } | Self::Aborted { .. } => Lifecycle::Cancelled,
            Self::Deadline { .. } => Lifecycle::TimedOut,
            _ => Lifecycle::Failed,
        }
    }

    /// The placement that it is about, with those around it.
    pub fn placement(&self) -> Option<&str> {
        match self {
            Self::Dispatch { placement, .. }
            | Self::Error { placement, .. }
            | Self::Unwired { placement, .. }
            | Self::Terminal(placement)
            | Self::State { placement, .. }
            | Self::TooManyItems { placement, .. }
            | Self::StateTooLarge { placement, .. }
            | Self::Deadline { placement, .. }
            | Self::Stopped { placement, .. }
            | Self::Aborted { placement, .. } => Some(placement),
            Self::StepLimit(_) | Self::Checkpoint(_) => None,
        }
    }

    /// Its kind, as notes carry it: an error's own code, else one of the flow's.
    pub fn code(&self) -> &str {
        match self {
            Self::Error { code, .. } => code,
            Self::Dispatch { .. } => "FLOW_DISPATCH",
            Self::Unwired { .. } => "FLOW_UNWIRED",
            Self::Terminal(_) => "FLOW_FAILED",
            Self::State { .. } => "FLOW_STATE",
            Self::TooManyItems { .. } => "FLOW_ITEMS",
            Self::StateTooLarge { .. } => "FLOW_STATE_SIZE",
            Self::StepLimit(_) => "FLOW_STEPS",
            Self::Deadline { .. } => "FLOW_DEADLINE",
            Self::Stopped { .. } => "FLOW_STOPPED",
            Self::Aborted { .. } => "FLOW_ABORTED",
            Self::Checkpoint(_) => "FLOW_CHECKPOINT",
        }
    }

    /// Whether the same may end well when tried again.
    pub fn is_recoverable(&self) -> bool {
        match self {
            Self::Error { recoverable, .. } => *recoverable,
            Self::Dispatch { error, .. } => matches!(error, DispatchError::Overloaded(_)),
            _ => false,
        }
    }

    /// What it takes in memory: the words of a node may be many.
    pub(super) fn bytes(&self) -> usize {
        let words = match self {
            Self::Error { code, message, .. } => code.len() + message.len(),
            _ => 0,
        };
        size_of::<Self>() + self.placement().map_or(0, str::len) + words
    }

    /// What is told of it.
    pub(super) fn told(&self, placement: &str) -> Note {
        Note {
            recoverable: self.is_recoverable(),
            ..self.note(placement)
        }
    }

    /// What a state keeps of it: recoverable, for a flow that goes on has dealt
    /// with it.
    pub(super) fn note(&self, placement: &str) -> Note {
        let message = match self {
            Self::Error { message, .. } => message.clone(),
            other => other.to_string(),
        };
        Note {
            placement: placement.to_owned(),
            ..Note::new(self.code(), message)
        }
    }
}
