//! WASI 0.2 for the neurons that are granted it: everything that a toolchain
//! imports is there, and what is not granted answers "no".
//!
//! Clock, randomness and polls are the host's own (`clocks`, `random`), so
//! that they can be virtual and STOP gets in; files (`files`) are read and
//! written on the guest's own thread, so that no operation outlives its task;
//! requests (`http`) end with the task's store. The rest is `wasmtime-wasi`
//! with an empty context.
//!
//! Every call counts as a host call. Where the trait of an interface lets a
//! call fail, the one too many fails; elsewhere it is counted when the
//! interface's view is made, and the next epoch ends the guest.

mod clocks;
mod files;
mod http;
mod output;
mod random;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::Duration,
};

use wasmtime::component::{HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::{
    FsPerms, WasiCtx, WasiCtxBuilder,
    cli::{WasiCli, WasiCliCtxView},
    filesystem::{WasiFilesystem, WasiFilesystemCtx, WasiFilesystemCtxView},
    p2::bindings::{cli, clocks as wasi_clocks, filesystem, io, random as wasi_random, sockets},
    sockets::{WasiSockets, WasiSocketsCtxView},
};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use self::{
    http::Requests,
    output::{LineCount, Output},
};
use super::{
    environment::LogLevel,
    grants::{Folder, Grants, Wasi},
    guest::{Guest, Log},
    plugin::LoadError,
};
use crate::package::{FileAccess, HttpRule};

/// Resources of WASI that a task may hold at a time: descriptors, streams,
/// pollables, headers.
const HANDLES: usize = 1_000;

/// Bytes that one call reads or writes at most.
const CHUNK: usize = 64 << 10;

/// Bytes of all headers of one request, counted as the host holds them.
const HEADER_BYTES: usize = 32 << 10;

/// What a plugin's tasks have in common: opened and checked when it is loaded.
pub(super) struct Prepared {
    folders: WasiFilesystemCtx,
    environment: Vec<(String, String)>,
    rules: Arc<[HttpRule]>,
}

impl Prepared {
    /// Opens the folders; from here on the host's paths do not matter. What
    /// cannot be granted is told one by one.
    pub(super) fn new(wasi: &Wasi, unusable: &mut Vec<LoadError>) -> Arc<Self> {
        let mut builder = WasiCtxBuilder::new();
        builder.allow_blocking_current_thread(true);
        let mut seen = Vec::new();
        for folder in &wasi.folders {
            let twice = seen.contains(&&folder.guest);
            seen.push(&folder.guest);
            if let Err(why) = open(&mut builder, folder, twice) {
                unusable.push(LoadError::Folder {
                    host: folder.host.display().to_string(),
                    guest: folder.guest.clone(),
                    why,
                });
            }
        }
        for (name, value) in &wasi.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                unusable.push(LoadError::Variable(name.clone()));
            }
        }
        Arc::new(Self {
            folders: builder.build().filesystem().clone(),
            environment: wasi.environment.clone().into_iter().collect(),
            rules: wasi.http.as_slice().into(),
        })
    }
}

/// Opens a folder for a guest; `twice`, where it has one of that path already.
fn open(builder: &mut WasiCtxBuilder, folder: &Folder, twice: bool) -> Result<(), String> {
    if !folder.guest.starts_with('/') || folder.guest.contains('\0') {
        return Err("the guest's path must start with `/`".to_owned());
    }
    if twice {
        return Err("another folder has that path already".to_owned());
    }
    let access = match folder.access {
        FileAccess::Read => FsPerms::ReadOnly,
        FileAccess::ReadWrite => FsPerms::ReadWrite,
    };
    let opened = builder.preopened_dir(&folder.host, &folder.guest, access);
    opened.map(drop).map_err(|error| error.to_string())
}

/// Where a guest keeps its [`State`].
pub(super) struct Slot {
    prepared: Option<Arc<Prepared>>,
    state: Option<Box<State>>,
}

impl Slot {
    pub(super) fn new(prepared: Option<Arc<Prepared>>) -> Self {
        let state = None;
        Self { prepared, state }
    }
}

/// What one task reaches through WASI.
struct State {
    /// Dropped first: no request outlives the task, whatever the table holds.
    requests: Requests,
    ctx: WasiCtx,
    http: WasiHttpCtx,
    /// Its own, smaller than the contract's.
    table: ResourceTable,
    lines: LineCount,
    /// Deadlines of the timers among the pollables.
    timers: HashMap<u32, Duration>,
    /// Files and folders that are open, as long as they are.
    open: Vec<Weak<std::fs::File>>,
    /// Handles of listings that were begun.
    listings: Vec<u32>,
}

