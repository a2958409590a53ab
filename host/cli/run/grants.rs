//! What `soma run` grants the neuron.

use std::{fmt, path::PathBuf, str::FromStr};

use clap::ValueEnum;

use crate::{
    cli::{Exit, Failed},
    neuron::{FileAccess, Folder, Grants, HttpRule, Interface, LoadError, Randomness, Time, Wasi},
    package::Grant,
};

/// Options of `soma run` that are about grants.
#[derive(Debug, clap::Args)]
pub(super) struct GrantArgs {
    /// Let it import this: engram, synapse, clock, log and random are granted
    /// anyway; orchestration and wasi are not. WASI alone reaches no files, no
    /// environment and no network
    #[arg(long = "grant", value_name = "NAME")]
    names: Vec<GrantName>,

    /// Grant nothing but what is named by options
    #[arg(long)]
    no_default_grants: bool,

    /// Let it use the host's folder HOST as GUEST, to read (`:ro`, the default)
    /// or to read and write (`:rw`), for example `./data::/data:rw`; grants
    /// wasi too
    #[arg(long = "dir", value_name = "HOST::GUEST[:ro|:rw]")]
    folders: Vec<FolderSpec>,

    /// Let it see this environment variable; of the host's own it sees none.
    /// Grants wasi too
    #[arg(long = "env", value_name = "NAME=VALUE")]
    variables: Vec<Variable>,

    /// Let it make requests to this host, with GET or the methods named in
    /// front, for example `https://api.example.org` or
    /// `GET,POST=http://127.0.0.1:8080`; grants wasi too
    #[arg(long = "http", value_name = "[METHODS=]SCHEME://HOST[:PORT]")]
    http: Vec<HttpRule>,

    /// The time that it sees: the host's, or one that starts at the time in the
    /// trace's id and moves by its own sleeps, which end at once
    #[arg(long, value_name = "TIME", default_value = "wall")]
    clock: ClockName,

    /// Give it random numbers that follow from its trace, input and attempt
    #[arg(long)]
    seeded_random: bool,
}

/// A grant without further words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GrantName {
    Contract(Interface),
    Wasi,
}

impl FromStr for GrantName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "wasi" {
            return Ok(Self::Wasi);
        }
        name.parse().map(Self::Contract).map_err(|_| {
            format!(
                "`{name}` is no grant; there are engram, synapse, orchestration, clock, log, \
                 random and wasi"
            )
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClockName {
    Wall,
    Virtual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FolderSpec(Folder);

impl FromStr for FolderSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, rest) = text
            .split_once("::")
            .filter(|(host, _)| !host.is_empty())
            .ok_or("write the host's folder, `::` and the guest's, for example ./data::/data")?;
        let (guest, access) = match rest.rsplit_once(':') {
            None | Some((_, "ro")) => (rest.trim_end_matches(":ro"), FileAccess::Read),
            Some((guest, "rw")) => (guest, FileAccess::ReadWrite),
            Some((_, other)) => {
                return Err(format!(
                    "`{other}` is no access; there are `ro` to read and `rw` to read and write"
                ));
            }
        };
        if !guest.starts_with('/') {
            return Err("the guest's folder starts with `/`, for example ./data::/data".to_owned());
        }
        Ok(Self(Folder {
            host: PathBuf::from(host),
            guest: guest.to_owned(),
            access,
        }))
    }
}

#[derive(Clone, PartialEq, Eq)]
struct Variable(String, String);

impl fmt::Debug for Variable {
    /// The name only: its value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Variable").field(&self.0).finish()
    }
}

impl FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or("write a name, `=` and its value, for example LEVEL=3")?;
        Ok(Self(name.to_owned(), value.to_owned()))
    }
}

impl GrantArgs {
    pub(super) fn grants(&self) -> Result<Grants, Failed> {
        let mut grants = if self.no_default_grants {
            Grants::none()
        } else {
            Grants::default()
        };
        for name in &self.names {
            if let GrantName::Contract(interface) = name {
                grants = grants.with(*interface);
            }
        }
        if self.clock == ClockName::Virtual {
            grants = grants.with_time(Time::Virtual);
        }
        if self.seeded_random {
            grants = grants.with_randomness(Randomness::Seeded);
        }
        Ok(match self.wasi()? {
            Some(wasi) => grants.with_wasi(wasi),
            None => grants,
        })
    }

    /// To name what it reaches through WASI is to grant WASI.
    fn wasi(&self) -> Result<Option<Wasi>, Failed> {
        let mut wasi = Wasi {
            folders: self.folders.iter().map(|spec| spec.0.clone()).collect(),
            http: self.http.clone(),
            ..Wasi::default()
        };
        for Variable(name, value) in &self.variables {
            let before = wasi.environment.insert(name.clone(), value.clone());
            if before.is_some() {
                let message = format!("--env sets `{name}` twice");
                return Err(Failed::new(Exit::Usage, message));
            }
        }
        let granted = self.names.contains(&GrantName::Wasi) || wasi != Wasi::default();
        Ok(granted.then_some(wasi))
    }
}

