//! What a manifest asks for against what an operator grants: a neuron gets what
//! is both.

use std::fmt;

use super::grants::{Folder, Grants, Interface, Wasi};
use crate::package::{FileAccess, HttpRule, Manifest, Randomness, Time};

/// One thing that is asked for or granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// An interface of the contract.
    Interface(Interface),
    /// WASI, closed.
    Wasi,
    /// A folder, by its path as the guest sees it.
    Folder {
        /// For example `/data`.
        guest: String,
        /// What may be done in it.
        access: FileAccess,
    },
    /// An environment variable.
    Variable(String),
    /// Requests over HTTP.
    Http(HttpRule),
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(interface) => write!(f, "`{}`", interface.name()),
            Self::Wasi => f.write_str("`wasi`"),
            Self::Folder { guest, access } => {
                let access = match access {
                    FileAccess::Read => "read",
                    FileAccess::ReadWrite => "read and write",
                };
                write!(f, "the folder {guest}, to {access}")
            }
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Http(rule) => write!(f, "requests by {rule}"),
        }
    }
}

impl Grant {
    /// Everything that a manifest asks for, in the order in which it is told.
    pub fn asked(manifest: &Manifest) -> Vec<Self> {
        let grants = &manifest.grants;
        let interfaces = [
            (Interface::Engram, !manifest.engrams.is_empty()),
            (Interface::Synapse, !grants.synapse.is_empty()),
            (Interface::Orchestration, grants.orchestration),
            (Interface::Clock, grants.clock.is_some()),
            (Interface::Log, grants.log),
            (Interface::Random, grants.random.is_some()),
        ];
        let interfaces = interfaces.into_iter().filter(|(_, is_asked)| *is_asked);
        let mut asked: Vec<_> = interfaces
            .map(|(interface, _)| Self::Interface(interface))
            .collect();
        if grants.needs_wasi() {
            asked.push(Self::Wasi);
        }
        asked.extend(grants.files.iter().map(|(name, access)| Self::Folder {
            guest: format!("/{name}"),
            access: *access,
        }));
        asked.extend(grants.environment.iter().cloned().map(Self::Variable));
        asked.extend(grants.http.iter().cloned().map(Self::Http));
        asked
    }
}

impl Grants {
    /// Whether they hold this, and maybe more of its kind.
    pub fn hold(&self, grant: &Grant) -> bool {
        let wasi = self.wasi();
        match grant {
            Grant::Interface(interface) => self.has(*interface),
            Grant::Wasi => wasi.is_some(),
            Grant::Folder { guest, access } => wasi.is_some_and(|wasi| {
                let folders = &mut wasi.folders.iter();
                folders.any(|folder| folder.guest == *guest && folder.access >= *access)
            }),
            Grant::Variable(name) => wasi.is_some_and(|wasi| wasi.environment.contains_key(name)),
            Grant::Http(rule) => {
                wasi.is_some_and(|wasi| wasi.http.iter().any(|granted| granted.covers(rule)))
            }
        }
    }

