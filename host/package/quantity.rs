//! Sizes and times as people write them, on the command line and in files.

use std::{borrow::Cow, fmt, time::Duration};

use jiff::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Units of a size and their bytes; the binary ones are what is printed.
const UNITS: [(&str, u64); 8] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads a size such as `64MiB`, `1.5GiB` or `4096`, in bytes.
///
/// # Errors
/// In words, to be shown behind the name of what was read.
pub fn size(text: &str) -> Result<usize, String> {
    let unreadable = || {
        "write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB"
            .to_owned()
    };
    let (number, unit) = UNITS
        .into_iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?.trim_end(), bytes)))
        .unwrap_or((text, 1));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole: u64 = digits(whole).ok_or_else(unreadable)?;
    // Beyond nine digits a fraction of the largest unit is less than a byte.
    let places = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
    let fraction: u64 = digits(fraction)
        .filter(|_| places <= 9)
        .ok_or_else(unreadable)?;
    let part = u128::from(fraction) * u128::from(unit) / 10_u128.pow(places);
    let bytes = u128::from(whole) * u128::from(unit) + part;
    usize::try_from(bytes).map_err(|_| "no machine has that much memory".to_owned())
}

/// Reads a duration such as `500ms`, `30s` or `1m 30s`.
///
/// # Errors
/// As [`size`].
pub fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| "write a number and a unit, for example 500ms, 30s or 2m".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "time cannot be negative".to_owned())
}

/// Digits with `_` between them; nothing that `parse` would take beside.
pub(crate) fn digits(text: &str) -> Option<u64> {
    let framed = text.starts_with('_') || text.ends_with('_');
    let clean = text
        .chars()
        .all(|char| char.is_ascii_digit() || char == '_');
    (clean && !framed)
        .then(|| text.replace('_', "").parse().ok())
        .flatten()
}

/// Shows bytes in the largest binary unit of which there is at least one.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = UNITS.into_iter().take(3);
        for (unit, bytes) in binary {
            if self.0 >= bytes {
                // Tenths, rounded half up, without a detour through floats.
                let tenths = (u128::from(self.0) * 20 / u128::from(bytes)).div_ceil(2);
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A size in a file: a text such as `"64MiB"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes.
    pub bytes: usize,
    text: String,
}

/// A time in a file: a text such as `"30s"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The time.
    pub duration: Duration,
    text: String,
}

/// Written and read as the text that was given. `$comment` is what a person is
/// told when a text does not fit the pattern.
macro_rules! quantity {
    ($name:ident, $field:ident, $read:ident, $pattern:literal, $says:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.text.serialize(serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                let $field = $read(&text).map_err(D::Error::custom)?;
                Ok(Self { $field, text })
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "$comment": $says})
            }
        }
    };
}

quantity!(
    Size,
    bytes,
    size,
    "^[0-9][0-9_]*(\\.[0-9]+)? ?([KMG]iB|[kKMG]?B)?$",
    "no size: write a number and one of B, KiB, MiB, GiB, kB, MB, GB, for example 512KiB or 64MiB"
);
quantity!(
    Span,
    duration,
    duration,
    "^[0-9]",
    "no time: write a number and a unit, for example 500ms, 30s or 2m"
);
