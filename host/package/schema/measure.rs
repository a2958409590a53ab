//! How large a schema is, before anything compiles it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::{InvalidSchema, MAX_DEPTH, MAX_PARTS, MAX_PATTERNS};

/// Size and depth of a part of a schema, references followed.
#[derive(Clone, Copy)]
struct Extent {
    parts: usize,
    depth: usize,
}

/// Measures a schema before anything compiles it.
pub(super) struct Measure<'a> {
    root: &'a Value,
    /// What stands behind each reference; `None` while it is measured.
    behind: HashMap<&'a str, Option<Extent>>,
    /// How many regular expressions there are, and which.
    count: usize,
    patterns: BTreeSet<&'a str>,
}

/// What `$schema` may say.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

impl<'a> Measure<'a> {
    /// The regular expressions of a schema that is small enough.
    ///
    /// # Errors
    /// When it is not, or does not stand alone.
    pub(super) fn of(schema: &'a Value) -> Result<BTreeSet<&'a str>, InvalidSchema> {
        let mut measure = Self {
            root: schema,
            behind: HashMap::new(),
            count: 0,
            patterns: BTreeSet::new(),
        };
        measure.extent(schema, 0)?;
        Ok(measure.patterns)
    }

    fn extent(&mut self, part: &'a Value, level: usize) -> Result<Extent, InvalidSchema> {
        let mut whole = Extent { parts: 1, depth: 1 };
        if level > MAX_DEPTH {
            return Err(InvalidSchema::TooDeep);
        }
        match part {
            Value::Array(items) => {
                for item in items {
                    let inner = self.extent(item, level + 1)?;
                    whole.add(inner)?;
                }
            }
            Value::Object(keys) => {
                for (key, value) in keys {
                    self.check_keyword(key, value, level)?;
                    let inner = match (key.as_str(), value) {
                        ("$ref", Value::String(to)) => self.behind(to, level)?,
                        _ => self.extent(value, level + 1)?,
                    };
                    whole.add(inner)?;
                }
            }
            _ => {}
        }
        Ok(whole)
    }

    fn check_keyword(
        &mut self,
        key: &str,
        value: &'a Value,
        level: usize,
    ) -> Result<(), InvalidSchema> {
        match (key, value) {
            // They change what a reference means.
            ("$dynamicRef", Value::String(_)) => Err(InvalidSchema::Keyword("`$dynamicRef`")),
            ("$recursiveRef", Value::String(_)) => Err(InvalidSchema::Keyword("`$recursiveRef`")),
            ("$id", Value::String(_)) if level > 0 => {
                Err(InvalidSchema::Keyword("`$id` below its top"))
            }
            // Another draft has other keywords, and other meanings of these.
            ("$schema", Value::String(draft))
                if level > 0 || draft.trim_end_matches('#') != DRAFT =>
            {
                Err(InvalidSchema::Keyword(
                    "`$schema` of another draft than 2020-12",
                ))
            }
            // What they are about is checked once more at each level.
            ("unevaluatedProperties", Value::Bool(_) | Value::Object(_)) => {
                Err(InvalidSchema::Keyword("`unevaluatedProperties`"))
            }
            ("unevaluatedItems", Value::Bool(_) | Value::Object(_)) => {
                Err(InvalidSchema::Keyword("`unevaluatedItems`"))
            }
            ("pattern", Value::String(pattern)) => self.keep_pattern(pattern),
            ("patternProperties", Value::Object(parts)) => {
                let mut patterns = parts.keys();
                patterns.try_for_each(|pattern| self.keep_pattern(pattern))
            }
            _ => Ok(()),
        }
    }

    fn keep_pattern(&mut self, pattern: &'a str) -> Result<(), InvalidSchema> {
        self.count += 1;
        self.patterns.insert(pattern);
        if self.count > MAX_PATTERNS {
            return Err(InvalidSchema::Patterns);
        }
        Ok(())
    }

    fn behind(&mut self, to: &'a str, level: usize) -> Result<Extent, InvalidSchema> {
        match self.behind.get(to) {
            Some(Some(extent)) => return Ok(*extent),
            Some(None) => return Err(InvalidSchema::Recursive(to.to_owned())),
            None => {}
        }
        let outside = || InvalidSchema::Reference(to.to_owned());
        let pointer = to.strip_prefix('#').ok_or_else(outside)?;
        // An escaped path would be read in one way here and in another there.
        if pointer.contains('%') {
            return Err(outside());
        }
        let target = self.root.pointer(pointer).ok_or_else(outside)?;
        self.behind.insert(to, None);
        let extent = self.extent(target, level + 1)?;
        self.behind.insert(to, Some(extent));
        Ok(extent)
    }
}

impl Extent {
    fn add(&mut self, inner: Self) -> Result<(), InvalidSchema> {
        self.parts = self.parts.saturating_add(inner.parts);
        self.depth = self.depth.max(inner.depth + 1);
        if self.parts > MAX_PARTS {
            return Err(InvalidSchema::TooLarge);
        }
        if self.depth > MAX_DEPTH {
            return Err(InvalidSchema::TooDeep);
        }
        Ok(())
    }
}
