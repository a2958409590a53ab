//! Cargo as the builder of guests.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{TARGET, Toolchain};
use crate::process;

/// A component that cargo built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The cargo target's name, with `_` for `-`.
    pub name: String,
    /// Name of the folder that the package lies in.
    pub package: String,
    /// Whether it is one of the package's examples.
    pub example: bool,
    /// The component file.
    pub file: PathBuf,
}

impl Toolchain {
    /// `cargo build` of guests in `directory`, to be given what else it needs;
    /// what it writes lies in `target`, in a folder named after this toolchain.
    pub fn cargo_build(&self, directory: &Path, target: &Path) -> Command {
        let mut cargo = process::cargo(directory);
        cargo.args(["build", "--release", "--target", TARGET]);
        cargo.arg("--message-format=json-render-diagnostics");
        cargo.arg("--target-dir").arg(target.join(&self.name));
        cargo.env("PATH", &self.path);
        cargo.env("CARGO_ENCODED_RUSTFLAGS", self.all_flags().join("\u{1f}"));
        if let Some(rustc) = &self.rustc {
            // The libraries of the toolchain that runs this program are not its own.
            cargo
                .env("RUSTC", rustc)
                .env_remove("LD_LIBRARY_PATH")
                .env_remove("RUSTC_WRAPPER");
        }
        cargo
    }

    /// Paths in panic messages are the same on every machine.
    fn all_flags(&self) -> Vec<String> {
        let mut flags = self.flags.clone();
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
        if let Some(home) = home {
            flags.push(format!(
                "--remap-path-prefix={}=crates",
                home.join("registry/src").display()
            ));
        }
        flags
    }
}

/// Runs a build and tells which components came of it: cargo says itself what
/// it built. Its diagnostics go to stderr.
///
/// # Errors
///
/// Says that cargo could not be started or ended badly.
pub fn artifacts(cargo: &mut Command) -> Result<Vec<Artifact>, String> {
    let told = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| told("cargo could not be started", error))?;
    let mut artifacts = Vec::new();
    if let Some(messages) = child.stdout.take() {
        for line in BufReader::new(messages).lines() {
            let line = line.map_err(|error| told("what cargo says cannot be read", error))?;
            artifacts.extend(artifact(&line));
        }
    }
    let status = child
        .wait()
        .map_err(|error| told("cargo could not be awaited", error))?;
    if status.success() {
        Ok(artifacts)
    } else {
        Err(format!("`cargo build` ended with {status}"))
    }
}

/// The component that one of cargo's messages tells of, if it does.
fn artifact(message: &str) -> Option<Artifact> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message.get("reason")? != "compiler-artifact" {
        return None;
    }
    let target = message.get("target")?;
    let is = |key: &str, wanted: &str| {
        let values = target.get(key).and_then(Value::as_array);
        values.is_some_and(|values| values.iter().any(|value| value == wanted))
    };
    if !is("crate_types", "cdylib") {
        return None;
    }
    let mut files = message
        .get("filenames")?
        .as_array()?
        .iter()
        .filter_map(Value::as_str);
    let file = files.find(|file| file.ends_with(".wasm"))?;
    let package = Path::new(message.get("manifest_path")?.as_str()?)
        .parent()?
        .file_name()?;
    Some(Artifact {
        name: target.get("name")?.as_str()?.replace('-', "_"),
        package: package.to_str()?.to_owned(),
        example: is("kind", "example"),
        file: PathBuf::from(file),
    })
}

/// The bytes of the one component among these.
pub(super) fn only(artifacts: &[Artifact]) -> Result<Vec<u8>, String> {
    let names = || {
        let names = artifacts.iter().map(|artifact| artifact.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    match artifacts {
        [one] => fs::read(&one.file).map_err(|error| format!("{}: {error}", one.file.display())),
        [] => Err("the package makes no component; \
                   a neuron's Cargo.toml says `crate-type = [\"cdylib\"]` under [lib]"
            .to_owned()),
        _ => Err(format!(
            "the package makes several components ({}); a project is one neuron",
            names()
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn message(package: &str, kind: &str, crate_type: &str, file: &str) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "manifest_path": format!("/p/{package}/Cargo.toml"),
            "target": {"name": "late-writer", "kind": [kind], "crate_types": [crate_type]},
            "filenames": [file],
        })
        .to_string()
    }

    #[test]
    fn a_component_is_told_with_its_package_and_kind() {
        let found = artifact(&message("hostile", "example", "cdylib", "/t/l.wasm")).unwrap();
        assert_eq!(
            found,
            Artifact {
                name: "late_writer".to_owned(),
                package: "hostile".to_owned(),
                example: true,
                file: PathBuf::from("/t/l.wasm"),
            }
        );
    }

    #[test]
    fn messages_about_libraries_and_other_things_name_no_component() {
        assert!(artifact(&message("sdk", "lib", "lib", "/t/libsdk.rlib")).is_none());
        assert!(artifact("{\"reason\":\"build-finished\",\"success\":true}").is_none());
        assert!(artifact("no json").is_none());
    }

    #[test]
    fn a_project_without_a_component_or_with_several_is_refused_in_words() {
        let named = |name: &str| Artifact {
            name: name.to_owned(),
            package: String::new(),
            example: false,
            file: PathBuf::new(),
        };
        assert_eq!(
            only(&[]).unwrap_err(),
            "the package makes no component; a neuron's Cargo.toml says \
             `crate-type = [\"cdylib\"]` under [lib]"
        );
        assert_eq!(
            only(&[named("a"), named("b")]).unwrap_err(),
            "the package makes several components (a, b); a project is one neuron"
        );
    }
}
