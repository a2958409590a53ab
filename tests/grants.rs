//! What a neuron reaches is what it was granted: each grant works, and each
//! denial holds end to end, whatever the neuron tries.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "grants/bounds.rs"]
mod bounds;
mod common;
#[path = "grants/contract.rs"]
mod contract;
#[path = "grants/environment.rs"]
mod environment;
#[path = "grants/files.rs"]
mod files;
#[path = "grants/http.rs"]
mod http;
#[path = "grants/lines.rs"]
mod lines;
#[path = "grants/load.rs"]
mod load;
#[path = "grants/output.rs"]
mod output;
#[path = "grants/randomness.rs"]
mod randomness;
#[path = "grants/standard_library.rs"]
mod standard_library;
#[path = "grants/time.rs"]
mod time;

use std::path::Path;

use common::{LONG, run, tenant};
use serde_json::{Value, json};
use soma::{
    Host,
    neuron::{Grants, Limits, Wasi},
    orchestration::{Answer, Dispatch, Neuron, TenantHandle},
    signal::TraceId,
};

/// WASI with this, beside the default grants.
fn with(wasi: Wasi) -> Grants {
    Grants::default().with_wasi(wasi)
}

/// WASI that denies all.
fn bare() -> Grants {
    with(Wasi::default())
}

/// Another trace than the one of [`trace`].
fn other_trace() -> TraceId {
    "trc_01M89QH1ZRRAPXBNCZGR9V5V4K".parse().unwrap()
}

/// A trace of 2026-11-25T16:09:55.960Z.
fn trace() -> TraceId {
    "trc_01M89QH1ZRRAPXBNCZGR9V5V4J".parse().unwrap()
}

/// 16:09:55.960 of that day in microseconds.
const TRACE_STARTS: u64 = 1_795_622_995_960_000;

/// A tenant with a neuron `probe`, made of the component `name`.
fn probe(host: &Host, name: &str, grants: &Grants) -> TenantHandle {
    probe_within(host, name, grants, Limits::default())
}

fn probe_within(host: &Host, name: &str, grants: &Grants, limits: Limits) -> TenantHandle {
    probe_of(host, &common::component(name), grants, limits)
}

/// Of any component file.
fn probe_of(host: &Host, component: &Path, grants: &Grants, limits: Limits) -> TenantHandle {
    let plugin = host.load_file(component, grants).unwrap();
    let tenant = tenant(host, "acme");
    tenant.register(Neuron::new("probe", plugin).limits(limits));
    tenant
}

/// The task that makes a probe do these steps.
fn to_do(steps: Value) -> Dispatch {
    Dispatch::to_neuron("probe").input(json!({ "do": steps }))
}

fn answer(host: &Host, tenant: &TenantHandle, task: Dispatch) -> Answer {
    let tenant = tenant.clone();
    run(host, async move {
        tenant.dispatch_and_wait(task, LONG).await.unwrap()
    })
}

/// What the WASI probe says to these steps, on a host of its own.
fn said(grants: &Grants, steps: Value) -> Vec<Value> {
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", grants);
    common::said(&answer(&host, &tenant, to_do(steps)))
}

/// Why a component is not loaded.
fn refusal(name: &str, grants: &Grants) -> String {
    let host = common::host();
    let loaded = host.load_file(common::component(name), grants);
    loaded.unwrap_err().to_string()
}

/// A refusal as a probe says it.
fn error(code: &str) -> Value {
    json!({ "error": code })
}
