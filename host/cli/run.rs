//! `soma run`: one task on any neuron component.

mod carried;
mod grants;
mod report;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use self::{
    carried::{Bound, Carried},
    grants::GrantArgs,
    report::Report,
};
use super::{
    Exit, Failed, args,
    input::{Input, InputArgs},
    log, refusal, start,
};
use crate::{
    Host,
    engram::{Engram, MemoryEngram, VectorEngram},
    neuron::{CompileError, CompilerLimits, Limits, LoadError, Plugin},
    orchestration::{Answer, Dispatch, Neuron, TenantHandle},
    signal::TraceId,
    tenant::Quotas,
};

/// Shown under `soma run --help`.
const EXAMPLES: &str = "\
Examples:
  One task, with its reply and what it cost:
    soma run target/neurons/echo.wasm --input '{\"greeting\": \"hello\"}'

  A neuron that keeps something in an engram, and what is in it afterwards:
    soma run target/neurons/generator.wasm --engram calls --show-engrams \\
      --input '{\"question\": \"what is a saga?\"}'

  A neuron that uses WASI, with one folder to read and one host to ask:
    soma run neuron.wasm --dir ./data::/data --http https://api.example.org

Log lines of the neuron go to standard error; SOMA_LOG filters them
(for example SOMA_LOG=neuron=debug).

Exit codes:
  0  the neuron answered: a result, a question back or a request for leave
  1  it answered with an ERROR
  2  the arguments make no sense
  3  a file is missing or unreadable, or the component was refused
  4  the time ran out
  5  the host itself could not start";

/// Arguments of `soma run`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// The component file
    component: PathBuf,

    #[command(flatten)]
    input: InputArgs,

    /// CPU budget in fuel units, about one a wasm instruction [default: what it
    /// wishes for, else 10_000_000_000]
    #[arg(long, value_name = "UNITS", value_parser = args::count)]
    fuel: Option<u64>,

    /// Most memory, all memories and tables of the task together [default: what
    /// it wishes for, else 64MiB]
    #[arg(long, value_name = "SIZE", value_parser = args::size)]
    memory: Option<usize>,

    /// Most time until the reply, waits included [default: what it wishes for,
    /// else 30s]
    #[arg(long, value_name = "DURATION", value_parser = args::duration)]
    timeout: Option<Duration>,

    /// Most calls to the host [default: what it wishes for, else 1_000_000]
    #[arg(long, value_name = "N", value_parser = args::count)]
    host_calls: Option<u64>,

    /// Most memory of the process that compiles it
    #[arg(long, value_name = "SIZE", default_value = "2GiB", value_parser = args::size)]
    compile_memory: usize,

    /// Most CPU time of that process, in whole seconds
    #[arg(long, value_name = "DURATION", default_value = "180s", value_parser = args::duration)]
    compile_cpu: Duration,

    /// Most time until that process has ended
    #[arg(long, value_name = "DURATION", default_value = "600s", value_parser = args::duration)]
    compile_timeout: Duration,

    #[command(flatten)]
    grants: GrantArgs,

    /// Run it on this trace: with `--clock virtual` and `--seeded-random` a task
    /// repeats on the same trace
    #[arg(long, value_name = "ID")]
    trace: Option<TraceId>,

    /// Bind a fresh engram under this name: NAME or NAME=memory holds entries,
    /// NAME=vector:DIM entries with embeddings. Those that its manifest asks
    /// for are there anyway
    #[arg(long = "engram", value_name = "NAME[=KIND]")]
    engrams: Vec<EngramSpec>,

    /// Show what the engrams hold afterwards
    #[arg(long)]
    show_engrams: bool,

    /// Write one JSON object instead of text
    #[arg(long)]
    json: bool,

    /// Show information lines of the log too
    #[arg(short, long)]
    verbose: bool,
}

/// An engram as the command line asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EngramSpec {
    name: String,
    /// Numbers in each embedding, for an engram that holds them.
    dimension: Option<usize>,
}

