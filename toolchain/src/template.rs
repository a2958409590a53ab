//! What a new project starts with: the template of its language, and copies of
//! the SDK and of the contract, so that it needs nothing of this repository.
//!
//! All of it is part of this crate. The SDKs, what the Rust one shares with the
//! host and the contract are kept once, in `plugins/`, `retry/` and `wit/`;
//! `tests` below checks that no file of theirs is missing here.

use sha2::{Digest, Sha256};

use crate::Language;

/// A file of a new project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFile {
    /// Where it belongs, relative to the project's folder, with `/`.
    pub path: String,
    /// The whole file.
    pub contents: String,
}

/// Files below a folder of the repository, as (path below it, contents).
type Files = &'static [(&'static str, &'static str)];

macro_rules! files {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../", $folder, "/", $name)))),+]
    };
}

const CONTRACT: Files = files!("wit":
    "clock.wit", "engram.wit", "log.wit", "orchestration.wit", "package.wit", "random.wit",
    "synapse.wit", "types.wit",
);

const RUST: Files = files!("templates/rust":
    "Cargo.toml", "README.md", "cases/first-note.json", "gitignore", "neuron.toml", "src/lib.rs",
);
const PYTHON: Files = files!("templates/python":
    "README.md", "cases/first-note.json", "gitignore", "neuron.py", "neuron.toml",
);
const JAVASCRIPT: Files = files!("templates/javascript":
    "README.md", "cases/first-note.json", "gitignore", "neuron.js", "neuron.toml",
);
const C: Files = files!("templates/c":
    "README.md", "cases/first-note.json", "gitignore", "neuron.c", "neuron.toml",
);
const GO: Files = files!("templates/go":
    "README.md", "cases/first-note.json", "gitignore", "go.mod", "neuron.go", "neuron.toml",
);

const RUST_SDK: Files = files!("plugins/sdk":
    "Cargo.toml", "README.md", "src/allocator.rs", "src/bindings.rs", "src/bindings/generated.rs",
    "src/clock.rs",
    "src/engram.rs", "src/engram/error.rs", "src/guest.rs", "src/lib.rs", "src/log.rs",
    "src/orchestration.rs", "src/random.rs", "src/reply.rs", "src/retry.rs", "src/synapse.rs",
    "src/task.rs",
);
/// What the Rust SDK shares with the host.
const RETRY: Files = files!("retry":
    "Cargo.toml", "src/decide.rs", "src/delay.rs", "src/invalid.rs", "src/json.rs", "src/lib.rs",
);
const PYTHON_SDK: Files = files!("plugins/python/sdk": "soma_neuron.py", "soma_system.py");
const JAVASCRIPT_SDK: Files = files!("plugins/javascript/sdk": "soma-neuron.js");
const C_SDK: Files = files!("plugins/c/sdk":
    "contract.c", "contract.h", "soma_json.c", "soma_json.h", "soma_neuron.c", "soma_neuron.h",
    "soma_system.c",
);
const GO_SDK: Files = files!("plugins/go/sdk":
    "contract/export_soma_neuron_handler/handler.go",
    "contract/soma_neuron_clock/empty.s",
    "contract/soma_neuron_clock/wit_bindings.go",
    "contract/soma_neuron_engram/empty.s",
    "contract/soma_neuron_engram/wit_bindings.go",
    "contract/soma_neuron_handler/empty.s",
    "contract/soma_neuron_handler/wit_bindings.go",
    "contract/soma_neuron_log/empty.s",
    "contract/soma_neuron_log/wit_bindings.go",
    "contract/soma_neuron_orchestration/empty.s",
    "contract/soma_neuron_orchestration/wit_bindings.go",
    "contract/soma_neuron_random/empty.s",
    "contract/soma_neuron_random/wit_bindings.go",
    "contract/soma_neuron_synapse/empty.s",
    "contract/soma_neuron_synapse/wit_bindings.go",
    "contract/soma_neuron_types/empty.s",
    "contract/soma_neuron_types/wit_bindings.go",
    "contract/wit_exports/wit_exports.go",
    "engram.go",
    "go.mod",
    "host.go",
    "input.go",
    "soma.go",
    "wit/runtime/runtime.go",
    "wit/types/types.go",
    "with_log.go",
    "without_log.go",
);

