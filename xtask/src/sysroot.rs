//! A standard library for guests, built once from Debian's Rust sources.
//!
//! Debian's `rustc-web` comes without a WebAssembly standard library but its
//! sources are packaged. Cargo can build them; the result is kept in a cache
//! folder named after everything that it depends on.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::process::{self, Ended, captured, say};
use crate::toolchain::TARGET;

/// Counts the changes of how the library is built; a change makes a new one.
const RECIPE: &str = "1";
const RUSTC: &str = "/usr/bin/rustc";
const QUERY_LIMIT: Duration = Duration::from_secs(30);
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
pub(crate) fn cached() -> Option<Sysroot> {
    let wanted = wanted().ok()?;
    wanted.path.is_dir().then_some(wanted)
}

/// Builds the library and puts it in the cache, whole or not at all.
pub(crate) fn build() -> Result<Sysroot, String> {
    let wanted = wanted()?;
    say("building Rust's standard library for guests from Debian's sources (once, about a minute)");
    let start = Instant::now();
    let told = |what: &str, error: io::Error| format!("{what}: {error}");
    let cache = wanted
        .path
        .parent()
        .ok_or("the cache folder has no parent")?;
    let work = cache.join(format!(".building-{}-{}", wanted.key, std::process::id()));
    let _removed_at_the_end = Scratch(work.clone());
    fs::create_dir_all(work.join("seed/src")).map_err(|error| told("cache folder", error))?;
    fs::write(work.join("seed/Cargo.toml"), SEED_MANIFEST).map_err(|error| told("seed", error))?;
    fs::write(work.join("seed/src/lib.rs"), "#![no_std]\n").map_err(|error| told("seed", error))?;
    compile(&work, &wanted.rustc)?;
    let finished = work.join("sysroot");
    collect(&work, &finished).map_err(|error| told("the standard library's files", error))?;
    match fs::rename(&finished, &wanted.path) {
        Ok(()) => {}
        // Another run finished first; its library is as good.
        Err(_) if wanted.path.is_dir() => {}
        Err(error) => return Err(told(&wanted.path.display().to_string(), error)),
    }
    say(&format!("built in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(wanted)
}

fn wanted() -> Result<Sysroot, String> {
    let version = match captured(Command::new(RUSTC).arg("-vV"), QUERY_LIMIT) {
        Ended::Well(version) => version,
        Ended::Badly(reason) => return Err(reason),
    };
    let mut hash = Sha256::new();
    for part in [version.as_str(), TARGET, RECIPE] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let key: String = hash
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = cache_folder()?.join(format!("sysroot-{key}"));
    Ok(Sysroot {
        path,
        rustc: PathBuf::from(RUSTC),
        key,
    })
}

fn cache_folder() -> Result<PathBuf, String> {
    let set = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("soma"))
        .ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where to keep files".to_owned())
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
    let library = finished.join("lib/rustlib").join(TARGET).join("lib");
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

/// A working folder that goes away with its owner.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is only space in a cache folder.
        drop(fs::remove_dir_all(&self.0));
    }
}
