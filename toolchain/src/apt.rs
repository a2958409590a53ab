//! Debian's package manager.

use std::process::Command;
use std::time::Duration;

use crate::process::ask;

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
