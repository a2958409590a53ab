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
        copy(&self.folder, to, &mut Vec::new())
            .map_err(|error| Error::Project(format!("{}: {error}", self.folder.display())))
    }
}

/// Copies a folder, links followed; `around` are the folders around it as they
/// are without links.
fn copy(from: &Path, to: &Path, around: &mut Vec<PathBuf>) -> io::Result<()> {
    let real = from.canonicalize()?;
    if around.contains(&real) {
        return Err(told(
            from,
            "is a link that leads back to a folder around it",
        ));
    }
    let is_top = around.is_empty();
    around.push(real);
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with('.') || (is_top && NOT_SOURCE.contains(&text.as_ref())) {
            continue;
        }
        let path = entry.path();
        let target = to.join(&name);
        // Follows links.
        let kind = fs::metadata(&path)?;
        if kind.is_dir() {
            copy(&path, &target, around)?;
        } else if kind.is_file() {
            fs::copy(&path, target)?;
        } else {
            return Err(told(&path, "is neither a file nor a folder"));
        }
    }
    around.pop();
    Ok(())
}

fn told(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("{} {what}", path.display()))
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
    fn links_are_followed_and_one_that_leads_in_a_circle_is_told() {
        use std::os::unix::fs::symlink;
        let work = crate::cache::Scratch::for_build().unwrap();
        let [from, beside] = ["project", "beside"].map(|name| work.path().join(name));
        fs::create_dir_all(from.join("lib")).unwrap();
        fs::create_dir(&beside).unwrap();
        fs::write(beside.join("helper.py"), "1").unwrap();
        symlink(&beside, from.join("sdk")).unwrap();
        symlink(&beside, from.join("lib/sdk")).unwrap();
        let to = work.path().join("copy");
        copy(&from, &to, &mut Vec::new()).unwrap();
        assert!(to.join("sdk/helper.py").is_file() && to.join("lib/sdk/helper.py").is_file());
        symlink("..", from.join("lib/up")).unwrap();
        let circle = copy(&from, &to, &mut Vec::new()).unwrap_err().to_string();
        assert!(circle.ends_with("lib/up is a link that leads back to a folder around it"));
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
