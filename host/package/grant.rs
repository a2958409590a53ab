//! What a neuron asks for against what it is granted. Whoever grants, by a file
//! or by options, compares here; a neuron gets what is both.

use std::fmt;

use super::{
    http::HttpRule,
    manifest::{Emission, FileAccess, Randomness, Requests, Time},
};
use crate::signal::SignalType;

/// What is asked for and not granted, or granted and not asked for. Shown it
/// completes "the neuron asks …".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Starting, retrying and stopping other neurons.
    Orchestration,
    /// Publishing signals of these types.
    Synapse(Vec<Emission>),
    /// Seeing this time.
    Clock(Time),
    /// This randomness.
    Random(Randomness),
    /// Writing log lines.
    Log,
    /// WASI by itself, closed.
    Wasi,
    /// A folder.
    Folder {
        /// By the name under which the neuron sees it: `data` is `/data`.
        name: String,
        /// What may be done in it.
        access: FileAccess,
    },
    /// An environment variable.
    Variable(String),
    /// Requests over HTTP.
    Http(Vec<HttpRule>),
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orchestration => f.write_str("to start and stop other neurons"),
            Self::Synapse(kinds) => {
                let kinds = kinds.iter().map(|kind| SignalType::from(*kind).as_str());
                write!(f, "to publish {}", kinds.collect::<Vec<_>>().join(", "))
            }
            Self::Clock(time) => write!(f, "for the time (`{}`)", time.name()),
            Self::Random(random) => write!(f, "for randomness (`{}`)", random.name()),
            Self::Log => f.write_str("to write log lines"),
            Self::Wasi => f.write_str("for WASI"),
            Self::Folder { name, access } => {
                write!(f, "for the folder `{name}` ({})", access.name())
            }
            Self::Variable(name) => write!(f, "for the environment variable `{name}`"),
            Self::Http(rules) => {
                let rules = rules.iter().map(|rule| format!("`{rule}`"));
                write!(
                    f,
                    "to make requests {}",
                    rules.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }
}

impl Requests {
    /// What of it `granted` does not hold, or holds less of.
    pub fn missing_in(&self, granted: &Self) -> Vec<Grant> {
        let mut missing = self.clone();
        missing.orchestration &= !granted.orchestration;
        missing
            .synapse
            .retain(|kind| !granted.synapse.contains(kind));
        // The host's own time and randomness stand for the others too.
        missing.clock = missing.clock.filter(|time| {
            let enough = [Some(*time), Some(Time::Wall)];
            !enough.contains(&granted.clock)
        });
        missing.random = missing.random.filter(|random| {
            let enough = [Some(*random), Some(Randomness::System)];
            !enough.contains(&granted.random)
        });
        missing.log &= !granted.log;
        // What is reached through WASI brings it along.
        missing.wasi &= !self.reaches_through_wasi() && !granted.needs_wasi();
        missing.files.retain(|name, access| {
            let held = granted.files.get(name);
            held.is_none_or(|held| *held < *access)
        });
        let variables = &mut missing.environment;
        variables.retain(|name| !granted.environment.contains(name));
        let rules = self.http.iter();
        missing.http = rules
            .filter_map(|rule| rule.denied_by(&granted.http))
            .collect();
        missing.list()
    }

    /// What `granted` holds and this does not ask for. More than is asked for
    /// of the same thing, such as a folder to write that is only read, is none:
    /// the neuron gets what it asks for.
    pub fn surplus_in(&self, granted: &Self) -> Vec<Grant> {
        let mut surplus = granted.clone();
        surplus.orchestration &= !self.orchestration;
        surplus.synapse.retain(|kind| !self.synapse.contains(kind));
        surplus.clock = surplus.clock.filter(|_| self.clock.is_none());
        surplus.random = surplus.random.filter(|_| self.random.is_none());
        surplus.log &= !self.log;
        surplus.wasi &= !self.needs_wasi();
        surplus
            .files
            .retain(|name, _| !self.files.contains_key(name));
        let variables = &mut surplus.environment;
        variables.retain(|name| !self.environment.contains(name));
        let rules = &mut surplus.http;
        rules.retain(|grant| grant.allowed_by(&self.http).is_none());
        surplus.list()
    }

