//! What a neuron gets: what it asks for and what its table grants, both.
//!
//! A request that is not granted refuses the neuron, with the line to add; so
//! a deployment that starts holds no surprise for a neuron. A grant that
//! nothing asks for gives nothing, and is told.

use std::{
    env::{self, VarError},
    path::Path,
};

use super::file;
use crate::{
    neuron::{Folder, Grants, Wasi},
    package::{Grant, Manifest, Requests},
    signal::SignalType,
};

/// Something about a neuron's table of grants.
#[derive(Clone)]
pub(super) struct Remark {
    /// Keys below the neuron's table.
    pub(super) keys: Vec<String>,
    pub(super) message: String,
    /// What the table of grants would have to say.
    pub(super) line: Option<String>,
}

impl Remark {
    fn new(keys: &[&str], message: String) -> Self {
        let keys = std::iter::once(&"grants").chain(keys);
        Self {
            keys: keys.map(|key| (*key).to_owned()).collect(),
            message,
            line: None,
        }
    }
}

/// What a neuron gets, and what there is to say about it.
pub(super) struct Resolved {
    /// Requests without a grant.
    pub(super) missing: Vec<Remark>,
    /// Grants without a request.
    pub(super) surplus: Vec<Remark>,
    requests: Requests,
}

/// Compares what a component asks for with what it is granted.
pub(super) fn resolve(manifest: Option<&Manifest>, granted: &file::Grants) -> Resolved {
    let held = granted.requests();
    let Some(manifest) = manifest else {
        // It asks for whatever it is granted: its imports are looked at when it
        // is loaded.
        return Resolved {
            missing: Vec::new(),
            surplus: Vec::new(),
            requests: held,
        };
    };
    let requests = manifest.grants.clone();
    let missing = requests.missing_in(&held).into_iter();
    let surplus = requests.surplus_in(&held).into_iter();
    Resolved {
        missing: missing.map(|grant| granted.missing(grant)).collect(),
        surplus: surplus.flat_map(|grant| granted.surplus(&grant)).collect(),
        requests,
    }
}

impl file::Grants {
    /// As a manifest would ask for all of it.
    fn requests(&self) -> Requests {
        let folders = self.files.iter();
        let mut variables: Vec<_> = self.environment.0.keys().cloned().collect();
        variables.extend(self.pass_environment.iter().cloned());
        variables.sort();
        variables.dedup();
        Requests {
            orchestration: self.orchestration,
            synapse: self.synapse.clone(),
            clock: self.clock,
            random: self.random,
            log: self.log,
            wasi: self.wasi,
            files: folders
                .map(|(name, folder)| (name.clone(), folder.access))
                .collect(),
            environment: variables,
            http: self.http.clone(),
        }
    }

    /// That something is asked for and not granted, with the line to add.
    fn missing(&self, grant: Grant) -> Remark {
        let message = format!("the component asks {grant}, which is not granted");
        let (key, line) = match grant {
            Grant::Orchestration => ("orchestration", "orchestration = true".to_owned()),
            Grant::Synapse(missing) => {
                let kinds = self.synapse.iter().copied().chain(missing);
                let kinds = kinds.map(|kind| format!("\"{}\"", SignalType::from(kind).as_str()));
                ("synapse", format!("synapse = [{}]", listed(kinds)))
            }
            Grant::Clock(time) => ("clock", format!("clock = \"{}\"", time.name())),
            Grant::Random(random) => ("random", format!("random = \"{}\"", random.name())),
            Grant::Log => ("log", "log = true".to_owned()),
            Grant::Wasi => ("wasi", "wasi = true".to_owned()),
            Grant::Folder { name, access } => {
                let granted = self.files.get(&name);
                let path = granted.map_or_else(
                    || "a folder".to_owned(),
                    |folder| folder.path.display().to_string(),
                );
                let access = access.name();
                let line = format!("files.{name} = {{ path = {path:?}, access = \"{access}\" }}");
                ("files", line)
            }
            Grant::Variable(name) => ("environment", format!("environment.{name} = \"a value\"")),
            Grant::Http(missing) => {
                let rules = self.http.iter().chain(&missing);
                let rules = rules.map(|rule| format!("\"{rule}\""));
                ("http", format!("http = [{}]", listed(rules)))
            }
        };
        Remark {
            line: Some(line),
            ..Remark::new(&[key], message)
        }
    }

