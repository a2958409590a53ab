//! `soma.toml`: which neurons run for which tenants, with what.
//!
//! Reads and checks the whole file, tells everything that is wrong at once and
//! at its place, and brings a host to what the file says, at the start and
//! again whenever it has changed. Knows no task, trace or signal.

mod addition;
mod file;
mod grants;
mod neuron;
mod read;
mod source;
mod tenants;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{
    file::File,
    neuron::Ready,
    read::{Doubts, Read},
    source::Sources,
};
use crate::{
    Host, HostBuilder,
    neuron::CompilerLimits,
    package::{Document, Problem, Problems, Trust},
    registry::Registry,
};
pub use file::schema;

/// A deployment file, read and checked as far as that needs no component. What is
/// wrong with it is told with all that is wrong with its components.
#[derive(Debug)]
pub struct Deployment {
    document: Document,
    /// As far as it is sound.
    file: File,
    trust: Trust,
    doubts: Doubts,
    wrong: Vec<Problem>,
}

/// What a look at all components has brought: everything can be run, and this
/// is what an operator may want to know.
#[derive(Debug)]
pub struct Checked {
    /// What is odd but not wrong, in the order of the file.
    pub warnings: Vec<Problem>,
    /// The neurons, by tenant and id.
    pub neurons: Vec<Summary>,
}

/// One neuron of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// The tenant that it runs for.
    pub tenant: String,
    /// Its id there.
    pub neuron: String,
    /// Its own version, where it carries a manifest.
    pub version: Option<String>,
    /// Digest of its component, `sha256:…`.
    pub digest: String,
    /// Short names of the trusted keys that signed it.
    pub signed_by: Vec<String>,
    /// What it may do, a line each, in the words of `soma.toml`.
    pub grants: Vec<String>,
}

/// What a running deployment is made of, to tell what has changed.
#[derive(Debug, Default)]
pub struct Running {
    neurons: BTreeMap<(String, String), Arc<Ready>>,
    engrams: BTreeMap<(String, String), file::Engram>,
    quotas: BTreeMap<String, file::Quotas>,
    /// Of the host, and whether it is offline; none before the first start.
    host: Option<(file::HostTable, bool)>,
}

impl Running {
    /// What runs, by tenant and id.
    pub fn summaries(&self) -> Vec<Summary> {
        self.neurons.values().map(|ready| ready.summary()).collect()
    }
}

/// What a change of the file or of a component has brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Neurons that are new, `tenant/id`.
    pub added: Vec<String>,
    /// Neurons of which new tasks go to another version or other settings.
    pub replaced: Vec<String>,
    /// Neurons that take no more tasks.
    pub removed: Vec<String>,
    /// As [`Checked::warnings`].
    pub warnings: Vec<Problem>,
}

impl Deployment {
    /// Reads a deployment file.
    ///
    /// # Errors
    /// When it cannot be read, or is no TOML. All else that is wrong with it
    /// [`Deployment::check`] and [`Deployment::apply`] tell, and do nothing.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let document = Document::read(path, Document::MAX_SETTINGS_BYTES)?;
        let Read {
            file,
            keys,
            doubts,
            wrong,
        } = Read::of(&document);
        let trust = Trust {
            policy: file.policy.signatures,
            keys,
        };
        Ok(Self {
            document,
            file,
            trust,
            doubts,
            wrong,
        })
    }

    /// The file, and each file that a change of which changes the deployment.
    pub fn files(&self) -> Vec<PathBuf> {
        let sources = self
            .neurons()
            .flat_map(|(_, _, neuron)| Sources::files(self.document.folder(), &neuron.source));
        std::iter::once(self.document.path().to_owned())
            .chain(sources)
            .collect()
    }

    /// A host as the file wants it.
    pub fn host(&self) -> HostBuilder {
        let mut builder = Host::builder();
        if let Some(instances) = self.file.host.instances {
            builder = builder.instances(instances);
        }
        if let Some(workers) = self.file.host.workers {
            builder = builder.workers(workers);
        }
        builder
    }

    /// What the compilation of one component may use, for a host that compiles
    /// in a process of its own.
    pub fn compiler_limits(&self) -> CompilerLimits {
        self.file.host.compiler_limits()
    }

    /// Whether the network is never to be touched: where the file says so, and
    /// where it cannot be read whether it does.
    pub fn is_offline(&self) -> bool {
        self.file.policy.offline || self.doubts.policy
    }

    /// Whether a component comes from a registry.
    pub fn uses_registries(&self) -> bool {
        self.neurons()
            .any(|(_, _, neuron)| Sources::is_remote(&neuron.source))
    }

    /// Fetches, checks and compiles every component, and starts nothing. Blocks
    /// meanwhile: not to be called from async code.
    ///
    /// # Errors
    /// Everything that is wrong with the file, and with the components of the
    /// neurons whose tables are sound.
    pub fn check(&self, host: &Host, registry: &Registry) -> Result<Checked, Problems> {
        let ready = self.ready(host, registry, &Running::default())?;
        let mut warnings: Vec<_> = ready.iter().flat_map(|one| one.warnings.clone()).collect();
        warnings.sort_by_key(|warning| warning.place);
        Ok(Checked {
            warnings,
            neurons: ready.iter().map(|one| one.summary()).collect(),
        })
    }

    /// Brings `host` from what `running` says to what the file says. Either
    /// all of it or, where anything is wrong, nothing: what ran goes on as it
    /// was. New tasks go to new versions, running ones finish on the old.
    /// Blocks as [`Deployment::check`] does.
    ///
    /// # Errors
    /// As [`Deployment::check`]; also where a running tenant would have to
    /// change in a way that only a new start can bring.
    pub fn apply(
        &self,
        host: &Host,
        registry: &Registry,
        running: &mut Running,
    ) -> Result<Changes, Problems> {
        let mut wrong = Vec::new();
        self.check_change(running, &mut wrong);
        let ready = match self.ready(host, registry, running) {
            Ok(ready) => ready,
            Err(Problems(problems)) => {
                wrong.extend(problems);
                Vec::new()
            }
        };
        Problems::unless_any(wrong, ())?;
        tenants::change(&self.document, &self.file, host, ready, running)
    }

    fn neurons(&self) -> impl Iterator<Item = (&str, &str, &file::Neuron)> {
        self.file.tenants.iter().flat_map(|(tenant, table)| {
            let neurons = table.neurons.iter();
            neurons.map(move |(id, neuron)| (tenant.as_str(), id.as_str(), neuron))
        })
    }

    /// All neurons, loaded; those that have not changed as they run already.
    fn ready(
        &self,
        host: &Host,
        registry: &Registry,
        running: &Running,
    ) -> Result<Vec<Arc<Ready>>, Problems> {
        let sources = Sources {
            folder: self.document.folder(),
            registry,
        };
        let mut ready = Vec::new();
        let mut wrong = self.wrong.clone();
        for (tenant, id, table) in self.neurons() {
            if self.doubts.policy && Sources::is_remote(&table.source) {
                continue;
            }
            let asked = neuron::Asked {
                document: &self.document,
                tenant,
                id,
                table,
                engrams: self.file.tenants.get(tenant).map(|tenant| &tenant.engrams),
            };
            let known = running.neurons.get(&(tenant.to_owned(), id.to_owned()));
            match asked.ready(host, &sources, (&self.trust, &self.doubts), known) {
                Ok(one) => ready.push(one),
                Err(problems) => wrong.extend(problems),
            }
        }
        Problems::unless_any(wrong, ready)
    }
}
