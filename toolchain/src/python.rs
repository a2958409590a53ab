//! Python neurons, by componentize-py: CPython, the source and the contract's
//! bindings, initialised at build time and frozen into one component.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cache::Scratch;
use crate::process::{compile, program};
use crate::project::Project;
use crate::pypi::{self, ISOLATED, Package};
use crate::{Error, Language, Say, world};

const TOOL: Package = Package {
    name: "componentize-py",
    version: "0.25.1",
    files: &[
        // Linux: x86_64, aarch64.
        "8623cd8cab8453cb0cd8bf03f3c7103420d06f2f3d360186a280a70a1ca5e89f",
        "7b6a87c520358166843af0daa86d2312d7af4cbcbbf1e598951085cf7f2991ca",
        // macOS: x86_64, arm64.
        "65fbc4a94df1de8acf7da50a1f5ed1711230188844e53e6332d99029be4e0afa",
        "a556991534cc496207a9d2ca733c4b0f17ed38ef56a8d6b5f1847fdf1225dd1b",
    ],
    holds: "componentize_py/__init__.py",
    about: "a Python 3.14 for WebAssembly and what joins it with yours\n\
            (17 MB to download, 47 MB on disk; some seconds)",
};

/// See [`crate::key`].
pub(crate) const KEY: &str = "componentize-py-0.25.1";

/// The module that becomes the component; made for each build.
const MAIN: &str = "soma_main";

/// The SDK comes first: what it replaces in the standard library has to be
/// there before the author's modules are imported.
const MAIN_TEXT: &str = "\
import soma_neuron
import soma_system
import neuron

if soma_neuron._handle is None:
    raise RuntimeError('neuron.py has no neuron: put `@neuron` before its function')
Handler = soma_neuron.Handler
soma_system.keep_source(neuron)
";

const LIMIT: Duration = Duration::from_secs(600);

/// Calls the tool as a library. Its command would ask other programs for the
/// folders of the user's own packages, and let the source that is built read
/// and write them.
const START: &str = "\
import sys
tool, wit, world, main, output, stub, *folders = sys.argv[1:]
sys.path.insert(0, tool)
from componentize_py import componentize
componentize(
    [wit], [world], [], False, None, folders, [], main, output,
    stub == 'stub', [], [], False, None,
)
";

pub(crate) fn ensure(say: Say<'_>) -> Result<(), Error> {
    let tool = TOOL.ensure(say).map_err(give_up)?;
    say(&format!("python toolchain: {KEY} in {}", tool.display()));
    Ok(())
}

pub(crate) fn build(project: &Project, say: Say<'_>) -> Result<Vec<u8>, Error> {
    project.require("neuron.py", Language::Python)?;
    let tool = TOOL.ensure(say).map_err(give_up)?;
    let python = pypi::python().map_err(give_up)?;
    let work = Scratch::for_build().map_err(|error| Error::Build(error.to_string()))?;
    let [wit, app, output, empty] =
        ["wit", "app", "component.wasm", "empty"].map(|name| work.path().join(name));
    world::write(project, &wit)?;
    project.copy_source(&app)?;
    fs::write(app.join("soma_build.py"), facts(project))
        .and_then(|()| fs::write(app.join(MAIN).with_extension("py"), MAIN_TEXT))
        .and_then(|()| fs::create_dir(&empty))
        .map_err(|error| Error::Build(error.to_string()))?;

    let mut command = program(python, &empty);
    command.args([ISOLATED, "-c", START]).arg(tool).arg(wit);
    command.args([world::NAME, MAIN]).arg(&output);
    command.arg(if project.wasi() { "wasi" } else { "stub" });
    let folders = ["", "sdk", "packages"].map(|name| app.join(name));
    command.args(folders.iter().filter(|folder| folder.is_dir()));
    say("building with componentize-py (about ten seconds)");
    compile(&mut command, LIMIT).map_err(|reason| Error::Build(told(&reason, &app)))?;
    fs::read(&output).map_err(|error| Error::Build(error.to_string()))
}

/// A module that tells the SDK what it cannot find out before it runs.
fn facts(project: &Project) -> String {
    let wasi = if project.wasi() { "True" } else { "False" };
    format!("WASI = {wasi}\n")
}

/// What the tool said, with the author's paths in place of its own.
fn told(reason: &str, app: &Path) -> String {
    let said = reason.split("\nStack backtrace:").next();
    let said = said.unwrap_or(reason).trim_end();
    let copies = format!("{}/", app.display());
    said.replace(&copies, "").replace("\"/0/", "\"")
}

fn give_up(reason: String) -> Error {
    Error::no_toolchain(
        Language::Python,
        "no componentize-py",
        &[("pip", reason)],
        &[
            pypi::ADVICE.to_owned(),
            "build the component on a machine that can, and bring the file".to_owned(),
        ],
    )
}
