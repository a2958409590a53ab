//! How well each find answers the question.
//!
//! | Question | Score |
//! |---|---|
//! | search, similar | 0.60 × share of the terms + 0.25 × Jaccard of title and terms + 0.10 × standing + 0.05 where it was not shown lately |
//! | an author's books | share of the terms in the authors' names, or the likeness of the title where that is more |
//! | what is in a book | Jaccard of the terms with title and authors |
//! | readers' opinions | `rating × log10(1 + ratings)`, the best being 1, × share of the terms, the best being 1 |

use std::collections::BTreeSet;

use crate::books::Book;
use crate::scout::{relevance, sort};
use crate::text::{jaccard, ratio, rounded, word_set, words};
use crate::{Done, Intent, State};

/// Sorts the candidates, best first.
pub(super) fn rank(state: State) -> Done {
    let terms = state.wanted();
    let intent = state.intent.unwrap_or_default();
    let mut candidates = state.candidates;
    let recent: Vec<String> = state
        .recalled_context
        .recent_candidates
        .into_iter()
        .map(|shown| shown.id)
        .collect();
    let books = candidates.iter().map(|candidate| &candidate.book);
    let scores: Vec<f64> = match intent {
        Intent::LookupAuthor => books.map(|book| authorship(book, &terms)).collect(),
        Intent::DescribeBook => books.map(|book| likeness(book, &terms)).collect(),
        Intent::FindReviews => acclaim(&books.collect::<Vec<_>>(), &terms),
        _ => books.map(|book| fitness(book, &terms, &recent)).collect(),
    };
    for (candidate, score) in candidates.iter_mut().zip(scores) {
        candidate.score = rounded(score);
    }
    sort(&mut candidates);
    Done::new("ranked").set("candidates", candidates)
}

fn said(terms: &[String]) -> BTreeSet<String> {
    terms.iter().flat_map(|term| words(term)).collect()
}

fn fitness(book: &Book, terms: &[String], recent: &[String]) -> f64 {
    let (relevance, _) = relevance(book, terms);
    let title = jaccard(&word_set(&book.title), &said(terms));
    let fresh = if recent.contains(&book.canonical_id()) {
        0.0
    } else {
        1.0
    };
    0.60 * relevance + 0.25 * title + 0.10 * book.standing() + 0.05 * fresh
}

fn authorship(book: &Book, terms: &[String]) -> f64 {
    let said = said(terms);
    let names = word_set(&book.authors.join(" "));
    let share = ratio(said.intersection(&names).count(), said.len());
    share.max(jaccard(&word_set(&book.title), &said))
}

fn likeness(book: &Book, terms: &[String]) -> f64 {
    let described = format!("{} {}", book.title, book.authors.join(" "));
    jaccard(&word_set(&described), &said(terms))
}

fn acclaim(books: &[&Book], terms: &[String]) -> Vec<f64> {
    let opinions = books
        .iter()
        .map(|book| book.rating * (1.0 + f64::from(book.ratings_count)).log10());
    let relevances = books.iter().map(|book| relevance(book, terms).0);
    let opinions = shares_of_best(opinions.collect());
    let relevances = shares_of_best(relevances.collect());
    opinions
        .into_iter()
        .zip(relevances)
        .map(|(opinion, relevance)| opinion * relevance)
        .collect()
}

/// Each number as a share of the largest; zeros where that is none.
fn shares_of_best(numbers: Vec<f64>) -> Vec<f64> {
    let best = numbers.iter().copied().fold(0.0, f64::max);
    let share = |number: f64| if best > 0.0 { number / best } else { 0.0 };
    numbers.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{from_value, json};

    use super::*;
    use crate::Candidate;
    use crate::books::tests::book;

    fn ranked(intent: &str, terms: &[&str], recent: &[&str]) -> Vec<(String, f64)> {
        let mut emma = book("Emma", "Jane Austen", 1815, &["love", "comedy"]);
        emma.ratings_count = 99_999;
        let books = [
            book("Jane Eyre", "Charlotte Brontë", 1847, &["love"]),
            emma,
            book("Persuasion", "Jane Austen", 1817, &["love", "navy"]),
        ];
        let candidates: Vec<_> = books.iter().map(|book| json!({"book": book})).collect();
        let recent: Vec<_> = recent
            .iter()
            .map(|id| json!({"id": id, "title": ""}))
            .collect();
        let state = from_value(json!({
            "intent": intent, "terms": terms, "candidates": candidates,
            "recalledContext": {"recentCandidates": recent},
        }));
        let done = rank(state.unwrap());
        let candidates: Vec<Candidate> = from_value(done.get("candidates").clone()).unwrap();
        candidates
            .into_iter()
            .map(|found| (found.book.title, found.score))
            .collect()
    }

    fn order(ranked: &[(String, f64)]) -> Vec<&str> {
        ranked.iter().map(|(title, _)| title.as_str()).collect()
    }

    #[test]
    fn a_search_puts_the_book_with_more_of_the_terms_first() {
        let ranked = ranked("search", &["love", "navy"], &[]);
        assert_eq!(order(&ranked), ["Persuasion", "Emma", "Jane Eyre"]);
    }

    #[test]
    fn among_like_books_one_that_was_shown_lately_comes_later() {
        let fresh = ranked("search", &["love"], &[]);
        let shown = ranked("search", &["love"], &["urn:work:persuasion::jane-austen"]);
        let score = |ranked: &[(String, f64)]| {
            ranked
                .iter()
                .find(|(title, _)| title == "Persuasion")
                .unwrap()
                .1
        };
        assert!((score(&fresh) - score(&shown) - 0.05).abs() < 1e-9);
    }

    #[test]
    fn an_authors_books_come_before_others_that_share_a_name() {
        let ranked = ranked("lookup-author", &["jane", "austen"], &[]);
        assert_eq!(order(&ranked), ["Emma", "Persuasion", "Jane Eyre"]);
        assert_eq!(ranked.first().unwrap().1.to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn a_book_that_is_asked_for_by_title_comes_first() {
        assert_eq!(
            order(&ranked("describe-book", &["persuasion"], &[])).first(),
            Some(&"Persuasion")
        );
        assert_eq!(
            order(&ranked("lookup-author", &["persuasion"], &[])).first(),
            Some(&"Persuasion")
        );
    }

    #[test]
    fn reviews_put_the_book_first_that_most_readers_like() {
        let ranked = ranked("find-reviews", &["love"], &[]);
        assert_eq!(ranked.first().unwrap(), &("Emma".to_owned(), 1.0));
    }
}
