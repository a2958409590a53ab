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
fn an_empty_folder_is_taken_and_a_language_goes_by_its_short_name_too() {
    let place = folder("new-empty");
    let run = neuron(&[&"new", &"--lang", &"JS", &"notes", &"--path", &place]);
    assert_eq!((run.exit, run.stderr.as_str()), (0, ""));
    let (manifest, _) = Manifest::read(&place).unwrap();
    assert_eq!(manifest.language.unwrap().name(), "javascript");
}

#[test]
fn a_name_or_a_language_that_makes_no_sense_is_told() {
    let told = |words: &[&dyn AsRef<Path>]| {
        let run = neuron(words);
        assert_eq!(run.exit, 2);
        run.stderr.lines().next().unwrap().to_owned()
    };
    expect![
        "error: invalid value 'my notes' for '<NAME>': use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"
    ]
    .assert_eq(&told(&[&"new", &"--lang", &"c", &"my notes"]));
    expect!["error: invalid value 'cobol' for '--lang <LANGUAGE>': `cobol` is no language here; there are rust, python, javascript, c and go"].assert_eq(&told(&[&"new", &"--lang", &"cobol", &"notes"]));
}

#[test]
fn the_next_commands_are_what_a_shell_takes_whatever_the_folder_is_called() {
    let place = folder("new-quoted").join("it's my $HOME");
    let run = neuron(&[&"new", &"--lang", &"c", &"notes", &"--path", &place]);
    let told = run
        .stdout
        .lines()
        .find(|line| line.contains("cd "))
        .unwrap();
    assert_eq!(
        told.trim().replace(env!("CARGO_TARGET_TMPDIR"), "TMP"),
        r"cd 'TMP/authoring-new-quoted/it'\''s my $HOME'"
    );
}

/// Makes a project as a person does, and goes on by the commands that it
/// prints, in a shell. The toolchains lie in the user's own cache, and so does
/// the code that is compiled: the same project is the same component.
fn goes_on_by_the_commands_that_are_printed(language: &str) {
    let place = folder(&format!("new-built-{language}"));
    let bin = Path::new(env!("CARGO_BIN_EXE_soma")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let shell = |script: &str| {
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-ec", script])
            .current_dir(&place)
            .env("PATH", format!("{}:{path}", bin.display()));
        end(&mut shell)
    };
    let made = shell(&format!(
        "soma neuron new --lang {language} demo-{language}"
    ));
    assert_eq!(made.exit, 0, "{}", made.stderr);
    let (_, next) = made.stdout.split_once("\nnext\n").unwrap();
    assert_eq!(next.lines().count(), 4, "{next}");
    let all = shell(next);
    assert_eq!(all.exit, 0, "{next}\n{}{}", all.stdout, all.stderr);
    for told in [
        "\nok       first-note  ",
        "\n1 passed, 0 failed\n",
        "AGENT_OUTPUT\n",
    ] {
        assert!(all.stdout.contains(told), "{told:?} in {}", all.stdout);
    }
}

#[test]
fn a_new_project_in_rust_builds_tests_and_runs_by_the_commands_that_are_printed() {
    goes_on_by_the_commands_that_are_printed("rust");
}

#[test]
fn a_new_project_in_python_builds_tests_and_runs_by_the_commands_that_are_printed() {
    goes_on_by_the_commands_that_are_printed("python");
}

#[test]
fn a_new_project_in_javascript_builds_tests_and_runs_by_the_commands_that_are_printed() {
    goes_on_by_the_commands_that_are_printed("javascript");
}

#[test]
fn a_new_project_in_c_builds_tests_and_runs_by_the_commands_that_are_printed() {
    goes_on_by_the_commands_that_are_printed("c");
}

#[test]
fn a_new_project_in_go_builds_tests_and_runs_by_the_commands_that_are_printed() {
    goes_on_by_the_commands_that_are_printed("go");
}
