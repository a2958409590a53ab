//! Compilation in a process that is limited and killed.

use std::{
    io::Read,
    os::unix::fs::symlink,
    process::{Command, Stdio},
    sync::mpsc,
};

use soma::{
    neuron::{Compiler, CompilerLimits},
    package::Extent,
};

use super::{
    cache::{code_of, fresh_directory},
    common::wasm::{component_of, tangle},
    *,
};

/// This repository's own program.
const SOMA: &str = env!("CARGO_BIN_EXE_soma");

/// A program of `tests/hostile/compilers`, under a name of the test's own.
fn script(name: &str, test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/compilers");
    let link = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compiler-{test}-{name}"));
    drop(fs::remove_file(&link));
    symlink(folder.join(name), &link).unwrap();
    link
}

fn host_with(program: impl Into<PathBuf>, limits: CompilerLimits) -> Host {
    let program = program.into();
    Host::builder()
        .instances(8)
        .workers(1)
        .compiler(Compiler::Subprocess { program, limits })
        .build()
        .unwrap()
}

fn healthy() -> Vec<u8> {
    wat::parse_str(hostile_text("healthy")).unwrap()
}

fn tangled(locals: usize, loops: usize) -> Vec<u8> {
    component_of(&tangle(locals, loops))
}

/// A memory that is filled with 60 MiB, of which a compiler makes copies.
fn heavy() -> Vec<u8> {
    let bytes = "x".repeat(60 << 20);
    let text = format!("(component (core module (memory 1000) (data (i32.const 0) \"{bytes}\")))");
    wat::parse_str(text).unwrap()
}

/// The component of the smallest neuron runs on this host.
fn still_serves(host: &Host) {
    let stage = bare_stage(host, "still");
    let plugin = host
        .load(&healthy(), &common::all_grants(), Metering::Fuel)
        .unwrap();
    stage.register(Neuron::new("healthy", plugin));
    run(host, async move {
        let task = Dispatch::to_neuron("healthy").input(json!({}));
        assert!(
            stage
                .dispatch_and_wait(task, LONG)
                .await
                .unwrap()
                .is_output()
        );
    });
}

/// A tenant without anything.
fn bare_stage(host: &Host, name: &str) -> soma::orchestration::TenantHandle {
    host.add_tenant(name, Quotas::default()).unwrap()
}

