//! Retry, giving up, and rollback through the library.
//!
//! `cargo xtask neurons`, then `cargo run --example resilient`.

use std::{error::Error, path::Path, sync::Arc, time::Duration};

use serde_json::json;
use soma::{
    Host,
    engram::{Engram, MemoryEngram, VectorEngram},
    neuron::{Grants, Plugin},
    orchestration::{
        Access, Dispatch, Neuron, RetryError, RetryPolicy, RetryStrategy, StopOptions, TenantHandle,
    },
    tenant::Quotas,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let host = Host::builder().instances(16).build()?;
    let tenant = host.add_tenant("resilient", Quotas::default())?;
    let calls = register_generator(&tenant, load(&host, "generator")?);
    let index = register_ingester(&tenant, load(&host, "ingester")?);
    host.run(async move {
        survives_a_stall(&tenant, &calls).await?;
        gives_up(&tenant).await?;
        undoes_half_an_ingest(&tenant, &index).await
    })
}

fn load(host: &Host, name: &str) -> Result<Arc<Plugin>> {
    let neurons = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/neurons");
    Ok(host.load_file(
        neurons.join(name).with_extension("wasm"),
        &Grants::default(),
    )?)
}

fn register_generator(tenant: &TenantHandle, plugin: Arc<Plugin>) -> Arc<dyn Engram> {
    let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
    let ledger = Arc::clone(tenant.tenant()) as _;
    let calls = tenant.add_engram(MemoryEngram::new("calls", clock, ids, ledger));
    let neuron = Neuron::new("generator", plugin);
    tenant.register(neuron.bind("calls", Arc::clone(&calls), Access::ReadWrite));
    calls
}

fn register_ingester(tenant: &TenantHandle, plugin: Arc<Plugin>) -> Arc<dyn Engram> {
    let (clock, ids) = (tenant.clock().clone(), tenant.ids().clone());
    let ledger = Arc::clone(tenant.tenant()) as _;
    let index = tenant.add_engram(VectorEngram::new("index", 16, clock, ids, ledger));
    let neuron = Neuron::new("ingester", plugin);
    tenant.register(neuron.bind("index", Arc::clone(&index), Access::ReadWrite));
    index
}

/// Asks a generator that stalls for so many calls.
fn question(stall_first: u32) -> Dispatch {
    Dispatch::to_neuron("generator").input(json!({
        "question": "what is a Dendrite?",
        "stall_first": stall_first,
    }))
}

async fn survives_a_stall(tenant: &TenantHandle, calls: &Arc<dyn Engram>) -> Result<()> {
    println!("1. retry survives a stalled stage");
    let strategy = RetryStrategy {
        timeout: Duration::from_millis(500),
        on_retry: Some(Arc::new(|attempt, _| {
            println!("   attempt {} did not answer and was stopped", attempt + 1);
        })),
        ..RetryStrategy::default()
    };
    let answer = tenant.run_with_retry(question(1), &strategy).await?;
    println!("   {}", json!(answer.output()));
    println!("   calls: {}", calls.len());
    Ok(())
}

async fn gives_up(tenant: &TenantHandle) -> Result<()> {
    println!("2. retry gives up");
    let strategy = RetryStrategy {
        policy: RetryPolicy {
            max_attempts: 2,
            ..RetryPolicy::immediate()
        },
        timeout: Duration::from_millis(400),
        ..RetryStrategy::default()
    };
    match tenant.run_with_retry(question(u32::MAX), &strategy).await {
        Err(error @ RetryError::Exhausted { .. }) => println!("   {error}"),
        Err(other) => return Err(other.into()),
        Ok(answer) => println!("   answered after all: {}", json!(answer.output())),
    }
    Ok(())
}

async fn undoes_half_an_ingest(tenant: &TenantHandle, index: &Arc<dyn Engram>) -> Result<()> {
    println!("3. roll back a half-finished ingest");
    // Whoever opens a trace decides what becomes of its writes.
    let trace = tenant.open_trace();
    let text = include_str!("data/sandbox.md");
    let ingest = Dispatch::to_neuron("ingester")
        .input(json!({"document": {"id": "sandbox", "text": text}, "crash_after": 3}))
        .on_trace(trace.id().clone());
    let answer = tenant
        .dispatch_and_wait(ingest, Duration::from_secs(10))
        .await?;
    println!("   {}", json!(answer.signal.payload.to_object()));
    println!("   entries after the crash: {}", index.len());
    for ack in trace.stop(StopOptions::rollback()).await.iter() {
        println!("   {ack}");
    }
    println!("   entries after the rollback: {}", index.len());
    Ok(())
}
