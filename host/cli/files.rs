//! Files that the command writes: whole or not at all, and none over another
//! that it was not told to replace.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use super::{Exit, Failed};
use crate::package::file;

/// Permissions of a file that is for its owner alone.
pub(super) const PRIVATE: u32 = 0o600;

/// Writes a file that somebody named, in place of the one that may be there:
/// whoever reads it sees the one or the other, whole. A link is followed;
/// permissions stay.
///
/// # Errors
/// When it cannot be written; what was there is as it was.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    file::rewrite(&target, bytes).map_err(|error| unwritable(path, &error))
}

/// Whether a file may be written to a place that nobody has typed, in a folder of
/// a project, which may be anybody's: neither the folder nor the file is followed
/// if it is a link, which could lead to any file of the user's.
///
/// # Errors
/// When either is one.
pub(super) fn check_place(path: &Path) -> Result<(), Failed> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut places = [folder, path].into_iter();
    places
        .find(|place| place.is_symlink())
        .map_or(Ok(()), |place| {
            let message = format!("{} is a link, which is not followed", place.display());
            Err(Failed::new(Exit::Input, message)
                .advise("take it away, or name another place to write to"))
        })
}

/// Writes a file as [`replace`] does, if [`check_place`] allows it; its folder is
/// made where it is missing.
///
/// # Errors
/// As both.
pub(super) fn place(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    check_place(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let made = match folder.as_os_str().is_empty() {
        true => Ok(()),
        false => fs::create_dir_all(folder),
    };
    made.and_then(|()| file::rewrite(path, bytes))
        .map_err(|error| unwritable(path, &error))
}

/// Writes a file that is not there yet, with these permissions at most.
///
/// # Errors
/// When there is something of that name, or it cannot be written.
pub(super) fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failed> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => taken(path),
        _ => unwritable(path, &error),
    })?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|error| {
        drop(fs::remove_file(path));
        unwritable(path, &error)
    })
}

/// There is something already, and nothing is overwritten.
pub(super) fn taken(path: &Path) -> Failed {
    let message = format!("{} is there already", path.display());
    Failed::new(Exit::Input, message).advise("nothing was overwritten; choose another name")
}

fn unwritable(path: &Path, error: &io::Error) -> Failed {
    Failed::new(
        Exit::Input,
        format!("cannot write {}: {error}", path.display()),
    )
}
