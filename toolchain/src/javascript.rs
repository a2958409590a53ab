//! JavaScript neurons, by componentize-qjs: QuickJS and the modules,
//! initialised at build time and frozen into one component.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cache::{self, Scratch};
use crate::process::{Ended, ask, captured, compile, program};
use crate::project::Project;
use crate::{Error, Language, Say, world};

/// See [`crate::key`]; the tool's folder too.
pub(crate) const KEY: &str = "componentize-qjs-0.4.5";

/// What is installed, and the digest of each of its files.
const PACKAGE: &str = include_str!("npm/package.json");
const LOCK: &str = include_str!("npm/package-lock.json");

const SCRIPT: &str = "node_modules/componentize-qjs/bin/componentize-qjs";
const MODULE: &str = "neuron.js";
/// Stands before the author's module, and looks at what it exports: it runs at
/// build time, and without the right export no task could be done.
const ENTRY: &str = "soma-start.js";
const START: &str = r#"import * as module from "./neuron.js";

if (typeof module.handler?.handle !== "function") {
  throw new Error("neuron.js exports no `handler`: write `export const handler = neuron((task) => …)`");
}

export const handler = module.handler;
"#;
const OLDEST_NODE: u32 = 18;
const INSTALL_LIMIT: Duration = Duration::from_secs(600);
const LIMIT: Duration = Duration::from_secs(300);

pub(crate) fn ensure(say: Say<'_>) -> Result<(), Error> {
    let tool = tool(say).map_err(give_up)?;
    say(&format!(
        "javascript toolchain: {KEY} in {}",
        tool.display()
    ));
    Ok(())
}

pub(crate) fn build(project: &Project, say: Say<'_>) -> Result<Vec<u8>, Error> {
    project.require(MODULE, Language::JavaScript)?;
    let tool = tool(say).map_err(give_up)?;
    let work = Scratch::for_build().map_err(|error| Error::Build(error.to_string()))?;
    let [wit, app, output, empty] =
        ["wit", "app", "component.wasm", "empty"].map(|name| work.path().join(name));
    world::write(project, &wit)?;
    project.copy_source(&app)?;
    for (name, text) in [("soma-build.js", &*facts(project)), (ENTRY, START)] {
        fs::write(app.join(name), text).map_err(|error| Error::Build(error.to_string()))?;
    }
    fs::create_dir(&empty).map_err(|error| Error::Build(error.to_string()))?;

    let mut command = program("node", &empty);
    command.arg(tool.join(SCRIPT)).arg("--wit").arg(wit);
    command.args(["--world", world::NAME, "--sync", "--opt-size"]);
    command.arg("--js").arg(app.join(ENTRY));
    command.arg("--module-root").arg(&app);
    command.arg("--output").arg(&output);
    if !project.wasi() {
        command.arg("--stub-wasi");
    }
    say("building with componentize-qjs (about two seconds)");
    compile(&mut command, LIMIT).map_err(|reason| {
        let copies = format!("{}/", app.display());
        Error::Build(reason.replace(&copies, ""))
    })?;
    fs::read(&output).map_err(|error| Error::Build(error.to_string()))
}

/// A module that tells the SDK what it cannot find out before it runs.
fn facts(project: &Project) -> String {
    format!("export const WASI = {};\n", project.wasi())
}

fn tool(say: Say<'_>) -> Result<PathBuf, String> {
    node()?;
    if let Some(folder) = cache::installed(KEY)? {
        return Ok(folder);
    }
    ask("npm", &["--version"]).map_err(|reason| format!("no npm: {reason}"))?;
    say(&format!(
        "installing {KEY} with npm into a folder of its own: QuickJS for WebAssembly\n\
         (2 packages, 38 MB on disk; some seconds)"
    ));
    let start = Instant::now();
    let folder = cache::install(KEY, SCRIPT, |work| {
        fs::write(work.join("package.json"), PACKAGE)
            .and_then(|()| fs::write(work.join("package-lock.json"), LOCK))
            .map_err(|error| error.to_string())?;
        let mut install = program("npm", work);
        // What the lock file says and nothing else; no program of theirs is run.
        install.arg("ci").arg("--prefix").arg(work);
        install.args(["--no-audit", "--no-fund", "--ignore-scripts"]);
        match captured(&mut install, INSTALL_LIMIT) {
            Ended::Well(_) => Ok(()),
            Ended::Badly(reason) => Err(reason),
        }
    })?;
    say(&format!(
        "installed in {:.0} s: {}",
        start.elapsed().as_secs_f64(),
        folder.display()
    ));
    Ok(folder)
}

fn node() -> Result<(), String> {
    let version = ask("node", &["--version"]).map_err(|reason| format!("no Node.js: {reason}"))?;
    let major = version.trim_start_matches('v').split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= OLDEST_NODE => Ok(()),
        _ => Err(format!(
            "Node.js is {version}; {KEY} needs {OLDEST_NODE} or later"
        )),
    }
}

fn give_up(reason: String) -> Error {
    Error::no_toolchain(
        Language::JavaScript,
        "no componentize-qjs",
        &[("npm", reason)],
        &[
            format!(
                "install Node.js {OLDEST_NODE} or later with npm; \
                 on Debian and Ubuntu: sudo apt-get install nodejs npm"
            ),
            "build the component on a machine that can, and bring the file".to_owned(),
        ],
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_package_is_of_one_version_and_pinned_by_its_digest() {
        let lock: serde_json::Value = serde_json::from_str(LOCK).unwrap();
        let packages = lock["packages"].as_object().unwrap();
        for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
            let integrity = package["integrity"].as_str().unwrap();
            assert!(integrity.starts_with("sha512-"), "{name}");
            assert!(
                KEY.ends_with(package["version"].as_str().unwrap()),
                "{name}"
            );
        }
        let wanted: serde_json::Value = serde_json::from_str(PACKAGE).unwrap();
        assert_eq!(packages[""]["dependencies"], wanted["dependencies"]);
    }
}
