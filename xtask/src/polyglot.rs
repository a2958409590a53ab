//! Neurons in other languages than Rust, and the template of each language:
//! projects that `soma-toolchain` builds, each again only when something that
//! it is built from has changed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use sha2::{Digest, Sha256};
use soma_toolchain::{Error, Language, build as build_project, cache, key, template};

use crate::Failure;
use crate::neurons::Component;
use crate::say::say;

/// The neurons that each language has in `plugins/<language>/`.
const NEURONS: [&str; 2] = ["ingester", "puppet"];

/// The neuron of a template, and its id.
const TEMPLATE: &str = "notes";

/// What building leaves in a project's folder.
const LEFT_BY_TOOLS: [&str; 3] = ["target", "__pycache__", "Cargo.lock"];

/// A project and the component that is made of it.
struct Project {
    language: Language,
    name: String,
    folder: PathBuf,
}

/// Whether a component of this name is built here.
pub(crate) fn is_one(component: &str) -> bool {
    let Some((language, name)) = component.split_once('_') else {
        return false;
    };
    let known = language.parse::<Language>();
    known.is_ok_and(|language| names(language).any(|one| one == name))
}

fn names(language: Language) -> impl Iterator<Item = &'static str> {
    // Those in Rust are members of the workspace in `plugins/`.
    let neurons = if language == Language::Rust {
        &[]
    } else {
        NEURONS.as_slice()
    };
    neurons.iter().copied().chain([TEMPLATE])
}

/// Builds what is not up to date; tells of all of it.
pub(crate) fn build(root: &Path) -> Result<Vec<Component>, Failure> {
    let mut components = Vec::new();
    for language in Language::ALL {
        for name in names(language) {
            let folder = if name == TEMPLATE {
                from_template(root, language).context("writing a template's files")?
            } else {
                from_plugin(root, language, name).context("writing a plugin's files")?
            };
            let name = format!("{language}_{name}");
            let project = Project {
                language,
                name,
                folder,
            };
            components.push(project.bring_up_to_date(root)?);
        }
    }
    Ok(components)
}

/// A project as a person gets it, in a folder that keeps what was built.
fn from_template(root: &Path, language: Language) -> io::Result<PathBuf> {
    let folder = root.join("target/guests/new").join(language.name());
    let files = template(language, TEMPLATE).into_iter();
    let files = files.map(|file| (PathBuf::from(file.path), file.contents.into_bytes()));
    write(&folder, &files.collect())?;
    Ok(folder)
}

/// A plugin as a project of its own: here it links to what all share, and no
/// link out of a project is followed when it is built.
fn from_plugin(root: &Path, language: Language, name: &str) -> io::Result<PathBuf> {
    let plugin = root.join("plugins").join(language.name()).join(name);
    let mut files = BTreeMap::new();
    for path in sources(&plugin)? {
        let name = path.strip_prefix(&plugin).unwrap_or(&path);
        files.insert(name.to_path_buf(), fs::read(&path)?);
    }
    let folder = root.join("target/guests/plugins").join(language.name());
    let folder = folder.join(name);
    write(&folder, &files)?;
    Ok(folder)
}

/// Makes these the files of a folder. What is as it was keeps its time, by which
/// compilers go.
fn write(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    let present = match folder.is_dir() {
        true => sources(folder)?,
        false => Vec::new(),
    };
    for path in present {
        let name = path.strip_prefix(folder).unwrap_or(&path);
        if !files.contains_key(name) {
            fs::remove_file(path)?;
        }
    }
    for (name, contents) in files {
        let place = folder.join(name);
        if !fs::read(&place).is_ok_and(|present| present == *contents) {
            cache::replace(&place, contents)?;
        }
    }
    Ok(())
}