/// Where a project has a copy of something of ours.
struct Copies {
    folder: &'static str,
    files: Files,
    /// The manifest of the workspace that it is a member of here.
    workspace: &'static str,
}

impl Copies {
    const fn new(folder: &'static str, files: Files) -> Self {
        Self {
            folder,
            files,
            workspace: "",
        }
    }
}

/// What a project in Rust is built on. Two levels deep, as in `plugins/`: the
/// SDK names the contract's folder.
const RUST_CRATES: [Copies; 2] = [
    Copies {
        folder: "vendor/soma-neuron",
        files: RUST_SDK,
        workspace: include_str!("../../plugins/Cargo.toml"),
    },
    Copies {
        folder: "vendor/soma-retry",
        files: RETRY,
        workspace: include_str!("../../Cargo.toml"),
    },
];

/// All files of a new project in this language for a neuron of this id.
pub fn template(language: Language, id: &str) -> Vec<TemplateFile> {
    let (own, helpers) = match language {
        Language::Rust => (RUST, Vec::from(RUST_CRATES)),
        Language::Python => (PYTHON, vec![Copies::new("sdk", PYTHON_SDK)]),
        Language::JavaScript => (JAVASCRIPT, vec![Copies::new("sdk", JAVASCRIPT_SDK)]),
        Language::C => (C, vec![Copies::new("sdk", C_SDK)]),
        Language::Go => (GO, vec![Copies::new("sdk", GO_SDK)]),
    };
    let mut files = Vec::new();
    for (name, contents) in own {
        let path = if *name == "gitignore" {
            ".gitignore"
        } else {
            name
        };
        let contents = contents.replace("{{id}}", id);
        files.push(TemplateFile {
            path: path.to_owned(),
            contents: contents.replace("{{package}}", &package(id)),
        });
    }
    for copies in helpers.into_iter().chain([Copies::new("wit", CONTRACT)]) {
        files.extend(copies.files.iter().map(|(name, contents)| TemplateFile {
            path: format!("{}/{name}", copies.folder),
            contents: if *name == "Cargo.toml" {
                on_its_own(contents, copies.workspace)
            } else {
                (*contents).to_owned()
            },
        }));
    }
    files
}

