//! A journal in a file.

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Checkpoint, Journal, ResumeError};
use crate::package::file;

/// A journal in a file of its own.
///
/// Each record is handed to the operating system before it counts: it outlives
/// the process, however that ends. The file is synchronised with its disk when
/// the run ends, and with [`CheckpointFile::durable`] at each record, so that
/// it outlives the machine too. When it has grown long it begins anew with a
/// checkpoint. The file of a run that cannot go on is removed. One process has it
/// at a time.
#[derive(Debug)]
pub struct CheckpointFile {
    path: PathBuf,
    file: File,
    durable: bool,
    /// Bytes of its checkpoint, and of the records behind it.
    begun: u64,
    recorded: u64,
}

/// Records of less than this are not worth a new beginning.
const SHORT: u64 = 16 << 20;

/// Most bytes of the checkpoint that a file begins with. Records come on top.
const MAX_BEGUN: u64 = CheckpointFile::MAX_BYTES / 2;

/// Why a file cannot be a journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be opened, read or locked.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another run has it.
    #[error("{} is in use by another run", .0.display())]
    InUse(PathBuf),
    /// It holds more than is read.
    #[error("{} is longer than the {} bytes that are read", .0.display(), CheckpointFile::MAX_BYTES)]
    TooLong(PathBuf),
    /// There is none.
    #[error("there is no checkpoint {}; that of a run that has ended for good is removed", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("{} is there already; resume it, or remove it to begin anew", .0.display())]
    Exists(PathBuf),
    /// It holds something else.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ResumeError,
    },
}

impl CheckpointFile {
    /// Most bytes of a file that is read.
    pub const MAX_BYTES: u64 = 1 << 30;

    /// For a new run.
    ///
    /// # Errors
    /// When it is there already, or cannot be made. One that holds nothing is
    /// that of a run that never began, and is taken over.
    pub fn create(path: &Path) -> Result<Self, FileError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(path) {
            Ok(file) => Self::locked(path, file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::empty(path),
            Err(source) => Err(io_error(path, source)),
        }
    }

    fn empty(path: &Path) -> Result<Self, FileError> {
        let exists = || FileError::Exists(path.to_owned());
        let is_empty = |there: &Metadata| there.is_file() && there.len() == 0;
        if !std::fs::metadata(path).is_ok_and(|there| is_empty(&there)) {
            return Err(exists());
        }
        let file = OpenOptions::new().read(true).write(true).open(path);
        let journal = Self::locked(path, file.map_err(|_| exists())?)?;
        // Its owner may have begun before it was locked.
        match journal.file.metadata() {
            Ok(there) if is_empty(&there) => Ok(journal),
            _ => Err(exists()),
        }
    }

