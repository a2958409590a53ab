//! Signatures: who vouches for a component.
//!
//! A signature is a custom section at the end of the file: a version byte, an
//! ed25519 public key and the signature by it. It signs, after a tag that
//! keeps it from meaning anything elsewhere, the sha256 of all bytes before the
//! first such section. So several can stand side by side, and none can be
//! followed by anything that is not a signature.

use std::{fmt, ops::Range, path::Path};

use ed25519_dalek::{
    Signer as _, SigningKey, VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
        spki::der::pem::LineEnding,
    },
};

use super::{
    digest::{Digest, hex},
    section::{MAX_SIGNATURES, Package, PackageError, append},
};
use crate::clock::Random;

/// Name of the section that holds a signature.
pub(super) const SECTION: &str = "soma:signature";

const VERSION: u8 = 1;
const TAG: &[u8] = b"soma neuron signature 1\0";
const KEY_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;

/// One signature as it stands in a file, good or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key: [u8; KEY_BYTES],
    bytes: [u8; SIGNATURE_BYTES],
}

/// What is wrong with a file's signatures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// Something follows a signature.
    #[error("something was added after its signature: only what stands before is signed")]
    NotLast,
    /// The section is not what it should be.
    #[error("its signature cannot be read: {0}")]
    Unreadable(String),
    /// More than anybody needs, each of which would cost a verification.
    #[error("it has more than {0} signatures")]
    TooMany(usize),
    /// No host would read one more.
    #[error("it has {0} signatures, which is the most that a host reads")]
    Full(usize),
    /// The bytes are not those that were signed.
    #[error(
        "its signature by the key {0} does not fit its bytes: it was changed after it was signed"
    )]
    Bad(String),
    /// Good signatures, none by a trusted key.
    #[error("it is signed by {0}, which this deployment does not trust")]
    Untrusted(String),
    /// No signature at all.
    #[error("it is not signed")]
    Unsigned,
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the key {path}: {source}")]
    Read {
        /// Path as given.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Not such a key.
    #[error(
        "{path} is no {wanted}: it must be a PEM file of an ed25519 key, \
         as `soma neuron keygen` writes it ({reason})"
    )]
    Unfit {
        /// Path as given.
        path: String,
        /// `private key` or `public key`.
        wanted: &'static str,
        /// The parser's words.
        reason: String,
    },
}

/// Short name of a key: 16 hexadecimal digits of its sha256.
pub fn key_id(key: &VerifyingKey) -> String {
    short_name(key.as_bytes())
}

fn short_name(key: &[u8; KEY_BYTES]) -> String {
    let digest = Digest::of(key);
    hex(digest.bytes().get(..8).unwrap_or_default())
}

/// Where the signed part of a file ends, given its sections by name and place.
pub(super) fn end_of_signed<'a>(
    sections: impl Iterator<Item = (Option<&'a str>, Range<usize>)>,
) -> Result<usize, SignatureError> {
    let mut signed = 8;
    let mut seen = false;
    for (name, range) in sections {
        match (name == Some(SECTION), seen) {
            (true, _) => seen = true,
            (false, true) => return Err(SignatureError::NotLast),
            (false, false) => signed = range.end,
        }
    }
    Ok(signed)
}

impl Signature {
    pub(super) fn read(section: &[u8]) -> Result<Self, SignatureError> {
        let unreadable = |words: String| SignatureError::Unreadable(words);
        let (version, rest) = section
            .split_first()
            .ok_or_else(|| unreadable("it is empty".to_owned()))?;
        if *version != VERSION {
            return Err(unreadable(format!(
                "it has the version {version}, this host reads version {VERSION}"
            )));
        }
        let parts = rest.split_at_checked(KEY_BYTES);
        let parts =
            parts.and_then(|(key, bytes)| Some((key.try_into().ok()?, bytes.try_into().ok()?)));
        let (key, bytes) = parts.ok_or_else(|| {
            let wanted = KEY_BYTES + SIGNATURE_BYTES;
            unreadable(format!("it has {} bytes, not {wanted}", rest.len()))
        })?;
        Ok(Self { key, bytes })
    }

    /// Short name of the key that it claims to be by.
    pub fn key_id(&self) -> String {
        short_name(&self.key)
    }

    /// Whether it claims to be by this key.
    pub fn is_by(&self, key: &VerifyingKey) -> bool {
        *key.as_bytes() == self.key
    }

    /// Whether it is a signature of this component by the key that it names.
    ///
    /// # Errors
    /// [`SignatureError::Bad`] where it is none.
    pub fn fits(&self, package: &Package) -> Result<(), SignatureError> {
        let bad = || SignatureError::Bad(self.key_id());
        let key = VerifyingKey::from_bytes(&self.key).map_err(|_| bad())?;
        let signature = ed25519_dalek::Signature::from_bytes(&self.bytes);
        key.verify_strict(&message(&package.signed), &signature)
            .map_err(|_| bad())
    }
}

