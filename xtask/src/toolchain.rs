//! Which Rust builds the guests, found or set up.
//!
//! Two ways: rustup's own target, or Debian's second rustc with a standard
//! library built from its sources (`sysroot`). The linker of both is
//! `wasm-component-ld`, which rustup's toolchains carry: what it writes is a
//! component already.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::process::{Ended, captured, say};
use crate::sysroot;

/// The target that guests are built for.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const FORCE: &str = "SOMA_GUEST_TOOLCHAIN";
const QUERY_LIMIT: Duration = Duration::from_secs(30);
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);
/// A slow line, and other programs that hold apt's lock.
pub(crate) const APT_LIMIT: Duration = Duration::from_secs(1800);
const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];

/// Everything that a guest build needs to know about its toolchain.
pub(crate) struct Toolchain {
    /// Folder name for build outputs; differs wherever the standard library
    /// does, because cargo does not notice such a change.
    pub(crate) name: String,
    /// The compiler, where it is not the one that cargo finds by itself.
    pub(crate) rustc: Option<PathBuf>,
    /// Compiler flags for guest code.
    pub(crate) flags: Vec<String>,
    /// `PATH` with the linkers in front.
    pub(crate) path: OsString,
}

/// Finds a guest toolchain, sets one up where there is none.
pub(crate) fn ensure() -> Result<Toolchain, Failure> {
    let host = Host::find().map_err(Failure::Setup)?;
    let forced = env::var(FORCE).ok().filter(|way| !way.is_empty());
    let tried = match forced.as_deref() {
        None => either(&host),
        Some("rustup") => rustup(&host).map_err(|reason| vec![("rustup", reason)]),
        Some("debian") => debian(&host).map_err(|reason| vec![("debian", reason)]),
        Some(other) => {
            return Err(Failure::Usage(format!(
                "{FORCE} is `{other}`: it can be rustup or debian"
            )));
        }
    };
    tried.map_err(|reasons| Failure::Setup(give_up(&reasons)))
}

/// What is ready already comes first, then what costs least to set up.
fn either(host: &Host) -> Result<Toolchain, Vec<(&'static str, String)>> {
    let ready = || packages_missing().is_empty() && host.linker().is_ok();
    if !host.has_target()
        && ready()
        && let Some(toolchain) = sysroot::cached().and_then(|ready| host.with_sysroot(ready))
    {
        return Ok(toolchain);
    }
    rustup(host).or_else(|first| {
        say(&format!("rustup's way did not work: {first}"));
        debian(host).map_err(|second| vec![("rustup", first), ("debian", second)])
    })
}

fn rustup(host: &Host) -> Result<Toolchain, String> {
    let tools = host.linker()?;
    if !host.has_target() {
        let limit = RUSTUP_LIMIT.as_secs();
        say(&format!(
            "neurons need Rust's standard library for {TARGET}, which this toolchain lacks;\n\
             asking rustup to add it (some seconds, at most {limit} s)"
        ));
        let start = Instant::now();
        match captured(
            Command::new("rustup").args(["target", "add", TARGET]),
            RUSTUP_LIMIT,
        ) {
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

fn debian(host: &Host) -> Result<Toolchain, String> {
    host.linker()?;
    let missing = packages_missing();
    if !missing.is_empty() {
        install(&missing)?;
    }
    let ready = match sysroot::cached() {
        Some(ready) => ready,
        None => sysroot::build()?,
    };
    host.with_sysroot(ready)
        .ok_or_else(|| "the linker is gone".to_owned())
}

fn packages_missing() -> Vec<&'static str> {
    let installed = |package: &&str| {
        let mut query = Command::new("dpkg-query");
        query.args(["--show", "--showformat=${db:Status-Status}", package]);
        matches!(captured(&mut query, QUERY_LIMIT), Ended::Well(status) if status == "installed")
    };
    PACKAGES
        .into_iter()
        .filter(|package| !installed(package))
        .collect()
}

fn install(packages: &[&str]) -> Result<(), String> {
    say(&format!(
        "installing Debian's {} with apt-get: a second Rust compiler that stays beside yours\n\
         (about 140 MB to download, 780 MB on disk; half a minute to some minutes)",
        packages.join(" and ")
    ));
    let start = Instant::now();
    // A stale or partly unreachable package list may still name what is needed.
    let listed = captured(&mut apt_get(&["update"]), APT_LIMIT);
    let mut words = vec!["install", "--yes", "--no-install-recommends"];
    words.extend(packages);
    match (captured(&mut apt_get(&words), APT_LIMIT), listed) {
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

/// `apt-get` as root, by sudo where we are somebody else.
pub(crate) fn apt_get(words: &[&str]) -> Command {
    let root = matches!(
        captured(Command::new("id").arg("-u"), QUERY_LIMIT),
        Ended::Well(id) if id.trim() == "0"
    );
    let mut command = if root {
        Command::new("env")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "env"]);
        sudo
    };
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]);
    command.args(words);
    command
}

/// The Rust toolchain that runs this program.
struct Host {
    sysroot: PathBuf,
    triple: String,
}

impl Host {
    fn find() -> Result<Self, String> {
        let ask = |word: &str| match captured(Command::new("rustc").arg(word), QUERY_LIMIT) {
            Ended::Well(text) => Ok(text),
            Ended::Badly(reason) => Err(format!("no working Rust compiler: {reason}")),
        };
        let sysroot = match captured(
            Command::new("rustc").args(["--print", "sysroot"]),
            QUERY_LIMIT,
        ) {
            Ended::Well(text) => PathBuf::from(text.trim()),
            Ended::Badly(reason) => return Err(format!("no working Rust compiler: {reason}")),
        };
        let version = ask("-vV")?;
        let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
        let triple = triple
            .ok_or("`rustc -vV` does not name its host")?
            .to_owned();
        Ok(Self { sysroot, triple })
    }

    fn has_target(&self) -> bool {
        let library = self.sysroot.join("lib/rustlib").join(TARGET).join("lib");
        fs::read_dir(library).is_ok_and(|entries| {
            entries
                .flatten()
                .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
        })
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

    fn with_sysroot(&self, ready: sysroot::Sysroot) -> Option<Toolchain> {
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

fn give_up(reasons: &[(&str, String)]) -> String {
    let mut text = format!("this machine cannot build guests: no standard library for {TARGET}\n");
    for (way, reason) in reasons {
        text.push_str(&format!("tried the way `{way}`: {reason}\n"));
    }
    text.push_str(&format!(
        "what you can do, one of:\n\
         - with rustup and its server in reach: rustup target add {TARGET}\n\
         - on Debian 12 or later: sudo apt-get install --no-install-recommends {}\n\
         - copy target/neurons/ from a machine that could build it, and use cargo directly\n\
         then start this command again",
        PACKAGES.join(" ")
    ));
    text
}
