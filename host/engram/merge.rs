//! The deep merge of the `merge` operation (Cosmonapse wire v1): objects are
//! merged key by key, lists joined without repeats, anything else replaced.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::Hash;

use serde_json::Value;

use crate::signal::Object;

/// `old` changed by `new`.
pub(super) fn merge_values(old: &Value, new: Value) -> Value {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => Value::Object(merge_objects(old, new)),
        (Value::Array(old), Value::Array(new)) => {
            Value::Array(join(old, new, |item| item.to_string()))
        }
        (_, new) => new,
    }
}

/// `old` with the keys of `new` merged in; new keys come last.
pub(super) fn merge_objects(old: &Object, new: Object) -> Object {
    let mut merged = old.clone();
    for (key, value) in new {
        let value = match merged.get(&key) {
            Some(before) => merge_values(before, value),
            None => value,
        };
        merged.insert(key, value);
    }
    merged
}

/// `old` and those of `new` that are not there yet.
pub(super) fn unite(old: &[String], new: Vec<String>) -> Vec<String> {
    join(old, new, String::clone)
}

/// Both lists after one another, of equal items only the first. Items are
/// equal when their JSON texts are: 1 and 1.0 differ.
fn join<T: Clone, K: Hash + Eq>(old: &[T], new: Vec<T>, text: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = HashSet::with_capacity_and_hasher(old.len() + new.len(), RandomState::new());
    let all = old.iter().cloned().chain(new);
    all.filter(|item| seen.insert(text(item))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_merge_by_key_lists_join_without_repeats_scalars_are_replaced() {
        let old = json!({"a": {"x": 1, "y": [1, 2]}, "b": "old", "c": [1, 1, {"k": 1}]});
        let new = json!({"a": {"y": [2, 3], "z": null}, "b": 5, "c": [1.0, {"k": 1}, {"k": 2}]});
        let merged = merge_values(&old, new);
        let expected = json!({
            "a": {"x": 1, "y": [1, 2, 3], "z": null},
            "b": 5,
            "c": [1, {"k": 1}, 1.0, {"k": 2}],
        });
        assert_eq!(merged.to_string(), expected.to_string());
    }

    #[test]
    fn values_of_different_kinds_are_replaced() {
        assert_eq!(merge_values(&json!({"a": 1}), json!([1])), json!([1]));
        assert_eq!(merge_values(&json!([1]), json!({"a": 1})), json!({"a": 1}));
        assert_eq!(merge_values(&json!({"a": 1}), json!(null)), json!(null));
    }

    #[test]
    fn tags_are_united_in_order() {
        let old = ["a".to_owned(), "b".to_owned()];
        let new = vec!["b".to_owned(), "c".to_owned()];
        assert_eq!(unite(&old, new), ["a", "b", "c"]);
    }
}
