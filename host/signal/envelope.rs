//! The envelope around a payload (Cosmonapse wire v1, section 2.1).

use std::sync::Arc;

use super::{Object, Payload, SignalId, SignalType, Timestamp, TraceId};

/// One signal. Its type is its payload's; its version on the wire is always `"1"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    /// The id of this signal.
    pub id: SignalId,
    /// The trace it belongs to; for a STOP, the trace to stop.
    pub trace_id: TraceId,
    /// What it answers or follows from: for a reply, the request's id.
    pub parent_id: Option<SignalId>,
    /// The addressee of a request or the sender of a reply.
    pub directed: Option<Directed>,
    /// When it was made.
    pub ts: Timestamp,
    /// What it says.
    pub payload: Payload,
    /// Free annotations, for example `attempt` (from 0) under retry.
    pub meta: Object,
}

impl Signal {
    /// The type, as the payload says.
    #[must_use]
    pub const fn signal_type(&self) -> SignalType {
        self.payload.signal_type()
    }
}

/// Who is meant, or who speaks. Which of the two depends on the signal's type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directed {
    /// The id of a neuron, engram or effector.
    pub id: Option<Arc<str>>,
    /// A kind of engram or effector; the wire key is `type`.
    pub kind: Option<Arc<str>>,
    /// Capabilities; filled in by REGISTER only.
    pub capabilities: Vec<Arc<str>>,
}

impl Directed {
    /// Directed at (or from) one id, with neither kind nor capabilities.
    #[must_use]
    pub fn to(id: impl Into<Arc<str>>) -> Self {
        Directed {
            id: Some(id.into()),
            kind: None,
            capabilities: Vec::new(),
        }
    }
}
