//! The synapse: signals are published on subjects and delivered to subscriptions.
//!
//! A publisher never waits and never learns who listens; a slow subscriber loses signals, is
//! told how many, and affects nobody else. [`MemorySynapse`] is the bus within this process.
//!
//! This room knows signals and subjects. It never knows what a signal means: tasks, traces and
//! engrams belong to the rooms above.

mod inbox;
mod memory;
mod subject;

use std::sync::Arc;

pub use inbox::{Delivery, Subscription};
pub use memory::MemorySynapse;
pub use subject::{Pattern, PatternError, Subject, SubjectError};

use crate::signal::Signal;

/// A signal bus.
pub trait Synapse: Send + Sync + 'static {
    /// Hands the signal to every matching subscription and to one member of every matching
    /// queue group. Never waits; costs nearly nothing when nobody subscribes. It is called while
    /// the signal's trace is held fast: it must not call back into whoever publishes.
    fn publish(&self, subject: &Subject, signal: &Arc<Signal>);

    /// Subscribes to every subject that the pattern matches. Signals published after the return
    /// are delivered, until the subscription is dropped.
    ///
    /// # Errors
    /// The options cannot be met.
    fn subscribe(
        &self,
        pattern: Pattern,
        options: SubscribeOptions,
    ) -> Result<Subscription, SynapseError>;
}

/// How a subscription is delivered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// Subscriptions to the same pattern with the same group share its signals: each goes to one
    /// of them, in turn. `None` gets every signal.
    pub queue_group: Option<String>,
    /// How many signals may wait unread, at least 1. Any more are lost to this subscription.
    pub capacity: usize,
}

impl Default for SubscribeOptions {
    /// No queue group, 1024 signals.
    fn default() -> Self {
        SubscribeOptions {
            queue_group: None,
            capacity: 1024,
        }
    }
}

/// Why a subscription was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SynapseError {
    /// A subscription that can hold nothing would lose every signal.
    #[error("a subscription needs a capacity of at least 1")]
    NoCapacity,
    /// What was asked for cannot be listened to; says why.
    #[error("{0}")]
    Refused(String),
}
