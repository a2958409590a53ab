//! The `soma` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    soma::cli::main()
}