#[test]
fn structures_that_no_toolchain_makes_are_refused_before_they_are_compiled() {
    // A compiler that nobody may start.
    let host = host_with("/nonexistent", CompilerLimits::default());
    let nested = |levels: usize| {
        let mut text = "(core module $m) (core instance (instantiate $m))".to_owned();
        for _ in 0..levels {
            let instances = "(instance (instantiate $inner))".repeat(10);
            text = format!("(component $inner {text}) {instances}");
        }
        wat::parse_str(format!("(component {text})")).unwrap()
    };
    let statement =
        "(i32.store (i32.const 65000) (i32.add (i32.load (i32.const 65000)) (i32.const 1000000)))";
    let memories = format!(
        "(component (core module $m {}) (core instance (instantiate $m)))",
        "(memory 1)".repeat(1_000)
    );
    let deep = format!(
        "(func {} {})",
        "block ".repeat(100_000),
        "end ".repeat(100_000)
    );
    let branches = format!(
        "(func (block (br_table {} (i32.const 0))))",
        "0 ".repeat(100_000)
    );
    let mut told = String::new();
    for (what, wasm) in [
        ("10 000 locals", tangled(10_000, 1)),
        (
            "100 000 statements",
            component_of(&format!("(func {})", statement.repeat(100_000))),
        ),
        ("900 000 functions", component_of(&"(func)".repeat(900_000))),
        ("7 levels of 10 components", nested(7)),
        ("1 000 memories", wat::parse_str(memories).unwrap()),
        ("100 000 nested blocks", component_of(&deep)),
        ("a branch to 100 000 places", component_of(&branches)),
        ("200 MB", vec![0; 200_000_000]),
        ("a truncated neuron", healthy()[..500].to_vec()),
    ] {
        writeln!(told, "{what}: {}", refusal(&host, &wasm)).unwrap();
    }
    expect![[r#"
        10 000 locals: function 0 of core module 0 (at offset 0x2b) has 10000 locals; at most 5000 are taken
        100 000 statements: function 0 of core module 0 (at offset 0x2b) has 1900002 bytes of code; at most 1048576 are taken
        900 000 functions: the component, read up to offset 0xdbbc2, has 900000 functions; at most 200000 are taken
        7 levels of 10 components: the component, read up to offset 0xe7, has 60 core instances; at most 50 are taken
        1 000 memories: the component, read up to offset 0x7f6, has 1000 memories; at most 4 are taken
        100 000 nested blocks: function 0 of core module 0 (at offset 0x2b) has 5001 nested blocks; at most 5000 are taken
        a branch to 100 000 places: function 0 of core module 0 (at offset 0x2b) has 99999 targets of one br_table; at most 20000 are taken
        200 MB: the component has more than the 67108864 bytes that this host takes
        a truncated neuron: the component cannot be read: unexpected end-of-file (at offset 0x1d8)
    "#]].assert_eq(&told);
}

#[test]
fn of_a_file_that_is_too_large_no_more_is_read_than_a_host_takes() {
    let host = host_with("/nonexistent", CompilerLimits::default());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiler-200-mb.wasm");
    // A hole: it takes no space.
    fs::File::create(&path)
        .unwrap()
        .set_len(200_000_000)
        .unwrap();
    let refused = host.load_file(&path, &Grants::default()).unwrap_err();
    expect!["the component has more than the 67108864 bytes that this host takes"]
        .assert_eq(&refused.to_string());
    fs::remove_file(path).unwrap();
}

#[test]
fn the_structure_of_every_neuron_of_this_repository_is_taken() {
    let folder = common::component("echo").parent().unwrap().to_path_buf();
    let mut files = Vec::new();
    for folder in [folder.join("hostile"), folder] {
        let entries = fs::read_dir(folder).unwrap();
        files.extend(entries.map(|entry| entry.unwrap().path()));
    }
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "wasm")
    });
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let found = Extent::of(&fs::read(&file).unwrap(), &Extent::MOST);
        assert!(found.unwrap().core_instances > 0, "{}", file.display());
    }
}

#[test]
fn what_the_process_has_compiled_runs() {
    let host = host_with(SOMA, CompilerLimits::default());
    let stage = Stage::new(&host, "acme");
    run(&host, async move {
        let ended = ends(&stage, "puppet", json!({"do": ["now", append("kept")]})).await;
        assert_eq!(said(&ended).len(), 2);
        assert_eq!(stage.memory.len(), 1);
    });
    still_serves(&host);
}

#[test]
fn the_process_compiles_for_both_kinds_of_engine_and_what_it_made_is_kept() {
    let directory = fresh_directory("compiler-cache");
    let host = |program: &str| {
        let limits = CompilerLimits::default();
        let program = program.into();
        Host::builder()
            .instances(8)
            .workers(1)
            .code_cache(&directory)
            .compiler(Compiler::Subprocess { program, limits })
            .build()
            .unwrap()
    };
    for metering in [Metering::Fuel, Metering::EpochOnly] {
        let loaded = host(SOMA).load(&healthy(), &Grants::default(), metering);
        loaded.unwrap();
    }
    // Found in the cache, no compiler is needed.
    let later = host("/nonexistent");
    for metering in [Metering::Fuel, Metering::EpochOnly] {
        later
            .load(&healthy(), &Grants::default(), metering)
            .unwrap();
    }
    still_serves(&later);
    // Nor does it matter which compiler made it.
    let in_process = Host::builder().instances(8).code_cache(&directory).build();
    let in_process = in_process.unwrap();
    let plugin = in_process.load(&healthy(), &Grants::default(), Metering::Fuel);
    let code = code_of(&directory, &plugin.unwrap());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 5, "{code:?}");
}

