//! Flows: nodes strung together by the routes that they choose.
//!
//! A [`Dag`] is a flow as it is written: placements of nodes, and for each
//! route of a node the placement that comes next or the end. A [`Flow`] is a
//! set of documents whose every name has been found among [`Nodes`], neurons
//! and native ones. Going through it is an [`Execution`]: one trace, on which
//! every neuron runs as a task with the state as its input; the keys of its
//! output replace those of the state. A bounded loop is plain routes with a
//! counter in the state.
//!
//! Once begun a run never fails to answer: whatever goes wrong ends it as
//! failed, cancelled or timed out, with the [`Cause`] beside it.
//!
//! Inside, `progress` is where a run is and what changes that, without time,
//! waits or chance; `execution` does what `progress` needs; `checkpoint` writes
//! the one down so that another process can do the other.
//!
//! This room knows orchestration. It never knows the sandbox's inside, the
//! wire, a store or the command line; nothing below knows that there are flows.

mod cause;
mod checkpoint;
mod derive;
pub mod document;
mod draw;
mod event;
mod execution;
mod known;
mod lifecycle;
mod listed;
mod node;
mod path;
mod plan;
mod progress;

pub use self::{
    cause::Cause,
    checkpoint::{Checkpoint, CheckpointFile, FileError, Journal, ResumeError},
    derive::{Derivation, DerivedFlow},
    document::Dag,
    draw::{PictureFormat, draw},
    event::{Ask, Event, EventKind, Node, Observer, Question, Step},
    execution::{Control, Execution, OnFailure, Run, RunOptions},
    known::{Nodes, UnknownNode},
    lifecycle::{IllegalTransition, Life, Lifecycle},
    node::{Call, Contract, ERROR, Failure, NativeNode, Note, Notes, Output, SUCCESS},
    plan::{Flow, InvalidFlow, Problem},
};
