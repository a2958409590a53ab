//! Ids of traces, signals and engram entries (Cosmonapse wire v1, section 2.1).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

const ALPHABET: [u8; 32] = *b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A ULID: 48 bits of milliseconds since 1970, then 80 random bits. Its text sorts as its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ulid(u128);

impl Ulid {
    const LENGTH: usize = 26;
    const RANDOM_BITS: u32 = 80;
    const RANDOM_MASK: u128 = (1 << Self::RANDOM_BITS) - 1;

    /// From milliseconds since 1970 (the low 48 bits count) and randomness (the low 80 bits count).
    #[must_use]
    pub fn from_parts(ms: u64, random: u128) -> Self {
        Ulid((u128::from(ms) << Self::RANDOM_BITS) | (random & Self::RANDOM_MASK))
    }

    /// Milliseconds since 1970, 48 bits.
    #[must_use]
    pub fn ms(self) -> u64 {
        u64::try_from(self.0 >> Self::RANDOM_BITS).unwrap_or(u64::MAX)
    }

    /// The 80 random bits.
    #[must_use]
    pub fn random(self) -> u128 {
        self.0 & Self::RANDOM_MASK
    }

    /// The ULID that sorts right after this one; a full random part carries into the time.
    #[must_use]
    pub fn successor(self) -> Self {
        Ulid(self.0.wrapping_add(1))
    }

    fn text(self) -> [u8; Self::LENGTH] {
        let mut text = [b'0'; Self::LENGTH];
        let mut rest = self.0;
        for slot in text.iter_mut().rev() {
            let [low, ..] = rest.to_le_bytes();
            *slot = ALPHABET.get(usize::from(low & 31)).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        text
    }

    /// Reads the canonical form only, so that every ULID has exactly one text.
    fn parse(text: &[u8]) -> Option<Self> {
        let first = *text.first()?;
        if text.len() != Self::LENGTH || first > b'7' {
            return None;
        }
        let mut value = 0_u128;
        for byte in text {
            let digit = DIGITS
                .get(usize::from(*byte))
                .copied()
                .filter(|digit| *digit < 32)?;
            value = (value << 5) | u128::from(digit);
        }
        Some(Ulid(value))
    }
}

/// The digit of each byte; 255 for what is none.
const DIGITS: [u8; 256] = {
    let mut digits = [255_u8; 256];
    let mut alphabet: &[u8] = &ALPHABET;
    let mut digit = 0_u8;
    while let [byte, rest @ ..] = alphabet {
        let (_, tail) = digits.split_at_mut(*byte as usize);
        if let [slot, ..] = tail {
            *slot = digit;
        }
        digit += 1;
        alphabet = rest;
    }
    digits
};

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(ascii(&self.text()))
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ulid {
    type Err = IdError;

    /// Reads 26 upper-case Crockford characters.
    fn from_str(text: &str) -> Result<Self, IdError> {
        Ulid::parse(text.as_bytes()).ok_or(IdError {
            expected: "26 Crockford base32 characters",
        })
    }
}

fn ascii(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// The text cannot be an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id must be {expected}")]
pub struct IdError {
    expected: &'static str,
}

impl IdError {
    /// What was wanted, for example "a string that starts with `trc_`".
    #[must_use]
    pub const fn expected(&self) -> &'static str {
        self.expected
    }
}

/// Our own ids are numbers; any other text of a peer is kept verbatim.
///
/// Invariant: `Foreign` never holds a text that `Ulid` would write, so equality is equality of
/// texts.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Inner {
    Ulid(Ulid),
    Foreign(Arc<str>),
}

impl Inner {
    fn parse(prefix: &str, text: &str) -> Self {
        match text
            .strip_prefix(prefix)
            .and_then(|rest| Ulid::parse(rest.as_bytes()))
        {
            Some(ulid) => Inner::Ulid(ulid),
            None => Inner::Foreign(Arc::from(text)),
        }
    }

    /// Hands the whole text to `use_text` without allocating.
    fn with_text<T>(&self, prefix: &str, use_text: impl FnOnce(&str) -> T) -> T {
        match self {
            Inner::Foreign(text) => use_text(text),
            Inner::Ulid(ulid) => {
                let mut buffer = [0_u8; 4 + Ulid::LENGTH];
                let (head, tail) = buffer.split_at_mut(4);
                head.copy_from_slice(prefix.as_bytes());
                tail.copy_from_slice(&ulid.text());
                use_text(ascii(&buffer))
            }
        }
    }
}

