//! What the document neurons share: words, sentences and a deterministic
//! embedding. Pure functions of text; nothing here calls the host.

mod sentences;

pub use sentences::{sentences, squeeze};

/// Length of every embedding.
pub const DIMENSION: usize = 16;

/// Words that say nothing about what a text is about.
const STOP_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "before", "between", "but", "by", "can", "could", "did", "do", "does", "each", "for", "from",
    "had", "has", "have", "he", "her", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "may", "me", "more", "most", "must", "my", "no", "not", "of", "on", "one", "only", "or",
    "other", "our", "out", "over", "she", "should", "so", "some", "such", "than", "that", "the",
    "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up", "was",
    "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would",
    "you", "your",
];

/// The words of a text that say something: lower-cased, without stop words and
/// without the `s` of a plural, in the order of the text.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .filter(|word| !STOP_WORDS.contains(&word.as_str()))
        .map(singular)
        .filter(|word| word.chars().count() > 1)
}

/// A bag of words, each hashed to one of the dimensions with a sign, normalised
/// to unit length. The same text gives the same vector on every machine. It is
/// never zero: a text without words is the first axis.
pub fn embed(text: &str) -> [f32; DIMENSION] {
    let mut vector = [0.0_f32; DIMENSION];
    for word in words(text) {
        let hash = fnv1a(&word);
        let sign = if hash & (1 << 32) == 0 { 1.0 } else { -1.0 };
        let axis = usize::try_from(hash % 16).unwrap_or_default();
        if let Some(value) = vector.get_mut(axis) {
            *value += sign;
        }
    }
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        return vector.map(|value| value / length);
    }
    let [first, ..] = &mut vector;
    *first = 1.0;
    vector
}

fn singular(mut word: String) -> String {
    let plural = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss");
    if plural {
        word.pop();
    }
    word
}

/// FNV-1a, 64 bits, with a last mix: its low bits alone spread badly.
fn fnv1a(word: &str) -> u64 {
    let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(one: &str, other: &str) -> f32 {
        embed(one)
            .iter()
            .zip(embed(other))
            .map(|(one, other)| one * other)
            .sum()
    }

    #[test]
    fn words_are_lower_case_singular_and_carry_meaning() {
        let found: Vec<String> =
            words("What are the Dendrites, and which glass holds them?").collect();
        assert_eq!(found, ["dendrite", "glass", "hold"]);
    }

    #[test]
    fn an_embedding_has_length_one_whatever_the_text() {
        for text in [
            "",
            "the of and",
            "one dendrite",
            "Ein längerer Satz über Bäume, Äste & 42.",
        ] {
            let length: f32 = embed(text).iter().map(|value| value * value).sum();
            assert!(
                (length - 1.0).abs() < 1e-5,
                "{text:?} has the squared length {length}"
            );
        }
    }

    #[test]
    fn texts_about_the_same_thing_are_closer_than_others() {
        let question = "How does a volcano erupt?";
        let near = cosine(
            question,
            "A volcano erupts when magma rises; volcanoes erupt for days.",
        );
        let far = cosine(
            question,
            "The library opens at nine and lends books to its members.",
        );
        assert!(near > far, "{near} is not more than {far}");
    }

    #[test]
    fn an_embedding_does_not_change_from_one_release_to_the_next() {
        let axes: Vec<usize> = (0..DIMENSION)
            .filter(|axis| {
                embed("dendrite")
                    .get(*axis)
                    .is_some_and(|value| *value != 0.0)
            })
            .collect();
        assert_eq!(axes, [AXIS_OF_DENDRITE]);
    }

    /// Stored vectors are only comparable while words keep their axes.
    const AXIS_OF_DENDRITE: usize = 12;
}
