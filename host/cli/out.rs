//! Standard output, and what a stranger's file may do to it: nothing.

use std::{
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use super::{Exit, Failed};
pub(super) use crate::package::Plain;

/// Writes a text for a person, each line as [`Plain`] shows it.
pub(super) fn write(text: &str) -> Result<(), Failed> {
    write_as_it_is(&plain(text))
}

/// Tells a person what is going on, on standard error.
pub(super) fn say(text: &str) {
    // Whoever does not listen is not told.
    drop(writeln!(io::stderr(), "{}", plain(text)));
}

/// Lines as [`Plain`] shows them, with blanks for tabs.
pub(super) fn plain(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let line = line.trim_end_matches('\r').replace('\t', "    ");
        Plain(&line).to_string()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Writes a text that may hold colours, or is for a program. A reader that has
/// gone away has seen what it wanted.
pub(super) fn write_as_it_is(text: &str) -> Result<(), Failed> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failed::new(Exit::Host, format!("cannot write: {error}")))
        }
        _ => Ok(()),
    }
}

/// A path as a word of a command line that a shell reads.
pub(super) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_./+:@%,=-".contains(c);
    let text = match text.strip_prefix('-') {
        Some(_) => format!("./{text}"),
        None => text,
    };
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    quoted(&text)
}

/// A text as a word of a command line: within single quotes a shell takes all
/// but these literally.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Writes one JSON value over several lines.
pub(super) fn write_json(value: &impl Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Failed::new(Exit::Host, error))?;
    write_as_it_is(&(text + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_to_a_shell() {
        let shown = |text: &str| word(Path::new(text));
        assert_eq!(shown("target/notes.wasm"), "target/notes.wasm");
        assert_eq!(shown("my notes/it's"), "'my notes/it'\\''s'");
        assert_eq!(shown("$(id)"), "'$(id)'");
        assert_eq!(shown("--path"), "./--path");
    }

    #[test]
    fn a_strangers_text_is_one_line_that_hides_nothing() {
        let shown = |text| Plain(text).to_string();
        assert_eq!(shown("Grüße, 世界"), "Grüße, 世界");
        assert_eq!(shown("a\n\u{1b}[2Jb"), "a\\n\\u{1b}[2Jb");
        assert_eq!(shown("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
    }
}
