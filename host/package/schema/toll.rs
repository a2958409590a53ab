//! What checking a value against a schema costs at most: the same walk, without
//! looking at what it finds.
//!
//! A step stands for what checking does of one keyword at one value, some ten
//! nanoseconds. What takes longer (regular expressions, long texts and numbers,
//! comparisons of whole values) is more steps.

use std::collections::HashMap;

use serde_json::Value;

/// Regular expressions of a schema with their sizes in KiB.
pub(super) type Patterns = HashMap<String, u64>;

/// Steps of a regular expression for a byte of text, by its size in KiB, where
/// it can do no better than to go through all its states.
const STEPS_OF_A_KIBIBYTE: u64 = 3;
/// Steps of a division that is exact to the last digit.
const STEPS_OF_A_DIVISION: u64 = 40;
/// How often a list's values are looked at until all are known to be different.
const LOOKS: u64 = 16;
/// Bytes that are copied or compared in a step, and digits that are read.
const BYTES: usize = 64;
const DIGITS: usize = 4;

/// Keywords that are read and say nothing about a value.
const SILENT: [&str; 8] = [
    "$defs",
    "definitions",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "contentSchema",
];

/// A walk through a value along a schema whose measure is taken, so that its
/// references end.
pub(super) struct Toll<'a> {
    schema: &'a Value,
    patterns: &'a Patterns,
    left: u64,
    /// What misfits there may be, and what of the value and the schema each
    /// carries along, [`BYTES`] at a time.
    misfits: u64,
    /// Bytes of the path to the value that is looked at.
    path: usize,
}

/// What a look at a value costs.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    /// At most so many steps.
    pub(super) steps: u64,
    /// At most so much to be held before the first misfit is told, in units of
    /// some hundred bytes.
    pub(super) misfits: u64,
}

impl<'a> Toll<'a> {
    /// The cost, if it is no more than `most` steps.
    pub(super) fn of(
        schema: &'a Value,
        patterns: &'a Patterns,
        value: &Value,
        most: u64,
    ) -> Option<Cost> {
        let mut toll = Self {
            schema,
            patterns,
            left: most,
            misfits: 0,
            path: 0,
        };
        toll.part(schema, value)?;
        Some(Cost {
            steps: most - toll.left,
            misfits: toll.misfits,
        })
    }

    fn pay(&mut self, steps: u64) -> Option<()> {
        self.left = self.left.checked_sub(steps)?;
        Some(())
    }

    /// Pays for what a misfit may carry along.
    fn hold(&mut self, steps: u64) -> Option<()> {
        self.misfits = self.misfits.saturating_add(steps);
        self.pay(steps)
    }

    /// A part of the schema at a value.
    fn part(&mut self, part: &Value, value: &Value) -> Option<()> {
        let own = match value {
            Value::String(text) => text.len() / BYTES,
            Value::Number(number) => number.as_str().len() / DIGITS,
            _ => 0,
        };
        self.pay(steps(own))?;
        self.hold(1)?;
        let keywords = part.as_object().into_iter().flatten();
        for (keyword, about) in keywords {
            self.keyword(keyword, about, value)?;
        }
        Some(())
    }

    fn keyword(&mut self, keyword: &str, about: &Value, value: &Value) -> Option<()> {
        self.hold(1 + steps(self.path / BYTES))?;
        match (keyword, about) {
            ("$ref", Value::String(to)) => {
                self.pay(size(about))?;
                let target = self.schema.pointer(to.strip_prefix('#')?)?;
                self.part(target, value)
            }
            ("allOf" | "anyOf" | "oneOf", Value::Array(parts)) => {
                let mut parts = parts.iter();
                parts.try_for_each(|part| self.part(part, value))
            }
            ("not" | "if" | "then" | "else", part) => self.part(part, value),
            ("dependentSchemas" | "dependencies", Value::Object(parts)) => {
                let mut parts = parts.values();
                parts.try_for_each(|part| self.part(part, value))
            }
            (
                "properties" | "patternProperties" | "additionalProperties" | "propertyNames",
                about,
            ) => self.members(keyword, about, value),
            ("items" | "prefixItems" | "contains", about) => self.items(about, value),
            (keyword, _) if SILENT.contains(&keyword) => Some(()),
            _ => self.simple(keyword, about, value),
        }
    }

