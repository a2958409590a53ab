//! Quotas and the accounts that keep them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What a tenant may take of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Tasks that run at a time. A task that waits for a task of its own does
    /// not count while it waits.
    pub concurrent_tasks: usize,
    /// Instances that live at a time, those of waiting tasks included: what the
    /// tenant can take of the host's slots.
    pub live_instances: usize,
    /// Tasks that may wait for their turn; more are refused.
    pub queued_tasks: usize,
    /// Bytes of the inputs of all tasks that wait or run, with their contexts
    /// and metadata, as they lie in the host's memory (an estimate: some 70
    /// bytes a JSON value beside its text).
    pub input_bytes: u64,
    /// Fuel units a second, over all its tasks; a burst of one second's worth
    /// is free. `None` is no bound.
    pub fuel_per_second: Option<u64>,
    /// Bytes of linear memory over all its live instances.
    pub memory_bytes: u64,
    /// Bytes of all its engrams.
    pub store_bytes: u64,
    /// Bytes of all journals of its open traces.
    pub journal_bytes: u64,
}

impl Default for Quotas {
    /// 64 tasks, 256 instances and 10 000 waiting with 256 MiB of inputs, no fuel bound, 4 GiB
    /// of live memory, 1 GiB of engrams, 256 MiB of journals.
    fn default() -> Self {
        Self {
            concurrent_tasks: 64,
            live_instances: 256,
            queued_tasks: 10_000,
            input_bytes: 256 << 20,
            fuel_per_second: None,
            memory_bytes: 4 << 30,
            store_bytes: 1 << 30,
            journal_bytes: 256 << 20,
        }
    }
}

/// An amount held, never above its limit.
#[derive(Debug)]
pub(super) struct Held {
    held: AtomicU64,
    limit: u64,
}

impl Held {
    pub(super) fn new(limit: u64) -> Self {
        Self {
            held: AtomicU64::new(0),
            limit,
        }
    }

    pub(super) fn reserve(&self, amount: u64) -> bool {
        self.held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
                held.checked_add(amount)
                    .filter(|total| *total <= self.limit)
            })
            .is_ok()
    }

    pub(super) fn release(&self, amount: u64) {
        self.held.fetch_sub(amount, Ordering::Relaxed);
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }
}

/// A token bucket that may be overdrawn: a guest is charged for what it has
/// burnt, and pauses until the debt is paid.
#[derive(Debug)]
pub(super) struct FuelBucket {
    rate: u64,
    level: i128,
    filled_at: Duration,
}

impl FuelBucket {
    pub(super) fn new(rate: u64, now: Duration) -> Self {
        Self {
            rate,
            level: i128::from(rate),
            filled_at: now,
        }
    }

    pub(super) fn charge(&mut self, units: u64) {
        self.level -= i128::from(units);
    }

    /// How long until the debt is paid; `None` without a debt.
    pub(super) fn pause(&mut self, now: Duration) -> Option<Duration> {
        const NANOS: u128 = 1_000_000_000;
        let passed = now.saturating_sub(self.filled_at).as_nanos();
        let gained = passed.saturating_mul(u128::from(self.rate)) / NANOS;
        if gained > 0 {
            let gained = i128::try_from(gained).unwrap_or(i128::MAX);
            self.level = self.level.saturating_add(gained).min(i128::from(self.rate));
            self.filled_at = now;
        }
        if self.level >= 0 {
            return None;
        }
        // At least a tick, so that a debt of a few units is no busy loop.
        let nanos = self.level.unsigned_abs().saturating_mul(NANOS) / u128::from(self.rate.max(1));
        let pause = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Some(pause.clamp(Duration::from_millis(1), Duration::from_secs(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_in_fuel_debt_pauses_until_it_is_paid() {
        let mut bucket = FuelBucket::new(1_000, Duration::ZERO);
        bucket.charge(1_500);
        assert_eq!(
            bucket.pause(Duration::ZERO),
            Some(Duration::from_millis(500))
        );
        assert_eq!(bucket.pause(Duration::from_millis(500)), None);
    }

    #[test]
    fn an_idle_tenant_saves_up_no_more_than_a_second_of_fuel() {
        let mut bucket = FuelBucket::new(1_000, Duration::ZERO);
        assert_eq!(bucket.pause(Duration::from_secs(60)), None);
        bucket.charge(2_000);
        assert_eq!(
            bucket.pause(Duration::from_secs(60)),
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn nothing_is_held_above_the_limit() {
        let held = Held::new(10);
        assert!(held.reserve(10));
        assert!(!held.reserve(1));
        held.release(4);
        assert!(held.reserve(4));
    }
}