impl FromStr for EngramSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, kind) = text.split_once('=').unwrap_or((text, "memory"));
        if name.is_empty() {
            return Err("the name is missing, for example `notes` or `notes=memory`".to_owned());
        }
        let dimension = match kind.split_once(':') {
            None if kind == "memory" => None,
            Some(("vector", dimension)) => {
                let dimension: Option<usize> = dimension.parse().ok();
                let usable = dimension.filter(|dimension| (1..=65_536).contains(dimension));
                Some(usable.ok_or("the dimension is a number from 1 to 65536")?)
            }
            _ => {
                return Err(format!(
                    "`{kind}` is no kind of engram; there are `memory` and `vector:DIM`"
                ));
            }
        };
        Ok(Self {
            name: name.to_owned(),
            dimension,
        })
    }
}

impl EngramSpec {
    fn create(&self, tenant: &TenantHandle) -> Arc<dyn Engram> {
        let name = self.name.as_str();
        let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
        let ledger = Arc::clone(tenant.tenant()) as _;
        match self.dimension {
            None => tenant.add_engram(MemoryEngram::new(name, clock, ids, ledger)),
            Some(dimension) => {
                tenant.add_engram(VectorEngram::new(name, dimension, clock, ids, ledger))
            }
        }
    }
}

pub(super) fn main(args: &Args) -> Result<Exit, Failed> {
    log::start(args.verbose)?;
    let input = args.input.read("task")?;
    args.check_engrams()?;
    let granted = args.grants.grants()?;
    let file = args.component.as_path();
    let refuse = |error: LoadError| refused(file, &error);
    let wasm = Plugin::read(file).map_err(refuse)?;
    Plugin::check_form(&wasm).map_err(refuse)?;
    let carried = Carried::read(file, &wasm)?;
    let grants = carried.grants(file, granted)?;
    let limits = args.limits(carried.limits());
    let bound = carried.engrams(&args.engrams)?;
    carried.check_input(&input)?;
    let host = start::host_compiling(args.compiler(), || Host::builder().instances(64))?;
    let loaded = host.load_package(&wasm, carried.package(), &grants);
    let plugin = loaded.map_err(refuse)?;
    let tenant = host
        .add_tenant("cli", Quotas::default())
        .map_err(|error| Failed::new(Exit::Host, error))?;
    let timeout = limits.wall;
    let mut neuron = Neuron::of_package(Arc::clone(&plugin), carried.package())
        .unwrap_or_else(|| Neuron::new(args.name(), Arc::clone(&plugin)))
        .limits(limits);
    let mut engrams = Vec::new();
    for Bound { spec, access } in bound {
        let engram = spec.create(&tenant);
        neuron = neuron.bind(spec.name, Arc::clone(&engram), access);
        engrams.push(engram);
    }
    let neuron = tenant.register(neuron);
    let mut task = Dispatch::to_neuron(Arc::clone(neuron.id())).input(input.value);
    if let Some(trace) = &args.trace {
        task = task.on_trace(trace.clone());
    }
    let answer = host.run(one_task(tenant, task))?;
    let report = Report::new(answer, timeout);
    let contents = if args.show_engrams {
        host.run(async move { report::contents(&engrams).await })?
    } else {
        Vec::new()
    };
    report.print(&plugin, &contents, args.json)
}

impl Args {
    fn check_engrams(&self) -> Result<(), Failed> {
        let mut names = BTreeSet::new();
        let twice = self.engrams.iter().find(|spec| !names.insert(&spec.name));
        twice.map_or(Ok(()), |spec| {
            let message = format!("--engram binds `{}` twice", spec.name);
            Err(Failed::new(Exit::Usage, message))
        })
    }

    /// The id of a neuron that does not say its own: the name of its file.
    fn name(&self) -> Arc<str> {
        let stem = self.component.file_stem().unwrap_or_default();
        stem.to_string_lossy().into()
    }

    /// What the command line says, and the rest as it is given.
    fn limits(&self, rest: Limits) -> Limits {
        Limits {
            fuel: self.fuel.unwrap_or(rest.fuel),
            memory_bytes: self.memory.unwrap_or(rest.memory_bytes),
            wall: self.timeout.unwrap_or(rest.wall),
            host_calls: self.host_calls.unwrap_or(rest.host_calls),
            ..rest
        }
    }

