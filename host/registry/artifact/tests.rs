#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};

use super::*;

/// A component with a name, a nested component, and metadata.
fn component(custom: &[(&str, &[u8])]) -> Vec<u8> {
    let mut wasm = wat::parse_str(
        r#"(component $neuron
            (component $inner (import "not-ours" (func)))
            (import "soma:neuron/log@0.1.0" (instance))
            (import "plain" (func $plain))
            (export "soma:neuron/handler@0.1.0" (func $plain)))"#,
    )
    .unwrap();
    for (name, data) in custom {
        let mut section = vec![u8::try_from(name.len()).unwrap()];
        section.extend(name.as_bytes());
        section.extend(*data);
        wasm.push(0);
        // LEB128 in two bytes.
        wasm.push(u8::try_from(section.len() & 0x7f).unwrap() | 0x80);
        wasm.push(u8::try_from(section.len() >> 7).unwrap());
        wasm.extend(section);
    }
    wasm
}

fn made(wasm: &[u8], annotations: &[(&str, &str)]) -> (Artifact, Value, Value) {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let artifact = Artifact::of(wasm, &annotations.iter().map(own).collect()).unwrap();
    let manifest = serde_json::from_slice(&artifact.manifest).unwrap();
    let config = serde_json::from_slice(&artifact.config).unwrap();
    (artifact, manifest, config)
}

#[test]
fn an_artifact_has_the_shape_of_the_layout_for_wasm() {
    let wasm = component(&[]);
    let (artifact, manifest, config) = made(&wasm, &[("a", "b")]);
    let digest = Digest::of(&wasm).to_string();
    assert_eq!(
        manifest,
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.wasm.config.v0+json",
                "digest": Digest::of(&artifact.config).to_string(),
                "size": artifact.config.len(),
            },
            "layers": [{"mediaType": "application/wasm", "digest": digest, "size": wasm.len()}],
            "annotations": {"a": "b", "org.opencontainers.image.title": "neuron"},
        })
    );
    assert_eq!(
        config,
        json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [digest],
            "component": {
                "exports": ["soma:neuron/handler@0.1.0"],
                "imports": ["soma:neuron/log@0.1.0", "plain"],
                "target": null,
            },
        })
    );
    assert_eq!(artifact.manifest_digest, Digest::of(&artifact.manifest));
    assert_eq!(artifact.config_digest, Digest::of(&artifact.config));
    assert_eq!(artifact.component, Digest::of(&wasm));
}

#[test]
fn what_is_made_can_be_read() {
    let wasm = component(&[]);
    let (artifact, ..) = made(&wasm, &[]);
    let bytes = wasm.len() as u64;
    let digest = Digest::of(&wasm);
    assert_eq!(layer(&artifact.manifest, None), Ok(Layer { digest, bytes }));
}

#[test]
fn metadata_become_annotations_unless_they_are_given() {
    let long = "x".repeat(4097);
    let wasm = component(&[
        ("version", b"1.2.3"),
        ("licenses", b"MIT"),
        ("description", b"says things"),
        ("homepage", b"\xff"),
        ("source", long.as_bytes()),
        ("revision", b""),
        ("other", b"x"),
    ]);
    let (_, manifest, _) = made(&wasm, &[("org.opencontainers.image.version", "2.0.0")]);
    assert_eq!(
        manifest["annotations"],
        json!({
            "org.opencontainers.image.description": "says things",
            "org.opencontainers.image.licenses": "MIT",
            "org.opencontainers.image.title": "neuron",
            "org.opencontainers.image.version": "2.0.0",
        })
    );
}

