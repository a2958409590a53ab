//! Loading a component: what it asks for against what it is granted, in words,
//! before any of its code runs.

use std::{fmt, io::Read, path::Path, sync::Arc};

use wasmtime::{
    Engine,
    component::{HasSelf, InstancePre, Linker, types::ComponentItem},
    error::Context as _,
};

use super::{
    Compiled, SandboxError,
    compiler::CompileError,
    contract::{self, OrchestratorPre},
    engine::Metering,
    grants::{Grants, Interface},
    guest::Guest,
    wasi,
};
use crate::package::{Digest, Extent, InterfaceName, Package, Randomness, StructureError, Time};

/// Why a component was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path as given.
        path: String,
        /// Cause.
        source: std::io::Error,
    },
    /// Larger than any neuron may be.
    #[error("the component has more than the {limit} bytes that this host takes")]
    TooLarge {
        /// The bound.
        limit: u64,
    },
    /// A core module.
    #[error(
        "this is a core WebAssembly module, not a component; link it with wasm-component-ld \
         or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Not WebAssembly.
    #[error(
        "this is not a WebAssembly component: it does not start with `\\0asm` and the component layer's version"
    )]
    NotWasm,
    /// Larger, deeper or stranger than what toolchains make.
    #[error(transparent)]
    Structure(#[from] StructureError),
    /// It could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Invalid, or uses a feature that is off.
    #[error("the component is invalid: {0}")]
    Invalid(String),
    /// An import outside the contract.
    #[error("the component imports `{0}`, which this host does not offer")]
    UnknownImport(String),
    /// An import inside the contract without leave.
    #[error("the component imports `{import}`, which is not granted; grant `{}` or build it without", .interface.name())]
    NotGranted {
        /// The import as the component names it.
        import: String,
        /// The grant that is missing.
        interface: Interface,
    },
    /// WASI without leave.
    #[error(
        "the component imports `{0}`, which is not granted; grant `wasi` (without folders, \
         environment and http rules it reaches none) or build it without"
    )]
    WasiNotGranted(String),
    /// WASI's HTTP without leave, or with leave for no request at all.
    #[error(
        "the component imports `{0}`, which is not granted; grant `http` with a rule for each \
         host that it may reach, or build it without"
    )]
    HttpNotGranted(String),
    /// Another WASI.
    #[error("the component imports `{0}`; of WASI this host offers 0.2")]
    WasiVersion(String),
    /// A granted folder that cannot be had.
    #[error("the folder {host} cannot be granted as `{guest}`: {why}")]
    Folder {
        /// On the host, as given.
        host: String,
        /// As the guest would see it.
        guest: String,
        /// What is wrong.
        why: String,
    },
    /// A granted environment variable that no environment can hold.
    #[error(
        "`{0}` and its value cannot be granted as environment variable: a name has no `=`, neither has a NUL"
    )]
    Variable(String),
    /// Built for another contract version.
    #[error(
        "the component was built for {PACKAGE}@{needed} (its `{name}`), this host offers {offered}; \
         rebuild it against a {major}.{minor}.x contract up to {offered}",
        PACKAGE = contract::PACKAGE,
        offered = contract::VERSION,
        major = contract::VERSION.0,
        minor = contract::VERSION.1
    )]
    Version {
        /// The import or export that names the version.
        name: String,
        /// That version.
        needed: String,
    },
    /// It offers no handler.
    #[error(
        "the component exports no `soma:neuron/handler@{}`: it is no neuron",
        contract::VERSION
    )]
    NoHandler,
    /// The engine that it asks for cannot be started.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Its imports or exports have other types than the contract.
    #[error("the component does not fit the contract: {0}")]
    Mismatch(String),
}

/// A component that passed all checks, compiled and linked; instances of it
/// are made per task.
pub struct Plugin {
    pub(super) pre: OrchestratorPre<Guest>,
    metering: Metering,
    digest: Digest,
    imports: Vec<String>,
    size: u64,
    time: Time,
    randomness: Randomness,
    wasi: Option<Arc<wasi::Prepared>>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin")
            .field("digest", &self.digest.to_string())
            .field("imports", &self.imports)
            .finish_non_exhaustive()
    }
}

