//! What a neuron gets: what it asks for and what it is granted, both.
//!
//! A request that is not granted refuses the neuron, with the line to add; so
//! a deployment that starts holds no surprise for a neuron. A grant that
//! nothing asks for gives nothing, and is told.

use std::{
    collections::BTreeMap,
    env::{self, VarError},
    path::Path,
};

use super::file;
use crate::{
    neuron::{Folder, Grants, Wasi},
    package::{Emission, FileAccess, HttpRule, Manifest, Randomness, Requests, Time},
    signal::SignalType,
};

#[derive(Clone)]
/// A request without a grant, or a grant without a request.
pub(super) struct Mismatch {
    /// Keys below the neuron's table.
    pub(super) keys: Vec<String>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// What a neuron gets, and what there is to say about it.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) missing: Vec<Mismatch>,
    pub(super) unasked: Vec<Mismatch>,
    requests: Requests,
}

/// What a component without a manifest asks for: whatever it is granted. Its
/// imports are looked at when it is loaded.
fn all_of(granted: &file::Grants) -> Requests {
    Requests {
        orchestration: granted.orchestration,
        synapse: granted.synapse.clone(),
        clock: granted.clock,
        random: granted.random,
        log: granted.log,
        wasi: granted.wasi,
        files: granted
            .files
            .iter()
            .map(|(name, folder)| (name.clone(), folder.access))
            .collect(),
        environment: granted
            .environment
            .keys()
            .chain(&granted.pass_environment)
            .cloned()
            .collect(),
        http: granted.http.clone(),
    }
}

/// Compares what a component asks for with what it is granted. `table` is the
/// name of the neuron's table in the file.
pub(super) fn resolve(
    manifest: Option<&Manifest>,
    granted: &file::Grants,
    table: &str,
) -> Resolved {
    let mut resolved = Resolved {
        requests: manifest.map_or_else(|| all_of(granted), |manifest| manifest.grants.clone()),
        ..Resolved::default()
    };
    let asked = resolved.requests.clone();
    let mut look = Look {
        table,
        resolved: &mut resolved,
    };
    look.flag(
        "orchestration",
        "to start and stop other neurons",
        asked.orchestration,
        granted.orchestration,
    );
    look.flag("log", "to write log lines", asked.log, granted.log);
    // What is reached through WASI brings it along.
    let variable =
        |name| granted.environment.contains_key(name) || granted.pass_environment.contains(name);
    let wasi = granted.wasi
        || asked
            .files
            .keys()
            .any(|name| granted.files.contains_key(name))
        || asked.environment.iter().any(variable)
        || (!asked.http.is_empty() && !granted.http.is_empty());
    look.flag("wasi", "for WASI", asked.wasi, wasi);
    look.level(
        "clock",
        "for the time",
        (asked.clock, granted.clock),
        Time::Wall,
        time,
    );
    look.level(
        "random",
        "for randomness",
        (asked.random, granted.random),
        Randomness::System,
        randomness,
    );
    look.synapse(&asked.synapse, &granted.synapse);
    look.files(&asked.files, &granted.files);
    look.environment(&asked.environment, granted);
    look.http(&asked.http, &granted.http);
    resolved
}

fn time(time: Time) -> &'static str {
    match time {
        Time::Virtual => "virtual",
        Time::Wall => "wall",
    }
}

fn randomness(random: Randomness) -> &'static str {
    match random {
        Randomness::Seeded => "seeded",
        Randomness::System => "system",
    }
}

struct Look<'a> {
    table: &'a str,
    resolved: &'a mut Resolved,
}

