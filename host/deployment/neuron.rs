//! One neuron of a deployment: from its table and its component to something
//! that can be registered.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Summary,
    addition::Addition,
    file::{self, Bind, EngramKind},
    grants::{self, Remark},
    read::Doubts,
    source::{Sources, Unfetched},
};
use crate::{
    Host,
    engram::Engram,
    neuron::{CompileError, Grants, Limits, LoadError, Plugin},
    orchestration::{Access, Neuron},
    package::{
        BindingAccess, Digest, Document, Extent, Manifest, Package, PackageError, Policy, Problem,
        SignatureError, Trust, heading, quantity::Bytes,
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
    fn table(&self) -> [&str; 4] {
        ["tenants", self.tenant, "neurons", self.id]
    }

    fn problem(&self, keys: &[&str], message: impl std::fmt::Display) -> Problem {
        let keys = [&self.table(), keys].concat();
        self.document.problem(&keys, message)
    }

    fn remark(&self, remark: &Remark) -> Problem {
        let keys: Vec<_> = remark.keys.iter().map(String::as_str).collect();
        self.problem(&keys, &remark.message)
    }

    /// A request that is not granted. What is granted in part is told at its
    /// place, the rest with all else that is missing.
    fn missing(&self, remark: &Remark, addition: &mut Addition) -> Problem {
        let problem = self.remark(remark);
        let Some(line) = &remark.line else {
            return problem;
        };
        let mut keys = self.table().to_vec();
        keys.extend(remark.keys.iter().map(String::as_str));
        if self.document.range(&keys).is_some() {
            return problem.help(format!("to grant it, write there:\n{line}"));
        }
        addition.line("grants", line.clone());
        problem
    }

    /// Tells what would mend all of these at the last of them that has no help
    /// of its own.
    fn mend(&self, goal: &str, addition: &Addition, problems: &mut [Problem]) {
        problems.sort_by_key(|problem| problem.place);
        let mut helpless = problems.iter_mut().rev();
        if let Some(last) = helpless.find(|problem| problem.help.is_none()) {
            last.help = addition.told(goal, self.document, &self.table());
        }
    }

    /// That the component is another one than the pinned.
    fn pinned(&self, message: impl std::fmt::Display) -> Problem {
        self.problem(&["digest"], message).help(
            "look at what is there now with `soma neuron inspect`; \
             where that is what you want, pin its digest",
        )
    }

    /// Why the signatures do not do.
    fn untrusted(&self, error: &SignatureError) -> Problem {
        let problem = self.problem(&["source"], error);
        match error {
            SignatureError::Untrusted(_) => problem
                .help("if you trust that key, name its file under `trusted-keys` of [policy]"),
            SignatureError::Unsigned => problem.help(
                "ask its author for one that is signed (`soma neuron sign`), \
                 or take it as it is: `signatures = \"warn\"` under [policy]",
            ),
            _ => problem,
        }
    }

    /// Fetches, checks, compiles and links the component. Where it is what
    /// `known` is made of, with the same grants, that is taken.
    ///
    /// # Errors
    /// Everything that is wrong, once it is a component that can be read;
    /// nothing where only the file's own mistakes keep it from being ready.
    pub(super) fn ready(
        &self,
        host: &Host,
        sources: &Sources<'_>,
        (trust, doubts): (&Trust, &Doubts),
        known: Option<&Arc<Ready>>,
    ) -> Result<Arc<Ready>, Vec<Problem>> {
        let pinned = self.table.digest().and_then(Result::ok);
        let fetched = sources.fetch(&self.table.source, pinned);
        let wasm = fetched.map_err(|error| match error {
            Unfetched::Pinned(words) => vec![self.pinned(words)],
            Unfetched::Source(words) => vec![self.problem(&["source"], words)],
        })?;
        let package = Package::read_pinned(&wasm, pinned).map_err(|error| match error {
            PackageError::Pinned { .. } => vec![self.pinned(error)],
            _ => vec![self.problem(&["source"], error)],
        })?;
        let (mut wrong, mut warnings) = (Vec::new(), Vec::new());
        let vouched = self.signatures(trust, doubts, &package, &mut wrong, &mut warnings);
        let unasked = package.unasked();
        wrong.extend(unasked.iter().map(|one| self.problem(&["source"], one)));
        let manifest = package.manifest.as_ref();
        let resolved = grants::resolve(manifest, &self.table.grants);
        let (grants, unset) = resolved.grants(&self.table.grants, self.document.folder());
        let (emits, lines) = (resolved.emits(), resolved.lines());
        wrong.extend(unset.iter().map(|remark| self.remark(remark)));
        let surplus = resolved.surplus.iter();
        warnings.extend(surplus.map(|remark| self.remark(remark)));
        let mut addition = Addition::default();
        let missing = resolved.missing.iter();
        let mut missing: Vec<_> = missing
            .map(|remark| self.missing(remark, &mut addition))
            .collect();
        let unbound = &mut missing;
        let bind = self.bindings(manifest, &mut wrong, unbound, &mut addition, &mut warnings);
        self.mend("to grant that", &addition, &mut missing);
        wrong.extend(missing);
        let limits = self.limits(manifest, &mut warnings);
        let known = known.filter(|known| known.runs(&package.digest, &grants));
        let plugin = match known {
            Some(known) => Some(Arc::clone(&known.plugin)),
            None => {
                wrong.extend(grants.unusable().iter().map(|one| self.misfit(one)));
                match vouched {
                    Some(_) if !doubts.host => {
                        self.load(host, &wasm, &package, &grants, &mut wrong)
                    }
                    _ => self.look(&wasm, &package, &grants, &mut wrong),
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
    /// refuses it, or might if it were known.
    fn signatures(
        &self,
        trust: &Trust,
        doubts: &Doubts,
        package: &Package,
        wrong: &mut Vec<Problem>,
        warnings: &mut Vec<Problem>,
    ) -> Option<Vec<String>> {
        if doubts.policy {
            return None;
        }
        let error = match trust.check(package) {
            Ok(keys) => return Some(keys),
            Err(error) => error,
        };
        // A file that was changed is worse than one that nobody signed.
        match (trust.policy, &error) {
            // A key that cannot be read may be the one.
            (Policy::Require, SignatureError::Untrusted(_)) if doubts.keys => None,
            (Policy::Require, _) | (_, SignatureError::Bad(_)) => {
                wrong.push(self.untrusted(&error));
                None
            }
            _ => {
                warnings.push(self.problem(&["source"], &error));
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
        let misfits = self.misfits(package, grants);
        let fits = misfits.is_empty();
        wrong.extend(misfits);
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

    /// As [`Asked::load`], of a component that nobody vouches for, or where the
    /// compiler's limits are not known: it does not reach the compiler.
    fn look(
        &self,
        wasm: &[u8],
        package: &Package,
        grants: &Grants,
        wrong: &mut Vec<Problem>,
    ) -> Option<Arc<Plugin>> {
        wrong.extend(self.misfits(package, grants));
        let structure = Extent::of(wasm, &Extent::MOST).err();
        wrong.extend(structure.map(|error| self.misfit(&error.into())));
        None
    }

    /// What its imports and exports lack by their names. A manifest's requests
    /// were compared with the grants already; without one, a single grant may
    /// stand for the many imports of WASI.
    fn misfits(&self, package: &Package, grants: &Grants) -> Vec<Problem> {
        let offered = package.manifest.as_ref().map(|_| Grants::offered());
        let mut addition = Addition::default();
        let (mut lacking, mut wrong) = (Vec::new(), Vec::new());
        // Of WASI and of HTTP the first import, with how many more there are.
        let mut many: Vec<(LoadError, usize)> = Vec::new();
        for misfit in Plugin::misfits(package, offered.as_ref().unwrap_or(grants)) {
            let Some(line) = Self::lacking(&misfit) else {
                wrong.push(self.misfit(&misfit));
                continue;
            };
            addition.line("grants", line);
            if matches!(misfit, LoadError::NotGranted { .. }) {
                lacking.push(self.misfit(&misfit));
                continue;
            }
            let kind = std::mem::discriminant(&misfit);
            let mut known = many.iter_mut();
            match known.find(|(first, _)| std::mem::discriminant(first) == kind) {
                Some((_, more)) => *more += 1,
                None => many.push((misfit, 0)),
            }
        }
        lacking.extend(many.iter().map(|(first, more)| {
            let mut problem = self.misfit(first);
            if *more > 0 {
                problem.message += &format!("; and {more} more of WASI");
            }
            problem
        }));
        self.mend("to grant that", &addition, &mut lacking);
        lacking.append(&mut wrong);
        lacking
    }

    /// The line of grants that a component without a manifest lacks.
    fn lacking(error: &LoadError) -> Option<String> {
        let line = match error {
            LoadError::NotGranted { interface, .. } => match interface.name() {
                "clock" => "clock = \"wall\"".to_owned(),
                "random" => "random = \"system\"".to_owned(),
                "synapse" => "synapse = [\"PLAN\"]".to_owned(),
                other => format!("{other} = true"),
            },
            LoadError::WasiNotGranted(_) => "wasi = true".to_owned(),
            LoadError::HttpNotGranted(_) => "http = [\"GET=https://api.example.org\"]".to_owned(),
            _ => return None,
        };
        Some(line)
    }

    /// Why the component cannot be run, with the line that would let the host
    /// take it.
    fn misfit(&self, error: &LoadError) -> Problem {
        let line = match error {
            LoadError::Compile(CompileError::Memory { .. }) => "compile-memory = \"4GiB\"",
            LoadError::Compile(CompileError::Cpu { .. }) => "compile-cpu = \"600s\"",
            LoadError::Compile(CompileError::Wall { .. }) => "compile-timeout = \"1h\"",
            LoadError::Folder { guest, .. } => {
                let keys = ["grants", "files", guest.trim_start_matches('/')];
                return self.problem(&keys, error);
            }
            LoadError::Variable(name) => {
                return self.problem(&["grants", "environment", name], error);
            }
            _ => return self.problem(&["source"], error),
        };
        let help = format!("to allow more, write:\n[host]\n{line}");
        self.problem(&["source"], error).help(help)
    }

    /// What the neuron's names for engrams stand for; at most what it asks for
    /// and at most what the table allows.
    fn bindings(
        &self,
        manifest: Option<&Manifest>,
        wrong: &mut Vec<Problem>,
        unbound: &mut Vec<Problem>,
        addition: &mut Addition,
        warnings: &mut Vec<Problem>,
    ) -> BTreeMap<String, Bind> {
        let Some(manifest) = manifest else {
            return self.table.bind.clone();
        };
        let bound = self.table.bind.keys();
        let strange: Vec<_> = bound
            .filter(|name| !manifest.engrams.contains_key(*name))
            .collect();
        for name in &strange {
            let message = "the component does not ask for this engram, and does not get it";
            warnings.push(self.problem(&["bind", name], message));
        }
        let mut bindings = BTreeMap::new();
        for (name, asked) in &manifest.engrams {
            let access = match asked.access {
                BindingAccess::Read => "read",
                BindingAccess::ReadWrite => "read-write",
            };
            let Some(bind) = self.table.bind.get(name) else {
                let mut message = format!(
                    "the component asks for an engram `{name}` ({access}), which is not bound"
                );
                for other in &strange {
                    message += &format!("; `{other}` is bound, which it does not ask for");
                }
                let keys = ["tenants", self.tenant, "engrams", name];
                if self.document.range(&keys).is_none() {
                    let kind = match asked.dimension {
                        None => "kind = \"memory\"".to_owned(),
                        Some(numbers) => format!("kind = \"vector\"\ndimension = {numbers}"),
                    };
                    addition.table(format!("[{}]\n{kind}", heading(&keys)));
                }
                addition.line(
                    "bind",
                    format!("{name} = {{ engram = \"{name}\", access = \"{access}\" }}"),
                );
                unbound.push(self.problem(&["bind"], message));
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
        let mut addition = Addition::default();
        let mut wishes = Vec::new();
        for (_, line) in above.into_iter().filter(|(above, _)| *above) {
            let message = format!("the component wishes `{line}`, and gets the host's own limit");
            wishes.push(self.problem(&["limits"], message));
            addition.line("limits", line);
        }
        self.mend("to give it that", &addition, &mut wishes);
        warnings.extend(wishes);
        let memory = set.memory.as_ref().map(|size| size.bytes);
        let most = Limits::ceiling().memory_bytes;
        if memory.is_some_and(|bytes| bytes > most) {
            let message = format!(
                "no single memory of a component has more than {}",
                Bytes(most as u64)
            );
            warnings.push(self.problem(&["limits", "memory"], message));
        }
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
