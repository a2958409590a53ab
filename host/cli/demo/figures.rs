//! Times, as the scenarios print them.

use std::{fmt, time::Duration};

/// Shows a time in milliseconds.
pub(super) struct Millis(pub(super) Duration);

impl Millis {
    /// Milliseconds with their fraction.
    pub(super) fn value(&self) -> f64 {
        self.0.as_secs_f64() * 1_000.0
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ms", self.value())
    }
}

/// Times of many calls.
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that so many percent of the calls do not exceed (nearest rank);
    /// zero without calls.
    pub(super) fn percentile(&self, percent: usize) -> Millis {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        Millis(self.0.get(rank - 1).copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let latencies = Latencies::new(times);
        assert_eq!(latencies.percentile(50).to_string(), "100.00 ms");
        assert_eq!(latencies.percentile(99).to_string(), "198.00 ms");
        assert_eq!(
            Latencies::new(Vec::new()).percentile(99).to_string(),
            "0.00 ms"
        );
    }
}