macro_rules! id {
    (
        $(#[$doc:meta])*
        $name:ident, prefix $prefix:literal, accepts $accepts:expr, expected $expected:literal
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash)]
        pub struct $name(Inner);

        impl $name {
            const PREFIX: &'static str = $prefix;

            /// The id that this host writes for a ULID: the prefix, then 26 characters.
            #[must_use]
            pub const fn from_ulid(ulid: Ulid) -> Self {
                $name(Inner::Ulid(ulid))
            }

            /// The ULID, when the id has the form that [`from_ulid`](Self::from_ulid) gives.
            #[must_use]
            pub const fn ulid(&self) -> Option<Ulid> {
                match &self.0 {
                    Inner::Ulid(ulid) => Some(*ulid),
                    Inner::Foreign(_) => None,
                }
            }

            /// Hands the text to `use_text` without allocating.
            pub fn with_text<T>(&self, use_text: impl FnOnce(&str) -> T) -> T {
                self.0.with_text(Self::PREFIX, use_text)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            #[doc = concat!("Reads ", $expected, " and keeps it verbatim.")]
            fn from_str(text: &str) -> Result<Self, IdError> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) {
                    Ok($name(Inner::parse(Self::PREFIX, text)))
                } else {
                    Err(IdError { expected: $expected })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.with_text(|text| f.pad(text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Ord for $name {
            /// The order of the texts.
            fn cmp(&self, other: &Self) -> Ordering {
                match (&self.0, &other.0) {
                    (Inner::Ulid(a), Inner::Ulid(b)) => a.cmp(b),
                    _ => self.with_text(|a| other.with_text(|b| a.cmp(b))),
                }
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                self.with_text(|text| out.serialize_str(text))
            }
        }
    };
}

id! {
    /// The id of a trace: everything that one request set in motion.
    TraceId, prefix "trc_", accepts |text| text.starts_with("trc_"),
    expected "a string that starts with `trc_`"
}
id! {
    /// The id of one signal.
    SignalId, prefix "evt_", accepts |text| text.starts_with("evt_"),
    expected "a string that starts with `evt_`"
}
id! {
    /// The id of an entry in an engram. Writers may choose any text that is not empty.
    EntryId, prefix "eng_", accepts |text| !text.is_empty(),
    expected "a string that is not empty"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_ulid_reads_and_writes_itself() {
        for text in [
            "01M7ZSCZ849H8MZ2H6ECX8XE5P",
            "00000000000000000000000000",
            "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        ] {
            assert_eq!(text.parse::<Ulid>().unwrap().to_string(), text);
        }
        let ulid = Ulid::from_parts(1_795_289_414_916, 77);
        assert_eq!((ulid.ms(), ulid.random()), (1_795_289_414_916, 77));
    }

    #[test]
    fn only_the_canonical_text_is_a_ulid() {
        for text in [
            "",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "01m7zscz849h8mz2h6ecx8xe5p",
            "01M7ZSCZ849H8MZ2H6ECX8XE5I",
            "01M7ZSCZ849H8MZ2H6ECX8XE5",
        ] {
            assert!(text.parse::<Ulid>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn ids_of_peers_are_kept_verbatim() {
        for text in [
            "evt_",
            "evt_abc!",
            "evt_01m7zscz849h8mz2h6ecx8xe5p",
            "evt_ü",
        ] {
            let id: SignalId = text.parse().unwrap();
            assert_eq!((id.to_string().as_str(), id.ulid()), (text, None));
        }
        let own: SignalId = "evt_01M7ZSCZ849H8MZ2H6ECX8XE5P".parse().unwrap();
        assert_eq!(
            own.ulid(),
            Some("01M7ZSCZ849H8MZ2H6ECX8XE5P".parse().unwrap())
        );
    }

    #[test]
    fn a_wrong_prefix_is_refused() {
        assert!("evt_1".parse::<TraceId>().is_err());
        assert!("".parse::<SignalId>().is_err());
        assert!("".parse::<EntryId>().is_err());
        assert_eq!("note-1".parse::<EntryId>().unwrap().to_string(), "note-1");
    }

    #[test]
    fn ids_sort_as_their_texts() {
        let mut ids: Vec<EntryId> = [
            "z",
            "eng_01M7ZSCZ849H8MZ2H6ECX8XE5P",
            "a",
            "eng_01M7ZSCZ849H8MZ2H6ECX8XE5N",
            "eng_1",
        ]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
        let mut texts: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.sort();
        texts.sort();
        assert_eq!(
            ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
            texts
        );
    }

    #[test]
    fn the_successor_sorts_right_after() {
        let ulid = Ulid::from_parts(5, Ulid::RANDOM_MASK);
        assert_eq!(ulid.successor(), Ulid::from_parts(6, 0));
    }
}
