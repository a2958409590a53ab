//! The writer: a draft out of the shortlist, by a template for each kind of
//! question.
//!
//! It never learns what the critic said: a draft is as good as its faults allow.

use soma_neuron::Failure;

use crate::fault::unknown;
use crate::text::listed;
use crate::{Candidate, Done, Intent, State};

/// The writer's only route.
pub const ROUTES: &[&str] = &["drafted"];

/// Faults beside those of every stage: `invents` (each draft recommends a book
/// that does not exist) and `improves` (the first draft does, the second talks
/// down to its reader, the third is clean).
pub const FAULTS: &[&str] = &["invents", "improves"];

/// Books of a draft beside the first.
const MOST_OTHERS: usize = 2;

/// A book that nobody has ever written.
const INVENTED: &str =
    "You may also like *The Lighthouse Keeper of Samarkand* by Ezekiel Thornbury (1871).";
/// How one does not talk to visitors.
const RUDE: &str = "Obviously, as everyone knows:";

/// Writes the next draft, with the fault that is asked for.
///
/// # Errors
///
/// `UNKNOWN_FAULT`.
pub fn compose(state: &State, fault: Option<&str>) -> Result<Done, Failure> {
    let mut attempts = state.attempts;
    attempts.compose = attempts.compose.saturating_add(1);
    let draft = draft(state);
    let draft = match (fault, attempts.compose) {
        (Some("invents"), _) | (Some("improves"), 1) => format!("{draft} {INVENTED}"),
        (Some("improves"), 2) => format!("{RUDE} {draft}"),
        (None | Some("improves"), _) => draft,
        (Some(word), _) => return Err(unknown(word)),
    };
    Ok(Done::new("drafted")
        .set("draft", draft)
        .set("attempts", attempts))
}

fn draft(state: &State) -> String {
    let Some((first, others)) = state.shortlist.split_first() else {
        return "I have looked along all the shelves, and nothing there fits your question."
            .to_owned();
    };
    let others = others
        .get(..others.len().min(MOST_OTHERS))
        .unwrap_or(others);
    match state.intent.unwrap_or_default() {
        Intent::LookupAuthor => by_author(first, others),
        Intent::FindReviews => by_rating(first, others),
        Intent::DescribeBook => described(first, others),
        Intent::RecommendSimilar => similar(state, first, others),
        _ => recommended("I would give you", first, others),
    }
}

fn by_author(first: &Candidate, others: &[Candidate]) -> String {
    let book = &first.book;
    let same = |work: &&Candidate| work.book.authors == book.authors;
    let more: Vec<String> = others
        .iter()
        .filter(same)
        .map(|work| work.book.dated())
        .collect();
    let (dated, author) = (book.dated(), listed(&book.authors));
    match more.is_empty() {
        true => format!("{dated} is by {author}. {}", book.summary),
        false => {
            let all: Vec<String> = std::iter::once(dated).chain(more).collect();
            format!(
                "By {author} I can offer {}. Which of them shall it be?",
                listed(&all)
            )
        }
    }
}

fn by_rating(first: &Candidate, others: &[Candidate]) -> String {
    let book = &first.book;
    let rated = |work: &Candidate| format!("{}, {:.1} of 5", work.book.cited(), work.book.rating);
    let said = format!(
        "Readers think most of {}: {:.1} of 5 from {} of them.",
        book.cited(),
        book.rating,
        book.ratings_count
    );
    let more: Vec<String> = others.iter().map(rated).collect();
    match more.is_empty() {
        true => format!("{said} {}", book.summary),
        false => format!("{said} After it come {}.", listed(&more)),
    }
}

fn described(first: &Candidate, others: &[Candidate]) -> String {
    let book = &first.book;
    let said = format!("{}: {}", book.cited(), book.summary);
    let subjects = listed(&book.subjects);
    let more: Vec<String> = others.iter().map(cited).collect();
    match more.is_empty() {
        true => format!("{said} It is shelved under {subjects}."),
        false => format!("{said} You may have meant {} instead.", more.join(" or ")),
    }
}

fn similar(state: &State, first: &Candidate, others: &[Candidate]) -> String {
    let why = match &state.seed {
        Some(seed) => format!("As you looked at *{}* before, try", seed.title),
        None => "You may like".to_owned(),
    };
    recommended(&why, first, others)
}

fn recommended(why: &str, first: &Candidate, others: &[Candidate]) -> String {
    let book = &first.book;
    let said = format!("{why} {}. {}", book.cited(), book.summary);
    let more: Vec<String> = others.iter().map(cited).collect();
    match more.is_empty() {
        true => said,
        false => format!("{said} There is also {}.", listed(&more)),
    }
}

fn cited(work: &Candidate) -> String {
    work.book.cited()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{from_value, json};

    use super::*;
    use crate::books::tests::book;
    use crate::critic;

    const KINDS: [&str; 5] = [
        "lookup-author",
        "find-reviews",
        "describe-book",
        "recommend-similar",
        "search",
    ];

    fn state(intent: &str, titles: &[&str]) -> State {
        let work = |title: &&str| json!({"book": book(title, "Herman Melville", 1851, &["sea", "ships"]), "sources": ["stacks"]});
        let shortlist: Vec<_> = titles.iter().map(work).collect();
        let state = json!({
            "intent": intent, "terms": ["sea"], "shortlist": shortlist,
            "seed": {"id": "urn:work:kim::rudyard-kipling", "title": "Kim"},
        });
        from_value(state).unwrap()
    }

    fn written(state: &State, fault: Option<&str>) -> (String, u32) {
        let done = compose(state, fault).unwrap();
        let attempts: crate::Attempts = from_value(done.get("attempts").clone()).unwrap();
        (
            done.get("draft").as_str().unwrap().to_owned(),
            attempts.compose,
        )
    }

    #[test]
    fn a_draft_of_every_kind_and_length_passes_the_critic() {
        for kind in KINDS {
            for titles in [
                &["Typee", "Omoo", "White Jacket", "Mardi"][..],
                &["Typee"][..],
                &[][..],
            ] {
                let mut state = state(kind, titles);
                let (draft, _) = written(&state, None);
                state.draft = Some(draft);
                assert_eq!(critic::of_text(&state), [], "{kind}: {:?}", state.draft);
            }
        }
    }

    #[test]
    fn an_inventive_writer_never_passes_and_one_that_improves_does_the_third_time() {
        let mut state = state("search", &["Typee"]);
        let mut passes = Vec::new();
        for fault in ["invents", "improves"] {
            state.attempts.compose = 0;
            for _ in 0..3 {
                let (draft, attempt) = written(&state, Some(fault));
                state.draft = Some(draft);
                state.attempts.compose = attempt;
                passes.push(critic::of_text(&state).is_empty());
            }
        }
        assert_eq!(passes, [false, false, false, false, false, true]);
    }

    #[test]
    fn a_fault_that_it_does_not_know_is_refused() {
        let refused = compose(&state("search", &[]), Some("no")).unwrap_err();
        assert_eq!(refused.code, "UNKNOWN_FAULT");
    }
}
