//! An answer made of the sources' own sentences.

use serde::Serialize;
use soma_embedding::{sentences, squeeze, words};

use crate::sources::Source;
use crate::style::{Citations, Faults};

/// Sentences that a good draft takes at most.
const MOST_SENTENCES: usize = 3;
/// Characters that a good draft keeps within, citations included.
const MOST_CHARS: usize = 560;
/// Shorter ones are headings, captions or exclamations.
const LEAST_WORDS: usize = 5;

/// What the validator gets to see.
#[derive(Debug, Serialize)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) citations: Vec<Citation>,
}

/// What a `[n]` in the text stands for.
#[derive(Debug, Serialize)]
pub(crate) struct Citation {
    pub(crate) n: usize,
    pub(crate) id: String,
    document: String,
    title: String,
}

/// A sentence and where it stands.
struct Candidate<'a> {
    source: usize,
    place: usize,
    text: String,
    weight: u32,
    from: &'a Source,
}

/// Drafts an answer, with the faults that are asked for.
pub(crate) fn compose(
    question: &str,
    sources: &[Source],
    banned: &[String],
    faults: Faults,
) -> Draft {
    let mut draft = if faults.long {
        everything(sources)
    } else {
        answer(question, sources, banned)
    };
    match faults.citations {
        Citations::Real => {}
        Citations::Invented => {
            for citation in &mut draft.citations {
                citation.id = format!("eng_remembered_{}", citation.n);
            }
        }
        Citations::Missing => {
            for citation in std::mem::take(&mut draft.citations) {
                draft.text = draft.text.replace(&format!(" [{}]", citation.n), "");
            }
        }
    }
    if faults.rude {
        draft.text = format!("Obviously, as everyone knows: {}", draft.text);
    }
    draft
}

fn everything(sources: &[Source]) -> Draft {
    let parts = sources
        .iter()
        .zip(1..)
        .map(|(source, n)| format!("{} [{n}]", squeeze(&source.text)));
    let text = parts.collect::<Vec<_>>().join(" ");
    let citations = sources
        .iter()
        .zip(1..)
        .map(|(source, n)| Citation::of(n, source))
        .collect();
    Draft { text, citations }
}

/// The best sentences, in the order of their sources.
fn answer(question: &str, sources: &[Source], banned: &[String]) -> Draft {
    let mut chosen = choose(candidates(question, sources, banned));
    chosen.sort_by_key(|candidate| (candidate.source, candidate.place));
    let mut draft = Draft {
        text: String::new(),
        citations: Vec::new(),
    };
    for candidate in chosen {
        let n = draft.number_of(candidate.from);
        let separator = if draft.text.is_empty() { "" } else { " " };
        draft
            .text
            .push_str(&format!("{separator}{} [{n}]", candidate.text));
    }
    if draft.text.is_empty() {
        draft.text = "The sources that were found say nothing about this.".to_owned();
    }
    draft
}

/// Sentences with words of the question. A word weighs the more, the fewer of
/// the sources hold it.
fn candidates<'a>(question: &str, sources: &'a [Source], banned: &[String]) -> Vec<Candidate<'a>> {
    let held: Vec<Vec<String>> = sources
        .iter()
        .map(|source| words(&source.text).collect())
        .collect();
    let mut wanted: Vec<(String, u32)> = Vec::new();
    for word in words(question) {
        if wanted.iter().all(|(known, _)| *known != word) {
            let holders = held.iter().filter(|held| held.contains(&word)).count();
            let rarity = held.len().saturating_sub(holders).saturating_add(1);
            wanted.push((word, u32::try_from(rarity).unwrap_or(u32::MAX)));
        }
    }
    let mut found = Vec::new();
    for (source, from) in sources.iter().enumerate() {
        for (place, text) in sentences(&from.text).into_iter().enumerate() {
            let text = plain(text);
            let said: Vec<String> = words(&text).collect();
            let weight = wanted
                .iter()
                .filter(|(word, _)| said.contains(word))
                .map(|(_, rarity)| rarity)
                .sum();
            let lower = text.to_lowercase();
            let usable = text.split(' ').count() >= LEAST_WORDS
                && text.ends_with(['.', '!', ')', '"', '”'])
                && !text.contains('|')
                && !banned.iter().any(|word| lower.contains(word));
            if usable && weight > 0 {
                found.push(Candidate {
                    source,
                    place,
                    text,
                    weight,
                    from,
                });
            }
        }
    }
    found
}

