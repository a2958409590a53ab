//! The gate before the writer, and what is said without one.

use crate::text::listed;
use crate::{Candidate, Done, State};

/// Titles that an answer without a writer names at most.
const MOST_NAMED: usize = 3;

/// Whether there is anything to write about: a book that stands on some shelf.
pub(super) fn gate(state: &State) -> Done {
    let shelved = state
        .shortlist
        .iter()
        .any(|work| !work.sources.is_empty() && !work.book.title.is_empty());
    Done::new(if shelved { "pass" } else { "fail" })
}

pub(super) fn decline() -> Done {
    let answer = "I only know about books. Ask me about an author, a title or a subject, \
                  and I will look along the shelves for you.";
    Done::new("declined").set("answer", answer)
}

/// What was asked and shown before.
pub(super) fn remember(state: &State) -> Done {
    let digest = state.memory_digest.clone().unwrap_or_default();
    let shown: Vec<String> = digest
        .recent_books
        .iter()
        .map(|title| format!("*{title}*"))
        .collect();
    let answer = match shown.as_slice() {
        [] => digest.summary,
        shown => format!("{} The last books were {}.", digest.summary, listed(shown)),
    };
    Done::new("composed").set("answer", answer)
}

/// The books, where there are some and nobody to write about them; else why
/// there are none.
pub(super) fn apologise(state: &State) -> Done {
    let cause = state.failure_cause.as_deref().unwrap_or_default();
    let answer = if !state.shortlist.is_empty() {
        format!(
            "I cannot write as I would like to, but {}",
            matches(&state.shortlist)
        )
    } else if cause.is_empty() {
        "I am sorry, I found nothing for you. Ask me about an author, a title or a subject."
            .to_owned()
    } else {
        format!(
            "I am sorry, I found nothing for you: {cause}. Try another author, title or subject."
        )
    };
    Done::new("composed").set("answer", answer)
}

/// A sentence that names the books of a shortlist and claims nothing more.
pub fn matches(shortlist: &[Candidate]) -> String {
    let mut named: Vec<String> = shortlist
        .iter()
        .take(MOST_NAMED)
        .map(|work| work.book.cited())
        .collect();
    let more = shortlist.len().saturating_sub(MOST_NAMED);
    if more > 0 {
        named.push(format!("{more} more"));
    }
    let found = match shortlist.len() {
        1 => "I found one match",
        _ => "I found some matches",
    };
    format!("{found}: {}. Ask me about any of them.", listed(&named))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::books::tests::book;

    fn state(titles: &[&str], cause: &str) -> State {
        let work =
            |title: &&str| json!({"book": book(title, "Nobody", 1900, &[]), "sources": ["folio"]});
        let shortlist: Vec<Value> = titles.iter().map(work).collect();
        from_value(json!({"shortlist": shortlist, "failureCause": cause})).unwrap()
    }

    #[test]
    fn only_a_shortlist_with_a_book_on_a_shelf_passes_the_gate() {
        assert_eq!(gate(&state(&["A"], "")).route(), "pass");
        assert_eq!(gate(&state(&[], "")).route(), "fail");
        let mut nowhere = state(&["A"], "");
        nowhere
            .shortlist
            .iter_mut()
            .for_each(|work| work.sources.clear());
        assert_eq!(gate(&nowhere).route(), "fail");
    }

    #[test]
    fn an_apology_names_the_books_if_any_else_the_cause_if_any() {
        let said = |state: &State| apologise(state).get("answer").as_str().unwrap().to_owned();
        assert!(
            said(&state(&["A"], "x"))
                .ends_with("I found one match: *A* by Nobody (1900). Ask me about any of them.")
        );
        assert!(
            said(&state(&[], "the folio has nothing about sea"))
                .contains("the folio has nothing about sea")
        );
        assert!(said(&state(&[], "")).contains("nothing for you."));
    }

    #[test]
    fn a_long_shortlist_is_named_in_part() {
        let state = state(&["A", "B", "C", "D", "E"], "");
        assert!(matches(&state.shortlist).contains("*C* by Nobody (1900) and 2 more."));
    }
}
