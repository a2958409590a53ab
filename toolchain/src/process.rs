//! Starting other programs: captured with a time limit, or cargo as it is.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cache::Scratch;

/// Enough for a question that a program answers without work.
const QUERY_LIMIT: Duration = Duration::from_secs(30);

/// What a program that has ended may still have to say: another one that it
/// left behind could hold its pipes for ever.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How many of a failed program's last lines a message repeats.
const LAST_LINES: usize = 12;

/// The same for a compiler, whose first error counts most.
const LAST_LINES_OF_A_COMPILER: usize = 400;

/// The cargo that started this program, run in `directory`.
///
/// Variables that cargo sets for the programs it runs are taken away, so that
/// the inner build is the one that a person would get at the shell.
pub fn cargo(directory: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_")
                || matches!(
                    name,
                    "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "OUT_DIR"
                )
        });
        if own {
            command.env_remove(name);
        }
    }
    command
}

/// A helper program that is started in `folder`. Many take settings and even
/// code from the folder that they are started in: a stranger's project is given
/// only to those that have to be there.
pub(crate) fn program(name: impl AsRef<OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(name);
    command.current_dir(folder);
    // An empty `PATH` would mean that folder, an absent one the system's own.
    let search = std::env::var_os("PATH").and_then(|path| absolute(&path));
    match search {
        Some(path) => command.env("PATH", path),
        None => command.env_remove("PATH"),
    };
    command
}

/// A search path without the places that depend on the folder one is in.
fn absolute(path: &OsStr) -> Option<OsString> {
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let path = std::env::join_paths(folders).ok()?;
    (!path.is_empty()).then_some(path)
}

/// What a captured program did.
pub enum Ended {
    /// Status 0; its standard output and error, interleaved.
    Well(String),
    /// Any other end, told in a few lines.
    Badly(String),
}

/// Runs a program without input, for at most `limit`, and keeps what it says;
/// of one that fails the last dozen lines.
pub fn captured(command: &mut Command, limit: Duration) -> Ended {
    run(command, limit, LAST_LINES)
}

/// As [`captured`], for a compiler: why it failed may take some pages, and its
/// long command line helps nobody.
pub(crate) fn compile(command: &mut Command, limit: Duration) -> Result<String, String> {
    let whole = line_of(command);
    let name = Path::new(command.get_program()).file_name();
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    match run(command, limit, LAST_LINES_OF_A_COMPILER) {
        Ended::Well(text) => Ok(text),
        Ended::Badly(reason) => Err(reason.replacen(&whole, &name, 1)),
    }
}

/// What a program that answers at once says to these arguments, in an empty
/// folder.
pub(crate) fn ask(name: impl AsRef<OsStr>, arguments: &[&str]) -> Result<String, String> {
    let empty = Scratch::for_build().map_err(|error| error.to_string())?;
    answer(program(name, empty.path()).args(arguments))
}

/// What a program says that answers at once.
pub(crate) fn answer(command: &mut Command) -> Result<String, String> {
    match captured(command, QUERY_LIMIT) {
        Ended::Well(text) => Ok(text.trim().to_owned()),
        Ended::Badly(reason) => Err(reason),
    }
}

fn run(command: &mut Command, limit: Duration, lines: usize) -> Ended {
    let name = line_of(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // The last lines of a failure should be its message.
        .env_remove("RUST_BACKTRACE");
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::Badly(format!("`{name}` could not be started: {error}")),
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let (reading, has_read) = mpsc::channel::<()>();
    if let Some(pipe) = child.stdout.take() {
        collect(pipe, Arc::clone(&said), reading.clone());
    }
    if let Some(pipe) = child.stderr.take() {
        collect(pipe, Arc::clone(&said), reading.clone());
    }
    drop(reading);
    let start = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if start.elapsed() < limit => thread::sleep(Duration::from_millis(10)),
            Ok(None) => {
                end_with_all(Pid::from_child(&child));
                let killed = child.wait();
                let end = killed.map_or_else(|error| error.to_string(), |_| "was ended".to_owned());
                let text = text_of(&said);
                return Ended::Badly(format!(
                    "`{name}` took longer than {} s and {end}{}",
                    limit.as_secs(),
                    last_lines(&text, lines)
                ));
            }
            Err(error) => return Ended::Badly(format!("`{name}` could not be awaited: {error}")),
        }
    };
    // Ends when both are at their ends: nothing is ever sent.
    let _ = has_read.recv_timeout(LAST_WORDS);
    let text = text_of(&said);
    if status.success() {
        Ended::Well(text)
    } else {
        Ended::Badly(format!(
            "`{name}` ended with {status}{}",
            last_lines(&text, lines)
        ))
    }
}