    /// Keywords about what an object holds.
    fn members(&mut self, keyword: &str, about: &Value, value: &Value) -> Option<()> {
        let Value::Object(members) = value else {
            return Some(());
        };
        self.pay(steps(members.len()))?;
        match (keyword, about) {
            ("properties", Value::Object(parts)) => {
                self.pay(steps(parts.len()))?;
                for (name, part) in parts {
                    if let Some(member) = members.get(name) {
                        self.below(name.len(), part, member)?;
                    }
                }
            }
            ("patternProperties", Value::Object(parts)) => {
                for (pattern, part) in parts {
                    for (name, member) in members {
                        self.matching(pattern, name)?;
                        self.below(name.len(), part, member)?;
                    }
                }
            }
            ("propertyNames", part) => {
                for name in members.keys() {
                    self.hold(steps(name.len() / BYTES))?;
                    self.part(part, &Value::String(name.clone()))?;
                }
            }
            (_, part) => {
                for (name, member) in members {
                    self.hold(steps(name.len() / BYTES))?;
                    self.below(name.len(), part, member)?;
                }
            }
        }
        Some(())
    }

    /// Keywords about what a list holds.
    fn items(&mut self, about: &Value, value: &Value) -> Option<()> {
        /// Of an index in a path, about.
        const INDEX: usize = 8;
        let items = value.as_array().into_iter().flatten();
        match about {
            Value::Array(parts) => {
                let mut pairs = parts.iter().zip(items);
                pairs.try_for_each(|(part, item)| self.below(INDEX, part, item))
            }
            part => {
                let mut items = items;
                items.try_for_each(|item| self.below(INDEX, part, item))
            }
        }
    }

    /// A part at a value one level down.
    fn below(&mut self, name: usize, part: &Value, value: &Value) -> Option<()> {
        self.path += name + 1;
        let paid = self.part(part, value);
        self.path -= name + 1;
        paid
    }

    /// Keywords without parts of their own.
    fn simple(&mut self, keyword: &str, about: &Value, value: &Value) -> Option<()> {
        match (keyword, value) {
            ("pattern", Value::String(text)) => {
                self.hold(size(about))?;
                self.matching(about.as_str().unwrap_or_default(), text)
            }
            ("uniqueItems", Value::Array(_)) => self.pay(LOOKS.saturating_mul(size(value))),
            ("multipleOf", Value::Number(_)) => {
                let digits = size(value).saturating_add(size(about));
                // Long division takes the square of the digits.
                self.pay(STEPS_OF_A_DIVISION.saturating_add(digits.saturating_mul(digits)))
            }
            // They go through the whole text, to its end.
            ("minLength" | "maxLength", Value::String(text)) => self.pay(steps(text.len() / BYTES)),
            _ => self.hold(size(about)),
        }
    }

    fn matching(&mut self, pattern: &str, text: &str) -> Option<()> {
        let kibibytes = self.patterns.get(pattern).copied().unwrap_or(1);
        let bytes = steps(text.len()).saturating_add(steps(pattern.len() / BYTES));
        self.pay(
            bytes
                .saturating_mul(STEPS_OF_A_KIBIBYTE)
                .saturating_mul(kibibytes),
        )
    }
}

/// Steps to look at each value in a value once.
fn size(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) => 1,
        Value::Number(number) => 1 + steps(number.as_str().len() / DIGITS),
        Value::String(text) => 1 + steps(text.len() / BYTES),
        Value::Array(items) => items.iter().map(size).fold(1, u64::saturating_add),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| 1 + steps(name.len() / BYTES) + size(member))
            .fold(1, u64::saturating_add),
    }
}

fn steps(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
