//! Files that the command writes: whole or not at all, and none over another
//! that it was not told to replace.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{Exit, Failed};

/// Permissions of a file that is for its owner alone.
pub(super) const PRIVATE: u32 = 0o600;

/// Writes a file, in place of the one that may be there: whoever reads it sees
/// the one or the other, whole. A link is followed; permissions stay.
///
/// # Errors
/// When it cannot be written; what was there is as it was.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let aside = aside(&target);
    let written = write_aside(&target, &aside, bytes);
    if written.is_err() {
        // Nobody else knows of it.
        drop(fs::remove_file(&aside));
    }
    written.map_err(|error| unwritable(path, &error))
}

fn write_aside(target: &Path, aside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(aside)?;
    file.write_all(bytes)?;
    match fs::metadata(target) {
        Ok(before) => file.set_permissions(Permissions::from_mode(before.permissions().mode()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    file.sync_all()?;
    fs::rename(aside, target)
}

/// A hidden name beside a file, of this process.
pub(super) fn aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    path.with_file_name(name)
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
