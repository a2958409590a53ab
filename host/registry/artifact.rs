//! A component as an OCI artifact: one config, one layer, one manifest, by the
//! layout for Wasm of the CNCF's working group.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wasmparser::{ComponentName, CustomSectionReader, Encoding, KnownCustom, Parser, Payload};

use super::error::{RegistryError, printable};
use crate::neuron::{Digest, Plugin};

/// Media type of a manifest.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media types of lists of manifests. Asked for too, so that a list is told as
/// one and not as something that does not exist.
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const LAYER: &str = "application/wasm";

/// Most bytes of a manifest: what registries themselves take.
pub(super) const MAX_MANIFEST: u64 = 4 << 20;

/// Everything that a manifest may be, for the header `Accept`.
pub(super) fn accepted() -> String {
    let [oci, docker] = INDEXES;
    [MANIFEST, DOCKER_MANIFEST, oci, docker].join(", ")
}

/// What is sent to a registry.
pub(super) struct Artifact {
    pub(super) component: Digest,
    pub(super) config: Vec<u8>,
    pub(super) config_digest: Digest,
    pub(super) manifest: Vec<u8>,
    pub(super) manifest_digest: Digest,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Descriptor {
    fn of(media_type: &str, digest: Digest, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest.to_string(),
            size: bytes.len() as u64,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: Descriptor,
    layers: [Descriptor; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    layer_digests: [String; 1],
    component: World,
}

/// What the component exports and imports, by name.
#[derive(Default, Serialize)]
struct World {
    exports: Vec<String>,
    imports: Vec<String>,
    /// The WIT world that it was made for: not known here.
    target: Option<String>,
}

/// The standard metadata of a component, each in a custom section of its own,
/// and the annotation that says the same.
const METADATA: [(&str, &str); 7] = [
    ("authors", "org.opencontainers.image.authors"),
    ("description", "org.opencontainers.image.description"),
    ("homepage", "org.opencontainers.image.url"),
    ("licenses", "org.opencontainers.image.licenses"),
    ("revision", "org.opencontainers.image.revision"),
    ("source", "org.opencontainers.image.source"),
    ("version", "org.opencontainers.image.version"),
];
const TITLE: &str = "org.opencontainers.image.title";
/// Longer metadata is no annotation: a manifest is a page, not a book.
const MAX_ANNOTATION: usize = 4096;

impl Artifact {
    /// Of a component, with its own metadata and `annotations` over it. The
    /// same in gives the same out, to the byte: it holds no time.
    ///
    /// # Errors
    /// When `wasm` is no component, or too large for any host.
    pub(super) fn of(
        wasm: &[u8],
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, RegistryError> {
        if wasm.len() as u64 > Plugin::MAX_BYTES {
            let limit = Plugin::MAX_BYTES;
            return Err(RegistryError::TooLarge { limit });
        }
        let (world, mut all) = read(wasm)?;
        all.extend(annotations.clone());
        let component = Digest::of(wasm);
        let config = json(&Config {
            // Required, and the only moment that is the same at every push.
            created: "1970-01-01T00:00:00Z",
            architecture: "wasm",
            os: "wasip2",
            layer_digests: [component.to_string()],
            component: world,
        })?;
        let config_digest = Digest::of(&config);
        let manifest = json(&Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: Descriptor::of(CONFIG, config_digest, &config),
            layers: [Descriptor::of(LAYER, component, wasm)],
            annotations: all,
        })?;
        if manifest.len() as u64 > MAX_MANIFEST {
            let reason = format!("its manifest has more than {MAX_MANIFEST} bytes");
            return Err(RegistryError::NotAComponent(reason));
        }
        Ok(Self {
            component,
            config,
            config_digest,
            manifest_digest: Digest::of(&manifest),
            manifest,
        })
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, RegistryError> {
    // Plain structs with text keys can always be written.
    serde_json::to_vec(value).map_err(|error| RegistryError::Client(error.to_string()))
}

/// Names and metadata of the outermost component.
fn read(wasm: &[u8]) -> Result<(World, BTreeMap<String, String>), RegistryError> {
    let broken = |error: wasmparser::BinaryReaderError| {
        RegistryError::NotAComponent(printable(&error.to_string()))
    };
    if !wasm.starts_with(b"\0asm") {
        let reason = r"it does not start with `\0asm`";
        return Err(RegistryError::NotAComponent(reason.to_owned()));
    }
    let mut world = World::default();
    let mut annotations = BTreeMap::new();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(broken)? {
            Payload::Version {
                encoding: Encoding::Module,
                ..
            } if depth == 0 => {
                let reason = "it is a core module; link it with wasm-component-ld \
                              or wrap it with `wasm-tools component new`";
                return Err(RegistryError::NotAComponent(reason.to_owned()));
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            Payload::ComponentImportSection(section) => {
                for import in section {
                    world
                        .imports
                        .push(import.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    world
                        .exports
                        .push(export.map_err(broken)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) => annotations.extend(annotation(&section)),
            _ => {}
        }
    }
    Ok((world, annotations))
}

fn annotation(section: &CustomSectionReader<'_>) -> Option<(String, String)> {
    let (key, value) = match section.as_known() {
        KnownCustom::ComponentName(mut names) => {
            let title = names.find_map(|name| match name {
                Ok(ComponentName::Component { name, .. }) => Some(name),
                _ => None,
            });
            (TITLE, title?)
        }
        _ => {
            let (_, key) = METADATA
                .into_iter()
                .find(|(name, _)| *name == section.name())?;
            (key, str::from_utf8(section.data()).ok()?)
        }
    };
    let fits = (1..=MAX_ANNOTATION).contains(&value.len());
    fits.then(|| (key.to_owned(), value.to_owned()))
}

/// The layer that is the component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: Digest,
    /// At most [`Plugin::MAX_BYTES`].
    pub(super) bytes: u64,
}

/// What of a manifest decides. Other keys may be there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Received {
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
}

/// Reads a manifest that came from a registry as `content_type`.
///
/// # Errors
/// In words to be read behind the reference, when it does not describe one
/// component that this host would take.
pub(super) fn layer(manifest: &[u8], content_type: Option<&str>) -> Result<Layer, String> {
    let received: Received = serde_json::from_slice(manifest)
        .map_err(|error| printable(&format!("has a manifest that cannot be read: {error}")))?;
    let media_type = received.media_type.as_deref().or(content_type);
    let is_index = media_type.is_some_and(|media_type| INDEXES.contains(&media_type));
    if is_index || received.manifests.is_some() {
        return Err(
            "is an index of several artifacts: name the one that you want by its digest".to_owned(),
        );
    }
    let config = received.config.map(|config| config.media_type);
    let config = config.as_deref().unwrap_or("nothing");
    if config != CONFIG {
        let config = printable(config);
        return Err(format!(
            "is no Wasm artifact: its config is `{config}`, that of one is `{CONFIG}`"
        ));
    }
    let layers = received.layers.unwrap_or_default();
    let [layer] = layers.as_slice() else {
        return Err(match layers.len() {
            0 => "has no layer, so there is no component in it".to_owned(),
            many => format!("has {many} layers; a component is a single one"),
        });
    };
    if layer.media_type != LAYER {
        let media_type = printable(&layer.media_type);
        return Err(format!(
            "has a layer of type `{media_type}`; a component is `{LAYER}`"
        ));
    }
    let digest = layer.digest.parse().map_err(|_| {
        let digest = printable(&layer.digest);
        format!("names its layer by the digest `{digest}`; sha256 is needed")
    })?;
    if layer.size > Plugin::MAX_BYTES {
        let (bytes, limit) = (layer.size, Plugin::MAX_BYTES);
        return Err(format!(
            "has {bytes} bytes; this host takes at most {limit}"
        ));
    }
    Ok(Layer {
        digest,
        bytes: layer.size,
    })
}

#[cfg(test)]
mod tests;
