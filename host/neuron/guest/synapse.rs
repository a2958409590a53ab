//! `synapse`: cognition signals on the task's own trace.

use super::{Guest, parse_object};
use crate::{
    neuron::{
        contract::synapse as wit,
        environment::{EmitError, HostCall},
    },
    signal::{Payload, SignalType},
};

fn signal_type(kind: wit::EmissionType) -> SignalType {
    match kind {
        wit::EmissionType::Plan => SignalType::Plan,
        wit::EmissionType::MemoryAppend => SignalType::MemoryAppend,
        wit::EmissionType::Escalation => SignalType::Escalation,
        wit::EmissionType::Consensus => SignalType::Consensus,
        wit::EmissionType::ContextSync => SignalType::ContextSync,
        wit::EmissionType::Critique => SignalType::Critique,
        wit::EmissionType::Audit => SignalType::Audit,
    }
}

/// A signal that a Python peer can read is a line of at most 64 KiB
/// (reference: cosmonapse, section 4.6). The envelope takes some of it, and a
/// slow subscriber keeps many.
const MAX_PAYLOAD_BYTES: usize = 32 << 10;

impl Guest {
    fn emit_one(&self, kind: wit::EmissionType, payload: &str) -> Result<String, wit::EmitError> {
        let object =
            parse_object("payload", payload, MAX_PAYLOAD_BYTES).map_err(wit::EmitError::Invalid)?;
        let payload = Payload::from_object(signal_type(kind), object)
            .map_err(|error| wit::EmitError::Invalid(error.to_string()))?;
        match self.environment.emit(payload) {
            Ok(id) => Ok(id.to_string()),
            Err(EmitError::Denied(text)) => Err(wit::EmitError::Denied(text)),
            Err(EmitError::Cancelled) => Err(wit::EmitError::Cancelled),
        }
    }
}

impl wit::Host for Guest {
    async fn emit(
        &mut self,
        kind: wit::EmissionType,
        payload: String,
    ) -> wasmtime::Result<Result<String, wit::EmitError>> {
        self.begin(HostCall::Emit {
            kind: signal_type(kind),
            payload: &payload,
        })?;
        Ok(self.emit_one(kind, &payload))
    }
}
