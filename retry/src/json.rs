//! A policy as a document has it.

/// A delay as a number of milliseconds. One that no [`Duration`] can hold is
/// the longest of them.
///
/// [`Duration`]: std::time::Duration
pub(crate) mod milliseconds {
    use std::fmt;
    use std::time::Duration;

    use serde::de::{Deserializer, Error, Unexpected, Visitor};
    use serde::ser::Serializer;

    pub(crate) fn serialize<S: Serializer>(
        delay: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let whole = delay.subsec_nanos().is_multiple_of(1_000_000);
        match u64::try_from(delay.as_millis()) {
            Ok(ms) if whole => serializer.serialize_u64(ms),
            _ => serializer.serialize_f64(delay.as_secs_f64() * 1000.0),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        deserializer.deserialize_f64(Milliseconds)
    }

    struct Milliseconds;

    impl Visitor<'_> for Milliseconds {
        type Value = Duration;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a number of milliseconds, 0 or more")
        }

        fn visit_u64<E: Error>(self, ms: u64) -> Result<Duration, E> {
            Ok(Duration::from_millis(ms))
        }

        fn visit_i64<E: Error>(self, ms: i64) -> Result<Duration, E> {
            let whole = u64::try_from(ms);
            whole
                .map(Duration::from_millis)
                .map_err(|_| E::invalid_value(Unexpected::Signed(ms), &self))
        }

        fn visit_f64<E: Error>(self, ms: f64) -> Result<Duration, E> {
            if !(0.0..).contains(&ms) {
                return Err(E::invalid_value(Unexpected::Float(ms), &self));
            }
            // Seconds and the rest apart: a large number of milliseconds stays whole.
            let rest = ms % 1000.0;
            let seconds = Duration::try_from_secs_f64((ms - rest) / 1000.0);
            let rest = Duration::try_from_secs_f64(rest / 1000.0).unwrap_or_default();
            Ok(seconds.map_or(Duration::MAX, |seconds| seconds.saturating_add(rest)))
        }
    }
}
