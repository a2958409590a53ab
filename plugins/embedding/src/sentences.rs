//! Where a sentence ends.

/// Words whose full stop ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "cf", "dr", "e.g", "etc", "fig", "i.e", "mr", "mrs", "ms", "no", "prof", "st", "vs",
];

/// The sentences of a text, each on one line. A blank line ends a sentence too,
/// so that a heading stays alone.
pub fn sentences(text: &str) -> Vec<String> {
    text.split("\n\n")
        .flat_map(|paragraph| split(&squeeze(paragraph)))
        .collect()
}

/// The text with every run of white space as one space.
pub fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn split(paragraph: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut sentence = String::new();
    let mut words = paragraph
        .split(' ')
        .filter(|word| !word.is_empty())
        .peekable();
    while let Some(word) = words.next() {
        if !sentence.is_empty() {
            sentence.push(' ');
        }
        sentence.push_str(word);
        if ends(word) && words.peek().is_none_or(|next| begins(next)) {
            found.push(std::mem::take(&mut sentence));
        }
    }
    if !sentence.is_empty() {
        found.push(sentence);
    }
    found
}

fn ends(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '\'', ')', ']', '”', '’']);
    if bare.ends_with(['!', '?']) {
        return true;
    }
    let Some(stem) = bare.strip_suffix('.') else {
        return false;
    };
    let stem = stem.trim_start_matches(['(', '[', '"', '“', '‘']);
    let initial = stem.chars().count() == 1 && stem.chars().all(char::is_uppercase);
    !initial && !ABBREVIATIONS.contains(&stem.to_lowercase().as_str())
}

fn begins(word: &str) -> bool {
    word.chars()
        .next()
        .is_some_and(|first| !first.is_lowercase())
}

#[cfg(test)]
mod tests {
    use super::sentences;

    #[test]
    fn a_sentence_ends_at_its_mark_or_at_a_blank_line() {
        assert_eq!(
            sentences("A Heading\n\nIt grew\nto 3.5 m. Did it? \"Yes.\" So be it"),
            [
                "A Heading",
                "It grew to 3.5 m.",
                "Did it?",
                "\"Yes.\"",
                "So be it"
            ]
        );
    }

    #[test]
    fn abbreviations_and_initials_end_no_sentence() {
        let text = "Dr. Smith and J. R. Doe, e.g. in No. 5, agree. They do.";
        assert_eq!(
            sentences(text),
            ["Dr. Smith and J. R. Doe, e.g. in No. 5, agree.", "They do."]
        );
    }

    #[test]
    fn a_text_without_words_has_no_sentences() {
        assert!(sentences(" \n\n \n").is_empty());
    }
}
