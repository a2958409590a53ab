//! The languages that neurons can be written in.

use std::fmt;
use std::str::FromStr;

/// A language with a template, an SDK and a way to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Rust, without WASI.
    Rust,
    /// Python 3 on CPython.
    Python,
    /// JavaScript on QuickJS.
    JavaScript,
    /// C with wasi-libc.
    C,
    /// Go; experimental.
    Go,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rust,
        Self::Python,
        Self::JavaScript,
        Self::C,
        Self::Go,
    ];

    /// The name in `neuron.toml` and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::C => "c",
            Self::Go => "go",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
            .ok_or_else(|| UnknownLanguage(name.to_owned()))
    }
}

/// A language that there is no way to build for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownLanguage(String);

impl fmt::Display for UnknownLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Language::ALL.map(Language::name).join(", ");
        write!(f, "`{}` is no language; there are {names}", self.0)
    }
}

impl std::error::Error for UnknownLanguage {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::Language;

    #[test]
    fn a_language_is_found_by_its_name_and_another_is_refused_with_all_names() {
        for language in Language::ALL {
            assert_eq!(language.name().parse::<Language>().unwrap(), language);
        }
        assert_eq!(
            "cobol".parse::<Language>().unwrap_err().to_string(),
            "`cobol` is no language; there are rust, python, javascript, c, go"
        );
    }
}
