//! What a component file carries beside its code: the manifest, the standard
//! metadata, and signatures.
//!
//! Only sections of the outermost component count. What an inner module or
//! component carries is that part's own affair and gives it no say.

use std::{io, ops::Range, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasm_metadata::{AddMetadata, AddMetadataField};
use wasmparser::BinaryReader;

use super::{
    digest::Digest,
    document::{Document, Plain, Problem, Problems},
    file,
    interface::Names,
    manifest::Manifest,
    metadata::Metadata,
    schema::Schema,
    signature::{self, Signature, SignatureError},
};

/// Name of the section that holds the manifest.
const MANIFEST: &str = "soma:manifest";

/// The standard metadata sections that a manifest fills, each a plain text.
const METADATA: [&str; 3] = ["version", "description", "licenses"];

/// Version of what that section holds.
const FORMAT: u32 = 1;

/// Most bytes of a manifest with its schemas.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// Most sections of the outermost component, and signatures among them: they
/// are held and verified before anything else about the file is known.
const MAX_SECTIONS: usize = 20_000;
pub(super) const MAX_SIGNATURES: usize = 16;

/// Length of a component's preamble.
const PREAMBLE: usize = 8;

/// What a component file says of itself.
#[derive(Clone, Debug)]
pub struct Package {
    /// Digest of the whole file: its identity.
    pub digest: Digest,
    /// Bytes of the whole file.
    pub size_bytes: usize,
    /// The manifest, if it carries one.
    pub manifest: Option<Manifest>,
    /// The schemas that the manifest names, whole.
    pub schemas: Schemas,
    /// The input's schema, ready to check with.
    pub input: Option<Schema>,
    /// What it imports and exports.
    pub names: Names,
    /// What the standard sections for metadata say. Nobody vouches that it is
    /// what the manifest says.
    pub metadata: Metadata,
    /// Signatures, in the order in which they were made. None is verified yet:
    /// see [`super::Trust`].
    pub signatures: Vec<Signature>,
    /// What the signatures sign.
    pub(super) signed: Digest,
}

/// JSON schemas of a neuron's input and output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schemas {
    /// Of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Of the output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// The manifest section's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Embedded {
    format: u32,
    manifest: Manifest,
    #[serde(default)]
    schemas: Schemas,
}

/// Why a file's own words cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Not a component, or cut off.
    #[error("this is not a WebAssembly component: {0}")]
    NotComponent(String),
    /// The manifest section is not what it should be.
    #[error("its embedded manifest is wrong: {0}")]
    Manifest(String),
    /// See [`SignatureError`].
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// Another file than the one that is wanted.
    #[error("it has the digest {found}, not the pinned {wanted}")]
    Pinned {
        /// Its digest.
        found: Digest,
        /// The one that it should have.
        wanted: Digest,
    },
}

impl Schemas {
    /// Reads the files that a manifest names.
    ///
    /// # Errors
    /// When one cannot be read, is no JSON, or no JSON schema.
    pub fn read(manifest: &Manifest, document: &Document) -> Result<Self, Problems> {
        let mut wrong = Vec::new();
        let mut read = |key: &str, file: &Option<std::path::PathBuf>| {
            let file = file.as_deref()?;
            match schema(document.folder(), file) {
                Ok(schema) => Some(schema),
                Err(error) => {
                    let message = format!("{}: {error}", file.display());
                    wrong.push(document.problem(&["schema", key], message));
                    None
                }
            }
        };
        let schemas = Self {
            input: read("input", &manifest.schema.input),
            output: read("output", &manifest.schema.output),
        };
        Problems::unless_any(wrong, schemas)
    }
}

/// A schema that lies in a project's folder. What lies elsewhere could be a
/// secret of whoever builds a stranger's project, and would leave with it.
fn schema(folder: &Path, file: &Path) -> Result<Value, String> {
    let unreadable = |error: io::Error| format!("cannot read: {error}");
    let path = file::within(folder, file).map_err(unreadable)?;
    let path = path.ok_or("is not in the folder of this file, or below it")?;
    let text = file::read_text(&path, MAX_MANIFEST_BYTES as u64).map_err(unreadable)?;
    let schema: Value =
        serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}"))?;
    Schema::new(&schema).map_err(|error| error.to_string())?;
    Ok(schema)
}

