//! Values on the command line that are more than a number or a name.

use std::{fmt, time::Duration};

use crate::package::quantity::digits;
pub(super) use crate::package::{duration, quantity::Bytes, size};

/// Reads a count such as `1000000` or `1_000_000`.
///
/// # Errors
/// In words, for clap to show behind the option.
pub(super) fn count(text: &str) -> Result<u64, String> {
    digits(text).ok_or_else(|| "write a whole number, for example 5000000 or 5_000_000".to_owned())
}

/// Shows a time to three or four digits, in the unit that suits it.
pub(super) struct Span(pub(super) Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0..1_000 => write!(f, "{micros} µs"),
            1_000..1_000_000 => write!(f, "{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
            _ => write!(
                f,
                "{}.{:02} s",
                micros / 1_000_000,
                micros % 1_000_000 / 10_000
            ),
        }
    }
}

/// Shows a count in groups of three digits.
pub(super) struct Grouped(pub(super) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(" ")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4_096),
            ("4096B", 4_096),
            ("512KiB", 512 << 10),
            ("64MiB", 64 << 20),
            ("64 MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("0.5KiB", 512),
            ("1kB", 1_000),
            ("1KB", 1_000),
            ("2MB", 2_000_000),
            ("1GB", 1_000_000_000),
            ("1_024", 1_024),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_what_one_looks_like() {
        let hint =
            "write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB";
        for text in [
            "",
            "MiB",
            "64M",
            "64mib",
            "-1",
            "+1",
            "1e3",
            "0x10",
            "1.",
            ".5",
            "1.2.3",
            "_1",
            "ten",
            "1.0000000001GiB",
        ] {
            assert_eq!(size(text), Err(hint.to_owned()), "{text}");
        }
        assert_eq!(
            size("99999999999GiB"),
            Err("no machine has that much memory".to_owned())
        );
    }

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("1.5s", 1_500),
            ("2m", 120_000),
            ("1m 30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_told_what_one_looks_like() {
        let hint = "write a number and a unit, for example 500ms, 30s or 2m";
        for text in ["", "30", "s", "half an hour", "30 parsecs"] {
            assert_eq!(duration(text), Err(hint.to_owned()), "{text}");
        }
        assert_eq!(duration("-5s"), Err("time cannot be negative".to_owned()));
    }

    #[test]
    fn a_count_is_digits_and_nothing_else() {
        assert_eq!(count("5_000_000"), Ok(5_000_000));
        assert_eq!(count("18446744073709551615"), Ok(u64::MAX));
        let hint = "write a whole number, for example 5000000 or 5_000_000";
        for text in [
            "",
            "_",
            "_1",
            "1_",
            "-1",
            "+1",
            "1.0",
            "1e9",
            "18446744073709551616",
        ] {
            assert_eq!(count(text), Err(hint.to_owned()), "{text}");
        }
    }

    #[test]
    fn figures_are_shown_in_the_unit_that_suits_them() {
        let shown = |bytes| Bytes(bytes).to_string();
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(1_023), "1023 B");
        assert_eq!(shown(1 << 10), "1.0 KiB");
        assert_eq!(shown(1_179_648), "1.1 MiB");
        assert_eq!(shown(3 << 29), "1.5 GiB");
        let span = |micros| Span(Duration::from_micros(micros)).to_string();
        assert_eq!(span(0), "0 µs");
        assert_eq!(span(999), "999 µs");
        assert_eq!(span(1_250), "1.25 ms");
        assert_eq!(span(30_000_000), "30.00 s");
        let grouped = |count| Grouped(count).to_string();
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1 000");
        assert_eq!(grouped(12_345_678), "12 345 678");
    }

    #[test]
    fn what_bytes_shows_can_be_read_back() {
        for bytes in [0, 1, 1 << 10, 3 << 29] {
            let shown = Bytes(bytes).to_string();
            assert_eq!(size(&shown), Ok(usize::try_from(bytes).unwrap()), "{shown}");
        }
    }
}
