//! Where things are on this machine.

use std::{
    env,
    path::{Path, PathBuf},
};

use super::{Exit, Failed};

/// Where compiled neurons are kept between runs:
/// `${XDG_CACHE_HOME:-~/.cache}/soma/code`. `None` on a machine that names
/// neither folder; neurons are then compiled at every start.
pub(super) fn code_cache() -> Option<PathBuf> {
    cache("code")
}

/// Where pulled components are kept:
/// `${XDG_CACHE_HOME:-~/.cache}/soma/components`. `None` as for
/// [`code_cache`]; every pull then asks its registry.
pub(super) fn components() -> Option<PathBuf> {
    cache("components")
}

fn cache(name: &str) -> Option<PathBuf> {
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    Some(caches?.join("soma").join(name))
}

/// This very program, even when its file was replaced meanwhile.
pub(super) fn this_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// An environment variable that holds an absolute path; others are to be
/// ignored (XDG Base Directory Specification).
fn absolute(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(variable)?);
    path.is_absolute().then_some(path)
}

/// Where `cargo xtask neurons` puts the components, from the repository's top.
const BUILT: &str = "target/neurons";

/// The folder of neuron components: the one that the command line names, else
/// `SOMA_NEURONS`, else `target/neurons` in the current folder or the nearest
/// one above.
///
/// # Errors
/// When no folder is named and none is found.
pub(super) fn neurons(named: Option<&Path>) -> Result<PathBuf, Failed> {
    let named = named
        .map(Path::to_owned)
        .or_else(|| env::var_os("SOMA_NEURONS").map(PathBuf::from));
    if let Some(folder) = named {
        return Ok(folder);
    }
    let here = env::current_dir()
        .map_err(|error| Failed::new(Exit::Input, format!("no current folder: {error}")))?;
    here.ancestors()
        .map(|folder| folder.join(BUILT))
        .find(|folder| folder.is_dir())
        .ok_or_else(|| missing(format!("no `{BUILT}` in {} or above", here.display())))
}

/// The component file of that name, such as `generator` or `hostile/spin`.
///
/// # Errors
/// When there is no such file.
pub(super) fn component(neurons: &Path, name: &str) -> Result<PathBuf, Failed> {
    let file = neurons.join(format!("{name}.wasm"));
    if file.is_file() {
        return Ok(file);
    }
    let folder = neurons.display();
    Err(missing(format!("no neuron `{name}` in {folder}")))
}

fn missing(what: String) -> Failed {
    Failed::new(Exit::Input, what).advise(
        "build the neurons with `cargo xtask neurons`, \
         or name their folder with `--neurons` or `SOMA_NEURONS`",
    )
}
