//! The compiled code that a host keeps.

use std::time::SystemTime;

use super::*;

/// An empty directory of the test's own.
pub(super) fn fresh_directory(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    path
}

fn host_with_cache(directory: &Path) -> Host {
    Host::builder()
        .instances(8)
        .workers(1)
        .code_cache(directory)
        .build()
        .unwrap()
}

/// Loads a small neuron in a host of its own and runs it.
fn load_and_run(directory: &Path) -> Arc<Plugin> {
    let host = host_with_cache(directory);
    let stage = Stage::new(&host, "acme");
    let healthy = plugin_of_text(&host, &hostile_text("healthy"));
    stage
        .tenant
        .register(stage.puppet("healthy", Arc::clone(&healthy)));
    run(&host, async move {
        assert!(ends(&stage, "healthy", json!({})).await.is_output());
    });
    healthy
}

/// The cached code of a plugin.
pub(super) fn code_of(directory: &Path, plugin: &Plugin) -> PathBuf {
    let digest = plugin.digest().to_string().replace("sha256:", "");
    let files = fs::read_dir(directory).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    let is_code = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&digest) && name.ends_with(".cwasm")
    };
    paths.find(is_code).unwrap()
}

#[test]
fn compiled_code_is_kept_private_and_the_second_load_takes_it_from_there() {
    let directory = fresh_directory("cache-hit");
    let plugin = load_and_run(&directory);
    let code = code_of(&directory, &plugin);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&code), 0o600);
    assert_eq!(mode(&directory.join("key")), 0o600);
    // A miss would put a new file into place.
    let before = fs::metadata(&code).unwrap();
    load_and_run(&directory);
    let after = fs::metadata(&code).unwrap();
    assert_eq!(before.ino(), after.ino());
}

#[test]
fn tampered_code_is_never_loaded_but_compiled_anew() {
    let directory = fresh_directory("cache-tampered");
    let plugin = load_and_run(&directory);
    let code = code_of(&directory, &plugin);
    let good = fs::read(&code).unwrap();
    let tag = code.with_extension("tag");
    let good_tag = fs::read(&tag).unwrap();
    let flip = |bytes: &[u8], place: usize| {
        let mut bytes = bytes.to_vec();
        bytes[place] ^= 1;
        bytes
    };
    let cases = [
        (flip(&good, good.len() / 2), good_tag.clone()),
        (flip(&good, good.len() - 1), good_tag.clone()),
        (good[..good.len() / 2].to_vec(), good_tag.clone()),
        (Vec::new(), good_tag.clone()),
        (good.clone(), flip(&good_tag, 0)),
        (good.clone(), Vec::new()),
    ];
    for (bad, bad_tag) in cases {
        fs::write(&code, bad).unwrap();
        fs::write(&tag, bad_tag).unwrap();
        let before = fs::metadata(&code).unwrap().ino();
        load_and_run(&directory);
        assert_ne!(fs::metadata(&code).unwrap().ino(), before, "it was loaded");
        // What is there now is good again.
        let mended = fs::metadata(&code).unwrap().ino();
        load_and_run(&directory);
        assert_eq!(fs::metadata(&code).unwrap().ino(), mended);
    }
    fs::remove_file(&tag).unwrap();
    load_and_run(&directory);
    assert!(tag.exists());
}

#[test]
fn code_that_another_host_signed_is_not_loaded() {
    let (ours, theirs) = (
        fresh_directory("cache-ours"),
        fresh_directory("cache-theirs"),
    );
    let plugin = load_and_run(&ours);
    load_and_run(&theirs);
    let (code, foreign) = (code_of(&ours, &plugin), code_of(&theirs, &plugin));
    fs::copy(foreign.with_extension("tag"), code.with_extension("tag")).unwrap();
    fs::copy(&foreign, &code).unwrap();
    let before = fs::metadata(&code).unwrap().ino();
    load_and_run(&ours);
    assert_ne!(fs::metadata(&code).unwrap().ino(), before, "it was loaded");
}