    /// That something is granted and not asked for, at each place that grants
    /// it.
    fn surplus(&self, grant: &Grant) -> Vec<Remark> {
        let told = |keys: &[&str], grant: &Grant| {
            let message = format!("the component does not ask {grant}; this grant gives nothing");
            Remark::new(keys, message)
        };
        match grant {
            Grant::Orchestration => vec![told(&["orchestration"], grant)],
            Grant::Clock(_) => vec![told(&["clock"], grant)],
            Grant::Random(_) => vec![told(&["random"], grant)],
            Grant::Log => vec![told(&["log"], grant)],
            Grant::Wasi => vec![told(&["wasi"], grant)],
            Grant::Folder { name, .. } => vec![told(&["files", name], grant)],
            Grant::Variable(name) => {
                let has_value = self.environment.0.contains_key(name);
                let value = has_value.then(|| told(&["environment", name], grant));
                let passed = places(&self.pass_environment, name);
                let passed = passed.map(|place| told(&["pass-environment", &place], grant));
                value.into_iter().chain(passed).collect()
            }
            Grant::Synapse(kinds) => {
                let all = kinds.iter().flat_map(|kind| {
                    let one = Grant::Synapse(vec![*kind]);
                    let places = places(&self.synapse, kind);
                    places.map(move |place| told(&["synapse", &place], &one))
                });
                all.collect()
            }
            Grant::Http(rules) => {
                let all = rules.iter().flat_map(|rule| {
                    let one = Grant::Http(vec![rule.clone()]);
                    let places = places(&self.http, rule);
                    places.map(move |place| told(&["http", &place], &one))
                });
                all.collect()
            }
        }
    }

    /// As the sandbox takes all of it. Folders are looked for from `folder` on;
    /// of the host's own environment only what `asked` names is read.
    fn whole(&self, asked: &Requests, folder: &Path) -> (Grants, Vec<Remark>) {
        let mut wrong = Vec::new();
        let mut environment = self.environment.0.clone();
        for (index, name) in self.pass_environment.iter().enumerate() {
            if environment.contains_key(name) || !asked.environment.contains(name) {
                continue;
            }
            match env::var(name) {
                Ok(value) => drop(environment.insert(name.clone(), value)),
                Err(error) => {
                    // Its value may be a secret.
                    let message = match error {
                        VarError::NotPresent => {
                            format!("the host's own variable `{name}` is not set")
                        }
                        VarError::NotUnicode(_) => {
                            format!("the host's own variable `{name}` is not UTF-8")
                        }
                    };
                    let keys = ["pass-environment", &index.to_string()];
                    wrong.push(Remark::new(&keys, message));
                }
            }
        }
        let folders = self.files.iter().map(|(name, grant)| Folder {
            host: folder.join(&grant.path),
            guest: format!("/{name}"),
            access: grant.access,
        });
        let wasi = Wasi {
            folders: folders.collect(),
            environment,
            http: self.http.clone(),
        };
        let held = self.requests();
        let mut grants = Grants::asked(&held);
        if held.needs_wasi() {
            grants = grants.with_wasi(wasi);
        }
        (grants, wrong)
    }
}

/// Where an element stands in a list, as a key.
fn places<'a, T: PartialEq>(list: &'a [T], one: &'a T) -> impl Iterator<Item = String> + 'a {
    let all = list
        .iter()
        .enumerate()
        .filter(move |(_, other)| *other == one);
    all.map(|(index, _)| index.to_string())
}

fn listed(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

impl Resolved {
    /// Signal types that it may publish.
    pub(super) fn emits(&self) -> Vec<SignalType> {
        let kinds = self.requests.synapse.iter();
        kinds.copied().map(SignalType::from).collect()
    }

    /// As the sandbox takes it, and which variables the host's own environment
    /// does not have.
    pub(super) fn grants(&self, granted: &file::Grants, folder: &Path) -> (Grants, Vec<Remark>) {
        let (whole, wrong) = granted.whole(&self.requests, folder);
        (whole.narrowed(&self.requests), wrong)
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
        let clock = asked.clock.map(|time| format!("clock: {}", time.name()));
        let random = asked
            .random
            .map(|random| format!("random: {}", random.name()));
        lines.extend(clock.into_iter().chain(random));
        let kinds = asked.synapse.iter();
        lines.extend(kinds.map(|kind| format!("publish {}", SignalType::from(*kind).as_str())));
        let files = asked.files.iter();
        lines.extend(files.map(|(name, access)| format!("folder {name}: {}", access.name())));
        let variables = asked.environment.iter();
        lines.extend(variables.map(|name| format!("environment {name}")));
        lines.extend(asked.http.iter().map(|rule| format!("http {rule}")));
        lines
    }
}
