//! What earlier visits have to do with this one, and the end of every visit.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::librarian::matches;
use crate::state::{Digest, Prior, Recollection, Seed};
use crate::text::{fold, jaccard, listed, spoken, word_set};
use crate::{Candidate, Done, Intent, Stage, State};

/// The binding behind which visits are kept, oldest first.
pub const BINDING: &str = "visits";

/// The tag of every visit.
pub const TAG: &str = "visit";

/// The ids that a historian is registered under, each with its routes.
pub const STAGES: [Stage; 4] = [
    ("recall-context", &["recalled"]),
    ("recommend-similar", &["seeded", "empty"]),
    ("recall-memories", &["recalled", "empty"]),
    ("respond-to-visitor", &["responded"]),
];

/// Fault of `respond-to-visitor` beside those of every stage: the visit cannot
/// be written down; the visitor is answered all the same.
pub const FORGETS: &str = "forgets";

/// Questions that are recalled at most.
const MOST_PRIOR: usize = 5;
/// Books that are recalled at most.
const MOST_RECENT: usize = 6;
/// Books that a digest names at most.
const MOST_DIGESTED: usize = 10;
/// Subjects that similar books are looked for by at most.
const MOST_SUBJECTS: usize = 6;
/// The least Jaccard of two questions that are alike.
const ALIKE: f64 = 0.15;

/// A visit as it is kept.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Visit {
    /// Identity of the visit.
    #[serde(default)]
    pub run_id: String,
    /// What was asked.
    pub query: String,
    /// What kind of question it was.
    #[serde(default)]
    pub intent: Intent,
    /// What was shown, best first.
    #[serde(default)]
    pub books: Vec<Shown>,
}

/// A book that a visitor was shown.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Shown {
    /// Canonical id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Subjects.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// How well it fitted.
    #[serde(default)]
    pub score: f64,
}

/// The id of this visit: that of the trace on which it began. A run that was
/// resumed elsewhere keeps it.
pub fn run_id<'a>(state: &'a State, trace_id: &'a str) -> &'a str {
    state.run_id.as_deref().unwrap_or(trace_id)
}

/// Notes the visit's id, and what was asked and shown before.
pub fn recall_context(state: &State, trace_id: &str, visits: &[Visit]) -> Done {
    let run_id = run_id(state, trace_id);
    let visits: Vec<&Visit> = visits
        .iter()
        .filter(|visit| visit.run_id != run_id)
        .collect();
    Done::new("recalled")
        .set("runId", run_id)
        .set("recalledContext", recollection(&state.query, &visits))
}

fn recollection(query: &str, visits: &[&Visit]) -> Recollection {
    let asked = tokens(query);
    // Newest first; the sort keeps that order among equals.
    let mut scored: Vec<(f64, &Visit)> = visits
        .iter()
        .rev()
        .map(|visit| (jaccard(&asked, &tokens(&visit.query)), *visit))
        .collect();
    scored.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    scored.truncate(MOST_PRIOR);
    let alike = scored.iter().filter(|(score, _)| *score >= ALIKE);
    let similar: Vec<String> = alike.map(|(_, visit)| visit.query.clone()).collect();
    let recent = recent(visits, MOST_RECENT);
    let titles: Vec<String> = recent
        .iter()
        .map(|shown| format!("*{}*", shown.title))
        .collect();
    let summary = match (visits.len(), titles.is_empty()) {
        (0, _) => "A first visit.".to_owned(),
        (count, true) => format!("{count} earlier visits, without a book."),
        (count, false) => format!("{count} earlier visits; lately shown: {}.", listed(&titles)),
    };
    let prior = scored.into_iter().map(|(_, visit)| Prior {
        query: visit.query.clone(),
        intent: visit.intent,
    });
    Recollection {
        prior_intents: prior.collect(),
        recent_candidates: recent,
        similar_prior_queries: similar,
        summary,
    }
}

/// Folded words of more than two letters.
fn tokens(text: &str) -> BTreeSet<String> {
    let folded = fold(text);
    let tokens = folded.split(|letter: char| !letter.is_alphanumeric());
    let long = tokens.filter(|token| token.chars().count() > 2);
    long.map(str::to_owned).collect()
}

/// Books of visits, newest visit first, each once.
fn recent(visits: &[&Visit], most: usize) -> Vec<Seed> {
    let mut seen = BTreeSet::new();
    let shown = visits.iter().rev().flat_map(|visit| &visit.books);
    let fresh = shown.filter(|shown| seen.insert(shown.id.as_str()));
    let seeds = fresh.map(|shown| Seed {
        id: shown.id.clone(),
        title: shown.title.clone(),
    });
    seeds.take(most).collect()
}

