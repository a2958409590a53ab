//! The invariants of the house, checked on its source text: what is not allowed
//! is not there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The rooms, lowest first.
const ROOMS: [&str; 14] = [
    "signal",
    "clock",
    "synapse",
    "engram",
    "package",
    "neuron",
    "tenant",
    "orchestration",
    "rehearsal",
    "flow",
    "host",
    "registry",
    "deployment",
    "cli",
];

/// A source file below `host/`, without comments and unit tests.
struct Source {
    path: String,
    code: String,
}

impl Source {
    /// The room it belongs to; none for `lib.rs` and `main.rs`.
    fn room(&self) -> Option<&'static str> {
        let first = self.path.split(['/', '.']).next().unwrap();
        ROOMS.into_iter().find(|room| *room == first)
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// All of `host/`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("host");
    let mut paths = Vec::new();
    files_below(&root, &mut paths);
    paths.sort();
    let sources = paths.iter().map(|path| Source {
        path: path.strip_prefix(&root).unwrap().display().to_string(),
        code: code_of(&fs::read_to_string(path).unwrap()),
    });
    let is_test =
        |source: &Source| source.path.ends_with("tests.rs") || source.path.contains("/tests/");
    sources.filter(|source| !is_test(source)).collect()
}

/// Text without comments, up to its unit tests, which are at the bottom.
fn code_of(text: &str) -> String {
    let product = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = product.lines().map(|line| {
        let comment = line.find("//").filter(|at| !line[..*at].ends_with(':'));
        comment.map_or(line, |at| &line[..at])
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The first names of all paths that begin with `crate::`, groups included.
fn names_of_this_crate(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, start) in code.match_indices("crate::") {
        let path = &code[at + start.len()..];
        match path.strip_prefix('{') {
            Some(group) => names.extend(heads(group)),
            None => names.extend(name(path)),
        }
    }
    names
}

fn name(path: &str) -> Option<String> {
    let end = path.find(|c: char| !c.is_alphanumeric() && c != '_');
    let name = &path[..end.unwrap_or(path.len())];
    (!name.is_empty()).then(|| name.to_owned())
}

/// The first name of each path of a group, up to the brace that closes it.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut expected = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expected = true,
            c if expected && !c.is_whitespace() => {
                heads.extend(name(&group[at..]));
                expected = false;
            }
            _ => {}
        }
    }
    heads
}

/// A re-export of the crate's root belongs to the room that it comes from.
fn room_of(name: &str) -> Option<&'static str> {
    let name = match name {
        "Host" | "HostBuilder" | "HostError" | "TenantError" => "host",
        other => other,
    };
    ROOMS.into_iter().find(|room| *room == name)
}

