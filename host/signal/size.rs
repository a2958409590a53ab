//! How much room a JSON value takes: an estimate from lengths, made by walking
//! it once, without serialising it.
//!
//! It leaves open what the allocator adds and the capacity that containers hold
//! in reserve.

use std::mem::size_of;

use serde_json::Value;

use super::Object;

/// What quotas are charged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes in memory beyond the value itself.
    pub(crate) memory: usize,
    /// Bytes of its JSON text.
    pub(crate) text: usize,
}

pub(crate) fn size_of_value(value: &Value) -> Size {
    let size = |memory, text| Size { memory, text };
    match value {
        Value::Null | Value::Bool(_) => size(0, 5),
        Value::Number(number) => size(number.as_str().len(), number.as_str().len()),
        Value::String(text) => size(text.len(), text.len() + 2),
        Value::Array(items) => items.iter().fold(size(0, 2), |sum, item| {
            let item = size_of_value(item);
            size(
                sum.memory + size_of::<Value>() + item.memory,
                sum.text + item.text + 1,
            )
        }),
        Value::Object(object) => size_of_object(object),
    }
}

/// What an object's entry takes beside its key and what the value holds.
const SLOT: usize = size_of::<(String, Value)>() + 2 * size_of::<usize>();

/// Bytes in memory of one entry of an object.
pub(crate) fn size_of_entry(key: &str, value: &Value) -> usize {
    SLOT + key.len() + size_of_value(value).memory
}

/// Whether a value is nested deeper than `most`: lists and objects count.
pub(crate) fn is_deeper(value: &Value, most: usize) -> bool {
    let Some(left) = most.checked_sub(1) else {
        return matches!(value, Value::Array(_) | Value::Object(_));
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, left)),
        Value::Object(object) => object.values().any(|value| is_deeper(value, left)),
        _ => false,
    }
}

pub(crate) fn size_of_object(object: &Object) -> Size {
    let empty = Size { memory: 0, text: 2 };
    object.iter().fold(empty, |sum, (key, value)| {
        let value = size_of_value(value);
        Size {
            memory: sum.memory + SLOT + key.len() + value.memory,
            text: sum.text + key.len() + 4 + value.text,
        }
    })
}
