//! The Archivist: a visitor asks for a book and gets exactly one response,
//! whatever fails on the way. See `examples/archivist/README.md`.
//!
//! `cargo xtask neurons`, then
//! `cargo run --example archivist -- "a book about whaling and obsession"`, or
//! `cargo run --example archivist -- composer-down validator-always-no` for
//! scripted situations; without words it lists them.

#[path = "archivist/scenario.rs"]
mod scenario;

use std::{env, fs, path::Path};

use scenario::{Library, Result, Scenario};
use serde_json::json;
use soma::Host;

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let scenarios = root.join("examples/archivist/scenarios");
    let words: Vec<_> = env::args().skip(1).collect();
    if words.is_empty() {
        println!("ask for a book, or name some of these situations:");
        let mut names = Vec::new();
        for entry in fs::read_dir(&scenarios)? {
            let path = entry?.path();
            if path.extension().is_some_and(|end| end == "json") {
                let about = Scenario::read(&path)?.about;
                let name = path.file_stem().unwrap_or_default().to_string_lossy();
                names.push(format!("  {name:<30} {about}"));
            }
        }
        names.sort();
        println!("{}", names.join("\n"));
        return Ok(());
    }
    let host = Host::builder()
        .code_cache(root.join("target/code"))
        .build()?;
    let library = Library::open(&host)?;
    for word in words {
        let file = scenarios.join(&word).with_extension("json");
        let scenario = if file.exists() {
            Scenario::read(&file)?
        } else {
            serde_json::from_value(json!({"about": word, "input": {"query": word}}))?
        };
        let library = library.clone();
        let trace = host.run(async move { library.play(&scenario).await })?;
        println!("{trace}");
    }
    Ok(())
}