impl State {
    fn new(prepared: Option<&Prepared>, log: &Log) -> Self {
        let lines = LineCount::default();
        let output = |stream, level| Output::new(log, stream, level, &lines);
        let mut builder = WasiCtxBuilder::new();
        builder.stdout(output("stdout", LogLevel::Info));
        builder.stderr(output("stderr", LogLevel::Warn));
        builder.max_random_size(0);
        if let Some(prepared) = prepared {
            builder.envs(&prepared.environment);
        }
        let mut ctx = builder.build();
        if let Some(prepared) = prepared {
            *ctx.filesystem() = prepared.folders.clone();
        }
        let rules = prepared.map(|prepared| Arc::clone(&prepared.rules));
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(HEADER_BYTES);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            requests: Requests::new(rules.unwrap_or_default(), log.clone()),
            ctx,
            http,
            table,
            lines,
            timers: HashMap::new(),
            open: Vec::new(),
            listings: Vec::new(),
        }
    }

    fn files(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: self.ctx.filesystem(),
            table: &mut self.table,
        }
    }
}

impl Guest {
    fn wasi(&mut self) -> &mut State {
        let Self { wasi, log, .. } = self;
        let Slot { prepared, state } = wasi;
        state.get_or_insert_with(|| Box::new(State::new(prepared.as_deref(), log)))
    }

    /// The state for one call. What it has written to the log since the last
    /// one counts too: one call can write many lines.
    fn wasi_call(&mut self) -> &mut State {
        let lines = self.wasi().lines.take();
        self.count(1 + lines);
        self.wasi()
    }

    fn cli(&mut self) -> WasiCliCtxView<'_> {
        let state = self.wasi_call();
        WasiCliCtxView {
            ctx: state.ctx.cli(),
            table: &mut state.table,
        }
    }

    fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        let state = self.wasi_call();
        WasiSocketsCtxView {
            ctx: state.ctx.sockets(),
            table: &mut state.table,
        }
    }

    fn preopened(&mut self) -> WasiFilesystemCtxView<'_> {
        self.wasi_call().files()
    }

    fn table(&mut self) -> &mut ResourceTable {
        &mut self.wasi_call().table
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let state = self.wasi_call();
        WasiHttpCtxView {
            hooks: &mut state.requests,
            table: &mut state.table,
            ctx: &mut state.http,
        }
    }
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Adds WASI to a linker, and HTTP only with a rule for it.
pub(super) fn link(linker: &mut Linker<Guest>, wasi: &Wasi) -> wasmtime::Result<()> {
    type Own = HasSelf<Guest>;
    fn own(guest: &mut Guest) -> &mut Guest {
        guest
    }
    let l = linker;
    io::error::add_to_linker::<Guest, HasTable>(l, Guest::table)?;
    io::streams::add_to_linker::<Guest, HasTable>(l, Guest::table)?;
    io::poll::add_to_linker::<Guest, Own>(l, own)?;
    wasi_clocks::wall_clock::add_to_linker::<Guest, Own>(l, own)?;
    wasi_clocks::monotonic_clock::add_to_linker::<Guest, Own>(l, own)?;
    wasi_random::random::add_to_linker::<Guest, Own>(l, own)?;
    wasi_random::insecure::add_to_linker::<Guest, Own>(l, own)?;
    wasi_random::insecure_seed::add_to_linker::<Guest, Own>(l, own)?;
    filesystem::types::add_to_linker::<Guest, Own>(l, own)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(l, Guest::preopened)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    link_sockets(l)?;
    if wasi.http.is_empty() {
        return Ok(());
    }
    http::link(l)
}

/// Sockets are there to be refused: a context without leave creates none.
fn link_sockets(l: &mut Linker<Guest>) -> wasmtime::Result<()> {
    use sockets::network::LinkOptions;
    sockets::network::add_to_linker::<Guest, WasiSockets>(
        l,
        &LinkOptions::default(),
        Guest::sockets,
    )?;
    sockets::instance_network::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::tcp::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::udp::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::udp_create_socket::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<Guest, WasiSockets>(l, Guest::sockets)
}

/// The packages that [`link`] offers.
const PACKAGES: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];

/// Whether an import of WASI, named without `wasi:`, is granted.
pub(super) fn check_import(name: &str, grants: &Grants) -> Result<(), LoadError> {
    let import = || format!("wasi:{name}");
    let unknown = || LoadError::UnknownImport(import());
    let (package, rest) = name.split_once('/').ok_or_else(unknown)?;
    let http = package == "http";
    if !http && !PACKAGES.contains(&package) {
        return Err(unknown());
    }
    let (_, version) = rest.split_once('@').ok_or_else(unknown)?;
    if !version.starts_with("0.2.") {
        return Err(LoadError::WasiVersion(import()));
    }
    match grants.wasi() {
        Some(wasi) if http && wasi.http.is_empty() => Err(LoadError::HttpNotGranted(import())),
        Some(_) => Ok(()),
        None if http => Err(LoadError::HttpNotGranted(import())),
        None => Err(LoadError::WasiNotGranted(import())),
    }
}
