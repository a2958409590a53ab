//! Words, and how alike two sets of them are.

use std::collections::BTreeSet;

/// A text in lower case and without accents: what visitors type and what
/// catalogues print meet here.
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars().flat_map(char::to_lowercase) {
        match letter {
            'à'..='å' | 'ā' | 'ă' | 'ą' => folded.push('a'),
            'æ' => folded.push_str("ae"),
            'ç' | 'ć' | 'č' => folded.push('c'),
            'ď' | 'ð' => folded.push('d'),
            'è'..='ë' | 'ē' | 'ę' | 'ě' => folded.push('e'),
            'ì'..='ï' | 'ī' => folded.push('i'),
            'ł' => folded.push('l'),
            'ñ' | 'ń' | 'ň' => folded.push('n'),
            'ò'..='ö' | 'ø' | 'ō' | 'ő' => folded.push('o'),
            'œ' => folded.push_str("oe"),
            'ř' => folded.push('r'),
            'ś' | 'š' | 'ş' => folded.push('s'),
            'ß' => folded.push_str("ss"),
            'ť' => folded.push('t'),
            'ù'..='ü' | 'ū' | 'ů' | 'ű' => folded.push('u'),
            'ý' | 'ÿ' => folded.push('y'),
            'ź' | 'ż' | 'ž' => folded.push('z'),
            '’' => folded.push('\''),
            other => folded.push(other),
        }
    }
    folded
}

/// The words that say something, folded and singular, in the order of the text.
pub fn words(text: &str) -> Vec<String> {
    let singular = |word: String| match word.strip_suffix("ie") {
        Some(stem) if stem.len() > 2 => format!("{stem}y"),
        _ => word,
    };
    soma_embedding::words(&fold(text)).map(singular).collect()
}

/// The same as a set.
pub fn word_set(text: &str) -> BTreeSet<String> {
    words(text).into_iter().collect()
}

/// Shared words over all words; 0 where there are none.
pub fn jaccard(one: &BTreeSet<String>, other: &BTreeSet<String>) -> f64 {
    ratio(one.intersection(other).count(), one.union(other).count())
}

/// `part / whole`; 0 where there is no whole.
#[expect(clippy::cast_precision_loss, reason = "counts of words are small")]
pub fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// A score as the state keeps it: three decimals, the same on every machine.
pub fn rounded(score: f64) -> f64 {
    (score * 1000.0).round() / 1000.0
}

/// A text as part of a URN: folded letters and digits, joined by hyphens.
pub fn slug(text: &str) -> String {
    let folded = fold(text).replace('\'', "");
    let parts = folded.split(|letter: char| !letter.is_ascii_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// The folded text with one space between words and at both ends: a phrase is
/// in it when it is, between spaces.
pub fn spoken(text: &str) -> String {
    let folded = fold(text).replace('\'', "");
    let parts = folded.split(|letter: char| !letter.is_alphanumeric());
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    format!(" {} ", parts.join(" "))
}

/// `a`, `a and b`, `a, b and c`.
pub fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_plurals_and_case_do_not_keep_words_apart() {
        assert_eq!(
            words("Émile BRONTË’s ghost stories"),
            words("emile Bronte's ghost story")
        );
        assert_eq!(words("Natsume Sōseki"), ["natsume", "soseki"]);
    }

    #[test]
    fn alike_sets_have_a_jaccard_of_one_and_empty_ones_of_nothing() {
        let set = word_set("whale sea");
        assert!((jaccard(&set, &set) - 1.0).abs() < f64::EPSILON);
        assert!((jaccard(&set, &word_set("sea voyage")) - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!(
            jaccard(&word_set(""), &word_set("")).to_bits(),
            0.0_f64.to_bits()
        );
    }

    #[test]
    fn a_slug_is_letters_digits_and_hyphens() {
        assert_eq!(slug("Moby-Dick; or, The Whale"), "moby-dick-or-the-whale");
        assert_eq!(
            slug("Alice's “Adventures” (Švejk)"),
            "alices-adventures-svejk"
        );
    }

    #[test]
    fn lists_read_like_english() {
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&items), "a, b and c");
        assert_eq!(listed(items.get(..1).unwrap_or_default()), "a");
    }
}
