//! One neuron of a deployment: from its table and its component to something
//! that can be registered.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Summary,
    file::{self, Bind, EngramKind},
    grants::{self, Remark},
    source::Sources,
};
use crate::{
    Host,
    engram::Engram,
    neuron::{CompileError, Grants, Limits, LoadError, Plugin},
    orchestration::{Access, Neuron},
    package::{
        BindingAccess, Digest, Document, Extent, Manifest, Package, Policy, Problem,
        SignatureError, Trust,
    },
    signal::SignalType,
};

/// A neuron as its table asks for it.
pub(super) struct Asked<'a> {
    pub(super) document: &'a Document,
    pub(super) tenant: &'a str,
    pub(super) id: &'a str,
    pub(super) table: &'a file::Neuron,
    /// The tenant's.
    pub(super) engrams: Option<&'a BTreeMap<String, file::Engram>>,
}

/// A neuron that is loaded and needs only to be registered.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) tenant: String,
    pub(super) id: String,
    pub(super) warnings: Vec<Problem>,
    package: Package,
    signed_by: Vec<String>,
    /// In the words of the file.
    lines: Vec<String>,
    grants: Grants,
    emits: Vec<SignalType>,
    limits: Limits,
    /// By the neuron's own names.
    bind: BTreeMap<String, Bind>,
    /// In place of the manifest's, as are the capabilities.
    kind: Option<String>,
    capabilities: Option<Vec<String>>,
    catch_all: bool,
    plugin: Arc<Plugin>,
}

