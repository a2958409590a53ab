//! Where everything stands in a TOML text.

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Map, Value};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::places::{MAX_KEY, Node, Spans, Within};

/// What is wrong, and where that can be said.
type Wrong = (Option<Range<usize>>, String);

/// A text with the places of its values.
pub(super) struct Located {
    pub(super) value: Value,
    pub(super) within: Within,
    /// Wrong syntax, and values that nothing here can be.
    pub(super) wrong: Vec<Wrong>,
}

/// Reads a TOML text, as far as it is one.
pub(super) fn read(text: &str) -> Located {
    let (table, errors) = DeTable::parse_recoverable(text);
    let wrong = errors
        .iter()
        .map(|error| (error.span(), error.message().to_owned()));
    let mut reader = Reader(wrong.collect());
    let (object, within) = reader.table(table.get_ref());
    Located {
        value: Value::Object(object),
        within,
        wrong: reader.0,
    }
}

/// Turns the parser's tree into values, and keeps where they stood.
struct Reader(Vec<Wrong>);

impl Reader {
    fn table(&mut self, table: &DeTable<'_>) -> (Map<String, Value>, Within) {
        let mut object = Map::new();
        let mut keys = BTreeMap::new();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            if name.len() > MAX_KEY {
                let message = format!("this key has more than {MAX_KEY} bytes");
                self.0.push((Some(key.span()), message));
            }
            let spans = Spans {
                key: key.span(),
                value: value.span(),
            };
            let (value, within) = self.value(value);
            keys.insert(name.clone(), Node { spans, within });
            object.insert(name, value);
        }
        (object, Within::Table(keys))
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> (Value, Within) {
        let simple = match value.get_ref() {
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
                let items = items.iter().map(|item| {
                    let spans = Spans {
                        key: item.span(),
                        value: item.span(),
                    };
                    let (value, within) = self.value(item);
                    (value, Node { spans, within })
                });
                let (values, nodes) = items.unzip();
                return (Value::Array(values), Within::List(nodes));
            }
            DeValue::Table(table) => {
                let (object, within) = self.table(table);
                return (Value::Object(object), within);
            }
        };
        (simple, Within::Nothing)
    }

    fn unfit(&mut self, value: &Spanned<DeValue<'_>>, message: &str) -> Value {
        self.0.push((Some(value.span()), message.to_owned()));
        Value::Null
    }
}
