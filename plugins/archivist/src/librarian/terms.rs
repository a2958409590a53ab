//! What to look for, out of the words of the question.

use crate::text::{fold, words};
use crate::{Done, State};

/// Terms that are looked for at most.
const MOST_TERMS: usize = 6;

/// Words by which people ask rather than what they ask for; as
/// [`words`](crate::text::words) gives them.
const ASKING: &[&str] = &[
    "acclaimed",
    "answer",
    "anybody",
    "anything",
    "asked",
    "athenaeum",
    "author",
    "best",
    "book",
    "describe",
    "find",
    "folio",
    "give",
    "good",
    "happen",
    "just",
    "kind",
    "know",
    "last",
    "let",
    "like",
    "look",
    "looking",
    "new",
    "novel",
    "please",
    "plot",
    "rated",
    "rating",
    "read",
    "reading",
    "recommend",
    "remember",
    "review",
    "search",
    "set",
    "show",
    "similar",
    "something",
    "sort",
    "stack",
    "story",
    "suggest",
    "summarise",
    "summary",
    "synopsi",
    "tell",
    "there",
    "thing",
    "time",
    "treatise",
    "vein",
    "want",
    "work",
    "worth",
    "written",
    "wrote",
];

/// What visitors call a kind of book, and what catalogues call it.
const KINDS: &[(&str, &str)] = &[
    ("play", "drama"),
    ("poem", "poetry"),
    ("rhyme", "poetry"),
    ("verse", "poetry"),
];

/// Phrases in quotation marks, then what stands between commas, else single
/// words.
pub(super) fn extract(state: &State) -> Done {
    let terms = terms(&state.query);
    if terms.is_empty() {
        return Done::new("empty")
            .set("terms", terms)
            .set("failureCause", "the question names nothing to look for");
    }
    Done::new("extracted").set("terms", terms)
}

fn terms(query: &str) -> Vec<String> {
    let folded = fold(query).replace(['“', '”', '«', '»'], "\"");
    let mut found: Vec<String> = Vec::new();
    let mut plain = String::new();
    // Every other part stands between quotation marks.
    for (place, part) in folded.split('"').enumerate() {
        if place % 2 == 1 {
            add(&mut found, words(part).join(" "));
        } else {
            plain.push_str(part);
            plain.push(' ');
        }
    }
    let parts: Vec<&str> = plain.split([',', ';', '\n']).collect();
    for part in &parts {
        let words = words(part).into_iter();
        let saying = words.filter(|word| !ASKING.contains(&word.as_str()));
        let saying = saying.map(shelved_as);
        if parts.len() > 1 {
            add(&mut found, saying.collect::<Vec<_>>().join(" "));
        } else {
            saying.for_each(|word| add(&mut found, word));
        }
    }
    found.truncate(MOST_TERMS);
    found
}

fn shelved_as(word: String) -> String {
    let kind = KINDS.iter().find(|(said, _)| *said == word);
    kind.map_or(word, |(_, shelved)| (*shelved).to_owned())
}

fn add(terms: &mut Vec<String>, term: String) {
    if !term.is_empty() && !terms.contains(&term) {
        terms.push(term);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_by_which_one_asks_are_no_terms() {
        assert_eq!(
            terms("Can you recommend a good book about whaling and obsession?"),
            ["whaling", "obsession"]
        );
        assert_eq!(terms("Who wrote Dracula?"), ["dracula"]);
        assert!(terms("Something similar, please").is_empty());
    }

    #[test]
    fn kinds_of_books_are_looked_for_under_their_names_on_the_shelves() {
        assert_eq!(terms("poems about war"), ["poetry", "war"]);
    }

    #[test]
    fn quoted_phrases_and_what_stands_between_commas_stay_together() {
        assert_eq!(terms("something like “The Sea-Wolf”"), ["sea wolf"]);
        assert_eq!(
            terms("ghost stories, haunted houses"),
            ["ghost", "haunted house"]
        );
    }

    #[test]
    fn there_are_at_most_six() {
        assert_eq!(
            terms("love war sea ship whale island pirate").len(),
            MOST_TERMS
        );
    }

    #[test]
    fn without_any_the_route_is_empty_and_the_cause_is_told() {
        let state = State {
            query: "Something similar, please".to_owned(),
            ..State::default()
        };
        let done = extract(&state);
        assert_eq!(done.route(), "empty");
        assert!(done.get("failureCause").is_string());
    }
}