fn message(signed: &Digest) -> Vec<u8> {
    [TAG, signed.bytes()].concat()
}

/// Adds a signature to a component, after those that it has.
///
/// # Errors
/// When `wasm` is no component, or has unreadable signatures or as many as it
/// may have.
pub fn sign(wasm: &[u8], key: &SigningKey) -> Result<Vec<u8>, PackageError> {
    let package = Package::read(wasm)?;
    if package.signatures.len() >= MAX_SIGNATURES {
        return Err(SignatureError::Full(MAX_SIGNATURES).into());
    }
    let signature = key.sign(&message(&package.signed));
    let section = [
        &[VERSION][..],
        key.verifying_key().as_bytes(),
        &signature.to_bytes(),
    ]
    .concat();
    let mut signed = wasm.to_vec();
    append(&mut signed, SECTION, &section);
    Ok(signed)
}

/// A fresh key from the system's randomness, whatever the host's is: a seeded
/// key would be no secret. Private and public part, as PEM (PKCS#8 and SPKI).
///
/// # Errors
/// When the key cannot be written as PEM.
pub fn generate_key() -> Result<(String, String), KeyError> {
    let mut seed = [0; 32];
    Random::system().fill(&mut seed);
    let key = SigningKey::from_bytes(&seed);
    let unfit = |reason: String| KeyError::Unfit {
        path: "the fresh key".to_owned(),
        wanted: "key",
        reason,
    };
    let private = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| unfit(error.to_string()))?;
    let public = key
        .verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .map_err(|error| unfit(error.to_string()))?;
    Ok((private.to_string(), public))
}

/// The public part of a private key, as PEM.
///
/// # Errors
/// When it cannot be written as PEM.
pub fn public_key(key: &SigningKey) -> Result<String, KeyError> {
    let pem = key.verifying_key().to_public_key_pem(LineEnding::LF);
    pem.map_err(|error| KeyError::Unfit {
        path: "the key".to_owned(),
        wanted: "public key",
        reason: error.to_string(),
    })
}

/// Reads a private key from a PEM file (PKCS#8).
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn read_key(path: &Path) -> Result<SigningKey, KeyError> {
    let text = pem(path)?;
    SigningKey::from_pkcs8_pem(&text).map_err(|error| {
        if VerifyingKey::from_public_key_pem(&text).is_ok() {
            return unfit(
                path,
                "private key",
                "this is the public one, for others to check with",
            );
        }
        unfit(path, "private key", error)
    })
}

/// Reads a public key from a PEM file (SPKI).
///
/// # Errors
/// As [`read_key`].
pub fn read_public_key(path: &Path) -> Result<VerifyingKey, KeyError> {
    VerifyingKey::from_public_key_pem(&pem(path)?).map_err(|error| unfit(path, "public key", error))
}

fn pem(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path).map_err(|source| KeyError::Read {
        path: path.display().to_string(),
        source,
    })
}

fn unfit(path: &Path, wanted: &'static str, reason: impl fmt::Display) -> KeyError {
    KeyError::Unfit {
        path: path.display().to_string(),
        wanted,
        reason: reason.to_string(),
    }
}

/// What happens to a component that no trusted key signed.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Nothing is looked at.
    Off,
    /// It is loaded, and said.
    #[default]
    Warn,
    /// It is refused.
    Require,
}

/// Which signatures count.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// What happens without one.
    pub policy: Policy,
    /// The keys that count.
    pub keys: Vec<VerifyingKey>,
}

impl Trust {
    /// Short names of the trusted keys that signed the component. Empty under
    /// [`Policy::Off`].
    ///
    /// # Errors
    /// Under the other two: a signature that does not fit the bytes, no
    /// signature, or none by a trusted key. Under [`Policy::Warn`] the caller
    /// says so and goes on.
    pub fn check(&self, package: &Package) -> Result<Vec<String>, SignatureError> {
        if self.policy == Policy::Off {
            return Ok(Vec::new());
        }
        for signature in &package.signatures {
            signature.fits(package)?;
        }
        let trusted = |one: &&Signature| self.keys.iter().any(|key| one.is_by(key));
        let names = |signatures: Vec<&Signature>| -> Vec<String> {
            signatures.into_iter().map(Signature::key_id).collect()
        };
        let good = names(package.signatures.iter().filter(trusted).collect());
        if !good.is_empty() {
            return Ok(good);
        }
        let others = names(package.signatures.iter().collect());
        Err(match others.as_slice() {
            [] => SignatureError::Unsigned,
            [one] => SignatureError::Untrusted(format!("the key {one}")),
            several => SignatureError::Untrusted(format!("the keys {}", several.join(", "))),
        })
    }
}