impl Project {
    fn bring_up_to_date(&self, root: &Path) -> Result<Component, Failure> {
        let place = root.join("target/guests/polyglot");
        let file = place.join(&self.name).with_extension("wasm");
        let key_file = file.with_extension("key");
        let key = self.key(root).context("reading a project's files")?;
        if !(file.is_file() && fs::read_to_string(&key_file).is_ok_and(|last| last == key)) {
            say(&format!("building {}", self.name));
            let start = Instant::now();
            let component =
                build_project(self.language, &self.folder, &say).map_err(|error| match error {
                    Error::Usage(_) | Error::Setup(_) => Failure::from(error),
                    other => Failure::Step(anyhow!("building {}: {other}", self.name)),
                })?;
            cache::replace(&file, &component).context("keeping what was built")?;
            fs::write(&key_file, key).context("keeping what was built")?;
            say(&format!(
                "{} built in {:.1} s",
                self.name,
                start.elapsed().as_secs_f64()
            ));
        }
        Ok(Component {
            name: self.name.clone(),
            hostile: false,
            file,
        })
    }

    /// A digest of the tools' names and of all that the component is built from
    /// and by.
    fn key(&self, root: &Path) -> io::Result<String> {
        let mut hash = Sha256::new();
        hash.update(key(self.language));
        for folder in [&self.folder, &root.join("toolchain/src")] {
            for path in sources(folder)? {
                let contents = fs::read(&path)?;
                let name = path.strip_prefix(folder).unwrap_or(&path);
                hash.update(name.as_os_str().as_encoded_bytes());
                hash.update([0]);
                hash.update(contents.len().to_le_bytes());
                hash.update(contents);
            }
        }
        let digest = hash.finalize();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// All files below a folder but those that tools leave there, in a fixed order.
/// Links are followed: plugins link to the SDKs.
fn sources(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default();
            if LEFT_BY_TOOLS.iter().any(|left| name == *left) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::env;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn components_of_other_languages_are_known_by_their_names() {
        assert!(is_one("python_ingester") && is_one("go_puppet") && is_one("rust_notes"));
        assert!(!is_one("ingester") && !is_one("rust_ingester") && !is_one("wasi_probe"));
    }

    #[test]
    fn a_plugin_is_built_as_a_project_without_links() {
        let root = env::temp_dir().join(format!("xtask-plugin-{}", std::process::id()));
        let plugin = root.join("plugins/c/puppet");
        fs::create_dir_all(&plugin).unwrap();
        fs::create_dir(root.join("plugins/c/sdk")).unwrap();
        fs::write(root.join("plugins/c/sdk/sdk.h"), "1").unwrap();
        fs::write(plugin.join("old.c"), "1").unwrap();
        symlink("../sdk", plugin.join("sdk")).unwrap();
        from_plugin(&root, Language::C, "puppet").unwrap();
        fs::rename(plugin.join("old.c"), plugin.join("new.c")).unwrap();
        let folder = from_plugin(&root, Language::C, "puppet").unwrap();
        let found = sources(&folder).unwrap();
        assert_eq!(found, ["new.c", "sdk/sdk.h"].map(|name| folder.join(name)));
        assert!(!folder.join("sdk").is_symlink());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_project_has_another_key_when_a_file_of_it_changes() {
        let work = env::temp_dir().join(format!("xtask-polyglot-{}", std::process::id()));
        let folder = work.join("plugin");
        fs::create_dir_all(folder.join("target")).unwrap();
        fs::create_dir_all(work.join("toolchain/src")).unwrap();
        let project = Project {
            language: Language::C,
            name: "c_plugin".to_owned(),
            folder: folder.clone(),
        };
        fs::write(folder.join("neuron.c"), "1").unwrap();
        let first = project.key(&work).unwrap();
        fs::write(folder.join("target/left.o"), "x").unwrap();
        assert_eq!(project.key(&work).unwrap(), first);
        fs::write(folder.join("neuron.c"), "2").unwrap();
        let second = project.key(&work).unwrap();
        assert_ne!(second, first);
        fs::write(work.join("toolchain/src/c.rs"), "").unwrap();
        assert_ne!(project.key(&work).unwrap(), second);
        fs::remove_dir_all(work).unwrap();
    }
}
