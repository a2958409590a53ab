//! The languages' toolchains and templates, as far as the verbs need them.

use std::path::Path;

use soma_toolchain::{Error, TemplateFile};

use crate::{
    cli::{Exit, Failed},
    package::Language,
};

/// The component that the project in `folder` makes.
///
/// # Errors
/// When the toolchain is not there, or the project does not build.
pub(super) fn build(
    language: Language,
    folder: &Path,
    say: &dyn Fn(&str),
) -> Result<Vec<u8>, Failed> {
    let built = soma_toolchain::build(known(language), folder, say);
    built.map_err(|error| match error {
        Error::Usage(words) => Failed::new(Exit::Usage, words),
        Error::Setup(words) => Failed::new(Exit::Host, words),
        Error::Project(words) => Failed::new(Exit::Input, words),
        Error::Build(words) => Failed::new(Exit::Failed, words),
    })
}

/// The files of a new project.
pub(super) fn template(language: Language, id: &str) -> Vec<TemplateFile> {
    soma_toolchain::template(known(language), id)
}

fn known(language: Language) -> soma_toolchain::Language {
    match language {
        Language::Rust => soma_toolchain::Language::Rust,
        Language::Python => soma_toolchain::Language::Python,
        Language::Javascript => soma_toolchain::Language::JavaScript,
        Language::C => soma_toolchain::Language::C,
        Language::Go => soma_toolchain::Language::Go,
    }
}
