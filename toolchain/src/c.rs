//! C neurons: a clang that knows wasi-libc, or zig, which is both; then the
//! module is wrapped as a component.

use std::env;
use std::fs;
use std::path::{self, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cache::Scratch;
use crate::process::{ask, compile, program};
use crate::project::Project;
use crate::pypi::{self, Package};
use crate::{Error, Language, Say, component};

const ZIG: Package = Package {
    name: "ziglang",
    version: "0.17.1",
    files: &[
        // Linux: x86_64, aarch64.
        "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
        "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
        // macOS: x86_64, arm64.
        "4e0b4b9c02b8d0d220e9948010f860b62ff11d96abb39762eca5fa2ef3f7bc97",
        "09953b6af7f64168b915180a42774f520f92d86ef6331b28e33915c7e1f0bb23",
    ],
    holds: "ziglang/zig",
    about: "the zig compiler, which compiles C too\n\
            (100 MB to download, 410 MB on disk; its first build takes half a minute)",
};

/// See [`crate::key`]. Which of the two it is depends on the machine.
pub(crate) const KEY: &str = "clang-or-ziglang-0.17.1";

const FORCE: &str = "SOMA_C_TOOLCHAIN";
const PACKAGES: &str = "clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32";
const LIMIT: Duration = Duration::from_secs(600);

/// Bytes of stack; below it is nothing (zig's linker puts it there by itself),
/// so running over traps.
const STACK_BYTES: usize = 256 << 10;

/// What any clang here must be able to build.
const PROBE: &str = "#include <stdlib.h>\n\
    __attribute__((export_name(\"probe\"))) void *probe(int n) { return malloc(n); }\n";

enum Compiler {
    Clang(PathBuf),
    Zig(PathBuf),
}

pub(crate) fn ensure(say: Say<'_>) -> Result<(), Error> {
    match find(say)? {
        Compiler::Clang(program) => say(&format!("c toolchain: {}", program.display())),
        Compiler::Zig(folder) => say(&format!("c toolchain: zig in {}", folder.display())),
    }
    Ok(())
}

pub(crate) fn build(project: &Project, say: Say<'_>) -> Result<Vec<u8>, Error> {
    let sources = sources(&project.folder);
    if sources.is_empty() {
        return Err(Error::Project(format!(
            "{}: there is no .c file here, in src/ or in sdk/",
            project.folder.display()
        )));
    }
    let compiler = find(say)?;
    let work = Scratch::for_build().map_err(|error| Error::Build(error.to_string()))?;
    let output = work.path().join("module.wasm");
    let mut command = compiler.command(&project.folder);
    command.args(["-std=gnu11", "-Os", "-Wall", "-Wextra", "-I.", "-Isdk"]);
    // Zig would take `assert` out of optimised code. The SDK answers it.
    command.args(["-UNDEBUG", "-D__assert_fail=soma_assert_fail"]);
    for interface in project.interfaces() {
        command.arg(format!("-DSOMA_{}=1", interface.to_uppercase()));
    }
    if project.wasi() {
        command.arg("-DSOMA_WASI=1");
    }
    command.args(&sources).arg("-o").arg(&output);
    let warnings = compile(&mut command, LIMIT).map_err(Error::Build)?;
    if !warnings.trim().is_empty() {
        say(warnings.trim_end());
    }
    let module = fs::read(&output).map_err(|error| Error::Build(error.to_string()))?;
    component::encode(project, module)
}

/// The C files of a project, as paths in it, in a fixed order.
fn sources(project: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "src", "sdk"] {
        let entries = fs::read_dir(project.join(folder));
        let names = entries.into_iter().flatten().flatten();
        let paths = names.map(|entry| no_option(Path::new(folder).join(entry.file_name())));
        found.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "c")));
    }
    found.sort();
    found
}

/// The path, in words that a compiler does not take for an option or for the
/// name of a file with options.
fn no_option(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_encoded_bytes().first() {
        Some(b'-' | b'@') => Path::new(".").join(path),
        _ => path,
    }
}

