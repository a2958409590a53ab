//! What a scenario says, to people or to machines.

use std::{
    fmt::{Debug, Display},
    io::Write,
};

use serde_json::{Value, json};

use crate::signal::Object;

/// Prints a line. A reader that went away is no failure of the demo.
pub(super) fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Characters in a line of a paragraph.
const WIDTH: usize = 70;
/// Lines of a paragraph that are shown.
const MOST_LINES: usize = 8;

/// The account of one scenario: printed line by line, or as one JSON object
/// when it is closed.
pub(super) struct Report {
    number: usize,
    title: String,
    json: bool,
    facts: Object,
    broken: Vec<String>,
}

impl Report {
    /// Begins with the scenario's title.
    pub(super) fn open(number: usize, title: String, json: bool) -> Self {
        if !json {
            let rule = "=".repeat(64);
            print(&format!("{rule}\n{number}. {title}\n{rule}"));
        }
        Self {
            number,
            title,
            json,
            facts: Object::new(),
            broken: Vec::new(),
        }
    }

    /// A line for people.
    pub(super) fn say(&mut self, line: impl Display) {
        if !self.json {
            print(format!("   {line}").trim_end());
        }
    }

    /// A paragraph for people, wrapped and set in, and cut where it is long.
    pub(super) fn quote(&mut self, text: &str) {
        let mut lines = wrap(text, WIDTH);
        if lines.len() > MOST_LINES {
            lines.truncate(MOST_LINES);
            lines.push("[..]".to_owned());
        }
        for line in lines {
            self.say(format_args!("    {line}"));
        }
    }

    /// A fact for machines.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.facts.insert(name.to_owned(), value.into());
    }

    /// Checks something that the scenario promises.
    pub(super) fn expect<T: PartialEq + Debug>(&mut self, what: &str, expected: T, found: T) {
        if expected != found {
            let line = format!("expected {what} to be {expected:?}, found {found:?}");
            self.say(format_args!("FAILED: {line}"));
            self.broken.push(line);
        }
    }

    /// Ends the account; returns what did not hold.
    pub(super) fn close(self) -> Vec<String> {
        let number = self.number;
        if self.json {
            let object = json!({
                "scenario": number,
                "title": self.title,
                "ok": self.broken.is_empty(),
                "broken": self.broken,
                "facts": self.facts,
            });
            print(&object.to_string());
        }
        let broken = self.broken.into_iter();
        broken
            .map(|line| format!("scenario {number}: {line}"))
            .collect()
    }
}

/// Lines of at most `width` characters; a longer word has its own.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_wrapped_at_words() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("overlong a b", 4), ["overlong", "a b"]);
        assert!(wrap(" ", 4).is_empty());
    }

    #[test]
    fn what_does_not_hold_is_named_with_its_scenario() {
        let mut report = Report::open(3, "t".to_owned(), true);
        report.expect("the size", 0, 0);
        report.expect("the size", 0, 2);
        assert_eq!(
            report.close(),
            ["scenario 3: expected the size to be 0, found 2"]
        );
    }
}
