//! Steps on files. A path is that of a granted folder, then the rest.

use serde::Deserialize;
use serde_json::{Value, json};
use wasip2::filesystem::preopens;
use wasip2::filesystem::types::{
    Descriptor, DescriptorFlags, DirectoryEntryStream, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasip2::io::streams::StreamError;

use crate::{refused, stream_error};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// The paths of all folders.
    Folders,
    /// The content of a file, through a stream.
    Read(Place),
    /// The same without a stream.
    ReadDirectly(Place),
    /// Makes or replaces a file, through a stream.
    Write(Place, String),
    /// The same without a stream.
    WriteDirectly(Place, String),
    /// Writes without waiting, as often, and keeps the stream.
    WriteOn(Place, String, u64),
    /// At the end of a file that is there.
    Append(Place, String),
    /// Opens a file for writing that is there, without writing.
    OpenToWrite(Place),
    SetSize(Place, u64),
    SetTimes(Place),
    MakeFolder(Place),
    RemoveFolder(Place),
    Remove(Place),
    Rename(Place, Place),
    /// Links to a text; reading follows the link.
    Symlink(String, Place),
    HardLink(Place, Place),
    ReadLink(Place),
    /// What kind of thing it is.
    Kind(Place),
    /// Names in a folder, sorted.
    List(Place),
    /// Opens a file as often and keeps it open; says how often it could.
    Open(Place, u64),
    /// Begins listings of a folder and keeps them; says how many it could.
    BeginListings(Place, u64),
}

/// A granted folder and a path in it.
#[derive(Deserialize)]
pub(crate) struct Place(String, String);

/// What stays open.
#[derive(Default)]
pub(crate) struct Files {
    open: Vec<Descriptor>,
    listings: Vec<DirectoryEntryStream>,
}

enum Refused {
    Code(ErrorCode),
    Stream(StreamError),
    NoFolder,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<StreamError> for Refused {
    fn from(error: StreamError) -> Self {
        Self::Stream(error)
    }
}

type Said = Result<Value, Refused>;

impl Files {
    pub(crate) fn take(&mut self, step: Step) -> Value {
        match self.try_to(step) {
            Ok(value) => value,
            Err(Refused::Code(code)) => refused(code.name()),
            Err(Refused::Stream(error)) => stream_error(&error),
            Err(Refused::NoFolder) => refused("no such folder"),
        }
    }

    fn try_to(&mut self, step: Step) -> Said {
        match step {
            Step::Folders => {
                let all = preopens::get_directories().into_iter();
                return Ok(all.map(|(_, path)| path).collect());
            }
            Step::Read(place) => return read(&place),
            Step::ReadDirectly(place) => {
                let (bytes, _) = place.to_read()?.read(1_000_000, 0)?;
                return Ok(text(&bytes));
            }
            Step::Write(place, content) => {
                let stream = place.to_write(CREATE)?.write_via_stream(0)?;
                stream.blocking_write_and_flush(content.as_bytes())?;
            }
            Step::WriteDirectly(place, content) => {
                return Ok(json!(place.to_write(CREATE)?.write(content.as_bytes(), 0)?));
            }
            Step::WriteOn(place, content, times) => {
                let file = place.to_write(CREATE)?;
                let stream = file.write_via_stream(0)?;
                for _ in 0..times {
                    if stream.check_write()? > 0 {
                        stream.write(content.as_bytes())?;
                    }
                }
                std::mem::forget((stream, file));
            }
            Step::Append(place, content) => {
                let stream = place.to_write(OpenFlags::empty())?.append_via_stream()?;
                stream.blocking_write_and_flush(content.as_bytes())?;
            }
            Step::OpenToWrite(place) => drop(place.to_write(OpenFlags::empty())?),
            Step::SetSize(place, size) => place.to_write(OpenFlags::empty())?.set_size(size)?,
            Step::SetTimes(place) => {
                let now = NewTimestamp::Now;
                place
                    .folder()?
                    .set_times_at(FOLLOW, &place.1, now, NewTimestamp::NoChange)?;
            }
            Step::MakeFolder(place) => place.folder()?.create_directory_at(&place.1)?,
            Step::RemoveFolder(place) => place.folder()?.remove_directory_at(&place.1)?,
            Step::Remove(place) => place.folder()?.unlink_file_at(&place.1)?,
            Step::Rename(from, to) => {
                from.folder()?.rename_at(&from.1, &to.folder()?, &to.1)?;
            }
            Step::Symlink(target, place) => place.folder()?.symlink_at(&target, &place.1)?,
            Step::HardLink(from, to) => {
                let flags = PathFlags::empty();
                from.folder()?
                    .link_at(flags, &from.1, &to.folder()?, &to.1)?;
            }
            Step::ReadLink(place) => return Ok(place.folder()?.readlink_at(&place.1)?.into()),
            Step::Kind(place) => {
                let stat = place.folder()?.stat_at(FOLLOW, &place.1)?;
                return Ok(format!("{:?}", stat.type_).into());
            }
            Step::List(place) => return list(&place),
            Step::Open(place, times) => return self.open(&place, times),
            Step::BeginListings(place, times) => return self.begin_listings(&place, times),
        }
        Ok(Value::Null)
    }

    fn open(&mut self, place: &Place, times: u64) -> Said {
        for _ in 0..times {
            match place.to_read() {
                Ok(file) => self.open.push(file),
                Err(Refused::Code(code)) => {
                    return Ok(json!({"opened": self.open.len(), "error": code.name()}));
                }
                Err(other) => return Err(other),
            }
        }
        Ok(json!({"opened": self.open.len()}))
    }

    fn begin_listings(&mut self, place: &Place, times: u64) -> Said {
        let folder = place.folder()?;
        for _ in 0..times {
            match folder.read_directory() {
                Ok(listing) => self.listings.push(listing),
                Err(code) => {
                    return Ok(json!({"begun": self.listings.len(), "error": code.name()}));
                }
            }
        }
        Ok(json!({"begun": self.listings.len()}))
    }
}

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const CREATE: OpenFlags = OpenFlags::CREATE.union(OpenFlags::TRUNCATE);

impl Place {
    fn folder(&self) -> Result<Descriptor, Refused> {
        let mut all = preopens::get_directories().into_iter();
        let found = all.find(|(_, path)| *path == self.0);
        found.map(|(folder, _)| folder).ok_or(Refused::NoFolder)
    }

    fn open(&self, open: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, Refused> {
        Ok(self.folder()?.open_at(FOLLOW, &self.1, open, flags)?)
    }

    fn to_read(&self) -> Result<Descriptor, Refused> {
        self.open(OpenFlags::empty(), DescriptorFlags::READ)
    }

    fn to_write(&self, open: OpenFlags) -> Result<Descriptor, Refused> {
        self.open(open, DescriptorFlags::WRITE)
    }
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into()
}

fn read(place: &Place) -> Said {
    let stream = place.to_read()?.read_via_stream(0)?;
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(10_000) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return Ok(text(&all)),
            Err(error) => return Err(error.into()),
        }
    }
}

fn list(place: &Place) -> Said {
    let flags = OpenFlags::DIRECTORY;
    let folder = place.open(flags, DescriptorFlags::READ)?;
    let listing = folder.read_directory()?;
    let mut names = Vec::new();
    while let Some(entry) = listing.read_directory_entry()? {
        names.push(entry.name);
    }
    names.sort();
    Ok(json!(names))
}
