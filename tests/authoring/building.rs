//! `soma neuron build`.

use std::{
    env,
    ffi::OsString,
    os::unix::fs::{PermissionsExt, symlink},
    process,
};

use super::*;

const NOTES: &str = r#"id = "notes"
version = "1.2.3"
description = "Keeps notes."

[schema]
input = "input.json"

[grants]
log = true
"#;

/// A project's folder, and a component that fits it.
fn project(name: &str, manifest: &str) -> (PathBuf, PathBuf) {
    let folder = folder(name);
    fs::write(folder.join("neuron.toml"), manifest).unwrap();
    fs::write(
        folder.join("input.json"),
        r#"{"type": "object", "properties": {"it's": {"type": "string"}}, "required": ["it's"]}"#,
    )
    .unwrap();
    let file = folder.join("bare.wasm");
    fs::write(&file, healthy(&["soma:neuron/log@0.1.0"])).unwrap();
    (folder, file)
}

#[test]
fn a_component_and_its_manifest_become_one_file_that_this_host_can_run() {
    let (folder, file) = project("build", NOTES);
    let built = neuron(&[&"build", &folder, &"--component", &file]);
    shows(
        &built,
        &expect![[r#"
            exit 0
            --- stdout
            built   TMP/authoring-build/target/notes.wasm
            size    1.1 KiB
            digest  sha256:..

            next
              soma run TMP/authoring-build/target/notes.wasm --input '{"it'\''s":""}'
              soma neuron sign TMP/authoring-build/target/notes.wasm --key FILE
            --- stderr
            checking that this host can run it (compiles it once)
        "#]],
    );
    let wasm = fs::read(folder.join("target/notes.wasm")).unwrap();
    let package = Package::read(&wasm).unwrap();
    assert_eq!(package.manifest.unwrap().id, "notes");
    assert!(package.schemas.input.is_some());
    assert_eq!(
        left(&folder),
        ["bare.wasm", "input.json", "neuron.toml", "target"]
    );
    assert_eq!(left(&folder.join("target")), ["notes.wasm"]);
}

/// Names in a folder, sorted.
fn left(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn the_same_component_and_manifest_give_the_same_bytes() {
    let (folder, file) = project("same", NOTES);
    let build = |name: &str| {
        let output = folder.join(name);
        let run = neuron(&[&"build", &folder, &"--component", &file, &"-o", &output]);
        assert_eq!(run.exit, 0, "{}", run.stderr);
        fs::read(output).unwrap()
    };
    let once = build("one.wasm");
    assert_eq!(once, build("two.wasm"));
    // What was built can be built again: the manifest is replaced.
    fs::write(&file, &once).unwrap();
    assert_eq!(once, build("three.wasm"));
}

#[test]
fn everything_that_is_wrong_with_the_manifest_is_told_and_nothing_is_built() {
    let (folder, file) = project("mistakes", "id = \"no te\"\nversion = \"1\"\n");
    let run = neuron(&[&"build", &folder, &"--component", &file]);
    shows(
        &run,
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: 2 mistakes
        TMP/authoring-mistakes/neuron.toml:1:6: id: "no te" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`
        TMP/authoring-mistakes/neuron.toml:2:11: version: "1" is no version such as "1.0.0": unexpected end of input while parsing major version number
    "#]],
    );
    let (folder, file) = project("schema", &NOTES.replace("input.json", "none.json"));
    let run = neuron(&[&"build", &folder, &"--component", &file]);
    shows(
        &run,
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/authoring-schema/neuron.toml:6:9: schema.input: none.json: cannot read: No such file or directory (os error 2)
    "#]],
    );
    assert!(!folder.join("target/notes.wasm").exists());
}

#[test]
fn what_this_host_would_not_run_is_not_written_and_what_was_there_stays() {
    let (folder, file) = project("refused", NOTES);
    let target = folder.join("target/notes.wasm");
    fs::create_dir_all(folder.join("target")).unwrap();
    fs::write(&target, "as it was").unwrap();
    fs::write(
        &file,
        healthy(&["soma:neuron/random@0.1.0", "acme:shell/run@1.0.0"]),
    )
    .unwrap();
    let run = neuron(&[&"build", &folder, &"--component", &file]);
    shows(
        &run,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            checking that this host can run it (compiles it once)
            error: TMP/authoring-refused/target/notes.wasm: this host would not run it; nothing was written
            - the component imports `acme:shell/run@1.0.0`, which this host does not offer
            - it asks for more than it says: it imports `soma:neuron/random@0.1.0`, which its manifest does not ask for
              write `random = "system"` under `[grants]` into its neuron.toml, or build it without that import
        "#]],
    );
    assert_eq!(fs::read_to_string(&target).unwrap(), "as it was");
    fs::write(&file, "no component").unwrap();
    let run = neuron(&[&"build", &folder, &"--component", &file]);
    shows(
        &run,
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/authoring-refused/bare.wasm: this is not a WebAssembly component: it does not start like one
    "#]],
    );
}

#[test]
fn a_project_without_a_language_or_a_component_cannot_be_built() {
    let (folder, _) = project("languageless", NOTES);
    shows(
        &neuron(&[&"build", &folder]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/authoring-languageless/neuron.toml: there is no `language` to build it by
        help: write for example `language = "rust"`, or build it yourself and give the component with `--component FILE`
    "#]],
    );
    shows(
        &neuron(&[&"build", &"/nowhere"]),
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: /nowhere: cannot read: No such file or directory (os error 2)
            help: give a project's folder; `soma neuron new` makes one
        "#]],
    );
}

#[test]
fn a_built_file_keeps_its_permissions_and_a_link_that_was_named_stays_a_link() {
    let (folder, file) = project("linked", NOTES);
    let real = folder.join("real.wasm");
    fs::write(&real, "").unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
    let link = folder.join("link.wasm");
    symlink(&real, &link).unwrap();
    let run = neuron(&[&"build", &folder, &"--component", &file, &"-o", &link]);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert!(link.symlink_metadata().unwrap().is_symlink());
    let mode = real.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(Package::read(&fs::read(&real).unwrap()).is_ok());
}

#[test]
fn a_link_in_a_strangers_project_does_not_lead_out_of_it() {
    let (folder, file) = project("leads-out", NOTES);
    let mine = folder.join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("notes.wasm"), "mine").unwrap();
    let target = folder.join("target");
    let told = |run: &Run| {
        assert_eq!(run.exit, 3, "{}", run.stdout);
        run.stderr.replace(env!("CARGO_TARGET_TMPDIR"), "TMP")
    };
    fs::create_dir(&target).unwrap();
    symlink(mine.join("notes.wasm"), target.join("notes.wasm")).unwrap();
    expect![[r#"
        error: TMP/authoring-leads-out/target/notes.wasm is a link, which is not followed
        help: take it away, or name another place to write to
    "#]]
    .assert_eq(&told(&neuron(&[&"build", &folder, &"--component", &file])));
    fs::remove_dir_all(&target).unwrap();
    symlink(&mine, &target).unwrap();
    expect![[r#"
        error: TMP/authoring-leads-out/target is a link, which is not followed
        help: take it away, or name another place to write to
    "#]]
    .assert_eq(&told(&neuron(&[&"build", &folder, &"--component", &file])));
    assert_eq!(fs::read(mine.join("notes.wasm")).unwrap(), b"mine");
    // A case that is written, too.
    let built = folder.join("built.wasm");
    neuron(&[&"build", &folder, &"--component", &file, &"-o", &built]);
    fs::create_dir(folder.join("cases")).unwrap();
    symlink(mine.join("first.json"), folder.join("cases/first.json")).unwrap();
    let recorded = neuron(&[
        &"test",
        &built,
        &"--record",
        &"first",
        &"--input",
        &r#"{"it's": ""}"#,
    ]);
    expect![[r#"
        error: TMP/authoring-leads-out/cases/first.json is a link, which is not followed
        help: take it away, or name another place to write to
    "#]]
    .assert_eq(&told(&recorded));
    assert!(!mine.join("first.json").exists());
}

#[test]
fn a_schema_that_lies_outside_the_project_does_not_become_a_part_of_it() {
    let (inner, file) = project("schema-outside/project", NOTES);
    let outside = inner.parent().unwrap();
    fs::write(outside.join("secret.json"), r#"{"title": "secret"}"#).unwrap();
    symlink("../secret.json", inner.join("link.json")).unwrap();
    let absolute = outside.join("secret.json");
    let mut all = Vec::new();
    for name in [
        "../secret.json",
        absolute.to_str().unwrap(),
        "link.json",
        "./input.json",
    ] {
        let manifest = NOTES.replace("input.json", name);
        fs::write(inner.join("neuron.toml"), manifest).unwrap();
        let run = neuron(&[&"build", &inner, &"--component", &file]);
        all.push(format!("{} {}", run.exit, run.stderr));
    }
    expect![[r#"
        3 error: TMP/authoring-schema-outside/project/neuron.toml:6:9: schema.input: ../secret.json: is not in the folder of this file, or below it
        3 error: TMP/authoring-schema-outside/project/neuron.toml:6:9: schema.input: TMP/authoring-schema-outside/secret.json: is not in the folder of this file, or below it
        3 error: TMP/authoring-schema-outside/project/neuron.toml:6:9: schema.input: link.json: is not in the folder of this file, or below it
        0 checking that this host can run it (compiles it once)
    "#]]
    .assert_eq(&all.concat().replace(env!("CARGO_TARGET_TMPDIR"), "TMP"));
}

#[test]
fn a_project_file_without_an_end_is_not_read() {
    let (folder, file) = project("endless", NOTES);
    let told = |name: &str, link: &str| {
        fs::remove_file(folder.join(name)).unwrap();
        symlink(link, folder.join(name)).unwrap();
        let run = neuron(&[&"build", &folder, &"--component", &file]);
        assert_eq!(run.exit, 3);
        run.stderr.replace(env!("CARGO_TARGET_TMPDIR"), "TMP")
    };
    let pipe = folder.join("pipe");
    let made = process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    expect![[r#"
        error: TMP/authoring-endless/neuron.toml:6:9: schema.input: input.json: is not in the folder of this file, or below it
    "#]]
    .assert_eq(&told("input.json", "/dev/zero"));
    expect![[r#"
        error: TMP/authoring-endless/neuron.toml:6:9: schema.input: input.json: cannot read: it is no regular file
    "#]]
    .assert_eq(&told("input.json", "pipe"));
    expect![[r#"
        error: TMP/authoring-endless/neuron.toml: cannot read: it is no regular file
    "#]]
    .assert_eq(&told("neuron.toml", "pipe"));
    expect![[r#"
        error: TMP/authoring-endless/neuron.toml: cannot read: it is no regular file
    "#]]
    .assert_eq(&told("neuron.toml", "/dev/zero"));
    fs::write(folder.join("large"), "#".repeat(300_000)).unwrap();
    expect![[r#"
        error: TMP/authoring-endless/neuron.toml: cannot read: it has more than the 262144 bytes that are taken
    "#]]
    .assert_eq(&told("neuron.toml", "large"));
}

/// A wheel of the name that pip is told, with something else in it.
const FORGERY: &str = "\
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1], 'w')
info = 'componentize_py-0.25.1.dist-info'
wheel.writestr('componentize_py/__init__.py', 'import os; os.abort()')
wheel.writestr(info + '/METADATA', 'Metadata-Version: 2.1\\nName: componentize-py\\nVersion: 0.25.1\\n')
wheel.writestr(info + '/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
wheel.writestr(info + '/RECORD', '')
wheel.close()
";

#[test]
fn a_tool_is_installed_only_if_it_is_the_very_file_that_was_looked_at() {
    let folder = folder("forged-tool");
    let wheel = folder.join("componentize_py-0.25.1-py3-none-any.whl");
    let python = process::Command::new("python3")
        .args(["-c", FORGERY])
        .arg(&wheel)
        .status();
    assert!(python.unwrap().success());
    let place = folder.join("notes");
    neuron(&[&"new", &"--lang", &"python", &"notes", &"--path", &place]);
    let run = end(command()
        .args(["neuron", "build"])
        .arg(&place)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", &folder));
    assert_eq!(run.exit, 5, "{}", run.stderr);
    assert!(
        run.stderr
            .contains("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE"),
        "{}",
        run.stderr
    );
    assert!(
        !folder
            .join("cache/soma/toolchains/componentize-py-0.25.1")
            .exists()
    );
}

/// Modules that Python would take from the folder that it is started in.
const MODULES: [&str; 5] = [
    "pip.py",
    "componentize_py.py",
    "ziglang.py",
    "sitecustomize.py",
    "usercustomize.py",
];

/// Programs that a shell would find there, where `PATH` has `.` in it.
const PROGRAMS: [&str; 8] = [
    "python3", "pipenv", "node", "npm", "go", "git", "clang", "rustc",
];

/// Puts a file for each into the folder, which writes its name to the file that
/// is returned when it is run.
fn traps(folder: &Path) -> PathBuf {
    let sprung = folder.join("sprung");
    let shown = sprung.display();
    for name in MODULES {
        // The sandbox that the source is built in has no such file.
        let module = format!(
            "try:\n    open('{shown}', 'a').write('{name}\\n')\nexcept OSError:\n    pass\n"
        );
        fs::write(folder.join(name), module).unwrap();
    }
    for name in PROGRAMS {
        program(folder, name, &format!("echo {name} >> '{shown}'; exit 1"));
    }
    sprung
}

/// A program of the shell.
fn program(folder: &Path, name: &str, script: &str) {
    let place = folder.join(name);
    fs::write(&place, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The search path with these folders in front.
fn search_first(folders: &[&Path]) -> OsString {
    let rest = env::var_os("PATH").unwrap();
    let folders = folders.iter().map(|folder| folder.to_path_buf());
    env::join_paths(folders.chain(env::split_paths(&rest))).unwrap()
}

/// `soma neuron build` in the project, as its template says.
fn building(place: &Path) -> process::Command {
    let mut soma = process::Command::new(env!("CARGO_BIN_EXE_soma"));
    soma.args(["neuron", "build"]).current_dir(place);
    soma
}

#[test]
fn nothing_of_a_strangers_project_is_run_to_set_up_a_tool() {
    for language in ["python", "c", "go", "javascript"] {
        let place = new_project(&format!("trapped-{language}"), language);
        let sprung = traps(&place);
        let run = end(building(&place)
            .env("PATH", search_first(&[Path::new(".")]))
            .env("XDG_CACHE_HOME", place.join("../cache"))
            .env("SOMA_C_TOOLCHAIN", "zig")
            // No tool comes from anywhere.
            .env("PIP_NO_INDEX", "1")
            .env("PIP_FIND_LINKS", &place)
            .env("npm_config_offline", "true")
            .env("npm_config_cache", place.join("../npm")));
        assert!(
            !sprung.exists(),
            "{language}: {:?}",
            fs::read_to_string(sprung)
        );
        // Where Go is installed already, none has to be set up.
        assert!([0, 5].contains(&run.exit), "{language}: {}", run.stderr);
        let tools = place.join("../cache/soma/toolchains");
        assert!(language == "go" || left(&tools).is_empty(), "{language}");
    }
}

#[test]
fn nothing_of_a_strangers_project_is_run_beside_what_builds_it() {
    for language in ["python", "c", "go", "javascript"] {
        let place = new_project(&format!("untouched-{language}"), language);
        let sprung = traps(&place);
        let run = end(building(&place).env("PATH", search_first(&[Path::new(".")])));
        assert!(
            !sprung.exists(),
            "{language}: {:?}",
            fs::read_to_string(sprung)
        );
        assert_eq!(run.exit, 0, "{language}: {}", run.stderr);
    }
}

#[test]
fn a_program_in_a_strangers_project_is_not_taken_for_the_one_that_builds_it() {
    let place = new_project("namesake-go", "go");
    let sprung = traps(&place);
    let bin = place.join("../bin");
    fs::create_dir(&bin).unwrap();
    program(&bin, "go", "echo go1.30 and no component");
    let run = end(building(&place).env("PATH", search_first(&[Path::new("."), &bin])));
    assert!(!sprung.exists(), "{:?}", fs::read_to_string(sprung));
    assert_eq!(run.exit, 1, "{}", run.stderr);
}

#[test]
fn go_asks_no_other_program_about_a_project_and_takes_no_settings_from_around_it() {
    let place = new_project("around-go", "go");
    let around = place.parent().unwrap();
    let [bin, asked] = ["bin", "asked"].map(|name| around.join(name));
    fs::create_dir(&bin).unwrap();
    fs::create_dir(place.join(".git")).unwrap();
    // Neither a workspace nor another version of Go.
    fs::write(around.join("go.work"), "go 1.24\nuse ./elsewhere\n").unwrap();
    program(&bin, "git", &format!("echo git >> '{}'", asked.display()));
    // Too old: the one that is set up comes next.
    let told = format!("echo $GOTOOLCHAIN, $(ls -A) >> '{}'", asked.display());
    program(&bin, "go", &format!("{told}; echo go1.10"));
    let run = end(building(&place).env("PATH", search_first(&[&bin])));
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert_eq!(fs::read_to_string(asked).unwrap(), "local,\n");
}

#[test]
fn source_in_python_that_is_built_reaches_no_folder_of_the_users_own_packages() {
    let place = new_project("packages-python", "python");
    let base = place.join("../packages");
    let asked = process::Command::new("python3")
        .args(["-c", "import site; print(site.getusersitepackages())"])
        .env("PYTHONUSERBASE", &base)
        .output();
    let packages = String::from_utf8(asked.unwrap().stdout).unwrap();
    let packages = Path::new(packages.trim());
    fs::create_dir_all(packages).unwrap();
    fs::write(packages.join("mine.py"), "").unwrap();
    let sdk = place.join("sdk/soma_neuron.py");
    let text = fs::read_to_string(&sdk).unwrap();
    // The build gives each folder that it may read a number.
    let theirs = "\
        import os\n\
        for number in range(9):\n\
        \x20   if os.path.exists(f'/{number}/mine.py'):\n\
        \x20       open(f'/{number}/theirs.py', 'w').close()\n";
    fs::write(&sdk, format!("{theirs}{text}")).unwrap();
    let run = end(building(&place).env("PYTHONUSERBASE", &base));
    assert_eq!(run.exit, 0, "{}", run.stderr);
    assert_eq!(left(packages), ["mine.py"]);
}

#[test]
fn a_link_in_a_strangers_project_carries_nothing_into_its_component() {
    for (language, name) in [("python", "secret.py"), ("javascript", "secret.js")] {
        let place = new_project(&format!("secret-{language}"), language);
        fs::write(place.join("../secret"), "secret").unwrap();
        fs::create_dir(place.join("lib")).unwrap();
        symlink("../../secret", place.join("lib").join(name)).unwrap();
        let run = built(&place);
        assert_eq!(run.exit, 3, "{}", run.stderr);
        let link = place.join("lib").join(name);
        let words = "is a link out of the project, which is not followed";
        assert_eq!(run.stderr, format!("error: {} {words}\n", link.display()));
    }
}

/// A new project; its toolchain lies in the user's own cache.
fn new_project(name: &str, language: &str) -> PathBuf {
    let place = folder(name).join("notes");
    let made = neuron(&[&"new", &"--lang", &language, &"notes", &"--path", &place]);
    assert_eq!(made.exit, 0, "{}", made.stderr);
    place
}

fn built(place: &Path) -> Run {
    end(&mut building(place))
}

fn rewrite(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

#[test]
fn a_neuron_in_rust_that_does_not_ask_for_the_log_does_not_import_it() {
    let place = new_project("build-rust", "rust");
    rewrite(&place.join("neuron.toml"), "log = true", "log = false");
    fs::write(
        place.join("src/lib.rs"),
        "use soma_neuron::{Failure, Task, engram::{Binding, Query}};\n\
         fn handle(_: Task<serde::de::IgnoredAny>) -> Result<usize, Failure> {\n\
             Ok(Binding::new(\"notes\").recall(Query::new())?.hits.len())\n\
         }\n\
         soma_neuron::neuron!(handle);\n",
    )
    .unwrap();
    let run = built(&place);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let package = Package::read(&fs::read(place.join("target/notes.wasm")).unwrap()).unwrap();
    let imports = package.names.imports.iter().map(String::as_str);
    let imports: Vec<_> = imports.filter(|name| !name.contains("/types@")).collect();
    assert_eq!(imports, ["soma:neuron/engram@0.1.0"]);
}

#[test]
fn a_neuron_in_javascript_without_a_handler_or_with_one_that_promises_is_not_built() {
    let place = new_project("build-javascript", "javascript");
    let source = place.join("neuron.js");
    rewrite(&source, "export const handler", "export const handle");
    let run = built(&place);
    assert_eq!(run.exit, 1, "{}", run.stderr);
    let words =
        "neuron.js exports no `handler`: write `export const handler = neuron((task) => …)`";
    assert!(run.stderr.contains(words), "{}", run.stderr);
    rewrite(&source, "export const handle", "export const handler");
    rewrite(&source, "neuron((task)", "neuron(async (task)");
    let run = built(&place);
    assert_eq!(run.exit, 1, "{}", run.stderr);
    let words = "the handler is async: write it without async, host calls wait by themselves";
    assert!(run.stderr.contains(words), "{}", run.stderr);
}

#[test]
fn a_built_project_is_tried_with_its_cases_and_the_input_of_the_first() {
    let (folder, file) = project("cases", NOTES);
    fs::create_dir(folder.join("cases")).unwrap();
    fs::write(folder.join("cases/b.json"), r#"{"input": {"it's": "b"}}"#).unwrap();
    fs::write(folder.join("cases/a.json"), r#"{"input": {"it's": "a"}}"#).unwrap();
    let run = neuron(&[&"build", &folder, &"--component", &file]);
    let next = &run.stdout[run.stdout.find("next\n").unwrap()..];
    expect![[r#"
        next
          soma neuron test TMP/authoring-cases
          soma run TMP/authoring-cases/target/notes.wasm --input '{"it'\''s":"a"}'
          soma neuron sign TMP/authoring-cases/target/notes.wasm --key FILE
    "#]]
    .assert_eq(&next.replace(env!("CARGO_TARGET_TMPDIR"), "TMP"));
}

#[test]
fn a_folder_without_a_manifest_is_told_how_to_get_one() {
    let place = folder("no-project");
    shows(
        &neuron(&[&"build", &place]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/authoring-no-project/neuron.toml: cannot read: No such file or directory (os error 2)
        help: give a project's folder; `soma neuron new` makes one
    "#]],
    );
    shows(
        &neuron(&[&"inspect", &place]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: cannot read TMP/authoring-no-project: Is a directory (os error 21)
        help: give a component file, not a folder
    "#]],
    );
    let (project, _) = project("no-component", NOTES);
    shows(
        &neuron(&[&"inspect", &project]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: cannot read TMP/authoring-no-component: Is a directory (os error 21)
        help: give its component: TMP/authoring-no-component/target/notes.wasm
    "#]],
    );
}

#[test]
fn what_a_neuron_in_c_prints_without_a_newline_is_told_at_its_end() {
    let place = new_project("build-c", "c");
    fs::write(
        place.join("neuron.c"),
        "#include <stdio.h>\n#include \"soma_neuron.h\"\n\
         soma_reply soma_handle(const soma_task *task) {\n\
           (void)task;\n\
           printf(\"one\\ntwo\");\n\
           return soma_output(soma_object());\n\
         }\n",
    )
    .unwrap();
    let run = built(&place);
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let file = place.join("target/notes.wasm");
    let run = end(command()
        .args(["run", "--json"])
        .arg(file)
        .env("SOMA_LOG", "neuron=info"));
    assert_eq!(run.exit, 0, "{}", run.stderr);
    let lines = run.stderr.lines().map(|line| line.split(" trace=").next());
    let lines: Vec<_> = lines.map(Option::unwrap).collect();
    assert_eq!(lines, [" INFO neuron: one", " INFO neuron: two"]);
}