    /// Of a run that is to go on, and where that was.
    ///
    /// # Errors
    /// When it is not there, another run has it, or it holds something else.
    pub fn open(path: &Path) -> Result<(Self, Checkpoint), FileError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => FileError::Missing(path.to_owned()),
            _ => io_error(path, source),
        })?;
        let mut journal = Self::locked(path, file)?;
        let mut bytes = Vec::new();
        let read = (&mut journal.file)
            .take(Self::MAX_BYTES + 1)
            .read_to_end(&mut bytes);
        let length = read.map_err(|source| io_error(path, source))?;
        if u64::try_from(length).unwrap_or(u64::MAX) > Self::MAX_BYTES {
            return Err(FileError::TooLong(path.to_owned()));
        }
        if length == 0 {
            return Err(FileError::Missing(path.to_owned()));
        }
        // What was not written to its end may stop within a character.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n');
        bytes.truncate(whole.map_or(0, |end| end + 1));
        let text = String::from_utf8_lossy(&bytes);
        let checkpoint = Checkpoint::parse(&text).map_err(|source| FileError::Malformed {
            path: path.to_owned(),
            source,
        })?;
        Ok((journal, checkpoint))
    }

    /// Synchronises the file at each record.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    fn locked(path: &Path, file: File) -> Result<Self, FileError> {
        match file.try_lock() {
            Ok(()) => {
                // It may have been replaced between opening and locking.
                if !is_same(&file, path).map_err(|source| io_error(path, source))? {
                    return Err(FileError::InUse(path.to_owned()));
                }
                Ok(Self {
                    path: path.to_owned(),
                    file,
                    durable: false,
                    begun: 0,
                    recorded: 0,
                })
            }
            Err(TryLockError::WouldBlock) => Err(FileError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(io_error(path, source)),
        }
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let bytes = bytes_of(text);
        if self.begun + self.recorded + bytes > Self::MAX_BYTES {
            return Err(too_long(bytes));
        }
        // One write: another process never sees half a line but at the end.
        self.file.write_all(format!("{text}\n").as_bytes())?;
        self.recorded += bytes;
        if self.durable {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// Of a line with its end.
fn bytes_of(text: &str) -> u64 {
    u64::try_from(text.len())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}

fn too_long(bytes: u64) -> io::Error {
    io::Error::other(format!(
        "a line of {bytes} bytes makes the file longer than the {} bytes that are read",
        CheckpointFile::MAX_BYTES
    ))
}

fn io_error(path: &Path, source: io::Error) -> FileError {
    FileError::Io {
        path: path.to_owned(),
        source,
    }
}

impl Journal for CheckpointFile {
    fn begin(&mut self, checkpoint: &str) -> io::Result<()> {
        let bytes = bytes_of(checkpoint);
        if bytes > MAX_BEGUN {
            return Err(too_long(bytes));
        }
        // What was there stays until the new text is whole, and locked.
        self.file = file::put(&self.path, 0o600, |fresh| {
            fresh.try_lock().map_err(|error| match error {
                TryLockError::Error(error) => error,
                TryLockError::WouldBlock => io::ErrorKind::ResourceBusy.into(),
            })?;
            fresh.write_all(format!("{checkpoint}\n").as_bytes())?;
            fresh.sync_data()
        })?;
        if self.durable {
            File::open(folder_of(&self.path))?.sync_all()?;
        }
        (self.begun, self.recorded) = (bytes, 0);
        Ok(())
    }

    fn record(&mut self, record: &str) -> io::Result<()> {
        self.line(record).inspect_err(|_| {
            // Half a line is none, also if it stays: nothing comes behind it.
            drop(self.file.set_len(self.begun + self.recorded));
        })
    }

    fn end(&mut self, goes_on: bool) -> io::Result<()> {
        if goes_on {
            return self.file.sync_data();
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn is_long(&self) -> bool {
        // A file that would grow too long to be read begins anew before that.
        let room = Self::MAX_BYTES * 3 / 4 - self.begun;
        self.recorded > SHORT.max(4 * self.begun).min(room)
    }
}

/// Whether an open file is the one that stands at the path.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (open, there) = (file.metadata()?, std::fs::metadata(path)?);
    Ok(open.dev() == there.dev() && open.ino() == there.ino())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_file_begins_anew_when_that_is_shorter_and_before_it_is_too_long_to_be_read() {
        let name = format!("soma-journal-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = CheckpointFile::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for (begun, recorded, is_long) in [
            (1 << 10, SHORT, false),
            (1 << 10, SHORT + 1, true),
            (64 << 20, 256 << 20, false),
            (64 << 20, (256 << 20) + 1, true),
            (MAX_BEGUN, 256 << 20, false),
            (MAX_BEGUN, (256 << 20) + 1, true),
        ] {
            (file.begun, file.recorded) = (begun, recorded);
            assert_eq!(file.is_long(), is_long, "{begun} {recorded}");
        }
        (file.begun, file.recorded) = (CheckpointFile::MAX_BYTES - 5, 0);
        let told = file.record("12345").unwrap_err().to_string();
        assert_eq!(
            told,
            "a line of 6 bytes makes the file longer than the 1073741824 bytes that are read"
        );
    }
}
