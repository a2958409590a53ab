//! What was expected against what came of it.
//!
//! There is one comparison: what came of it is written as the expectation
//! would write it, with its wildcards where they hold and without what it
//! leaves out. The two texts are equal when it holds; else their difference is
//! what is shown, and what came of it so written is the new expectation.

use serde_json::Value;

use crate::signal::Object;

/// Stands for any value.
const ANY: &str = "$any";
/// Begins a pattern of a text.
const TEXT: &str = "$text:";
/// Last in a list, or a key of an object: there may be more.
pub(super) const REST: &str = "$rest";

/// How much of a part is compared.
pub(super) enum Shape {
    /// All.
    Whole,
    /// An object's keys that are expected, each by its own shape or as a whole.
    Keys(&'static [(&'static str, Shape)]),
    /// As `Keys`, of which all are shown when one that is expected is not
    /// there: the keys tell one kind of thing from another.
    Kinds(&'static [(&'static str, Shape)]),
    /// Of an object with any keys, those that are expected.
    Named(&'static Shape),
    /// A list's items.
    Each(&'static Shape),
}

/// The shape of an expectation.
pub(super) const EXPECTATION: Shape = Shape::Keys(&[
    (
        "reply",
        Shape::Kinds(&[
            ("clarification", Shape::Keys(&[])),
            ("permission", Shape::Keys(&[])),
            ("failure", Shape::Keys(&[])),
            ("end", Shape::Keys(&[])),
        ]),
    ),
    ("calls", Shape::Each(&Shape::Keys(&[]))),
    ("engrams", Shape::Named(&Shape::Each(&Shape::Keys(&[])))),
    ("signals", Shape::Each(&Shape::Keys(&[]))),
    ("log", Shape::Each(&Shape::Keys(&[]))),
]);

/// What was got as `expected` would write it.
pub(super) fn written_as(shape: &Shape, expected: &Value, got: &Value) -> Value {
    if let Value::String(text) = expected
        && holds(text, got)
    {
        return expected.clone();
    }
    match (shape, expected, got) {
        (Shape::Keys(shapes), Value::Object(expected), Value::Object(got)) => {
            Value::Object(keys(shapes, expected, got))
        }
        (Shape::Kinds(shapes), Value::Object(expected), Value::Object(got)) => {
            let mut written = keys(shapes, expected, got);
            if written.len() < expected.len() {
                for (key, value) in got {
                    written.entry(key).or_insert_with(|| plain(value));
                }
            }
            Value::Object(written)
        }
        (Shape::Named(shape), Value::Object(expected), Value::Object(got)) => {
            let known = expected.iter().filter_map(|(key, expected)| {
                let got = got.get(key)?;
                Some((key.clone(), written_as(shape, expected, got)))
            });
            Value::Object(known.collect())
        }
        (Shape::Each(shape), Value::Array(expected), Value::Array(got)) => {
            Value::Array(list(shape, expected, got))
        }
        (Shape::Whole, Value::Object(expected), Value::Object(got)) => {
            Value::Object(whole_object(expected, got))
        }
        (Shape::Whole, Value::Array(expected), Value::Array(got)) => {
            Value::Array(whole_list(expected, got))
        }
        (_, Value::Number(one), Value::Number(other)) if is_same_number(one, other) => {
            expected.clone()
        }
        _ => plain(got),
    }
}

/// A value as an expectation writes it that leaves nothing open, but the
/// numbers of embeddings, which nobody reads.
pub(super) fn plain(got: &Value) -> Value {
    match got {
        Value::String(text) if text.starts_with('$') => Value::String(format!("${text}")),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Object(keys) => Value::Object(
            keys.iter()
                .map(|(key, value)| match value {
                    Value::Array(numbers) if key == "embedding" && are_numbers(numbers) => {
                        (key.clone(), Value::from(ANY))
                    }
                    _ => (key.clone(), plain(value)),
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

fn are_numbers(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(Value::is_number)
}

/// Whether a text that is expected stands for `got`.
fn holds(expected: &str, got: &Value) -> bool {
    if expected == ANY {
        return true;
    }
    let Value::String(got) = got else {
        return false;
    };
    match (expected.strip_prefix(TEXT), expected.strip_prefix('$')) {
        (Some(pattern), _) => matches(pattern, got),
        // `$$` is how a text begins that begins with `$`.
        (None, Some(literal)) => literal.starts_with('$') && literal == got,
        (None, None) => expected == got,
    }
}

/// Whether a text fits a pattern, in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What is wrong with a text as a wildcard, if it is none of them.
pub(super) fn problem_of(text: &str) -> Option<String> {
    let known =
        !text.starts_with('$') || text.starts_with("$$") || text == ANY || text.starts_with(TEXT);
    (!known).then(|| {
        format!(
            "{text:?} is no wildcard here; there are \"{ANY}\" and \"{TEXT}PATTERN\", and \
             \"{REST}\" at the end of a list; the text itself is written \"${text}\""
        )
    })
}

/// `1`, `1.0` and `1e0` are one number; integers are told apart to the last
/// digit.
fn is_same_number(one: &serde_json::Number, other: &serde_json::Number) -> bool {
    let is_whole = |number: &serde_json::Number| number.is_i64() || number.is_u64();
    if one == other || is_whole(one) && is_whole(other) {
        return one == other;
    }
    one.as_f64() == other.as_f64()
}

fn keys(shapes: &[(&str, Shape)], expected: &Object, got: &Object) -> Object {
    let shape = |key: &str| {
        let found = shapes.iter().find(|(name, _)| *name == key);
        found.map_or(&Shape::Whole, |(_, shape)| shape)
    };
    let known = expected.iter().filter_map(|(key, expected)| {
        let written = match got.get(key) {
            Some(got) => written_as(shape(key), expected, got),
            // Nothing is there, as expected.
            None if expected.is_null() => Value::Null,
            None => return None,
        };
        Some((key.clone(), written))
    });
    known.collect()
}

fn whole_object(expected: &Object, got: &Object) -> Object {
    let mut written = keys(&[], expected, got);
    // Null is a value in free JSON: a key that is not there does not have it.
    written.retain(|key, _| got.contains_key(key));
    if let Some(any) = expected.get(REST) {
        written.insert(REST.to_owned(), any.clone());
        return written;
    }
    for (key, value) in got {
        written.entry(key).or_insert_with(|| plain(value));
    }
    written
}

fn whole_list(expected: &[Value], got: &[Value]) -> Vec<Value> {
    match expected.split_last() {
        Some((rest, known)) if rest == REST => {
            let first = got.get(..known.len()).unwrap_or(got);
            let mut written = list(&Shape::Whole, known, first);
            written.push(rest.clone());
            written
        }
        _ => list(&Shape::Whole, expected, got),
    }
}

/// Items are compared with each other from both ends as far as they are equal;
/// what is between, in order.
fn list(shape: &Shape, expected: &[Value], got: &[Value]) -> Vec<Value> {
    let is_equal =
        |(expected, got): &(&Value, &Value)| written_as(shape, expected, got) == **expected;
    let front = expected.iter().zip(got).take_while(is_equal).count();
    let (_, expected_rest) = expected.split_at(front);
    let (_, got_rest) = got.split_at(front);
    let ends = expected_rest.iter().rev().zip(got_rest.iter().rev());
    let back = ends.take_while(is_equal).count();
    let (middle, _) = expected_rest.split_at(expected_rest.len() - back);
    let (got_middle, _) = got_rest.split_at(got_rest.len() - back);
    let both = middle.iter().zip(got_middle);
    let changed = both.map(|(expected, got)| written_as(shape, expected, got));
    let more = got_middle.iter().skip(middle.len()).map(plain);
    let (first, _) = expected.split_at(front);
    let (_, last) = expected.split_at(expected.len() - back);
    first
        .iter()
        .cloned()
        .chain(changed)
        .chain(more)
        .chain(last.iter().cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole(expected: Value, got: Value) -> Value {
        written_as(&Shape::Whole, &expected, &got)
    }

    #[test]
    fn wildcards_stay_where_they_hold() {
        let expected = json!({
            "id": "$text:eng_*", "at": "$any", "n": 1, "price": "$$5",
            "list": [1, "$rest"], "more": {"a": 1, "$rest": "$any"},
        });
        let got = json!({
            "more": {"b": 2, "a": 1.0}, "list": [1, 2, 3], "n": 1.0, "price": "$5",
            "at": [true], "id": "eng_01",
        });
        assert_eq!(whole(expected.clone(), got), expected);
    }

    #[test]
    fn what_does_not_hold_is_written_as_it_is() {
        assert_eq!(whole(json!("$text:eng_*"), json!("evt_1")), json!("evt_1"));
        assert_eq!(whole(json!("$text:a"), json!(7)), json!(7));
        assert_eq!(whole(json!("$any"), json!("$any")), json!("$any"));
        assert_eq!(whole(json!("x"), json!("$any")), json!("$$any"));
        assert_eq!(whole(json!({"a": null}), json!({})), json!({}));
        assert_eq!(
            whole(json!({"a": 1, "$rest": "$any"}), json!({"a": 2, "b": 3})),
            json!({"a": 2, "$rest": "$any"})
        );
        assert_eq!(
            whole(json!([1, 2, "$rest"]), json!([1])),
            json!([1, "$rest"])
        );
    }

    #[test]
    fn a_pattern_fits_a_text_as_a_whole() {
        for (pattern, text, fits) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*a", "a", false),
            ("*needs*leave*", "it needs your leave.", true),
            ("*needs*leave", "it needs your leave.", false),
            ("**", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn whole_numbers_are_told_apart_to_the_last_digit() {
        let large = 9_007_199_254_740_993_u64;
        assert_eq!(whole(json!(large), json!(large - 1)), json!(large - 1));
    }

    #[test]
    fn an_item_more_or_less_leaves_the_others_what_they_are() {
        let calls = json!([{"call": "a", "id": "$any"}, {"call": "b", "id": "$any"}]);
        let got = json!([
            {"call": "a", "id": 1}, {"call": "new", "id": 2}, {"call": "b", "id": 3},
        ]);
        let written = whole(calls.clone(), got);
        assert_eq!(
            written,
            json!([{"call": "a", "id": "$any"}, {"call": "new", "id": 2}, {"call": "b", "id": "$any"}])
        );
        assert_eq!(
            whole(calls, json!([{"call": "b", "id": 3}])),
            json!([{"call": "b", "id": "$any"}])
        );
    }

    #[test]
    fn parts_that_are_left_out_of_an_expectation_are_not_compared() {
        let got = json!({
            "reply": {"failure": {"code": "A", "message": "words", "recoverable": false}},
            "calls": [{"call": "engram.recall", "args": {"binding": "notes"}}],
            "log": [{"level": "info", "message": "on"}],
        });
        let expected = json!({
            "reply": {"failure": {"code": "A"}},
            "calls": [{"call": "engram.recall"}],
        });
        let written = written_as(&EXPECTATION, &expected, &got);
        assert_eq!(written, expected);
        let other = json!({"reply": {"output": {"a": 1}, "route": "on"}});
        assert_eq!(
            written_as(&EXPECTATION, &other, &got),
            json!({"reply": got.get("reply")})
        );
    }

    #[test]
    fn embeddings_are_written_as_a_wildcard_unless_they_are_expected() {
        let got = json!({"entry": {"embedding": [0.5, 1]}});
        assert_eq!(plain(&got), json!({"entry": {"embedding": "$any"}}));
        let exact = json!({"entry": {"embedding": [0.5, 1.0]}});
        assert_eq!(whole(exact.clone(), got), exact);
    }
}
