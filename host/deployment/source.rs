//! Where components come from.

use std::path::{Path, PathBuf};

use tokio::runtime::Builder;

use crate::{
    neuron::Plugin,
    package::{Digest, Manifest},
    registry::{Reference, Registry, RegistryError},
};

/// Where the components of one deployment come from.
pub(super) struct Sources<'a> {
    /// What relative paths start from.
    pub(super) folder: &'a Path,
    pub(super) registry: &'a Registry,
}

/// Why there is no component, in words.
pub(super) enum Unfetched {
    /// It is another one than the pinned.
    Pinned(String),
    /// It cannot be had.
    Source(String),
}

impl From<String> for Unfetched {
    fn from(words: String) -> Self {
        Self::Source(words)
    }
}

/// How a component in a registry is written.
const REGISTRY: &str = "oci://";

impl Sources<'_> {
    /// Whether a source is in a registry.
    pub(super) fn is_remote(source: &str) -> bool {
        source.starts_with(REGISTRY)
    }

    /// The files that make a source what it is: none of a registry's, of a
    /// project's folder its manifest too.
    pub(super) fn files(folder: &Path, source: &str) -> Vec<PathBuf> {
        if Self::is_remote(source) {
            return Vec::new();
        }
        let path = folder.join(source);
        let mut files = Vec::new();
        if path.is_dir() {
            files.push(path.join(Manifest::FILE));
        }
        files.extend(Self::component(path).ok());
        files
    }

    /// The component at a path: of a project's folder the one that `soma neuron
    /// build` writes.
    ///
    /// # Errors
    /// When a folder is no project, in words.
    fn component(path: PathBuf) -> Result<PathBuf, String> {
        if !path.is_dir() {
            return Ok(path);
        }
        let read = Manifest::read(&path);
        let (manifest, _) = read.map_err(|problems| {
            let first = problems.0.first().map(ToString::to_string);
            let more = match problems.0.len() {
                0 | 1 => "",
                _ => " (and more: `soma neuron check` tells all)",
            };
            format!(
                "the folder is no project that can be read: {}{more}",
                first.unwrap_or_default()
            )
        })?;
        Ok(manifest.component(&path))
    }

    /// A component's bytes. Those of a registry have the digest `pinned`; those
    /// of a file are to be compared with it.
    ///
    /// # Errors
    /// In words: what was looked for where.
    pub(super) fn fetch(&self, source: &str, pinned: Option<Digest>) -> Result<Vec<u8>, Unfetched> {
        if Self::is_remote(source) {
            return self.pull(source, pinned);
        }
        let path = Self::component(self.folder.join(source))?;
        Plugin::read(&path).map_err(|error| error.to_string().into())
    }

    fn pull(&self, source: &str, pinned: Option<Digest>) -> Result<Vec<u8>, Unfetched> {
        let reference: Reference = source.parse().map_err(|error| format!("{error}"))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime for the network: {error}"))?;
        let pulled = runtime.block_on(self.registry.pull(&reference, pinned));
        let pulled = pulled.map_err(|error| match error {
            RegistryError::Pinned { .. } => Unfetched::Pinned(error.to_string()),
            _ => Unfetched::Source(error.to_string()),
        })?;
        Ok(pulled.bytes)
    }
}
