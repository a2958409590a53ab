//! Where flows and their nodes come from: files of documents, and a deployment
//! whose neurons are the nodes.

use std::{path::PathBuf, str::FromStr, sync::Arc};

use crate::{
    Host,
    cli::{Exit, Failed, check::refused, start},
    deployment::{Deployment, Running},
    flow::{Dag, Flow, InvalidFlow, Nodes, document::DagFile},
    orchestration::TenantHandle,
    package::{Problem, Problems},
};

/// Files of DAG documents.
#[derive(Debug, clap::Args)]
pub(super) struct Documents {
    /// Files that hold one DAG document or a list of them; the first is the root
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A deployment's neurons as nodes.
#[derive(Debug, clap::Args)]
pub(super) struct Neurons {
    /// The deployment whose neurons the flow's nodes are
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,

    /// The tenant that it runs in, where there are several
    #[arg(long, value_name = "NAME", requires = "deployment")]
    tenant: Option<String>,

    /// A node's neuron, where it has another id, or `capability:a+b`. May be
    /// given several times
    #[arg(long = "node", value_name = "NAME=NEURON", requires = "deployment")]
    nodes: Vec<Alias>,

    /// Never touch the network, whatever the deployment says
    #[arg(long, requires = "deployment")]
    offline: bool,
}

/// A node under another name than its neuron's.
#[derive(Clone, Debug)]
struct Alias {
    name: String,
    neuron: String,
}

impl FromStr for Alias {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, neuron)) if !name.is_empty() && !neuron.is_empty() => Ok(Self {
                name: name.to_owned(),
                neuron: neuron.to_owned(),
            }),
            _ => Err("write NAME=NEURON, for example compose-response=composer".to_owned()),
        }
    }
}

/// Documents as they were read.
pub(super) struct Read {
    files: Vec<DagFile>,
}

impl Documents {
    /// Reads all of them.
    ///
    /// # Errors
    /// All that is wrong with any.
    pub(super) fn read(&self) -> Result<Read, Problems> {
        let (mut files, mut wrong) = (Vec::new(), Vec::new());
        for file in &self.files {
            match DagFile::read(file) {
                Ok(file) => files.push(file),
                Err(Problems(problems)) => wrong.extend(problems),
            }
        }
        Problems::unless_any(wrong, Read { files })
    }
}

impl Read {
    /// All documents, the root first.
    pub(super) fn dags(&self) -> Vec<Dag> {
        let dags = self.files.iter().flat_map(DagFile::dags);
        dags.cloned().collect()
    }

    /// The flow of them.
    ///
    /// # Errors
    /// All that is wrong with it, each with its place in a file.
    pub(super) fn flow(&self, nodes: &Nodes) -> Result<Flow, Problems> {
        Flow::new(&self.dags(), nodes).map_err(|invalid| self.located(&invalid))
    }

    fn located(&self, invalid: &InvalidFlow) -> Problems {
        let locate = |problem| {
            let located = self.files.iter().find_map(|file| file.locate(problem));
            located.unwrap_or_else(|| Problem {
                file: invalid.flow.to_string(),
                place: None,
                message: problem.to_string(),
                help: None,
            })
        };
        Problems(invalid.problems.iter().map(locate).collect())
    }
}

/// A host with the tenant that a flow runs in.
pub(super) struct Stage {
    pub(super) host: Arc<Host>,
    pub(super) tenant: TenantHandle,
    pub(super) nodes: Nodes,
    /// What runs; it goes with the host.
    _running: Running,
}

impl Neurons {
    /// Whether there is a deployment to check nodes against.
    pub(super) fn are_known(&self) -> bool {
        self.deployment.is_some()
    }

    /// Starts the deployment.
    pub(super) fn stage(&self) -> Result<Stage, Failed> {
        let Some(file) = &self.deployment else {
            let failed = Failed::new(Exit::Usage, "a flow needs neurons to run");
            return Err(failed.advise("name a file such as soma.toml with `--deployment`"));
        };
        let deployment = Deployment::read(file).map_err(|problems| refused(&problems))?;
        let host = Arc::new(start::host_compiling(deployment.compiler_limits(), || {
            deployment.host()
        })?);
        let offline = self.offline || deployment.is_offline();
        let registry = start::registry(&host, offline, deployment.uses_registries())?;
        let mut running = Running::default();
        let changes = deployment.apply(&host, &registry, &mut running);
        let changes = changes.map_err(|problems| refused(&problems))?;
        for warning in &changes.warnings {
            tracing::warn!("{warning}");
        }
        let tenant = self.tenant(&host, &running)?;
        let mut nodes = Nodes::of(&tenant);
        for Alias { name, neuron } in &self.nodes {
            nodes = nodes.alias(name.as_str(), neuron).map_err(|unknown| {
                let told = format!("--node {name}={neuron}: {unknown}");
                Failed::new(Exit::Usage, told)
            })?;
        }
        Ok(Stage {
            host,
            tenant,
            nodes,
            _running: running,
        })
    }

    fn tenant(&self, host: &Host, running: &Running) -> Result<TenantHandle, Failed> {
        let mut names: Vec<_> = running
            .summaries()
            .into_iter()
            .map(|summary| summary.tenant)
            .collect();
        names.sort();
        names.dedup();
        let name = match (&self.tenant, names.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            (None, names) => {
                let told = format!("the deployment has the tenants {}", names.join(", "));
                return Err(Failed::new(Exit::Usage, told).advise("name one with `--tenant`"));
            }
        };
        host.tenant(name).ok_or_else(|| {
            let told = format!(
                "the deployment has no tenant `{name}`; it has {}",
                names.join(", ")
            );
            Failed::new(Exit::Usage, told)
        })
    }
}
