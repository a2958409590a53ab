//! How a run ends, and why.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    orchestration::DispatchError,
    signal::{SignalType, TraceId},
};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifecycle {
    /// By a route that leads to an end. What its steps wrote is permanent.
    Completed,
    /// By an ERROR, a route that leads nowhere, or a limit.
    Failed,
    /// By STOP of its trace, or because nobody waited for it any more.
    Cancelled,
    /// By its deadline.
    TimedOut,
}

impl Lifecycle {
    /// `completed`, `failed`, `cancelled` or `timed_out` (Dagonizer 0.9).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a run did not complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// A step could not be started.
    #[error("placement `{placement}` could not be started: {error}")]
    Dispatch {
        /// The placement.
        placement: Arc<str>,
        /// Why.
        error: DispatchError,
    },
    /// A neuron answered with an ERROR.
    #[error("placement `{placement}` ended with {code}: {message}")]
    Error {
        /// The placement.
        placement: Arc<str>,
        /// The ERROR's code.
        code: String,
        /// The ERROR's message.
        message: String,
        /// Whether the same task may succeed when tried again.
        recoverable: bool,
    },
    /// A neuron chose a route that leads nowhere.
    #[error("placement `{placement}` took the route `{route}`, which is not wired; wired: `{}`",
        .wired.join("`, `"))]
    Unwired {
        /// The placement.
        placement: Arc<str>,
        /// The route.
        route: Arc<str>,
        /// The routes that lead on.
        wired: Vec<Arc<str>>,
    },
    /// A neuron asked back; nobody in a flow can answer.
    #[error("placement `{placement}` asked back with a {}, which nobody in a flow can answer",
        .kind.as_str())]
    AskedBack {
        /// The placement.
        placement: Arc<str>,
        /// CLARIFICATION or PERMISSION.
        kind: SignalType,
    },
    /// A loop did not end.
    #[error("the run took its {0} steps without coming to an end")]
    StepLimit(u32),
    /// The run's deadline passed.
    #[error("the run did not end within {} ms; it was at placement `{placement}`",
        .deadline.as_millis())]
    Deadline {
        /// The placement that ran or was to run.
        placement: Arc<str>,
        /// As asked for.
        deadline: Duration,
    },
    /// Somebody stopped the run's trace.
    #[error("trace {trace} was stopped at placement `{placement}`")]
    Stopped {
        /// The run's trace.
        trace: TraceId,
        /// The placement that ran or was to run.
        placement: Arc<str>,
    },
    /// The wait for a step was dropped.
    #[error("the run was abandoned at placement `{0}`")]
    Abandoned(Arc<str>),
}

impl Cause {
    /// How a run with this cause ended.
    pub fn lifecycle(&self) -> Lifecycle {
        match self {
            Self::Stopped { .. } | Self::Abandoned(_) => Lifecycle::Cancelled,
            Self::Deadline { .. } => Lifecycle::TimedOut,
            _ => Lifecycle::Failed,
        }
    }
}
