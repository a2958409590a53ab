//! Time, as the host has it: virtual under test.

use std::time::Duration;

use crate::bindings::soma::neuron::clock;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn now_ms() -> u64 {
    clock::wall_ms()
}

/// Time since some fixed point; never goes back.
pub fn monotonic() -> Duration {
    Duration::from_nanos(clock::monotonic_ns())
}

/// Waits, in whole milliseconds, rounded up. STOP and the task's deadline end
/// the wait; the neuron then never resumes.
pub fn sleep(duration: Duration) {
    clock::sleep_ms(whole_ms(duration));
}

/// Rounded up, so that no wait is shorter than asked.
pub(crate) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_never_shorter_than_asked() {
        assert_eq!(whole_ms(Duration::ZERO), 0);
        assert_eq!(whole_ms(Duration::from_nanos(1)), 1);
        assert_eq!(whole_ms(Duration::from_millis(7)), 7);
        assert_eq!(whole_ms(Duration::MAX), u64::MAX);
    }
}
