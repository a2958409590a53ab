//! `soma neuron new`.

use super::*;

const LANGUAGES: [&str; 5] = ["rust", "python", "javascript", "c", "go"];

#[test]
fn a_new_project_holds_all_that_it_needs_and_the_next_commands_are_told() {
    for language in LANGUAGES {
        let place = folder(&format!("new-{language}")).join("my-notes");
        let run = neuron(&[&"new", &"--lang", &language, &"my-notes", &"--path", &place]);
        assert_eq!((run.exit, run.stderr.as_str()), (0, ""), "{language}");
        let (manifest, _) = Manifest::read(&place).unwrap();
        assert_eq!(manifest.id, "my-notes");
        assert_eq!(manifest.language.unwrap().name(), language);
        for needed in ["wit/package.wit", "README.md", ".gitignore", "cases"] {
            assert!(place.join(needed).exists(), "{language}: {needed}");
        }
        let check = neuron(&[&"check", &place]);
        assert_eq!(check.exit, 3);
        assert!(
            check.stdout.contains("it is not built yet"),
            "{}",
            check.stdout
        );
    }
}

#[test]
fn the_next_commands_are_those_of_the_new_project() {
    let place = folder("new-next").join("notes");
    shows(
        &neuron(&[&"new", &"--lang", &"c", &"notes", &"--path", &place]),
        &expect![[r#"
            exit 0
            --- stdout
            TMP/authoring-new-next/notes: a neuron in c

            next
              cd TMP/authoring-new-next/notes
              soma neuron build
              soma neuron test
              soma run target/notes.wasm --input '{"note": "A saga undoes what it did.", "about": "saga"}'
            --- stderr
        "#]],
    );
}

#[test]
fn nothing_is_ever_written_over() {
    let place = folder("new-taken");
    fs::write(place.join("mine"), "mine").unwrap();
    shows(
        &neuron(&[&"new", &"--lang", &"c", &"notes", &"--path", &place]),
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: TMP/authoring-new-taken is there already
            help: choose another name, or another folder with `--path`
        "#]],
    );
    let left: Vec<_> = fs::read_dir(&place).unwrap().collect();
    assert_eq!(left.len(), 1);
}

#[test]
fn a_name_or_a_language_that_makes_no_sense_is_told() {
    let told = |words: &[&dyn AsRef<Path>]| {
        let run = neuron(words);
        assert_eq!(run.exit, 2);
        run.stderr.lines().next().unwrap().to_owned()
    };
    expect![
        "error: invalid value 'my notes' for '<NAME>': use 1 to 64 letters, digits, `-` or `_`"
    ]
    .assert_eq(&told(&[&"new", &"--lang", &"c", &"my notes"]));
    expect!["error: invalid value 'cobol' for '--lang <LANGUAGE>': `cobol` is no language here; there are rust, python, javascript, c and go"].assert_eq(&told(&[&"new", &"--lang", &"cobol", &"notes"]));
}

/// The other languages are built and run by their own tests.
#[test]
fn a_new_project_in_rust_builds_and_runs_by_the_commands_that_are_printed() {
    let place = folder("new-built").join("notes");
    let run = neuron(&[&"new", &"--lang", &"rust", &"notes", &"--path", &place]);
    let printed = run.stdout;
    let command_in = |start: &str| {
        let lines = printed.lines().map(str::trim);
        let mut found = lines.filter(|line| line.starts_with(start));
        found
            .next()
            .unwrap_or_else(|| panic!("no `{start}` in {printed}"))
    };
    // As a shell would run them; the toolchain lies in the user's own cache.
    let shell = |line: &str| {
        let bin = Path::new(env!("CARGO_BIN_EXE_soma")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", line])
            .current_dir(&place)
            .env("PATH", format!("{}:{path}", bin.display()));
        end(&mut shell)
    };
    let built = shell(command_in("soma neuron build"));
    assert_eq!(built.exit, 0, "{}", built.stderr);
    let ran = shell(command_in("soma run"));
    assert_eq!(ran.exit, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("AGENT_OUTPUT\n"), "{}", ran.stdout);
    let tested = shell(command_in("soma neuron test"));
    assert_eq!(tested.exit, 0, "{}{}", tested.stdout, tested.stderr);
}