/// Keeps what a program says until its end; `reading` is let go of then.
fn collect(
    mut pipe: impl Read + Send + 'static,
    said: Arc<Mutex<Vec<u8>>>,
    reading: mpsc::Sender<()>,
) {
    thread::spawn(move || {
        let mut chunk = [0_u8; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut chunk) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.extend(chunk.iter().take(count));
        }
        drop(reading);
    });
}

/// Ends a program and those that it has started, which all stand still first,
/// so that none of them starts another.
fn end_with_all(program: Pid) {
    // One that has ended meanwhile is nobody's by now.
    let _ = kill_process(program, Signal::STOP);
    children(program).into_iter().for_each(end_with_all);
    let _ = kill_process(program, Signal::KILL);
}

fn children(program: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{program}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let lists =
        threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids = lists.flat_map(|list| {
        let ids = list.split_whitespace().filter_map(|id| id.parse().ok());
        ids.collect::<Vec<i32>>()
    });
    ids.filter_map(Pid::from_raw).collect()
}

fn text_of(said: &Mutex<Vec<u8>>) -> String {
    let bytes = said.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines.is_empty() {
        return " and said nothing".to_owned();
    }
    let first = lines.len().saturating_sub(most);
    let mut told = String::from("; its last lines:");
    for line in lines.iter().skip(first) {
        told.push_str("\n    ");
        told.push_str(line);
    }
    told
}

/// The command line as a person would type it.
fn line_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn shell(script: &str, limit: Duration) -> Ended {
        captured(Command::new("sh").args(["-c", script]), limit)
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_what_it_said_is_told() {
        match shell("echo working; exec sleep 600", Duration::from_secs(1)) {
            Ended::Badly(reason) => assert!(
                reason.contains("took longer than 1 s") && reason.contains("working"),
                "{reason}"
            ),
            Ended::Well(text) => panic!("it ended well: {text}"),
        }
    }

    #[test]
    fn what_a_program_that_hangs_has_started_is_ended_with_it() {
        let Ended::Badly(reason) = shell(
            "sh -c 'echo $$; sleep 600; true' & wait",
            Duration::from_secs(1),
        ) else {
            panic!("it ended well");
        };
        let inner = reason.lines().last().unwrap_or_default().trim();
        // Gone, or dead and not yet fetched by whoever inherited it. Who was
        // killed takes a moment to die on a busy machine.
        let lives = || {
            let stat = fs::read_to_string(format!("/proc/{inner}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        let watch = Instant::now();
        while lives() && watch.elapsed() < Duration::from_secs(60) {
            std::thread::yield_now();
        }
        assert!(!lives(), "{reason}");
    }

    #[test]
    fn one_that_a_program_leaves_behind_is_not_waited_for() {
        let watch = Instant::now();
        let ended = shell("echo done; sleep 60 &", Duration::from_secs(30));
        assert!(matches!(ended, Ended::Well(text) if text == "done\n"));
        assert!(watch.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_program_that_fails_is_told_with_its_last_lines() {
        match shell("seq 100 >&2; exit 3", Duration::from_secs(60)) {
            Ended::Badly(reason) => assert!(
                reason.contains("100") && !reason.contains("50") && reason.contains("status: 3"),
                "{reason}"
            ),
            Ended::Well(text) => panic!("it ended well: {text}"),
        }
    }

    #[test]
    fn a_helper_is_not_looked_for_in_the_folder_that_it_is_started_in() {
        let kept = |path: &str| absolute(OsStr::new(path));
        assert_eq!(kept(".:/usr/bin::bin:/bin"), Some("/usr/bin:/bin".into()));
        assert_eq!(kept(":.:bin"), None);
        assert_eq!(kept(""), None);
    }

    #[test]
    fn a_question_is_asked_in_an_empty_folder() {
        let said = ask("sh", &["-c", "pwd; ls -A"]).unwrap_or_default();
        let here = std::env::current_dir().unwrap_or_default();
        assert!(said.starts_with('/') && !said.contains('\n'), "{said}");
        assert_ne!(Path::new(&said), here);
    }

    #[test]
    fn a_program_that_does_not_exist_is_told_by_name() {
        let ended = captured(&mut Command::new("no-such-program"), Duration::from_secs(1));
        assert!(matches!(ended, Ended::Badly(reason) if reason.contains("no-such-program")));
    }
}
