//! The registry server that tests push to and pull from: Debian's
//! docker-registry, unpacked below `target/`.
//!
//! It is not installed: an installed one runs as a service, open to the
//! network. So it needs no root either, unless apt's lists are stale.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use soma_toolchain::apt::{self, apt_get};
use soma_toolchain::process::{Ended, captured};

use crate::Failure;
use crate::say::say;

const PACKAGE: &str = "docker-registry";
const UNPACK_LIMIT: Duration = Duration::from_secs(60);

/// Makes sure that the tests find the server: on `PATH`, or below
/// `target/registry`.
pub(crate) fn ensure(root: &Path) -> Result<(), Failure> {
    let search = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&search).any(|folder| folder.join(PACKAGE).is_file());
    let unpacked = root.join("target/registry");
    if installed || unpacked.join("usr/bin").join(PACKAGE).is_file() {
        return Ok(());
    }
    say(&format!(
        "getting Debian's {PACKAGE} for the tests (5 MB to download, 20 MB on disk)"
    ));
    get(&unpacked).map_err(|reason| {
        Failure::Setup(format!(
            "the tests need a registry server, and there is none: {reason}\n\
             what you can do, one of:\n\
             - on Debian 12 or later: sudo apt-get update\n\
             - put a `{PACKAGE}` of the version 2.8 on PATH\n\
             then start this command again"
        ))
    })
}

fn get(unpacked: &Path) -> Result<(), String> {
    let aside = unpacked.with_extension("new");
    let failed = |error: std::io::Error| format!("{}: {error}", aside.display());
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(failed)?;
    }
    fs::create_dir_all(&aside).map_err(failed)?;
    download(&aside)?;
    let package = package_in(&aside).map_err(failed)?;
    let package = package.ok_or("apt-get downloaded no package")?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("--extract").arg(&package).arg(&aside);
    told(captured(&mut unpack, UNPACK_LIMIT))?;
    fs::rename(&aside, unpacked).map_err(failed)
}

fn download(folder: &Path) -> Result<(), String> {
    let mut download = Command::new("apt-get");
    download.args(["download", PACKAGE]).current_dir(folder);
    let Err(first) = told(captured(&mut download, apt::LIMIT)) else {
        return Ok(());
    };
    // The lists may be missing, or older than what the servers have.
    let listed = told(captured(&mut apt_get(&["update"]), apt::LIMIT));
    let second = told(captured(&mut download, apt::LIMIT));
    second.map_err(|second| match listed {
        Ok(()) => second,
        Err(listed) => format!("{first}\n  then {listed}"),
    })
}

fn told(ended: Ended) -> Result<(), String> {
    match ended {
        Ended::Well(_) => Ok(()),
        Ended::Badly(reason) => Err(reason),
    }
}

fn package_in(folder: &Path) -> std::io::Result<Option<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let packages: Vec<_> = paths.collect::<Result<_, _>>()?;
    let is_package = |path: &PathBuf| path.extension().is_some_and(|end| end == "deb");
    Ok(packages.into_iter().find(is_package))
}
