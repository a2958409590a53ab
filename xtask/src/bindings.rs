//! The contract's bindings that are kept with the SDKs, generated from `wit/`.
//!
//! Authors and the project's own builds then need no generator: it costs more
//! to build than all else that a neuron is built with. A test of
//! `soma-toolchain` fails when `wit/` has changed since they were generated.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use soma_toolchain::process::{self, Ended, captured};
use soma_toolchain::{cache, contract_digest, gofmt};

use crate::Failure;
use crate::say::say;

const GENERATOR: &str = "wit-bindgen-cli";
const VERSION: &str = "0.61.1";
/// In the folder that cargo installs it in.
const PROGRAM: &str = "bin/wit-bindgen";
const INSTALL_LIMIT: Duration = Duration::from_secs(3600);
const LIMIT: Duration = Duration::from_secs(60);

/// The world with everything in it: what a neuron does not call, its linker
/// drops.
const WORLD: &str = "orchestrator";

/// Generates the bindings of Rust, C and Go anew.
pub(crate) fn generate(root: &Path) -> Result<(), Failure> {
    let generator = generator()?;
    let work = root.join("target/bindings");
    if work.exists() {
        fs::remove_dir_all(&work).context("emptying target/bindings")?;
    }
    rust(root, &generator, &work.join("rust"))?;
    c(root, &generator, &work.join("c"))?;
    go(root, &generator, &work.join("go"))?;
    let digest = format!("{}\n", contract_digest());
    replace(&root.join("plugins/contract.sha256"), digest.as_bytes())?;
    say(
        "generated: plugins/sdk/src/bindings, plugins/c/sdk/contract.{c,h}, plugins/go/sdk/contract",
    );
    Ok(())
}

/// The pinned generator, installed where it is missing.
fn generator() -> anyhow::Result<PathBuf> {
    let folder = cache::install_once(&format!("{GENERATOR}-{VERSION}"), PROGRAM, |folder| {
        say(&format!(
            "installing {GENERATOR} {VERSION} with cargo into a folder of its own (some minutes)"
        ));
        let mut cargo = process::cargo(folder);
        cargo.args(["install", GENERATOR, "--version", VERSION, "--locked"]);
        cargo.args(["--no-default-features", "--features", "c,go,rust"]);
        cargo.arg("--root").arg(folder);
        told(captured(&mut cargo, INSTALL_LIMIT))
    });
    let folder = folder.map_err(|reason| anyhow!("{GENERATOR}: {reason}"))?;
    Ok(folder.join(PROGRAM))
}

fn run(
    generator: &Path,
    root: &Path,
    language: &str,
    more: &[&str],
    to: &Path,
) -> anyhow::Result<()> {
    let mut command = Command::new(generator);
    command.arg(language).arg(root.join("wit"));
    command.args(["--world", WORLD]).args(more);
    command.arg("--out-dir").arg(to);
    told(captured(&mut command, LIMIT)).map_err(|reason| anyhow!(reason))
}

fn told(ended: Ended) -> Result<(), String> {
    match ended {
        Ended::Well(_) => Ok(()),
        Ended::Badly(reason) => Err(reason),
    }
}

fn rust(root: &Path, generator: &Path, work: &Path) -> anyhow::Result<()> {
    let more = [
        "--pub-export-macro",
        "--default-bindings-module",
        "soma_neuron::bindings",
    ];
    run(generator, root, "rust", &more, work)?;
    let text = fs::read(work.join(WORLD).with_extension("rs")).context("the bindings for Rust")?;
    replace(&root.join("plugins/sdk/src/bindings/generated.rs"), &text)
}

fn c(root: &Path, generator: &Path, work: &Path) -> anyhow::Result<()> {
    // Whoever wraps the module puts the types into it; no object file is kept.
    let more = ["--rename-world", "contract", "--no-object-file"];
    run(generator, root, "c", &more, work)?;
    for name in ["contract.c", "contract.h"] {
        let text = fs::read(work.join(name)).with_context(|| name.to_owned())?;
        replace(&root.join("plugins/c/sdk").join(name), &text)?;
    }
    Ok(())
}

fn go(root: &Path, generator: &Path, work: &Path) -> anyhow::Result<()> {
    run(
        generator,
        root,
        "go",
        &["--pkg-name", "soma/contract", "--format=false"],
        work,
    )?;
    let place = root.join("plugins/go/sdk/contract");
    for package in fs::read_dir(work).context("the bindings for Go")? {
        let package = package?.path();
        let name = package.file_name().unwrap_or_default();
        for file in fs::read_dir(&package)? {
            let file = file?.path();
            let text = fs::read_to_string(&file)?;
            // The module that holds options, results and memory is the SDK's.
            let text = text.replace("go.bytecodealliance.org/pkg/wit/", "soma/wit/");
            let to = place.join(name).join(file.file_name().unwrap_or_default());
            replace(&to, text.as_bytes())?;
        }
    }
    let gofmt = gofmt(&say).map_err(|error| anyhow!("{error}"))?;
    let mut format = Command::new(gofmt);
    match captured(format.arg("-w").arg(place), LIMIT) {
        Ended::Well(_) => Ok(()),
        Ended::Badly(reason) => bail!(reason),
    }
}

fn replace(place: &Path, contents: &[u8]) -> anyhow::Result<()> {
    cache::replace(place, contents).with_context(|| place.display().to_string())
}
