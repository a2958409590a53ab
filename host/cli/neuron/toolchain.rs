//! The languages' toolchains and templates, as far as the verbs need them.

use std::path::Path;

use crate::{
    cli::{Exit, Failed},
    package::Language,
};

/// Builds the project in `folder` into the component file `output`.
///
/// # Errors
/// When the toolchain is not there, or the project does not build.
pub(super) fn build(
    language: Language,
    _folder: &Path,
    _output: &Path,
    _say: &dyn Fn(&str),
) -> Result<(), Failed> {
    let message = format!("this build of soma has no toolchain for {language}");
    Err(Failed::new(Exit::Host, message)
        .advise("build the component by other means and give it with `--component FILE`"))
}
