//! Points in time with microsecond grain, and their wire form (Cosmonapse wire v1, section 2.1).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;
use serde_json::Number;

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
///
/// Always within the years 1 to 9999, the range that the wire form can write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// Epoch numbers up to this size are seconds, larger ones milliseconds, as the peer reads them.
const LARGEST_EPOCH_SECONDS: f64 = 2e10;

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999_999);

    /// From microseconds since 1970 (UTC), clamped to [`MIN`](Self::MIN) and [`MAX`](Self::MAX).
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Timestamp(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since 1970 (UTC); negative before.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// From milliseconds since 1970 (UTC), clamped to [`MAX`](Self::MAX).
    #[must_use]
    pub fn from_millis(millis: u64) -> Self {
        let micros = i64::try_from(millis)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000);
        Self::from_micros(micros)
    }

    /// Whole milliseconds since 1970 (UTC); 0 for any earlier time.
    #[must_use]
    pub fn millis(self) -> u64 {
        u64::try_from(self.0 / 1000).unwrap_or(0)
    }

    /// This time plus `span` (whole microseconds), at most [`MAX`](Self::MAX).
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(span))
    }

    /// The span from `earlier` to this time; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        let micros = u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0);
        Duration::from_micros(micros)
    }

    /// From an epoch number: seconds up to 2e10, milliseconds above; fractions are allowed.
    pub(super) fn from_epoch(number: &Number) -> Result<Self, TimeError> {
        let value = number.as_f64().ok_or(TimeError)?;
        let unit = if value.abs() <= LARGEST_EPOCH_SECONDS {
            1_000_000
        } else {
            1000
        };
        let micros = match number.as_i64() {
            Some(whole) => whole.checked_mul(unit).ok_or(TimeError)?,
            None => fractional_micros(value, unit).ok_or(TimeError)?,
        };
        Self::checked(micros).ok_or(TimeError)
    }

    fn checked(micros: i64) -> Option<Self> {
        let time = Timestamp(micros);
        (Self::MIN..=Self::MAX).contains(&time).then_some(time)
    }

    fn civil(self) -> DateTime {
        // The years 1 to 9999 lie within the calendar's range, so the sum cannot overflow.
        UNIX_EPOCH.saturating_add(SignedDuration::from_micros(self.0))
    }
}

const UNIX_EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

fn fractional_micros(value: f64, unit: i64) -> Option<i64> {
    let seconds = if unit == 1000 {
        value.abs() / 1000.0
    } else {
        value.abs()
    };
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    let rounded = span.saturating_add(Duration::from_nanos(500));
    let micros = i64::try_from(rounded.as_micros()).ok()?;
    Some(if value < 0.0 { -micros } else { micros })
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with six fraction digits: `2026-11-21T19:30:14.916841Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}Z", self.civil())
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Reads RFC 3339 with any offset. Without an offset the time is UTC; a date alone is its
    /// midnight. Digits finer than a microsecond are cut off.
    ///
    /// # Errors
    /// Anything else, and times outside the years 1 to 9999.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let pieces = Pieces::parse(text).map_err(|_| TimeError)?;
        if pieces.time_zone_annotation().is_some() {
            return Err(TimeError);
        }
        let civil = pieces
            .date()
            .to_datetime(pieces.time().unwrap_or(Time::midnight()));
        let offset = pieces
            .to_numeric_offset()
            .map_or(0, |offset| i64::from(offset.seconds()));
        let span = civil.duration_since(UNIX_EPOCH);
        let micros = span
            .as_secs()
            .checked_sub(offset)
            .and_then(|s| s.checked_mul(1_000_000));
        micros
            .and_then(|m| m.checked_add(i64::from(span.subsec_nanos()).div_euclid(1000)))
            .and_then(Self::checked)
            .ok_or(TimeError)
    }
}

/// The text or number is not a time that the wire allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time or an epoch number within the years 1 to 9999")]
pub struct TimeError;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn parsed(text: &str) -> String {
        text.parse::<Timestamp>().unwrap().to_string()
    }

    #[test]
    fn the_wire_form_reads_and_writes_itself() {
        for text in [
            "2026-11-21T19:30:14.916841Z",
            "1970-01-01T00:00:00.000000Z",
            "1969-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00.000000Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            assert_eq!(parsed(text), text);
        }
    }

    #[test]
    fn offsets_naive_times_and_dates_are_read_as_utc() {
        let utc = "2026-11-21T19:30:14.000000Z";
        assert_eq!(parsed("2026-11-21T19:30:14Z"), utc);
        assert_eq!(parsed("2026-11-21T21:30:14+02:00"), utc);
        assert_eq!(parsed("2026-11-21T14:00:14-05:30"), utc);
        assert_eq!(parsed("2026-11-21T19:30:14"), utc);
        assert_eq!(parsed("2026-11-21 19:30:14"), utc);
        assert_eq!(parsed("2026-11-21"), "2026-11-21T00:00:00.000000Z");
        assert_eq!(
            parsed("2026-11-21T19:30:14.1234569Z"),
            "2026-11-21T19:30:14.123456Z"
        );
    }

    #[test]
    fn epoch_numbers_are_seconds_or_milliseconds_by_their_size() {
        let read = |text: &str| {
            let number: Number = serde_json::from_str(text).unwrap();
            Timestamp::from_epoch(&number).map(Timestamp::micros)
        };
        assert_eq!(read("1732217414"), Ok(1_732_217_414_000_000));
        assert_eq!(read("1732217414916"), Ok(1_732_217_414_916_000));
        assert_eq!(read("1732217414.916841"), Ok(1_732_217_414_916_841));
        assert_eq!(read("-1.5"), Ok(-1_500_000));
        assert_eq!(read("0"), Ok(0));
        assert_eq!(read("1e400"), Err(TimeError));
        assert_eq!(read("99999999999999999999999"), Err(TimeError));
    }

    #[test]
    fn garbage_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-13-01",
            "2026-11-21T25:00:00Z",
            "0000-12-31",
            "1732217414",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimeError), "{text:?}");
        }
    }

    #[test]
    fn milliseconds_are_clamped_at_zero_and_sums_at_the_ends() {
        assert_eq!(Timestamp::from_micros(-5).millis(), 0);
        assert_eq!(Timestamp::from_millis(7).micros(), 7000);
        assert_eq!(Timestamp::from_millis(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.since(Timestamp::MAX), Duration::ZERO);
    }
}