#[test]
fn what_is_no_component_is_told_so() {
    let told = |wasm: &[u8]| match Artifact::of(wasm, &BTreeMap::new()) {
        Ok(_) => "an artifact".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(
        told(&wat::parse_str("(module)").unwrap()),
        "this is no WebAssembly component: it is a core module; link it with \
         wasm-component-ld or wrap it with `wasm-tools component new`"
    );
    assert_eq!(
        told(b"#!/bin/sh"),
        r"this is no WebAssembly component: it does not start with `\0asm`"
    );
    let mut half = component(&[]);
    half.truncate(half.len() - 3);
    assert!(told(&half).starts_with("this is no WebAssembly component: "));
    assert!(told(b"").starts_with("this is no WebAssembly component: "));
    let large = vec![0; usize::try_from(Plugin::MAX_BYTES).unwrap() + 1];
    assert_eq!(
        told(&large),
        "the component has more than the 67108864 bytes that this host takes"
    );
}

const DIGEST: &str = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";

/// The layer of a good manifest with something changed.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut manifest = json!({
        "schemaVersion": 2,
        "config": {"mediaType": CONFIG, "digest": DIGEST, "size": 2},
        "layers": [{"mediaType": LAYER, "digest": DIGEST, "size": 10, "annotations": {}}],
    });
    change(&mut manifest);
    match layer(manifest.to_string().as_bytes(), Some(MANIFEST)) {
        Ok(layer) => format!("{} bytes", layer.bytes),
        Err(reason) => reason,
    }
}

#[test]
fn keys_that_do_not_matter_do_not_matter() {
    assert_eq!(changed(|_| ()), "10 bytes");
    assert_eq!(
        changed(|it| it["subject"] = json!({"digest": "x"})),
        "10 bytes"
    );
    assert_eq!(
        changed(|it| it["layers"][0]["size"] = json!(64 << 20)),
        "67108864 bytes"
    );
}

#[test]
fn an_artifact_that_is_no_single_component_is_refused_in_words() {
    let index = "is an index of several artifacts: name the one that you want by its digest";
    assert_eq!(changed(|it| it["manifests"] = json!([])), index);
    for media_type in INDEXES {
        assert_eq!(changed(|it| it["mediaType"] = json!(media_type)), index);
        assert_eq!(layer(b"{}", Some(media_type)), Err(index.to_owned()));
    }
    assert_eq!(
        changed(|it| it["config"]["mediaType"] = json!("application/vnd.oci.image.config.v1+json")),
        "is no Wasm artifact: its config is `application/vnd.oci.image.config.v1+json`, \
         that of one is `application/vnd.wasm.config.v0+json`"
    );
    assert_eq!(
        changed(|it| it["config"] = json!(null)),
        "is no Wasm artifact: its config is `nothing`, \
         that of one is `application/vnd.wasm.config.v0+json`"
    );
    let none = "has no layer, so there is no component in it";
    assert_eq!(changed(|it| it["layers"] = json!([])), none);
    assert_eq!(changed(|it| it["layers"] = json!(null)), none);
    assert_eq!(
        changed(|it| {
            let layer = it["layers"][0].clone();
            it["layers"] = json!([layer, layer]);
        }),
        "has 2 layers; a component is a single one"
    );
    assert_eq!(
        changed(|it| it["layers"][0]["mediaType"] = json!("text/\u{1b}[2J")),
        "has a layer of type `text/\u{fffd}[2J`; a component is `application/wasm`"
    );
    assert_eq!(
        changed(|it| it["layers"][0]["digest"] = json!("sha512:00")),
        "names its layer by the digest `sha512:00`; sha256 is needed"
    );
    assert_eq!(
        changed(|it| it["layers"][0]["size"] = json!((64 << 20) + 1)),
        "has 67108865 bytes; this host takes at most 67108864"
    );
    assert_eq!(
        layer(b"<html>", None),
        Err("has a manifest that cannot be read: expected value at line 1 column 1".to_owned())
    );
    let negative = changed(|it| it["layers"][0]["size"] = json!(-1));
    assert!(
        negative.starts_with("has a manifest that cannot be read: invalid value: integer `-1`"),
        "{negative}"
    );
}
