//! What an operator grants a neuron. Everything else is denied: it is not in
//! the linker, or the host refuses it in words.
//!
//! Plain data, checked when it is made; who may bind which engram and emit
//! which signal is told to `orchestration::Neuron` instead.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    str::FromStr,
};

use crate::package::{Emission, FileAccess, HttpRule, Randomness, Requests, Time};

/// An interface of the contract that a neuron may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interface {
    /// Shared memory, through bindings.
    Engram,
    /// Emission of cognition signals.
    Synapse,
    /// Starting and stopping other neurons.
    Orchestration,
    /// Time.
    Clock,
    /// Log lines.
    Log,
    /// Randomness.
    Random,
}

impl Interface {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Engram,
        Self::Synapse,
        Self::Orchestration,
        Self::Clock,
        Self::Log,
        Self::Random,
    ];

    /// The name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engram => "engram",
            Self::Synapse => "synapse",
            Self::Orchestration => "orchestration",
            Self::Clock => "clock",
            Self::Log => "log",
            Self::Random => "random",
        }
    }
}

impl FromStr for Interface {
    type Err = UnknownInterface;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|interface| interface.name() == name)
            .ok_or_else(|| UnknownInterface(name.to_owned()))
    }
}

/// A grant by a name that the contract does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no grant; there are engram, synapse, orchestration, clock, log and random")]
pub struct UnknownInterface(String);

/// What an operator lets a neuron import, and what it reaches through that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    interfaces: BTreeSet<Interface>,
    time: Time,
    randomness: Randomness,
    wasi: Option<Wasi>,
}

impl Grants {
    /// Nothing at all: the component must be pure computation.
    pub fn none() -> Self {
        Self {
            interfaces: BTreeSet::new(),
            time: Time::default(),
            randomness: Randomness::default(),
            wasi: None,
        }
    }

    /// Everything that this host offers, to tell whether it could run a
    /// component, not to run it: no folder, no variable, and requests to a host
    /// that there is not.
    pub fn offered() -> Self {
        let wasi = Wasi {
            http: "https://nowhere.invalid".parse().into_iter().collect(),
            ..Wasi::default()
        };
        let contract = Interface::ALL.into_iter().fold(Self::none(), Self::with);
        contract.with_wasi(wasi)
    }

    /// All that a manifest asks for in the contract, without WASI. Bindings say
    /// what is reached through `engram`.
    pub fn asked(requests: &Requests) -> Self {
        let interfaces = [
            (Interface::Engram, true),
            (Interface::Orchestration, requests.orchestration),
            (Interface::Synapse, !requests.synapse.is_empty()),
            (Interface::Clock, requests.clock.is_some()),
            (Interface::Random, requests.random.is_some()),
            (Interface::Log, requests.log),
        ];
        let interfaces = interfaces.into_iter().filter(|(_, asked)| *asked);
        interfaces
            .fold(Self::none(), |grants, (interface, _)| {
                grants.with(interface)
            })
            .with_time(requests.clock.unwrap_or(Time::Virtual))
            .with_randomness(requests.random.unwrap_or(Randomness::Seeded))
    }

    /// As a manifest would ask for all of it, engrams aside. A neuron that may
    /// see time or draw randomness at all may ask for either kind: which one it
    /// gets is the operator's choice.
    pub fn requests(&self) -> Requests {
        let has = |interface| self.has(interface);
        let wasi = self.wasi.clone().unwrap_or_default();
        // Other paths than a manifest can name stay whole.
        let folders = wasi.folders.into_iter().map(|folder| {
            let name = folder.guest.strip_prefix('/');
            (name.unwrap_or(&folder.guest).to_owned(), folder.access)
        });
        Requests {
            orchestration: has(Interface::Orchestration),
            synapse: if has(Interface::Synapse) {
                Emission::ALL.into()
            } else {
                Vec::new()
            },
            clock: has(Interface::Clock).then_some(Time::Wall),
            random: has(Interface::Random).then_some(Randomness::System),
            log: has(Interface::Log),
            wasi: self.wasi.is_some(),
            files: folders.collect(),
            environment: wasi.environment.into_keys().collect(),
            http: wasi.http,
        }
    }

    /// What a neuron gets that asks so: what is granted here and asked for,
    /// both. Of a folder the lesser access, of a rule for requests over HTTP the
    /// methods that are both. Time and randomness are the host's only for a neuron
    /// that asks for these.
    #[must_use]
    pub fn narrowed(&self, asked: &Requests) -> Self {
        let mut narrow = Self::asked(asked);
        narrow.interfaces.retain(|interface| self.has(*interface));
        if self.time == Time::Virtual {
            narrow.time = Time::Virtual;
        }
        if self.randomness == Randomness::Seeded {
            narrow.randomness = Randomness::Seeded;
        }
        if asked.needs_wasi() {
            narrow.wasi = self.wasi.as_ref().map(|wasi| wasi.narrowed(asked));
        }
        narrow
    }

