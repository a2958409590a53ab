//! What kind of question it is, by the phrases in it.

use serde_json::Value;
use soma_neuron::{Failure, Reply};

use crate::text::spoken;
use crate::{Done, Intent, State};

/// The first rule of which a phrase occurs decides.
const RULES: [(Intent, &[&str]); 5] = [
    (
        Intent::RecallMemories,
        &[
            "what have i",
            "what did i",
            "did i ask",
            "have i asked",
            "do you remember",
            "my visits",
            "my last visit",
            "my earlier",
        ],
    ),
    (
        Intent::RecommendSimilar,
        &[
            "similar",
            "more like",
            "something like",
            "in the vein of",
            "like the last",
            "like that one",
        ],
    ),
    (
        Intent::FindReviews,
        &[
            "review",
            "reviews",
            "rating",
            "ratings",
            "rated",
            "best",
            "worth reading",
            "acclaimed",
        ],
    ),
    (
        Intent::LookupAuthor,
        &[
            "who wrote",
            "who is the author",
            "written by",
            "books by",
            "novels by",
            "plays by",
            "poems by",
            "stories by",
            "works by",
            "anything by",
        ],
    ),
    (
        Intent::DescribeBook,
        &[
            "describe",
            "summary",
            "summarise",
            "plot",
            "synopsis",
            "tell me about",
            "happens in",
        ],
    ),
];

/// What people ask at the wrong desk.
const ELSEWHERE: &[&str] = &[
    "weather",
    "recipe",
    "football",
    "score",
    "bitcoin",
    "shares",
    "password",
    "flight",
    "pizza",
    "homework",
    "restaurant",
    "hotel",
    "joke",
    "javascript",
];

/// Where one of these is said, it is about books after all.
const BOOKISH: &[&str] = &[
    "book", "books", "novel", "novels", "read", "reading", "poem", "poems", "poetry", "play",
    "plays", "story", "stories", "tale", "tales", "author", "library",
];

/// A question that says nothing is asked back; what the visitor then answers
/// is the question.
pub(super) fn classify(state: &State) -> Result<Reply, Failure> {
    let answered = state.clarification.as_ref().and_then(answer);
    let query = answered.unwrap_or(&state.query).trim();
    if query.is_empty() && state.clarification.is_none() {
        return Ok(Reply::clarification("What would you like to read about?"));
    }
    let intent = intent(query);
    Done::new(intent.route())
        .set("query", query)
        .set("intent", intent)
        .reply()
}

/// A plain text, or an object with it under `answer`.
fn answer(clarification: &Value) -> Option<&str> {
    let said = clarification.get("answer").unwrap_or(clarification);
    said.as_str()
}

fn intent(query: &str) -> Intent {
    let said = spoken(query);
    let says = |phrases: &[&str]| {
        phrases
            .iter()
            .any(|phrase| said.contains(&format!(" {phrase} ")))
    };
    if said.trim().is_empty() {
        return Intent::OffTopic;
    }
    if let Some((intent, _)) = RULES.iter().find(|(_, phrases)| says(phrases)) {
        return *intent;
    }
    // "What is Middlemarch about?"
    if said.starts_with(" what is ") && said.ends_with(" about ") {
        return Intent::DescribeBook;
    }
    if says(ELSEWHERE) && !says(BOOKISH) {
        return Intent::OffTopic;
    }
    Intent::Search
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_of_question_is_told_by_its_phrases() {
        for (query, expected) in [
            ("Who wrote Dracula?", Intent::LookupAuthor),
            (
                "Which novels by Jane Austen do you have?",
                Intent::LookupAuthor,
            ),
            ("the best rated detective stories", Intent::FindReviews),
            ("What is Middlemarch about?", Intent::DescribeBook),
            ("Tell me about Frankenstein", Intent::DescribeBook),
            ("Something similar, please", Intent::RecommendSimilar),
            ("What have I asked you before?", Intent::RecallMemories),
            ("a novel about whaling", Intent::Search),
            ("What will the weather be like?", Intent::OffTopic),
            ("a story about the weather at sea", Intent::Search),
            ("?!", Intent::OffTopic),
        ] {
            assert_eq!(intent(query), expected, "{query}");
        }
    }

    #[test]
    fn a_phrase_counts_as_whole_words_only() {
        assert_eq!(intent("bestiaries of the Middle Ages"), Intent::Search);
    }

    #[test]
    fn the_answer_to_a_question_back_is_a_text_or_lies_under_answer() {
        assert_eq!(answer(&json!("whales")), Some("whales"));
        assert_eq!(
            answer(&json!({"question": "?", "answer": "whales"})),
            Some("whales")
        );
        assert_eq!(answer(&json!({"other": 1})), None);
    }
}
