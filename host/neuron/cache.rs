//! Compiled code on disk.
//!
//! Compiled code is native code: loading a file that somebody else wrote is
//! running it. So the directory is private to the user (mode 0700), every file
//! has a tag beside it, a keyed BLAKE3 under a key that only this directory
//! holds, and a file that fails the check is compiled anew, never loaded.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
use wasmtime::{Engine, component::Component};

use super::engine::Settings;
use crate::{
    clock::Random,
    package::{Digest, file},
};

/// Where compiled components are kept, and the key that proves that this host
/// wrote them.
pub(super) struct CodeCache {
    directory: PathBuf,
    key: [u8; blake3::KEY_LEN],
    most_bytes: u64,
}

/// Version of what a file and its tag are, and of what a component had to pass
/// to be here; a change is a miss, not a mismatch.
const FORMAT: u32 = 3;

/// Bytes of the directory's secret.
const SECRET_BYTES: usize = 64;

/// What the key of the tags is derived for.
const PURPOSE: &str = "soma 2026-11 tags of compiled code";

/// Extensions of code, and of a file that is being written.
const CODE: &str = "cwasm";
const NEW: &str = file::NEW;

/// Permissions of all that is here.
const PRIVATE: u32 = 0o600;

/// Marks a file as used now.
const NOW: Timestamps = Timestamps {
    last_access: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_OMIT,
    },
    last_modification: Timespec {
        tv_sec: 0,
        tv_nsec: UTIME_NOW,
    },
};

impl CodeCache {
    /// Opens `directory`, making it and its key where they are missing. It
    /// holds at most so many bytes of code.
    ///
    /// # Errors
    /// When the directory cannot be made, belongs to somebody else, or others
    /// may write to it.
    pub(super) fn open(directory: &Path, most_bytes: u64) -> io::Result<Self> {
        let told = |error| io::Error::other(format!("{}: {error}", directory.display()));
        let directory = file::own_folder(directory).map_err(told)?;
        let secret = Self::secret(&directory.join("key"))?;
        Ok(Self {
            key: blake3::derive_key(PURPOSE, &secret),
            directory,
            most_bytes,
        })
    }

    /// The directory's secret, drawn when there is none. From the system's
    /// randomness whatever the host's is: a seeded one would be none.
    fn secret(path: &Path) -> io::Result<[u8; SECRET_BYTES]> {
        match Self::read_secret(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read,
        }
        let random = Random::system();
        let mut fresh = [0; SECRET_BYTES];
        random.fill(&mut fresh);
        // Written aside and linked into place: of two hosts that start at the
        // same time one wins, and both read a whole key.
        let aside = path.with_extension(format!("{}-{:016x}", std::process::id(), random.u64()));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(PRIVATE)
            .open(&aside)?;
        file.write_all(&fresh)?;
        let linked = fs::hard_link(&aside, path);
        fs::remove_file(&aside)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Self::read_secret(path)
    }

    fn read_secret(path: &Path) -> io::Result<[u8; SECRET_BYTES]> {
        let bytes = fs::read(path)?;
        bytes.try_into().map_err(|_| {
            io::Error::other(format!(
                "{} is not a cache key of {SECRET_BYTES} bytes; remove the directory to start afresh",
                path.display()
            ))
        })
    }

    /// The file of a component's code.
    fn path(&self, digest: &Digest, settings: &Settings) -> PathBuf {
        let name = format!("{}-{FORMAT}-{}.{CODE}", digest.hex(), settings.name());
        self.directory.join(name)
    }

    /// A component's code, if it is here and what a host put here.
    pub(super) fn read(
        &self,
        engine: &Engine,
        digest: &Digest,
        settings: &Settings,
    ) -> Option<Component> {
        let path = self.path(digest, settings);
        let file = File::open(&path).ok()?;
        let tag = fs::read(path.with_extension("tag")).ok()?;
        let mut mac = self.mac(&path);
        mac.update_reader(&file).ok()?;
        // The comparison takes the same time wherever they differ.
        if mac.finalize() != *tag.as_slice() {
            tracing::warn!(path = %path.display(), "cached code failed its check (changed or half written); compiling anew");
            return None;
        }
        // What is used stays: see `trim`.
        let _ = futimens(&file, &NOW);
        // The very file that was checked, whatever its name stands for by now.
        let checked = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: the file's bytes were written by a host that holds the key,
        // for this name, and only this user can change the directory; files in
        // it are replaced or deleted, never changed.
        match unsafe { Component::deserialize_file(engine, checked) } {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cached code cannot be loaded");
                None
            }
        }
    }

    /// Puts a component's code here.
    ///
    /// # Errors
    /// When the directory cannot be written: that costs time at the next load,
    /// nothing else.
    pub(super) fn write(
        &self,
        digest: &Digest,
        settings: &Settings,
        code: &[u8],
    ) -> io::Result<()> {
        let path = self.path(digest, settings);
        let tag = self.mac(&path).update(code).finalize();
        file::replace(&path.with_extension("tag"), tag.as_bytes(), PRIVATE)?;
        // A mapped file must never change: this one is a new one.
        file::replace(&path, code, PRIVATE)?;
        self.trim(&path)
    }

    /// Over the file's name too: code of one component is not code of another.
    /// The name's length is fixed, so it cannot run into the code.
    fn mac(&self, path: &Path) -> blake3::Hasher {
        let mut mac = blake3::Hasher::new_keyed(&self.key);
        mac.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        mac
    }

    /// Deletes what was not used for longest until the rest fits, but never
    /// `fresh`. Whoever has a deleted file mapped keeps it, and of several hosts
    /// that do this at once each finds less to do.
    fn trim(&self, fresh: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        let mut total = 0_u64;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            let kind = path.extension().and_then(OsStr::to_str);
            // What another host has deleted meanwhile has no metadata. One that
            // was killed while it wrote has left its half behind.
            if let (Some(CODE | NEW), Ok(metadata)) = (kind, entry.metadata()) {
                total = total.saturating_add(metadata.len());
                let used = (metadata.mtime(), metadata.mtime_nsec());
                files.push((used, metadata.len(), path));
            }
        }
        files.sort_unstable();
        for (_, bytes, path) in files.iter().filter(|(.., path)| path != fresh) {
            if total <= self.most_bytes {
                break;
            }
            drop(fs::remove_file(path));
            drop(fs::remove_file(path.with_extension("tag")));
            total = total.saturating_sub(*bytes);
        }
        Ok(())
    }
}