    fn compiler(&self) -> CompilerLimits {
        CompilerLimits {
            memory_bytes: self.compile_memory as u64,
            cpu: self.compile_cpu,
            wall: self.compile_timeout,
            ..CompilerLimits::default()
        }
    }
}

/// The limit on the task ends it in time and tells what it used: the wait for
/// its reply needs no bound of its own.
async fn one_task(tenant: TenantHandle, task: Dispatch) -> Result<Answer, Failed> {
    let answer = tenant.dispatch_and_wait(task, Duration::MAX).await;
    answer.map_err(|error| Failed::new(Exit::Host, error))
}

/// Why the component does not run here, and what to do about it.
pub(super) fn refused(path: &Path, error: &LoadError) -> Failed {
    let exit = refusal::exit(error);
    let message = match error {
        LoadError::Read { .. } | LoadError::Sandbox(_) => error.to_string(),
        _ => format!("{} was refused: {error}", path.display()),
    };
    let failed = Failed::new(exit, message);
    if let Some(advice) = grants::advice(error) {
        return failed.advise(advice);
    }
    match error {
        LoadError::Read { .. } => failed.advise(refusal::folder(path).unwrap_or_else(|| {
            "give the path of a component file; \
             `cargo xtask neurons` builds this repository's into target/neurons"
                .to_owned()
        })),
        LoadError::Compile(CompileError::Memory { .. }) => {
            failed.advise("allow more with `--compile-memory`")
        }
        LoadError::Compile(CompileError::Cpu { .. }) => {
            failed.advise("allow more with `--compile-cpu`")
        }
        LoadError::Compile(CompileError::Wall { .. }) => {
            failed.advise("allow more with `--compile-timeout`")
        }
        _ => match refusal::advice(error) {
            Some(advice) => failed.advise(advice),
            None => failed,
        },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    #[test]
    fn without_options_a_task_runs_under_the_limits_that_are_given() {
        let command = Args::augment_args(clap::Command::new("run"));
        let given = |words: &[&str]| {
            let matches = command
                .clone()
                .get_matches_from([&["run", "a.wasm"], words].concat());
            let args = Args::from_arg_matches(&matches).unwrap();
            assert_eq!(args.compiler(), CompilerLimits::default());
            args.limits(Limits::default())
        };
        assert_eq!(given(&[]), Limits::default());
        let words = ["--fuel=1", "--memory=2", "--timeout=3s", "--host-calls=4"];
        let limits = given(&words);
        assert_eq!(
            (limits.fuel, limits.memory_bytes, limits.host_calls),
            (1, 2, 4)
        );
        assert_eq!(limits.wall, Duration::from_secs(3));
    }

    #[test]
    fn an_engram_is_a_name_and_a_kind() {
        let spec = |text: &str| text.parse::<EngramSpec>().unwrap();
        assert_eq!(spec("notes"), spec("notes=memory"));
        assert_eq!(spec("notes").dimension, None);
        let vector = spec("docs=vector:16");
        assert_eq!((vector.name.as_str(), vector.dimension), ("docs", Some(16)));
    }

    #[test]
    fn an_engram_that_makes_no_sense_is_told_what_would() {
        let told = |text: &str| text.parse::<EngramSpec>().unwrap_err();
        assert_eq!(
            told("=memory"),
            "the name is missing, for example `notes` or `notes=memory`"
        );
        assert_eq!(
            told("notes=disk"),
            "`disk` is no kind of engram; there are `memory` and `vector:DIM`"
        );
        for text in [
            "docs=vector:",
            "docs=vector:0",
            "docs=vector:x",
            "docs=vector:65537",
        ] {
            assert_eq!(told(text), "the dimension is a number from 1 to 65536");
        }
        assert_eq!(
            told("docs=vector"),
            "`vector` is no kind of engram; there are `memory` and `vector:DIM`"
        );
    }
}
