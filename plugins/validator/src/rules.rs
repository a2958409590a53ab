//! The rules that need nothing but the draft.

use crate::{Complaint, Draft};

const LEAST_CHARS: usize = 40;
const MOST_CHARS: usize = 600;

/// Words that talk down to the reader.
const CONDESCENDING: &[&str] = &[
    "obviously",
    "everyone knows",
    "trust me",
    "stupid",
    "idiot",
    "no-brainer",
];

/// What is wrong with the text and its citations.
pub(crate) fn of_text(draft: &Draft) -> Vec<Complaint> {
    let mut critique = Vec::new();
    critique.extend(length(&draft.text));
    critique.extend(citations(draft));
    critique.extend(tone(&draft.text));
    critique
}

fn length(text: &str) -> Option<Complaint> {
    let chars = text.trim().chars().count();
    let wanted = format!("wanted are {LEAST_CHARS} to {MOST_CHARS}");
    let outside = !(LEAST_CHARS..=MOST_CHARS).contains(&chars);
    outside.then(|| {
        Complaint::new(
            "length",
            format!("the draft has {chars} characters; {wanted}"),
        )
    })
}

fn citations(draft: &Draft) -> Vec<Complaint> {
    let mut marks = marks(&draft.text);
    marks.sort_unstable();
    marks.dedup();
    if marks.is_empty() {
        return vec![Complaint::new(
            "citation",
            "the text cites nothing".to_owned(),
        )];
    }
    let listed = |mark: &u64| draft.citations.iter().any(|citation| citation.n == *mark);
    let unlisted = marks.into_iter().filter(|mark| !listed(mark));
    let message = |mark| format!("the text cites [{mark}], which the list of citations lacks");
    unlisted
        .map(|mark| Complaint::new("citation", message(mark)))
        .collect()
}

/// The numbers in square brackets.
fn marks(text: &str) -> Vec<u64> {
    let inner = text
        .split('[')
        .skip(1)
        .filter_map(|rest| rest.split_once(']'));
    inner.filter_map(|(mark, _)| mark.parse().ok()).collect()
}

fn tone(text: &str) -> Vec<Complaint> {
    let lower = text.to_lowercase();
    let found = CONDESCENDING.iter().filter(|word| lower.contains(**word));
    found
        .map(|word| Complaint {
            rule: "tone",
            message: format!("the draft talks down to its reader: \"{word}\""),
            found: Some(word),
        })
        .collect()
}

impl Complaint {
    pub(crate) fn new(rule: &'static str, message: String) -> Self {
        Self {
            rule,
            message,
            found: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Citation;

    fn rules(text: &str, listed: &[u64]) -> Vec<&'static str> {
        let citations = listed
            .iter()
            .map(|n| Citation {
                n: *n,
                id: format!("e{n}"),
            })
            .collect();
        let draft = Draft {
            text: text.to_owned(),
            citations,
        };
        of_text(&draft)
            .into_iter()
            .map(|complaint| complaint.rule)
            .collect()
    }

    #[test]
    fn a_draft_with_listed_citations_of_fair_length_passes() {
        let text = "Lava is as hot as 1200 degrees [1], and it glows in the dark [2][1].";
        assert!(rules(text, &[1, 2]).is_empty());
    }

    #[test]
    fn a_draft_that_is_too_short_or_too_long_breaks_the_length_rule() {
        assert_eq!(rules("Hot. [1]", &[1]), ["length"]);
        assert_eq!(
            rules(&format!("[1]{}", "lava ".repeat(200)), &[1]),
            ["length"]
        );
    }

    #[test]
    fn a_text_without_marks_or_with_an_unlisted_one_breaks_the_citation_rule() {
        let text = "Lava is as hot as 1200 degrees, and it glows [somewhere] in the dark";
        assert_eq!(rules(text, &[1]), ["citation"]);
        assert_eq!(rules(&format!("{text} [1] [7]"), &[1]), ["citation"]);
    }

    #[test]
    fn each_condescending_word_breaks_the_tone_rule() {
        let text = "Obviously lava is hot, as everyone knows who ever saw a volcano. [1]";
        assert_eq!(rules(text, &[1]), ["tone", "tone"]);
    }
}
