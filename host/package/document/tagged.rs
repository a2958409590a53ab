//! Alternatives that one key tells apart.

use serde_json::Value;

use super::{Document, Problem, escaped, kind, list, table};

impl Document {
    /// What is wrong with a value that one key should tell the form of.
    pub(super) fn untagged(
        &self,
        pointer: &str,
        tag: &str,
        names: &[&str],
        shown: &Value,
    ) -> Problem {
        let names = list(names);
        let at = format!("{pointer}/{}", escaped(tag));
        match (shown, shown.get(tag)) {
            (Value::Object(_), Some(other)) => {
                self.told(&at, true, format!("{other} is none of {names}"))
            }
            (Value::Object(_), None) => {
                let message = format!("the key `{tag}` is missing; it is one of {names}");
                self.told(pointer, true, message)
            }
            (other, _) => {
                let message = format!(
                    "must be {}, not {}",
                    table(self.format),
                    kind(self.format, other)
                );
                self.told(pointer, true, message)
            }
        }
    }
}

/// The key by which alternatives are told apart, and what it is in each, where
/// there is one.
pub(super) fn tags(branches: &Value) -> Option<(&str, Vec<&str>)> {
    let branches = branches.as_array()?;
    let first = branches.first()?.get("properties")?.as_object()?;
    let mut tags = first.keys().filter_map(|tag| {
        let names = branches.iter().map(|branch| {
            let property = branch.get("properties")?.get(tag)?;
            property.get("const")?.as_str()
        });
        Some((tag.as_str(), names.collect::<Option<Vec<_>>>()?))
    });
    tags.next()
}
