//! Every way in which a task can end, and what it used until then.

use std::time::Duration;

use serde_json::Value;

use crate::signal::Object;

/// What a neuron answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A result, and the route that a flow takes next.
    Output {
        /// The result.
        value: Value,
        /// `None` stands for `success`.
        route: Option<String>,
    },
    /// A question back.
    Clarification {
        /// The question.
        question: String,
        /// Anything that helps to answer.
        context: Option<Value>,
    },
    /// A request for leave.
    Permission {
        /// What it wants to do.
        action: String,
        /// What that would touch.
        scope: Option<Object>,
        /// Why.
        reason: Option<String>,
        /// Anything that helps to decide.
        context: Option<Value>,
    },
}

/// Why a task has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// STOP reached it, or the end of what it was done for.
    #[error("the task was ended from outside")]
    Stopped,
    /// The neuron said so itself.
    #[error("{message}")]
    Failure {
        /// The neuron's own code.
        code: String,
        /// The neuron's own words.
        message: String,
        /// The neuron's own judgement.
        recoverable: bool,
    },
    /// The input does not fit the schema that the neuron came with: it was not
    /// even started.
    #[error("the input does not fit the neuron's schema: {0}")]
    InvalidInput(String),
    /// The neuron panicked; the text is its panic message.
    #[error("the neuron panicked: {0}")]
    Panic(String),
    /// A wasm trap, such as `unreachable` or a division by zero.
    #[error("the neuron trapped: {0}")]
    Trap(String),
    /// The guest's own stack ran over.
    #[error("the neuron ran out of stack (endless recursion?)")]
    StackOverflow,
    /// The CPU budget is used up.
    #[error(
        "the neuron used up its {0} units of fuel; raise the fuel limit if the work is legitimate"
    )]
    OutOfFuel(u64),
    /// The wall deadline passed.
    #[error("the neuron ran longer than its {} ms", .0.as_millis())]
    Deadline(Duration),
    /// The neuron trapped after a refused growth, or could not start in its
    /// limits.
    #[error("the neuron needs more memory than its limit of {0} bytes")]
    OutOfMemory(usize),
    /// As [`End::OutOfMemory`], for table elements.
    #[error("the neuron needs more table elements than its limit of {0}")]
    OutOfTable(usize),
    /// As [`End::OutOfMemory`], where the tenant's live instances together met
    /// its quota.
    #[error(
        "the neuron's tenant has no live memory left; try again when other tasks have ended, or raise `memory_bytes`"
    )]
    TenantOutOfMemory,
    /// More calls to the host than allowed.
    #[error("the neuron called the host more than {0} times")]
    TooManyHostCalls(u64),
    /// A value that crosses to the host is too large.
    #[error(
        "a value of the neuron's is larger than the {0} bytes that may cross to the host at once"
    )]
    TooLarge(usize),
    /// The reply is not what the contract says.
    #[error("the neuron's reply breaks the contract: {0}")]
    InvalidReply(String),
    /// It broke the calling convention: a string that is no UTF-8, a pointer
    /// outside its memory, more handles than there may be.
    #[error("the neuron broke the calling convention: {0}")]
    Fault(String),
    /// The component cannot be instantiated.
    #[error("the neuron cannot be instantiated: {0}")]
    Instantiate(String),
    /// All instance slots of the host are taken.
    #[error("all {0} instance slots of this host are in use")]
    NoSlot(u32),
}

impl End {
    /// The ERROR signal's `code`.
    pub fn code(&self) -> &str {
        match self {
            Self::Stopped => "CANCELLED",
            Self::Failure { code, .. } => code,
            Self::InvalidInput(_) => "INVALID_INPUT",
            Self::Panic(_) => "NEURON_PANIC",
            Self::Trap(_) => "NEURON_TRAP",
            Self::StackOverflow => "NEURON_STACK_OVERFLOW",
            Self::OutOfFuel(_) => "NEURON_OUT_OF_FUEL",
            Self::Deadline(_) => "NEURON_DEADLINE",
            Self::OutOfMemory(_) => "NEURON_OUT_OF_MEMORY",
            Self::OutOfTable(_) => "NEURON_OUT_OF_TABLE",
            Self::TenantOutOfMemory => "TENANT_OUT_OF_MEMORY",
            Self::TooManyHostCalls(_) => "NEURON_HOST_CALLS",
            Self::TooLarge(_) => "NEURON_VALUE_TOO_LARGE",
            Self::InvalidReply(_) => "NEURON_INVALID_REPLY",
            Self::Fault(_) => "NEURON_FAULT",
            Self::Instantiate(_) => "NEURON_INSTANTIATE",
            Self::NoSlot(_) => "HOST_OVERLOADED",
        }
    }

    /// Whether the same task may succeed when tried again. Deterministic ends
    /// (fuel, traps, memory) would end the same way.
    pub fn recoverable(&self) -> bool {
        match self {
            Self::Failure { recoverable, .. } => *recoverable,
            Self::Deadline(_) | Self::NoSlot(_) | Self::TenantOutOfMemory => true,
            _ => false,
        }
    }
}

/// What a task used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel units burnt; 0 on an engine without fuel.
    pub fuel: u64,
    /// Most bytes of memory and tables held at a time.
    pub peak_memory_bytes: usize,
    /// Time on a CPU.
    pub cpu: Duration,
    /// Time from the start of the invocation to its end.
    pub wall: Duration,
    /// Calls to the host.
    pub host_calls: u64,
}

/// How a task ended, and what it cost.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Reply or reason.
    pub result: Result<Reply, End>,
    /// Use of resources until then.
    pub usage: Usage,
}
