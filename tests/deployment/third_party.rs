//! What a stranger may hand in, a folder of `tests/hostile/third-party` each:
//! its deployment, what it is made of, and in `expected` what `soma check` and
//! `soma up` say of it, word for word. Nothing here depends on each other.

use std::{collections::BTreeSet, os::unix::fs::symlink, path::Path};

use ed25519_dalek::SigningKey;
use expect_test::expect_file;
use soma::package::{public_key, sign};

use super::{
    common::{
        command::{Run, command, end, masked, told},
        server::Server,
        wasm::{custom, hostile_text, neuron_with, tangle},
    },
    *,
};

/// How a case becomes what it is.
type Make = fn(&mut Case);

/// Each case.
const CASES: [(&str, Make); 12] = [
    ("asks_for_more_than_it_says", |case| {
        case.put("helper.wasm", &case.built("puppet"));
    }),
    ("asks_for_what_is_not_granted", |case| {
        case.put("helper.wasm", &case.built("puppet"));
    }),
    ("imports_what_is_not_granted", |case| {
        for (name, built) in [
            ("contract", "puppet"),
            ("files", "wasi_probe"),
            ("network", "http_probe"),
        ] {
            let wasm = fs::read(component(built)).unwrap();
            case.put(&format!("{name}.wasm"), &wasm);
        }
        case.put("shell.wasm", &hostile("unknown_function"));
    }),
    ("carries_a_forged_manifest", forged_manifests),
    ("carries_a_bad_signature", bad_signatures),
    ("has_another_digest", |case| {
        case.put("helper.wasm", &hostile("no_handler"));
        case.put("text.wasm", b"hello");
    }),
    ("has_a_link_out_of_its_folder", |case| {
        case.put("reader.wasm", &case.built("wasi_probe"));
        let folder = case.site.folder.clone();
        fs::create_dir_all(folder.join("data")).unwrap();
        fs::write(folder.join("data/note"), "a note").unwrap();
        fs::write(folder.join("secret"), "a secret").unwrap();
        for (target, link) in [
            (Path::new("../secret"), "link"),
            (&folder.join("secret"), "absolute"),
            (Path::new(".."), "folder"),
        ] {
            symlink(target, folder.join("data").join(link)).unwrap();
        }
    }),
    ("follows_a_redirect_to_a_denied_host", |case| {
        let (allowed, denied) = (Server::start(), Server::start());
        case.words = vec![("ALLOWED", allowed.url("")), ("DENIED", denied.url(""))];
        case.denied = Some(denied);
        case.write_texts();
        case.put("asker.wasm", &case.built("http_probe"));
    }),
    ("bursts_the_compiler", |case| {
        case.put("locals.wasm", &neuron_with(&tangle(10_000, 1)));
        let blocks = format!("(func {} {})", "block ".repeat(6_000), "end ".repeat(6_000));
        case.put("nested.wasm", &neuron_with(&blocks));
        case.put("tangled.wasm", &neuron_with(&tangle(4_900, 500)));
    }),
    ("has_two_hundred_megabytes", |case| {
        // A hole: it takes no space.
        let file = fs::File::create(case.site.folder.join("helper.wasm")).unwrap();
        file.set_len(200_000_000).unwrap();
    }),
    ("is_for_another_contract", |case| {
        for name in [
            "next_contract",
            "next_handler",
            "wrong_handler",
            "wrong_import",
        ] {
            case.put(&format!("{name}.wasm"), &hostile(name));
        }
    }),
    ("is_no_neuron", |case| {
        case.put("text.wasm", b"hello");
        case.put("module.wasm", b"\0asm\x01\0\0\0");
        case.put("empty.wasm", b"\0asm\x0d\0\x01\0");
        case.put("cut.wasm", &hostile("healthy")[..100]);
    }),
];

/// One folder, copied to where it can be completed.
struct Case {
    site: Site,
    given: PathBuf,
    /// Words in its texts that stand for what differs from run to run.
    words: Vec<(&'static str, String)>,
    /// Nobody may have come here.
    denied: Option<Server>,
}

impl Case {
    fn new(name: &str) -> Self {
        let case = Self {
            site: Site::new(&format!("third-party-{name}")),
            given: folder().join(name),
            words: Vec::new(),
            denied: None,
        };
        case.write_texts();
        case
    }

    /// What is given, with the words replaced.
    fn text(&self, file: &str) -> Option<String> {
        let text = fs::read_to_string(self.given.join(file)).ok()?;
        let words = self.words.iter();
        Some(words.fold(text, |text, (word, value)| text.replace(word, value)))
    }

    fn write_texts(&self) {
        self.site.write(&self.text("soma.toml").unwrap());
    }

    fn put(&self, file: &str, wasm: &[u8]) {
        self.site.put(file, wasm);
    }

    /// A component of `target/neurons` with the manifest that is given.
    fn built(&self, name: &str) -> Vec<u8> {
        packaged(name, &self.text("neuron.toml").unwrap())
    }