#[test]
fn a_room_uses_only_rooms_before_it_so_nothing_imports_the_cli() {
    let place = |room: &str| ROOMS.iter().position(|one| *one == room).unwrap();
    let mut wrong = Vec::new();
    let mut uses = 0;
    for source in sources() {
        let Some(room) = source.room() else { continue };
        for name in names_of_this_crate(&source.code) {
            let Some(used) = room_of(&name) else {
                panic!(
                    "{}: `crate::{name}` is no room that this test knows",
                    source.path
                )
            };
            uses += 1;
            if place(used) > place(room) {
                wrong.push(format!("{} uses {used}", source.path));
            }
        }
        // The other way out of a room.
        let depth = source.path.matches('/').count();
        let way_out = "super::".repeat(depth + 1);
        if source.code.contains(&way_out) {
            wrong.push(format!("{} leaves its room by super", source.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        uses > 100,
        "only {uses} uses found: the test does not read the sources"
    );
}

#[test]
fn every_folder_of_the_host_is_a_room_in_the_order_that_lib_rs_tells() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("host");
    let text = fs::read_to_string(root.join("lib.rs")).unwrap();
    let table = text
        .lines()
        .filter_map(|line| line.strip_prefix("//! | [`"));
    let told: Vec<_> = table.map(|row| row.split('`').next().unwrap()).collect();
    let expected: Vec<_> = ROOMS.into_iter().filter(|room| *room != "cli").collect();
    assert_eq!(told, expected);
    for entry in fs::read_dir(&root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.trim_end_matches(".rs");
        let known = ROOMS.contains(&name) || ["lib", "main"].contains(&name);
        assert!(known, "host/{name} is no room");
    }
}

/// Files that hold one of `words` as a whole word, outside `allowed`.
fn holding(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let has = |code: &str, word: &str| {
        code.match_indices(word).any(|(at, _)| {
            let before = code[..at].chars().next_back();
            let after = code[at + word.len()..].chars().next();
            !before.is_some_and(is_word)
                && !after.is_some_and(|c| is_word(c) && !word.ends_with(':'))
        })
    };
    let mut found = Vec::new();
    for source in sources().iter().filter(|source| !source.is_in(allowed)) {
        for word in words.iter().filter(|word| has(&source.code, word)) {
            found.push(format!("{}: {word}", source.path));
        }
    }
    found
}

#[test]
fn only_the_neuron_room_names_the_engine() {
    // In the bench's text it is a column's heading.
    let found = holding(&["wasmtime::", "use wasmtime"], &["neuron"]);
    assert!(found.is_empty(), "{found:#?}");
    assert!(!holding(&["wasmtime::"], &[]).is_empty());
}

#[test]
fn only_the_registry_room_speaks_http_to_registries() {
    let found = holding(&["reqwest::", "use reqwest", "http_auth::"], &["registry"]);
    assert!(found.is_empty(), "{found:#?}");
    assert!(!holding(&["reqwest::"], &[]).is_empty());
}

#[test]
fn no_room_but_the_clock_reads_the_time_or_draws_at_random() {
    let sources_of_time = [
        "SystemTime",
        "Instant",
        "rand::",
        "OsRng",
        "thread_rng",
        "tokio::time::",
    ];
    // The baseline is the raw engine beside ours: it shares nothing with it.
    let found = holding(&sources_of_time, &["clock", "neuron/baseline.rs"]);
    assert!(found.is_empty(), "{found:#?}");
    assert!(!holding(&sources_of_time, &[]).is_empty());
}

#[test]
fn json_text_exists_only_at_the_edges() {
    let text = [
        "serde_json::from_str",
        "serde_json::from_slice",
        "serde_json::to_string",
        "serde_json::to_vec",
    ];
    let edges = [
        // The wire.
        "signal",
        // What a component file carries.
        "package",
        // What crosses to a guest: the contract speaks JSON text.
        "neuron",
        "orchestration/guest.rs",
        // A guest's log line.
        "orchestration/context.rs",
        // Case files.
        "rehearsal",
        // Flow documents and checkpoints are files.
        "flow",
        // Manifests on the registries' wire, and the file of credentials.
        "registry",
        // People and their files.
        "cli",
    ];
    let found = holding(&text, &edges);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn work_is_spawned_only_where_a_trace_or_the_host_owns_it() {
    let spawns = ["spawn", "spawn_blocking", "spawn_local"];
    let owners = [
        // A task, entered into its trace.
        "orchestration/dispatch.rs",
        // A STOP, and a commit that nobody waits for.
        "orchestration/stop.rs",
        "orchestration/trace.rs",
        // The host's own: its runtimes' work, the engine's pulse, the timers.
        "host.rs",
        "neuron/engine.rs",
        "clock/timer.rs",
        // A compiler's process, which ends before the load that waits for it.
        "neuron/compiler/process.rs",
        // What runs beside the host: the raw engine, and callers of the bench
        // and the demo.
        "neuron/baseline.rs",
        "cli",
    ];
    let found = holding(&spawns, &owners);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_lint_that_keeps_panics_away_is_turned_off() {
    let lints = [
        "clippy::unwrap_used",
        "clippy::expect_used",
        "clippy::panic",
        "clippy::indexing_slicing",
        "clippy::unreachable",
        "clippy::await_holding_lock",
    ];
    let found = holding(&lints, &[]);
    assert!(found.is_empty(), "{found:#?}");
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let manifest = manifest.unwrap();
    for lint in lints {
        let denied = format!("{} = \"deny\"", lint.trim_start_matches("clippy::"));
        assert!(manifest.contains(&denied), "{lint} is not denied");
    }
}
