//! Which Rust builds the guests, found or set up.
//!
//! Two ways: rustup's own target, or Debian's second rustc with a standard
//! library built from its sources (`sysroot`). The linker of both is
//! `wasm-component-ld`, which rustup's toolchains carry: what it writes is a
//! component already.

mod cargo;
mod sysroot;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Error, Language, Say};
use crate::apt::{self, Apt, apt_get};
use crate::process::{Ended, answer, ask, captured, program};
use crate::project::Project;

pub use cargo::{Artifact, artifacts};

/// The target that guests are built for.
pub const TARGET: &str = "wasm32-unknown-unknown";

const FORCE: &str = "SOMA_GUEST_TOOLCHAIN";
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// A Rust that builds guests.
pub struct Toolchain {
    /// Folder name for build outputs; differs wherever the standard library
    /// does, because cargo does not notice such a change.
    pub name: String,
    /// The compiler, where it is not the one that cargo finds by itself.
    rustc: Option<PathBuf>,
    /// Compiler flags for guest code.
    flags: Vec<String>,
    /// `PATH` with the linkers in front.
    path: OsString,
}

/// Finds the toolchain for guests in `folder`, which may name its own compiler
/// as any cargo package may; sets one up where there is none.
///
/// # Errors
///
/// [`Error::Setup`] says what was tried and what a person can do;
/// [`Error::Usage`] that `SOMA_GUEST_TOOLCHAIN` names no way.
pub fn ensure(folder: &Path, apt: Apt, say: Say<'_>) -> Result<Toolchain, Error> {
    let host = Host::find(folder).map_err(Error::Setup)?;
    let forced = env::var(FORCE).ok().filter(|way| !way.is_empty());
    let tried = match forced.as_deref() {
        None => either(&host, apt, say),
        Some("rustup") => rustup(&host, say).map_err(|reason| vec![("rustup", reason)]),
        Some("debian") => debian(&host, apt, say).map_err(|reason| vec![("debian", reason)]),
        Some(other) => {
            return Err(Error::Usage(format!(
                "{FORCE} is `{other}`: it can be rustup or debian"
            )));
        }
    };
    tried.map_err(|reasons| give_up(&reasons))
}

/// Builds a cargo package; its outputs lie in its own `target`.
pub(crate) fn build(project: &Project, say: Say<'_>) -> Result<Vec<u8>, Error> {
    project.require("Cargo.toml", Language::Rust)?;
    let toolchain = ensure(&project.folder, Apt::Refuse, say)?;
    let mut cargo = toolchain.cargo_build(&project.folder, &project.folder.join("target"));
    // The SDK logs panics, where the manifest asks for the log.
    if !project.interfaces().contains(&"log") {
        cargo.env("SOMA_NEURON_LOG", "off");
    }
    let artifacts = artifacts(cargo.arg("--lib")).map_err(Error::Build)?;
    cargo::only(&artifacts).map_err(Error::Build)
}

/// What is ready already comes first, then what costs least to set up.
fn either(host: &Host, apt: Apt, say: Say<'_>) -> Result<Toolchain, Vec<(&'static str, String)>> {
    let ready = || packages_missing().is_empty() && host.linker().is_ok();
    if !host.has_target()
        && ready()
        && let Some(toolchain) = sysroot::cached()
            .ok()
            .flatten()
            .and_then(|ready| host.with_sysroot(ready, say))
    {
        return Ok(toolchain);
    }
    rustup(host, say).or_else(|first| {
        say(&format!("rustup's way did not work: {first}"));
        debian(host, apt, say).map_err(|second| vec![("rustup", first), ("debian", second)])
    })
}

fn rustup(host: &Host, say: Say<'_>) -> Result<Toolchain, String> {
    let tools = host.linker()?;
    if !host.has_target() {
        let limit = RUSTUP_LIMIT.as_secs();
        say(&format!(
            "neurons need Rust's standard library for {TARGET}, which this toolchain lacks;\n\
             asking rustup to add it (some seconds, at most {limit} s)"
        ));
        let start = Instant::now();
        let mut add = program("rustup", &host.folder);
        match captured(add.args(["target", "add", TARGET]), RUSTUP_LIMIT) {
            Ended::Well(_) => say(&format!("added in {:.0} s", start.elapsed().as_secs_f64())),
            Ended::Badly(reason) => return Err(reason),
        }
        if !host.has_target() {
            return Err(format!(
                "rustup added the target to another toolchain than the one at {}",
                host.sysroot.display()
            ));
        }
    }
    say(&format!("guest toolchain: rustup's own, {TARGET}"));
    Ok(Toolchain {
        name: "rustup".to_owned(),
        rustc: None,
        flags: linker_flags(&tools),
        path: path_with(&tools),
    })
}

