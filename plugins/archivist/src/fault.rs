//! Failures on demand: any stage can be told to fail, by the key `faults` of
//! the state.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use soma_neuron::{Failure, Task, clock};

use crate::State;

/// How long a slow stage takes: longer than anybody waits.
const SLOW: Duration = Duration::from_secs(3600);

/// The words that every stage knows.
pub const FAULTS: &[&str] = &["down", "once", "slow", "trap"];

/// What is to go wrong, by the id of the neuron that it strikes:
///
/// | Word | Meaning |
/// |---|---|
/// | `down` | every attempt fails with `STAGE_DOWN` |
/// | `once` | the first attempt under a retry policy fails with it, later ones do not |
/// | `slow` | every attempt first sleeps for an hour |
/// | `trap` | every attempt panics |
///
/// Some stages know further words: [`crate::writer::FAULTS`],
/// [`crate::critic::FAULTS`] and [`crate::historian::FORGETS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Faults(BTreeMap<String, String>);

#[derive(Debug, PartialEq, Eq)]
enum Strike<'a> {
    None,
    Fail,
    Sleep,
    Trap,
    /// A word for the stage itself.
    Own(&'a str),
}

impl Faults {
    fn strike(&self, neuron: &str, attempt: u32) -> Strike<'_> {
        match self.0.get(neuron).map(String::as_str) {
            None => Strike::None,
            Some("down") => Strike::Fail,
            Some("once") if attempt == 0 => Strike::Fail,
            Some("once") => Strike::None,
            Some("slow") => Strike::Sleep,
            Some("trap") => Strike::Trap,
            Some(word) => Strike::Own(word),
        }
    }
}

/// Lets the fault of this stage happen, if there is one, and returns the word
/// that the stage has to know itself.
///
/// # Errors
///
/// `STAGE_DOWN`, recoverable.
pub fn happen(task: &Task<State>) -> Result<Option<&str>, Failure> {
    match task.input.faults.strike(&task.neuron, task.attempt) {
        Strike::None => Ok(None),
        Strike::Fail => Err(down(&task.neuron)),
        Strike::Sleep => {
            clock::sleep(SLOW);
            Ok(None)
        }
        Strike::Trap => trap(&task.neuron),
        Strike::Own(word) => Ok(Some(word)),
    }
}

/// As [`happen`], for a stage that knows no further words.
///
/// # Errors
///
/// `STAGE_DOWN`; `UNKNOWN_FAULT` for any other word.
pub fn happen_or_refuse(task: &Task<State>) -> Result<(), Failure> {
    match happen(task)? {
        None => Ok(()),
        Some(word) => Err(unknown(word)),
    }
}

/// What a stage says to a word that it does not know.
pub fn unknown(word: &str) -> Failure {
    Failure::new("UNKNOWN_FAULT", format!("no fault `{word}` is known here"))
}

fn down(neuron: &str) -> Failure {
    Failure::new("STAGE_DOWN", format!("`{neuron}` is down")).recoverable()
}

#[expect(clippy::panic, reason = "to panic is what is asked for")]
fn trap(neuron: &str) -> ! {
    panic!("`{neuron}` was told to trap")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_fault_strikes_its_own_stage_and_once_only_the_first_attempt() {
        let faults: Faults =
            serde_json::from_value(json!({"a": "down", "b": "once", "c": "no", "d": "slow"}))
                .unwrap();
        assert_eq!(faults.strike("a", 7), Strike::Fail);
        assert_eq!(faults.strike("b", 0), Strike::Fail);
        assert_eq!(faults.strike("b", 1), Strike::None);
        assert_eq!(faults.strike("c", 0), Strike::Own("no"));
        assert_eq!(faults.strike("d", 1), Strike::Sleep);
        assert_eq!(faults.strike("e", 0), Strike::None);
    }
}
