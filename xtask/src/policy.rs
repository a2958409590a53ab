//! What may be depended upon: sources, licences, versions.
//!
//! The checks are cargo-deny's. Building cargo-deny takes longer than all of
//! CI's other checks, and its advisory database is out of reach where only
//! crates.io is; `WASMTIME_FLOOR` stands for the advisories that matter most
//! here, those of the engine that holds guests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use soma_toolchain::process;

use crate::say::say;

/// Where packages may come from, beside the repository itself.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Where Soma runs. What other systems would need is in no build.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Licences under which a dependency may be used. An expression needs one side
/// of each `OR` and both of each `AND` from here.
const LICENCES: [&str; 10] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Crates that may be there in several versions: each costs build time only,
/// because none of its types cross our own code.
const SEVERAL: [&str; 10] = [
    "cpufeatures",
    "embedded-io",
    "getrandom",
    "hashbrown",
    "io-lifetimes",
    "rand_core",
    "syn",
    "wasm-encoder",
    "wasmparser",
    "wit-bindgen",
];

/// The package of the host's workspace that the guests' SDK uses too, and its
/// folder.
const SHARED: &str = "soma-retry";
const SHARED_FOLDER: &str = "retry";

/// Version line and least patch of the engine. Lower ones have known holes,
/// among them a host panic when a cancelled call is dropped.
const WASMTIME_FLOOR: (&str, u64) = ("48.0", 8);

/// Checks both workspaces against their lock files.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    let mut several = BTreeSet::new();
    for (folder, packaged) in [
        (root.to_path_buf(), &["soma", SHARED, "soma-toolchain"][..]),
        (root.join("plugins"), &["soma-neuron"]),
    ] {
        let packages = packages(&folder)?;
        say(&format!(
            "{} packages in {}",
            packages.len(),
            folder.join("Cargo.lock").display()
        ));
        for package in &packages {
            wrong.extend(package.complaints(root));
        }
        wrong.extend(versions(&packages, &mut several));
        wrong.extend(yanked(&folder, packaged, root)?);
    }
    let stale = SEVERAL.iter().filter(|name| !several.contains(**name));
    wrong.extend(stale.map(|name| {
        format!("{name} is there once: take it off the list SEVERAL in xtask/src/policy.rs")
    }));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

struct Package {
    name: String,
    version: String,
    licence: Option<String>,
    source: Option<String>,
    manifest: PathBuf,
}

fn packages(folder: &Path) -> anyhow::Result<Vec<Package>> {
    let mut cargo = process::cargo(folder);
    cargo.args(["metadata", "--format-version", "1", "--locked"]);
    cargo.args(["--filter-platform", PLATFORM]);
    let told = output(&mut cargo)?;
    let metadata: Value =
        serde_json::from_slice(&told.stdout).context("what cargo metadata says")?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    let packages = packages.ok_or_else(|| anyhow!("cargo metadata names no packages"))?;
    Ok(packages.iter().filter_map(Package::read).collect())
}

impl Package {
    fn read(package: &Value) -> Option<Self> {
        let text = |key: &str| package.get(key)?.as_str().map(str::to_owned);
        Some(Self {
            name: text("name")?,
            version: text("version")?,
            licence: text("license"),
            source: text("source"),
            manifest: PathBuf::from(text("manifest_path")?),
        })
    }

    fn complaints(&self, root: &Path) -> Vec<String> {
        let Self { name, version, .. } = self;
        let mut wrong = Vec::new();
        match self.source.as_deref() {
            Some(CRATES_IO) => {}
            None if self.manifest.starts_with(root) => {}
            None => wrong.push(format!(
                "{name} {version} comes from {}",
                self.manifest.display()
            )),
            Some(other) => wrong.push(format!("{name} {version} comes from {other}")),
        }
        match self.licence.as_deref() {
            None => wrong.push(format!("{name} {version} names no licence")),
            Some(licence) if allowed(licence) => {}
            Some(licence) => wrong.push(format!(
                "{name} {version} is licensed under {licence}, which is not on the list"
            )),
        }
        if name == "wasmtime" && !recent(version) {
            let (line, patch) = WASMTIME_FLOOR;
            wrong.push(format!(
                "wasmtime {version} is not {line}.{patch} or later in its line"
            ));
        }
        wrong
    }
}

fn recent(version: &str) -> bool {
    let (line, least) = WASMTIME_FLOOR;
    let patch = version
        .strip_prefix(line)
        .and_then(|rest| rest.strip_prefix('.'));
    patch.is_some_and(|patch| patch.parse::<u64>().is_ok_and(|patch| patch >= least))
}

/// Crates in several versions that may not be, or in more than two.
fn versions(packages: &[Package], several: &mut BTreeSet<String>) -> Vec<String> {
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        known
            .entry(&package.name)
            .or_default()
            .insert(&package.version);
    }
    let repeated = known.into_iter().filter(|(_, versions)| versions.len() > 1);
    let mut wrong = Vec::new();
    for (name, versions) in repeated {
        several.insert(name.to_owned());
        if !SEVERAL.contains(&name) {
            let versions: Vec<_> = versions.into_iter().collect();
            wrong.push(format!(
                "{name} is there in versions {}",
                versions.join(" and ")
            ));
        }
    }
    wrong
}

