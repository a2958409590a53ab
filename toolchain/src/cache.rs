//! Where installed tools lie, and how they get there whole or not at all.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Prefix of a folder that is being made; its end is the id of the process.
const UNFINISHED: &str = ".building-";

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
    fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
    sweep(folder);
    let place = folder.join(name);
    let work = Scratch::new(folder.join(format!("{UNFINISHED}{name}-{}", std::process::id())))
        .map_err(|error| told(folder, error))?;
    make(work.path())?;
    match fs::rename(work.path(), &place) {
        Ok(()) => Ok(place),
        // Another run finished first; its tool is as good.
        Err(_) if place.is_dir() => Ok(place),
        Err(error) => Err(told(&place, error)),
    }
}

/// Removes unfinished folders whose process is gone.
fn sweep(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(UNFINISHED)) else {
            continue;
        };
        let process = name.rsplit('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
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
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let fresh = place.with_file_name(name);
    fs::write(&fresh, contents)?;
    fs::rename(&fresh, place).inspect_err(|_| drop(fs::remove_file(&fresh)))
}

/// A working folder that goes away with its owner.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(path: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// A fresh folder for the files of one build.
    pub(crate) fn for_build() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("soma-build-{}-{count}", std::process::id());
        let path = env::temp_dir().join(name);
        // Left behind by a process of the same id, long ago.
        drop(fs::remove_dir_all(&path));
        Self::new(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is only space in a cache folder.
        drop(fs::remove_dir_all(&self.0));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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
        // The greatest id that Linux gives is 2^22.
        for process in [4_194_305, std::process::id()] {
            fs::create_dir(work.path().join(format!("{UNFINISHED}tool-1-{process}"))).unwrap();
        }
        fs::create_dir(work.path().join("tool-0")).unwrap();
        sweep(work.path());
        let mut left = names(work.path());
        left.sort();
        let running = format!("{UNFINISHED}tool-1-{}", std::process::id());
        assert_eq!(left, [running.as_str(), "tool-0"]);
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
