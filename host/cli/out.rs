//! Standard output, and what a stranger's file may do to it: nothing.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;

use super::{Exit, Failed};

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

/// Shows a stranger's text on one line: what would move the cursor, change
/// colours or turn the direction of writing is shown as an escape.
pub(super) struct Plain<'a>(pub(super) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            let hidden = matches!(
                c,
                '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            );
            if c.is_control() || hidden {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
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