    /// What both commands say.
    fn said(&self) -> String {
        let check = end(command().arg("check").arg(self.site.file()));
        let requests = self.text("requests").unwrap_or_default();
        let up = told(command().arg("up").arg(self.site.file()), &requests);
        if let Some(denied) = &self.denied {
            assert_eq!(denied.connections(), 0);
        }
        let secret = fs::read_to_string(self.site.folder.join("secret"));
        assert!(secret.is_err() || secret.is_ok_and(|secret| secret == "a secret"));
        if check.exit == 0 {
            // They come in the order in which they are ready.
            let answers = up.stdout.lines().map(|line| {
                let answer: Value = serde_json::from_str(line).unwrap();
                format!("{}: {}\n", answer["id"], answer["payload"])
            });
            let answers: BTreeSet<_> = answers.collect();
            let up = Run {
                stdout: answers.into_iter().collect(),
                ..up
            };
            return self.shown("check", &check) + "\n" + &self.shown("up", &up);
        }
        // What cannot run is not started, for the same reasons.
        assert_eq!((up.exit, up.stdout.as_str()), (check.exit, ""));
        assert_eq!(up.stderr, check.stderr);
        self.shown("check", &check)
    }

    fn shown(&self, verb: &str, run: &Run) -> String {
        let Run {
            exit,
            stdout,
            stderr,
        } = run;
        let all = format!("$ soma {verb} soma.toml\n{stdout}{stderr}exit {exit}\n");
        let words = self.words.iter();
        let all = words.fold(all, |text, (word, value)| text.replace(value, word));
        let all = masked(&self.site.shown(&all));
        // Of a component that was built for the test.
        let digests = self.digests();
        digests
            .iter()
            .fold(all, |text, digest| text.replace(digest, "DIGEST"))
    }

    fn digests(&self) -> Vec<String> {
        if !self.given.join("neuron.toml").exists() {
            return Vec::new();
        }
        let entries = fs::read_dir(&self.site.folder).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        let components = files.filter(|file| file.extension().is_some_and(|end| end == "wasm"));
        let digests = components.map(|file| Digest::of(&fs::read(file).unwrap()).to_string());
        digests.collect()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/third-party")
}

/// A component of `tests/hostile`.
fn hostile(name: &str) -> Vec<u8> {
    wat::parse_str(hostile_text(name)).unwrap()
}

fn forged_manifests(case: &mut Case) {
    let bare = hostile("no_handler");
    let forged = |text: &str| [&bare[..], &custom("soma:manifest", text.as_bytes())].concat();
    let second = [&case.built("echo")[..], &custom("soma:manifest", b"{}")].concat();
    let lines =
        r#"{"format": 1, "manifest": {"id": "a\u001b[2K\nerror: none", "version": "1.0.0"}}"#;
    for (name, wasm) in [
        ("second", second),
        ("garbled", forged("no json")),
        ("format", forged(r#"{"format": 2}"#)),
        ("rights", forged(r#"{"format": 1, "rights": ["all"]}"#)),
        ("lines", forged(lines)),
        ("huge", forged(&" ".repeat(2 << 20))),
    ] {
        case.put(&format!("{name}.wasm"), &wasm);
    }
}

fn bad_signatures(case: &mut Case) {
    let key = |byte: u8| SigningKey::from_bytes(&[byte; 32]);
    let (acme, stranger) = (key(1), key(2));
    fs::write(
        case.site.folder.join("acme.pub"),
        public_key(&acme).unwrap(),
    )
    .unwrap();
    let bare = case.built("echo");
    let signed = sign(&bare, &acme).unwrap();
    let mut changed = signed.clone();
    let at = changed.windows(7).rposition(|bytes| bytes == b"\"1.0.0\"");
    changed[at.unwrap() + 1] = b'9';
    // Of another component.
    let other = hostile("no_handler");
    let signature = &sign(&other, &acme).unwrap()[other.len()..];
    for (name, wasm) in [
        ("changed", changed),
        ("moved", [&bare[..], signature].concat()),
        ("stranger", sign(&bare, &stranger).unwrap()),
        ("followed", [&signed[..], &custom("more", b"code")].concat()),
        (
            "garbled",
            [&bare[..], &custom("soma:signature", b"\x01abc")].concat(),
        ),
        ("unsigned", bare.clone()),
    ] {
        case.put(&format!("{name}.wasm"), &wasm);
    }
}

#[test]
fn each_component_of_a_malicious_third_party_is_refused_or_contained_in_these_words() {
    let given = fs::read_dir(folder()).unwrap();
    let given = given.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let made = CASES.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(given.collect::<BTreeSet<_>>(), made.collect());
    for (name, make) in CASES {
        let mut case = Case::new(name);
        make(&mut case);
        expect_file![case.given.join("expected")].assert_eq(&case.said());
    }
}
