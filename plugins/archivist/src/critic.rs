//! The critic: whether a draft may be given to the visitor.
//!
//! Rules: `length` (40 to 900 characters), `citation` (a book of the shortlist
//! is named, where there is one), `invented` (what is set as a title is one of
//! the shortlist, and a name of three words or more is known from it), `source`
//! (the books that are named really stand on their shelves), `tone` (no
//! condescending words).

use soma_neuron::Failure;
use soma_neuron::engram::Query;

use crate::books::copy_key;
use crate::fault::unknown;
use crate::librarian::matches;
use crate::text::{fold, listed, spoken};
use crate::{Candidate, Complaint, Done, State};

/// `retry` while fewer than three drafts were written, then `exhausted`, and
/// the answer only names the books.
pub const ROUTES: &[&str] = &["approved", "retry", "exhausted"];

/// Faults beside those of every stage: `no` (refuses every draft) and
/// `no-twice` (refuses the first two).
pub const FAULTS: &[&str] = &["no", "no-twice"];

const LEAST_CHARS: usize = 40;
const MOST_CHARS: usize = 900;

/// Drafts that are looked at.
const MOST_DRAFTS: u32 = 3;

/// Capitalised words in a row that make a name.
const NAME_WORDS: usize = 3;

/// Words that a name may have between capitalised ones.
const JOINERS: &[&str] = &[
    "of", "the", "de", "la", "von", "van", "in", "a", "and", "to",
];

/// Words that talk down to the reader.
const CONDESCENDING: &[&str] = &[
    "obviously",
    "everyone knows",
    "trust me",
    "stupid",
    "no-brainer",
    "you should have",
];

/// The books that the draft names, by the merge keys under which they must be
/// found.
pub fn cited(state: &State) -> Vec<(&Candidate, Query)> {
    let draft = spoken(state.draft.as_deref().unwrap_or_default());
    let named = state.shortlist.iter().filter(|work| names(&draft, work));
    named
        .map(|work| {
            let source = work.sources.first().map_or("", String::as_str);
            let key = copy_key(source, &work.book.canonical_id());
            (work, Query::new().merge_key(key).top_k(1))
        })
        .collect()
}

/// The verdict, when `missing` are books that the draft names and that stand on
/// no shelf.
///
/// # Errors
///
/// `UNKNOWN_FAULT`.
pub fn validate(state: &State, missing: &[String], fault: Option<&str>) -> Result<Done, Failure> {
    let mut critique = of_text(state);
    for title in missing {
        critique.push(complaint("source", format!("*{title}* stands on no shelf")));
    }
    match fault {
        None => {}
        Some("no") => critique.push(complaint("refused", "the critic likes nothing".to_owned())),
        Some("no-twice") if state.attempts.compose < MOST_DRAFTS => {
            critique.push(complaint(
                "refused",
                "the critic is hard to please".to_owned(),
            ));
        }
        Some("no-twice") => {}
        Some(word) => return Err(unknown(word)),
    }
    let route = match critique.is_empty() {
        true => "approved",
        false if state.attempts.compose < MOST_DRAFTS => "retry",
        false => "exhausted",
    };
    let done = Done::new(route).set("approved", critique.is_empty());
    let done = match route {
        "approved" => done.set("answer", &state.draft),
        "exhausted" if state.shortlist.is_empty() => done.set(
            "answer",
            "I found nothing that I could recommend with a good conscience.",
        ),
        "exhausted" => done.set("answer", matches(&state.shortlist)),
        _ => done,
    };
    Ok(done.set("critique", critique))
}

/// What is wrong with the draft itself.
pub fn of_text(state: &State) -> Vec<Complaint> {
    let draft = state.draft.as_deref().unwrap_or_default();
    let mut critique = Vec::new();
    critique.extend(length(draft));
    critique.extend(citation(draft, &state.shortlist));
    critique.extend(inventions(draft, state));
    critique.extend(tone(draft));
    critique
}

fn complaint(rule: &str, message: String) -> Complaint {
    Complaint {
        rule: rule.to_owned(),
        message,
    }
}

