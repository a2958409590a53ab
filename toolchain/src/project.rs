//! A project folder, and what its manifest asks the host for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::{Error, Language};

/// The manifest's file name.
const MANIFEST: &str = "neuron.toml";

/// Folders of a project that hold nothing to build from.
const NOT_SOURCE: [&str; 4] = ["target", "cases", "wit", "__pycache__"];

/// What is copied of a project at most: packages of others may be large, but a
/// few links inside of a project can make it look endless.
const MOST_MIB: u64 = 256;
const MOST_ENTRIES: usize = 20_000;

/// A folder with a readable manifest.
pub(crate) struct Project {
    pub(crate) folder: PathBuf,
    manifest: Table,
}

impl Project {
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        let told = |what: String| Error::Project(format!("{}: {what}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                told("there is no such file; a neuron's project folder has one".to_owned())
            } else {
                told(error.to_string())
            }
        })?;
        let manifest = text.parse().map_err(|error| told(format!("{error}")))?;
        // Compilers are started inside the folder, with paths that name it.
        let folder = fs::canonicalize(folder).map_err(|error| told(error.to_string()))?;
        Ok(Self { folder, manifest })
    }

    /// The interfaces of the contract that the manifest asks for. Toolchains
    /// that link nothing import a whole world, so it must be no larger.
    pub(crate) fn interfaces(&self) -> Vec<&'static str> {
        let grants = self.manifest.get("grants").and_then(Value::as_table);
        let grant = |name: &str| grants.and_then(|grants| grants.get(name));
        let engrams = self.manifest.get("engrams").and_then(Value::as_table);
        let mut asked = Vec::new();
        if engrams.is_some_and(|engrams| !engrams.is_empty()) {
            asked.push("engram");
        }
        let types = grant("synapse").and_then(Value::as_array);
        if types.is_some_and(|types| !types.is_empty()) {
            asked.push("synapse");
        }
        for (name, wanted) in [
            ("clock", grant("clock").is_some_and(Value::is_str)),
            ("log", grant("log").and_then(Value::as_bool) == Some(true)),
            ("random", grant("random").is_some_and(Value::is_str)),
            (
                "orchestration",
                grant("orchestration").and_then(Value::as_bool) == Some(true),
            ),
        ] {
            if wanted {
                asked.push(name);
            }
        }
        asked
    }

    /// Whether the manifest asks for WASI, or for what is reached through it.
    pub(crate) fn wasi(&self) -> bool {
        let grants = self.manifest.get("grants").and_then(Value::as_table);
        let grant = |name: &str| grants.and_then(|grants| grants.get(name));
        grant("wasi").and_then(Value::as_bool) == Some(true)
            || grant("files")
                .and_then(Value::as_table)
                .is_some_and(|files| !files.is_empty())
            || ["environment", "http"].iter().any(|name| {
                let list = grant(name).and_then(Value::as_array);
                list.is_some_and(|list| !list.is_empty())
            })
    }

    /// The folder of the contract that the project was made for.
    pub(crate) fn wit(&self) -> Result<PathBuf, Error> {
        let folder = self.folder.join("wit");
        if folder.is_dir() {
            return Ok(folder);
        }
        Err(Error::Project(format!(
            "{}: there is no such folder; a project carries the contract that it is built for",
            folder.display()
        )))
    }

    /// A file that every project of the language has.
    pub(crate) fn require(&self, name: &str, language: Language) -> Result<PathBuf, Error> {
        let path = self.folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::Project(format!(
            "{}: there is no such file; a project in {language} has one",
            path.display()
        )))
    }

    /// Copies what there is to build from, and nothing from elsewhere: what is
    /// built of it goes to others.
    pub(crate) fn copy_source(&self, to: &Path) -> Result<(), Error> {
        Copying::of(&self.folder)
            .entry(&self.folder, to)
            .map_err(Error::Project)
    }

    /// Copies the contract that the project was made for, in the same way.
    pub(crate) fn copy_wit(&self, to: &Path) -> Result<(), Error> {
        let wit = self.wit()?;
        Copying::of(&self.folder)
            .entry(&wit, to)
            .map_err(Error::Project)
    }
}

/// A copy that is being made of a part of a project. Links are followed as far
/// as the project goes.
struct Copying<'a> {
    /// The project, its path without links.
    project: &'a Path,
    /// The folders around the one that is copied, without links.
    around: Vec<PathBuf>,
    bytes_left: u64,
    entries_left: usize,
}

impl<'a> Copying<'a> {
    fn of(project: &'a Path) -> Self {
        Self {
            project,
            around: Vec::new(),
            bytes_left: MOST_MIB << 20,
            entries_left: MOST_ENTRIES,
        }
    }

    /// A file, or a folder with all that is in it.
    fn entry(&mut self, path: &Path, to: &Path) -> Result<(), String> {
        self.entries_left = self.entries_left.checked_sub(1).ok_or_else(|| {
            let most = format!("more than {MOST_ENTRIES} files and folders");
            format!("{}: it has {most} to build from", self.project.display())
        })?;
        let real = path.canonicalize().map_err(failed(path))?;
        if !real.starts_with(self.project) {
            let what = "is a link out of the project, which is not followed";
            return Err(told(path, what));
        }
        let metadata = real.metadata().map_err(failed(path))?;
        if metadata.is_dir() {
            self.folder(path, real, to)
        } else if metadata.is_file() {
            self.file(path, &real, metadata.len(), to)
        } else {
            Err(told(path, "is neither a file nor a folder"))
        }
    }

