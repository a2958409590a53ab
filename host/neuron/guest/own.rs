//! What a task has of its own in place of the host's: a clock and a stream of
//! randomness that are the same whenever the task is.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::{
    clock::{Clock, Random, VirtualClock, yield_now},
    neuron::invocation::TaskInput,
    signal::{Timestamp, TraceId},
};

/// A clock that nobody but the task moves.
#[derive(Clone)]
pub(in crate::neuron) struct OwnTime {
    clock: Clock,
    hand: VirtualClock,
}

impl OwnTime {
    /// Stands at the time in the trace's id, or at 1970 where there is none.
    pub(in crate::neuron) fn of(trace: &TraceId) -> Self {
        let start = trace.ulid().map_or(0, |ulid| ulid.ms());
        let (clock, hand) = Clock::virtual_at(Timestamp::from_millis(start));
        Self { clock, hand }
    }

    pub(in crate::neuron) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A sleep: time moves at once. STOP gets in all the same.
    pub(in crate::neuron) async fn pass(&self, span: Duration) {
        self.hand.advance(span);
        yield_now().await;
    }

    /// As [`OwnTime::pass`], up to a monotonic time.
    pub(in crate::neuron) async fn pass_until(&self, deadline: Duration) {
        let span = deadline.saturating_sub(self.clock.monotonic());
        self.pass(span).await;
    }
}

/// Randomness that follows from what makes a task the same task.
pub(in crate::neuron) fn random_of(task: &TaskInput<'_>) -> Random {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    task.trace_id.with_text(|trace| part(trace.as_bytes()));
    part(task.neuron.as_bytes());
    part(&task.attempt.to_le_bytes());
    // An input that cannot be written ends the task before it draws anything.
    part(&serde_json::to_vec(task.input).unwrap_or_default());
    let digest = hash.finalize();
    let seed = digest
        .iter()
        .take(8)
        .fold(0, |seed, byte| (seed << 8) | u64::from(*byte));
    Random::seeded(seed)
}
