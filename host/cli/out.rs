//! Standard output, and what a stranger's file may do to it: nothing.

use std::io::{self, Write};

use serde::Serialize;

use super::{Exit, Failed};
pub(super) use crate::package::Plain;

/// Writes a text. A reader that has gone away has seen what it wanted.
pub(super) fn write(text: &str) -> Result<(), Failed> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failed::new(Exit::Host, format!("cannot write: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes one JSON value over several lines.
pub(super) fn write_json(value: &impl Serialize) -> Result<(), Failed> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Failed::new(Exit::Host, error))?;
    write(&(text + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_is_one_line_that_hides_nothing() {
        let shown = |text| Plain(text).to_string();
        assert_eq!(shown("Grüße, 世界"), "Grüße, 世界");
        assert_eq!(shown("a\n\u{1b}[2Jb"), "a\\n\\u{1b}[2Jb");
        assert_eq!(shown("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
    }
}
