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

pub(crate) fn size_of_object(object: &Object) -> Size {
    const SLOT: usize = size_of::<(String, Value)>() + 2 * size_of::<usize>();
    let empty = Size { memory: 0, text: 2 };
    object.iter().fold(empty, |sum, (key, value)| {
        let value = size_of_value(value);
        Size {
            memory: sum.memory + SLOT + key.len() + value.memory,
            text: sum.text + key.len() + 4 + value.text,
        }
    })
}
