//! Why there is no component.

use std::fmt;

use crate::Language;

/// Why nothing was built. Texts are for people and may have several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A variable of the environment makes no sense.
    Usage(String),
    /// This machine has not what the language needs, and it could not be set
    /// up; says what was tried and what a person can do.
    Setup(String),
    /// The folder is no project, or not one of this language.
    Project(String),
    /// The source does not build.
    Build(String),
}

impl Error {
    /// A machine that cannot build `language`: the ways that were tried, each
    /// with its reason, and the steps of which one will help.
    pub(crate) fn no_toolchain(
        language: Language,
        lacks: &str,
        tried: &[(&str, String)],
        steps: &[String],
    ) -> Self {
        let mut text = format!("this machine cannot build {language} neurons: {lacks}\n");
        for (way, reason) in tried {
            text.push_str(&format!("tried the way `{way}`: {reason}\n"));
        }
        text.push_str("what you can do, one of:\n");
        for step in steps {
            text.push_str(&format!("- {step}\n"));
        }
        text.push_str("then start this command again");
        Self::Setup(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Setup(text) | Self::Project(text) | Self::Build(text)) =
            self;
        f.write_str(text)
    }
}

impl std::error::Error for Error {}
