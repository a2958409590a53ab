//! Debian's package manager.

use std::process::Command;
use std::time::Duration;

use crate::process::ask;

/// Whether Debian's packages may be installed: that takes root's rights, by sudo
/// where we are somebody else, and changes the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apt {
    /// The caller was started to set this machine up.
    Use,
    /// Whoever builds a neuron has not asked for that.
    Refuse,
}

/// A slow line, and other programs that hold apt's lock.
pub const LIMIT: Duration = Duration::from_secs(1800);

/// `apt-get` as root, by sudo where we are somebody else.
pub fn apt_get(words: &[&str]) -> Command {
    let root = ask("id", &["-u"]).is_ok_and(|id| id == "0");
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
