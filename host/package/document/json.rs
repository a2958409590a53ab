//! Where everything stands in a JSON text.

use std::{collections::BTreeMap, ops::Range};

use serde_json::Value;

use super::places::{MAX_KEY, Node, Spans, Within};

/// A text with the places of its values.
pub(super) struct Located {
    pub(super) value: Value,
    pub(super) within: Within,
    /// Keys that an object has more than once.
    pub(super) repeated: Vec<Range<usize>>,
    /// Keys that are too long.
    pub(super) long: Vec<Range<usize>>,
}

/// Reads a JSON text.
///
/// # Errors
/// Where it is no JSON, and why.
pub(super) fn read(text: &str) -> Result<Located, serde_json::Error> {
    let value = serde_json::from_str(text)?;
    let mut walk = Walk {
        text,
        at: 0,
        repeated: Vec::new(),
        long: Vec::new(),
    };
    let (_, within) = walk.value();
    let Walk { repeated, long, .. } = walk;
    Ok(Located {
        value,
        within,
        repeated,
        long,
    })
}

/// Goes through a text that is known to be JSON, no deeper than its reader did.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    repeated: Vec<Range<usize>>,
    long: Vec<Range<usize>>,
}

impl Walk<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        let spaces = rest.len() - rest.trim_ascii_start().len();
        self.at += spaces;
        self.rest().chars().next()
    }

    /// Steps over `wanted`, if it comes next.
    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        there
    }

    fn string(&mut self) -> Range<usize> {
        let start = self.at;
        let mut bytes = self.rest().bytes().skip(1);
        let mut length = 1;
        while let Some(byte) = bytes.next() {
            length += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    bytes.next();
                    length += 1;
                }
                _ => {}
            }
        }
        self.at += length;
        start..self.at
    }

    /// Steps over a value and keeps what is in it.
    fn value(&mut self) -> (Range<usize>, Within) {
        let next = self.peek();
        let start = self.at;
        let within = match next {
            Some('{') => Within::Table(self.object()),
            Some('[') => Within::List(self.list()),
            Some('"') => {
                self.string();
                Within::Nothing
            }
            _ => {
                let rest = self.rest();
                let ends = |c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace();
                self.at += rest.find(ends).unwrap_or(rest.len());
                Within::Nothing
            }
        };
        (start..self.at, within)
    }

    fn object(&mut self) -> BTreeMap<String, Node> {
        let mut keys = BTreeMap::new();
        self.take('{');
        while self.peek() == Some('"') {
            let key = self.string();
            let name = self.text.get(key.clone()).unwrap_or_default();
            let name: String = serde_json::from_str(name).unwrap_or_default();
            if name.len() > MAX_KEY {
                self.long.push(key.clone());
            }
            self.take(':');
            let (value, within) = self.value();
            let spans = Spans {
                key: key.clone(),
                value,
            };
            if keys.insert(name, Node { spans, within }).is_some() {
                self.repeated.push(key);
            }
            self.take(',');
        }
        self.take('}');
        keys
    }

    fn list(&mut self) -> Vec<Node> {
        let mut items = Vec::new();
        self.take('[');
        while !self.take(']') {
            let (value, within) = self.value();
            let spans = Spans {
                key: value.clone(),
                value,
            };
            items.push(Node { spans, within });
            self.take(',');
        }
        items
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn every_value_is_found_at_its_place() {
        let text = r#" {"a\"/b": [1, {"ü": "x,]}"}, []],"e":{} , "n" : -1.5e3}"#;
        let located = read(text).unwrap();
        let spans = |pointer: &str| located.within.find(pointer).unwrap().clone();
        let found = |pointer: &str| &text[spans(pointer).value];
        assert_eq!(found("/a\"~1b"), r#"[1, {"ü": "x,]}"}, []]"#);
        assert_eq!(found("/a\"~1b/0"), "1");
        assert_eq!(found("/a\"~1b/1/ü"), r#""x,]}""#);
        assert_eq!(found("/a\"~1b/2"), "[]");
        assert_eq!(found("/e"), "{}");
        assert_eq!(found("/n"), "-1.5e3");
        assert_eq!(&text[spans("/n").key], "\"n\"");
        for none in ["", "/b", "/e/a", "/a\"~1b/3", "/a\"~1b/1/ü/0"] {
            assert!(located.within.find(none).is_none(), "{none}");
        }
        assert!(located.repeated.is_empty());
    }

    #[test]
    fn a_key_that_is_there_twice_is_told() {
        let text = r#"{"a": {"b": 1, "b": 2}}"#;
        let repeated = read(text).unwrap().repeated;
        assert_eq!(repeated.len(), 1);
        assert_eq!(repeated[0], 15..18);
    }
}