    /// Adds a grant.
    #[must_use]
    pub fn with(mut self, interface: Interface) -> Self {
        self.interfaces.insert(interface);
        self
    }

    /// Takes a grant away.
    #[must_use]
    pub fn without(mut self, interface: Interface) -> Self {
        self.interfaces.remove(&interface);
        self
    }

    /// Whether `interface` is granted.
    pub fn has(&self, interface: Interface) -> bool {
        self.interfaces.contains(&interface)
    }

    /// Chooses the time that the neuron sees; the host's otherwise.
    #[must_use]
    pub fn with_time(mut self, time: Time) -> Self {
        self.time = time;
        self
    }

    /// The time that the neuron sees.
    pub fn time(&self) -> Time {
        self.time
    }

    /// Chooses the neuron's randomness; the host's otherwise.
    #[must_use]
    pub fn with_randomness(mut self, randomness: Randomness) -> Self {
        self.randomness = randomness;
        self
    }

    /// The neuron's randomness.
    pub fn randomness(&self) -> Randomness {
        self.randomness
    }

    /// Links WASI 0.2 with what `wasi` holds; [`Wasi::default`] denies all.
    #[must_use]
    pub fn with_wasi(mut self, wasi: Wasi) -> Self {
        self.wasi = Some(wasi);
        self
    }

    /// What the neuron reaches through WASI; `None` is not linked at all.
    pub fn wasi(&self) -> Option<&Wasi> {
        self.wasi.as_ref()
    }
}

impl Default for Grants {
    /// The world `neuron`: everything but orchestration, the host's time and
    /// randomness, no WASI. Engrams are reached through bindings only, of which
    /// there are none until they are given.
    fn default() -> Self {
        Self {
            interfaces: Interface::ALL.into(),
            ..Self::none()
        }
        .without(Interface::Orchestration)
    }
}

/// WASI 0.2 as a neuron may have it. The default denies all that is named
/// here, and nothing grants arguments, standard input, sockets or name look-up.
/// Clock and randomness are those of [`Grants`]; standard output and error go
/// line by line to the trace's log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Wasi {
    /// Folders, opened when the component is loaded.
    pub folders: Vec<Folder>,
    /// Environment variables; of the host's own it sees none.
    pub environment: BTreeMap<String, String>,
    /// Outbound requests that it may make. With none `wasi:http` is not linked.
    pub http: Vec<HttpRule>,
}

impl Wasi {
    fn narrowed(&self, asked: &Requests) -> Self {
        let folders = self.folders.iter().filter_map(|folder| {
            let access = asked.files.get(folder.guest.strip_prefix('/')?)?;
            Some(Folder {
                access: folder.access.min(*access),
                ..folder.clone()
            })
        });
        let variables = self.environment.iter();
        let variables = variables.filter(|(name, _)| asked.environment.contains(name));
        let rules = asked.http.iter();
        let rules = rules.filter_map(|rule| rule.allowed_by(&self.http));
        Self {
            folders: folders.collect(),
            environment: variables
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            http: rules.collect(),
        }
    }
}

impl fmt::Debug for Wasi {
    /// Of variables the names only: their values are often secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wasi")
            .field("folders", &self.folders)
            .field("environment", &self.environment.keys())
            .field("http", &self.http)
            .finish()
    }
}

