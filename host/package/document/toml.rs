//! Where everything stands in a TOML text.

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Spans, escaped};

/// What is wrong, and where that can be said.
type Wrong = (Option<Range<usize>>, String);

/// A text with the places of its values, by JSON pointer.
pub(super) struct Located {
    pub(super) value: Value,
    pub(super) spans: BTreeMap<String, Spans>,
    /// Wrong syntax, and values that nothing here can be.
    pub(super) wrong: Vec<Wrong>,
}

/// Reads a TOML text, as far as it is one.
pub(super) fn read(text: &str) -> Located {
    let (table, errors) = DeTable::parse_recoverable(text);
    let wrong = errors
        .iter()
        .map(|error| (error.span(), error.message().to_owned()));
    let mut reader = Reader {
        spans: BTreeMap::new(),
        wrong: wrong.collect(),
    };
    let value = Value::Object(reader.table(table.get_ref(), ""));
    Located {
        value,
        spans: reader.spans,
        wrong: reader.wrong,
    }
}

/// Turns the parser's tree into values, and keeps where they stood.
struct Reader {
    spans: BTreeMap<String, Spans>,
    wrong: Vec<Wrong>,
}

impl Reader {
    fn table(&mut self, table: &DeTable<'_>, pointer: &str) -> Map<String, Value> {
        let mut object = Map::new();
        for (key, value) in table {
            let at = format!("{pointer}/{}", escaped(key.get_ref()));
            let spans = Spans {
                key: key.span(),
                value: value.span(),
            };
            self.spans.insert(at.clone(), spans);
            object.insert(key.get_ref().to_string(), self.value(value, &at));
        }
        object
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, pointer: &str) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(is) => Value::Bool(*is),
            DeValue::Integer(number) => {
                match i64::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::from(number),
                    Err(_) => self.unfit(value, "this number is too large"),
                }
            }
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Value::from(number),
                _ => self.unfit(value, "this number is not finite"),
            },
            DeValue::Datetime(_) => self.unfit(value, "no date is expected anywhere"),
            DeValue::Array(items) => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    let at = format!("{pointer}/{index}");
                    let span = item.span();
                    let spans = Spans {
                        key: span.clone(),
                        value: span,
                    };
                    self.spans.insert(at.clone(), spans);
                    self.value(item, &at)
                });
                Value::Array(items.collect())
            }
            DeValue::Table(table) => Value::Object(self.table(table, pointer)),
        }
    }

    fn unfit(&mut self, value: &Spanned<DeValue<'_>>, message: &str) -> Value {
        self.wrong.push((Some(value.span()), message.to_owned()));
        Value::Null
    }
}
