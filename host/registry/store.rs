//! The local store: what was pulled, by digest, and which tag stood for what.
//!
//! | file in the folder | what it is |
//! |---|---|
//! | `<sha256>.wasm` | a component |
//! | `<sha256>.json` | the manifest that named it |
//! | `<sha256>.tag` | a reference, and the digest of the manifest that it stood for |
//!
//! Files of the first two kinds are named by the digest of their bytes and
//! hashed again whenever they are read; those of the last by that of the
//! reference. The folder belongs to the user alone, else nothing in it is read:
//! that is all that vouches for a tag. It may be deleted at any time.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{artifact::MAX_MANIFEST, error::RegistryError, reference::Reference};
use crate::{
    neuron::{Digest, Plugin},
    package::file,
};

/// A folder of pulled components. Nothing is touched before it is used.
#[derive(Clone, Debug)]
pub(super) struct Store {
    folder: PathBuf,
}

/// What is kept by digest.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Component,
    Manifest,
}

impl Kind {
    fn extension(self) -> &'static str {
        match self {
            Self::Component => "wasm",
            Self::Manifest => "json",
        }
    }

    fn limit(self) -> u64 {
        match self {
            Self::Component => Plugin::MAX_BYTES,
            Self::Manifest => MAX_MANIFEST,
        }
    }
}

impl Store {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Where something of that digest is, or would be.
    pub(super) fn path(&self, kind: Kind, digest: &Digest) -> PathBuf {
        self.file(digest, kind.extension())
    }

    /// The bytes of that digest, if they are here.
    ///
    /// # Errors
    /// When they cannot be read, or have changed.
    pub(super) fn read(
        &self,
        kind: Kind,
        digest: &Digest,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let path = self.path(kind, digest);
        // A file that has grown is cut, and then is not what it should be.
        let Some(bytes) = self.look(&path, kind.limit() + 1)? else {
            return Ok(None);
        };
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(RegistryError::StoreDamaged {
                path,
                expected: *digest,
                actual,
            });
        }
        Ok(Some(bytes))
    }

    /// Keeps bytes under their digest.
    pub(super) fn write(
        &self,
        kind: Kind,
        digest: &Digest,
        bytes: &[u8],
    ) -> Result<PathBuf, RegistryError> {
        let path = self.path(kind, digest);
        self.replace(&path, bytes)?;
        Ok(path)
    }

    /// The digest of the manifest that the tag stood for when it was pulled.
    pub(super) fn tagged(&self, reference: &Reference) -> Result<Option<Digest>, RegistryError> {
        const LONGEST: u64 = 4096;
        let Some(bytes) = self.look(&self.tag(reference), LONGEST)? else {
            return Ok(None);
        };
        // Whatever else it may hold is no answer.
        let text = String::from_utf8(bytes).unwrap_or_default();
        let digest = text
            .split_once('\n')
            .filter(|(name, _)| *name == reference.to_string())
            .and_then(|(_, digest)| digest.trim_end().parse().ok());
        Ok(digest)
    }

    /// Notes what a tag stands for.
    pub(super) fn note(
        &self,
        reference: &Reference,
        manifest: &Digest,
    ) -> Result<(), RegistryError> {
        let text = format!("{reference}\n{manifest}\n");
        self.replace(&self.tag(reference), text.as_bytes())
    }

    fn tag(&self, reference: &Reference) -> PathBuf {
        let name = Digest::of(reference.to_string().as_bytes());
        self.file(&name, "tag")
    }

    fn file(&self, name: &Digest, extension: &str) -> PathBuf {
        let name = name.to_string();
        let digits = name.trim_start_matches("sha256:");
        self.folder.join(format!("{digits}.{extension}"))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
        self.own()?;
        file::replace(path, bytes, 0o600).map_err(unusable(path))
    }

    /// At most `limit` bytes of a file, if there is one. What others could have
    /// put there is not read: nothing says what a tag stands for but its file.
    fn look(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, RegistryError> {
        if !self.folder.try_exists().map_err(unusable(&self.folder))? {
            return Ok(None);
        }
        self.own()?;
        let whole = || -> io::Result<_> {
            let mut bytes = Vec::new();
            File::open(path)?.take(limit).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        match whole() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(path)(error)),
        }
    }

    /// Makes the folder, or makes sure that it is this user's own.
    fn own(&self) -> Result<(), RegistryError> {
        let own = file::own_folder(&self.folder);
        own.map(drop).map_err(unusable(&self.folder))
    }
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> RegistryError {
    |source| RegistryError::Store {
        path: path.to_owned(),
        source,
    }
}