fn length(draft: &str) -> Option<Complaint> {
    let chars = draft.trim().chars().count();
    let outside = !(LEAST_CHARS..=MOST_CHARS).contains(&chars);
    outside.then(|| {
        let wanted = format!("wanted are {LEAST_CHARS} to {MOST_CHARS}");
        complaint(
            "length",
            format!("the draft has {chars} characters; {wanted}"),
        )
    })
}

fn names(spoken_draft: &str, work: &Candidate) -> bool {
    spoken_draft.contains(&spoken(&work.book.title))
}

fn citation(draft: &str, shortlist: &[Candidate]) -> Option<Complaint> {
    let draft = spoken(draft);
    let silent = !shortlist.is_empty() && !shortlist.iter().any(|work| names(&draft, work));
    silent.then(|| {
        complaint(
            "citation",
            "the draft names no book of the shortlist".to_owned(),
        )
    })
}

/// Titles are known from the shortlist and the visit's own past; names also
/// from what the shortlist's books are about.
fn inventions(draft: &str, state: &State) -> Vec<Complaint> {
    let past = &state.recalled_context.recent_candidates;
    let past = past
        .iter()
        .chain(&state.seed)
        .map(|seed| spoken(&seed.title));
    let works = state.shortlist.iter();
    let titles: Vec<String> = works
        .map(|work| spoken(&work.book.title))
        .chain(past)
        .collect();
    let text = |work: &Candidate| {
        let book = &work.book;
        let subjects = book.subjects.join(" ");
        spoken(&format!(
            "{} {} {subjects} {}",
            book.title,
            listed(&book.authors),
            book.summary
        ))
    };
    let known: Vec<String> = state
        .shortlist
        .iter()
        .map(text)
        .chain(titles.clone())
        .collect();
    let unknown_title = |title: &&str| {
        let said = spoken(title);
        !titles
            .iter()
            .any(|known| known.contains(&said) || said.contains(known.as_str()))
    };
    let unknown_name = |name: &String| {
        let said = spoken(name);
        !known.iter().any(|known| known.contains(&said))
    };
    let titles_set = set_titles(draft).into_iter().filter(unknown_title);
    let mut found: Vec<String> = titles_set.map(str::to_owned).collect();
    for name in spoken_names(draft).into_iter().filter(unknown_name) {
        if !found.iter().any(|title| title.contains(&name)) {
            found.push(name);
        }
    }
    let message = |name| format!("nothing that was found is called \"{name}\"");
    found
        .into_iter()
        .map(|name| complaint("invented", message(name)))
        .collect()
}

/// What stands between asterisks.
fn set_titles(draft: &str) -> Vec<&str> {
    draft.split('*').skip(1).step_by(2).collect()
}

/// Runs of capitalised words outside of titles, joined by small words or not.
/// The first word of a sentence may be capitalised for that alone: a run gets
/// by without it.
fn spoken_names(draft: &str) -> Vec<String> {
    let outside: Vec<&str> = draft.split('*').step_by(2).collect();
    let mut names = Vec::new();
    for text in outside
        .join("* ")
        .split(['.', ':', ';', '!', '?', ',', '(', ')', '*'])
    {
        let mut run: Vec<&str> = Vec::new();
        let words = text.split_whitespace().skip(1);
        for word in words {
            let capital = word != "I" && word.chars().next().is_some_and(char::is_uppercase);
            let joins = !run.is_empty() && JOINERS.contains(&word);
            if capital || joins {
                run.push(word);
            } else {
                names.extend(name_of(&mut run));
            }
        }
        names.extend(name_of(&mut run));
    }
    names
}

fn name_of(run: &mut Vec<&str>) -> Option<String> {
    while run.last().is_some_and(|word| JOINERS.contains(word)) {
        run.pop();
    }
    let words = std::mem::take(run);
    (words.len() >= NAME_WORDS).then(|| words.join(" "))
}

