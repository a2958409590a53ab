//! Builds the guest components and copies them to `target/neurons`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use soma_toolchain::apt::Apt;
use soma_toolchain::rust::{Artifact, artifacts, ensure};

use crate::Failure;
use crate::say::say;
use crate::{packed, polyglot};

/// The package whose examples misbehave on purpose.
const HOSTILE: &str = "hostile";

/// A component that was built.
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) hostile: bool,
    pub(crate) file: PathBuf,
}

impl From<Artifact> for Component {
    fn from(artifact: Artifact) -> Self {
        Self {
            name: artifact.name,
            hostile: artifact.package == HOSTILE && artifact.example,
            file: artifact.file,
        }
    }
}

/// Which components are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those in Rust; others stay as they are.
    Rust,
    /// Those in every language.
    All,
}

/// Builds the wanted components; afterwards `target/neurons` holds exactly
/// those, and what is left of other languages where only Rust is wanted.
pub(crate) fn build(root: &Path, wanted: Wanted) -> Result<(), Failure> {
    let start = Instant::now();
    let mut components = rust(root)?;
    if wanted == Wanted::All {
        components.extend(polyglot::build(root)?);
    }
    let neurons = root.join("target/neurons");
    let kept = |name: &str| wanted == Wanted::Rust && polyglot::is_one(name);
    let changed = publish(&components, &neurons, &kept).context("copying the components")?;
    say(&format!(
        "neurons: {} in {}, {changed} changed, {:.1} s",
        components.len(),
        shown(root, &neurons),
        start.elapsed().as_secs_f64()
    ));
    match wanted {
        Wanted::Rust => Ok(()),
        Wanted::All => packed::build(root),
    }
}

/// The members of `plugins/`. Cargo says itself what it built: no list of them
/// is kept anywhere.
fn rust(root: &Path) -> Result<Vec<Component>, Failure> {
    let plugins = root.join("plugins");
    let toolchain = ensure(&plugins, Apt::Use, &say)?;
    let target = root.join("target/guests");
    if !target.join(&toolchain.name).is_dir() {
        say("building the neurons (about two minutes the first time, then seconds)");
    }
    let mut cargo = toolchain.cargo_build(&plugins, &target);
    cargo.args(["--workspace", "--lib", "--examples", "--locked"]);
    let built = artifacts(&mut cargo).map_err(|error| anyhow!("building the neurons: {error}"))?;
    Ok(built.into_iter().map(Component::from).collect())
}

/// Brings the folder up to date and says how many files changed. A file that
/// is in use is replaced, never written into.
fn publish(
    components: &[Component],
    neurons: &Path,
    kept: &dyn Fn(&str) -> bool,
) -> io::Result<usize> {
    let folders = [neurons.to_path_buf(), neurons.join(HOSTILE)];
    let mut stale = Vec::new();
    for folder in &folders {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            if path.extension().is_some_and(|end| end == "wasm") && !kept(&name) {
                stale.push(path);
            }
        }
    }
    let mut changed = 0;
    for component in components {
        let [ordinary, hostile] = &folders;
        let folder = if component.hostile { hostile } else { ordinary };
        let place = folder.join(&component.name).with_extension("wasm");
        stale.retain(|path| *path != place);
        let built = fs::read(&component.file)?;
        if fs::read(&place).is_ok_and(|present| present == built) {
            continue;
        }
        soma_toolchain::cache::replace(&place, &built)?;
        changed += 1;
    }
    for path in stale {
        fs::remove_file(path)?;
        changed += 1;
    }
    Ok(changed)
}

fn shown(root: &Path, path: &Path) -> String {
    path.strip_prefix(root)
        .unwrap_or(path)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::env;

    use super::*;

    #[test]
    fn only_examples_of_the_hostile_package_are_hostile() {
        let built = |package: &str, example| {
            Component::from(Artifact {
                name: "late_writer".to_owned(),
                package: package.to_owned(),
                example,
                file: PathBuf::new(),
            })
        };
        assert!(built(HOSTILE, true).hostile);
        assert!(!built(HOSTILE, false).hostile);
        assert!(!built("sdk", true).hostile);
    }

    #[test]
    fn the_folder_holds_exactly_what_was_built_and_what_is_to_be_kept() {
        let work = env::temp_dir().join(format!("xtask-publish-{}", std::process::id()));
        let neurons = work.join("neurons");
        fs::create_dir_all(neurons.join(HOSTILE)).unwrap();
        fs::write(work.join("built.wasm"), "new").unwrap();
        fs::write(neurons.join("gone.wasm"), "old").unwrap();
        fs::write(neurons.join("go_puppet.wasm"), "old").unwrap();
        let built = |name: &str, hostile| Component {
            name: name.to_owned(),
            hostile,
            file: work.join("built.wasm"),
        };
        let components = [built("kept", false), built("spin", true)];
        let other = |name: &str| name == "go_puppet";
        assert_eq!(publish(&components, &neurons, &other).unwrap(), 3);
        assert_eq!(publish(&components, &neurons, &other).unwrap(), 0);
        assert_eq!(fs::read(neurons.join("kept.wasm")).unwrap(), b"new");
        assert!(neurons.join("hostile/spin.wasm").is_file());
        assert!(!neurons.join("gone.wasm").exists());
        assert!(neurons.join("go_puppet.wasm").is_file());
        assert_eq!(publish(&components, &neurons, &|_| false).unwrap(), 1);
        fs::remove_dir_all(work).unwrap();
    }
}
