//! The one source of randomness.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// A source of random numbers. Clones draw from the same stream.
///
/// Both kinds are cryptographically strong generators (ChaCha12); the system's is seeded by the
/// operating system once, so that no draw is a system call.
#[derive(Clone)]
pub struct Random {
    generator: Arc<Mutex<StdRng>>,
}

impl Random {
    /// Seeded by the operating system.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; the host cannot start then.
    #[must_use]
    pub fn system() -> Self {
        Self::from(rand::make_rng())
    }

    /// The same seed gives the same stream. For tests and repeatable runs, never for secrets.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::from(StdRng::seed_from_u64(seed))
    }

    fn from(generator: StdRng) -> Self {
        Random {
            generator: Arc::new(Mutex::new(generator)),
        }
    }

    /// Fills the buffer with random bytes.
    pub fn fill(&self, buffer: &mut [u8]) {
        self.generator.lock().fill_bytes(buffer);
    }

    /// A number from the whole range.
    #[must_use]
    pub fn u64(&self) -> u64 {
        self.generator.lock().next_u64()
    }

    /// A number from 0 (included) to 1 (excluded).
    #[must_use]
    pub fn unit(&self) -> f64 {
        self.generator.lock().random()
    }

    pub(super) fn u128(&self) -> u128 {
        self.generator.lock().random()
    }
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The state would let a reader of a log predict ids.
        f.write_str("Random")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream_and_another_seed_another() {
        let draw = |seed| {
            let random = Random::seeded(seed);
            let mut bytes = [0; 7];
            random.fill(&mut bytes);
            (bytes, random.u64(), random.unit().to_bits())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn clones_continue_one_stream() {
        let one = Random::seeded(3);
        let (first, second) = (one.u64(), one.clone().u64());
        let other = Random::seeded(3);
        assert_eq!((other.u64(), other.u64()), (first, second));
    }

    #[test]
    fn system_streams_differ() {
        assert_ne!(Random::system().u128(), Random::system().u128());
    }

    #[test]
    fn unit_numbers_lie_between_0_and_1() {
        let random = Random::seeded(9);
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.unit())));
    }
}
