//! Where components come from.

use std::path::{Path, PathBuf};

use tokio::runtime::Builder;

use crate::{
    neuron::Plugin,
    package::{Digest, Manifest},
    registry::{Reference, Registry},
};

/// Where the components of one deployment come from.
pub(super) struct Sources<'a> {
    /// What relative paths start from.
    pub(super) folder: &'a Path,
    pub(super) registry: &'a Registry,
}

/// How a component in a registry is written.
const REGISTRY: &str = "oci://";

impl Sources<'_> {
    /// The file behind a source, if it is one: of a project's folder the one
    /// that `soma neuron build` writes.
    pub(super) fn file(folder: &Path, source: &str) -> Option<PathBuf> {
        if source.starts_with(REGISTRY) {
            return None;
        }
        let path = folder.join(source);
        if !path.is_dir() {
            return Some(path);
        }
        let (manifest, _) = Manifest::read(&path).ok()?;
        Some(manifest.component(&path))
    }

    /// A component's bytes. Those of a registry have the digest `pinned`; those
    /// of a file are to be compared with it.
    ///
    /// # Errors
    /// In words: what was looked for where.
    pub(super) fn fetch(&self, source: &str, pinned: Option<Digest>) -> Result<Vec<u8>, String> {
        match Self::file(self.folder, source) {
            Some(path) => Plugin::read(&path).map_err(|error| error.to_string()),
            None => self.pull(source, pinned),
        }
    }

    fn pull(&self, source: &str, pinned: Option<Digest>) -> Result<Vec<u8>, String> {
        let reference: Reference = source.parse().map_err(|error| format!("{error}"))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no runtime for the network: {error}"))?;
        let pulled = runtime.block_on(self.registry.pull(&reference, pinned));
        let pulled = pulled.map_err(|error| error.to_string())?;
        Ok(pulled.bytes)
    }
}
