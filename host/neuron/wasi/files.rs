//! `wasi:filesystem`: the granted folders and nothing else.
//!
//! Paths are resolved by `wasmtime-wasi` beneath the folder's own descriptor,
//! so that neither `..` nor a link leads out. Every operation runs on the
//! thread that runs the guest: when a poll of the guest has returned, its
//! operations have ended, and so they have when STOP returns. The time they
//! take counts as CPU time, so a guest that lives on slow files goes to the
//! slow lane.

use std::{
    io::{self, ErrorKind, IoSlice},
    os::unix::fs::FileExt,
    sync::{Arc, Weak},
};

use bytes::{Bytes, BytesMut};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};
use wasmtime::component::Resource;
use wasmtime_wasi::{
    async_trait,
    filesystem::Descriptor,
    p2::{
        DynInputStream, DynOutputStream, FsError, FsResult, InputStream, OutputStream, Pollable,
        StreamError, StreamResult,
        bindings::filesystem::types::{
            self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry,
            DirectoryEntryStream, ErrorCode, Filesize, HostDescriptor, HostDirectoryEntryStream,
            MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
        },
    },
};

use super::{CHUNK, State};
use crate::neuron::guest::Guest;

/// Files and folders that a task may have open at a time; each is a file
/// descriptor of the host's.
const OPEN: usize = 64;

/// Listings of folders that a task may have begun at a time. One holds the
/// names of all entries.
const LISTINGS: usize = 16;

type Fd = Resource<Descriptor>;

/// Functions that do nothing but count.
macro_rules! forward {
    ($($name:ident($($arg:ident: $ty:ty),*) -> $out:ty;)*) => {$(
        async fn $name(&mut self, $($arg: $ty),*) -> FsResult<$out> {
            self.enter().map_err(FsError::trap)?;
            HostDescriptor::$name(&mut self.wasi().files(), $($arg),*).await
        }
    )*};
}

impl HostDescriptor for Guest {
    forward! {
        advise(fd: Fd, offset: Filesize, length: Filesize, advice: Advice) -> ();
        sync_data(fd: Fd) -> ();
        sync(fd: Fd) -> ();
        get_flags(fd: Fd) -> DescriptorFlags;
        get_type(fd: Fd) -> DescriptorType;
        set_size(fd: Fd, size: Filesize) -> ();
        set_times(fd: Fd, accessed: NewTimestamp, modified: NewTimestamp) -> ();
        read(fd: Fd, length: Filesize, offset: Filesize) -> (Vec<u8>, bool);
        write(fd: Fd, bytes: Vec<u8>, offset: Filesize) -> Filesize;
        create_directory_at(fd: Fd, path: String) -> ();
        stat(fd: Fd) -> DescriptorStat;
        stat_at(fd: Fd, how: PathFlags, path: String) -> DescriptorStat;
        set_times_at(
            fd: Fd, how: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp
        ) -> ();
        link_at(fd: Fd, how: PathFlags, from: String, to: Fd, path: String) -> ();
        readlink_at(fd: Fd, path: String) -> String;
        remove_directory_at(fd: Fd, path: String) -> ();
        rename_at(fd: Fd, from: String, to: Fd, path: String) -> ();
        symlink_at(fd: Fd, from: String, path: String) -> ();
        unlink_file_at(fd: Fd, path: String) -> ();
        metadata_hash(fd: Fd) -> MetadataHashValue;
        metadata_hash_at(fd: Fd, how: PathFlags, path: String) -> MetadataHashValue;
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.enter()?;
        HostDescriptor::is_same_object(&mut self.wasi().files(), one, other).await
    }

    async fn open_at(
        &mut self,
        fd: Fd,
        how: PathFlags,
        path: String,
        open: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        self.enter().map_err(FsError::trap)?;
        let state = self.wasi();
        if !state.may_open() {
            return Err(ErrorCode::Quota.into());
        }
        // To open a pipe waits for its other end, and nothing can cut that.
        let folder = Resource::new_borrow(fd.rep());
        let found = HostDescriptor::stat_at(&mut state.files(), folder, how, path.clone()).await;
        if found.is_ok_and(|stat| !is_plain(stat.type_)) {
            return Err(ErrorCode::NotPermitted.into());
        }
        let opened =
            HostDescriptor::open_at(&mut state.files(), fd, how, path, open, flags).await?;
        state.note_open(&opened)?;
        Ok(opened)
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Resource<DirectoryEntryStream>> {
        self.enter().map_err(FsError::trap)?;
        let state = self.wasi();
        if state.listings.len() >= LISTINGS {
            return Err(ErrorCode::Quota.into());
        }
        let listing = HostDescriptor::read_directory(&mut state.files(), fd).await?;
        state.listings.push(listing.rep());
        Ok(listing)
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.enter().map_err(FsError::trap)?;
        let table = &mut self.wasi().table;
        let Descriptor::File(file) = table.get(&fd)? else {
            return Err(ErrorCode::IsDirectory.into());
        };
        let reader = Reader {
            file: Arc::clone(&file.file),
            position: offset,
        };
        Ok(table.push(Box::new(reader) as DynInputStream)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.writer(&fd, Some(offset))
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        self.writer(&fd, None)
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.wasi().files(), fd)
    }
}

fn is_plain(kind: DescriptorType) -> bool {
    matches!(
        kind,
        DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink
    )
}

impl types::Host for Guest {
    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        self.enter()?;
        types::Host::filesystem_error_code(&mut self.wasi().files(), error)
    }

    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }
}

