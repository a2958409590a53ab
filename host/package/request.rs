//! What a component imports against what its manifest asks for. A neuron that
//! asks for more than it says is refused, whoever loads it.

use super::{interface::InterfaceName, manifest::Manifest, section::Package};

/// A part of a manifest by which a neuron asks for imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Engrams,
    Synapse,
    Orchestration,
    Clock,
    Random,
    Log,
    Wasi,
    Http,
}

impl Request {
    /// What an import must be asked for by. `None` for what every neuron may
    /// have, and for what no host offers.
    fn of(import: &str) -> Option<Self> {
        let name = InterfaceName::parse(import)?;
        if let Some(name) = InterfaceName::of_contract(import) {
            return match name.interface {
                "engram" => Some(Self::Engrams),
                "synapse" => Some(Self::Synapse),
                "orchestration" => Some(Self::Orchestration),
                "clock" => Some(Self::Clock),
                "random" => Some(Self::Random),
                "log" => Some(Self::Log),
                _ => None,
            };
        }
        match name.package.strip_prefix("wasi:")? {
            "http" => Some(Self::Http),
            // Closed by itself, whatever of it a toolchain links: folders and
            // variables are opened one by one.
            _ => Some(Self::Wasi),
        }
    }

    fn is_in(self, manifest: &Manifest) -> bool {
        let grants = &manifest.grants;
        match self {
            Self::Engrams => !manifest.engrams.is_empty(),
            Self::Synapse => !grants.synapse.is_empty(),
            Self::Orchestration => grants.orchestration,
            Self::Clock => grants.clock.is_some(),
            Self::Random => grants.random.is_some(),
            Self::Log => grants.log,
            Self::Wasi => grants.needs_wasi(),
            Self::Http => !grants.http.is_empty(),
        }
    }

    /// What the manifest would have to say.
    fn line(self) -> &'static str {
        match self {
            Self::Engrams => "`[engrams.NAME]` with `access = \"read-write\"`",
            Self::Synapse => "`synapse = [\"PLAN\"]` with its signal types under `[grants]`",
            Self::Orchestration => "`orchestration = true` under `[grants]`",
            Self::Clock => "`clock = \"wall\"` under `[grants]`",
            Self::Random => "`random = \"system\"` under `[grants]`",
            Self::Log => "`log = true` under `[grants]`",
            Self::Wasi => "`wasi = true` under `[grants]`",
            Self::Http => "`http = [\"GET=https://api.example.org\"]` under `[grants]`",
        }
    }
}

/// An import that the component's own manifest does not ask for.
/// What one line of the manifest would ask for is one of these.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it asks for more than it says: it imports {}, which its manifest does not ask for",
    some(.imports)
)]
pub struct Unasked {
    /// The imports as the component names them; at least one.
    pub imports: Vec<String>,
    /// What the manifest would have to say.
    line: &'static str,
}

/// The first ones by name: of WASI a toolchain links a dozen at once.
fn some(imports: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<_> = imports.iter().take(SHOWN).collect();
    let mut text = String::new();
    for (index, import) in shown.iter().enumerate() {
        text += if index == 0 { "" } else { ", " };
        text += &format!("`{import}`");
    }
    match imports.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more of the kind"),
    }
}

impl Unasked {
    /// What its author can do about it.
    pub fn help(&self) -> String {
        let line = self.line;
        format!("write {line} into its neuron.toml, or build it without that import")
    }
}

/// Something that a manifest asks for and the component has no import for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its manifest asks for `{key}`, for which it imports nothing")]
pub struct Unused {
    /// The manifest's key.
    pub key: String,
}

impl Package {
    /// The imports that its manifest does not ask for, in the component's
    /// order. Without a manifest it says nothing and is held to nothing.
    pub fn unasked(&self) -> Vec<Unasked> {
        let Some(manifest) = &self.manifest else {
            return Vec::new();
        };
        let mut all: Vec<Unasked> = Vec::new();
        for import in &self.names.imports {
            let Some(request) = Request::of(import).filter(|one| !one.is_in(manifest)) else {
                continue;
            };
            let line = request.line();
            match all.iter_mut().find(|unasked| unasked.line == line) {
                Some(unasked) => unasked.imports.push(import.clone()),
                None => all.push(Unasked {
                    imports: vec![import.clone()],
                    line,
                }),
            }
        }
        all
    }

    /// What its manifest asks for in vain, in the manifest's order.
    pub fn unused(&self) -> Vec<Unused> {
        let Some(manifest) = &self.manifest else {
            return Vec::new();
        };
        let imports = |names: &[&str]| {
            self.names.imports.iter().any(|import| {
                let path = import
                    .split_once('@')
                    .map_or(import.as_str(), |(path, _)| path);
                names.iter().any(|name| match name.strip_suffix('*') {
                    Some(start) => path.starts_with(start),
                    None => path == *name,
                })
            })
        };
        let grants = &manifest.grants;
        let mut keys = Vec::new();
        if !imports(&["soma:neuron/engram"]) {
            keys.extend(
                manifest
                    .engrams
                    .keys()
                    .map(|name| format!("engrams.{name}")),
            );
        }
        for (key, is_asked, names) in [
            (
                "orchestration",
                grants.orchestration,
                &["soma:neuron/orchestration"][..],
            ),
            (
                "synapse",
                !grants.synapse.is_empty(),
                &["soma:neuron/synapse"],
            ),
            // The same clock and randomness show through WASI.
            (
                "clock",
                grants.clock.is_some(),
                &["soma:neuron/clock", "wasi:clocks/*"],
            ),
            (
                "random",
                grants.random.is_some(),
                &["soma:neuron/random", "wasi:random/*"],
            ),
            ("log", grants.log, &["soma:neuron/log"]),
            ("wasi", grants.wasi, &["wasi:*"]),
            ("files", !grants.files.is_empty(), &["wasi:filesystem/*"]),
            (
                "environment",
                !grants.environment.is_empty(),
                &["wasi:cli/environment"],
            ),
            ("http", !grants.http.is_empty(), &["wasi:http/*"]),
        ] {
            if is_asked && !imports(names) {
                keys.push(format!("grants.{key}"));
            }
        }
        keys.into_iter().map(|key| Unused { key }).collect()
    }
}
