//! A component as a file: what it says of itself, who signed it, what its
//! bytes are.
//!
//! Knows no engine, no network and no host: everything here can be told
//! without running or compiling anything.

mod digest;
mod document;
mod http;
mod manifest;
pub(crate) mod quantity;
mod section;
mod signature;
mod structure;

pub use self::{
    digest::{Digest, InvalidDigest},
    document::{Document, Place, Problem, Problems, schema_of},
    http::{HttpRule, HttpScheme, InvalidHttpRule},
    manifest::{
        Binding, BindingAccess, Emission, FileAccess, Language, Manifest, Randomness, Requests,
        SchemaFiles, Time, Wishes, is_name,
    },
    quantity::{Size, Span, duration, size},
    section::{Package, PackageError, Schemas, embed},
    signature::{
        KeyError, Policy, Signature, SignatureError, Trust, generate_key, public_key, read_key,
        read_public_key, sign,
    },
    structure::{Extent, Spot, StructureError},
};
