//! The local store, and offline mode.

use std::{fs, io::ErrorKind, net::TcpListener};

use expect_test::expect;
use serde_json::json;

use crate::{User, component, digest, server::Server};

/// A registry that had `a:1` pulled from it and was then ended.
fn pulled_once(name: &str) -> (Server, User, String) {
    let mut server = Server::start(name);
    let user = User::of(name, &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("a:1");
    user.push(&file, &reference).done();
    user.pull(&reference, &[]).done();
    server.stop();
    (server, user, reference)
}

#[test]
fn offline_a_pull_answers_from_the_store_and_makes_no_connection() {
    let (server, user, reference) = pulled_once("offline");
    let listener = TcpListener::bind(("127.0.0.1", server.port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let by_tag = user.pull(&reference, &["--offline", "--json"]).json();
    assert_eq!(by_tag["digest"], json!(digest(&component("a"))));
    assert_eq!(by_tag["from_store"], json!(true));
    let manifest = by_tag["manifest"].as_str().unwrap();
    let by_digest = user.pull(
        &server.at(&format!("a@{manifest}")),
        &["--offline", "--json"],
    );
    assert_eq!(by_digest.json()["manifest"], json!(manifest));
    let missing = user.pull(&server.at("a:2"), &["--offline"]);
    missing.refuses(
        3,
        &expect![[r#"
        error: oci://HOST/a:2 is not in the local store, and offline mode asks no registry
        help: run `soma neuron pull oci://HOST/a:2` once, online
    "#]],
    );
    let other = digest(&component("b"));
    let pinned = user.pull(&server.at("a:2"), &["--offline", "--digest", &other]);
    pinned.refuses(3, &expect![[r#"
        error: sha256:be38bda97b68200d38ff372fa3f505e9d86c265fcc95e87d3dc703f27e35f8cd is not in the local store, and offline mode asks no registry
        help: run `soma neuron pull oci://HOST/a:2` once, online
    "#]]);
    let tried = listener.accept().map(drop).unwrap_err();
    assert_eq!(tried.kind(), ErrorKind::WouldBlock);
}

#[test]
fn offline_the_pinned_digest_holds_too() {
    let (_server, user, reference) = pulled_once("offline-pinned");
    let a = digest(&component("a"));
    user.pull(&reference, &["--offline", "--digest", &a]).done();
    let b = digest(&component("b"));
    let refused = user.pull(&reference, &["--offline", "--digest", &b]);
    refused.refuses(3, &expect![[r#"
        error: oci://HOST/a:1 is the component sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2, but sha256:be38bda97b68200d38ff372fa3f505e9d86c265fcc95e87d3dc703f27e35f8cd is pinned
        help: its tag may have moved; pin sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2 if that is the component that you want
    "#]]);
}

#[test]
fn a_digest_that_is_stored_needs_no_network() {
    let (server, user, reference) = pulled_once("known");
    let a = digest(&component("a"));
    let pinned = user.pull(&reference, &["--digest", &a, "--json"]).json();
    assert_eq!(pinned["from_store"], json!(true));
    let manifest = user.pull(&reference, &["--offline", "--json"]).json()["manifest"].clone();
    let by_digest = server.at(&format!("a@{}", manifest.as_str().unwrap()));
    let by_digest = user.pull(&by_digest, &["--json"]).json();
    assert_eq!(by_digest["from_store"], json!(true));
}

#[test]
fn a_tag_is_asked_for_anew_even_when_it_is_stored() {
    let (server, mut user, reference) = pulled_once("tag");
    user.mask(&server.host(), "HOST");
    let down = user.pull(&reference, &[]);
    assert_eq!((down.exit, down.stdout.as_str()), (5, ""));
}

#[test]
fn a_stored_file_that_has_changed_is_not_taken() {
    let mut server = Server::start("changed");
    let user = User::of("changed", &server);
    let a = component("a");
    let file = user.file("a.wasm", &a);
    let reference = server.at("a:1");
    user.push(&file, &reference).done();
    user.pull(&reference, &[]).done();
    let stored = user.stored(&digest(&a));
    fs::write(&stored, component("b")).unwrap();
    user.pull(&reference, &["--offline"])
        .refuses(3, &expect![[r#"
            error: the stored file HOME/.cache/soma/components/ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2.wasm is damaged: its digest is sha256:be38bda97b68200d38ff372fa3f505e9d86c265fcc95e87d3dc703f27e35f8cd and should be sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
            help: run `soma neuron pull oci://HOST/a:1` once, online
        "#]]);
    // Online it is fetched anew, and is whole again.
    let mended = user.pull(&reference, &["--digest", &digest(&a)]);
    mended.is(&expect![[r#"
        exit 0
        --- stdout
        pulled    oci://HOST/a:1
        digest    sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
        manifest  sha256:41df83d32d52d79e02b6e93bf263fcef9ba00930cc3d60393477a23110e669ad
        size      41 B
        file      HOME/.cache/soma/components/ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2.wasm
        --- stderr
         WARN soma::registry: asking the registry instead error=the stored file HOME/.cache/soma/components/ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2.wasm is damaged: its digest is sha256:be38bda97b68200d38ff372fa3f505e9d86c265fcc95e87d3dc703f27e35f8cd and should be sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
    "#]]);
    assert_eq!(fs::read(&stored).unwrap(), a);
    server.stop();
    user.pull(&reference, &["--offline"]).done();
}

#[test]
fn a_note_of_a_tag_that_makes_no_sense_is_none() {
    let (_server, user, reference) = pulled_once("note");
    let store = user.path(".cache/soma/components");
    for entry in fs::read_dir(store).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "tag") {
            fs::write(path, b"\xff\xfe").unwrap();
        }
    }
    assert_eq!(user.pull(&reference, &["--offline"]).exit, 3);
}

#[test]
fn without_a_store_a_component_can_still_be_pulled_to_a_file() {
    let server = Server::start("no-store");
    let user = User::of("no-store", &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("a:1");
    user.push(&file, &reference).done();
    // A file where the folder should be.
    user.file(".cache", b"");
    let kept_nowhere = user.pull(&reference, &[]);
    kept_nowhere.refuses(3, &expect![[r#"
         WARN soma::registry: not kept error=the store of components cannot be used: HOME/.cache/soma/components: Not a directory (os error 20)
        error: oci://HOST/a:1 was pulled, and there is no store to keep it
        help: name a file with `-o`
    "#]]);
    let out = user.path("b.wasm");
    let pulled = user.pull(&reference, &["-o", out.to_str().unwrap()]);
    pulled.is(&expect![[r#"
        exit 0
        --- stdout
        pulled    oci://HOST/a:1
        digest    sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
        manifest  sha256:41df83d32d52d79e02b6e93bf263fcef9ba00930cc3d60393477a23110e669ad
        size      41 B
        file      HOME/b.wasm
        --- stderr
         WARN soma::registry: not kept error=the store of components cannot be used: HOME/.cache/soma/components: Not a directory (os error 20)
    "#]]);
    assert_eq!(fs::read(out).unwrap(), component("a"));
}

#[test]
fn a_store_that_others_may_write_to_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let (_server, user, reference) = pulled_once("shared-store");
    let store = user.path(".cache/soma/components");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o777)).unwrap();
    user.pull(&reference, &["--offline"])
        .refuses(3, &expect![[r#"
            error: the store of components cannot be used: HOME/.cache/soma/components: others may write to it: it must belong to this user with mode 0700
        "#]]);
    fs::set_permissions(&store, fs::Permissions::from_mode(0o700)).unwrap();
    user.pull(&reference, &["--offline"]).done();
}