#[test]
fn a_component_that_costs_too_much_is_refused_and_the_host_still_serves() {
    let mut told = String::new();
    let limits = CompilerLimits::default;
    let echo = fs::read(common::component("echo")).unwrap();
    for (what, wasm, limits) in [
        (
            "memory",
            heavy(),
            CompilerLimits {
                memory_bytes: 128 << 20,
                ..limits()
            },
        ),
        (
            "CPU time",
            tangled(4_900, 500),
            CompilerLimits {
                cpu: Duration::from_secs(1),
                ..limits()
            },
        ),
        (
            "machine code",
            echo,
            CompilerLimits {
                code_bytes: 100 << 10,
                ..limits()
            },
        ),
    ] {
        let host = host_with(SOMA, limits);
        writeln!(told, "{what}: {}", refusal(&host, &wasm)).unwrap();
        still_serves(&host);
    }
    expect![[r#"
        memory: compiling it takes more than 128.0 MiB of memory; raise the compiler's memory limit if the component is legitimate
        CPU time: compiling it takes more than 1s of CPU time; raise the compiler's CPU limit if the component is legitimate
        machine code: it compiles to more than 100.0 KiB of machine code
    "#]]
    .assert_eq(&told);
}

#[test]
fn what_the_engine_refuses_is_told_in_its_words() {
    let host = host_with(SOMA, CompilerLimits::default());
    let mut told = String::new();
    for function in [
        "(func (result i32) (i64.const 0))",
        "(func (drop (i32.atomic.load (i32.const 0))))",
    ] {
        writeln!(told, "{}", refusal(&host, &component_of(function))).unwrap();
    }
    // Compiled without a fault, and then too large for the host's instances.
    let large = wat::parse_str(hostile_text("larger_than_the_pool")).unwrap();
    writeln!(told, "{}", refusal(&host, &large)).unwrap();
    expect![[r#"
        the component is invalid: failed to compile: wasm[0]::function[0]: WebAssembly translation error: Invalid input WebAssembly code at offset 41: type mismatch: expected i32, found i64
        the component is invalid: failed to compile: wasm[0]::function[0]: WebAssembly translation error: Invalid input WebAssembly code at offset 40: threads support is not enabled
        the component is invalid: module memory does not fit in pooling allocator requirements: memory index 0 is unsupported in this pooling allocator configuration: memory has a minimum byte size of 536870912 which exceeds the limit of 0x10000000 bytes
    "#]].assert_eq(&told);
}

#[test]
fn whatever_becomes_of_the_process_is_told_in_words_and_it_is_gone() {
    let mut told = String::new();
    let hasty = CompilerLimits {
        wall: Duration::from_millis(300),
        ..CompilerLimits::default()
    };
    for (name, limits) in [
        ("spins", hasty.clone()),
        ("waits", hasty),
        (
            "spins",
            CompilerLimits {
                cpu: Duration::ZERO,
                ..CompilerLimits::default()
            },
        ),
        (
            "never_stops_talking",
            CompilerLimits {
                code_bytes: 1 << 20,
                ..CompilerLimits::default()
            },
        ),
        ("is_killed", CompilerLimits::default()),
        ("fails", CompilerLimits::default()),
        ("says_nothing", CompilerLimits::default()),
        ("says_garbage", CompilerLimits::default()),
        ("gives_it_back", CompilerLimits::default()),
        ("not_there", CompilerLimits::default()),
    ] {
        let program = script(name, "ends");
        let host = host_with(&program, limits);
        let refused = refusal(&host, &healthy());
        let shown = refused.replace(&program.display().to_string(), "<program>");
        writeln!(told, "{name}: {shown}").unwrap();
        assert_eq!(processes_of(&program), 0, "{name} is still there");
    }
    expect![[r#"
        spins: compiling it takes longer than 300ms; raise the compiler's time limit if the component is legitimate
        waits: compiling it takes longer than 300ms; raise the compiler's time limit if the component is legitimate
        spins: compiling it takes more than 1s of CPU time; raise the compiler's CPU limit if the component is legitimate
        never_stops_talking: it compiles to more than 1.0 MiB of machine code
        is_killed: the compiler process was ended by signal 9
        fails: the compiler process ended with exit code 7: it is [31mbroken[0m beyond repair
        says_nothing: the compiler process `<program>` gives no machine code for this host's engine; name the `soma` program of the host's own version
        says_garbage: the compiler process `<program>` gives no machine code for this host's engine; name the `soma` program of the host's own version
        gives_it_back: the compiler process `<program>` gives no machine code for this host's engine; name the `soma` program of the host's own version
        not_there: the compiler process `<program>` cannot be had: No such file or directory (os error 2)
    "#]].assert_eq(&told);
}

/// Processes whose command line names `program`.
fn processes_of(program: &Path) -> usize {
    let program = program.as_os_str().as_encoded_bytes();
    let command_lines = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        // One that has ended meanwhile has none.
        fs::read(entry.unwrap().path().join("cmdline")).ok()
    });
    command_lines
        .filter(|line| line.split(|byte| *byte == 0).any(|word| word == program))
        .count()
}

#[test]
fn the_process_has_its_limits_before_it_gets_anything_and_no_environment() {
    let host = host_with(
        script("shows_its_limits", "limits"),
        CompilerLimits {
            memory_bytes: 512 << 20,
            cpu: Duration::from_secs(7),
            ..CompilerLimits::default()
        },
    );
    let shown = refusal(&host, &healthy());
    let (limits, environment) = shown.split_once("; export").unwrap();
    expect!["the compiler process ended with exit code 9: 3 compile-component --metering fuel; 524288 KiB, 7 s, files 0, core 0"].assert_eq(limits);
    let names = environment.split("export").map(|variable| {
        let name = variable.trim().split('=').next().unwrap();
        name.to_owned()
    });
    let names: Vec<_> = names
        .filter(|name| !["OLDPWD", "PWD"].contains(&name.as_str()))
        .collect();
    assert_eq!(names, ["MALLOC_ARENA_MAX", "RAYON_NUM_THREADS"]);
}

#[test]
fn the_process_closes_what_it_did_not_open() {
    // A shell that hands its output on as a third descriptor, too.
    let mut shell = Command::new("/bin/sh")
        .args([
            "-c",
            "exec \"$0\" compile-component --metering fuel 3>&1 1>/dev/null",
        ])
        .arg(SOMA)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut handed_on = shell.stdout.take().unwrap();
    let (closed, is_closed) = mpsc::channel();
    std::thread::spawn(move || {
        handed_on.read_to_end(&mut Vec::new()).unwrap();
        closed.send(()).unwrap();
    });
    // It waits for its input meanwhile.
    is_closed.recv_timeout(Duration::from_secs(120)).unwrap();
    drop(shell.stdin.take());
    assert_eq!(shell.wait().unwrap().code(), Some(3));
}

#[test]
fn the_host_serves_while_something_is_compiled() {
    let program = script("waits", "serves");
    let go = program.with_extension("go");
    drop(fs::remove_file(&go));
    let directory = fresh_directory("compiler-serves");
    let with = |compiler| {
        let builder = Host::builder()
            .instances(8)
            .workers(1)
            .code_cache(&directory);
        Arc::new(builder.compiler(compiler).build().unwrap())
    };
    with(Compiler::InProcess)
        .load(&healthy(), &Grants::default(), Metering::Fuel)
        .unwrap();
    let limits = CompilerLimits::default();
    let host = with(Compiler::Subprocess {
        program: program.clone(),
        limits,
    });
    let loading = std::thread::spawn({
        let host = Arc::clone(&host);
        move || refusal(&host, &tangled(2, 1))
    });
    while processes_of(&program) == 0 {
        std::thread::yield_now();
    }
    // From the cache, and on the one worker.
    still_serves(&host);
    assert!(!loading.is_finished());
    fs::write(&go, "").unwrap();
    expect!["the compiler process ended with exit code 7"].assert_eq(&loading.join().unwrap());
}

#[test]
fn soma_run_refuses_a_bomb_and_says_what_would_allow_it() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let unknown = fresh_directory("compiler-run");
    let mut told = String::new();
    for (name, wasm) in [
        ("locals", tangled(10_000, 1)),
        ("tangled", tangled(4_900, 500)),
    ] {
        let path = folder.join(format!("compiler-bomb-{name}.wasm"));
        fs::write(&path, wasm).unwrap();
        let output = Command::new(SOMA)
            .arg("run")
            .arg(&path)
            .args(["--compile-cpu", "1s"])
            .env("XDG_CACHE_HOME", &unknown)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(output.stdout.is_empty());
        let shown = String::from_utf8(output.stderr).unwrap();
        told.push_str(&shown.replace(&folder.display().to_string(), "…"));
    }
    expect![[r#"
        error: …/compiler-bomb-locals.wasm was refused: function 0 of core module 0 (at offset 0x2b) has 10000 locals; at most 5000 are taken
        error: …/compiler-bomb-tangled.wasm was refused: compiling it takes more than 1s of CPU time; raise the compiler's CPU limit if the component is legitimate
        help: allow more with `--compile-cpu`
    "#]].assert_eq(&told);
}
