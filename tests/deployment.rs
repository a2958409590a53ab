//! `soma.toml`: what a deployment takes, refuses and changes while it runs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

#[path = "deployment/changes.rs"]
mod changes;
#[path = "deployment/command.rs"]
mod command;
#[path = "deployment/files.rs"]
mod files;
#[path = "deployment/grants.rs"]
mod grants;
#[path = "deployment/languages.rs"]
mod languages;
#[path = "deployment/supply.rs"]
mod supply;
#[path = "deployment/third_party.rs"]
mod third_party;

use std::{fs, path::PathBuf, sync::Arc};

use common::{builder, command::scratch, component, run};
use expect_test::{Expect, expect, expect_file};
use serde_json::{Value, json};
use soma::{
    Host,
    clock::Random,
    deployment::{Changes, Checked, Deployment, Running, schema},
    orchestration::Dispatch,
    package::{Digest, Document, Manifest, Problems, Schemas, embed},
    registry::{Registry, Settings},
};

/// A folder with a deployment in it.
struct Site {
    folder: PathBuf,
}

impl Site {
    /// An empty one of the test's own.
    fn new(name: &str) -> Self {
        let folder = scratch("sites").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.join("soma.toml")
    }

    fn write(&self, text: &str) -> &Self {
        fs::write(self.file(), text).unwrap();
        self
    }

    /// Puts a component of `target/neurons` there, with a manifest in it.
    fn add(&self, built: &str, file: &str, manifest: &str) -> &Self {
        self.put(file, &packaged(built, manifest))
    }

    fn put(&self, file: &str, bytes: &[u8]) -> &Self {
        // As an installer would: a whole new file takes the old one's place.
        let aside = self.folder.join("aside");
        fs::write(&aside, bytes).unwrap();
        fs::rename(aside, self.folder.join(file)).unwrap();
        self
    }

    fn check(&self) -> Result<Checked, Problems> {
        let host = builder().build().unwrap();
        Deployment::read(&self.file())?.check(&host, &registry(&host))
    }

    /// Everything that is wrong, without the folder's name.
    fn told(&self, expected: &Expect) {
        let problems = self.check().unwrap_err().to_string();
        expected.assert_eq(&self.shown(&problems));
    }

    /// What is odd but not wrong.
    fn warned(&self, checked: &Checked) -> String {
        let warnings: Vec<_> = checked.warnings.iter().map(ToString::to_string).collect();
        self.shown(&warnings.join("\n"))
    }

    fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.folder.display()), "")
    }

    /// Brings the host to what the file says.
    fn apply(&self, host: &Host, running: &mut Running) -> Result<Changes, Problems> {
        Deployment::read(&self.file())?.apply(host, &registry(host), running)
    }
}

/// A component of `target/neurons` with a manifest in it.
fn packaged(built: &str, manifest: &str) -> Vec<u8> {
    with_manifest(&fs::read(component(built)).unwrap(), manifest)
}

fn with_manifest(wasm: &[u8], manifest: &str) -> Vec<u8> {
    let document = Document::parse("neuron.toml".as_ref(), manifest.to_owned()).unwrap();
    let manifest: Manifest = document.typed().unwrap();
    embed(wasm, &manifest, &Schemas::default()).unwrap()
}

/// One that has nothing and asks nobody.
fn registry(host: &Host) -> Registry {
    let settings = Settings {
        offline: true,
        ..Settings::default()
    };
    Registry::new(settings, host.clock().clone(), Random::seeded(1))
}

/// What a neuron answers.
fn ask(host: &Host, tenant: &str, neuron: &str, input: Value) -> Value {
    let tenant = host.tenant(tenant).unwrap();
    let task = Dispatch::to_neuron(neuron).input(input);
    let answer = run(host, async move {
        tenant.dispatch_and_wait(task, common::LONG).await.unwrap()
    });
    Value::Object(answer.signal.payload.to_object())
}

/// Asks for what the SDK itself needs.
const ECHO: &str = "id = \"echo\"\nversion = \"1.0.0\"\ngrants.log = true\n";
