//! What a neuron asks for, in a person's words.

use std::fmt;

use crate::{
    cli::out::Plain,
    package::{Binding, BindingAccess, FileAccess, HttpRule, Manifest, Randomness, Time, Wishes},
};

/// A line for each thing that the manifest asks for; none for pure computation.
pub(super) fn lines(manifest: &Manifest) -> Vec<String> {
    let mut lines: Vec<_> = manifest
        .engrams
        .iter()
        .map(|(name, binding)| engram(name, binding))
        .collect();
    let grants = &manifest.grants;
    if grants.orchestration {
        lines.push("to start, retry and stop other neurons of its tenant".to_owned());
    }
    if !grants.synapse.is_empty() {
        let types: Vec<_> = grants
            .synapse
            .iter()
            .map(|one| crate::signal::SignalType::from(*one).as_str())
            .collect();
        lines.push(format!("to publish {} signals", and(&types)));
    }
    let time = grants.clock.map(|clock| match clock {
        Time::Wall => "the host's time",
        Time::Virtual => "a time of its own, which moves by its own sleeps alone",
    });
    let randomness = grants.random.map(|random| match random {
        Randomness::System => "the host's randomness",
        Randomness::Seeded => "randomness that is the same for the same task",
    });
    lines.extend(time.into_iter().chain(randomness).map(str::to_owned));
    if grants.log {
        lines.push("to write log lines on its trace".to_owned());
    }
    for (name, access) in &grants.files {
        let access = match access {
            FileAccess::Read => "to read",
            FileAccess::ReadWrite => "to read and to change; no rollback takes that back",
        };
        lines.push(format!("a folder as /{}, {access}", Plain(name)));
    }
    let variables = grants.environment.iter();
    lines.extend(variables.map(|name| format!("the environment variable {}", Plain(name))));
    lines.extend(grants.http.iter().map(http));
    if grants.needs_wasi() {
        lines.push("WASI 0.2, with everything closed that is not named here".to_owned());
    }
    lines
}

fn engram(name: &str, binding: &Binding) -> String {
    let access = match binding.access {
        BindingAccess::Read => "to read",
        BindingAccess::ReadWrite => "to read and write",
    };
    let mut line = format!("the engram `{}`, {access}", Plain(name));
    if let Some(dimension) = binding.dimension {
        line += &format!(", with embeddings of {dimension} numbers");
    }
    if let Some(description) = &binding.description {
        line += &format!(": {}", Plain(description));
    }
    line
}

fn http(rule: &HttpRule) -> String {
    let methods: Vec<_> = rule.methods().collect();
    format!(
        "to send {} to {}://{}:{}",
        Plain(&and(&methods)),
        rule.scheme().name(),
        Plain(rule.host()),
        rule.port()
    )
}

fn and(words: &[&str]) -> String {
    match words {
        [first @ .., one, last] => format!("{}{one} and {last}", Commas(first)),
        _ => words.concat(),
    }
}

struct Commas<'a>(&'a [&'a str]);

impl fmt::Display for Commas<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|word| write!(f, "{word}, "))
    }
}

/// The limits that it wishes for, as `neuron.toml` writes them.
pub(super) fn wishes(wishes: &Wishes) -> Vec<(&'static str, String)> {
    let all = [
        ("fuel", wishes.fuel.map(|fuel| fuel.to_string())),
        ("memory", wishes.memory.as_ref().map(ToString::to_string)),
        ("timeout", wishes.timeout.as_ref().map(ToString::to_string)),
        (
            "host-calls",
            wishes.host_calls.map(|calls| calls.to_string()),
        ),
    ];
    let some = all
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)));
    some.collect()
}
