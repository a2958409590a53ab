//! Compilation: in this process, or in one of its own that is limited and
//! killed.
//!
//! A compiler that has begun cannot be cancelled, and a small hostile component
//! can cost it gigabytes and minutes. A process bounds both. It is held to its
//! limits before it is sent the first byte, and of what it answers only its end
//! and the machine code count: the words that it leaves behind choose the words
//! of a refusal, nothing else.

mod process;

use std::{
    fs,
    io::{self, Read, Write},
    os::fd::RawFd,
    path::PathBuf,
    time::Duration,
};

use rustix::process::{Signal, set_parent_process_death_signal};
use wasmtime::Engine;

use self::process::Ended;
use super::{
    LoadError,
    engine::{self, Metering, Settings},
};
use crate::package::{Extent, quantity::Bytes};

/// Where components are compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, where nothing bounds the time and memory that a hostile
    /// component costs beyond the check of its structure, and a fault of the
    /// compiler is the host's.
    #[default]
    InProcess,
    /// In a process for each component, one at a time.
    Subprocess {
        /// A `soma` program of this host's own version. It is trusted: what it
        /// gives back is run.
        program: PathBuf,
        /// What each process may use.
        limits: CompilerLimits,
    },
}

/// What the compilation of one component may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompilerLimits {
    /// Bytes of address space.
    pub memory_bytes: u64,
    /// CPU time of all its threads together, in whole seconds, of which it has
    /// one at least.
    pub cpu: Duration,
    /// Time from its start to its end.
    pub wall: Duration,
    /// Bytes of machine code.
    pub code_bytes: u64,
}

impl CompilerLimits {
    /// The system counts in whole seconds, and zero would be no limit at all.
    fn cpu_seconds(&self) -> u64 {
        self.cpu.as_secs().max(1)
    }
}

impl Default for CompilerLimits {
    /// 2 GiB, 180 s of CPU time within 600 s, 512 MiB of machine code: several
    /// times what the interpreters of Python and JavaScript take.
    fn default() -> Self {
        Self {
            memory_bytes: 2 << 30,
            cpu: Duration::from_secs(180),
            wall: Duration::from_secs(600),
            code_bytes: 512 << 20,
        }
    }
}

/// Why a component was not compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// There is no compiler.
    #[error("the compiler process `{program}` cannot be had: {source}")]
    Start {
        /// As configured.
        program: String,
        /// Cause.
        source: io::Error,
    },
    /// See [`CompilerLimits::memory_bytes`].
    #[error(
        "compiling it takes more than {} of memory; raise the compiler's memory limit \
         if the component is legitimate", Bytes(*limit)
    )]
    Memory {
        /// The bound.
        limit: u64,
    },
    /// See [`CompilerLimits::cpu`].
    #[error(
        "compiling it takes more than {limit:?} of CPU time; raise the compiler's CPU limit \
         if the component is legitimate"
    )]
    Cpu {
        /// The bound.
        limit: Duration,
    },
    /// See [`CompilerLimits::wall`].
    #[error(
        "compiling it takes longer than {limit:?}; raise the compiler's time limit \
         if the component is legitimate"
    )]
    Wall {
        /// The bound.
        limit: Duration,
    },
    /// See [`CompilerLimits::code_bytes`].
    #[error("it compiles to more than {} of machine code", Bytes(*limit))]
    Code {
        /// The bound.
        limit: u64,
    },
    /// The compiler ended before its time.
    #[error("the compiler process {0}")]
    Crashed(String),
    /// What it gave back is no machine code for this engine.
    #[error(
        "the compiler process `{program}` gives no machine code for this host's engine; \
         name the `soma` program of the host's own version"
    )]
    Foreign {
        /// As configured.
        program: String,
    },
}

/// The verb of `soma` that is a compiler process, and its option.
pub(crate) const VERB: &str = "compile-component";
pub(crate) const METERING: &str = "metering";

/// How the compiler process ends when it finds the component invalid.
pub(crate) const INVALID: u8 = 3;

impl Compiler {
    /// Machine code of a component whose structure was checked, for an engine
    /// with these settings. Blocks.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        settings: &Settings,
        metering: Metering,
        wasm: &[u8],
    ) -> Result<Vec<u8>, LoadError> {
        let (program, limits) = match self {
            Self::InProcess => return precompile(engine, wasm).map_err(LoadError::Invalid),
            Self::Subprocess { program, limits } => (program, limits),
        };
        let ended = process::run(program, &arguments(metering), wasm, limits);
        let program = program.display().to_string();
        let mut answer = match ended {
            Ok(ended) => answer_of(ended, limits)?,
            Err(source) => return Err(CompileError::Start { program, source }.into()),
        };
        if !answer.starts_with(settings.name().as_bytes()) {
            return Err(CompileError::Foreign { program }.into());
        }
        answer.drain(..Settings::LENGTH);
        Ok(answer)
    }
}

