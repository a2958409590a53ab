//! What the scouts brought, on one desk.

use crate::books::SHELVES;
use crate::text::listed;
use crate::{Candidate, Done, State};

/// Joins the finds in the order of the shelves, without the book that similar
/// ones are looked for by. A scout that went and did not come back is told of.
pub(super) fn collate(state: State) -> Done {
    let outputs = state.metadata.parallel_outputs;
    let finds = [state.folio_finds, state.athenaeum_finds, state.stacks_finds];
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut silent: Vec<String> = Vec::new();
    let mut bare: Vec<String> = Vec::new();
    for (shelf, found) in SHELVES.into_iter().zip(finds) {
        let output = outputs.get(&format!("scout-{shelf}")).map(String::as_str);
        match found {
            Some(found) if found.is_empty() => bare.push(format!("the {shelf}")),
            Some(found) => candidates.extend(found),
            None if output == Some("skipped") => {}
            None => silent.push(format!("the {shelf}")),
        }
    }
    if let Some(seed) = &state.seed {
        candidates.retain(|candidate| candidate.book.canonical_id() != seed.id);
    }
    let mut causes = Vec::new();
    if !bare.is_empty() {
        causes.push(format!("there is nothing in {}", listed(&bare)));
    }
    if !silent.is_empty() {
        causes.push(format!("nothing was heard from {}", listed(&silent)));
    }
    let cause = causes.join(", and ");
    let done = if candidates.is_empty() {
        Done::new("empty").error("NO_CANDIDATES", cause.clone())
    } else if silent.is_empty() {
        Done::new("found")
    } else {
        Done::new("found").warning("SCOUT_SILENT", cause.clone())
    };
    let done = done.set("failureCause", cause);
    done.set("candidates", candidates)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::books::tests::book;

    fn find(title: &str) -> Value {
        json!({"book": book(title, "Nobody", 1900, &["sea"]), "score": 0.5, "sources": ["folio"]})
    }

    fn collated(mut state: Value) -> Done {
        state["terms"] = json!(["sea"]);
        collate(from_value(state).unwrap())
    }

    fn titles(done: &Done) -> Vec<String> {
        let candidates: Vec<Candidate> = from_value(done.get("candidates").clone()).unwrap();
        candidates
            .into_iter()
            .map(|found| found.book.title)
            .collect()
    }

    #[test]
    fn finds_come_in_the_order_of_the_shelves() {
        let done = collated(json!({
            "stacksFinds": [find("C")], "athenaeumFinds": [], "folioFinds": [find("A"), find("B")],
        }));
        assert_eq!(
            (done.route(), titles(&done)),
            ("found", ["A", "B", "C"].map(str::to_owned).to_vec())
        );
        assert_eq!(
            done.get("failureCause"),
            "there is nothing in the athenaeum"
        );
        assert!(done.notes().is_empty());
    }

    #[test]
    fn a_scout_that_did_not_come_back_is_a_warning_one_that_did_not_go_is_not() {
        let done = collated(json!({
            "folioFinds": [find("A")],
            "metadata": {"parallelOutputs": {"scout-stacks": "skipped", "scout-athenaeum": "error"}},
        }));
        assert_eq!(done.notes(), ["SCOUT_SILENT"]);
        assert_eq!(
            done.get("failureCause"),
            "nothing was heard from the athenaeum"
        );
    }

    #[test]
    fn without_a_find_the_route_is_empty_and_the_run_knows_why() {
        let done = collated(json!({"folioFinds": []}));
        assert_eq!(
            (done.route(), done.notes()),
            ("empty", vec!["NO_CANDIDATES"])
        );
    }

    #[test]
    fn the_book_that_similar_ones_are_looked_for_by_is_none_of_them() {
        let done = collated(json!({
            "folioFinds": [find("A"), find("B")],
            "seed": {"id": "urn:work:a::nobody", "title": "A"},
        }));
        assert_eq!(titles(&done), ["B"]);
    }
}
