//! A standard library for guests, built once from Debian's Rust sources.
//!
//! Debian's `rustc-web` comes without a WebAssembly standard library but its
//! sources are packaged. Cargo can build them; the result is kept in a cache
//! folder named after everything that it depends on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::TARGET;
use crate::process::{self, Ended, ask, captured};
use crate::{Say, cache};

/// Counts the changes of how the library is built; a change makes a new one.
const RECIPE: &str = "1";
const RUSTC: &str = "/usr/bin/rustc";
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

const SEED_MANIFEST: &str = r#"[package]
name = "sysroot-seed"
version = "0.0.0"
edition = "2021"

[profile.release]
opt-level = "s"
codegen-units = 1
debug = false
panic = "abort"

[workspace]
"#;

/// A finished standard library.
pub(crate) struct Sysroot {
    /// To be given to the compiler as `--sysroot`.
    pub(crate) path: PathBuf,
    /// The compiler that it was built by; no other can use it.
    pub(crate) rustc: PathBuf,
    /// Names this library among all others.
    pub(crate) key: String,
}

/// The library for the installed compiler, if it was built before.
pub(crate) fn cached() -> Result<Option<Sysroot>, String> {
    let key = key()?;
    let path = cache::installed(&folder_name(&key))?;
    Ok(path.map(|path| finished(path, key)))
}

/// Whether a compiler with this sysroot has the standard library for guests.
pub(super) fn has_std(sysroot: &Path) -> bool {
    fs::read_dir(sysroot.join(library())).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
    })
}

/// Where the files of the standard library lie in a sysroot.
fn library() -> String {
    format!("lib/rustlib/{TARGET}/lib")
}

/// Builds the library and puts it in the cache, whole or not at all.
pub(crate) fn build(say: Say<'_>) -> Result<Sysroot, String> {
    let key = key()?;
    say("building Rust's standard library for guests from Debian's sources (once, about a minute)");
    let start = Instant::now();
    let path = cache::install(&folder_name(&key), &library(), |finished| {
        let work = cache::Scratch::for_build()
            .map_err(|error| format!("a folder to build in: {error}"))?;
        seed(work.path()).map_err(|error| format!("seed: {error}"))?;
        compile(work.path(), Path::new(RUSTC))?;
        collect(work.path(), finished)
            .map_err(|error| format!("the standard library's files: {error}"))?;
        if has_std(finished) {
            Ok(())
        } else {
            Err("the standard library's files: `std` is not among them".to_owned())
        }
    })?;
    say(&format!("built in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(finished(path, key))
}

fn finished(path: PathBuf, key: String) -> Sysroot {
    Sysroot {
        path,
        rustc: PathBuf::from(RUSTC),
        key,
    }
}

fn folder_name(key: &str) -> String {
    format!("sysroot-{key}")
}

fn key() -> Result<String, String> {
    let version = ask(RUSTC, &["-vV"])?;
    let mut hash = Sha256::new();
    for part in [version.as_str(), TARGET, RECIPE] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    Ok(digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn seed(work: &Path) -> io::Result<()> {
    fs::create_dir_all(work.join("seed/src"))?;
    fs::write(work.join("seed/Cargo.toml"), SEED_MANIFEST)?;
    fs::write(work.join("seed/src/lib.rs"), "#![no_std]\n")
}

/// `RUSTC_BOOTSTRAP` lets this one build use `-Zbuild-std`; guests then need
/// no unstable flag. The bitcode lets them link with LTO.
fn compile(work: &Path, rustc: &Path) -> Result<(), String> {
    let mut cargo = process::cargo(&work.join("seed"));
    cargo.args([
        "build",
        "--release",
        "-Zbuild-std=std,panic_abort",
        "--target",
        TARGET,
    ]);
    cargo.arg("--target-dir").arg(work.join("target"));
    cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    cargo.env("CARGO_ENCODED_RUSTFLAGS", "-Cembed-bitcode=yes");
    cargo
        .env_remove("LD_LIBRARY_PATH")
        .env_remove("RUSTC_WRAPPER");
    match captured(&mut cargo, BUILD_LIMIT) {
        Ended::Well(_) => Ok(()),
        Ended::Badly(reason) => Err(reason),
    }
}

fn collect(work: &Path, finished: &Path) -> io::Result<()> {
    let library = finished.join(library());
    fs::create_dir_all(&library)?;
    let built = work.join("target").join(TARGET).join("release/deps");
    for entry in fs::read_dir(built)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default();
        let wanted = file
            .extension()
            .is_some_and(|extension| extension == "rlib")
            && !name.to_string_lossy().starts_with("libsysroot_seed");
        if wanted {
            fs::copy(&file, library.join(name))?;
        }
    }
    Ok(())
}