fn debian(host: &Host, apt: Apt, say: Say<'_>) -> Result<Toolchain, String> {
    host.linker()?;
    let missing = packages_missing();
    match (missing.as_slice(), apt) {
        ([], _) => {}
        (missing, Apt::Use) => install(missing, say)?,
        (missing, Apt::Refuse) => {
            return Err(format!(
                "Debian's {} {} not installed",
                missing.join(" and "),
                if missing.len() == 1 { "is" } else { "are" }
            ));
        }
    }
    let ready = match sysroot::cached()? {
        Some(ready) => ready,
        None => sysroot::build(say)?,
    };
    host.with_sysroot(ready, say)
        .ok_or_else(|| "the linker is gone".to_owned())
}

fn packages_missing() -> Vec<&'static str> {
    let installed = |package: &&str| {
        let query = ["--show", "--showformat=${db:Status-Status}", package];
        ask("dpkg-query", &query).is_ok_and(|status| status == "installed")
    };
    PACKAGES
        .into_iter()
        .filter(|package| !installed(package))
        .collect()
}

fn install(packages: &[&str], say: Say<'_>) -> Result<(), String> {
    say(&format!(
        "installing Debian's {} with apt-get: a second Rust compiler that stays beside yours\n\
         (about 140 MB to download, 780 MB on disk; half a minute to some minutes)",
        packages.join(" and ")
    ));
    let start = Instant::now();
    // A stale or partly unreachable package list may still name what is needed.
    let listed = captured(&mut apt_get(&["update"]), apt::LIMIT);
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(packages);
    match (captured(&mut apt_get(&words), apt::LIMIT), listed) {
        (Ended::Well(_), _) => {
            say(&format!(
                "installed in {:.0} s",
                start.elapsed().as_secs_f64()
            ));
            Ok(())
        }
        (Ended::Badly(reason), Ended::Well(_)) => Err(reason),
        (Ended::Badly(reason), Ended::Badly(before)) => Err(format!("{before}\n  then {reason}")),
    }
}

/// The Rust toolchain that runs in a folder.
struct Host {
    folder: PathBuf,
    sysroot: PathBuf,
    triple: String,
}

impl Host {
    fn find(folder: &Path) -> Result<Self, String> {
        let rustc = |words: &[&str]| {
            answer(program("rustc", folder).args(words)).map_err(|reason| {
                format!(
                    "no working Rust compiler: {reason}\n\
                     install Rust 1.95 or later from https://rustup.rs, then start this command again"
                )
            })
        };
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?);
        let version = rustc(&["-vV"])?;
        let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
        let triple = triple
            .ok_or("`rustc -vV` does not name its host")?
            .to_owned();
        Ok(Self {
            folder: folder.to_path_buf(),
            sysroot,
            triple,
        })
    }

    fn has_target(&self) -> bool {
        sysroot::has_std(&self.sysroot)
    }

    /// The folder of `wasm-component-ld`.
    fn linker(&self) -> Result<PathBuf, String> {
        let own = self
            .sysroot
            .join("lib/rustlib")
            .join(&self.triple)
            .join("bin");
        let search = env::var_os("PATH").unwrap_or_default();
        let program = format!("wasm-component-ld{}", env::consts::EXE_SUFFIX);
        std::iter::once(own.clone())
            .chain(env::split_paths(&search))
            .find(|folder| folder.join(&program).is_file())
            .ok_or_else(|| {
                format!(
                    "the linker wasm-component-ld is neither in {} nor on PATH; \
                     rustup's toolchains carry it from 1.82 on",
                    own.display()
                )
            })
    }

    fn with_sysroot(&self, ready: sysroot::Sysroot, say: Say<'_>) -> Option<Toolchain> {
        let tools = self.linker().ok()?;
        say(&format!(
            "guest toolchain: Debian's rustc with the standard library in {}",
            ready.path.display()
        ));
        let mut flags = vec!["--sysroot".to_owned(), ready.path.display().to_string()];
        flags.extend(linker_flags(&tools));
        Some(Toolchain {
            name: format!("debian-{}", ready.key),
            rustc: Some(ready.rustc),
            flags,
            path: path_with(&tools),
        })
    }
}

fn linker_flags(tools: &Path) -> Vec<String> {
    vec![format!(
        "-Clinker={}",
        tools.join("wasm-component-ld").display()
    )]
}

/// `wasm-component-ld` looks for `wasm-ld` on `PATH`.
fn path_with(tools: &Path) -> OsString {
    let old = env::var_os("PATH").unwrap_or_default();
    let folders = [tools.to_path_buf(), tools.join("gcc-ld")];
    env::join_paths(folders.into_iter().chain(env::split_paths(&old))).unwrap_or(old)
}

fn give_up(reasons: &[(&str, String)]) -> Error {
    Error::no_toolchain(
        Language::Rust,
        &format!("no standard library for {TARGET}"),
        reasons,
        &[
            format!("with rustup and its server in reach: rustup target add {TARGET}"),
            format!(
                "on Debian 12 or later: sudo apt-get install --no-install-recommends {}",
                PACKAGES.join(" ")
            ),
            "build the component on a machine that can, and bring the file".to_owned(),
        ],
    )
}