    /// All of it, in the order in which it is told.
    fn list(self) -> Vec<Grant> {
        let synapse = (!self.synapse.is_empty()).then_some(Grant::Synapse(self.synapse));
        let http = (!self.http.is_empty()).then_some(Grant::Http(self.http));
        let mut list = Vec::new();
        list.extend(self.orchestration.then_some(Grant::Orchestration));
        list.extend(synapse);
        list.extend(self.clock.map(Grant::Clock));
        list.extend(self.random.map(Grant::Random));
        list.extend(self.log.then_some(Grant::Log));
        list.extend(self.wasi.then_some(Grant::Wasi));
        let folders = self.files.into_iter();
        list.extend(folders.map(|(name, access)| Grant::Folder { name, access }));
        list.extend(self.environment.into_iter().map(Grant::Variable));
        list.extend(http);
        list
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn requests(text: &str) -> Requests {
        serde_json::from_str(text).unwrap()
    }

    fn told(grants: &[Grant]) -> Vec<String> {
        grants.iter().map(ToString::to_string).collect()
    }

    fn asked() -> Requests {
        requests(
            r#"{
                "orchestration": true, "synapse": ["PLAN", "AUDIT"], "clock": "virtual",
                "random": "system", "log": true,
                "files": {"data": "read", "out": "read-write"},
                "environment": ["LEVEL"],
                "http": ["GET=https://a", "POST=https://b"]
            }"#,
        )
    }

    #[test]
    fn what_is_asked_for_and_not_granted_is_missing() {
        assert_eq!(
            told(&asked().missing_in(&Requests::default())),
            [
                "to start and stop other neurons",
                "to publish PLAN, AUDIT",
                "for the time (`virtual`)",
                "for randomness (`system`)",
                "to write log lines",
                "for the folder `data` (read)",
                "for the folder `out` (read-write)",
                "for the environment variable `LEVEL`",
                "to make requests `GET=https://a:443`, `POST=https://b:443`",
            ]
        );
        assert_eq!(asked().missing_in(&asked()), []);
    }

    #[test]
    fn less_than_what_is_asked_for_is_missing_and_more_is_enough() {
        let less = requests(
            r#"{
                "orchestration": true, "synapse": ["AUDIT"], "clock": "wall",
                "random": "seeded", "log": true,
                "files": {"data": "read-write", "out": "read"},
                "environment": ["LEVEL"],
                "http": ["GET,POST=https://a", "GET=https://b"]
            }"#,
        );
        assert_eq!(
            told(&asked().missing_in(&less)),
            [
                "to publish PLAN",
                "for randomness (`system`)",
                "for the folder `out` (read-write)",
                "to make requests `POST=https://b:443`",
            ]
        );
    }

    #[test]
    fn of_a_rule_over_http_each_method_is_asked_for_and_granted_by_itself() {
        let asked = requests(r#"{"http": ["GET,POST=https://a"]}"#);
        let apart = requests(r#"{"http": ["GET=https://a", "POST=https://a"]}"#);
        assert_eq!(asked.missing_in(&apart), []);
        assert_eq!(asked.surplus_in(&apart), []);
        assert_eq!(apart.missing_in(&asked), []);
        let part = requests(r#"{"http": ["GET,PUT=https://a"]}"#);
        assert_eq!(
            told(&asked.missing_in(&part)),
            ["to make requests `POST=https://a:443`"]
        );
        assert_eq!(asked.surplus_in(&part), []);
    }

    #[test]
    fn wasi_by_itself_is_missing_only_where_nothing_brings_it_along() {
        let wasi = requests(r#"{"wasi": true}"#);
        let folder = requests(r#"{"files": {"data": "read"}}"#);
        let both = requests(r#"{"wasi": true, "files": {"data": "read"}}"#);
        assert_eq!(told(&wasi.missing_in(&Requests::default())), ["for WASI"]);
        assert_eq!(wasi.missing_in(&folder), []);
        assert_eq!(
            told(&both.missing_in(&Requests::default())),
            ["for the folder `data` (read)"]
        );
        assert_eq!(both.missing_in(&folder), []);
    }

    #[test]
    fn each_grant_that_nothing_asks_for_is_surplus() {
        let granted = requests(
            r#"{
                "orchestration": true, "synapse": ["PLAN", "CRITIQUE", "AUDIT"],
                "clock": "wall", "random": "system", "log": true, "wasi": true,
                "files": {"data": "read-write", "out": "read-write", "other": "read"},
                "environment": ["LEVEL", "HOME"],
                "http": ["GET,PUT=https://a", "POST=https://b", "GET=https://b", "GET=https://c"]
            }"#,
        );
        assert_eq!(
            told(&asked().surplus_in(&granted)),
            [
                "to publish CRITIQUE",
                "for the folder `other` (read)",
                "for the environment variable `HOME`",
                "to make requests `GET=https://b:443`, `GET=https://c:443`",
            ]
        );
        let all = told(&Requests::default().surplus_in(&granted));
        assert_eq!(all.len(), 12, "{all:?}");
        assert!(all.iter().any(|grant| grant == "for WASI"), "{all:?}");
    }
}