/// A folder that a neuron may use. What it writes is outside the saga journal:
/// no rollback takes it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder on the host. It must exist when the component is loaded.
    pub host: PathBuf,
    /// Its path as the guest sees it, for example `/data`.
    pub guest: String,
    /// What the neuron may do in it.
    pub access: FileAccess,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn requests(text: &str) -> Requests {
        serde_json::from_str(text).unwrap()
    }

    fn folder(guest: &str, access: FileAccess) -> Folder {
        Folder {
            host: "host".into(),
            guest: guest.to_owned(),
            access,
        }
    }

    fn granted() -> Grants {
        Grants::default()
            .with(Interface::Orchestration)
            .with_wasi(Wasi {
                folders: vec![
                    folder("/data", FileAccess::ReadWrite),
                    folder("/out", FileAccess::Read),
                    folder("/other/place", FileAccess::Read),
                ],
                environment: [("LEVEL", "3"), ("TOKEN", "a secret")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                http: vec![
                    "GET,POST=https://a".parse().unwrap(),
                    "https://b".parse().unwrap(),
                ],
            })
    }

    #[test]
    fn what_is_granted_is_told_as_a_manifest_would_ask_for_it() {
        let expected = r#"{
            "orchestration": true,
            "synapse": ["PLAN", "MEMORY_APPEND", "ESCALATION", "CONSENSUS", "CONTEXT_SYNC",
                "CRITIQUE", "AUDIT"],
            "clock": "wall", "random": "system", "log": true, "wasi": true,
            "files": {"data": "read-write", "out": "read", "other/place": "read"},
            "environment": ["LEVEL", "TOKEN"],
            "http": ["GET,POST=https://a", "GET=https://b"]
        }"#;
        assert_eq!(granted().requests(), requests(expected));
        assert_eq!(Grants::none().requests(), Requests::default());
    }

    #[test]
    fn a_neuron_gets_what_is_granted_and_asked_for_both() {
        let asked = requests(
            r#"{
                "orchestration": true, "clock": "virtual", "random": "system",
                "files": {"data": "read", "out": "read-write", "none": "read"},
                "environment": ["LEVEL", "NONE"],
                "http": ["GET=https://a", "GET=https://c"]
            }"#,
        );
        let expected = Grants::none()
            .with(Interface::Engram)
            .with(Interface::Orchestration)
            .with(Interface::Clock)
            .with(Interface::Random)
            .with_time(Time::Virtual)
            .with_wasi(Wasi {
                folders: vec![
                    folder("/data", FileAccess::Read),
                    folder("/out", FileAccess::Read),
                ],
                environment: [("LEVEL".to_owned(), "3".to_owned())].into(),
                http: vec!["https://a".parse().unwrap()],
            });
        assert_eq!(granted().narrowed(&asked), expected);
        // What is not granted is not got by asking.
        let none = Grants::none().with_time(Time::Virtual);
        assert_eq!(Grants::none().narrowed(&asked), none);
    }

    #[test]
    fn a_narrowed_grant_allows_the_requests_that_are_granted_and_asked_for_and_no_other() {
        use crate::package::HttpScheme;
        let sets = [
            &["GET,POST=https://a"][..],
            &["GET=https://a", "POST=https://a"],
            &["GET,PUT=https://a", "GET,POST=https://b"],
            &["POST,PUT=https://a:8443", "GET,POST=http://a:443"],
            &["DELETE,POST=https://a", "GET=https://b", "PUT=https://b"],
            &[],
        ];
        let allows = |rules: &[HttpRule], scheme, host: &str, port, method: &str| {
            let mut rules = rules.iter();
            rules.any(|rule| rule.allows(scheme, host, port, method))
        };
        let places = [
            (HttpScheme::Https, "a", 443),
            (HttpScheme::Https, "b", 443),
            (HttpScheme::Https, "a", 8443),
            (HttpScheme::Http, "a", 443),
        ];
        let mut count = 0;
        for (asked, held) in sets.iter().flat_map(|one| sets.map(|other| (*one, other))) {
            let rules = |texts: &[&str]| -> Vec<HttpRule> {
                texts.iter().map(|text| text.parse().unwrap()).collect()
            };
            let (asked, held) = (rules(asked), rules(held));
            let wasi = Wasi {
                http: held.clone(),
                ..Wasi::default()
            };
            let requests = Requests {
                wasi: true,
                http: asked.clone(),
                ..Requests::default()
            };
            let narrow = Grants::none().with_wasi(wasi).narrowed(&requests);
            let narrow = &narrow.wasi().unwrap().http;
            for (scheme, host, port) in places {
                for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
                    let by = |rules: &[HttpRule]| allows(rules, scheme, host, port, method);
                    let both = by(&asked) && by(&held);
                    assert_eq!(by(narrow), both, "{method} {asked:?} {held:?}");
                    count += usize::from(both);
                }
            }
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn an_operator_chooses_another_time_and_randomness_than_those_that_are_asked_for() {
        let asked = requests(r#"{"clock": "wall", "random": "system"}"#);
        let granted = Grants::default()
            .with_time(Time::Virtual)
            .with_randomness(Randomness::Seeded);
        let narrow = granted.narrowed(&asked);
        assert_eq!(
            (narrow.time(), narrow.randomness()),
            (Time::Virtual, Randomness::Seeded)
        );
    }

    #[test]
    fn a_neuron_that_asks_for_nothing_gets_nothing_but_its_bindings() {
        let none = Grants::none()
            .with(Interface::Engram)
            .with_time(Time::Virtual)
            .with_randomness(Randomness::Seeded);
        assert_eq!(granted().narrowed(&Requests::default()), none);
    }
}