/// The options that grant this; what only the operator knows stands in
/// capitals.
pub(super) fn options(grant: &Grant) -> String {
    let interface = |interface: Interface| format!("--grant {}", interface.name());
    match grant {
        Grant::Orchestration => interface(Interface::Orchestration),
        Grant::Synapse(_) => interface(Interface::Synapse),
        Grant::Clock(_) => interface(Interface::Clock),
        Grant::Random(_) => interface(Interface::Random),
        Grant::Log => interface(Interface::Log),
        Grant::Wasi => "--grant wasi".to_owned(),
        Grant::Folder { name, access } => {
            let end = match access {
                FileAccess::Read => "",
                FileAccess::ReadWrite => ":rw",
            };
            format!("--dir FOLDER::/{name}{end}")
        }
        Grant::Variable(name) => format!("--env {name}=VALUE"),
        Grant::Http(rules) => {
            let options = rules.iter().map(|rule| format!("--http {rule}"));
            options.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Whether it is granted only where an option names it.
pub(super) fn is_named(grant: &Grant) -> bool {
    match grant {
        Grant::Synapse(_) | Grant::Clock(_) | Grant::Random(_) | Grant::Log => false,
        Grant::Orchestration
        | Grant::Wasi
        | Grant::Folder { .. }
        | Grant::Variable(_)
        | Grant::Http(_) => true,
    }
}

/// The option that grants what the component was refused for.
pub(super) fn advice(error: &LoadError) -> Option<String> {
    let add = |option: &str| Some(format!("if it may have that, add `{option}`"));
    match error {
        LoadError::NotGranted { interface, .. } => add(&format!("--grant {}", interface.name())),
        LoadError::WasiNotGranted(_) => add("--grant wasi"),
        LoadError::HttpNotGranted(_) => add("--http https://HOST"),
        LoadError::Folder { .. } => {
            Some("give a folder that is there, for example `--dir ./data::/data`".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn grants(words: &[&str]) -> Grants {
        let command = GrantArgs::augment_args(clap::Command::new("run").no_binary_name(true));
        let matches = command.get_matches_from(words);
        GrantArgs::from_arg_matches(&matches)
            .unwrap()
            .grants()
            .unwrap()
    }

    #[test]
    fn without_options_the_hosts_own_grants_are_given() {
        assert_eq!(grants(&[]), Grants::default());
        assert_eq!(grants(&["--no-default-grants"]), Grants::none());
    }

    #[test]
    fn what_is_reached_through_wasi_grants_wasi() {
        assert_eq!(
            grants(&["--grant", "wasi"]),
            Grants::default().with_wasi(Wasi::default())
        );
        let given = grants(&[
            "--dir",
            "a::/a",
            "--dir",
            "b::/b:rw",
            "--env",
            "A=1=2",
            "--http",
            "https://a",
        ]);
        let folder = |host: &str, guest: &str, access| Folder {
            host: host.into(),
            guest: guest.to_owned(),
            access,
        };
        let wasi = Wasi {
            folders: vec![
                folder("a", "/a", FileAccess::Read),
                folder("b", "/b", FileAccess::ReadWrite),
            ],
            environment: [("A".to_owned(), "1=2".to_owned())].into(),
            http: vec!["GET=https://a:443".parse().unwrap()],
        };
        assert_eq!(given, Grants::default().with_wasi(wasi));
    }

    #[test]
    fn time_and_randomness_are_the_hosts_unless_options_say_otherwise() {
        let given = grants(&["--clock", "virtual", "--seeded-random"]);
        assert_eq!(given.time(), Time::Virtual);
        assert_eq!(given.randomness(), Randomness::Seeded);
        assert_eq!(given.wasi(), None);
    }

    #[test]
    fn a_folder_that_makes_no_sense_is_told_what_would() {
        let told = |text: &str| text.parse::<FolderSpec>().unwrap_err();
        for text in ["data", "::/data", ""] {
            assert_eq!(
                told(text),
                "write the host's folder, `::` and the guest's, for example ./data::/data"
            );
        }
        assert_eq!(
            told("a::/a:x"),
            "`x` is no access; there are `ro` to read and `rw` to read and write"
        );
        for text in ["a::b", "a::", "a:::ro"] {
            assert_eq!(
                told(text),
                "the guest's folder starts with `/`, for example ./data::/data"
            );
        }
    }

    #[test]
    fn a_variable_is_a_name_and_a_value() {
        assert_eq!("A=".parse(), Ok(Variable("A".to_owned(), String::new())));
        for text in ["A", "=1", ""] {
            assert_eq!(
                text.parse::<Variable>(),
                Err("write a name, `=` and its value, for example LEVEL=3".to_owned())
            );
        }
    }
}
