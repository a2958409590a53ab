//! What a registry may hold and a host must not take.

use std::fs;

use expect_test::expect;
use serde_json::json;

use crate::{
    User, component, digest,
    front::{Front, Reply},
    raw,
    server::Server,
};

#[test]
fn an_index_is_refused() {
    let server = Server::start("index");
    let user = User::of("index", &server);
    let file = user.file("a.wasm", &component("a"));
    user.push(&file, &server.at("a:1")).done();
    let text = raw::manifest(&server, "a", "1").to_string();
    let index_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({
        "schemaVersion": 2,
        "mediaType": index_type,
        "manifests": [{"mediaType": raw::MANIFEST, "digest": digest(text.as_bytes()), "size": text.len()}],
    });
    raw::put(&server, "a", "all", index_type, &index);
    user.pull(&server.at("a:all"), &[])
        .refuses(3, &expect![[r#"
            error: oci://HOST/a:all is an index of several artifacts: name the one that you want by its digest
        "#]]);
}

#[test]
fn an_image_is_refused() {
    let server = Server::start("image");
    let user = User::of("image", &server);
    let config = "application/vnd.oci.image.config.v1+json";
    let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
    let manifest = json!({
        "schemaVersion": 2,
        "config": raw::blob(&server, "a", config, &b"{}"[..]),
        "layers": [raw::blob(&server, "a", layer, &b"not really"[..])],
    });
    raw::put(&server, "a", "1", raw::MANIFEST, &manifest);
    user.pull(&server.at("a:1"), &[])
        .refuses(3, &expect![[r#"
            error: oci://HOST/a:1 is no Wasm artifact: its config is `application/vnd.oci.image.config.v1+json`, that of one is `application/vnd.wasm.config.v0+json`
        "#]]);
}

#[test]
fn no_layer_several_layers_and_layers_of_another_kind_are_refused() {
    let server = Server::start("layers");
    let user = User::of("layers", &server);
    let wasm = |repository| raw::blob(&server, repository, "application/wasm", component("a"));
    raw::artifact(&server, "none", &json!([]));
    user.pull(&server.at("none:1"), &[]).refuses(
        3,
        &expect![[r#"
            error: oci://HOST/none:1 has no layer, so there is no component in it
        "#]],
    );
    raw::artifact(&server, "two", &json!([wasm("two"), wasm("two")]));
    user.pull(&server.at("two:1"), &[]).refuses(
        3,
        &expect![[r#"
            error: oci://HOST/two:1 has 2 layers; a component is a single one
        "#]],
    );
    let other = raw::blob(&server, "other", "application/octet-stream", component("a"));
    raw::artifact(&server, "other", &json!([other]));
    user.pull(&server.at("other:1"), &[])
        .refuses(3, &expect![[r#"
            error: oci://HOST/other:1 has a layer of type `application/octet-stream`; a component is `application/wasm`
        "#]]);
}

#[test]
fn a_component_that_is_too_large_is_refused_by_what_its_manifest_says() {
    let server = Server::start("large");
    let user = User::of("large", &server);
    let large = bytes::Bytes::from(vec![0; 200_000_000]);
    let layer = raw::blob(&server, "a", "application/wasm", large.clone());
    raw::artifact(&server, "a", &json!([layer]));
    user.pull(&server.at("a:1"), &[]).refuses(
        3,
        &expect![[r#"
            error: oci://HOST/a:1 has 200000000 bytes; this host takes at most 67108864
        "#]],
    );
    // And by what comes, when the manifest lies.
    let mut lie = layer;
    lie["size"] = json!(1000);
    raw::artifact(&server, "a", &json!([lie]));
    user.pull(&server.at("a:1"), &[]).refuses(
        3,
        &expect![[r#"
            error: oci://HOST/a:1 sends more than the 1000 bytes of its manifest
        "#]],
    );
    assert!(!user.stored(&digest(&large)).exists());
    fs::remove_file(server.blob(&digest(&large))).unwrap();
}

#[test]
fn a_manifest_without_end_is_refused() {
    let front = Front::start(|_| {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"schemaVersion\": 2, \"x\": \"";
        Reply::Endless(head.into(), vec![b'x'; 1 << 16])
    });
    let mut user = User::new("endless");
    user.mask(&front.address.to_string(), "HOST");
    user.pull(&front.at("a:1"), &[]).refuses(
        3,
        &expect![[r#"
            error: oci://HOST/a:1 has a manifest of more than 4194304 bytes
        "#]],
    );
}

#[test]
fn a_component_that_was_changed_on_the_servers_disk_is_refused() {
    let server = Server::start("damaged");
    let user = User::of("damaged", &server);
    let bytes = component("a");
    let file = user.file("a.wasm", &bytes);
    user.push(&file, &server.at("a:1")).done();
    let mut changed = bytes.clone();
    *changed.last_mut().unwrap() = b'b';
    fs::write(server.blob(&digest(&bytes)), &changed).unwrap();
    user.pull(&server.at("a:1"), &[])
        .refuses(3, &expect![[r#"
            error: the component of oci://HOST/a:1 is damaged: its digest is sha256:be38bda97b68200d38ff372fa3f505e9d86c265fcc95e87d3dc703f27e35f8cd and should be sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
        "#]]);
    // One that lost its end is no better.
    fs::write(server.blob(&digest(&bytes)), &bytes[..bytes.len() - 1]).unwrap();
    user.pull(&server.at("a:1"), &[])
        .refuses(3, &expect![[r#"
            error: the component of oci://HOST/a:1 is damaged: its digest is sha256:42cb19b033f32935b40813f308f1fd4261366d9266ea018d78afccfa142bd9ba and should be sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
        "#]]);
    assert!(!user.stored(&digest(&bytes)).exists());
}

#[test]
fn a_manifest_that_is_not_that_of_its_digest_is_refused() {
    let server = Server::start("other-manifest");
    let mut user = User::of("other-manifest", &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("a:1");
    let pushed = user
        .soma(&["neuron", "push", &file, &reference, "--json"])
        .json();
    let manifest = pushed["manifest"].as_str().unwrap();
    let port = server.port;
    // A registry that gives what its tag stands for, whatever is asked.
    let front = Front::start(move |asked| match asked.path.split_once("/manifests/") {
        Some(_) => Reply::with("200 OK", &[], b"{\"schemaVersion\": 2}"),
        None => Reply::Pass(port),
    });
    user.mask(&front.address.to_string(), "HOST");
    let by_digest = front.at(&format!("a@{manifest}"));
    user.pull(&by_digest, &[]).refuses(3, &expect![[r#"
        error: the manifest of oci://HOST/a@sha256:41df83d32d52d79e02b6e93bf263fcef9ba00930cc3d60393477a23110e669ad is damaged: its digest is sha256:c5d902c53b4afcf32ad746fd9d696431650d3fbe8f7b10ca10519543fefd772c and should be sha256:41df83d32d52d79e02b6e93bf263fcef9ba00930cc3d60393477a23110e669ad
    "#]]);
}
