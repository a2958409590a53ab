//! Dotted paths into a state.

use std::{fmt, str::FromStr, sync::Arc};

use serde_json::{Map, Value};

use crate::signal::Object;

/// A place in a state: keys of objects, from the outside in. A list is one
/// value: no path leads into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StatePath {
    first: Arc<str>,
    rest: Vec<Arc<str>>,
}

/// Text that is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PathError {
    #[error("`{0}` is no path: a path is keys with dots between them, such as `found.books`")]
    EmptyKey(String),
    #[error("a path has at most {MAX_KEYS} keys")]
    TooLong,
}

/// A value stands where an object is needed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` cannot be written: `{at}` is no object")]
pub(super) struct Blocked {
    path: String,
    at: Arc<str>,
}

const MAX_KEYS: usize = 32;

impl FromStr for StatePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        if text.split('.').any(str::is_empty) {
            return Err(PathError::EmptyKey(text.to_owned()));
        }
        if text.split('.').count() > MAX_KEYS {
            return Err(PathError::TooLong);
        }
        let mut keys = text.split('.').map(Arc::from);
        let first = keys.next().unwrap_or_else(|| text.into());
        let rest = keys.collect();
        Ok(Self { first, rest })
    }
}

impl fmt::Display for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)?;
        self.rest.iter().try_for_each(|key| write!(f, ".{key}"))
    }
}

impl StatePath {
    /// Stands for a path that was refused, in a plan that will be too.
    pub(super) fn placeholder() -> Self {
        Self {
            first: "".into(),
            rest: Vec::new(),
        }
    }

    /// Keys in it.
    pub(super) fn len(&self) -> usize {
        self.rest.len() + 1
    }

    pub(super) fn get<'a>(&self, state: &'a Object) -> Option<&'a Value> {
        let mut value = state.get(&*self.first)?;
        for key in &self.rest {
            value = value.get(&**key)?;
        }
        Some(value)
    }

    /// The value's place, made with all that is around it where it is missing.
    pub(super) fn entry<'a>(&self, state: &'a mut Object) -> Result<&'a mut Value, Blocked> {
        let mut value = state.entry(&*self.first).or_insert(Value::Null);
        let mut at = &self.first;
        for key in &self.rest {
            if value.is_null() {
                *value = Value::Object(Map::new());
            }
            let Value::Object(object) = value else {
                return Err(Blocked {
                    path: self.to_string(),
                    at: Arc::clone(at),
                });
            };
            value = object.entry(&**key).or_insert(Value::Null);
            at = key;
        }
        Ok(value)
    }

    pub(super) fn set(&self, state: &mut Object, value: Value) -> Result<(), Blocked> {
        *self.entry(state)? = value;
        Ok(())
    }

    /// Takes the value away.
    pub(super) fn remove(&self, state: &mut Object) -> Option<Value> {
        let Some((last, around)) = self.rest.split_last() else {
            return state.shift_remove(&*self.first);
        };
        let mut value = state.get_mut(&*self.first)?;
        for key in around {
            value = value.get_mut(&**key)?;
        }
        value.as_object_mut()?.shift_remove(&**last)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        value.as_object().unwrap().clone()
    }

    fn path(text: &str) -> StatePath {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_leads_through_objects() {
        let mut state = object(json!({"a": {"b": {"c": 1}}, "list": [1]}));
        assert_eq!(path("a.b.c").get(&state), Some(&json!(1)));
        assert_eq!(path("a.x").get(&state), None);
        assert_eq!(path("list.0").get(&state), None);
        assert_eq!(path("a.b.c").remove(&mut state), Some(json!(1)));
        assert_eq!(path("list").remove(&mut state), Some(json!([1])));
        assert_eq!(path("no.such").remove(&mut state), None);
        assert_eq!(Value::Object(state), json!({"a": {"b": {}}}));
    }

    #[test]
    fn what_is_missing_on_the_way_is_made_and_nothing_else_is_replaced() {
        let mut state = object(json!({"a": 1, "n": null}));
        path("b.c").set(&mut state, json!(2)).unwrap();
        path("n.x").set(&mut state, json!(3)).unwrap();
        let blocked = path("a.b").set(&mut state, json!(4)).unwrap_err();
        assert_eq!(
            blocked.to_string(),
            "`a.b` cannot be written: `a` is no object"
        );
        assert_eq!(
            Value::Object(state),
            json!({"a": 1, "n": {"x": 3}, "b": {"c": 2}})
        );
    }

    #[test]
    fn a_path_with_an_empty_key_is_none() {
        for text in ["", ".", "a.", ".a", "a..b"] {
            let error = text.parse::<StatePath>().unwrap_err();
            assert!(error.to_string().contains("is no path"), "{error}");
        }
        let long = ["a"; 33].join(".");
        assert_eq!(long.parse::<StatePath>(), Err(PathError::TooLong));
    }
}