/// What is there comes first, then what is set up.
fn find(say: Say<'_>) -> Result<Compiler, Error> {
    let clang = || clang().map(Compiler::Clang).map_err(|why| ("clang", why));
    let zig = || {
        ZIG.ensure(say)
            .map(Compiler::Zig)
            .map_err(|why| ("ziglang", why))
    };
    let forced = env::var(FORCE).ok().filter(|way| !way.is_empty());
    match forced.as_deref() {
        None => clang().or_else(|first| zig().map_err(|second| vec![first, second])),
        Some("clang") => clang().map_err(|why| vec![why]),
        Some("zig") => zig().map_err(|why| vec![why]),
        Some(other) => {
            return Err(Error::Usage(format!(
                "{FORCE} is `{other}`: it can be clang or zig"
            )));
        }
    }
    .map_err(|tried| {
        Error::no_toolchain(
            Language::C,
            "no compiler with a C library for wasm32-wasi",
            &tried,
            &[
                format!("on Debian 12 or later: sudo apt-get install {PACKAGES}"),
                "unpack a wasi-sdk and set WASI_SDK_PATH to its folder".to_owned(),
                format!("for zig: {}", pypi::ADVICE),
            ],
        )
    })
}

/// A clang that finds wasi-libc, its own runtime for wasm32 and a linker.
fn clang() -> Result<PathBuf, String> {
    let sdk = env::var_os("WASI_SDK_PATH").map(|sdk| Path::new(&sdk).join("bin/clang"));
    // It is started in other folders than this one.
    let sdk = sdk.and_then(|clang| path::absolute(clang).ok());
    let named = (15..=24).rev().map(|version| format!("clang-{version}"));
    let named = std::iter::once("clang".to_owned()).chain(named);
    let all = sdk.into_iter().chain(named.map(PathBuf::from));
    let mut refused = None;
    for program in all.filter(|program| ask(program, &["--version"]).is_ok()) {
        match probe(&Compiler::Clang(program.clone())) {
            Ok(()) => return Ok(program),
            Err(reason) => refused = refused.or(Some(reason)),
        }
    }
    Err(refused.unwrap_or_else(|| "there is no clang".to_owned()))
}

fn probe(compiler: &Compiler) -> Result<(), String> {
    let work = Scratch::for_build().map_err(|error| error.to_string())?;
    let source = work.path().join("probe.c");
    fs::write(&source, PROBE).map_err(|error| error.to_string())?;
    let mut command = compiler.command(work.path());
    command.arg(&source);
    command.arg("-o").arg(work.path().join("probe.wasm"));
    compile(&mut command, LIMIT).map(drop)
}

impl Compiler {
    /// The compiler, started in `folder`, as a maker of reactors: modules without
    /// a `main`.
    fn command(&self, folder: &Path) -> Command {
        let mut command = match self {
            Self::Clang(clang) => {
                let mut clang = program(clang, folder);
                clang.args(["--target=wasm32-wasi", "-Wl,--stack-first"]);
                clang
            }
            Self::Zig(tool) => {
                let mut zig = program(tool.join(ZIG.holds), folder);
                zig.args(["cc", "-target", "wasm32-wasi"]);
                // Beside the tool, so that they go when it goes.
                zig.env("ZIG_GLOBAL_CACHE_DIR", tool.join("cache"));
                zig.env("ZIG_LOCAL_CACHE_DIR", tool.join("cache"));
                zig
            }
        };
        command.args(["-mexec-model=reactor", "-flto", "-s", "-Wl,--gc-sections"]);
        command.arg(format!("-Wl,-z,stack-size={STACK_BYTES}"));
        command
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn no_file_of_a_project_is_an_option_of_the_compiler() {
        let work = Scratch::for_build().unwrap();
        fs::create_dir(work.path().join("src")).unwrap();
        for name in ["neuron.c", "-B.c", "@words.c", "src/-B.c", "notes.h"] {
            fs::write(work.path().join(name), "").unwrap();
        }
        let found = sources(work.path());
        let found: Vec<_> = found.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(found, ["./-B.c", "./@words.c", "neuron.c", "src/-B.c"]);
    }
}
