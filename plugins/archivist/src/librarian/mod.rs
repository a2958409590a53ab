//! The desk: every stage that needs nothing but the state.

mod collate;
mod desk;
mod intent;
mod merge;
mod plan;
mod rank;
mod terms;

use soma_neuron::{Failure, Reply};

use crate::{Stage, State, unknown_stage};

pub use desk::matches;

/// The ids that a librarian is registered under, each with its routes.
pub const STAGES: [Stage; 10] = [
    (
        "classify-intent",
        &[
            "lookup-author",
            "find-reviews",
            "describe-book",
            "recommend-similar",
            "recall-memories",
            "on-topic",
            "off-topic",
        ],
    ),
    ("extract-query", &["extracted", "empty"]),
    ("decide-tools", &["tools", "no-tools"]),
    ("collate-finds", &["found", "empty"]),
    ("rank-candidates", &["ranked"]),
    ("merge-candidates", &["ranked", "empty"]),
    ("has-shortlist", &["pass", "fail"]),
    ("decline-off-topic", &["declined"]),
    ("compose-memories", &["composed"]),
    ("compose-empty", &["composed"]),
];

/// Does the stage of this id.
///
/// # Errors
///
/// `UNKNOWN_STAGE` for an id that is none of [`STAGES`].
pub fn reply(stage: &str, state: State) -> Result<Reply, Failure> {
    let done = match stage {
        "classify-intent" => return intent::classify(&state),
        "extract-query" => terms::extract(&state),
        "decide-tools" => plan::decide(&state),
        "collate-finds" => collate::collate(state),
        "rank-candidates" => rank::rank(state),
        "merge-candidates" => merge::merge(state),
        "has-shortlist" => desk::gate(&state),
        "decline-off-topic" => desk::decline(),
        "compose-memories" => desk::remember(&state),
        "compose-empty" => desk::apologise(&state),
        other => return Err(unknown_stage(other, &STAGES)),
    };
    done.reply()
}