/// Cargo compares the lock file with the registry when it makes packages,
/// and warns of versions that were withdrawn.
fn yanked(folder: &Path, packages: &[&str], root: &Path) -> anyhow::Result<Vec<String>> {
    let mut cargo = process::cargo(folder);
    cargo.args(["package", "--no-verify", "--allow-dirty", "--locked"]);
    cargo.args(packages.iter().flat_map(|package| ["--package", *package]));
    if !packages.contains(&SHARED) {
        // Made as if it were in the registry: it is a member of the other
        // workspace.
        let place = root.join(SHARED_FOLDER);
        cargo.args([
            "--config",
            &format!("patch.crates-io.{SHARED}.path={place:?}"),
        ]);
    }
    cargo.arg("--target-dir").arg(root.join("target/policy"));
    let told = output(&mut cargo)?;
    let warnings = String::from_utf8_lossy(&told.stderr);
    let yanked = warnings.lines().filter(|line| line.contains("is yanked"));
    Ok(yanked.map(str::to_owned).collect())
}

fn output(cargo: &mut Command) -> anyhow::Result<std::process::Output> {
    let output = cargo
        .stdin(Stdio::null())
        .output()
        .context("starting cargo")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output)
}

/// Whether an SPDX expression can be met from `LICENCES`.
fn allowed(expression: &str) -> bool {
    // Older manifests write `/` for OR.
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let words: Vec<_> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    either(&mut words) && words.is_empty()
}

/// `both OR both OR ..`
fn either(words: &mut &[&str]) -> bool {
    let mut met = both(words);
    while take(words, "OR") {
        met |= both(words);
    }
    met
}

/// `one AND one AND ..`; binds closer than OR.
fn both(words: &mut &[&str]) -> bool {
    let mut met = one(words);
    while take(words, "AND") {
        met &= one(words);
    }
    met
}

/// A licence, with its exception if it has one, or an expression in brackets.
fn one(words: &mut &[&str]) -> bool {
    if take(words, "(") {
        let met = either(words);
        return take(words, ")") && met;
    }
    let Some((licence, rest)) = words.split_first() else {
        return false;
    };
    *words = rest;
    if let ["WITH", exception, rest @ ..] = *words {
        *words = rest;
        return LICENCES.contains(&format!("{licence} WITH {exception}").as_str());
    }
    LICENCES.contains(licence)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    match words.split_first() {
        Some((first, rest)) if *first == word => {
            *words = rest;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, licence: &str, source: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            licence: Some(licence.to_owned()),
            source: source.map(str::to_owned),
            manifest: PathBuf::from("/repository/a/Cargo.toml"),
        }
    }

    #[test]
    fn one_side_of_or_and_both_of_and_must_be_on_the_list() {
        for met in [
            "MIT",
            "Apache-2.0 WITH LLVM-exception",
            "MIT/Apache-2.0",
            "Unlicense OR MIT",
            "MIT OR Apache-2.0 OR LGPL-2.1-or-later",
            "(MIT OR GPL-3.0-only) AND Unicode-3.0",
            "GPL-3.0-only AND MIT OR Zlib",
        ] {
            assert!(allowed(met), "{met}");
        }
        for unmet in [
            "",
            "GPL-3.0-only",
            "MIT AND GPL-3.0-only",
            "MIT AND (GPL-3.0-only OR LGPL-3.0-only)",
            "MIT WITH Classpath-exception-2.0",
            "(MIT",
            "MIT Apache-2.0",
        ] {
            assert!(!allowed(unmet), "{unmet}");
        }
    }

    #[test]
    fn the_engine_must_be_of_its_line_and_at_least_the_floor() {
        for version in ["48.0.8", "48.0.9", "48.0.10"] {
            assert!(recent(version), "{version}");
        }
        for version in [
            "48.0.7",
            "47.0.8",
            "49.0.8",
            "48.1.8",
            "48.0",
            "48.0.8-rc.1",
        ] {
            assert!(!recent(version), "{version}");
        }
    }

    #[test]
    fn only_crates_io_and_the_repository_are_sources() {
        let root = Path::new("/repository");
        let git = package("a", "1.0.0", "MIT", Some("git+https://example.org/a"));
        assert_eq!(
            git.complaints(root),
            ["a 1.0.0 comes from git+https://example.org/a"]
        );
        let registry = package("a", "1.0.0", "MIT", Some(CRATES_IO));
        assert!(registry.complaints(root).is_empty());
        let own = package("a", "1.0.0", "MIT", None);
        assert!(own.complaints(root).is_empty());
        assert_eq!(
            own.complaints(Path::new("/other")),
            ["a 1.0.0 comes from /repository/a/Cargo.toml"]
        );
    }

    #[test]
    fn versions_beside_the_first_must_be_on_the_list() {
        let of = |name, versions: &[&str]| -> Vec<Package> {
            let made = versions
                .iter()
                .map(|version| package(name, version, "MIT", None));
            made.collect()
        };
        let wrong = |packages: &[Package]| versions(packages, &mut BTreeSet::new());
        assert!(wrong(&of("syn", &["1.0.0", "2.0.0"])).is_empty());
        assert!(wrong(&of("syn", &["1.0.0", "2.0.0", "3.0.0"])).is_empty());
        assert_eq!(
            wrong(&of("tokio", &["1.0.0", "2.0.0"])),
            ["tokio is there in versions 1.0.0 and 2.0.0"]
        );
    }
}
