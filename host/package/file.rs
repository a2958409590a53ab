//! Files: read no larger than they may be, and written whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use rustix::{fs::OFlags, process::geteuid};

use crate::clock::Random;

/// Extension of a file that is being written.
pub(crate) const NEW: &str = "new";

/// A regular file's bytes, which are no more than `most`. No device, pipe or
/// socket is read: it may have no end.
///
/// # Errors
/// When there is none, it cannot be read, or is larger.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    // A pipe that nobody writes to would be waited for.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let room = usize::try_from(metadata.len().min(most)).unwrap_or_default();
    let mut bytes = Vec::with_capacity(room.saturating_add(1));
    // Bounded by what is read, whatever the file says of its size.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let words = format!("it has more than the {most} bytes that are taken");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
    }
    Ok(bytes)
}

/// As [`read`], of a text.
///
/// # Errors
/// As there, and when it is no UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text"))
}

/// Where `path` leads to from `folder` on, without links; none where that is not
/// in the folder, or below it. In a stranger's project what lies elsewhere could
/// be a secret of whoever works with it.
///
/// # Errors
/// When there is nothing.
pub(crate) fn within(folder: &Path, path: &Path) -> io::Result<Option<PathBuf>> {
    let mut parts = path.components();
    if !parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Ok(None);
    }
    let found = folder.join(path).canonicalize()?;
    // A link may lead anywhere.
    let is_within = found.starts_with(folder.canonicalize()?);
    Ok(is_within.then_some(found))
}

/// Makes a folder for this user alone, or takes the one that is there; its path
/// without links.
///
/// # Errors
/// When it cannot be made, belongs to somebody else, or others may write to it.
pub(crate) fn own_folder(path: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::metadata(path)?;
    if metadata.uid() != geteuid().as_raw() || metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "others may write to it: it must belong to this user with mode 0700",
        ));
    }
    // Links on the way are followed once, now.
    path.canonicalize()
}

/// Writes a file in place of the one that may be there: whoever reads it sees
/// the one or the other, whole. A link is replaced, not followed. It has the
/// permissions `mode`, as far as the process gives any. For what is checked
/// when it is read: a machine that fails may leave it empty.
///
/// # Errors
/// When it cannot be written; what was there is as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    put(path, mode, |file| file.write_all(bytes)).map(drop)
}

/// As [`replace`], for a file to keep: with the permissions of the one that was
/// there, and on the disk when this returns.
///
/// # Errors
/// As there.
pub(crate) fn rewrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let before = match fs::symlink_metadata(path) {
        Ok(before) => Some(before.permissions()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let mode = before.as_ref().map_or(0o666, Permissions::mode);
    put(path, mode, |file| {
        file.write_all(bytes)?;
        // The process's mask has taken some away.
        before.map_or(Ok(()), |before| file.set_permissions(before))?;
        file.sync_all()
    })
    .map(drop)
}

/// As [`replace`], filled by `fill` before it stands at the path; the file, to
/// be written on.
///
/// # Errors
/// As there, and those of `fill`.
pub(crate) fn put(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<File> {
    // Nobody can have put something there: the name is drawn, and must be free.
    let aside = path.with_file_name(format!(".{:016x}.{NEW}", Random::system().u64()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode & 0o777)
        .open(&aside)?;
    let placed = fill(&mut file).and_then(|()| fs::rename(&aside, path));
    if placed.is_err() {
        // Nobody else knows of it.
        drop(fs::remove_file(&aside));
    }
    placed.map(|()| file)
}
