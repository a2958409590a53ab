//! JSON for people: what fits on a line is on one.

use std::fmt::Write;

use serde_json::Value;

/// Columns of a line.
const WIDTH: usize = 100;

/// A value over as many lines as it needs; lines after the first begin with
/// `indent` spaces at least.
pub(super) fn pretty(value: &Value, indent: usize) -> String {
    let mut text = String::new();
    write(&mut text, value, indent, indent);
    text
}

/// `before` are the columns that are taken when the value begins.
fn write(text: &mut String, value: &Value, indent: usize, before: usize) {
    let inner = indent + 2;
    let room = WIDTH.saturating_sub(before);
    match value {
        Value::Object(keys) if !keys.is_empty() && !fits(value, room) => {
            text.push('{');
            for (place, (key, value)) in keys.iter().enumerate() {
                let key = Value::from(key.as_str()).to_string();
                new_line(text, place > 0, inner);
                let _ = write!(text, "{key}: ");
                write(text, value, inner, inner + key.chars().count() + 2);
            }
            new_line(text, false, indent);
            text.push('}');
        }
        Value::Array(items) if items.iter().all(Value::is_number) && !fits(value, room) => {
            fill(text, items, indent);
        }
        Value::Array(items) if !items.is_empty() && !fits(value, room) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                new_line(text, place > 0, inner);
                write(text, item, inner, inner);
            }
            new_line(text, false, indent);
            text.push(']');
        }
        _ => one_line(text, value),
    }
}

/// Many numbers, as many on each line as fit.
fn fill(text: &mut String, numbers: &[Value], indent: usize) {
    text.push('[');
    let mut column = WIDTH;
    for (place, number) in numbers.iter().enumerate() {
        let number = number.to_string();
        // With the space before it and the comma behind it.
        column += number.len() + 2;
        if column > WIDTH {
            new_line(text, place > 0, indent + 2);
            column = indent + 2 + number.len() + 1;
        } else {
            text.push_str(", ");
        }
        text.push_str(&number);
    }
    new_line(text, false, indent);
    text.push(']');
}

fn new_line(text: &mut String, comma: bool, indent: usize) {
    let comma = if comma { "," } else { "" };
    let _ = write!(text, "{comma}\n{:indent$}", "");
}

/// Whether a value is written in one line of so many columns, a comma behind
/// it included.
fn fits(value: &Value, room: usize) -> bool {
    columns(value, room).is_some()
}

/// The room that a value leaves of `room`, if it has enough.
fn columns(value: &Value, room: usize) -> Option<usize> {
    let brackets = |room: usize| room.checked_sub(2);
    match value {
        Value::Object(keys) => keys.iter().try_fold(brackets(room)?, |room, (key, value)| {
            let key = Value::from(key.as_str()).to_string();
            let room = room.checked_sub(key.chars().count() + 4)?;
            columns(value, room)
        }),
        Value::Array(items) => items.iter().try_fold(brackets(room)?, |room, item| {
            columns(item, room.checked_sub(2)?)
        }),
        other => room.checked_sub(other.to_string().chars().count()),
    }
}

fn one_line(text: &mut String, value: &Value) {
    match value {
        Value::Object(keys) => {
            text.push('{');
            for (place, (key, value)) in keys.iter().enumerate() {
                let comma = if place > 0 { ", " } else { "" };
                let _ = write!(text, "{comma}{}: ", Value::from(key.as_str()));
                one_line(text, value);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place > 0 { ", " } else { "" });
                one_line(text, item);
            }
            text.push(']');
        }
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_fits_on_a_line_is_on_one_and_what_is_read_back_is_the_same() {
        let long = "a long text ".repeat(8);
        let value = json!({
            "input": {"question": "why?", "chunks": [1, 2.5, null]},
            "calls": [{"call": "clock.sleep-ms", "args": {"ms": 1000}}, {"text": long, "empty": []}],
        });
        let text = pretty(&value, 0);
        assert_eq!(
            text,
            format!(
                r#"{{
  "input": {{"question": "why?", "chunks": [1, 2.5, null]}},
  "calls": [
    {{"call": "clock.sleep-ms", "args": {{"ms": 1000}}}},
    {{
      "text": "{long}",
      "empty": []
    }}
  ]
}}"#
            )
        );
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn many_numbers_share_their_lines() {
        let numbers: Vec<_> = (0..50).map(|n| json!(n)).collect();
        assert_eq!(
            pretty(&json!({ "embedding": numbers }), 0),
            "{
  \"embedding\": [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49
  ]
}"
        );
    }

    #[test]
    fn no_line_of_many_values_is_longer_than_its_width() {
        let items: Vec<_> = (0..40).map(|n| json!({"n": n, "ü": vec![n; 20]})).collect();
        let text = pretty(&json!({ "items": items }), 4);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }
}