    /// What of `asked` they do not hold.
    pub fn missing<'a>(&self, asked: &'a [Grant]) -> Vec<&'a Grant> {
        asked.iter().filter(|grant| !self.hold(grant)).collect()
    }

    /// What they hold for nothing: folders, variables and rules that are not
    /// asked for, and orchestration and WASI if they are not.
    pub fn surplus(&self, asked: &[Grant]) -> Vec<Grant> {
        let mut held = Vec::new();
        if self.has(Interface::Orchestration) {
            held.push(Grant::Interface(Interface::Orchestration));
        }
        if let Some(wasi) = self.wasi() {
            held.push(Grant::Wasi);
            held.extend(wasi.folders.iter().map(|folder| Grant::Folder {
                guest: folder.guest.clone(),
                access: folder.access,
            }));
            held.extend(wasi.environment.keys().cloned().map(Grant::Variable));
            held.extend(wasi.http.iter().cloned().map(Grant::Http));
        }
        held.retain(|grant| {
            !asked.iter().any(|asked| match (grant, asked) {
                (Grant::Folder { guest, .. }, Grant::Folder { guest: wanted, .. }) => {
                    guest == wanted
                }
                (Grant::Http(rule), Grant::Http(wanted)) => rule.covers(wanted),
                _ => grant == asked,
            })
        });
        held
    }

    /// What is both granted here and asked for: of a folder the lesser access,
    /// of requests the rules that are asked for. Time and randomness are the
    /// host's only for a neuron that asks for these.
    #[must_use]
    pub fn narrowed(&self, manifest: &Manifest, asked: &[Grant]) -> Self {
        let requests = &manifest.grants;
        let mut narrow = Self::none()
            .with_time(match requests.clock {
                Some(Time::Wall) => self.time(),
                _ => Time::Virtual,
            })
            .with_randomness(match requests.random {
                Some(Randomness::System) => self.randomness(),
                _ => Randomness::Seeded,
            });
        let mut wasi = None;
        for grant in asked.iter().filter(|grant| self.hold(grant)) {
            match grant {
                Grant::Interface(interface) => narrow = narrow.with(*interface),
                Grant::Wasi => wasi = Some(Wasi::default()),
                Grant::Folder { guest, access } => {
                    let folders = self.wasi().into_iter().flat_map(|wasi| &wasi.folders);
                    let folder = folders.filter(|folder| folder.guest == *guest);
                    let folder = folder.map(|folder| Folder {
                        access: *access,
                        ..folder.clone()
                    });
                    wasi.get_or_insert_default().folders.extend(folder);
                }
                Grant::Variable(name) => {
                    let value = self.wasi().and_then(|wasi| wasi.environment.get(name));
                    let variable = value.map(|value| (name.clone(), value.clone()));
                    wasi.get_or_insert_default().environment.extend(variable);
                }
                Grant::Http(rule) => wasi.get_or_insert_default().http.push(rule.clone()),
            }
        }
        match wasi {
            Some(wasi) => narrow.with_wasi(wasi),
            None => narrow,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn manifest() -> Manifest {
        serde_json::from_str(
            r#"{
                "id": "a", "version": "1.0.0",
                "engrams": {"notes": {"access": "read"}},
                "grants": {
                    "orchestration": true, "clock": "virtual", "random": "system",
                    "files": {"data": "read", "out": "read-write"},
                    "environment": ["LEVEL"],
                    "http": ["GET=https://a"]
                }
            }"#,
        )
        .unwrap()
    }

    fn folder(guest: &str, access: FileAccess) -> Folder {
        Folder {
            host: "host".into(),
            guest: guest.to_owned(),
            access,
        }
    }

    fn told<T: fmt::Display>(grants: &[T]) -> Vec<String> {
        grants.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_asked_for_and_not_granted_is_missing() {
        let asked = Grant::asked(&manifest());
        assert_eq!(
            told(&Grants::default().missing(&asked)),
            [
                "`orchestration`",
                "`wasi`",
                "the folder /data, to read",
                "the folder /out, to read and write",
                "the environment variable LEVEL",
                "requests by GET=https://a:443",
            ]
        );
        // Less than asked for is not enough.
        let less = Grants::default().with_wasi(Wasi {
            folders: vec![
                folder("/data", FileAccess::ReadWrite),
                folder("/out", FileAccess::Read),
            ],
            environment: [("LEVEL".to_owned(), "3".to_owned())].into(),
            http: vec!["POST=https://a".parse().unwrap()],
        });
        assert_eq!(
            told(&less.missing(&asked)),
            [
                "`orchestration`",
                "the folder /out, to read and write",
                "requests by GET=https://a:443",
            ]
        );
    }

    #[test]
    fn a_neuron_gets_no_more_than_it_asks_for_and_the_rest_is_told() {
        let asked = Grant::asked(&manifest());
        let granted = Grants::default()
            .with(Interface::Orchestration)
            .with_wasi(Wasi {
                folders: vec![
                    folder("/data", FileAccess::ReadWrite),
                    folder("/out", FileAccess::ReadWrite),
                    folder("/other", FileAccess::Read),
                ],
                environment: [("LEVEL", "3"), ("HOME", "/")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
                http: vec![
                    "GET,POST=https://a".parse().unwrap(),
                    "https://b".parse().unwrap(),
                ],
            });
        assert_eq!(told(&granted.missing(&asked)), [""; 0]);
        assert_eq!(
            told(&granted.surplus(&asked)),
            [
                "the folder /other, to read",
                "the environment variable HOME",
                "requests by GET=https://b:443",
            ]
        );
        let narrow = granted.narrowed(&manifest(), &asked);
        let expected = Grants::none()
            .with(Interface::Engram)
            .with(Interface::Orchestration)
            .with(Interface::Clock)
            .with(Interface::Random)
            .with_time(Time::Virtual)
            .with_wasi(Wasi {
                folders: vec![
                    folder("/data", FileAccess::Read),
                    folder("/out", FileAccess::ReadWrite),
                ],
                environment: [("LEVEL".to_owned(), "3".to_owned())].into(),
                http: vec!["https://a".parse().unwrap()],
            });
        assert_eq!(narrow, expected);
    }

    #[test]
    fn a_neuron_that_asks_for_nothing_gets_nothing() {
        let nothing: Manifest = serde_json::from_str(r#"{"id": "a", "version": "1.0.0"}"#).unwrap();
        let granted = Grants::default()
            .with(Interface::Orchestration)
            .with_wasi(Wasi::default());
        let none = Grants::none()
            .with_time(Time::Virtual)
            .with_randomness(Randomness::Seeded);
        assert_eq!(granted.narrowed(&nothing, &[]), none);
        assert_eq!(told(&granted.surplus(&[])), ["`orchestration`", "`wasi`"]);
    }
}
