//! Flows: neurons strung together by the routes that they choose.
//!
//! A [`Flow`] is a checked plan: placements of neurons, and for each route that
//! a neuron may answer with, the placement that comes next or the end. Going
//! through it is a [`Execution`]: one trace, on which every step is a task with
//! the state as its input; the keys of its output replace those of the state.
//! A bounded loop is plain routes with a counter in the state.
//!
//! Once begun a run never fails to answer: whatever goes wrong ends it as
//! failed, cancelled or timed out, with the [`Cause`] beside it, and what its
//! steps have written is undone.
//!
//! This room knows orchestration. It never knows the sandbox's inside, the
//! wire, a store or the command line; nothing below knows that there are flows.

mod cause;
mod execution;
mod plan;

pub use self::{
    cause::{Cause, Lifecycle},
    execution::{Execution, OnFailure, Run, RunOptions, Step},
    plan::{Flow, FlowBuilder, InvalidFlow, Placement, Problem},
};