#[test]
fn code_of_one_component_is_not_loaded_for_another() {
    let directory = fresh_directory("cache-swapped");
    let healthy = load_and_run(&directory);
    let host = host_with_cache(&directory);
    let divides = plugin_of_text(&host, &hostile_text("divides_by_zero"));
    let (wanted, other) = (code_of(&directory, &healthy), code_of(&directory, &divides));
    fs::copy(other.with_extension("tag"), wanted.with_extension("tag")).unwrap();
    fs::copy(&other, &wanted).unwrap();
    // It would divide by zero.
    load_and_run(&directory);
}

#[test]
fn a_cache_that_others_may_write_to_is_refused() {
    let directory = fresh_directory("cache-shared");
    fs::create_dir(&directory).unwrap();
    for mode in [0o777, 0o770, 0o702] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
        let built = Host::builder().instances(8).code_cache(&directory).build();
        let told = built.unwrap_err().to_string();
        assert!(
            told.starts_with("the compiled-code cache cannot be used"),
            "{told}"
        );
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    load_and_run(&directory);
}

#[test]
fn hosts_that_open_one_cache_at_the_same_moment_share_its_key() {
    let directory = fresh_directory("cache-race");
    let hosts: Vec<_> = (0..8)
        .map(|_| {
            let directory = directory.clone();
            std::thread::spawn(move || drop(load_and_run(&directory)))
        })
        .collect();
    for host in hosts {
        host.join().unwrap();
    }
    let left = fs::read_dir(&directory).unwrap().count();
    // The key, and code and tag of puppet and neuron.
    assert_eq!(left, 5, "files were left behind");
}

/// Sets when a file was used last: so many hours after some moment.
fn used_at(path: &Path, hours: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + hours * 3_600);
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[test]
fn what_was_not_used_for_longest_is_deleted_when_there_is_too_much() {
    let directory = fresh_directory("cache-bound");
    let wasm = |name: &str| wat::parse_str(hostile_text(name)).unwrap();
    let load = |host: &Host, name: &str| {
        let loaded = host.load(&wasm(name), &common::all_grants(), Metering::Fuel);
        loaded.unwrap()
    };
    let names = ["healthy", "divides_by_zero", "start_traps"];
    let roomy = host_with_cache(&directory);
    let plugins = names.map(|name| load(&roomy, name));
    let codes = plugins.map(|plugin| code_of(&directory, &plugin));
    let there = || [0, 1, 2].map(|place: usize| codes[place].exists());
    assert_eq!(there(), [true; 3]);
    // What a host left that was killed while it wrote.
    let half = directory.join("0123456789abcdef.new");
    fs::write(&half, [0; 1_000]).unwrap();
    used_at(&half, 0);
    for (hours, code) in (1..).zip(&codes) {
        used_at(code, hours);
    }
    // Its use makes the first one the youngest.
    load(&roomy, names[0]);

    let bytes: u64 = codes
        .iter()
        .map(|code| fs::metadata(code).unwrap().len())
        .sum();
    let bound = |most_bytes: u64| {
        let builder = Host::builder()
            .instances(8)
            .workers(1)
            .code_cache(&directory);
        builder.code_cache_bytes(most_bytes).build().unwrap()
    };
    // Room for all but one, and a fourth that is no larger.
    fs::remove_file(&codes[2]).unwrap();
    let narrow = bound(bytes - 1);
    let third = load(&narrow, names[2]);
    assert_eq!(there(), [true, false, true]);
    assert!(!half.exists() && !codes[1].with_extension("tag").exists());
    // Room for none: what is fresh stays all the same, and what is loaded runs on.
    let none = bound(1);
    let second = load(&none, names[1]);
    assert_eq!(there(), [false, true, false]);
    let stage = Stage::new(&narrow, "acme");
    stage.tenant.register(stage.puppet("third", third));
    drop(second);
    run(&narrow, async move {
        let ended = ends(&stage, "third", json!({})).await;
        expect![[r#"
            third: NEURON_TRAP: the neuron trapped: wasm `unreachable` instruction executed
        "#]]
        .assert_eq(&told("third", &ended));
    });
}
