//! How the value of one payload key is read and written.

use serde_json::{Number, Value};

use super::PayloadError;
use crate::signal::json::{kind_of, put};
use crate::signal::{Object, SignalType};

/// A value that can be written under a payload key.
pub(super) trait Field {
    fn to_value(&self) -> Value;
    fn write_json(&self, out: &mut Vec<u8>);
}

/// A value that can be read from under a payload key.
pub(super) trait Readable: Sized {
    /// What the key must hold, with its article.
    const EXPECTED: &'static str;

    /// Takes the value, or says what was found instead.
    fn read(value: Value) -> Result<Self, String>;

    /// Null under an optional key is the same as no key.
    fn read_optional(value: Value) -> Result<Option<Self>, String> {
        if value.is_null() {
            Ok(None)
        } else {
            Self::read(value).map(Some)
        }
    }
}

pub(super) fn required<T: Readable>(
    kind: SignalType,
    key: &'static str,
    value: Option<Value>,
) -> Result<T, PayloadError> {
    let expected = T::EXPECTED;
    let value = value.ok_or(PayloadError::Missing {
        kind,
        key,
        expected,
    })?;
    T::read(value).map_err(|found| PayloadError::WrongKind {
        kind,
        key,
        expected,
        found,
    })
}

pub(super) fn optional<T: Readable>(
    kind: SignalType,
    key: &'static str,
    value: Option<Value>,
) -> Result<Option<T>, PayloadError> {
    let Some(value) = value else { return Ok(None) };
    let expected = T::EXPECTED;
    T::read_optional(value).map_err(|found| PayloadError::WrongKind {
        kind,
        key,
        expected,
        found,
    })
}

pub(super) fn flag(
    kind: SignalType,
    key: &'static str,
    value: Option<Value>,
) -> Result<bool, PayloadError> {
    Ok(optional(kind, key, value)?.unwrap_or(false))
}

macro_rules! readable {
    ($kind:ty, $expected:literal, $value:ident => $read:expr) => {
        impl Readable for $kind {
            const EXPECTED: &'static str = $expected;

            fn read($value: Value) -> Result<Self, String> {
                $read
            }
        }
    };
}

macro_rules! writable {
    ($($kind:ty => |$this:ident| $to_value:expr;)*) => {$(
        impl Field for $kind {
            fn to_value(&self) -> Value {
                let $this = self;
                $to_value
            }

            fn write_json(&self, out: &mut Vec<u8>) {
                put(out, self);
            }
        }
    )*};
}

fn other<T>(value: &Value) -> Result<T, String> {
    Err(kind_of(value).to_owned())
}

fn list<T: Readable>(value: Value) -> Result<Vec<T>, String> {
    let Value::Array(items) = value else {
        return other(&value);
    };
    let read = |(index, item)| {
        T::read(item).map_err(|found| format!("a list with {found} at index {index}"))
    };
    items.into_iter().enumerate().map(read).collect()
}

readable!(Object, "an object", value => match value {
    Value::Object(object) => Ok(object),
    _ => other(&value),
});
readable!(String, "a string", value => match value {
    Value::String(text) => Ok(text),
    _ => other(&value),
});
readable!(bool, "true or false", value => match value {
    Value::Bool(truth) => Ok(truth),
    _ => other(&value),
});
readable!(Number, "a number", value => match value {
    Value::Number(number) => Ok(number),
    _ => other(&value),
});
readable!(u64, "a whole number from 0 to 2^64-1", value => match &value {
    Value::Number(number) => number.as_u64().ok_or_else(|| "another number".to_owned()),
    _ => other(&value),
});
readable!(Vec<String>, "a list of strings", value => list(value));
readable!(Vec<Object>, "a list of objects", value => list(value));
readable!(Vec<Value>, "a list", value => list(value));

impl Readable for Value {
    const EXPECTED: &'static str = "any value";

    fn read(value: Value) -> Result<Self, String> {
        Ok(value)
    }

    /// Null is a value like any other where any value may stand.
    fn read_optional(value: Value) -> Result<Option<Self>, String> {
        Ok(Some(value))
    }
}

writable! {
    Object => |object| Value::Object(object.clone());
    String => |text| Value::String(text.clone());
    bool => |truth| Value::Bool(*truth);
    Number => |number| Value::Number(number.clone());
    u64 => |number| Value::from(*number);
    Value => |value| value.clone();
    Vec<String> => |list| list.iter().map(String::as_str).collect();
    Vec<Object> => |list| list.iter().cloned().collect();
    Vec<Value> => |list| Value::Array(list.clone());
}
