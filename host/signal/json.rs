//! Small helpers around JSON values.

use serde_json::Value;

/// The kind of a JSON value, with its article.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Appends the JSON text of `value`.
pub(super) fn put<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Cannot fail: a Vec takes every write, and the maps that get here have string keys.
    let written = serde_json::to_writer(out, value);
    debug_assert!(written.is_ok(), "JSON values always serialise");
}