/// Takes the subjects of a book of an earlier visit for terms: of the newest
/// one that the question names, else of the best one of the newest visit with
/// any. A question that names something else is left to the search.
pub fn recommend_similar(state: &State, trace_id: &str, visits: &[Visit]) -> Done {
    let run_id = run_id(state, trace_id);
    let asked = word_set(&state.query);
    let earlier = visits.iter().rev().filter(|visit| visit.run_id != run_id);
    let earlier: Vec<&Visit> = earlier.collect();
    let named = earlier.iter().flat_map(|visit| &visit.books).find(|shown| {
        let short = shown.title.split([';', ':']).next();
        let title = word_set(short.unwrap_or_default());
        !title.is_empty() && title.is_subset(&asked)
    });
    let newest = || {
        let shown = earlier.iter().find(|visit| !visit.books.is_empty())?;
        let books = shown.books.iter();
        books.reduce(|best, book| if book.score > best.score { book } else { best })
    };
    let says_else = !asked.iter().all(|word| SIMILAR.contains(&word.as_str()));
    let seed = named.or_else(|| if says_else { None } else { newest() });
    let Some(seed) = seed.filter(|seed| !seed.subjects.is_empty()) else {
        return Done::new("empty");
    };
    let terms: Vec<&String> = seed.subjects.iter().take(MOST_SUBJECTS).collect();
    let seed = Seed {
        id: seed.id.clone(),
        title: seed.title.clone(),
    };
    Done::new("seeded").set("terms", terms).set("seed", seed)
}

/// Words of a question for more of the same that names nothing.
const SIMILAR: &[&str] = &[
    "again",
    "another",
    "anything",
    "book",
    "find",
    "give",
    "last",
    "let",
    "like",
    "novel",
    "please",
    "read",
    "recommend",
    "show",
    "similar",
    "something",
    "suggest",
    "time",
    "vein",
    "want",
];

/// Counts all earlier visits.
pub fn recall_memories(state: &State, trace_id: &str, visits: &[Visit]) -> Done {
    let run_id = run_id(state, trace_id);
    let visits: Vec<&Visit> = visits
        .iter()
        .filter(|visit| visit.run_id != run_id)
        .collect();
    if visits.is_empty() {
        return Done::new("empty").set("failureCause", "this is the first time that we meet");
    }
    let mut breakdown: BTreeMap<Intent, usize> = BTreeMap::new();
    for visit in &visits {
        let count = breakdown.entry(visit.intent).or_default();
        *count = count.saturating_add(1);
    }
    let shown = visits.iter().flat_map(|visit| &visit.books);
    let book_count = shown.map(|shown| &shown.id).collect::<BTreeSet<_>>().len();
    let newest = recent(&visits, MOST_DIGESTED);
    let last = visits.last().map_or("", |visit| visit.query.as_str());
    let summary = format!(
        "You have been here {} before and were shown {}. Last you asked: \"{last}\"",
        times(visits.len()),
        counted(book_count, "book"),
    );
    let digest = Digest {
        book_count,
        query_count: visits.len(),
        recent_books: newest.into_iter().map(|shown| shown.title).collect(),
        intent_breakdown: breakdown,
        summary: format!("{summary}."),
    };
    Done::new("recalled").set("memoryDigest", digest)
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("one {what}"),
        more => format!("{more} {what}s"),
    }
}

/// The answer, or where every stage before has failed, what can be said
/// without.
pub fn respond(state: &State) -> Done {
    let checked = state.answer.as_deref().filter(|answer| !answer.is_empty());
    let text = match (checked, state.shortlist.is_empty()) {
        (Some(answer), _) => answer.to_owned(),
        (None, false) => matches(&state.shortlist),
        (None, true) => "I am sorry, I cannot help you today. Please come back later.".to_owned(),
    };
    let said = spoken(&text);
    let named = |work: &&Candidate| said.contains(&spoken(&work.book.title));
    let books = state
        .shortlist
        .iter()
        .filter(named)
        .map(|work| &work.book.title);
    let books: Vec<&String> = books.collect();
    Done::new("responded").set("response", json!({"text": text, "books": books}))
}

