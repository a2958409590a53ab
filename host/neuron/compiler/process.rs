//! A process that is given limits, bytes to read and a time to end.

use std::{
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::process::ExitStatusExt,
    },
    path::Path,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ioctl_fionbio},
    process::{Pid, PidfdFlags, Resource, Rlimit, getrlimit, pidfd_open, prlimit},
};

use super::CompilerLimits;
use crate::clock::Stopwatch;

/// Threads of a process at most: each takes memory of its own.
const MAX_THREADS: usize = 4;

/// Bytes that are kept of what a process says on its standard error.
const MAX_STDERR: u64 = 8 << 10;

/// How a process ended.
pub(super) enum Ended {
    /// Its time ran out.
    OutOfTime,
    /// It gave more than was asked for.
    TooMuchSaid,
    /// By itself, or by a signal.
    ByItself(Exit),
}

/// What a process left behind.
pub(super) struct Exit {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// A process that does not outlive this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail on a process that has ended, and that is what is wanted.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Starts `program`, sends it `input` and waits for its end. Whatever happens,
/// the process has ended when this returns.
pub(super) fn run(
    program: &Path,
    arguments: &[String],
    input: &[u8],
    limits: &CompilerLimits,
) -> io::Result<Ended> {
    let watch = Stopwatch::start();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("RAYON_NUM_THREADS", threads.min(MAX_THREADS).to_string())
        // An arena takes 64 MiB of address space before it holds anything, and
        // there is one for each thread unless told otherwise.
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut running = Running(child);
    restrict(&running.0, limits)?;
    let mut talk = Talk::new(&mut running.0, input, limits.code_bytes)?;
    let exit = pidfd_open(Pid::from_child(&running.0), PidfdFlags::empty())?;
    loop {
        let Some(left) = limits.wall.checked_sub(watch.elapsed()) else {
            return Ok(Ended::OutOfTime);
        };
        // A span that is too long for the kernel is no bound.
        let has_ended = talk.go_on(exit.as_fd(), Timespec::try_from(left).ok().as_ref())?;
        if talk.is_too_much() {
            return Ok(Ended::TooMuchSaid);
        }
        if has_ended {
            break;
        }
    }
    let status = running.0.wait()?;
    Ok(Ended::ByItself(Exit {
        code: status.code(),
        signal: status.signal(),
        stdout: talk.stdout.said,
        stderr: talk.stderr.said,
    }))
}

/// Sets a process's limits from outside. Until it has been sent something it
/// has done nothing.
fn restrict(child: &Child, limits: &CompilerLimits) -> io::Result<()> {
    let cpu = limits.cpu_seconds();
    let bounds = [
        (Resource::As, limits.memory_bytes, limits.memory_bytes),
        // The lower one ends it by a signal that says why.
        (Resource::Cpu, cpu, cpu.saturating_add(1)),
        (Resource::Core, 0, 0),
        (Resource::Fsize, 0, 0),
    ];
    for (resource, current, maximum) in bounds {
        // A limit that this process has itself cannot be raised.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit {
            current: Some(current.min(most)),
            maximum: Some(maximum.min(most)),
        };
        prlimit(Some(Pid::from_child(child)), resource, limit)?;
    }
    Ok(())
}

/// What is sent to a process and what it says, none of which waits for the
/// other.
struct Talk<'a> {
    unsent: &'a [u8],
    stdin: Option<ChildStdin>,
    stdout: Ear<ChildStdout>,
    stderr: Ear<ChildStderr>,
    most: u64,
    buffer: Vec<u8>,
}

impl<'a> Talk<'a> {
    fn new(child: &mut Child, input: &'a [u8], most: u64) -> io::Result<Self> {
        let stdin = child.stdin.take();
        if let Some(pipe) = &stdin {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self {
            unsent: input,
            stdin,
            stdout: Ear::new(child.stdout.take(), most.saturating_add(1))?,
            stderr: Ear::new(child.stderr.take(), MAX_STDERR)?,
            most,
            buffer: vec![0; 64 << 10],
        })
    }

    /// Waits until something can be sent or heard, and does that. Whether the
    /// process has ended, and all that it said was heard.
    fn go_on(&mut self, exit: BorrowedFd<'_>, timeout: Option<&Timespec>) -> io::Result<bool> {
        let has_ended = self.wait(exit, timeout)?;
        self.send()?;
        self.stderr.listen(&mut self.buffer)?;
        while self.stdout.listen(&mut self.buffer)? && has_ended && !self.is_too_much() {}
        Ok(has_ended)
    }

    fn wait(&self, exit: BorrowedFd<'_>, timeout: Option<&Timespec>) -> io::Result<bool> {
        let exit = PollFd::from_borrowed_fd(exit, PollFlags::IN);
        let stdin = self
            .stdin
            .iter()
            .map(|pipe| PollFd::new(pipe, PollFlags::OUT));
        let stdout = self
            .stdout
            .pipe
            .iter()
            .map(|pipe| PollFd::new(pipe, PollFlags::IN));
        let stderr = self
            .stderr
            .pipe
            .iter()
            .map(|pipe| PollFd::new(pipe, PollFlags::IN));
        let mut all: Vec<_> = [exit]
            .into_iter()
            .chain(stdin)
            .chain(stdout)
            .chain(stderr)
            .collect();
        match poll(&mut all, timeout) {
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(all.first().is_some_and(|exit| !exit.revents().is_empty())),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(pipe) = &mut self.stdin else {
            return Ok(());
        };
        match pipe.write(self.unsent) {
            Ok(sent) => self.unsent = self.unsent.get(sent..).unwrap_or_default(),
            Err(error) if is_for_later(&error) => return Ok(()),
            // It reads no more; its end says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.unsent = &[],
            Err(error) => return Err(error),
        }
        if self.unsent.is_empty() {
            self.stdin = None;
        }
        Ok(())
    }

    fn is_too_much(&self) -> bool {
        self.stdout.said.len() as u64 > self.most
    }
}

/// One of a process's outputs.
struct Ear<R> {
    pipe: Option<R>,
    said: Vec<u8>,
    /// Bytes of it that are kept.
    most: u64,
}

impl<R: Read + AsFd> Ear<R> {
    fn new(pipe: Option<R>, most: u64) -> io::Result<Self> {
        if let Some(pipe) = &pipe {
            ioctl_fionbio(pipe, true)?;
        }
        Ok(Self {
            pipe,
            said: Vec::new(),
            most,
        })
    }

    /// Reads what is there. Whether something was.
    fn listen(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(pipe) = &mut self.pipe else {
            return Ok(false);
        };
        let heard = match pipe.read(buffer) {
            Ok(heard) => heard,
            Err(error) if is_for_later(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        if heard == 0 {
            self.pipe = None;
        }
        let room = self.most.saturating_sub(self.said.len() as u64);
        let kept = heard.min(usize::try_from(room).unwrap_or(usize::MAX));
        self.said
            .extend_from_slice(buffer.get(..kept).unwrap_or_default());
        Ok(heard > 0)
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
