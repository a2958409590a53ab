//! Raw wasmtime on the same engine settings, for comparison in one run.
//!
//! What a host could at best be: a fresh store, an instance and a call, with
//! no limits, no trace and no bus around them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use wasmtime::{
    Engine, Store,
    component::{Component, Linker},
};

use super::{
    SandboxError,
    contract::{OrchestratorPre, types},
    engine::{self, Metering},
};

/// A component on an engine of its own.
pub struct Baseline {
    engine: Engine,
    pre: OrchestratorPre<()>,
}

impl std::fmt::Debug for Baseline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Baseline").finish_non_exhaustive()
    }
}

/// Fuel that no measurement uses up.
const PLENTY: u64 = u64::MAX / 2;

impl Baseline {
    /// Compiles a component; its imports trap when they are called.
    ///
    /// # Errors
    /// When it is no neuron or the engine does not start.
    pub fn new(wasm: &[u8], instances: u32) -> Result<Self, SandboxError> {
        let failed = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let engine = engine::build(Metering::Fuel, instances).map_err(failed)?;
        let component = Component::from_binary(&engine, wasm).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        linker
            .define_unknown_imports_as_traps(&component)
            .map_err(failed)?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(OrchestratorPre::new)
            .map_err(failed)?;
        Ok(Self { engine, pre })
    }

    /// A fresh store, an instance, one call, and both dropped. Returns the
    /// output's JSON text, or the words of whatever went wrong.
    ///
    /// # Errors
    /// As the guest ends.
    pub async fn call(&self, input: &str) -> Result<String, String> {
        self.call_within(input, u64::MAX / 2).await
    }

    async fn call_within(&self, input: &str, ticks: u64) -> Result<String, String> {
        let words = |error: wasmtime::Error| format!("{error:#}");
        let mut store = Store::new(&self.engine, ());
        store.set_fuel(PLENTY).map_err(words)?;
        store.set_epoch_deadline(ticks);
        let neuron = self
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(words)?;
        let task = types::Task {
            id: "evt_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            trace_id: "trc_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            neuron: "baseline".to_owned(),
            attempt: 0,
            input: input.to_owned(),
            context: Vec::new(),
            deadline_ms: Some(30_000),
        };
        let handler = neuron.soma_neuron_handler();
        match handler
            .call_handle(&mut store, &task)
            .await
            .map_err(words)?
        {
            Ok(types::Reply::Output(output)) => Ok(output.value),
            Ok(_) => Err("no output".to_owned()),
            Err(failure) => Err(failure.message),
        }
    }

    /// Starts a guest that never ends by itself, lets it run for `warm_up`,
    /// and measures from the epoch's increment to the end of its call.
    pub async fn stop_latency(self: &Arc<Self>, input: String, warm_up: Duration) -> Duration {
        let guest = tokio::spawn({
            let baseline = Arc::clone(self);
            async move {
                let ended = baseline.call_within(&input, 1).await;
                drop(ended);
                Instant::now()
            }
        });
        tokio::time::sleep(warm_up).await;
        let asked = Instant::now();
        self.engine.increment_epoch();
        match guest.await {
            Ok(ended) => ended.saturating_duration_since(asked),
            Err(_) => Duration::ZERO,
        }
    }
}