/// The SHA-256 of the contract, in hexadecimal digits: what bindings were
/// generated from.
pub fn contract_digest() -> String {
    let mut hash = Sha256::new();
    for (name, text) in CONTRACT {
        hash.update(name);
        hash.update([0]);
        hash.update(text);
        hash.update([0]);
    }
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A cargo package cannot have all the names that a neuron can.
fn package(id: &str) -> String {
    if id.starts_with(|first: char| first.is_ascii_alphabetic()) {
        id.to_owned()
    } else {
        format!("neuron-{id}")
    }
}

/// The manifest of a vendored crate: with what it takes from its workspace
/// written out, the others of [`RUST_CRATES`] beside it, and nothing of its
/// tests.
fn on_its_own(manifest: &str, workspace: &str) -> String {
    let inherited = |key: &str| {
        let value = workspace.lines().find_map(|line| {
            let (name, value) = line.split_once(" = ")?;
            (name == key).then_some(value)
        });
        value.unwrap_or_default()
    };
    let product = manifest.split("\n[dev-dependencies]\n").next();
    let product = product
        .unwrap_or_default()
        .replace("[lints]\nworkspace = true\n\n", "")
        .replace("\"../../retry\"", "\"../soma-retry\"");
    let mut text = String::new();
    for line in product.lines() {
        match line.strip_suffix(".workspace = true") {
            Some(key) => text.push_str(&format!("{key} = {}\n", inherited(key))),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        reason = "a test fails by panicking"
    )]

    use std::fs;
    use std::path::Path;

    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    fn below(folder: &Path, prefix: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() {
                below(&entry.path(), &format!("{name}/"), found);
            } else {
                found.push(name);
            }
        }
    }

    fn of(language: Language, path: &str) -> String {
        let files = template(language, "my-notes");
        let file = files.into_iter().find(|file| file.path == path);
        file.unwrap().contents
    }

    #[test]
    fn no_file_of_a_template_an_sdk_or_the_contract_is_missing() {
        for (folder, files) in [
            ("wit", CONTRACT),
            ("templates/rust", RUST),
            ("templates/python", PYTHON),
            ("templates/javascript", JAVASCRIPT),
            ("templates/c", C),
            ("templates/go", GO),
            ("plugins/sdk", RUST_SDK),
            ("retry", RETRY),
            ("plugins/python/sdk", PYTHON_SDK),
            ("plugins/javascript/sdk", JAVASCRIPT_SDK),
            ("plugins/c/sdk", C_SDK),
            ("plugins/go/sdk", GO_SDK),
        ] {
            let mut there = Vec::new();
            below(&root().join(folder), "", &mut there);
            // An author has no use for them.
            there.retain(|name| !name.starts_with("tests/"));
            there.sort();
            let embedded: Vec<_> = files.iter().map(|(name, _)| *name).collect();
            assert_eq!(embedded, there, "of {folder}");
        }
    }

    #[test]
    fn the_bindings_that_sdks_carry_are_those_of_this_contract() {
        assert_eq!(
            contract_digest(),
            include_str!("../../plugins/contract.sha256").trim(),
            "wit/ has changed since the bindings were generated: run `cargo xtask bindings`"
        );
    }

    #[test]
    fn a_project_names_its_neuron_and_keeps_no_placeholder() {
        for language in Language::ALL {
            for file in template(language, "my-notes") {
                let own = !file.path.starts_with("sdk/") && !file.path.starts_with("vendor/");
                assert!(!own || !file.contents.contains("{{"), "{}", file.path);
            }
            let manifest: toml::Table = of(language, "neuron.toml").parse().unwrap();
            assert_eq!(manifest["id"].as_str(), Some("my-notes"));
            assert_eq!(manifest["language"].as_str(), Some(language.name()));
        }
        assert!(of(Language::Rust, "Cargo.toml").contains("name = \"my-notes\"\n"));
        assert_eq!(package("7up"), "neuron-7up");
    }

    #[test]
    fn the_crates_of_a_rust_project_need_no_workspace_and_nothing_but_each_other_and_crates_io() {
        for copies in RUST_CRATES {
            let text = of(Language::Rust, &format!("{}/Cargo.toml", copies.folder));
            let manifest: toml::Table = text.parse().unwrap();
            assert!(!text.contains("workspace"), "{text}");
            assert_eq!(manifest["package"]["edition"].as_str(), Some("2024"));
            assert_eq!(manifest["package"]["version"].as_str(), Some("0.1.0"));
            assert!(!manifest.contains_key("dev-dependencies"), "{text}");
            for (name, dependency) in manifest["dependencies"].as_table().unwrap() {
                let path = dependency.get("path").and_then(toml::Value::as_str);
                let beside = path.and_then(|path| path.strip_prefix("../"));
                assert!(
                    path.is_none() || beside == Some(name.as_str()),
                    "{name} = {dependency:?}"
                );
                let folder = format!("vendor/{name}");
                let vendored = RUST_CRATES.iter().any(|one| one.folder == folder);
                assert_eq!(path.is_some(), vendored, "{name} = {dependency:?}");
            }
        }
    }

    #[test]
    fn the_retry_policy_that_guests_carry_depends_on_nothing_but_serde() {
        let manifest: toml::Table = of(Language::Rust, "vendor/soma-retry/Cargo.toml")
            .parse()
            .unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap();
        let names: Vec<_> = dependencies.keys().collect();
        assert_eq!(names, ["serde"]);
        assert_eq!(dependencies["serde"]["optional"].as_bool(), Some(true));
    }
}
