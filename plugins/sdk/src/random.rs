//! Randomness, as the host has it: seeded and repeatable under test.

use crate::bindings::soma::neuron::random;

/// `count` random bytes, at most 65 536; more ends the neuron with a trap.
pub fn bytes(count: u32) -> Vec<u8> {
    random::bytes(count)
}

/// A random number out of all 64-bit numbers.
pub fn u64() -> u64 {
    random::u64()
}

/// A random number in `[0, 1)`.
pub fn unit() -> f64 {
    unit_of(random::u64())
}

/// The upper 32 bits are exact in an `f64`.
fn unit_of(bits: u64) -> f64 {
    let upper = u32::try_from(bits >> 32).unwrap_or(u32::MAX);
    f64::from(upper) / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "these values are exact")]

    use super::unit_of;

    #[test]
    fn a_unit_number_is_at_least_zero_and_below_one() {
        assert_eq!(unit_of(0), 0.0);
        assert_eq!(unit_of(1 << 63), 0.5);
        assert!(unit_of(u64::MAX) < 1.0);
    }
}
