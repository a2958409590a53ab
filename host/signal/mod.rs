//! Signals: the envelope, its ids, times and typed payloads, and the JSON codec.
//!
//! The shapes are Cosmonapse wire v1. Inside the host a signal is a typed value that is shared
//! by `Arc`; JSON text exists only where [`codec`] is called, at an edge.
//!
//! This room is plain data: it never does I/O, never waits, and never knows a clock, a random
//! source or any other room. What it would need from them ([`codec::MissingFields`]) the caller
//! supplies.

pub mod codec;
mod envelope;
mod id;
mod json;
mod payload;
mod signal_type;
mod size;
mod time;

pub use envelope::{Directed, Signal};
pub use id::{EntryId, IdError, SignalId, TraceId, Ulid};
pub use payload::{
    AgentOutput, Audit, Bid, Clarification, ClarificationAnswer, Consensus, ContextSync, Critique,
    Deregister, Discover, ErrorReport, Escalation, Final, Heartbeat, Imprint, Imprinted,
    MemoryAppend, Payload, PayloadError, Permission, PermissionDecision, Plan, Recall, Recalled,
    Register, Stop, Stopped, Task, TaskAwarded, TaskDeclined, TaskOffer, ToolCall, ToolResult,
};
pub use signal_type::{SignalType, UnknownSignalType};
pub(crate) use size::{is_deeper, size_of_entry, size_of_object, size_of_value};
pub use time::{TimeError, Timestamp};

/// A JSON object. Keys keep their order and numbers keep their digits, so that what was decoded
/// encodes to the same bytes.
pub type Object = serde_json::Map<String, serde_json::Value>;
