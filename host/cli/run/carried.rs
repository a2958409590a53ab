//! What the manifest that a component carries changes about its run: it says
//! what the neuron is, needs and wishes, and the command line has the last word.

use std::{collections::BTreeSet, fmt, path::Path};

use super::{EngramSpec, Input, grants};
use crate::{
    cli::{Exit, Failed, out::Plain},
    neuron::{Grants, Interface, Limits},
    orchestration::Access,
    package::{BindingAccess, Manifest, Misfit, Package},
};

/// A component's own words, if it carries any.
pub(super) struct Carried {
    package: Package,
}

/// An engram to be made and bound.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) spec: EngramSpec,
    pub(super) access: Access,
}

impl Carried {
    /// Reads them.
    ///
    /// # Errors
    /// When they cannot be read, or the component asks for more than they say.
    pub(super) fn read(path: &Path, wasm: &[u8]) -> Result<Self, Failed> {
        let package = Package::read(wasm).map_err(|error| refused(path, &error))?;
        if let Some(unasked) = package.unasked().first() {
            return Err(refused(path, unasked).advise(unasked.help()));
        }
        for signature in &package.signatures {
            if let Err(error) = signature.fits(&package) {
                tracing::warn!("{error}");
            }
        }
        Ok(Self { package })
    }

    fn manifest(&self) -> Option<&Manifest> {
        self.package.manifest.as_ref()
    }

    pub(super) fn package(&self) -> &Package {
        &self.package
    }

    /// What it gets of `granted`: no more than it asks for.
    ///
    /// # Errors
    /// When it asks for more than is granted: with the options that grant it.
    pub(super) fn grants(&self, path: &Path, granted: Grants) -> Result<Grants, Failed> {
        let Some(manifest) = self.manifest() else {
            return Ok(granted);
        };
        let (asked, held) = (&manifest.grants, granted.requests());
        let missing = asked.missing_in(&held);
        let missing = missing
            .iter()
            .map(|grant| (grant.to_string(), grants::options(grant)));
        // Engrams are bound one by one, by other options.
        let no_engrams = !manifest.engrams.is_empty() && !granted.has(Interface::Engram);
        let engrams = no_engrams.then(|| ("for engrams".to_owned(), "--grant engram".to_owned()));
        let (words, options): (Vec<_>, Vec<_>) = engrams.into_iter().chain(missing).unzip();
        if !words.is_empty() {
            let words = format!("it asks {}; this is not granted", words.join(", "));
            let options = options.join(" ");
            return Err(refused(path, &words)
                .advise(Plain(&format!("if it may have that, add `{options}`"))));
        }
        let surplus = asked.surplus_in(&held).into_iter();
        for surplus in surplus.filter(grants::is_named) {
            tracing::warn!("the neuron does not ask {surplus}; this grant gives nothing");
        }
        Ok(granted.narrowed(asked))
    }

    /// The limits where the command line says nothing.
    pub(super) fn limits(&self) -> Limits {
        let Some(manifest) = self.manifest() else {
            return Limits::default();
        };
        for excess in Limits::ceiling().exceeded_by(&manifest.limits) {
            tracing::warn!("{excess}, which it gets unless an option allows more");
        }
        Limits::wished(&manifest.limits)
    }

    /// The engrams of the command line with the access that the neuron asks
    /// for, and those that it asks for beside them.
    ///
    /// # Errors
    /// When one is bound that it does not ask for, or of another kind.
    pub(super) fn engrams(&self, named: &[EngramSpec]) -> Result<Vec<Bound>, Failed> {
        let with = |spec: &EngramSpec, access| Bound {
            spec: spec.clone(),
            access,
        };
        let Some(manifest) = self.manifest() else {
            let all = named.iter().map(|spec| with(spec, Access::ReadWrite));
            return Ok(all.collect());
        };
        let mut bound = Vec::new();
        for spec in named {
            let wanted = manifest.engrams.get(&spec.name);
            let wanted = wanted.ok_or_else(|| unwanted(spec, manifest))?;
            let dimension = wanted.dimension.map(dimension);
            if dimension.is_some() && dimension != spec.dimension {
                return Err(unfit(spec, dimension.unwrap_or_default()));
            }
            bound.push(with(spec, access(wanted.access)));
        }
        let names: BTreeSet<_> = named.iter().map(|spec| &spec.name).collect();
        let others = manifest.engrams.iter();
        let others = others.filter(|(name, _)| !names.contains(name));
        bound.extend(others.map(|(name, wanted)| Bound {
            spec: EngramSpec {
                name: name.clone(),
                dimension: wanted.dimension.map(dimension),
            },
            access: access(wanted.access),
        }));
        Ok(bound)
    }

    /// Whether the input is what the neuron takes.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(super) fn check_input(&self, input: &Input) -> Result<(), Failed> {
        let Some(schema) = &self.package.input else {
            return Ok(());
        };
        let misfits = schema.misfits(&input.value);
        if misfits.is_empty() {
            return Ok(());
        }
        let words: Vec<_> = misfits.iter().map(Misfit::to_string).collect();
        let message = format!(
            "{} does not fit the neuron's schema: {}",
            input.place,
            words.join("; ")
        );
        Err(Failed::new(input.exit, Plain(&message))
            .advise("`soma neuron inspect` shows what it takes"))
    }
}

fn refused(path: &Path, error: &dyn fmt::Display) -> Failed {
    let message = format!("{} was refused: {error}", path.display());
    Failed::new(Exit::Input, Plain(&message))
}

fn access(access: BindingAccess) -> Access {
    match access {
        BindingAccess::Read => Access::Read,
        BindingAccess::ReadWrite => Access::ReadWrite,
    }
}

fn dimension(numbers: u32) -> usize {
    usize::try_from(numbers).unwrap_or(usize::MAX)
}

fn unwanted(spec: &EngramSpec, manifest: &Manifest) -> Failed {
    let message = format!(
        "--engram binds `{}`, which the neuron does not ask for",
        spec.name
    );
    let names: Vec<_> = manifest.engrams.keys().map(String::as_str).collect();
    let failed = Failed::new(Exit::Usage, message);
    match names.as_slice() {
        [] => failed.advise("it asks for no engram"),
        names => failed.advise(format!("it asks for `{}`", names.join("`, `"))),
    }
}

fn unfit(spec: &EngramSpec, dimension: usize) -> Failed {
    let name = &spec.name;
    let message = format!(
        "--engram binds `{name}` without embeddings of {dimension} numbers, which the neuron needs"
    );
    Failed::new(Exit::Usage, message).advise(format!("write `--engram {name}=vector:{dimension}`"))
}
