//! JSON schemas that come with a component. They are a stranger's, and are
//! checked on the host's own threads, where no fuel is counted and no STOP gets
//! in: so what one may cost is bounded before it is ever used, and what a check
//! costs is told to whoever pays for it.

mod measure;
mod toll;

use std::{
    fmt::{self, Write},
    sync::Arc,
};

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Value, json};

use self::{
    measure::Measure,
    toll::{Patterns, Toll},
};

/// A schema that stands alone and is cheap to check with.
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    text: Value,
    patterns: Patterns,
    validator: Validator,
}

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
    /// A keyword with which references could mean something else, or one that
    /// costs too much to check.
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

/// What a look at a value has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What does not fit: none if it does, at most five, the outermost first.
    pub misfits: Vec<Misfit>,
    /// What the look cost at most, in steps of some ten nanoseconds.
    pub steps: u64,
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

/// Steps of a check: a tenth of a second at the most.
const MAX_STEPS: u64 = 4_000_000;
/// Of one whose misfits are told: branches are looked at once more at each level,
/// and all misfits are collected before the first is told.
const MAX_STEPS_TOLD: u64 = 200_000;
const MAX_MISFITS: u64 = 20_000;

/// Misfits that are told.
const TOLD: usize = 5;
/// Bytes of a misfit that quotes the value, and of any.
const QUOTED: usize = 200;
const MAX_WORDS: usize = 4 * QUOTED;

impl Schema {
    /// Checks and compiles a schema.
    ///
    /// # Errors
    /// When it is none, or none that stands alone and within bounds.
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        let patterns = Measure::of(schema)?;
        let validator = compile(schema, PATTERN_BYTES).map_err(InvalidSchema::Unfit)?;
        let sizes = patterns
            .into_iter()
            .map(|pattern| (pattern.to_owned(), kibibytes(pattern)));
        Ok(Self(Arc::new(Compiled {
            text: schema.clone(),
            patterns: sizes.collect(),
            validator,
        })))
    }

    /// What in `value` does not fit: none if it does, at most five, the outermost
    /// first.
    pub fn misfits(&self, value: &Value) -> Vec<Misfit> {
        self.check(value).misfits
    }

    /// As [`Schema::misfits`], and what that cost. A value that is too large to
    /// be checked does not fit, whatever it is.
    pub fn check(&self, value: &Value) -> Checked {
        let Compiled {
            text,
            patterns,
            validator,
        } = &*self.0;
        let Some(cost) = Toll::of(text, patterns, value, MAX_STEPS) else {
            let words = format!("it is too large to be checked in {MAX_STEPS} steps");
            return Checked {
                misfits: vec![Misfit::of_all(words)],
                steps: MAX_STEPS,
            };
        };
        let mut misfits = Vec::new();
        if !validator.is_valid(value) {
            if cost.steps > MAX_STEPS_TOLD || cost.misfits > MAX_MISFITS {
                misfits.push(Misfit::of_all(
                    "it is too large to be told where".to_owned(),
                ));
            } else {
                misfits.extend(
                    validator
                        .iter_errors(value)
                        .take(TOLD)
                        .map(|one| told(&one)),
                );
                misfits.sort_by(|one, other| one.pointer.cmp(&other.pointer));
            }
        }
        Checked {
            misfits,
            steps: cost.steps,
        }
    }
}

impl Checked {
    /// What does not fit, in words; `None` if all does.
    pub fn unfit(&self) -> Option<String> {
        let words: Vec<_> = self.misfits.iter().map(Misfit::to_string).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

impl Misfit {
    /// About the value itself.
    fn of_all(message: String) -> Self {
        Self {
            pointer: String::new(),
            message,
        }
    }
}

/// A validator whose regular expressions take linear time and little memory.
fn compile(schema: &Value, pattern_bytes: usize) -> Result<Validator, String> {
    let linear = PatternOptions::regex()
        .size_limit(pattern_bytes)
        .dfa_size_limit(PATTERN_BYTES);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_pattern_options(linear)
        .offline()
        .build(schema)
        .map_err(|error| told(&error).to_string())
}

/// How large a regular expression is when it is compiled, rounded up to a power
/// of two: the time that it takes for a byte grows with that.
fn kibibytes(pattern: &str) -> u64 {
    let schema = json!({"pattern": pattern});
    let mut size = 1_usize;
    while size << 10 < PATTERN_BYTES && compile(&schema, size << 10).is_err() {
        size *= 2;
    }
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn told(error: &jsonschema::ValidationError<'_>) -> Misfit {
    let mut words = Words::at_most(QUOTED);
    if write!(words, "{error}").is_err() {
        words = Words::at_most(MAX_WORDS);
        // What there is too much of is cut.
        let _ = write!(words, "{}", error.masked_with("it"));
    }
    Misfit {
        pointer: error.instance_path().as_str().to_owned(),
        message: words.text,
    }
}

/// Takes so many bytes, and then no more.
struct Words {
    text: String,
    most: usize,
}

impl Words {
    fn at_most(most: usize) -> Self {
        Self {
            text: String::new(),
            most,
        }
    }
}

impl Write for Words {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.most.saturating_sub(self.text.len());
        if more.len() <= room {
            self.text.push_str(more);
            return Ok(());
        }
        let (fits, _) = more.split_at(more.floor_char_boundary(room));
        self.text.push_str(fits);
        self.text.push('…');
        Err(fmt::Error)
    }
}