fn precompile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, String> {
    let code = engine.precompile_component(wasm);
    code.map_err(|error| format!("{error:#}"))
}

fn arguments(metering: Metering) -> [String; 3] {
    [
        VERB.to_owned(),
        format!("--{METERING}"),
        metering.name().to_owned(),
    ]
}

/// What the process answered, or why there is no answer.
fn answer_of(ended: Ended, limits: &CompilerLimits) -> Result<Vec<u8>, LoadError> {
    let exit = match ended {
        Ended::OutOfTime => return Err(CompileError::Wall { limit: limits.wall }.into()),
        Ended::TooMuchSaid => {
            let limit = limits.code_bytes;
            return Err(CompileError::Code { limit }.into());
        }
        Ended::ByItself(exit) => exit,
    };
    let text = line(&exit.stderr);
    if exit.code == Some(0) {
        return Ok(exit.stdout);
    }
    if exit.signal == Some(Signal::XCPU.as_raw()) {
        let limit = Duration::from_secs(limits.cpu_seconds());
        return Err(CompileError::Cpu { limit }.into());
    }
    // Words about an invalid component may quote it: only their end is the
    // system's.
    let is_invalid = exit.code == Some(INVALID.into());
    let out_of_memory = if is_invalid {
        text.ends_with(NO_MEMORY)
    } else {
        OUT_OF_MEMORY.iter().any(|hint| text.contains(hint))
    };
    if out_of_memory {
        let limit = limits.memory_bytes;
        return Err(CompileError::Memory { limit }.into());
    }
    if is_invalid {
        return Err(LoadError::Invalid(words(&text)));
    }
    let how = match (exit.code, exit.signal) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end".to_owned(),
    };
    let how = if text.is_empty() {
        how
    } else {
        format!("{how}: {}", words(&text))
    };
    Err(CompileError::Crashed(how).into())
}

/// What a process says for which memory cannot be had: Rust's and the engine's
/// allocations, maps, and new threads.
const OUT_OF_MEMORY: [&str; 4] = [
    "memory allocation of",
    "out of memory",
    NO_MEMORY,
    "ThreadPoolBuildError",
];

/// How the system says it.
const NO_MEMORY: &str = "Cannot allocate memory (os error 12)";

/// Most characters that are shown of what the process said.
const MAX_WORDS: usize = 500;

/// What the process said on its standard error, on one line.
fn line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let text = text.trim().trim_start_matches("error: ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The beginning of a line, fit to be shown.
fn words(line: &str) -> String {
    let printable = line.chars().filter(|char| !char.is_control());
    printable.take(MAX_WORDS).collect()
}

/// Why the process's own side failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The component is refused by the engine.
    #[error("{0}")]
    Invalid(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// The process's own side: reads a component from standard input and writes its
/// machine code to standard output, behind the settings that it is for. To be
/// called before the program has opened anything.
pub(crate) fn serve(metering: Metering) -> Result<(), ServiceError> {
    let failed = |error: io::Error| ServiceError::Failed(error.to_string());
    close_inherited().map_err(failed)?;
    // Whoever asked is gone: so is the need for an answer.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| failed(error.into()))?;
    let mut wasm = Vec::new();
    io::stdin()
        .take(Extent::MOST.bytes)
        .read_to_end(&mut wasm)
        .map_err(failed)?;
    let engine = engine::build_compiler(metering)
        .map_err(|error| ServiceError::Failed(format!("{error:#}")))?;
    let code = precompile(&engine, &wasm).map_err(ServiceError::Invalid)?;
    let mut stdout = io::stdout();
    stdout
        .write_all(Settings::of(&engine).name().as_bytes())
        .and_then(|()| stdout.write_all(&code))
        .map_err(failed)
}

/// Descriptors that the parent left open.
fn close_inherited() -> io::Result<()> {
    let names = fs::read_dir("/proc/self/fd")?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    // The list's own is no more.
    let is_open = |number: &RawFd| fs::read_link(format!("/proc/self/fd/{number}")).is_ok();
    for descriptor in numbers.filter(|number| *number > 2).filter(is_open) {
        // SAFETY: it is open, and the program has just begun and owns nothing
        // but the three standard streams.
        unsafe { rustix::io::close(descriptor) };
    }
    Ok(())
}
