//! Components to and from registries, against a real registry server.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "registry/access.rs"]
mod access;
#[path = "registry/front.rs"]
mod front;
#[path = "registry/line.rs"]
mod line;
#[path = "registry/offline.rs"]
mod offline;
#[path = "registry/raw.rs"]
mod raw;
#[path = "registry/refusals.rs"]
mod refusals;
#[path = "registry/server.rs"]
mod server;
#[path = "registry/tls.rs"]
mod tls;

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use expect_test::{Expect, expect};
use serde_json::{Value, json};
use server::Server;

/// A user of the command `soma`, with a store and credentials of their own.
struct User {
    folder: PathBuf,
    /// What is no same text from run to run, and what stands for it.
    names: Vec<(String, &'static str)>,
    variables: Vec<(&'static str, String)>,
}

/// One call of the command, and how it ended.
struct Run {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl User {
    /// With an empty folder.
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("registry")
            .join(name);
        let folder = folder.join("user");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{error}"),
            _ => fs::create_dir_all(&folder).unwrap(),
        }
        let names = vec![(folder.display().to_string(), "HOME")];
        Self {
            folder,
            names,
            variables: Vec::new(),
        }
    }

    /// Shows the registry as HOST.
    fn of(name: &str, server: &Server) -> Self {
        let mut user = Self::new(name);
        user.mask(&server.host(), "HOST");
        user
    }

    fn mask(&mut self, text: &str, name: &'static str) {
        self.names.push((text.to_owned(), name));
    }

    /// Sets an environment variable for all calls.
    fn set(&mut self, variable: &'static str, value: &str) {
        self.variables.push((variable, value.to_owned()));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file and names it.
    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    /// The stored file of a component.
    fn stored(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").unwrap();
        self.path(&format!(".cache/soma/components/{hex}.wasm"))
    }

    /// `soma` with these words.
    fn soma(&self, words: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_soma"));
        let kept = ["PATH", "LD_LIBRARY_PATH"].map(|name| (name, std::env::var_os(name)));
        command.env_clear();
        for (name, value) in kept {
            command.envs(value.map(|value| (name, value)));
        }
        let output = command
            .env("HOME", &self.folder)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .args(words)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Run {
            exit: output.status.code().expect("ended by itself"),
            stdout: self.masked(&String::from_utf8(output.stdout).unwrap()),
            stderr: self.masked(&String::from_utf8(output.stderr).unwrap()),
        }
    }

    fn push(&self, file: &str, reference: &str) -> Run {
        self.soma(&["neuron", "push", file, reference])
    }

    fn pull(&self, reference: &str, words: &[&str]) -> Run {
        self.soma(&[&["neuron", "pull", reference], words].concat())
    }

    fn masked(&self, text: &str) -> String {
        let names = self.names.iter();
        names.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }
}

impl Run {
    /// Compares exit code and both streams.
    #[track_caller]
    fn is(&self, expected: &Expect) {
        let Self {
            exit,
            stdout,
            stderr,
        } = self;
        expected.assert_eq(&format!(
            "exit {exit}\n--- stdout\n{stdout}--- stderr\n{stderr}"
        ));
    }

    /// Nothing was done, and this is why.
    #[track_caller]
    fn refuses(&self, exit: i32, expected: &Expect) {
        let Self { stdout, stderr, .. } = self;
        assert_eq!((self.exit, stdout.as_str()), (exit, ""), "{stderr}");
        expected.assert_eq(stderr);
    }

    /// It went well; its JSON.
    #[track_caller]
    fn json(&self) -> Value {
        assert_eq!((self.exit, self.stderr.as_str()), (0, ""));
        serde_json::from_str(&self.stdout).unwrap()
    }

    #[track_caller]
    fn done(&self) {
        assert_eq!((self.exit, self.stderr.as_str()), (0, ""));
    }
}

/// A small component that says `text` of itself.
fn component(text: &str) -> Vec<u8> {
    let data = format!("\u{4}note{text}");
    let mut wasm = wat::parse_str("(component $small)").unwrap();
    wasm.extend([0, u8::try_from(data.len()).unwrap()]);
    wasm.extend(data.as_bytes());
    wasm
}

fn digest(bytes: &[u8]) -> String {
    soma::package::Digest::of(bytes).to_string()
}

#[test]
fn a_pushed_neuron_is_pulled_as_the_same_bytes_and_runs() {
    let server = Server::start("same");
    let user = User::of("same", &server);
    let neuron = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/neurons/echo.wasm");
    let bytes = fs::read(&neuron).expect("`cargo xtask neurons` builds it");
    let reference = server.at("team/echo:1.0.0");
    let pushed = user.soma(&[
        "neuron",
        "push",
        neuron.to_str().unwrap(),
        &reference,
        "--json",
    ]);
    let pushed = pushed.json();
    assert_eq!(pushed["digest"], json!(digest(&bytes)));
    assert_eq!(pushed["size_bytes"], json!(bytes.len()));

    let file = user.path("pulled.wasm");
    let pulled = user
        .pull(&reference, &["--json", "-o", file.to_str().unwrap()])
        .json();
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(
        pulled,
        json!({
            "reference": "oci://HOST/team/echo:1.0.0",
            "digest": digest(&bytes),
            "manifest": pushed["manifest"],
            "size_bytes": bytes.len(),
            "from_store": false,
            "file": "HOME/pulled.wasm",
        })
    );
    assert_eq!(fs::read(user.stored(&digest(&bytes))).unwrap(), bytes);
    let run = user.soma(&["run", file.to_str().unwrap(), "--json"]).json();
    assert_eq!(run["digest"], json!(digest(&bytes)));
}

#[test]
fn push_and_pull_say_what_they_did() {
    let server = Server::start("say");
    let user = User::of("say", &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("team/a:1.0");
    user.push(&file, &reference).is(&expect![[r#"
        exit 0
        --- stdout
        pushed    oci://HOST/team/a:1.0
        digest    sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
        manifest  sha256:41df83d32d52d79e02b6e93bf263fcef9ba00930cc3d60393477a23110e669ad
        size      41 B
        --- stderr
    "#]]);
    user.pull(&reference, &[]).is(&expect![[r#"
        exit 0
        --- stdout
        pulled    oci://HOST/team/a:1.0
        digest    sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
        manifest  sha256:41df83d32d52d79e02b6e93bf263fcef9ba00930cc3d60393477a23110e669ad
        size      41 B
        file      HOME/.cache/soma/components/ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2.wasm
        --- stderr
    "#]]);
    let out = user.path("b.wasm");
    user.pull(&reference, &["--offline", "-o", out.to_str().unwrap()])
        .is(&expect![[r#"
            exit 0
            --- stdout
            stored    oci://HOST/team/a:1.0
            digest    sha256:ea43f1a139a4b9a178655a93e246e225e7d35a96a16287fe93b9f97e4b930ef2
            manifest  sha256:41df83d32d52d79e02b6e93bf263fcef9ba00930cc3d60393477a23110e669ad
            size      41 B
            file      HOME/b.wasm
            --- stderr
        "#]]);
    assert_eq!(fs::read(out).unwrap(), component("a"));
}

#[test]
fn the_same_component_always_makes_the_same_manifest() {
    let server = Server::start("again");
    let user = User::of("again", &server);
    let file = user.file("a.wasm", &component("a"));
    let push = |tag: &str, words: &[&str]| {
        let reference = server.at(&format!("a:{tag}"));
        let words = [&["neuron", "push", &file, &reference, "--json"], words].concat();
        user.soma(&words).json()["manifest"].clone()
    };
    let first = push("1", &[]);
    assert_eq!(push("1", &[]), first);
    assert_eq!(push("2", &[]), first);
    assert_ne!(push("2", &["--annotation", "a=b"]), first);
}

#[test]
fn annotations_are_in_the_manifest_of_the_registry() {
    let server = Server::start("annotations");
    let user = User::of("annotations", &server);
    let file = user.file("a.wasm", &component("a"));
    let reference = server.at("a:1");
    let words = ["neuron", "push", &file, &reference, "--annotation"];
    user.soma(&[&words[..], &["com.example.review=ok=yes"]].concat())
        .done();
    let manifest = raw::manifest(&server, "a", "1");
    assert_eq!(
        manifest["annotations"],
        json!({"com.example.review": "ok=yes", "org.opencontainers.image.title": "small"})
    );
    user.soma(&[&words[..], &["nothing"]].concat())
        .refuses(2, &expect![[r#"
            error: invalid value 'nothing' for '--annotation <KEY=VALUE>': write KEY=VALUE, for example org.opencontainers.image.version=1.0.0

            For more information, try '--help'.
        "#]]);
}

#[test]
fn a_tag_that_moved_gives_what_it_stands_for_now() {
    let server = Server::start("moved");
    let user = User::of("moved", &server);
    let reference = server.at("a:stable");
    for text in ["old", "new"] {
        let file = user.file("a.wasm", &component(text));
        user.push(&file, &reference).done();
        let pulled = user.pull(&reference, &["--json"]).json();
        assert_eq!(pulled["digest"], json!(digest(&component(text))), "{text}");
    }
}

#[test]
fn another_component_than_the_pinned_one_is_refused_with_both_digests() {
    let server = Server::start("pinned");
    let user = User::of("pinned", &server);
    let file = user.file("a.wasm", &component("new"));
    let reference = server.at("a:1");
    user.push(&file, &reference).done();
    let new = digest(&component("new"));
    user.pull(&reference, &["--digest", &new]).done();
    let old = digest(&component("old"));
    user.pull(&reference, &["--digest", &old])
        .refuses(3, &expect![[r#"
            error: oci://HOST/a:1 is the component sha256:13dece3f8a0db2a1f0a2642b3ac8842387ab1a31ba194c0bc71a8ab0105ad4b2, but sha256:5c397f9bd1c2dbaf876139b666d53843ba79eadab649217181d82ff22a175801 is pinned
            help: its tag may have moved; pin sha256:13dece3f8a0db2a1f0a2642b3ac8842387ab1a31ba194c0bc71a8ab0105ad4b2 if that is the component that you want
        "#]]);
}

#[test]
fn a_manifest_is_named_by_its_digest_whatever_the_tag_stands_for() {
    let server = Server::start("by-digest");
    let user = User::of("by-digest", &server);
    let reference = server.at("a:1");
    let push = |text: &str| {
        let file = user.file("a.wasm", &component(text));
        let pushed = user.soma(&["neuron", "push", &file, &reference, "--json"]);
        pushed.json()["manifest"].as_str().unwrap().to_owned()
    };
    let (old, _new) = (push("old"), push("new"));
    for name in [format!("a@{old}"), format!("a:1@{old}")] {
        let pulled = user.pull(&server.at(&name), &["--json"]).json();
        assert_eq!(pulled["digest"], json!(digest(&component("old"))));
        assert_eq!(pulled["manifest"], json!(old));
    }
    let file = user.file("a.wasm", &component("old"));
    user.push(&file, &server.at(&format!("a@{old}")))
        .refuses(2, &expect![[r#"
            error: oci://HOST/a@sha256:036d04601f27c5c126d62a55d1390d9832c4226769bc6e17de710a33ffe92aa8 names a manifest by its digest, and a push makes one: name a tag only
        "#]]);
}

#[test]
fn what_the_registry_does_not_have_is_told() {
    let server = Server::start("unknown");
    let user = User::of("unknown", &server);
    let file = user.file("a.wasm", &component("a"));
    user.push(&file, &server.at("a:1")).done();
    user.pull(&server.at("a:2"), &[]).refuses(
        3,
        &expect![[r#"
            error: HOST has no a:2: manifest unknown (MANIFEST_UNKNOWN)
            help: look at its spelling; some registries hide what needs credentials
        "#]],
    );
    user.pull(&server.at("b:1"), &[]).refuses(
        3,
        &expect![[r#"
            error: HOST has no b:1: manifest unknown (MANIFEST_UNKNOWN)
            help: look at its spelling; some registries hide what needs credentials
        "#]],
    );
    let nothing = format!("a@{}", digest(b"nothing"));
    user.pull(&server.at(&nothing), &[])
        .refuses(3, &expect![[r#"
            error: HOST has no a@sha256:1785cfc3bc6ac7738e8b38cdccd1af12563c2b9070e07af336a1bf8c0f772b6a: manifest unknown (MANIFEST_UNKNOWN)
            help: look at its spelling; some registries hide what needs credentials
        "#]]);
}

#[test]
fn what_is_no_component_is_not_pushed() {
    let server = Server::start("push-other");
    let user = User::of("push-other", &server);
    let reference = server.at("a:1");
    let script = user.file("a.sh", b"#!/bin/sh\n");
    user.push(&script, &reference).refuses(
        3,
        &expect![[r#"
            error: HOME/a.sh: this is not a WebAssembly component: it does not start with `\0asm` and the component layer's version
        "#]],
    );
    let module = user.file("a.wasm", &wat::parse_str("(module)").unwrap());
    user.push(&module, &reference).refuses(3, &expect![[r#"
        error: HOME/a.wasm: this is a core WebAssembly module, not a component; link it with wasm-component-ld or wrap it with `wasm-tools component new`
    "#]]);
    let large = user.file("large.wasm", &vec![0; (64 << 20) + 1]);
    user.push(&large, &reference).refuses(
        3,
        &expect![[r#"
            error: HOME/large.wasm: the component has more than the 67108864 bytes that this host takes
        "#]],
    );
    fs::remove_file(large).unwrap();
    let missing = user.path("missing.wasm");
    user.push(missing.to_str().unwrap(), &reference).refuses(
        3,
        &expect![[r#"
            error: cannot read HOME/missing.wasm: No such file or directory (os error 2)
        "#]],
    );
}

#[test]
fn what_is_no_reference_is_refused_and_a_password_in_it_not_repeated() {
    let user = User::new("references");
    user.pull("registry.example.org/team/a:1", &[])
        .refuses(2, &expect![[r#"
            error: a reference starts with `oci://`, for example oci://registry.example.org/team/ingester:1.0.0
        "#]]);
    user.pull("oci://registry.example.org/Team/a:1", &[])
        .refuses(2, &expect![[r#"
            error: `Team/a` is no repository: it is parts with `/` between them, each of lower-case letters and digits with `.`, `_`, `__` or dashes between
        "#]]);
    user.pull("oci://me:secret@registry.example.org/a:1", &[])
        .refuses(2, &expect![[r#"
            error: a reference carries no credentials; `~/.docker/config.json` or the variables SOMA_REGISTRY_* hold them
        "#]]);
    user.pull("oci://a/b:1", &["--digest", "sha256:12"])
        .refuses(2, &expect![[r#"
            error: invalid value 'sha256:12' for '--digest <sha256:HEX>': `sha256:12` is no digest: it is `sha256:` and 64 lower-case hexadecimal digits

            For more information, try '--help'.
        "#]]);
}
