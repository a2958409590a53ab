//! Inputs of tasks, charged to their tenant for as long as the tasks wait or
//! run: a queue is bounded in bytes, not in tasks alone.

use std::sync::Arc;

use super::{Overloaded, Tenant};

/// A task's input, charged to its tenant until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldInput {
    tenant: Arc<Tenant>,
    bytes: u64,
}

impl Tenant {
    /// Charges a task's input.
    ///
    /// # Errors
    /// [`Overloaded::Inputs`] when it does not fit beside those that are held.
    pub(crate) fn hold_input(self: &Arc<Self>, bytes: u64) -> Result<HeldInput, Overloaded> {
        if !self.inputs.reserve(bytes) {
            return Err(Overloaded::Inputs {
                tenant: Arc::clone(&self.name),
                held: self.inputs.held(),
                limit: self.inputs.limit(),
                bytes,
            });
        }
        Ok(HeldInput {
            tenant: Arc::clone(self),
            bytes,
        })
    }
}

impl Drop for HeldInput {
    fn drop(&mut self) {
        self.tenant.inputs.release(self.bytes);
    }
}
