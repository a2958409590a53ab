//! Where installed tools lie, and how they get there whole or not at all.

use std::collections::hash_map::RandomState;
use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Prefix of a folder that is being made.
const UNFINISHED: &str = ".building-";

/// Folder of the builds that are under way, beside that of the tools.
const BUILDS: &str = "builds";

/// The folder of all tools: `soma/toolchains` in `XDG_CACHE_HOME`, or in
/// `~/.cache` where that is not set.
///
/// # Errors
///
/// Says that neither variable names a folder.
pub fn folder() -> Result<PathBuf, String> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("soma/toolchains"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where to keep files".to_owned())
}

/// The tool's folder, if it was installed before.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let place = folder().ok()?.join(name);
    place.is_dir().then_some(place)
}

/// The tool's folder, which `make` fills where the tool is missing.
///
/// # Errors
///
/// What `make` says, or the file system.
pub fn install_once(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    installed(name).map_or_else(|| install(name, make), Ok)
}

/// Lets `make` fill an empty folder, which then becomes the tool's own. What an
/// interrupted set-up left behind is removed.
pub(crate) fn install(
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    install_in(&folder()?, name, make)
}

fn install_in(
    folder: &Path,
    name: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let told = |what: &Path, error: io::Error| format!("{}: {error}", what.display());
    make_private(folder).map_err(|error| told(folder, error))?;
    sweep(folder);
    let place = folder.join(name);
    let prefix = format!("{UNFINISHED}{name}-");
    let work = Scratch::new(folder, &prefix).map_err(|error| told(folder, error))?;
    make(work.path())?;
    match fs::rename(work.path(), &place) {
        Ok(()) => Ok(place),
        // Another run finished first; its tool is as good.
        Err(_) if place.is_dir() => Ok(place),
        Err(error) => Err(told(&place, error)),
    }
}

/// Makes a folder with those above it, for this user alone.
fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Removes unfinished folders that nobody works in any more.
fn sweep(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if !name.to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let Ok(folder) = File::open(entry.path()) else {
            continue;
        };
        // Locked until it is gone: who makes a folder waits for its lock, and
        // then looks whether it is still there.
        if folder.try_lock().is_ok() {
            // What cannot be removed is only space in a cache folder.
            drop(fs::remove_dir_all(entry.path()));
        }
    }
}

/// Writes a file beside its place and moves it there: whoever reads it sees
/// the old one or the new one.
///
/// # Errors
///
/// The file system's.
pub fn replace(place: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let aside = place.with_file_name(format!(".{}.new", drawn()));
    // Nobody can have put something there.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&aside)?;
    file.write_all(contents)
        .and_then(|()| fs::rename(&aside, place))
        .inspect_err(|_| drop(fs::remove_file(&aside)))
}

/// A name that nobody can foresee.
fn drawn() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// A working folder for this user alone, which goes away with its owner. It is
/// locked for as long, so that [`sweep`] leaves it alone.
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// A fresh folder in `folder`. One that is there is nobody's to take over.
    fn new(folder: &Path, prefix: &str) -> io::Result<Self> {
        loop {
            let path = folder.join(format!("{prefix}{}", drawn()));
            DirBuilder::new().mode(0o700).create(&path)?;
            // Until it is locked, somebody who sweeps may take it for left.
            let lock = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            lock.lock()?;
            let ours = lock.metadata()?.ino();
            if fs::symlink_metadata(&path).is_ok_and(|there| there.ino() == ours) {
                return Ok(Self { path, _lock: lock });
            }
        }
    }

    /// A fresh folder for the files of one build: in the user's own cache, or
    /// where there is none beside all other temporary files.
    pub(crate) fn for_build() -> io::Result<Self> {
        let Ok(tools) = folder() else {
            return Self::new(&env::temp_dir(), "soma-build-");
        };
        let builds = tools.with_file_name(BUILDS);
        make_private(&builds)?;
        sweep(&builds);
        Self::new(&builds, UNFINISHED)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is only space in a cache folder.
        drop(fs::remove_dir_all(&self.path));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::thread;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_tool_is_there_as_a_whole_or_not_at_all() {
        let work = Scratch::for_build().unwrap();
        let folder = work.path().join("toolchains");
        let cut_short = install_in(&folder, "tool-1", |place| {
            fs::write(place.join("half"), "").unwrap();
            Err("the line broke".to_owned())
        });
        assert_eq!(cut_short.unwrap_err(), "the line broke");
        assert!(names(&folder).is_empty());
        let place = install_in(&folder, "tool-1", |place| {
            // Nothing is seen under the tool's name before it is whole.
            assert!(!folder.join("tool-1").exists());
            fs::write(place.join("whole"), "").unwrap();
            Ok(())
        });
        assert_eq!(place.unwrap(), folder.join("tool-1"));
        assert_eq!(names(&folder), ["tool-1"]);
        assert_eq!(names(&folder.join("tool-1")), ["whole"]);
    }

    #[test]
    fn what_a_killed_set_up_left_is_swept_away_and_a_running_one_is_not() {
        let work = Scratch::for_build().unwrap();
        // Of whatever process: its number may be ours by now.
        let own = format!("{UNFINISHED}tool-1-{}", std::process::id());
        for left in [&own, &format!("{UNFINISHED}tool-1-0")] {
            fs::create_dir(work.path().join(left)).unwrap();
        }
        fs::create_dir(work.path().join("tool-0")).unwrap();
        let running = Scratch::new(work.path(), UNFINISHED).unwrap();
        sweep(work.path());
        let mut left = names(work.path());
        left.sort();
        let running = running.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(left, [running, "tool-0"]);
    }

    #[test]
    fn folders_that_are_begun_while_others_sweep_stay() {
        let work = Scratch::for_build().unwrap();
        let begin = || {
            for _ in 0..2_000 {
                let begun = Scratch::new(work.path(), UNFINISHED).unwrap();
                fs::write(begun.path().join("file"), "").unwrap();
            }
        };
        thread::scope(|scope| {
            let makers = [scope.spawn(begin), scope.spawn(begin)];
            while !makers.iter().all(|maker| maker.is_finished()) {
                sweep(work.path());
            }
        });
        assert!(names(work.path()).is_empty());
    }

    #[test]
    fn a_folder_to_work_in_is_new_and_for_its_user_alone() {
        let work = Scratch::for_build().unwrap();
        assert_eq!(work.path().metadata().unwrap().mode() & 0o777, 0o700);
        assert!(names(work.path()).is_empty());
        let other = Scratch::for_build().unwrap();
        assert_ne!(work.path(), other.path());
    }

    #[test]
    fn a_file_is_replaced_in_one_step_and_nothing_is_left_beside_it() {
        let work = Scratch::for_build().unwrap();
        let place = work.path().join("new/component.wasm");
        replace(&place, b"one").unwrap();
        replace(&place, b"two").unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"two");
        assert_eq!(names(&work.path().join("new")), ["component.wasm"]);
    }
}
