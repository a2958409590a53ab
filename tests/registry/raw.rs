//! What no honest client would put into a registry, put there by hand.

use std::{future::Future, time::Duration};

use serde_json::{Value, json};

use crate::{digest, server::Server};

pub const CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Runs a test's own async code.
pub fn block<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let watched = async { tokio::time::timeout(Duration::from_secs(120), work).await };
    runtime.block_on(watched).expect("the test hangs")
}

fn client() -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// The manifest as the registry has it.
pub fn manifest(server: &Server, repository: &str, tag: &str) -> Value {
    let url = format!("http://{}/v2/{repository}/manifests/{tag}", server.host());
    let text = block(async {
        let request = client().get(url).header("accept", MANIFEST);
        request.send().await.unwrap().text().await.unwrap()
    });
    serde_json::from_str(&text).unwrap()
}

/// Uploads a blob; its descriptor, with this media type.
pub fn blob(
    server: &Server,
    repository: &str,
    media_type: &str,
    bytes: impl Into<bytes::Bytes>,
) -> Value {
    let bytes = bytes.into();
    block(async {
        let url = format!("http://{}/v2/{repository}/blobs/uploads/", server.host());
        let started = client().post(url).send().await.unwrap();
        let place = started.headers()["location"].to_str().unwrap();
        let url = format!("{place}&digest={}", digest(&bytes));
        let put = client().put(url).body(bytes.clone()).send().await.unwrap();
        assert_eq!(put.status(), 201);
    });
    json!({"mediaType": media_type, "digest": digest(&bytes), "size": bytes.len()})
}

/// Puts a manifest under a tag.
pub fn put(server: &Server, repository: &str, tag: &str, media_type: &str, manifest: &Value) {
    block(async {
        let url = format!("http://{}/v2/{repository}/manifests/{tag}", server.host());
        let put = client()
            .put(url)
            .header("content-type", media_type)
            .body(manifest.to_string());
        let answer = put.send().await.unwrap();
        let status = answer.status();
        assert_eq!(status, 201, "{}", answer.text().await.unwrap());
    });
}

/// Puts an artifact of these layers, with the config of a Wasm artifact.
pub fn artifact(server: &Server, repository: &str, layers: &Value) {
    let config = blob(server, repository, CONFIG, &b"{}"[..]);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config,
        "layers": layers,
    });
    put(server, repository, "1", MANIFEST, &manifest);
}
