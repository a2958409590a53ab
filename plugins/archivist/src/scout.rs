//! Searching one shelf.
//!
//! What it finds is the state's key `<shelf>Finds`.

use std::collections::BTreeSet;

use soma_neuron::engram::Query;

use crate::books::{Book, OPEN_SHELF};
use crate::text::{ratio, rounded, word_set, words};
use crate::{Candidate, Done, State};

/// `skipped` where the plan has no request for the shelf. The open shelf needs
/// none.
pub const ROUTES: &[&str] = &["success", "empty", "skipped"];

/// Finds that a scout brings along at most.
const MOST_FINDS: usize = 8;
/// More books than a shelf has: what is left out could have been the best.
const WHOLE_SHELF: u32 = 1_000;

/// How much a term counts where it is found.
const WEIGHTS: [(&str, f64); 4] = [
    ("title", 1.0),
    ("author", 1.0),
    ("subject", 0.9),
    ("summary", 0.5),
];

/// What one scout does: asked for a shelf, with the terms.
#[derive(Clone, Debug)]
pub struct Errand {
    /// None for a scout of all shelves.
    shelf: Option<String>,
    terms: Vec<String>,
}

impl Errand {
    /// The errand of the neuron with this id, or none where it need not go.
    pub fn of(neuron: &str, state: &State) -> Option<Self> {
        let shelf = neuron.strip_prefix("scout-").map(str::to_owned);
        let terms = state.wanted();
        let requested = match shelf.as_deref() {
            None | Some(OPEN_SHELF) => true,
            Some(shelf) => {
                let name = format!("search-{shelf}");
                state.tool_plan.iter().any(|request| request.name == name)
            }
        };
        (requested && !terms.is_empty()).then_some(Self { shelf, terms })
    }

    /// One query a term: a term of several words by its longest one, the others
    /// are looked at in what comes back.
    pub fn queries(&self) -> Vec<Query> {
        let longest = |term: &String| {
            let words = words(term).into_iter();
            words.max_by_key(|word| word.chars().count())
        };
        let needles: BTreeSet<String> = self.terms.iter().filter_map(longest).collect();
        let query = |needle: String| {
            let query = Query::new().text(needle).top_k(WHOLE_SHELF);
            match &self.shelf {
                Some(shelf) => query.tag(shelf),
                None => query,
            }
        };
        needles.into_iter().map(query).collect()
    }

    /// The best of what the shelf has. A book may be there several times, once
    /// for each term that brought it up.
    pub fn finds(&self, books: Vec<Book>) -> Done {
        let mut seen = BTreeSet::new();
        let fresh = books.into_iter().filter(|book| seen.insert(book.key()));
        let mut finds: Vec<Candidate> = fresh
            .filter_map(|book| candidate(book, &self.terms))
            .collect();
        sort(&mut finds);
        finds.truncate(MOST_FINDS);
        let route = if finds.is_empty() { "empty" } else { "success" };
        Done::new(route).set(&self.key(), finds)
    }

    fn key(&self) -> String {
        match &self.shelf {
            Some(shelf) => format!("{shelf}Finds"),
            None => "finds".to_owned(),
        }
    }
}

/// Best first; among equals the one of higher standing.
pub(crate) fn sort(candidates: &mut [Candidate]) {
    candidates.sort_by(|one, other| {
        let by_score = other.score.total_cmp(&one.score);
        let by_standing = other.book.standing().total_cmp(&one.book.standing());
        let by_id = one.book.id.cmp(&other.book.id);
        by_score.then(by_standing).then(by_id)
    });
}

fn candidate(book: Book, terms: &[String]) -> Option<Candidate> {
    let (score, fields) = relevance(&book, terms);
    let sources = vec![book.source.clone()];
    (score > 0.0).then(|| Candidate {
        book,
        score: rounded(score),
        sources,
        reason: fields.join(", "),
    })
}

/// The share of the terms that a book has, each as much as the field counts in
/// which it is found, and those fields.
pub(crate) fn relevance(book: &Book, terms: &[String]) -> (f64, Vec<&'static str>) {
    let texts = [
        book.title.clone(),
        book.authors.join(" "),
        book.subjects.join(" "),
        book.summary.clone(),
    ];
    let fields = texts.map(|text| word_set(&text));
    let mut found = BTreeSet::new();
    let mut score = 0.0;
    for term in terms.iter().map(|term| word_set(term)) {
        // The weights fall from field to field: the first is the best.
        let place = fields.iter().position(|field| term.is_subset(field));
        let place = place.filter(|_| !term.is_empty());
        if let Some((place, (_, weight))) = place.and_then(|at| Some((at, WEIGHTS.get(at)?))) {
            found.insert(place);
            score += weight;
        }
    }
    let names = found.into_iter().filter_map(|at| Some(WEIGHTS.get(at)?.0));
    (score * ratio(1, terms.len()), names.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{from_value, json};

    use super::*;
    use crate::books::tests::book;

    fn shelf() -> Vec<Book> {
        vec![
            book(
                "Typee",
                "Herman Melville",
                1846,
                &["sea stories", "islands"],
            ),
            book(
                "Moby-Dick",
                "Herman Melville",
                1851,
                &["whaling", "sea stories"],
            ),
            book("Emma", "Jane Austen", 1815, &["love"]),
        ]
    }

    fn errand(state: serde_json::Value) -> Option<Errand> {
        Errand::of("scout-folio", &from_value(state).unwrap())
    }

    #[test]
    fn a_closed_shelf_is_searched_on_request_only_and_the_open_one_always() {
        let plan = json!([{"name": "search-folio", "arguments": {"terms": ["whaling"]}}]);
        assert!(errand(json!({"terms": ["whaling"]})).is_none());
        assert!(errand(json!({"terms": ["whaling"], "toolPlan": plan})).is_some());
        let state: State = from_value(json!({"terms": ["whaling"]})).unwrap();
        assert!(Errand::of("scout-stacks", &state).is_some());
        assert!(Errand::of("scout-stacks", &State::default()).is_none());
    }

    #[test]
    fn without_terms_the_words_of_the_question_are_looked_for() {
        let state: State = from_value(json!({"query": "the sea"})).unwrap();
        let errand = Errand::of("scout-stacks", &state).unwrap();
        assert_eq!(errand.terms, ["sea"]);
    }

    #[test]
    fn the_finds_are_those_that_have_a_term_best_first() {
        let state = from_value(json!({"terms": ["sea stories", "whaling"]})).unwrap();
        let done = Errand::of("scout-stacks", &state).unwrap().finds(shelf());
        assert_eq!(done.route(), "success");
        let finds: Vec<Candidate> = from_value(done.get("stacksFinds").clone()).unwrap();
        let titles: Vec<&str> = finds.iter().map(|find| find.book.title.as_str()).collect();
        assert_eq!(titles, ["Moby-Dick", "Typee"]);
        let first = finds.first().unwrap();
        assert_eq!((first.score, first.reason.as_str()), (0.9, "subject"));
    }

    #[test]
    fn a_shelf_without_a_find_is_empty() {
        let state = from_value(json!({"terms": ["chess"]})).unwrap();
        let done = Errand::of("scout-stacks", &state).unwrap().finds(shelf());
        assert_eq!(
            (done.route(), done.get("stacksFinds")),
            ("empty", &json!([]))
        );
    }
}
