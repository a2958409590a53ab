//! Which shelves are worth a walk.

use crate::books::SHELVES;
use crate::state::Arguments;
use crate::text::{spoken, words};
use crate::{Done, Intent, Request, State};

/// What the folio has most of: verse, drama, the old and the learned.
const FOR_FOLIO: &[&str] = &[
    "comedy",
    "drama",
    "epic",
    "myth",
    "mythology",
    "philosophy",
    "play",
    "poem",
    "poetry",
    "sonnet",
    "tragedy",
    "verse",
];

/// What the athenaeum has most of: the great novels.
const FOR_ATHENAEUM: &[&str] = &[
    "epistolary",
    "fiction",
    "gothic",
    "novel",
    "romance",
    "serial",
];

/// A shelf that the question names, else all of them where nothing may be
/// missed, else those that have most of its kind and the open one.
pub(super) fn decide(state: &State) -> Done {
    let terms = state.wanted();
    let shelves = if terms.is_empty() {
        Vec::new()
    } else {
        shelves(state)
    };
    let request = |shelf: &&str| Request {
        name: format!("search-{shelf}"),
        arguments: Arguments {
            terms: terms.clone(),
        },
    };
    let plan: Vec<Request> = shelves.iter().map(request).collect();
    let route = if plan.is_empty() { "no-tools" } else { "tools" };
    Done::new(route).set("toolPlan", plan)
}

fn shelves(state: &State) -> Vec<&'static str> {
    let said = spoken(&state.query);
    let named = SHELVES
        .into_iter()
        .filter(|shelf| said.contains(&format!(" {shelf} ")));
    let named: Vec<&str> = named.collect();
    if !named.is_empty() {
        return named;
    }
    if state.intent.is_some_and(|intent| intent != Intent::Search) {
        return SHELVES.to_vec();
    }
    let asked = words(&state.query);
    let asks = |kinds: &[&str]| asked.iter().any(|word| kinds.contains(&word.as_str()));
    match (asks(FOR_FOLIO), asks(FOR_ATHENAEUM)) {
        (true, false) => vec!["folio", "stacks"],
        (false, true) => vec!["athenaeum", "stacks"],
        _ => SHELVES.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{from_value, json};

    use super::*;

    fn plan(query: &str, intent: Intent) -> Vec<String> {
        let state =
            from_value(json!({"query": query, "intent": intent, "terms": ["sea"]})).unwrap();
        let plan: Vec<Request> = from_value(decide(&state).get("toolPlan").clone()).unwrap();
        plan.into_iter().map(|request| request.name).collect()
    }

    #[test]
    fn a_kind_of_book_is_looked_for_where_it_stands() {
        assert_eq!(
            plan("poems of the sea", Intent::Search),
            ["search-folio", "search-stacks"]
        );
        assert_eq!(
            plan("a novel of the sea", Intent::Search),
            ["search-athenaeum", "search-stacks"]
        );
        assert_eq!(plan("the sea", Intent::Search).len(), 3);
    }

    #[test]
    fn where_nothing_may_be_missed_all_shelves_are_searched() {
        assert_eq!(plan("novels by Conrad", Intent::LookupAuthor).len(), 3);
    }

    #[test]
    fn a_shelf_that_is_named_is_searched_alone() {
        assert_eq!(
            plan("the best of the folio", Intent::FindReviews),
            ["search-folio"]
        );
    }

    #[test]
    fn without_terms_nobody_is_sent() {
        let done = decide(&State::default());
        assert_eq!(
            (done.route(), done.get("toolPlan")),
            ("no-tools", &json!([]))
        );
    }
}
