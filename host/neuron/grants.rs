//! What an operator grants a neuron. Everything else is denied: it is not in
//! the linker, or the host refuses it in words.
//!
//! Plain data, checked when it is made; who may bind which engram and emit
//! which signal is told to `orchestration::Neuron` instead.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    str::FromStr,
};

use crate::package::{FileAccess, HttpRule, Randomness, Requests, Time};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wasi {
    /// Folders, opened when the component is loaded.
    pub folders: Vec<Folder>,
    /// Environment variables; of the host's own it sees none.
    pub environment: BTreeMap<String, String>,
    /// Outbound requests that it may make. With none `wasi:http` is not linked.
    pub http: Vec<HttpRule>,
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
