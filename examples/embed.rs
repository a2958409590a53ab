//! The host as a library: build it, load a neuron, run a task.
//!
//! `cargo xtask neurons`, then `cargo run --example embed`.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use serde_json::json;
use soma::{
    Host,
    engram::MemoryEngram,
    neuron::{Grants, Limits},
    orchestration::{Access, Dispatch, Neuron},
    tenant::Quotas,
};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let host = Host::builder().instances(16).build()?;
    let tenant = host.add_tenant("acme", Quotas::default())?;

    // A component asks for what it imports; nothing else is linked to it.
    let neurons = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/neurons");
    let generator = host.load_file(neurons.join("generator.wasm"), &Grants::default())?;

    // Neurons keep nothing between tasks; what they remember is in engrams.
    let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
    let ledger = Arc::clone(tenant.tenant()) as _;
    let calls = tenant.add_engram(MemoryEngram::new("calls", clock, ids, ledger));
    let generator = Neuron::new("generator", generator)
        .bind("calls", Arc::clone(&calls), Access::ReadWrite)
        .limits(Limits {
            wall: Duration::from_secs(5),
            ..Limits::default()
        });
    tenant.register(generator);

    let task = Dispatch::to_neuron("generator").input(json!({"question": "what is a Dendrite?"}));
    let answer = host.run(async move {
        tenant
            .dispatch_and_wait(task, Duration::from_secs(10))
            .await
    })?;

    println!("reply: {}", json!(answer.signal.payload.to_object()));
    println!("trace: {}", answer.signal.trace_id);
    println!("fuel: {} units", answer.usage.fuel);
    println!("memory: {} bytes", answer.usage.peak_memory_bytes);
    println!("entries in the engram: {}", calls.len());
    Ok(())
}
