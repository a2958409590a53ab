//! Components to and from OCI registries, and a local store of what was
//! pulled.
//!
//! A registry is not trusted: whatever it sends is bounded before it is held,
//! taken only when its digest is the right one, and printed only in short. Who
//! we are is told to it and to the token server that it names: with credentials
//! for a registry, user and password go to any `https` address that it asks for.
//! That is why this room has an HTTP client and its
//! own few requests of the distribution specification: clients to be had read
//! manifests, tokens and errors whole, however long, and follow a redirect from
//! TLS to none.
//!
//! It never knows what a component does, and starts none.

mod artifact;
mod credentials;
mod error;
mod login;
mod reference;
mod session;
mod store;
mod transport;

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;

use self::{
    artifact::{Artifact, Layer},
    session::{Purpose, Session},
    store::{Kind, Store},
};
pub use self::{
    credentials::Credentials,
    error::RegistryError,
    reference::{Reference, ReferenceError},
};
use crate::{
    clock::{Clock, Random},
    package::Digest,
};

/// How registries are used. The default asks any of them over TLS, without
/// credentials, and keeps nothing.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Touch no network: what is not in the store is not to be had.
    pub offline: bool,
    /// Speak HTTP without TLS with hosts beyond this machine too. With hosts of
    /// this machine it is spoken anyway.
    pub plain_http: bool,
    /// Folder of the local store; without it nothing is kept or found.
    pub store: Option<PathBuf>,
    /// Who we are.
    pub credentials: Credentials,
}

/// Pushes and pulls components.
///
/// Its work needs a Tokio runtime with I/O. Files are read, written and hashed
/// on the thread that polls it.
#[derive(Debug)]
pub struct Registry {
    settings: Settings,
    store: Option<Store>,
    clock: Clock,
    random: Random,
}

/// What a push made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// Of the component's bytes: what a deployment pins.
    pub digest: Digest,
    /// Of the manifest: what a reference may have behind `@`.
    pub manifest: Digest,
}

/// A component that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pulled {
    /// The component, as its digest says.
    pub bytes: Vec<u8>,
    /// Of the component's bytes.
    pub digest: Digest,
    /// Of the manifest that named it; none where the pinned digest was enough.
    pub manifest: Option<Digest>,
    /// Whether no registry was asked for it.
    pub from_store: bool,
    /// Its file in the local store, where there is one.
    pub file: Option<PathBuf>,
}

impl Registry {
    /// Touches neither network nor files.
    pub fn new(settings: Settings, clock: Clock, random: Random) -> Self {
        Self {
            store: settings.store.clone().map(Store::new),
            settings,
            clock,
            random,
        }
    }