impl Plugin {
    /// Most bytes of a component file.
    pub const MAX_BYTES: u64 = Extent::MOST.bytes;

    /// Identity of the component's bytes.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The imports as the component names them.
    pub fn imports(&self) -> &[String] {
        &self.imports
    }

    /// Whether its instructions are counted.
    pub fn metering(&self) -> Metering {
        self.metering
    }

    /// Bytes of the component file.
    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    pub(super) fn time(&self) -> Time {
        self.time
    }

    pub(super) fn randomness(&self) -> Randomness {
        self.randomness
    }

    pub(super) fn wasi(&self) -> Option<&Arc<wasi::Prepared>> {
        self.wasi.as_ref()
    }

    /// Everything about a component's imports and exports that keeps this host
    /// from running it under these grants. Tells it by their names alone,
    /// without compiling: what only their types show is found when it is loaded.
    pub fn misfits(package: &Package, grants: &Grants) -> Vec<LoadError> {
        let names = &package.names;
        let imports = names.imports.iter();
        let mut misfits: Vec<_> = imports
            .filter_map(|name| check_import(name, grants).err())
            .collect();
        misfits.extend(check_exports(names.exports.iter().map(String::as_str)).err());
        misfits
    }

    /// Reads a component file, not more of it than a neuron may have.
    ///
    /// # Errors
    /// When it cannot be read or is too large.
    pub fn read(path: &Path) -> Result<Vec<u8>, LoadError> {
        let unreadable = |source| LoadError::Read {
            path: path.display().to_string(),
            source,
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let room = usize::try_from(size.min(Self::MAX_BYTES)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(room + 1);
        // Bounded by what is read, whatever the file says of its size.
        file.take(Self::MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        Self::check_size(bytes.len() as u64)?;
        Ok(bytes)
    }

    fn check_size(bytes: u64) -> Result<(), LoadError> {
        if bytes > Self::MAX_BYTES {
            let limit = Self::MAX_BYTES;
            return Err(LoadError::TooLarge { limit });
        }
        Ok(())
    }

    /// Checks that need no compilation: the size, and whether the bytes begin
    /// as a component does.
    ///
    /// # Errors
    /// Says what it is instead.
    pub fn check_form(wasm: &[u8]) -> Result<(), LoadError> {
        Self::check_size(wasm.len() as u64)?;
        match wasm.get(..8) {
            Some(b"\0asm\x0d\0\x01\0") => Ok(()),
            Some(b"\0asm\x01\0\0\0") => Err(LoadError::CoreModule),
            _ => Err(LoadError::NotWasm),
        }
    }

    /// Checks a compiled component's imports and exports, and links it to what
    /// it is granted and nothing else.
    pub(super) fn link(
        engine: &Engine,
        compiled: &Compiled,
        grants: &Grants,
    ) -> Result<Arc<Self>, LoadError> {
        let component = &compiled.component;
        let ty = component.component_type();
        let mut imports = Vec::new();
        for (name, _) in ty.imports(engine) {
            check_import(name, grants)?;
            imports.push(name.to_owned());
        }
        let handler = check_exports(ty.exports(engine).map(|(name, _)| name))?;
        let pre = linker(engine, grants)
            .and_then(|linker| linker.instantiate_pre(component))
            .and_then(|pre| check_handler(&pre, handler).map(|()| pre))
            .and_then(OrchestratorPre::new)
            .map_err(|error| LoadError::Mismatch(format!("{error:#}")))?;
        let mut unusable = Vec::new();
        let wasi = grants.wasi();
        let wasi = wasi.map(|wasi| wasi::Prepared::new(wasi, &mut unusable));
        if let Some(error) = unusable.into_iter().next() {
            return Err(error);
        }
        Ok(Arc::new(Self {
            pre,
            metering: compiled.metering,
            digest: compiled.digest,
            imports,
            size: compiled.size,
            time: grants.time(),
            randomness: grants.randomness(),
            wasi,
        }))
    }
}

impl Grants {
    /// Everything of it that cannot be had: folders that cannot be opened, and
    /// variables that no environment can hold.
    pub fn unusable(&self) -> Vec<LoadError> {
        let mut unusable = Vec::new();
        if let Some(wasi) = self.wasi() {
            drop(wasi::Prepared::new(wasi, &mut unusable));
        }
        unusable
    }
}

/// A linker with the granted interfaces and no more: what is not granted could
/// not be called even if the check of the names failed.
fn linker(engine: &Engine, grants: &Grants) -> wasmtime::Result<Linker<Guest>> {
    type State = HasSelf<Guest>;
    let mut linker = Linker::new(engine);
    contract::types::add_to_linker::<_, State>(&mut linker, |guest| guest)?;
    for interface in Interface::ALL.into_iter().filter(|i| grants.has(*i)) {
        match interface {
            Interface::Engram => {
                contract::engram::add_to_linker::<_, State>(&mut linker, |guest| guest)?;
            }
            Interface::Synapse => {
                contract::synapse::add_to_linker::<_, State>(&mut linker, |guest| guest)?;
            }
            Interface::Orchestration => {
                contract::orchestration::add_to_linker::<_, State>(&mut linker, |guest| guest)?;
            }
            Interface::Clock => {
                contract::clock::add_to_linker::<_, State>(&mut linker, |guest| guest)?;
            }
            Interface::Log => {
                contract::log::add_to_linker::<_, State>(&mut linker, |guest| guest)?;
            }
            Interface::Random => {
                contract::random::add_to_linker::<_, State>(&mut linker, |guest| guest)?;
            }
        }
    }
    if let Some(granted) = grants.wasi() {
        wasi::link(&mut linker, granted)?;
    }
    Ok(linker)
}

fn check_import(name: &str, grants: &Grants) -> Result<(), LoadError> {
    if let Some(name) = name.strip_prefix("wasi:") {
        return wasi::check_import(name, grants);
    }
    let unknown = || LoadError::UnknownImport(name.to_owned());
    let parts = InterfaceName::of_contract(name).ok_or_else(unknown)?;
    check_version(name, parts.version)?;
    if parts.interface == "types" {
        return Ok(());
    }
    let interface = parts
        .interface
        .parse::<Interface>()
        .map_err(|_| unknown())?;
    if grants.has(interface) {
        Ok(())
    } else {
        Err(LoadError::NotGranted {
            import: name.to_owned(),
            interface,
        })
    }
}

/// Toolchains add exports of their own; only the handler counts. Returns its
/// full name.
fn check_exports<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<&'a str, LoadError> {
    let handler = names.find_map(|name| {
        let parts = InterfaceName::of_contract(name)?;
        (parts.interface == "handler").then_some((name, parts.version))
    });
    let (name, version) = handler.ok_or(LoadError::NoHandler)?;
    check_version(name, version)?;
    Ok(name)
}

/// The type of the handler's function; left alone, the generated bindings look
/// at it only when a task has made an instance.
fn check_handler<T>(pre: &InstancePre<T>, handler: &str) -> wasmtime::Result<()> {
    type Params<'a> = (&'a contract::types::Task,);
    type Results = (Result<contract::types::Reply, contract::types::Failure>,);
    let component = pre.component();
    let instance = component.get_export(None, handler);
    let function = instance.and_then(|(_, handler)| component.get_export(Some(&handler), "handle"));
    match function {
        Some((ComponentItem::ComponentFunc(handle), _)) => handle
            .typecheck::<Params<'_>, Results>(&pre.instance_type())
            .with_context(|| format!("`handle` of `{handler}` has the wrong type")),
        _ => wasmtime::bail!("`{handler}` has no function `handle`"),
    }
}

fn check_version(name: &str, needed: &str) -> Result<(), LoadError> {
    if contract::VERSION.runs(needed) {
        Ok(())
    } else {
        Err(LoadError::Version {
            name: name.to_owned(),
            needed: needed.to_owned(),
        })
    }
}
