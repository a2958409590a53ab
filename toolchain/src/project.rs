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

    /// Copies what there is to build from. Tools that are shown one folder
    /// only would not follow a link out of it.
    pub(crate) fn copy_source(&self, to: &Path) -> Result<(), Error> {
        copy(&self.folder, to, true)
            .map_err(|error| Error::Project(format!("{}: {error}", self.folder.display())))
    }
}

fn copy(from: &Path, to: &Path, top: bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with('.') || (top && NOT_SOURCE.contains(&text.as_ref())) {
            continue;
        }
        let path = entry.path();
        // Follows links.
        if path.is_dir() {
            copy(&path, &to.join(&name), false)?;
        } else {
            fs::copy(&path, to.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn project(manifest: &str) -> Project {
        Project {
            folder: PathBuf::new(),
            manifest: manifest.parse().unwrap(),
        }
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
