//! Tools that come as Python packages: pip installs each into a folder of its
//! own, so nothing of the user's Python changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Say;
use crate::cache::{self, Scratch};
use crate::process::{Ended, ask, captured, program};

const INSTALL_LIMIT: Duration = Duration::from_secs(1800);

/// Python's own modules and those of its installation, and no others: not those
/// of the current folder, of `PYTHONPATH` or of the user's own folder.
pub(crate) const ISOLATED: &str = "-I";

/// A pinned package.
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// The sha256 of each file of that version that may be installed. Whatever
    /// the index or a mirror of it gives instead is refused.
    pub(crate) files: &'static [&'static str],
    /// A file that it cannot do without.
    pub(crate) holds: &'static str,
    /// What it is and what it costs, for whoever waits for it.
    pub(crate) about: &'static str,
}

impl Package {
    /// Installs it where it is missing.
    pub(crate) fn ensure(&self, say: Say<'_>) -> Result<PathBuf, String> {
        if let Some(folder) = cache::installed(&self.folder_name())? {
            return Ok(folder);
        }
        let pip = pip()?;
        say(&format!(
            "installing {} {} with pip into a folder of its own: {}",
            self.name, self.version, self.about
        ));
        let start = Instant::now();
        let aside = Scratch::for_build().map_err(|error| error.to_string())?;
        let wanted = aside.path().join("requirements.txt");
        fs::write(&wanted, self.requirement()).map_err(|error| error.to_string())?;
        let folder = cache::install(&self.folder_name(), self.holds, |work| {
            let mut install = program(&pip, aside.path());
            install.args([ISOLATED, "-m", "pip", "install", "--no-input", "--no-deps"]);
            install.args(["--only-binary", ":all:", "--no-warn-script-location"]);
            install.arg("--target").arg(work);
            install
                .args(["--require-hashes", "--requirement"])
                .arg(&wanted);
            // The user's own settings for pip, but those that contradict a folder.
            install
                .env("PIP_USER", "0")
                .env("PIP_REQUIRE_VIRTUALENV", "0")
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
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

    /// As pip reads it.
    fn requirement(&self) -> String {
        let hashes = self
            .files
            .iter()
            .map(|hash| format!(" --hash=sha256:{hash}"));
        format!(
            "{}=={}{}\n",
            self.name,
            self.version,
            hashes.collect::<String>()
        )
    }

    fn folder_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// A Python that has pip.
fn pip() -> Result<PathBuf, String> {
    let python = python()?;
    ask(&python, &[ISOLATED, "-m", "pip", "--version"])
        .map_err(|reason| format!("Python has no pip: {reason}"))?;
    Ok(python)
}

/// The Python on `PATH`.
pub(crate) fn python() -> Result<PathBuf, String> {
    ask("python3", &["--version"])
        .map(|_| Path::new("python3").to_path_buf())
        .map_err(|reason| format!("no Python 3: {reason}"))
}

/// How a person gets what [`Package::ensure`] needs.
pub(crate) const ADVICE: &str =
    "install Python 3 with pip; on Debian and Ubuntu: sudo apt-get install python3 python3-pip";
