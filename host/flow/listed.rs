//! Names in messages.

/// Names at most that a message lists.
const LISTED: usize = 8;

/// Names for a message.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().collect();
    let shown = names.get(..LISTED.min(names.len())).unwrap_or_default();
    let mut text = match shown {
        [] => return "none".to_owned(),
        shown => format!("`{}`", shown.join("`, `")),
    };
    if let Some(more) = names.len().checked_sub(LISTED).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
