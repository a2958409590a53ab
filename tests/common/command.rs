//! The `soma` command: running it, and reading what it wrote.

use std::{
    env, fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::LazyLock,
};

use expect_test::Expect;
use serde_json::Value;

/// One call of the command, and how it ended.
pub struct Run {
    pub exit: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A file or folder that the tests may write to.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Compiled code of this run of this test binary only: what an earlier build
/// left would be told of in a log line.
static CACHE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = scratch(concat!("cache-of-", env!("CARGO_CRATE_NAME")));
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
        _ => folder,
    }
});

/// The cache folder of the commands of this test binary.
pub fn cache_home() -> &'static Path {
    &CACHE
}

/// A folder of its own, empty.
pub fn scratch_folder(name: &str) -> PathBuf {
    let folder = scratch(name);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
        _ => fs::create_dir_all(&folder).unwrap(),
    }
    folder
}

/// The command without words, in an environment that says nothing to it.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_soma"));
    command
        .env("XDG_CACHE_HOME", &*CACHE)
        .env_remove("SOMA_LOG")
        .env_remove("SOMA_NEURONS")
        .env_remove("COLUMNS")
        .stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn end(command: &mut Command) -> Run {
    Run::of(command.output().unwrap())
}

/// Runs it to its end, with this on its standard input.
pub fn told(command: &mut Command, input: &str) -> Run {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    Run::of(child.wait_with_output().unwrap())
}

impl Run {
    fn of(output: Output) -> Self {
        Self {
            exit: output.status.code().expect("ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Compares exit code and both streams; what differs from run to run is
    /// masked.
    pub fn is(&self, expected: &Expect) {
        let Self {
            exit,
            stdout,
            stderr,
        } = self;
        let all = format!("exit {exit}\n--- stdout\n{stdout}--- stderr\n{stderr}");
        expected.assert_eq(&masked(&all));
    }

    /// It ended with this code, wrote no result and said why.
    pub fn refuses(&self, exit: i32, expected: &Expect) {
        assert_eq!(
            (self.exit, self.stdout.as_str()),
            (exit, ""),
            "{}",
            self.stderr
        );
        expected.assert_eq(&masked(&self.stderr));
    }

    /// What it wrote as one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Figures, ids and this machine's folders are replaced by their names.
pub fn masked(text: &str) -> String {
    let figures = [
        "fuel  ",
        "peak memory  ",
        "wall time  ",
        "CPU time  ",
        "host calls  ",
    ];
    let mut masked = String::new();
    for line in text.lines().map(str::trim_end) {
        match figures.iter().find(|figure| line.starts_with(*figure)) {
            Some(figure) => masked.push_str(&format!("{}: ..", figure.trim_end())),
            None => {
                let words = line.split(' ').map(|word| {
                    if word.starts_with("eng_") || word.starts_with("trace=trc_") {
                        let (kind, _) = word.split_once('_').unwrap();
                        format!("{kind}_..")
                    } else {
                        word.to_owned()
                    }
                });
                masked.push_str(&words.collect::<Vec<_>>().join(" "));
            }
        }
        masked.push('\n');
    }
    masked
        .replace(env!("CARGO_TARGET_TMPDIR"), "TMP")
        .replace(env!("CARGO_MANIFEST_DIR"), "REPOSITORY")
}
