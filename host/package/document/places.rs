//! Where everything stands in a text: a tree beside its values, so that a long
//! key is held once, however much lies below it.

use std::{collections::BTreeMap, ops::Range};

use super::Place;

/// Most bytes of a key. It is a part of each place below it.
pub(super) const MAX_KEY: usize = 256;

/// Where a key and its value stand, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Spans {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

/// A value's place, and those of what it holds.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) spans: Spans,
    pub(super) within: Within,
}

/// What a value holds.
#[derive(Clone, Debug)]
pub(super) enum Within {
    Nothing,
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Within {
    /// The place of the value that a JSON pointer leads to; none for the text
    /// as a whole.
    pub(super) fn find(&self, pointer: &str) -> Option<&Spans> {
        let mut within = self;
        let mut found = None;
        for key in pointer.split('/').skip(1) {
            let node = match within {
                Self::Nothing => None,
                Self::List(items) => items.get(key.parse::<usize>().ok()?),
                Self::Table(keys) => keys.get(&key.replace("~1", "/").replace("~0", "~")),
            }?;
            found = Some(&node.spans);
            within = &node.within;
        }
        found
    }
}

/// The bytes at which the lines of a text begin, but for the first one.
#[derive(Clone, Debug)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(end, _)| end + 1).collect())
    }

    pub(super) fn place(&self, text: &str, at: usize) -> Place {
        let before = self.0.partition_point(|start| *start <= at);
        let start = before.checked_sub(1).and_then(|line| self.0.get(line));
        let line = text.get(start.copied().unwrap_or_default()..at);
        Place {
            line: before + 1,
            column: line.unwrap_or_default().chars().count() + 1,
        }
    }
}