/// A top-level section of a component.
struct Section<'a> {
    /// What kind it is.
    id: u8,
    /// What it holds.
    body: &'a [u8],
    /// The section's name and bytes, if it is a custom one.
    custom: Option<(&'a str, &'a [u8])>,
    /// Where it stands in the file, head included.
    range: Range<usize>,
}

/// Splits a component into its top-level sections; nothing inside is read.
fn sections(wasm: &[u8]) -> Result<Vec<Section<'_>>, PackageError> {
    let not = |words: &str| PackageError::NotComponent(words.to_owned());
    match wasm.get(..PREAMBLE) {
        Some(b"\0asm\x0d\0\x01\0") => {}
        Some(b"\0asm\x01\0\0\0") => return Err(not("it is a core module")),
        _ => return Err(not("it does not start like one")),
    }
    let cut = |error: wasmparser::BinaryReaderError| PackageError::NotComponent(error.to_string());
    let body = wasm.get(PREAMBLE..).unwrap_or_default();
    let mut reader = BinaryReader::new(body, PREAMBLE);
    let mut sections = Vec::new();
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8().map_err(cut)?;
        let size = reader.read_var_u32().map_err(cut)?;
        let body = reader.read_bytes(size as usize).map_err(cut)?;
        let end = reader.original_position();
        let custom = if id == 0 {
            let mut inner = BinaryReader::new(body, end - body.len());
            let name = inner.read_string().map_err(cut)?;
            let rest = inner.bytes_remaining();
            Some((name, inner.read_bytes(rest).map_err(cut)?))
        } else {
            None
        };
        if sections.len() == MAX_SECTIONS {
            return Err(PackageError::NotComponent(format!(
                "it has more than {MAX_SECTIONS} sections"
            )));
        }
        sections.push(Section {
            id,
            body,
            custom,
            range: start..end,
        });
    }
    Ok(sections)
}

/// The sections, and where the signed part ends.
fn parts(wasm: &[u8]) -> Result<(Vec<Section<'_>>, usize), PackageError> {
    let sections = sections(wasm)?;
    let end = signature::end_of_signed(sections.iter().map(|section| {
        let name = section.custom.map(|(name, _)| name);
        (name, section.range.clone())
    }))?;
    Ok((sections, end))
}

impl Package {
    /// Reads what a component says of itself. Nothing of its code is looked at.
    ///
    /// # Errors
    /// When the file is no component, its manifest cannot be read, or its
    /// signatures do not stand at its end. Whether a signature is good is asked
    /// of [`super::Trust`].
    pub fn read(wasm: &[u8]) -> Result<Self, PackageError> {
        Self::read_pinned(wasm, None)
    }

    /// As [`Package::read`], of a file that must have the digest `pinned`. Of
    /// another one nothing is read but where its sections begin and end.
    ///
    /// # Errors
    /// As there; [`PackageError::Pinned`] before all others.
    pub fn read_pinned(wasm: &[u8], pinned: Option<Digest>) -> Result<Self, PackageError> {
        let parts = parts(wasm);
        let end = parts.as_ref().map_or(wasm.len(), |(_, end)| *end);
        let (signed, digest) = Digest::of_start_and_whole(wasm, end);
        if let Some(wanted) = pinned.filter(|pinned| *pinned != digest) {
            return Err(PackageError::Pinned {
                found: digest,
                wanted,
            });
        }
        let (sections, _) = parts?;
        let customs = || sections.iter().filter_map(|section| section.custom);
        let signatures: Vec<_> = customs()
            .filter(|(name, _)| *name == signature::SECTION)
            .take(MAX_SIGNATURES + 1)
            .map(|(_, bytes)| Signature::read(bytes))
            .collect::<Result<_, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(SignatureError::TooMany(MAX_SIGNATURES).into());
        }
        let mut manifests = customs().filter(|(name, _)| *name == MANIFEST);
        let embedded = manifests
            .next()
            .map(|(_, bytes)| manifest(bytes))
            .transpose()?;
        if manifests.next().is_some() {
            return Err(PackageError::Manifest("there is more than one".to_owned()));
        }
        let (manifest, schemas, input) = match embedded {
            Some((embedded, input)) => (Some(embedded.manifest), embedded.schemas, input),
            None => (None, Schemas::default(), None),
        };
        let mut names = Names::default();
        for Section {
            id, body, range, ..
        } in &sections
        {
            names
                .read(*id, body, range.end - body.len())
                .map_err(|error| PackageError::NotComponent(error.to_string()))?;
        }
        if names.are_too_many() {
            let words = "it has more imports or exports than any neuron needs";
            return Err(PackageError::NotComponent(words.to_owned()));
        }
        Ok(Self {
            digest,
            size_bytes: wasm.len(),
            manifest,
            schemas,
            input,
            names,
            metadata: customs().collect(),
            signatures,
            signed,
        })
    }
}