    /// Puts a component under a tag, with annotations of its manifest over
    /// those that its own metadata give. The same component with the same
    /// annotations always makes the same manifest.
    ///
    /// # Errors
    /// When it is no component, or the registry does not take it.
    pub async fn push(
        &self,
        component: impl Into<Bytes>,
        to: &Reference,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Pushed, RegistryError> {
        let component = component.into();
        if self.settings.offline {
            return Err(RegistryError::PushOffline(Box::new(to.clone())));
        }
        if to.digest().is_some() {
            return Err(RegistryError::PushByDigest(Box::new(to.clone())));
        }
        let artifact = Artifact::of(&component, annotations)?;
        let session = self.session(to, Purpose::Push)?;
        session.upload(artifact.component, component).await?;
        let config = artifact.config.into();
        session.upload(artifact.config_digest, config).await?;
        let manifest = artifact.manifest.into();
        session.publish(&manifest, artifact.manifest_digest).await?;
        Ok(Pushed {
            digest: artifact.component,
            manifest: artifact.manifest_digest,
        })
    }

    /// Gets a component. With a `pinned` digest it is that one or none.
    ///
    /// What can stand for one component only, a pinned digest or a reference
    /// with the manifest's, comes from the local store when it is there; a tag
    /// does in offline mode, and else is asked for anew.
    ///
    /// # Errors
    /// When it cannot be had, is no single component, is larger than
    /// [`Plugin::MAX_BYTES`](crate::neuron::Plugin::MAX_BYTES), or is another
    /// than its digests say.
    pub async fn pull(
        &self,
        from: &Reference,
        pinned: Option<Digest>,
    ) -> Result<Pulled, RegistryError> {
        match self.stored(from, pinned) {
            Ok(Some(pulled)) => return Ok(pulled),
            Err(error) if self.settings.offline => return Err(error),
            Err(error @ RegistryError::Pinned { .. }) => return Err(error),
            // What the store lost the registry may have.
            Err(error) => tracing::warn!(%error, "asking the registry instead"),
            Ok(None) if self.settings.offline => {
                return Err(RegistryError::NotStored {
                    wanted: pinned.map_or_else(|| from.to_string(), |pinned| pinned.to_string()),
                });
            }
            Ok(None) => {}
        }
        self.fetch(from, pinned).await
    }

    fn session<'a>(
        &'a self,
        reference: &'a Reference,
        purpose: Purpose,
    ) -> Result<Session<'a>, RegistryError> {
        let login = self.settings.credentials.of(reference)?;
        let plain_http = self.settings.plain_http;
        Session::new(
            reference,
            purpose,
            login,
            plain_http,
            &self.clock,
            &self.random,
        )
    }

    /// What needs no registry.
    fn stored(
        &self,
        from: &Reference,
        pinned: Option<Digest>,
    ) -> Result<Option<Pulled>, RegistryError> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        if let Some(pinned) = pinned
            && let Some(bytes) = store.read(Kind::Component, &pinned)?
        {
            return Ok(Some(Pulled {
                bytes,
                digest: pinned,
                manifest: None,
                from_store: true,
                file: Some(store.path(Kind::Component, &pinned)),
            }));
        }
        let manifest = match from.digest() {
            None if self.settings.offline => store.tagged(from)?,
            digest => digest,
        };
        let Some(manifest) = manifest else {
            return Ok(None);
        };
        let Some(text) = store.read(Kind::Manifest, &manifest)? else {
            return Ok(None);
        };
        let layer = described(from, pinned, &text, None)?;
        let bytes = store.read(Kind::Component, &layer.digest)?;
        Ok(bytes.map(|bytes| Pulled {
            bytes,
            digest: layer.digest,
            manifest: Some(manifest),
            from_store: true,
            file: Some(store.path(Kind::Component, &layer.digest)),
        }))
    }

    async fn fetch(
        &self,
        from: &Reference,
        pinned: Option<Digest>,
    ) -> Result<Pulled, RegistryError> {
        let session = self.session(from, Purpose::Pull)?;
        let (manifest, media_type) = session.manifest().await?;
        let layer = described(from, pinned, &manifest, media_type.as_deref())?;
        let known = self
            .store
            .as_ref()
            .and_then(|store| store.read(Kind::Component, &layer.digest).ok().flatten());
        let (bytes, is_new) = match known {
            Some(bytes) => (bytes, false),
            None => (session.layer(layer).await?, true),
        };
        let digest = Digest::of(&manifest);
        let kept = self.store.as_ref().map(|store| {
            if is_new {
                store.write(Kind::Component, &layer.digest, &bytes)?;
            }
            store.write(Kind::Manifest, &digest, &manifest)?;
            if from.digest().is_none() {
                store.note(from, &digest)?;
            }
            Ok::<_, RegistryError>(store.path(Kind::Component, &layer.digest))
        });
        // A store that cannot be written costs the next pull, not this one.
        let file = kept.and_then(|kept| {
            kept.inspect_err(|error| tracing::warn!(%error, "not kept"))
                .ok()
        });
        Ok(Pulled {
            bytes,
            digest: layer.digest,
            manifest: Some(digest),
            from_store: false,
            file,
        })
    }
}

/// The component that a manifest names, if it is the pinned one.
fn described(
    reference: &Reference,
    pinned: Option<Digest>,
    manifest: &[u8],
    media_type: Option<&str>,
) -> Result<Layer, RegistryError> {
    let layer = artifact::layer(manifest, media_type).map_err(|reason| RegistryError::Unfit {
        reference: Box::new(reference.clone()),
        reason,
    })?;
    match pinned {
        Some(pinned) if pinned != layer.digest => Err(RegistryError::Pinned {
            reference: Box::new(reference.clone()),
            pinned,
            actual: layer.digest,
        }),
        _ => Ok(layer),
    }
}