impl Look<'_> {
    /// `what` completes "the component asks …".
    fn missing(&mut self, key: &str, what: &str, line: &str) {
        let table = self.table;
        self.resolved.missing.push(Mismatch {
            keys: vec!["grants".to_owned(), key.to_owned()],
            message: format!("the component asks {what}, which is not granted"),
            help: Some(format!("to grant it, write:\n[{table}.grants]\n{line}")),
        });
    }

    fn unasked(&mut self, key: &str, name: Option<&str>) {
        let keys = ["grants", key].into_iter().chain(name);
        self.resolved.unasked.push(Mismatch {
            keys: keys.map(str::to_owned).collect(),
            message: "the component does not ask for this, and does not get it".to_owned(),
            help: None,
        });
    }

    fn flag(&mut self, key: &str, what: &str, asked: bool, granted: bool) {
        match (asked, granted) {
            (true, false) => self.missing(key, what, &format!("{key} = true")),
            // WASI may be there for what it carries.
            (false, true) if key != "wasi" => self.unasked(key, None),
            _ => {}
        }
    }

    /// For grants of two levels, of which the greatest holds the other.
    fn level<T: Copy + PartialEq>(
        &mut self,
        key: &str,
        what: &str,
        (asked, granted): (Option<T>, Option<T>),
        greatest: T,
        name: impl Fn(T) -> &'static str,
    ) {
        let Some(asked) = asked else {
            if granted.is_some() {
                self.unasked(key, None);
            }
            return;
        };
        if granted != Some(asked) && granted != Some(greatest) {
            let what = format!("{what} (`{}`)", name(asked));
            self.missing(key, &what, &format!("{key} = \"{}\"", name(asked)));
        }
    }

    fn synapse(&mut self, asked: &[Emission], granted: &[Emission]) {
        let missing: Vec<_> = asked
            .iter()
            .filter(|kind| !granted.contains(kind))
            .collect();
        if !missing.is_empty() {
            let names: Vec<_> = missing
                .iter()
                .map(|kind| SignalType::from(**kind).as_str())
                .collect();
            let all: Vec<_> = granted
                .iter()
                .chain(missing.iter().copied())
                .map(|kind| format!("\"{}\"", SignalType::from(*kind).as_str()))
                .collect();
            let what = format!("to publish {}", names.join(", "));
            self.missing("synapse", &what, &format!("synapse = [{}]", all.join(", ")));
        }
        if asked.is_empty() && !granted.is_empty() {
            self.unasked("synapse", None);
        }
    }

    fn files(
        &mut self,
        asked: &BTreeMap<String, FileAccess>,
        granted: &BTreeMap<String, file::Folder>,
    ) {
        for (name, access) in asked {
            if granted
                .get(name)
                .is_none_or(|folder| folder.access < *access)
            {
                let access = access.name();
                let what = format!("for the folder `{name}` ({access})");
                let path = granted.get(name).map_or_else(
                    || "a folder".to_owned(),
                    |folder| folder.path.display().to_string(),
                );
                let line = format!("files.{name} = {{ path = {path:?}, access = \"{access}\" }}");
                self.missing("files", &what, &line);
            }
        }
        for name in granted.keys().filter(|name| !asked.contains_key(*name)) {
            self.unasked("files", Some(name));
        }
    }

    fn environment(&mut self, asked: &[String], granted: &file::Grants) {
        let has = |name: &String| {
            granted.environment.contains_key(name) || granted.pass_environment.contains(name)
        };
        for name in asked.iter().filter(|name| !has(name)) {
            let what = format!("for the environment variable `{name}`");
            self.missing(
                "environment",
                &what,
                &format!("environment.{name} = \"a value\""),
            );
        }
        for name in granted
            .environment
            .keys()
            .filter(|name| !asked.contains(name))
        {
            self.unasked("environment", Some(name));
        }
        for name in granted
            .pass_environment
            .iter()
            .filter(|name| !asked.contains(name))
        {
            self.unasked("pass-environment", Some(name));
        }
    }

    fn http(&mut self, asked: &[HttpRule], granted: &[HttpRule]) {
        let covered = |rule: &HttpRule| granted.iter().any(|grant| grant.covers(rule));
        let missing: Vec<_> = asked.iter().filter(|rule| !covered(rule)).collect();
        if !missing.is_empty() {
            let all = granted.iter().chain(missing.iter().copied());
            let all: Vec<_> = all.map(|rule| format!("\"{rule}\"")).collect();
            let names: Vec<_> = missing.iter().map(|rule| format!("`{rule}`")).collect();
            let what = format!("to make requests {}", names.join(", "));
            self.missing("http", &what, &format!("http = [{}]", all.join(", ")));
        }
        if asked.is_empty() && !granted.is_empty() {
            self.unasked("http", None);
        }
    }
}

impl Resolved {
    /// Signal types that it may publish.
    pub(super) fn emits(&self) -> Vec<SignalType> {
        self.requests
            .synapse
            .iter()
            .copied()
            .map(SignalType::from)
            .collect()
    }

    /// As the sandbox takes it. Folders are looked for from `folder` on.
    ///
    /// # Errors
    /// Names a variable that the host's own environment does not have.
    pub(super) fn grants(&self, granted: &file::Grants, folder: &Path) -> Result<Grants, Mismatch> {
        let asked = &self.requests;
        let mut grants = Grants::asked(asked);
        if asked.needs_wasi() {
            grants = grants.with_wasi(self.wasi(granted, folder)?);
        }
        Ok(grants)
    }

    fn wasi(&self, granted: &file::Grants, folder: &Path) -> Result<Wasi, Mismatch> {
        let folders = self.requests.files.iter().filter_map(|(name, access)| {
            let grant = granted.files.get(name)?;
            Some(Folder {
                host: folder.join(&grant.path),
                guest: format!("/{name}"),
                access: *access,
            })
        });
        let mut environment = BTreeMap::new();
        for name in &self.requests.environment {
            let value = match granted.environment.get(name) {
                Some(value) => value.clone(),
                None => env::var(name).map_err(|error| Mismatch {
                    keys: vec!["grants".to_owned(), "pass-environment".to_owned()],
                    message: match error {
                        VarError::NotPresent => {
                            format!("the host's own variable `{name}` is not set")
                        }
                        // Its value may be a secret.
                        VarError::NotUnicode(_) => {
                            format!("the host's own variable `{name}` is not UTF-8")
                        }
                    },
                    help: None,
                })?,
            };
            environment.insert(name.clone(), value);
        }
        Ok(Wasi {
            folders: folders.collect(),
            environment,
            http: self.requests.http.clone(),
        })
    }

    /// What the neuron may do, a line each, in the words of the file.
    pub(super) fn lines(&self) -> Vec<String> {
        let asked = &self.requests;
        let mut lines = Vec::new();
        let flags = [
            ("orchestration", asked.orchestration),
            ("log", asked.log),
            ("wasi", asked.needs_wasi()),
        ];
        for (name, _) in flags.into_iter().filter(|(_, has)| *has) {
            lines.push(name.to_owned());
        }
        lines.extend(asked.clock.map(|clock| format!("clock: {}", time(clock))));
        lines.extend(
            asked
                .random
                .map(|random| format!("random: {}", randomness(random))),
        );
        lines.extend(
            asked
                .synapse
                .iter()
                .map(|kind| format!("publish {}", SignalType::from(*kind).as_str())),
        );
        let files = asked.files.iter();
        lines.extend(files.map(|(name, access)| format!("folder {name}: {}", access.name())));
        lines.extend(
            asked
                .environment
                .iter()
                .map(|name| format!("environment {name}")),
        );
        lines.extend(asked.http.iter().map(|rule| format!("http {rule}")));
        lines
    }
}
