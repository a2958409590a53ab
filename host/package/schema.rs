//! JSON schemas that come with a component. They are a stranger's, and are
//! checked on the host's own threads, where no fuel is counted and no STOP gets
//! in: so what one may cost is bounded before it is ever used.

use std::{collections::HashMap, fmt, sync::Arc};

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

/// A schema that stands alone and is cheap to check with.
#[derive(Clone)]
pub struct Schema(Arc<Validator>);

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}

/// Why a schema is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSchema {
    /// Against the rules of JSON schemas.
    #[error("is no JSON schema (draft 2020-12): {0}")]
    Unfit(String),
    /// It refers to something outside itself, or by another way than a path.
    #[error(
        "refers to {0:?}: only a path inside the schema, such as \"#/$defs/note\", is followed"
    )]
    Reference(String),
    /// A keyword with which references could mean something else.
    #[error("uses {0}, which is not taken")]
    Keyword(&'static str),
    /// A part that contains itself.
    #[error("contains itself through {0:?}: write down how deep it may go")]
    Recursive(String),
    /// Too much to check.
    #[error("is too large: it has more than {MAX_PARTS} values when its references are followed")]
    TooLarge,
    /// Too deep to check.
    #[error("is nested deeper than {MAX_DEPTH} levels when its references are followed")]
    TooDeep,
    /// Too many regular expressions.
    #[error("has more than {MAX_PATTERNS} regular expressions")]
    Patterns,
}

/// Something in a value that does not fit a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer; empty for the value itself.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Misfit {
    /// `at /question: 7 is not of type "string"`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.pointer.is_empty() {
            write!(f, "at {}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

/// JSON values of a schema, those behind references counted wherever they are
/// referred to.
const MAX_PARTS: usize = 5_000;
/// Levels of them: checking recurses.
const MAX_DEPTH: usize = 64;
/// Regular expressions, and the bytes of one when it is compiled.
const MAX_PATTERNS: usize = 64;
const PATTERN_BYTES: usize = 256 << 10;

/// Misfits that are told.
const TOLD: usize = 5;
/// Bytes of a misfit that quotes the value.
const QUOTED: usize = 200;

impl Schema {
    /// Checks and compiles a schema.
    ///
    /// # Errors
    /// When it is none, or none that stands alone and within bounds.
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        Measure::of(schema)?;
        let linear = PatternOptions::regex()
            .size_limit(PATTERN_BYTES)
            .dfa_size_limit(PATTERN_BYTES);
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(linear)
            .offline()
            .build(schema);
        match validator {
            Ok(validator) => Ok(Self(Arc::new(validator))),
            Err(error) => Err(InvalidSchema::Unfit(told(&error).to_string())),
        }
    }

    /// What in `value` does not fit: none if it does, at most five, the outermost
    /// first.
    pub fn misfits(&self, value: &Value) -> Vec<Misfit> {
        if self.0.is_valid(value) {
            return Vec::new();
        }
        let errors = self.0.iter_errors(value).take(TOLD);
        let mut misfits: Vec<_> = errors.map(|error| told(&error)).collect();
        misfits.sort_by(|one, other| one.pointer.cmp(&other.pointer));
        misfits
    }

    /// The same in words; `None` if it fits.
    pub fn unfit(&self, value: &Value) -> Option<String> {
        let misfits = self.misfits(value);
        let words: Vec<_> = misfits.iter().map(Misfit::to_string).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

fn told(error: &jsonschema::ValidationError<'_>) -> Misfit {
    let mut message = error.to_string();
    if message.len() > QUOTED {
        message = error.masked_with("it").to_string();
    }
    if message.len() > 4 * QUOTED {
        message.truncate(message.floor_char_boundary(4 * QUOTED));
        message.push('…');
    }
    let pointer = error.instance_path().as_str().to_owned();
    Misfit { pointer, message }
}

/// Size and depth of a part of a schema, references followed.
#[derive(Clone, Copy)]
struct Extent {
    parts: usize,
    depth: usize,
}

/// Measures a schema before anything compiles it.
struct Measure<'a> {
    root: &'a Value,
    /// What stands behind each reference; `None` while it is measured.
    behind: HashMap<&'a str, Option<Extent>>,
    patterns: usize,
}

impl<'a> Measure<'a> {
    fn of(schema: &'a Value) -> Result<(), InvalidSchema> {
        let mut measure = Self {
            root: schema,
            behind: HashMap::new(),
            patterns: 0,
        };
        measure.extent(schema, 0)?;
        Ok(())
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
        value: &Value,
        level: usize,
    ) -> Result<(), InvalidSchema> {
        match (key, value) {
            // They change what a reference means.
            ("$dynamicRef", Value::String(_)) => Err(InvalidSchema::Keyword("`$dynamicRef`")),
            ("$recursiveRef", Value::String(_)) => Err(InvalidSchema::Keyword("`$recursiveRef`")),
            ("$id", Value::String(_)) if level > 0 => {
                Err(InvalidSchema::Keyword("`$id` below its top"))
            }
            ("pattern", Value::String(_)) => self.count_patterns(1),
            ("patternProperties", Value::Object(patterns)) => self.count_patterns(patterns.len()),
            _ => Ok(()),
        }
    }

    fn count_patterns(&mut self, more: usize) -> Result<(), InvalidSchema> {
        self.patterns += more;
        if self.patterns > MAX_PATTERNS {
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
