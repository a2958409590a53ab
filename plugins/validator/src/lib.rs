//! Checks a draft and names the route that a flow takes next.
//!
//! Input: the flow's state. It reads `draft` (`{text, citations: [{n, id}]}`)
//! and, where they are there, `recalled` (`[{id, merge_key}]`), `engram`
//! (binding, default `index`), `attempts.compose` and `max_attempts` (default
//! 3). Output: the state's changed keys `approved`, `critique` (a list of `{rule,
//! message}`, with `found` for a word that gave offence) and, when it gives up,
//! `best_effort`: true.
//!
//! Routes: `approved`; `retry` while fewer than `max_attempts` drafts were made;
//! else `exhausted`, with the last draft left as the best there is.
//!
//! Rules: `length` (40 to 600 characters), `citation` (at least one, and each
//! `[n]` of the text listed), `source` (each cited entry was recalled and is
//! still in the engram), `tone` (no condescending words).
//!
//! Binding: `index` (read).

mod lookup;
mod rules;

use serde::{Deserialize, Serialize};
use soma_neuron::{Failure, Reply, Task, log};

#[derive(Deserialize)]
struct State {
    draft: Draft,
    #[serde(default)]
    recalled: Vec<Recalled>,
    #[serde(default = "index")]
    engram: String,
    #[serde(default)]
    attempts: Attempts,
    #[serde(default = "usual_attempts")]
    max_attempts: u64,
}

#[derive(Deserialize)]
struct Draft {
    text: String,
    #[serde(default)]
    citations: Vec<Citation>,
}

#[derive(Deserialize)]
struct Citation {
    n: u64,
    id: String,
}

#[derive(Deserialize)]
struct Recalled {
    id: String,
    merge_key: Option<String>,
}

#[derive(Default, Deserialize)]
struct Attempts {
    #[serde(default)]
    compose: u64,
}

/// One finding.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Complaint {
    rule: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<&'static str>,
}

#[derive(Serialize)]
struct Verdict {
    approved: bool,
    critique: Vec<Complaint>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    best_effort: bool,
}

fn index() -> String {
    "index".to_owned()
}

fn usual_attempts() -> u64 {
    3
}

fn handle(task: Task<State>) -> Result<Reply, Failure> {
    let state = task.input;
    let mut critique = rules::of_text(&state.draft);
    critique.extend(lookup::sources(
        &state.engram,
        &state.draft.citations,
        &state.recalled,
    )?);
    let route = route(
        critique.is_empty(),
        state.attempts.compose,
        state.max_attempts,
    );
    log::info!("draft {route}"; attempt = state.attempts.compose, findings = critique.len());
    let approved = route == "approved";
    let verdict = Verdict {
        approved,
        critique,
        best_effort: route == "exhausted",
    };
    Ok(Reply::output(&verdict)?.route(route))
}

fn route(flawless: bool, drafts: u64, most: u64) -> &'static str {
    match flawless {
        true => "approved",
        false if drafts < most => "retry",
        false => "exhausted",
    }
}

soma_neuron::neuron!(handle);

#[cfg(test)]
mod tests {
    use super::route;

    #[test]
    fn a_flawed_draft_is_retried_until_the_attempts_are_used_up() {
        assert_eq!(route(false, 1, 3), "retry");
        assert_eq!(route(false, 2, 3), "retry");
        assert_eq!(route(false, 3, 3), "exhausted");
        assert_eq!(route(true, 3, 3), "approved");
    }
}
