//! The identity of a component.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

/// sha256 of a component's bytes: its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// Text that is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest: it is `sha256:` and 64 lower-case hexadecimal digits")]
pub struct InvalidDigest(String);

impl Digest {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Digests of the first `end` bytes and of all of them, at the price of the
    /// latter.
    pub(super) fn of_start_and_whole(bytes: &[u8], end: usize) -> (Self, Self) {
        let (start, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        let mut hash = Sha256::new_with_prefix(start);
        let of_start = Self::finished(hash.clone());
        hash.update(rest);
        (of_start, Self::finished(hash))
    }

    /// Digest of what was hashed so far.
    pub(crate) fn finished(hash: Sha256) -> Self {
        Self(hash.finalize().into())
    }

    /// The digest's own bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl fmt::Display for Digest {
    /// `sha256:` and 64 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let digits = text.strip_prefix("sha256:")?.as_bytes();
            let mut bytes = [0; 32];
            if digits.len() != 2 * bytes.len() {
                return None;
            }
            for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                let pair = str::from_utf8(pair).ok()?;
                // `from_str_radix` would take a sign, and capitals.
                if !pair
                    .bytes()
                    .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
                {
                    return None;
                }
                *byte = u8::from_str_radix(pair, 16).ok()?;
            }
            Some(Self(bytes))
        };
        read().ok_or_else(|| InvalidDigest(text.to_owned()))
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_digest_reads_what_it_shows() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!(digest.hex().starts_with("ba7816bf"));
    }

    #[test]
    fn the_digests_of_a_start_and_of_the_whole_are_those_of_each_alone() {
        let expected = (Digest::of(b"ab"), Digest::of(b"abc"));
        assert_eq!(Digest::of_start_and_whole(b"abc", 2), expected);
        let whole = Digest::of(b"abc");
        assert_eq!(Digest::of_start_and_whole(b"abc", 3), (whole, whole));
    }

    #[test]
    fn what_is_no_digest_is_told_what_one_looks_like() {
        let signed = format!("sha256:{}", "+1".repeat(32));
        for text in ["", "sha256:", "sha256:12", "md5:00", signed.as_str()] {
            assert_eq!(
                text.parse::<Digest>().unwrap_err().to_string(),
                format!(
                    "`{text}` is no digest: it is `sha256:` and 64 lower-case hexadecimal digits"
                )
            );
        }
    }
}