/// The manifest, and its input's schema compiled.
fn manifest(bytes: &[u8]) -> Result<(Embedded, Option<Schema>), PackageError> {
    // It may quote what it complains of.
    let wrong = |text: String| PackageError::Manifest(Plain(&text).to_string());
    if bytes.len() > MAX_MANIFEST_BYTES {
        let size = bytes.len();
        return Err(wrong(format!(
            "it has {size} bytes, at most {MAX_MANIFEST_BYTES} are taken"
        )));
    }
    /// Of any version.
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } =
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    if format != FORMAT {
        return Err(wrong(format!(
            "it has the format {format}, this host reads format {FORMAT}"
        )));
    }
    let embedded: Embedded =
        serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    let told = |keys: &[&str], message: String| Problem {
        file: MANIFEST.to_owned(),
        place: None,
        message: format!("{}: {message}", keys.join(".")),
        help: None,
    };
    if let Some(problem) = embedded.manifest.problems(&told).first() {
        return Err(wrong(problem.message.clone()));
    }
    let compiled = |key: &str, schema: &Option<Value>| {
        let compiled = schema.as_ref().map(Schema::new).transpose();
        compiled.map_err(|error| wrong(format!("schema.{key}: it {error}")))
    };
    let input = compiled("input", &embedded.schemas.input)?;
    compiled("output", &embedded.schemas.output)?;
    Ok((embedded, input))
}

/// Puts a manifest into a component, beside the standard metadata (name,
/// version, description, licenses). What was there of both is replaced;
/// signatures are taken away, because they no longer hold.
///
/// # Errors
/// When `wasm` is no component.
pub fn embed(wasm: &[u8], manifest: &Manifest, schemas: &Schemas) -> Result<Vec<u8>, PackageError> {
    let mut bare = wasm.get(..PREAMBLE).unwrap_or_default().to_vec();
    for section in sections(wasm)? {
        let ours = [MANIFEST, signature::SECTION];
        let replaced = section
            .custom
            .is_some_and(|(name, _)| ours.contains(&name) || METADATA.contains(&name));
        if !replaced {
            bare.extend(wasm.get(section.range).unwrap_or_default());
        }
    }
    let mut metadata = AddMetadata::default();
    metadata.name = AddMetadataField::Set(manifest.id.clone());
    let mut whole = metadata
        .to_wasm(&bare)
        .map_err(|error| PackageError::NotComponent(format!("{error:#}")))?;
    let said = [
        Some(&manifest.version),
        manifest.description.as_ref(),
        manifest.licence.as_ref(),
    ];
    for (name, words) in METADATA.into_iter().zip(said) {
        if let Some(words) = words {
            append(&mut whole, name, words.as_bytes());
        }
    }
    let embedded = Embedded {
        format: FORMAT,
        manifest: manifest.clone(),
        schemas: schemas.clone(),
    };
    let text =
        serde_json::to_vec(&embedded).map_err(|error| PackageError::Manifest(error.to_string()))?;
    append(&mut whole, MANIFEST, &text);
    Ok(whole)
}

/// Adds a custom section at the end.
pub(super) fn append(wasm: &mut Vec<u8>, name: &str, data: &[u8]) {
    use wasm_encoder::{ComponentSection, CustomSection};
    CustomSection {
        name: name.into(),
        data: data.into(),
    }
    .append_to_component(wasm);
}
