//! Where installed tools lie, and how they get there whole or not at all.

use std::collections::hash_map::RandomState;
use std::env;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

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
        // Tools are started in other folders than this one.
        .filter(|path| path.is_absolute())
        .map(|cache| cache.join("soma/toolchains"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where to keep files".to_owned())
}

/// The tool's folder, if it was installed before.
///
/// # Errors
///
/// When others may have put it there, or may change it: what lies in it is run.
pub(crate) fn installed(name: &str) -> Result<Option<PathBuf>, String> {
    installed_in(&folder()?, name)
}

fn installed_in(folder: &Path, name: &str) -> Result<Option<PathBuf>, String> {
    let place = folder.join(name);
    if !place.is_dir() {
        return Ok(None);
    }
    for own in [folder, &place] {
        check_own(own).map_err(|error| told(own, error))?;
    }
    Ok(Some(place))
}

/// The tool's folder, which `make` fills where the tool is missing; `holds` is
/// in it then.
///
/// # Errors
///
/// What `make` says, or the file system; and as [`folder`], or when others may
/// write to it.
pub fn install_once(
    name: &str,
    holds: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    installed(name)?.map_or_else(|| install(name, holds, make), Ok)
}

/// Lets `make` fill an empty folder, which then becomes the tool's own, unless
/// it lacks what it `holds`. What an interrupted set-up left behind is removed.
pub(crate) fn install(
    name: &str,
    holds: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    install_in(&folder()?, name, holds, make)
}

fn install_in(
    folder: &Path,
    name: &str,
    holds: &str,
    make: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    make_private(folder).map_err(|error| told(folder, error))?;
    sweep(folder);
    let place = folder.join(name);
    let prefix = format!("{UNFINISHED}{name}-");
    let work = Scratch::new(folder, &prefix).map_err(|error| told(folder, error))?;
    make(work.path())?;
    // A program that ended well may have done something else.
    if !work.path().join(holds).exists() {
        return Err(format!("{name}: its set-up ended well and left no {holds}"));
    }
    match fs::rename(work.path(), &place) {
        Ok(()) => Ok(place),
        // Another run may have finished first; its tool is as good.
        Err(error) => installed_in(folder, name)?.ok_or_else(|| told(&place, error)),
    }
}

fn told(what: &Path, error: io::Error) -> String {
    format!("{}: {error}", what.display())
}

/// Makes a folder with those above it for this user alone, or takes the one
/// that is there.
fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    check_own(folder)
}

/// Refuses a folder that belongs to somebody else, or that others may write to.
fn check_own(folder: &Path) -> io::Result<()> {
    let metadata = fs::metadata(folder)?;
    if metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::other(
        "others may write to it: it must belong to this user with mode 0700",
    ))
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

    use std::os::unix::fs::PermissionsExt;
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
        let cut_short = install_in(&folder, "tool-1", "whole", |place| {
            fs::write(place.join("half"), "").unwrap();
            Err("the line broke".to_owned())
        });
        assert_eq!(cut_short.unwrap_err(), "the line broke");
        assert!(names(&folder).is_empty());
        let place = install_in(&folder, "tool-1", "whole", |place| {
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
    fn a_set_up_that_ends_well_without_the_tool_installs_nothing() {
        let work = Scratch::for_build().unwrap();
        let folder = work.path().join("toolchains");
        let other = |place: &Path| fs::create_dir_all(place.join("bin")).map_err(|e| e.to_string());
        assert_eq!(
            install_in(&folder, "tool-1", "bin/tool", other).unwrap_err(),
            "tool-1: its set-up ended well and left no bin/tool"
        );
        assert!(names(&folder).is_empty());
    }

    #[test]
    fn a_tool_that_others_may_change_is_refused() {
        let work = Scratch::for_build().unwrap();
        let folder = work.path().join("toolchains");
        let tool = folder.join("tool-1");
        fs::create_dir_all(&tool).unwrap();
        let open = |folder: &Path, mode| {
            fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        };
        let make = |place: &Path| fs::write(place.join("tool"), "").map_err(|e| e.to_string());
        let words = "others may write to it: it must belong to this user with mode 0700";
        for (whose, mode) in [(&folder, 0o777), (&folder, 0o770), (&tool, 0o702)] {
            open(&folder, 0o700);
            open(&tool, 0o755);
            assert_eq!(installed_in(&folder, "tool-1").unwrap(), Some(tool.clone()));
            open(whose, mode);
            let refused = format!("{}: {words}", whose.display());
            assert_eq!(installed_in(&folder, "tool-1").unwrap_err(), refused);
            // Nor is it taken for what another run has finished.
            fs::write(tool.join("theirs"), "").unwrap();
            let made = install_in(&folder, "tool-1", "tool", make);
            assert_eq!(made.unwrap_err(), refused);
            // No other is put into a folder of others.
            let beside = install_in(&folder, "tool-2", "tool", make);
            assert_eq!(beside.is_err(), whose == &folder);
        }
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
