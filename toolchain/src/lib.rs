//! Builds neurons: finds what a language needs on this machine, sets up what is
//! missing, and turns a project folder into a component file.
//!
//! A **project** is a folder with a `neuron.toml`, the contract in `wit/`, the
//! helper of its language in `sdk/` (Rust: `vendor/`) and its source:
//!
//! | Language | Source | Built by |
//! |---|---|---|
//! | Rust | a cargo package, a `cdylib` | cargo for `wasm32-unknown-unknown` |
//! | Python | `neuron.py` | componentize-py |
//! | JavaScript | `neuron.js` | componentize-qjs |
//! | C | `*.c`, `src/*.c`, `sdk/*.c` | clang or zig |
//! | Go | a package `main` | the `go` command |
//!
//! Whatever set-up installs lies in `soma/toolchains` of the user's cache
//! folder ([`cache::folder`]), one folder a tool and version, each there as a
//! whole or not at all. To remove a tool is to remove its folder. What is
//! installed from a package index has the digest that is written down here, or
//! is not installed. A build's own files lie beside, in `soma/builds`, for as
//! long as it takes.
//!
//! This crate must never know the host: no engine, no neuron, no policy. It
//! starts other programs and wraps what they make.

pub mod apt;
mod c;
pub mod cache;
mod component;
mod error;
mod go;
mod javascript;
mod language;
pub mod process;
mod project;
mod pypi;
mod python;
pub mod rust;
mod template;
mod world;

use std::path::{Path, PathBuf};

pub use error::Error;
pub use language::{Language, UnknownLanguage};
pub use template::{TemplateFile, contract_digest, template};

/// Takes one or more lines about what is going on, for a person.
pub type Say<'a> = &'a dyn Fn(&str);

/// Makes sure that neurons in this language can be built, and says by what. On
/// Debian it may install packages.
///
/// # Errors
///
/// [`Error::Setup`] says what was tried and what a person can do;
/// [`Error::Usage`] that a variable of the environment makes no sense.
pub fn ensure(language: Language, say: Say<'_>) -> Result<(), Error> {
    match language {
        Language::Rust => rust::ensure(Path::new("."), apt::Apt::Use, say).map(drop),
        Language::Python => python::ensure(say),
        Language::JavaScript => javascript::ensure(say),
        Language::C => c::ensure(say),
        Language::Go => go::ensure(say),
    }
}

/// Builds the project in the folder `project` into a component.
///
/// Sets up what is missing first, as [`ensure`] does, in the user's own folders.
///
/// # Errors
///
/// As [`ensure`]; [`Error::Project`] where the folder is no project of this
/// language, [`Error::Build`] where its source does not build, with what the
/// compiler said (cargo says it on stderr itself).
pub fn build(language: Language, project: &Path, say: Say<'_>) -> Result<Vec<u8>, Error> {
    let project = project::Project::open(project)?;
    match language {
        Language::Rust => rust::build(&project, say),
        Language::Python => python::build(&project, say),
        Language::JavaScript => javascript::build(&project, say),
        Language::C => c::build(&project, say),
        Language::Go => go::build(&project, say),
    }
}

/// The formatter of Go, of the Go that neurons are built with.
///
/// # Errors
///
/// As [`ensure`].
pub fn gofmt(say: Say<'_>) -> Result<PathBuf, Error> {
    go::gofmt(say)
}

/// Names the tools that [`build`] uses for this language: what is built with
/// other versions of them, or another way, has another key.
pub fn key(language: Language) -> &'static str {
    match language {
        Language::Rust => "rust",
        Language::Python => python::KEY,
        Language::JavaScript => javascript::KEY,
        Language::C => c::KEY,
        Language::Go => go::KEY,
    }
}