impl HostDirectoryEntryStream for Guest {
    async fn read_directory_entry(
        &mut self,
        listing: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        self.enter().map_err(FsError::trap)?;
        HostDirectoryEntryStream::read_directory_entry(&mut self.wasi().files(), listing).await
    }

    fn drop(&mut self, listing: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        let state = self.wasi();
        state.listings.retain(|one| *one != listing.rep());
        HostDirectoryEntryStream::drop(&mut state.files(), listing)
    }
}

impl Guest {
    fn writer(&mut self, fd: &Fd, position: Option<u64>) -> FsResult<Resource<DynOutputStream>> {
        self.enter().map_err(FsError::trap)?;
        let table = &mut self.wasi().table;
        let Descriptor::File(file) = table.get(fd)? else {
            return Err(ErrorCode::BadDescriptor.into());
        };
        if file.perms.write_not_permitted() {
            return Err(ErrorCode::NotPermitted.into());
        }
        let writer = Writer {
            file: Arc::clone(&file.file),
            position,
        };
        Ok(table.push(Box::new(writer) as DynOutputStream)?)
    }
}

impl State {
    fn may_open(&mut self) -> bool {
        self.open.retain(|one| one.strong_count() > 0);
        self.open.len() < OPEN
    }

    fn note_open(&mut self, fd: &Fd) -> FsResult<()> {
        let file: Weak<_> = match self.table.get(fd)? {
            Descriptor::File(file) => Arc::downgrade(&file.file),
            Descriptor::Dir(folder) => Arc::downgrade(&folder.dir),
        };
        self.open.push(file);
        Ok(())
    }
}

fn failed(error: io::Error) -> StreamError {
    StreamError::LastOperationFailed(error.into())
}

/// Tries again when a signal has come between.
fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// Reads a file from a position on. Always ready: see the module.
struct Reader {
    file: Arc<std::fs::File>,
    position: u64,
}

#[async_trait]
impl InputStream for Reader {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let mut bytes = BytesMut::zeroed(size.min(CHUNK));
        let read = uninterrupted(|| self.file.read_at(&mut bytes, self.position));
        match read.map_err(failed)? {
            0 => Err(StreamError::Closed),
            count => {
                bytes.truncate(count);
                self.position = self.position.saturating_add(count as u64);
                Ok(bytes.freeze())
            }
        }
    }
}

#[async_trait]
impl Pollable for Reader {
    async fn ready(&mut self) {}
}

/// Writes a file from a position on, or at its end. Always ready.
struct Writer {
    file: Arc<std::fs::File>,
    /// `None` appends.
    position: Option<u64>,
}

impl Writer {
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.position {
            Some(position) => uninterrupted(|| self.file.write_at(bytes, position)),
            None => uninterrupted(|| append(&self.file, bytes)),
        }
    }
}

/// Other tasks may append to the same file: their bytes do not mix.
fn append(file: &std::fs::File, bytes: &[u8]) -> io::Result<usize> {
    match pwritev2(file, &[IoSlice::new(bytes)], 0, ReadWriteFlags::APPEND) {
        // A file system that cannot has no other tasks' bytes to think of.
        Err(Errno::NOSYS | Errno::NOTSUP) => file.write_at(bytes, file.metadata()?.len()),
        done => Ok(done?),
    }
}

#[async_trait]
impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > CHUNK {
            return Err(StreamError::trap(
                "more was written than check-write allows",
            ));
        }
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let count = self.write_some(rest).map_err(failed)?;
            if count == 0 {
                return Err(failed(ErrorKind::WriteZero.into()));
            }
            if let Some(position) = &mut self.position {
                *position = position.saturating_add(count as u64);
            }
            rest = rest.get(count..).unwrap_or_default();
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

#[async_trait]
impl Pollable for Writer {
    async fn ready(&mut self) {}
}
