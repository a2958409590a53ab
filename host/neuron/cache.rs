//! Compiled code on disk.
//!
//! Compiled code is native code: loading a file that somebody else wrote is
//! running it. So the directory is private to the user (mode 0700), every file
//! carries an HMAC-SHA256 under a key that only this directory holds, and a
//! file that fails the check is compiled anew, never loaded.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{Hash, Hasher},
    io::{self, Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use hmac::{Hmac, Mac};
use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

use crate::clock::Random;

/// Where compiled components are kept, and the key that proves that this host
/// wrote them.
pub(super) struct CodeCache {
    directory: PathBuf,
    key: [u8; KEY_BYTES],
}

/// sha256 of a component's bytes: its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl std::fmt::Display for Digest {
    /// `sha256:` and 64 hexadecimal digits.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", hex(&self.0))
    }
}

/// A text that is no [`Digest`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest is `sha256:` and 64 lower-case hexadecimal digits")]
pub struct NoDigest;

impl std::str::FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("sha256:").ok_or(NoDigest)?;
        let nibble = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(NoDigest),
        };
        let mut bytes = [0; 32];
        let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
            return Err(NoDigest);
        };
        if pairs.len() != bytes.len() {
            return Err(NoDigest);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Ok(Self(bytes))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Version of what a file and its tag are; a change of either is a miss, not a
/// mismatch.
const FORMAT: u32 = 2;

/// One block of sha256.
const KEY_BYTES: usize = 64;

impl CodeCache {
    /// Opens `directory`, making it and its key where they are missing.
    ///
    /// # Errors
    /// When the directory cannot be made, belongs to somebody else, or others
    /// may write to it.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let metadata = fs::metadata(directory)?;
        let own = fs::metadata("/proc/self")?.uid();
        if metadata.uid() != own || metadata.mode() & 0o022 != 0 {
            return Err(io::Error::other(format!(
                "{} may be written by others: it must belong to this user with mode 0700",
                directory.display()
            )));
        }
        // Links on the way are followed once, now.
        let directory = directory.canonicalize()?;
        Ok(Self {
            key: Self::key(&directory.join("key"))?,
            directory,
        })
    }

    /// The key in the directory, drawn when there is none. From the system's
    /// randomness whatever the host's is: a seeded key would be no secret.
    fn key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
        match Self::read_key(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let random = Random::system();
        let mut fresh = [0; KEY_BYTES];
        random.fill(&mut fresh);
        // Written aside and linked into place: of two hosts that start at the
        // same time one wins, and both read a whole key.
        let aside = path.with_extension(format!("{}-{:016x}", std::process::id(), random.u64()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(&fresh)?;
        let linked = fs::hard_link(&aside, path);
        fs::remove_file(&aside)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Self::read_key(path)
    }

    fn read_key(path: &Path) -> io::Result<[u8; KEY_BYTES]> {
        let bytes = fs::read(path)?;
        bytes.try_into().map_err(|_| {
            io::Error::other(format!(
                "{} is not a cache key of {KEY_BYTES} bytes; remove the directory to start afresh",
                path.display()
            ))
        })
    }

    /// The compiled form of `wasm`, from the directory or compiled now.
    pub(super) fn load(
        &self,
        engine: &Engine,
        digest: &Digest,
        wasm: &[u8],
    ) -> wasmtime::Result<Component> {
        let path = self.path(engine, digest);
        if let Some(component) = self.read(engine, &path) {
            return Ok(component);
        }
        let component = Component::from_binary(engine, wasm)?;
        // A cache that cannot be written costs time, nothing else.
        if let Err(error) = self.write(&path, &component.serialize()?) {
            tracing::warn!(path = %path.display(), %error, "compiled code was not cached");
        }
        Ok(component)
    }

    /// Key of a file: the component, the engine's version and its settings.
    fn path(&self, engine: &Engine, digest: &Digest) -> PathBuf {
        let mut settings = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut settings);
        let name = format!(
            "{}-{FORMAT}-{}.cwasm",
            hex(&digest.0),
            hex(&settings.0.finalize())
        );
        self.directory.join(name)
    }

    fn read(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let mut file = File::open(path).ok()?;
        let mut code = Vec::new();
        file.read_to_end(&mut code).ok()?;
        let tag = fs::read(path.with_extension("tag")).ok()?;
        if self.mac(path, &code).verify_slice(&tag).is_err() {
            tracing::warn!(path = %path.display(), "cached code failed its check (changed or half written); compiling anew");
            return None;
        }
        // The very file that was checked, whatever its name stands for by now.
        let checked = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: the file's bytes were written by a host that holds the key,
        // for this name, and only this user can change the directory; files in
        // it are replaced, never changed.
        match unsafe { Component::deserialize_file(engine, checked) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cached code cannot be loaded");
                None
            }
        }
    }

    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let tag = self.mac(path, code).finalize().into_bytes();
        self.replace(&path.with_extension("tag"), &tag)?;
        self.replace(path, code)
    }

    /// Renames a whole new file into place: a mapped file must never change.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let aside = self
            .directory
            .join(format!("{:016x}.new", Random::system().u64()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        file.write_all(bytes)?;
        fs::rename(&aside, path)
    }

    /// Over the file's name too: code of one component is not code of another.
    /// The name's length is fixed, so it cannot run into the code.
    fn mac(&self, path: &Path, code: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new((&self.key).into());
        let name = path.file_name().unwrap_or_default();
        mac.update(name.as_encoded_bytes());
        mac.update(code);
        mac
    }
}

/// Feeds `Hash` values to sha256: the standard hashers promise no stable
/// result from one build to the next.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
}
