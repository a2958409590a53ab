//! Each work once, and the best of them.

use crate::scout::sort;
use crate::{Candidate, Done, Intent, State};

/// Works on a shortlist at most.
const MOST_LISTED: usize = 5;

/// Joins copies of a work, drops what scores less than half of the best, and
/// keeps the first. An author's works are put in the order of their years.
pub(super) fn merge(state: State) -> Done {
    let mut works: Vec<Candidate> = Vec::new();
    for candidate in state.candidates {
        let id = candidate.book.canonical_id();
        match works.iter_mut().find(|work| work.book.canonical_id() == id) {
            Some(work) => join(work, candidate),
            None => works.push(candidate),
        }
    }
    sort(&mut works);
    let best = works.first().map_or(0.0, |work| work.score);
    let good = works.iter().filter(|work| work.score * 2.0 >= best);
    let mut shortlist: Vec<Candidate> = good.take(MOST_LISTED).cloned().collect();
    if state.intent == Some(Intent::LookupAuthor) {
        shortlist.sort_by_key(|work| work.book.first_publish_year.unwrap_or(i32::MAX));
    }
    let route = if shortlist.is_empty() {
        "empty"
    } else {
        "ranked"
    };
    Done::new(route)
        .set("candidates", works)
        .set("shortlist", shortlist)
}

/// The longer title and summary, everything that either knows, the better
/// score.
fn join(work: &mut Candidate, copy: Candidate) {
    let Candidate {
        book,
        score,
        sources,
        reason,
    } = copy;
    longer(&mut work.book.title, book.title);
    longer(&mut work.book.summary, book.summary);
    unite(&mut work.book.authors, book.authors);
    unite(&mut work.book.subjects, book.subjects);
    unite(&mut work.sources, sources);
    if score > work.score {
        work.score = score;
        work.reason = reason;
    }
}

fn longer(text: &mut String, other: String) {
    if other.chars().count() > text.chars().count() {
        *text = other;
    }
}

fn unite(list: &mut Vec<String>, more: Vec<String>) {
    for item in more {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::books::tests::book;

    fn found(title: &str, year: Option<i32>, score: f64, source: &str) -> Value {
        let mut book = book(title, "Nobody", 1900, &[source]);
        book.first_publish_year = year;
        json!({"book": book, "score": score, "sources": [source]})
    }

    fn listed(state: Value) -> Vec<Candidate> {
        from_value(merge(from_value(state).unwrap()).get("shortlist").clone()).unwrap()
    }

    fn titles(shortlist: &[Candidate]) -> Vec<&str> {
        shortlist
            .iter()
            .map(|work| work.book.title.as_str())
            .collect()
    }

    #[test]
    fn copies_of_a_work_become_one_with_all_that_either_knows() {
        let mut longer = found("A", None, 0.4, "stacks");
        longer["book"]["title"] = json!("A; or, the Longer Title");
        let list = listed(json!({"candidates": [found("A", None, 0.6, "folio"), longer]}));
        let [work] = list.as_slice() else {
            panic!("{} works", list.len())
        };
        assert_eq!(work.book.title, "A; or, the Longer Title");
        assert_eq!(
            (work.score, &work.sources),
            (0.6, &vec!["folio".to_owned(), "stacks".to_owned()])
        );
        assert_eq!(work.book.subjects, ["folio", "stacks"]);
    }

    #[test]
    fn five_are_listed_and_none_that_is_less_than_half_as_good_as_the_best() {
        let many: Vec<Value> = ["A", "B", "C", "D", "E", "F"]
            .iter()
            .map(|title| found(title, None, 0.9, "folio"))
            .collect();
        assert_eq!(
            titles(&listed(json!({"candidates": many}))),
            ["A", "B", "C", "D", "E"]
        );
        let few = json!([
            found("A", None, 0.9, "folio"),
            found("B", None, 0.45, "folio"),
            found("C", None, 0.4, "folio")
        ]);
        assert_eq!(titles(&listed(json!({"candidates": few}))), ["A", "B"]);
    }

    #[test]
    fn an_authors_works_come_by_year_and_those_without_one_last() {
        let works = json!([
            found("A", None, 1.0, "folio"),
            found("B", Some(1820), 0.9, "folio"),
            found("C", Some(-400), 0.8, "folio")
        ]);
        let state = json!({"candidates": works, "intent": "lookup-author"});
        assert_eq!(titles(&listed(state)), ["C", "B", "A"]);
    }

    #[test]
    fn nothing_to_merge_is_empty() {
        assert_eq!(merge(State::default()).route(), "empty");
    }
}
