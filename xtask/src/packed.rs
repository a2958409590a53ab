//! The neurons of `examples/deployment` and `examples/flows` as an operator gets
//! them: each with its manifest in it, put there by the host's own command.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use sha2::{Digest, Sha256};
use soma_toolchain::cache;
use soma_toolchain::process::{self, Ended, captured};

use crate::Failure;
use crate::say::say;

/// Components of `target/neurons`, and the projects that they are built from.
const NEURONS: [(&str, &str); 7] = [
    ("echo", "plugins/echo"),
    ("ingester", "plugins/ingester"),
    ("python_ingester", "plugins/python/ingester"),
    ("javascript_ingester", "plugins/javascript/ingester"),
    ("c_ingester", "plugins/c/ingester"),
    ("composer", "plugins/composer"),
    ("validator", "plugins/validator"),
];

/// The host may have to be built first.
const LIMIT: Duration = Duration::from_secs(3600);

/// One neuron of the example.
struct Neuron {
    component: PathBuf,
    project: PathBuf,
    packed: PathBuf,
    /// Where it stands what `packed` was made of, and what.
    made_of: (PathBuf, String),
}

/// Puts manifests into those that have changed.
pub(crate) fn build(root: &Path) -> Result<(), Failure> {
    let neurons = NEURONS.map(|(name, project)| neuron(root, name, project));
    let neurons: Vec<_> = neurons.into_iter().collect::<Result<_, _>>()?;
    let stale: Vec<_> = neurons.iter().filter(|one| !one.is_fresh()).collect();
    if !stale.is_empty() {
        say(
            "putting manifests into the neurons of the examples, with the host's own command (which is built first, some minutes the first time)",
        );
    }
    for one in stale {
        let mut cargo = process::cargo(root);
        cargo.args([
            "run",
            "--quiet",
            "--package",
            "soma",
            "--",
            "neuron",
            "build",
        ]);
        cargo
            .arg(&one.project)
            .arg("--component")
            .arg(&one.component);
        cargo.arg("--output").arg(&one.packed);
        let shown = one.packed.display();
        match captured(&mut cargo, LIMIT) {
            Ended::Well(_) => {}
            Ended::Badly(reason) => return Err(anyhow!("making {shown}: {reason}").into()),
        }
        let (file, key) = &one.made_of;
        cache::replace(file, key.as_bytes()).with_context(|| format!("keeping {shown}"))?;
    }
    Ok(())
}

fn neuron(root: &Path, name: &str, project: &str) -> anyhow::Result<Neuron> {
    let component = root
        .join("target/neurons")
        .join(name)
        .with_extension("wasm");
    let project = root.join(project);
    let manifest = project.join("neuron.toml");
    let mut hash = Sha256::new();
    for file in [&component, &manifest] {
        let bytes = fs::read(file).with_context(|| file.display().to_string())?;
        hash.update(bytes.len().to_le_bytes());
        hash.update(bytes);
    }
    let digest = hash.finalize();
    let key = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let packed = root.join("target/neurons/packed");
    fs::create_dir_all(&packed).with_context(|| packed.display().to_string())?;
    let packed = packed.join(name).with_extension("wasm");
    let file = root
        .join("target/guests/packed")
        .join(name)
        .with_extension("key");
    Ok(Neuron {
        component,
        project,
        packed,
        made_of: (file, key),
    })
}

impl Neuron {
    fn is_fresh(&self) -> bool {
        let (file, key) = &self.made_of;
        self.packed.is_file() && fs::read_to_string(file).is_ok_and(|last| last == *key)
    }
}
