//! Recalls earlier visits and ends each visit with its one response. Registered
//! under the ids of `archivist::historian::STAGES`.
//!
//! Binding: `visits` (read; as `respond-to-visitor` also write). A visit that
//! cannot be written down is a warning: the visitor is answered all the same.

use archivist::historian::{self, BINDING, FORGETS, STAGES, TAG, Visit};
use archivist::{Done, State, fault, unknown_stage};
use soma_neuron::engram::{Binding, Error, Query};
use soma_neuron::{Failure, Reply, Task};

/// More visits than anybody makes.
const ALL: u32 = 10_000;

fn handle(task: Task<State>) -> Result<Reply, Failure> {
    let own = fault::happen(&task)?;
    let (state, trace) = (&task.input, task.trace_id.as_str());
    let done = match (task.neuron.as_str(), own) {
        ("respond-to-visitor", None | Some(FORGETS)) => respond(state, trace, own),
        (_, Some(word)) => return Err(fault::unknown(word)),
        ("recall-context", None) => historian::recall_context(state, trace, &visits()?),
        ("recommend-similar", None) => historian::recommend_similar(state, trace, &visits()?),
        ("recall-memories", None) => historian::recall_memories(state, trace, &visits()?),
        (other, None) => return Err(unknown_stage(other, &STAGES)),
    };
    done.reply()
}

fn visits() -> Result<Vec<Visit>, Error> {
    let found = Binding::new(BINDING).recall(Query::new().tag(TAG).top_k(ALL))?;
    found.hits.iter().map(|hit| hit.content()).collect()
}

fn respond(state: &State, trace: &str, own: Option<&str>) -> Done {
    let done = historian::respond(state);
    let visit = historian::visit(state, trace);
    let kept = match own {
        Some(_) => Err("told to forget it".to_owned()),
        None => keep(&visit).map_err(|error| error.to_string()),
    };
    match kept {
        Ok(()) => done,
        Err(why) => done.warning(
            "VISIT_NOT_RECORDED",
            format!("the visit was not written down: {why}"),
        ),
    }
}

/// Once, however often a run comes by here.
fn keep(visit: &Visit) -> Result<(), Error> {
    let visits = Binding::new(BINDING);
    let kept = visits
        .append(visit)
        .tags([TAG, visit.intent.name()])
        .idempotency_key(format!("visit/{}", visit.run_id));
    kept.ack().map(drop)
}

soma_neuron::neuron!(handle);
