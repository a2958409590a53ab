//! `--input` and `--input-file`, alike for all verbs that take one.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Exit, Failed};

/// Where an input comes from.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// The input: a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,

    /// Read the input from this file, `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    input_file: Option<PathBuf>,
}

/// An input, and where it came from.
pub(super) struct Input {
    pub(super) value: Value,
    /// As a person would name it.
    pub(super) place: String,
    /// How the command ends if it is wrong: what was typed is an argument, what
    /// was read is a file.
    pub(super) exit: Exit,
}

impl InputArgs {
    /// Reads it; `of` is what it is the input of.
    pub(super) fn read(&self, of: &str) -> Result<Input, Failed> {
        let (text, place) = match self.input_file.as_deref() {
            None => (self.input.clone(), "--input".to_owned()),
            Some(path) if path == Path::new("-") => {
                let mut text = String::new();
                let read = io::stdin().read_to_string(&mut text);
                read.map_err(|error| unreadable("standard input", &error))?;
                (text, "standard input".to_owned())
            }
            Some(path) => {
                let place = path.display().to_string();
                let text = fs::read_to_string(path).map_err(|error| unreadable(&place, &error))?;
                (text, place)
            }
        };
        let exit = if self.input_file.is_some() {
            Exit::Input
        } else {
            Exit::Usage
        };
        let wanted =
            format!("the input of a {of} is a JSON object, for example {{\"question\": \"why?\"}}");
        match serde_json::from_str(&text) {
            Ok(value @ Value::Object(_)) => Ok(Input { value, place, exit }),
            Ok(_) => {
                Err(Failed::new(exit, format!("{place} is JSON, but no object")).advise(wanted))
            }
            Err(error) => {
                Err(Failed::new(exit, format!("{place} is not JSON: {error}")).advise(wanted))
            }
        }
    }
}

fn unreadable(place: &str, error: &io::Error) -> Failed {
    Failed::new(Exit::Input, format!("cannot read {place}: {error}"))
}
