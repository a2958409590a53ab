//! One deployment file, one workflow of neurons in four languages, and a STOP
//! that undoes what all of them wrote.
//!
//! `cargo xtask neurons`, then `cargo run --example deployment`.

use std::{error::Error, fs, path::Path, time::Duration};

use serde_json::{Value, json};
use soma::{
    clock::Random,
    deployment::{Deployment, Running},
    orchestration::{Dispatch, StopOptions, TenantHandle},
    registry::{Registry, Settings},
    signal::TraceId,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Who takes which document in; all of them write to one engram.
const WORK: [(&str, &str); 4] = [
    ("rust", "sandbox"),
    ("python", "stop-and-rollback"),
    ("javascript", "tenants-and-quotas"),
    ("c", "retries-and-flows"),
];

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let deployment = Deployment::read(&root.join("examples/deployment/soma.toml"))?;
    let host = deployment
        .host()
        .code_cache(root.join("target/code"))
        .build()?;
    let registry = Registry::new(Settings::default(), host.clock().clone(), Random::system());
    println!("loading four languages; the first time they are compiled, which takes a while");
    deployment.apply(&host, &registry, &mut Running::default())?;
    let tenant = host.tenant("demo").ok_or("the file has no tenant `demo`")?;
    let documents =
        WORK.map(|(_, name)| root.join("examples/data").join(name).with_extension("md"));
    host.run(async move {
        let mut inputs = Vec::new();
        for (file, (neuron, id)) in documents.iter().zip(WORK) {
            let text = fs::read_to_string(file)?;
            inputs.push((neuron, json!({"document": {"id": id, "text": text}})));
        }
        println!("\nthe workflow, stopped at its end with rollback:");
        let trace = tenant.open_trace();
        ingest(&tenant, trace.id(), &inputs).await?;
        for stopped in &*trace.stop(StopOptions::rollback()).await {
            println!("  STOP: {stopped}");
        }
        println!("  left in the engram: {}", entries(&tenant)?);
        println!("\nthe workflow, committed:");
        let trace = tenant.open_trace();
        ingest(&tenant, trace.id(), &inputs).await?;
        trace.commit().await;
        println!("  left in the engram: {}", entries(&tenant)?);
        Ok(())
    })
}

/// One document after the other, on one trace.
async fn ingest(
    tenant: &TenantHandle,
    trace: &TraceId,
    inputs: &[(&'static str, Value)],
) -> Result<()> {
    for (neuron, input) in inputs {
        let task = Dispatch::to_neuron(*neuron)
            .input(input.clone())
            .on_trace(trace.clone());
        let answer = tenant
            .dispatch_and_wait(task, Duration::from_secs(60))
            .await?;
        let said = Value::Object(answer.signal.payload.to_object());
        println!("  {neuron:<10} {said}, {} entries by now", entries(tenant)?);
    }
    Ok(())
}

fn entries(tenant: &TenantHandle) -> Result<usize> {
    let engram = tenant.tenant().engram("documents");
    Ok(engram.ok_or("the tenant has no engram `documents`")?.len())
}