/// Without the mark of a list or a quotation before it.
fn plain(sentence: String) -> String {
    let marks = ["- ", "* ", "> ", "# "];
    let bare = marks.iter().find_map(|mark| sentence.strip_prefix(mark));
    bare.map(str::to_owned).unwrap_or(sentence)
}

/// The weightiest ones that fit together, none with less than half the weight
/// of the first; a sentence that two sources share is
/// taken once.
fn choose(mut candidates: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.weight));
    let best = candidates.first().map_or(0, |candidate| candidate.weight);
    candidates.retain(|candidate| candidate.weight >= best.div_ceil(2));
    let mut chosen: Vec<Candidate<'_>> = Vec::new();
    let mut room = MOST_CHARS;
    for candidate in candidates {
        let cost = candidate
            .text
            .chars()
            .count()
            .saturating_add(" [10] ".len());
        let new = chosen.iter().all(|other| other.text != candidate.text);
        if new && cost <= room && chosen.len() < MOST_SENTENCES {
            room = room.saturating_sub(cost);
            chosen.push(candidate);
        }
    }
    chosen
}

impl Draft {
    /// The number of a source; sources are numbered as they are first cited.
    fn number_of(&mut self, source: &Source) -> usize {
        if let Some(known) = self
            .citations
            .iter()
            .find(|citation| citation.id == source.id)
        {
            return known.n;
        }
        let n = self.citations.len().saturating_add(1);
        self.citations.push(Citation::of(n, source));
        n
    }
}

impl Citation {
    fn of(n: usize, source: &Source) -> Self {
        let (document, title) = (source.meta.document.clone(), source.meta.title.clone());
        Self {
            n,
            id: source.id.clone(),
            document,
            title,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "How hot is the lava of a volcano?";

    fn sources() -> Vec<Source> {
        vec![
            Source::named(
                "a",
                "Heat\n\nThe lava of a volcano is as hot as 1200 degrees. It glows.",
                1.0,
            ),
            Source::named(
                "b",
                "- Lava of a volcano may rest for years. Bread is baked in hot ovens too.",
                1.0,
            ),
        ]
    }

    #[test]
    fn a_good_draft_cites_the_source_of_each_sentence_that_fits_the_question() {
        let draft = compose(QUESTION, &sources(), &[], Faults::default());
        assert_eq!(
            draft.text,
            "The lava of a volcano is as hot as 1200 degrees. [1] \
             Lava of a volcano may rest for years. [2]"
        );
        let cited: Vec<(usize, &str)> = draft
            .citations
            .iter()
            .map(|citation| (citation.n, citation.id.as_str()))
            .collect();
        assert_eq!(cited, [(1, "a"), (2, "b")]);
    }

    #[test]
    fn a_sentence_with_a_banned_word_is_not_taken() {
        let draft = compose(
            QUESTION,
            &sources(),
            &["rest".to_owned()],
            Faults::default(),
        );
        assert!(!draft.text.contains("rest"), "{}", draft.text);
    }

    #[test]
    fn a_rough_draft_is_everything_without_citations() {
        let faults = Faults {
            long: true,
            citations: Citations::Missing,
            rude: true,
        };
        let draft = compose(QUESTION, &sources(), &[], faults);
        assert!(
            draft.citations.is_empty() && !draft.text.contains('['),
            "{draft:?}"
        );
        assert!(draft.text.contains("It glows."), "{draft:?}");
    }

    #[test]
    fn invented_citations_name_no_source() {
        let faults = Faults {
            citations: Citations::Invented,
            ..Faults::default()
        };
        let draft = compose(QUESTION, &sources(), &[], faults);
        assert!(draft.text.contains("[1]"), "{draft:?}");
        assert!(
            draft
                .citations
                .iter()
                .all(|citation| citation.id.starts_with("eng_remembered_"))
        );
    }

    #[test]
    fn a_good_draft_keeps_within_its_length() {
        let long =
            "The lava of this volcano is very hot and it flows on and on to the sea. ".repeat(3);
        let many: Vec<Source> = (0..9)
            .map(|n| Source::named("x", &format!("{long} Number {n} of the hot ones."), 1.0))
            .collect();
        let draft = compose(QUESTION, &many, &[], Faults::default());
        assert!(draft.text.chars().count() <= MOST_CHARS, "{draft:?}");
    }

    #[test]
    fn without_sources_it_says_so_and_cites_nothing() {
        let draft = compose(QUESTION, &[], &[], Faults::default());
        assert!(draft.citations.is_empty() && !draft.text.is_empty());
    }
}
