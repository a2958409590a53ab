//! The 31 signal types (Cosmonapse wire v1, section 2.2).

use std::fmt;
use std::str::FromStr;

macro_rules! signal_types {
    ($( $(#[$doc:meta])* $variant:ident = $wire:literal, )*) => {
        /// The type of a signal. It decides the shape of the payload and the subject.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum SignalType { $( $(#[$doc])* $variant, )* }

        impl SignalType {
            /// Every type, in the order of the wire reference.
            pub const ALL: [SignalType; 31] = [ $( SignalType::$variant, )* ];

            /// The upper-case wire name, as in the envelope's `type` and in subjects.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( SignalType::$variant => $wire, )* }
            }
        }

        impl FromStr for SignalType {
            type Err = UnknownSignalType;

            /// Reads an exact wire name; case counts.
            fn from_str(name: &str) -> Result<Self, UnknownSignalType> {
                match name {
                    $( $wire => Ok(SignalType::$variant), )*
                    _ => Err(UnknownSignalType),
                }
            }
        }
    };
}

signal_types! {
    /// Work for a neuron.
    Task = "TASK",
    /// A neuron's answer to a TASK.
    AgentOutput = "AGENT_OUTPUT",
    /// The result that ends a trace.
    Final = "FINAL",
    /// A failed TASK, or a failed trace.
    Error = "ERROR",
    /// An open call for bids.
    TaskOffer = "TASK_OFFER",
    /// A bid on a TASK_OFFER.
    Bid = "BID",
    /// The task goes to the bidder.
    TaskAwarded = "TASK_AWARDED",
    /// The task does not go to the bidder.
    TaskDeclined = "TASK_DECLINED",
    /// A record of a policy or repair decision.
    Audit = "AUDIT",
    /// The steps that a neuron means to take.
    Plan = "PLAN",
    /// A request to an effector.
    ToolCall = "TOOL_CALL",
    /// The effector's answer.
    ToolResult = "TOOL_RESULT",
    /// A note of something remembered.
    MemoryAppend = "MEMORY_APPEND",
    /// A request for a higher instance.
    Escalation = "ESCALATION",
    /// A query to an engram.
    Recall = "RECALL",
    /// The engram's hits.
    Recalled = "RECALLED",
    /// A write to an engram.
    Imprint = "IMPRINT",
    /// The engram's receipt.
    Imprinted = "IMPRINTED",
    /// What several neurons agreed on.
    Consensus = "CONSENSUS",
    /// A snapshot of shared context.
    ContextSync = "CONTEXT_SYNC",
    /// A judgement on another signal.
    Critique = "CRITIQUE",
    /// A neuron's question.
    Clarification = "CLARIFICATION",
    /// The answer to a CLARIFICATION.
    ClarificationAnswer = "CLARIFICATION_ANSWER",
    /// A neuron's request for leave to act.
    Permission = "PERMISSION",
    /// The decision on a PERMISSION.
    PermissionDecision = "PERMISSION_DECISION",
    /// A neuron, engram or effector announces itself.
    Register = "REGISTER",
    /// A neuron leaves.
    Deregister = "DEREGISTER",
    /// A neuron is alive.
    Heartbeat = "HEARTBEAT",
    /// Everyone is asked to REGISTER again.
    Discover = "DISCOVER",
    /// A trace is stopped, with or without rollback.
    Stop = "STOP",
    /// The acknowledgement of a STOP.
    Stopped = "STOPPED",
}

impl fmt::Display for SignalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is none of the 31 wire names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not one of the 31 signal types")]
pub struct UnknownSignalType;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_reads_its_own_wire_name() {
        for kind in SignalType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.to_string(), kind.as_str());
        }
    }

    #[test]
    fn removed_and_lower_case_names_are_refused() {
        for name in ["THOUGHT_DELTA", "task", "TASK ", ""] {
            assert_eq!(
                name.parse::<SignalType>(),
                Err(UnknownSignalType),
                "{name:?}"
            );
        }
    }
}
