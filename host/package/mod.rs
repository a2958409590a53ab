//! A component as a file: what it says of itself, who signed it, what its
//! bytes are.
//!
//! Knows no engine, no network and no host: everything here can be told
//! without running or compiling anything.

mod digest;
mod document;
pub(crate) mod file;
mod grant;
mod http;
mod interface;
mod manifest;
mod metadata;
pub(crate) mod quantity;
mod request;
mod schema;
mod section;
mod signature;
mod structure;

pub(crate) use self::document::heading;
pub use self::{
    digest::{Digest, InvalidDigest},
    document::{Document, Place, Plain, Problem, Problems, schema_of},
    grant::Grant,
    http::{HttpRule, HttpScheme, InvalidHttpRule},
    interface::{CONTRACT, CONTRACT_VERSION, ContractVersion, InterfaceName, Names},
    manifest::{
        Binding, BindingAccess, Emission, FileAccess, FlowTerms, Language, Manifest, Randomness,
        Requests, SchemaFiles, Time, Wishes, is_name,
    },
    metadata::Metadata,
    quantity::{Size, Span, duration, size},
    request::{Unasked, Unused},
    schema::{Checked, InvalidSchema, Misfit, Schema},
    section::{Package, PackageError, Schemas, embed},
    signature::{
        KeyError, Policy, Signature, SignatureError, Trust, generate_key, key_id, public_key,
        read_key, read_public_key, sign,
    },
    structure::{Extent, Spot, StructureError},
};