fn tone(draft: &str) -> Vec<Complaint> {
    let folded = fold(draft);
    let found = CONDESCENDING
        .iter()
        .filter(|words| folded.contains(**words));
    found
        .map(|words| {
            complaint(
                "tone",
                format!("the draft talks down to its reader: \"{words}\""),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{from_value, json};

    use super::*;
    use crate::books::tests::book;

    const GOOD: &str = "On whaling I would give you *Moby-Dick* by Herman Melville (1851).";

    fn state(draft: &str, drafts: u32) -> State {
        let work = json!({"book": book("Moby-Dick", "Herman Melville", 1851, &["whaling"]), "sources": ["folio"]});
        let state = json!({"draft": draft, "shortlist": [work], "attempts": {"compose": drafts}});
        from_value(state).unwrap()
    }

    fn rules(draft: &str) -> Vec<String> {
        of_text(&state(draft, 1))
            .into_iter()
            .map(|found| found.rule)
            .collect()
    }

    #[test]
    fn a_draft_that_names_a_book_of_the_shortlist_passes() {
        assert!(rules(GOOD).is_empty());
    }

    #[test]
    fn too_short_too_long_and_condescending_drafts_break_their_rules() {
        assert_eq!(rules("Read Moby-Dick."), ["length"]);
        assert_eq!(
            rules(&format!("{GOOD}{}", " whale".repeat(200))),
            ["length"]
        );
        assert_eq!(
            rules(&format!("Obviously, as everyone knows: {GOOD}")),
            ["tone", "tone"]
        );
    }

    #[test]
    fn a_draft_must_name_a_book_of_the_shortlist_if_there_is_one() {
        let vague = "There are some very good books about whaling on my shelves.";
        assert_eq!(rules(vague), ["citation"]);
        let mut nothing = state(vague, 1);
        nothing.shortlist.clear();
        assert!(of_text(&nothing).is_empty());
    }

    #[test]
    fn titles_and_names_that_nobody_found_are_inventions() {
        assert_eq!(
            rules(&format!("{GOOD} See *The Sea Cook* too.")),
            ["invented"]
        );
        let name = format!("{GOOD} It was translated by Ezekiel van Thornbury last year.");
        assert_eq!(rules(&name), ["invented"]);
    }

    #[test]
    fn names_from_what_a_book_is_about_and_titles_of_the_past_are_known() {
        let mut state = state(
            &format!("{GOOD} You saw *Kim* before; ask for Captain Ahab of Nantucket."),
            1,
        );
        assert_eq!(of_text(&state).len(), 2);
        if let Some(work) = state.shortlist.first_mut() {
            work.book.summary = "Captain Ahab of Nantucket hunts a whale.".to_owned();
        }
        state.seed = Some(
            from_value(json!({"id": "urn:work:kim::rudyard-kipling", "title": "Kim"})).unwrap(),
        );
        assert_eq!(of_text(&state), []);
    }

    #[test]
    fn the_route_is_retry_until_three_drafts_were_written() {
        for (drafts, fault, missing, route) in [
            (1, None, &[][..], "approved"),
            (1, Some("no"), &[], "retry"),
            (2, Some("no"), &[], "retry"),
            (3, Some("no"), &[], "exhausted"),
            (2, Some("no-twice"), &[], "retry"),
            (3, Some("no-twice"), &[], "approved"),
            (1, None, &["Moby-Dick".to_owned()], "retry"),
        ] {
            let done = validate(&state(GOOD, drafts), missing, fault).unwrap();
            assert_eq!(done.route(), route, "{drafts} {fault:?}");
        }
    }

    #[test]
    fn only_an_approved_draft_becomes_the_answer() {
        let approved = validate(&state(GOOD, 1), &[], None).unwrap();
        assert_eq!(approved.get("answer"), GOOD);
        let retried = validate(&state(GOOD, 1), &[], Some("no")).unwrap();
        assert!(retried.get("answer").is_null());
        let exhausted = validate(&state("*The Sea Cook*", 3), &[], None).unwrap();
        assert!(
            exhausted
                .get("answer")
                .as_str()
                .unwrap()
                .contains("*Moby-Dick*")
        );
    }

    #[test]
    fn the_books_that_a_draft_names_are_looked_up() {
        let titles: Vec<String> = cited(&state(GOOD, 1))
            .into_iter()
            .map(|(work, _)| work.book.title.clone())
            .collect();
        assert_eq!(titles, ["Moby-Dick"]);
        assert!(cited(&state("Nothing.", 1)).is_empty());
    }
}