impl Asked<'_> {
    /// Keys of the neuron's table.
    fn table(&self) -> String {
        format!("tenants.{}.neurons.{}", self.tenant, self.id)
    }

    fn problem(&self, keys: &[&str], message: impl std::fmt::Display) -> Problem {
        let start = ["tenants", self.tenant, "neurons", self.id];
        self.document.problem(&[&start, keys].concat(), message)
    }

    fn remark(&self, remark: Remark) -> Problem {
        let keys: Vec<_> = remark.keys.iter().map(String::as_str).collect();
        let problem = self.problem(&keys, remark.message);
        match remark.help {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    /// Fetches, checks, compiles and links the component. Where it is what
    /// `known` is made of, with the same grants, that is taken.
    ///
    /// # Errors
    /// Everything that is wrong, once it is a component that can be read.
    pub(super) fn ready(
        &self,
        host: &Host,
        sources: &Sources<'_>,
        trust: &Trust,
        known: Option<&Arc<Ready>>,
    ) -> Result<Arc<Ready>, Vec<Problem>> {
        let pinned = self.table.digest().and_then(Result::ok);
        let fetched = sources.fetch(&self.table.source, pinned);
        let wasm = fetched.map_err(|words| vec![self.problem(&["source"], words)])?;
        let package = Package::read_pinned(&wasm, pinned)
            .map_err(|error| vec![self.problem(&["source"], error)])?;
        let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
        let vouched = self.signatures(trust, &package, &mut wrong, &mut warnings);
        let unasked = package.unasked();
        wrong.extend(unasked.iter().map(|one| self.problem(&["source"], one)));
        let manifest = package.manifest.as_ref();
        let resolved = grants::resolve(manifest, &self.table.grants, &self.table());
        let (grants, unset) = resolved.grants(&self.table.grants, self.document.folder());
        let (emits, lines) = (resolved.emits(), resolved.lines());
        let missing = resolved.missing.into_iter().chain(unset);
        wrong.extend(missing.map(|remark| self.remark(remark)));
        let surplus = resolved.surplus.into_iter();
        warnings.extend(surplus.map(|remark| self.remark(remark)));
        let bind = self.bindings(manifest, &mut wrong, &mut warnings);
        let limits = self.limits(manifest, &mut warnings);
        let known = known.filter(|known| known.runs(&package.digest, &grants));
        let plugin = match known {
            Some(known) => Some(Arc::clone(&known.plugin)),
            None => {
                wrong.extend(grants.unusable().iter().map(|one| self.misfit(one)));
                match vouched {
                    Some(_) => self.load(host, &wasm, &package, &grants, &mut wrong),
                    None => self.look(&wasm, &package, &grants, &mut wrong),
                }
            }
        };
        match plugin {
            Some(plugin) if wrong.is_empty() => Ok(Arc::new(Ready {
                tenant: self.tenant.to_owned(),
                id: self.id.to_owned(),
                warnings,
                signed_by: vouched.unwrap_or_default(),
                lines,
                emits,
                grants,
                limits,
                bind,
                kind: self.table.kind.clone(),
                capabilities: self.table.capabilities.clone(),
                catch_all: self.table.catch_all,
                package,
                plugin,
            })),
            _ => Err(wrong),
        }
    }

    /// The trusted keys that signed the component; none where the policy
    /// refuses it.
    fn signatures(
        &self,
        trust: &Trust,
        package: &Package,
        wrong: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> Option<Vec<String>> {
        let error = match trust.check(package) {
            Ok(keys) => return Some(keys),
            Err(error) => error,
        };
        let problem = self.problem(&["source"], &error);
        // A file that was changed is worse than one that nobody signed.
        match (trust.policy, &error) {
            (Policy::Require, _) | (_, SignatureError::Bad(_)) => {
                wrong.push(problem);
                None
            }
            _ => {
                warnings.push(problem);
                Some(Vec::new())
            }
        }
    }

    /// Compiles the component whatever is wrong with its grants, to tell what
    /// is wrong with its code too; links it to its grants if nothing is.
    fn load(
        &self,
        host: &Host,
        wasm: &[u8],
        package: &Package,
        grants: &Grants,
        wrong: &mut Vec<Problem>,
    ) -> Option<Arc<Plugin>> {
        let misfits = Self::misfits(package, grants);
        let fits = misfits.is_empty();
        wrong.extend(misfits.iter().map(|misfit| self.misfit(misfit)));
        let compiled = host.compile(wasm, package.digest);
        let linked = compiled.and_then(|compiled| match (wrong.is_empty(), fits) {
            (true, _) => host.link(&compiled, grants).map(Some),
            (false, true) => host.link(&compiled, &Grants::offered()).map(|_| None),
            (false, false) => Ok(None),
        });
        linked.unwrap_or_else(|error| {
            wrong.push(self.misfit(&error));
            None
        })
    }

    /// As [`Asked::load`], of a component that nobody vouches for: it does not
    /// reach the compiler.
    fn look(
        &self,
        wasm: &[u8],
        package: &Package,
        grants: &Grants,
        wrong: &mut Vec<Problem>,
    ) -> Option<Arc<Plugin>> {
        let misfits = Self::misfits(package, grants).into_iter();
        let structure = Extent::of(wasm, &Extent::MOST).err();
        let all = misfits.chain(structure.map(LoadError::from));
        wrong.extend(all.map(|misfit| self.misfit(&misfit)));
        None
    }

    /// What its imports and exports lack by their names. A manifest's requests
    /// were compared with the grants already; without one, a single grant may
    /// stand for the many imports of WASI.
    fn misfits(package: &Package, grants: &Grants) -> Vec<LoadError> {
        if package.manifest.is_some() {
            return Plugin::misfits(package, &Grants::offered());
        }
        let mut told = Vec::new();
        let mut misfits = Plugin::misfits(package, grants);
        misfits.retain(|misfit| match misfit {
            LoadError::WasiNotGranted(_) | LoadError::HttpNotGranted(_) => {
                let kind = std::mem::discriminant(misfit);
                let is_first = !told.contains(&kind);
                told.push(kind);
                is_first
            }
            _ => true,
        });
        misfits
    }

    /// Why the component cannot be run, with the line that would mend it.
    fn misfit(&self, error: &LoadError) -> Problem {
        let grant = |line: &str| format!("to grant it, write:\n[{}.grants]\n{line}", self.table());
        let allow = |line: &str| format!("to allow more, write:\n[host]\n{line}");
        let help = match error {
            LoadError::NotGranted { interface, .. } => match interface.name() {
                "clock" => grant("clock = \"wall\""),
                "random" => grant("random = \"system\""),
                "synapse" => grant("synapse = [\"PLAN\"]"),
                other => grant(&format!("{other} = true")),
            },
            LoadError::WasiNotGranted(_) => grant("wasi = true"),
            LoadError::HttpNotGranted(_) => grant("http = [\"GET=https://api.example.org\"]"),
            LoadError::Compile(CompileError::Memory { .. }) => allow("compile-memory = \"4GiB\""),
            LoadError::Compile(CompileError::Cpu { .. }) => allow("compile-cpu = \"600s\""),
            LoadError::Compile(CompileError::Wall { .. }) => allow("compile-timeout = \"1h\""),
            LoadError::Folder { guest, .. } => {
                let keys = ["grants", "files", guest.trim_start_matches('/')];
                return self.problem(&keys, error);
            }
            LoadError::Variable(name) => {
                return self.problem(&["grants", "environment", name], error);
            }
            _ => return self.problem(&["source"], error),
        };
        self.problem(&["source"], error).help(help)
    }

    /// What the neuron's names for engrams stand for; at most what it asks for
    /// and at most what the table allows.
    fn bindings(
        &self,
        manifest: Option<&Manifest>,
        wrong: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> BTreeMap<String, Bind> {
        let Some(manifest) = manifest else {
            return self.table.bind.clone();
        };
        for name in self.table.bind.keys() {
            if !manifest.engrams.contains_key(name) {
                let message = "the component does not ask for this engram, and does not get it";
                warnings.push(self.problem(&["bind", name], message));
            }
        }
        let mut bindings = BTreeMap::new();
        for (name, asked) in &manifest.engrams {
            let access = match asked.access {
                BindingAccess::Read => "read",
                BindingAccess::ReadWrite => "read-write",
            };
            let Some(bind) = self.table.bind.get(name) else {
                let message = format!(
                    "the component asks for an engram `{name}` ({access}), which is not bound"
                );
                let help = format!(
                    "to bind it, write:\n[{}.bind]\n{name} = {{ engram = \"{name}\", access = \"{access}\" }}",
                    self.table()
                );
                wrong.push(self.problem(&["bind"], message).help(help));
                continue;
            };
            if bind.access < asked.access {
                let message = format!("the component asks for `{access}`, which is not granted");
                wrong.push(self.problem(&["bind", name, "access"], message));
            }
            let engram = self.engrams.and_then(|engrams| engrams.get(&bind.engram));
            if let (Some(wanted), Some(engram)) = (asked.dimension, engram)
                && engram.dimension != Some(wanted)
            {
                let has = match (engram.kind, engram.dimension) {
                    (EngramKind::Vector, Some(dimension)) => format!("has {dimension}"),
                    _ => "holds none".to_owned(),
                };
                let message = format!(
                    "the component needs embeddings of {wanted} numbers, engram `{}` {has}",
                    bind.engram
                );
                wrong.push(self.problem(&["bind", name, "engram"], message));
            }
            let access = bind.access.min(asked.access);
            let engram = bind.engram.clone();
            bindings.insert(name.clone(), Bind { engram, access });
        }
        bindings
    }

    /// The operator's limits; else what the neuron wishes, as far as the
    /// host's own go.
    fn limits(&self, manifest: Option<&Manifest>, warnings: &mut Vec<Problem>) -> Limits {
        let set = &self.table.limits;
        let host = Limits::default();
        let wished =
            manifest.map_or_else(Limits::default, |manifest| Limits::wished(&manifest.limits));
        let above = [
            (
                set.fuel.is_none() && wished.fuel > host.fuel,
                format!("fuel = {}", wished.fuel),
            ),
            (
                set.memory.is_none() && wished.memory_bytes > host.memory_bytes,
                format!("memory = \"{}B\"", wished.memory_bytes),
            ),
            (
                set.timeout.is_none() && wished.wall > host.wall,
                format!("timeout = \"{}ms\"", wished.wall.as_millis()),
            ),
            (
                set.host_calls.is_none() && wished.host_calls > host.host_calls,
                format!("host-calls = {}", wished.host_calls),
            ),
        ];
        for (_, line) in above.into_iter().filter(|(above, _)| *above) {
            let message = format!("the component wishes `{line}`, and gets the host's own limit");
            let help = format!("to give it that, write:\n[{}.limits]\n{line}", self.table());
            warnings.push(self.problem(&["limits"], message).help(help));
        }
        let memory = set.memory.as_ref().map(|size| size.bytes);
        let timeout = set.timeout.as_ref().map(|span| span.duration);
        Limits {
            fuel: set.fuel.unwrap_or(wished.fuel.min(host.fuel)),
            memory_bytes: memory.unwrap_or(wished.memory_bytes.min(host.memory_bytes)),
            wall: timeout.unwrap_or(wished.wall.min(host.wall)),
            host_calls: set
                .host_calls
                .unwrap_or(wished.host_calls.min(host.host_calls)),
            ..host
        }
    }
}

impl Ready {
    /// Whether it is this component with these grants.
    fn runs(&self, digest: &Digest, grants: &Grants) -> bool {
        self.package.digest == *digest && self.grants == *grants
    }

    /// Whether new tasks would find nothing changed.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.runs(&other.package.digest, &other.grants)
            && self.emits == other.emits
            && self.limits == other.limits
            && self.bind == other.bind
            && self.kind == other.kind
            && self.capabilities == other.capabilities
            && self.catch_all == other.catch_all
    }

    pub(super) fn summary(&self) -> Summary {
        let manifest = self.package.manifest.as_ref();
        let bound = self.bind.iter().map(|(name, bind)| {
            let access = match bind.access {
                BindingAccess::Read => "read",
                BindingAccess::ReadWrite => "read-write",
            };
            format!("engram {name}: {} ({access})", bind.engram)
        });
        Summary {
            tenant: self.tenant.clone(),
            neuron: self.id.clone(),
            version: manifest.map(|manifest| manifest.version.clone()),
            digest: self.package.digest.to_string(),
            signed_by: self.signed_by.clone(),
            grants: bound.chain(self.lines.iter().cloned()).collect(),
        }
    }

    /// To be registered; `engram` finds a tenant's engram by name.
    pub(super) fn neuron(&self, engram: impl Fn(&str) -> Option<Arc<dyn Engram>>) -> Neuron {
        let plugin = Arc::clone(&self.plugin);
        let mut neuron = match Neuron::of_package(Arc::clone(&plugin), &self.package) {
            Some(neuron) => neuron.named(self.id.as_str()),
            None => Neuron::new(self.id.as_str(), plugin),
        }
        .limits(self.limits.clone())
        .emits(self.emits.iter().copied());
        if let Some(kind) = &self.kind {
            neuron = neuron.kind(kind.as_str());
        }
        if let Some(capabilities) = &self.capabilities {
            neuron = neuron.capabilities(capabilities.iter().map(String::as_str));
        }
        if self.catch_all {
            neuron = neuron.catch_all();
        }
        for (name, bind) in &self.bind {
            let access = match bind.access {
                BindingAccess::Read => Access::Read,
                BindingAccess::ReadWrite => Access::ReadWrite,
            };
            if let Some(engram) = engram(&bind.engram) {
                neuron = neuron.bind(name.as_str(), engram, access);
            }
        }
        neuron
    }
}