    fn folder(&mut self, path: &Path, real: PathBuf, to: &Path) -> Result<(), String> {
        if self.around.contains(&real) {
            return Err(told(
                path,
                "is a link that leads back to a folder around it",
            ));
        }
        let is_top = real == self.project;
        fs::create_dir_all(to).map_err(failed(to))?;
        let entries = fs::read_dir(&real).map_err(failed(path))?;
        self.around.push(real);
        for entry in entries {
            let name = entry.map_err(failed(path))?.file_name();
            let text = name.to_string_lossy();
            if text.starts_with('.') || (is_top && NOT_SOURCE.contains(&text.as_ref())) {
                continue;
            }
            self.entry(&path.join(&name), &to.join(&name))?;
        }
        self.around.pop();
        Ok(())
    }

    fn file(&mut self, path: &Path, real: &Path, bytes: u64, to: &Path) -> Result<(), String> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| {
            let most = format!("more than {MOST_MIB} MiB");
            format!("{}: it has {most} to build from", self.project.display())
        })?;
        fs::copy(real, to).map(drop).map_err(failed(path))
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

fn told(path: &Path, what: &str) -> String {
    format!("{} {what}", path.display())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::symlink;

    use super::*;
    use crate::cache::Scratch;

    fn project(manifest: &str) -> Project {
        Project {
            folder: PathBuf::new(),
            manifest: manifest.parse().unwrap(),
        }
    }

    /// A project's folder in the user's cache, with a file in `lib`; and a place
    /// for its copy.
    fn folder() -> (Scratch, PathBuf, PathBuf) {
        let work = Scratch::for_build().unwrap();
        let project = work.path().canonicalize().unwrap().join("project");
        fs::create_dir_all(project.join("lib")).unwrap();
        fs::write(project.join("lib/helper.py"), "1").unwrap();
        let to = work.path().join("copy");
        (work, project, to)
    }

    #[test]
    fn links_are_followed_as_far_as_the_project_goes() {
        let (_work, project, to) = folder();
        let copy = || Copying::of(&project).entry(&project, &to);
        fs::write(project.join("../secret"), "secret").unwrap();
        fs::create_dir(project.join("../project-2")).unwrap();
        symlink("lib", project.join("sdk")).unwrap();
        symlink(project.join("lib/helper.py"), project.join("same.py")).unwrap();
        copy().unwrap();
        for name in ["sdk/helper.py", "same.py"] {
            assert!(to.join(name).symlink_metadata().unwrap().is_file());
        }
        let told = |target: &str| {
            let link = project.join("lib/link");
            symlink(target, &link).unwrap();
            let told = copy().unwrap_err();
            fs::remove_file(&link).unwrap();
            told.replace(link.to_str().unwrap(), "LINK")
        };
        let out = "LINK is a link out of the project, which is not followed";
        for target in ["../../secret", "../../project-2", "/etc", "/dev/zero"] {
            assert_eq!(told(target), out);
        }
        let circle = "LINK is a link that leads back to a folder around it";
        assert_eq!([told(".."), told(".")], [circle; 2]);
        assert!(told("nowhere").starts_with("LINK: No such file"));
        assert_eq!(
            fs::read_dir(to.join("lib")).unwrap().count(),
            1,
            "a link's file was copied"
        );
    }

    #[test]
    fn the_contract_is_not_taken_from_elsewhere() {
        let (_work, folder, to) = folder();
        let project = Project {
            folder,
            ..project("")
        };
        let wit = project.folder.join("wit");
        symlink("..", &wit).unwrap();
        let out = project.copy_wit(&to).unwrap_err().to_string();
        assert!(out.starts_with(&format!("{} is a link out of the project", wit.display())));
        assert!(!to.exists());
    }

    #[test]
    fn a_project_is_copied_up_to_a_size() {
        let (_work, project, to) = folder();
        let copy = || {
            let copied = Copying::of(&project).entry(&project, &to);
            copied.map_err(|told| told.replace(project.to_str().unwrap(), "PROJECT"))
        };
        let large = fs::File::create(project.join("large")).unwrap();
        // No blocks are taken on the disk.
        large.set_len(MOST_MIB << 20).unwrap();
        let words = "PROJECT: it has more than 256 MiB to build from";
        assert_eq!(copy().unwrap_err(), words);
        drop(large);
        fs::remove_file(project.join("large")).unwrap();
        // Each has ten links to the next: a hundred thousand to whoever follows.
        for level in 0..5 {
            let here = project.join(format!("level-{level}"));
            fs::create_dir(&here).unwrap();
            for link in 0..10 {
                let next = format!("../level-{}", level + 1);
                symlink(next, here.join(format!("{link}"))).unwrap();
            }
        }
        fs::create_dir(project.join("level-5")).unwrap();
        let words = "PROJECT: it has more than 20000 files and folders to build from";
        assert_eq!(copy().unwrap_err(), words);
    }

    #[test]
    fn the_interfaces_are_those_that_the_manifest_asks_for() {
        let nothing = project("id = \"n\"\n[grants]\nlog = false\nsynapse = []\n");
        assert!(nothing.interfaces().is_empty());
        let all = project(
            "[engrams.notes]\naccess = \"read\"\n[grants]\nlog = true\nclock = \"wall\"\n\
             random = \"seeded\"\nsynapse = [\"PLAN\"]\norchestration = true\nwasi = true\n",
        );
        assert_eq!(
            all.interfaces(),
            [
                "engram",
                "synapse",
                "clock",
                "log",
                "random",
                "orchestration"
            ]
        );
        assert!(all.wasi() && !nothing.wasi());
        assert!(project("[grants]\nfiles = { data = \"read\" }\n").wasi());
        assert!(project("[grants]\nenvironment = [\"API\"]\n").wasi());
    }
}
