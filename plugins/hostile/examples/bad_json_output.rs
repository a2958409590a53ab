//! Answers with text that is no JSON, past the SDK.
//!
//! The host must answer with an ERROR that says where the text goes wrong.

use soma_neuron::bindings::exports::soma::neuron::handler::{Failure, Guest, Reply, Task};
use soma_neuron::bindings::soma::neuron::types::Output;

struct Neuron;

impl Guest for Neuron {
    fn handle(_: Task) -> Result<Reply, Failure> {
        let value = "{\"answer\": forty-two}".to_owned();
        Ok(Reply::Output(Output { value, route: None }))
    }
}

soma_neuron::export_neuron!(Neuron);
