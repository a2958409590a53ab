//! Imprints and recalls with vectors that are none, on the binding `index`: not
//! a number, infinite, too short, too long, empty, zero.
//!
//! The host must refuse each with `invalid`. This guest then answers `{"refused":
//! {case: reason}}`; it fails with `ACCEPTED` when a vector was let in, and with
//! the engram's error when that was another one.

use serde_json::{Map, Value, json};
use soma_neuron::engram::{Binding, Error, Query};
use soma_neuron::{Failure, Task};

const DIMENSION: usize = 16;

fn handle(_: Task) -> Result<Value, Failure> {
    let index = Binding::new("index");
    let mut refused = Map::new();
    for (case, vector) in cases() {
        let written = index
            .add(&json!({"text": case}))
            .embedding(vector.clone())
            .ack();
        refused.insert(format!("imprint {case}"), refusal(case, written.map(drop))?);
        let found = index.recall(Query::new().embedding(vector));
        refused.insert(format!("recall {case}"), refusal(case, found.map(drop))?);
    }
    Ok(json!({"refused": refused}))
}

fn cases() -> [(&'static str, Vec<f32>); 6] {
    let with = |value: f32| {
        let mut vector = vec![1.0; DIMENSION - 1];
        vector.push(value);
        vector
    };
    [
        ("not a number", with(f32::NAN)),
        ("infinite", with(f32::INFINITY)),
        ("too short", vec![1.0; DIMENSION - 1]),
        ("too long", vec![1.0; DIMENSION + 1]),
        ("empty", Vec::new()),
        ("zero", vec![0.0; DIMENSION]),
    ]
}

fn refusal(case: &str, result: Result<(), Error>) -> Result<Value, Failure> {
    match result {
        Err(Error::Invalid(reason)) => Ok(reason.into()),
        Err(other) => Err(other.into()),
        Ok(()) => Err(Failure::new(
            "ACCEPTED",
            format!("the {case} vector was let in"),
        )),
    }
}

soma_neuron::neuron!(handle);
