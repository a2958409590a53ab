//! Builds the guest workspace and copies its components to `target/neurons`.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::Failure;
use crate::process::{self, say};
use crate::toolchain::{TARGET, Toolchain};

/// The package whose examples misbehave on purpose.
const HOSTILE: &str = "hostile";

/// A component that cargo built.
struct Component {
    name: String,
    hostile: bool,
    file: PathBuf,
}

/// Builds every guest component; afterwards `target/neurons` holds exactly
/// those.
pub(crate) fn build(root: &Path, toolchain: &Toolchain) -> Result<(), Failure> {
    let start = Instant::now();
    let target = root.join("target/guests").join(&toolchain.name);
    if !target.is_dir() {
        say("building the neurons (about two minutes the first time, then seconds)");
    }
    let components = compile(root, &target, toolchain)?;
    let neurons = root.join("target/neurons");
    let changed = publish(&components, &neurons).context("copying the components")?;
    say(&format!(
        "neurons: {} in {}, {changed} changed, {:.1} s",
        components.len(),
        shown(root, &neurons),
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Cargo says itself what it built: no list of neurons is kept anywhere.
fn compile(root: &Path, target: &Path, toolchain: &Toolchain) -> anyhow::Result<Vec<Component>> {
    let mut cargo = process::cargo(&root.join("plugins"));
    cargo.args([
        "build",
        "--release",
        "--workspace",
        "--lib",
        "--examples",
        "--locked",
    ]);
    cargo.args([
        "--target",
        TARGET,
        "--message-format=json-render-diagnostics",
    ]);
    cargo.arg("--target-dir").arg(target);
    cargo.env("PATH", &toolchain.path);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(toolchain).join("\u{1f}"));
    if let Some(rustc) = &toolchain.rustc {
        // The libraries of the toolchain that runs this program are not its own.
        cargo
            .env("RUSTC", rustc)
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("RUSTC_WRAPPER");
    }
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo")?;
    let mut components = Vec::new();
    if let Some(messages) = child.stdout.take() {
        for line in BufReader::new(messages).lines() {
            components.extend(component(&line.context("reading what cargo says")?));
        }
    }
    let status = child.wait().context("waiting for cargo")?;
    if !status.success() {
        bail!("building the neurons ended with {status}");
    }
    Ok(components)
}

/// Paths in panic messages are the same on every machine.
fn flags(toolchain: &Toolchain) -> Vec<String> {
    let mut flags = toolchain.flags.clone();
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

/// The component that one of cargo's messages tells of, if it does.
fn component(message: &str) -> Option<Component> {
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
    Some(Component {
        name: target.get("name")?.as_str()?.replace('-', "_"),
        hostile: package == HOSTILE && is("kind", "example"),
        file: PathBuf::from(file),
    })
}

/// Brings the folder up to date and says how many files changed. A file that
/// is in use is replaced, never written into.
fn publish(components: &[Component], neurons: &Path) -> io::Result<usize> {
    let folders = [neurons.to_path_buf(), neurons.join(HOSTILE)];
    let mut stale = Vec::new();
    for folder in &folders {
        fs::create_dir_all(folder)?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
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
        let fresh = place.with_extension(format!("new-{}", std::process::id()));
        fs::write(&fresh, &built)?;
        fs::rename(&fresh, &place)?;
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

    use super::*;

    fn artifact(package: &str, kind: &str, crate_type: &str, file: &str) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "manifest_path": format!("/p/{package}/Cargo.toml"),
            "target": {"name": "late_writer", "kind": [kind], "crate_types": [crate_type]},
            "filenames": [file],
        })
        .to_string()
    }

    #[test]
    fn only_examples_of_the_hostile_package_are_hostile() {
        let hostile = component(&artifact(HOSTILE, "example", "cdylib", "/t/l.wasm")).unwrap();
        assert!(hostile.hostile && hostile.name == "late_writer");
        let other = component(&artifact("sdk", "example", "cdylib", "/t/l.wasm")).unwrap();
        assert!(!other.hostile);
    }

    #[test]
    fn messages_about_libraries_and_other_things_name_no_component() {
        assert!(component(&artifact("sdk", "lib", "lib", "/t/libsdk.rlib")).is_none());
        assert!(component("{\"reason\":\"build-finished\",\"success\":true}").is_none());
        assert!(component("no json").is_none());
    }

    #[test]
    fn the_folder_holds_exactly_what_was_built() {
        let work = env::temp_dir().join(format!("xtask-publish-{}", std::process::id()));
        let neurons = work.join("neurons");
        fs::create_dir_all(neurons.join(HOSTILE)).unwrap();
        fs::write(work.join("built.wasm"), "new").unwrap();
        fs::write(neurons.join("gone.wasm"), "old").unwrap();
        let built = |name: &str, hostile| Component {
            name: name.to_owned(),
            hostile,
            file: work.join("built.wasm"),
        };
        let components = [built("kept", false), built("spin", true)];
        assert_eq!(publish(&components, &neurons).unwrap(), 3);
        assert_eq!(publish(&components, &neurons).unwrap(), 0);
        assert_eq!(fs::read(neurons.join("kept.wasm")).unwrap(), b"new");
        assert!(neurons.join("hostile/spin.wasm").is_file());
        assert!(!neurons.join("gone.wasm").exists());
        fs::remove_dir_all(work).unwrap();
    }
}
