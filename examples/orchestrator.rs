//! Retry driven from inside the sandbox: the neuron `orchestrator` holds the
//! grant to start and stop other neurons of its tenant.
//!
//! `cargo xtask neurons`, then `cargo run --example orchestrator`.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use serde_json::json;
use soma::{
    Host,
    engram::MemoryEngram,
    neuron::{Grants, Interface},
    orchestration::{Access, Dispatch, Neuron, TenantHandle},
    signal::{Payload, Signal},
    synapse::{Delivery, SubscribeOptions},
    tenant::Quotas,
};

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let host = Host::builder().instances(16).build()?;
    let tenant = host.add_tenant("acme", Quotas::default())?;
    register(&host, &tenant)?;

    let mut signals = tenant.observe(SubscribeOptions::default())?;
    let task = Dispatch::to_neuron("orchestrator").input(json!({
        "question": "what is a Dendrite?",
        "stall_first": 1,
        "stall": "spin",
        "timeout_ms": 500,
    }));
    let answer = host.run(async move {
        tenant
            .dispatch_and_wait(task, Duration::from_secs(10))
            .await
    })?;

    println!("what went over the bus:");
    while let Some(Delivery::Signal(signal)) = signals.try_recv() {
        println!("  {} {}", signal.trace_id, describe(&signal));
    }
    println!("what the orchestrator answered:");
    println!("  {}", json!(answer.signal.payload.to_object()));
    Ok(())
}

fn register(host: &Host, tenant: &TenantHandle) -> Result<(), Box<dyn Error + Send + Sync>> {
    let neurons = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/neurons");
    let generator = host.load_file(neurons.join("generator.wasm"), &Grants::default())?;
    let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
    let ledger = Arc::clone(tenant.tenant()) as _;
    let calls = tenant.add_engram(MemoryEngram::new("calls", clock, ids, ledger));
    tenant.register(Neuron::new("generator", generator).bind("calls", calls, Access::ReadWrite));

    // Without this grant the component is refused when it is loaded.
    let grants = Grants::default().with(Interface::Orchestration);
    let orchestrator = host.load_file(neurons.join("orchestrator.wasm"), &grants)?;
    tenant.register(Neuron::new("orchestrator", orchestrator));
    Ok(())
}

fn describe(signal: &Signal) -> String {
    let to = signal.directed.as_ref().and_then(|to| to.id.as_deref());
    let who = to.unwrap_or("everybody");
    match &signal.payload {
        Payload::Task(_) => format!("TASK for {who}"),
        Payload::AgentOutput(_) => format!("AGENT_OUTPUT of {who}"),
        Payload::Error(error) => format!("ERROR of {who}: {}", error.message),
        Payload::Stop(_) => "STOP".to_owned(),
        Payload::Stopped(ack) => format!("STOPPED: {} task cancelled", ack.cancelled),
        other => other.signal_type().as_str().to_owned(),
    }
}