/// This visit, to be kept.
pub fn visit(state: &State, trace_id: &str) -> Visit {
    let shown = |work: &Candidate| Shown {
        id: work.book.canonical_id(),
        title: work.book.title.clone(),
        subjects: work.book.subjects.clone(),
        score: work.score,
    };
    Visit {
        run_id: run_id(state, trace_id).to_owned(),
        query: state.query.clone(),
        intent: state.intent.unwrap_or_default(),
        books: state.shortlist.iter().map(shown).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, from_value, json};

    use super::*;
    use crate::books::tests::book;

    fn visit(run: &str, query: &str, books: Value) -> Visit {
        from_value(json!({"runId": run, "query": query, "intent": "search", "books": books}))
            .unwrap()
    }

    fn whales() -> Vec<Visit> {
        let moby = json!({"id": "m", "title": "Moby-Dick; or, The Whale", "subjects": ["whaling", "obsession"], "score": 0.9});
        let typee = json!({"id": "t", "title": "Typee", "subjects": ["islands"], "score": 0.4});
        vec![
            visit("1", "a novel about whaling", json!([typee, moby])),
            visit("2", "the weather", json!([])),
        ]
    }

    fn asking(query: &str) -> State {
        from_value(json!({"query": query})).unwrap()
    }

    #[test]
    fn the_context_is_what_is_alike_and_what_was_shown_lately() {
        let done = recall_context(&asking("novels on whaling, please"), "3", &whales());
        assert_eq!(done.get("runId"), "3");
        let recalled: Recollection = from_value(done.get("recalledContext").clone()).unwrap();
        let queries: Vec<&str> = recalled
            .prior_intents
            .iter()
            .map(|prior| prior.query.as_str())
            .collect();
        assert_eq!(queries, ["a novel about whaling", "the weather"]);
        assert_eq!(recalled.similar_prior_queries, ["a novel about whaling"]);
        assert_eq!(recalled.recent_candidates.len(), 2);
        assert_eq!(
            recalled.summary,
            "2 earlier visits; lately shown: *Typee* and *Moby-Dick; or, The Whale*."
        );
    }

    #[test]
    fn the_visit_itself_is_no_earlier_one() {
        let mut state = asking("a novel about whaling");
        state.run_id = Some("1".to_owned());
        let done = recall_context(&state, "another trace", &whales());
        let recalled: Recollection = from_value(done.get("recalledContext").clone()).unwrap();
        assert_eq!(
            (
                recalled.prior_intents.len(),
                recalled.recent_candidates.len()
            ),
            (1, 0)
        );
    }

    #[test]
    fn similar_books_are_looked_for_by_the_best_of_the_newest_visit_with_any() {
        let done = recommend_similar(&asking("Something similar, please"), "3", &whales());
        assert_eq!(
            (done.route(), done.get("terms")),
            ("seeded", &json!(["whaling", "obsession"]))
        );
        assert_eq!(
            done.get("seed"),
            &json!({"id": "m", "title": "Moby-Dick; or, The Whale"})
        );
    }

    #[test]
    fn a_book_of_the_past_that_the_question_names_comes_first_and_any_other_is_searched() {
        let done = recommend_similar(&asking("something like Typee"), "3", &whales());
        assert_eq!(done.get("terms"), &json!(["islands"]));
        let other = recommend_similar(&asking("something like Dracula"), "3", &whales());
        assert_eq!(other.route(), "empty");
        assert_eq!(
            recommend_similar(&asking("Something similar"), "3", &[]).route(),
            "empty"
        );
    }

    #[test]
    fn memories_are_counted_and_told() {
        let done = recall_memories(&asking("What have I asked?"), "3", &whales());
        let digest: Digest = from_value(done.get("memoryDigest").clone()).unwrap();
        assert_eq!((digest.query_count, digest.book_count), (2, 2));
        assert_eq!(
            digest.intent_breakdown,
            BTreeMap::from([(Intent::Search, 2)])
        );
        assert_eq!(
            digest.summary,
            "You have been here twice before and were shown 2 books. Last you asked: \"the weather\"."
        );
        assert_eq!(recall_memories(&asking(""), "3", &[]).route(), "empty");
    }

    #[test]
    fn the_visitor_gets_the_answer_else_the_books_else_regrets_and_never_a_draft() {
        let mut state = asking("whales");
        let said = |state: &State| {
            respond(state).get("response")["text"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        state.draft = Some("Nobody has checked this.".to_owned());
        assert!(said(&state).starts_with("I am sorry"));
        let work =
            json!({"book": book("Typee", "Herman Melville", 1846, &[]), "sources": ["stacks"]});
        state.shortlist = vec![from_value(work).unwrap()];
        assert!(said(&state).contains("*Typee*"));
        state.answer = Some("Read *Typee*.".to_owned());
        assert_eq!(
            respond(&state).get("response"),
            &json!({"text": "Read *Typee*.", "books": ["Typee"]})
        );
    }
}
