//! `soma neuron test`.

use std::process::{Command, Stdio};

use super::*;

/// One call of the command, and how it ended.
struct Ended {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Ended {
    /// Compares exit code and both streams; folders of this machine are masked.
    fn is(&self, folder: &Path, expected: &Expect) {
        let Self {
            exit,
            stdout,
            stderr,
        } = self;
        let all = format!("exit {exit}\n--- stdout\n{stdout}--- stderr\n{stderr}");
        let all = all.replace(&folder.display().to_string(), "FOLDER");
        let root = env!("CARGO_MANIFEST_DIR");
        expected.assert_eq(&all.replace(root, "ROOT"));
    }
}

fn test(neuron: impl AsRef<Path>, words: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_soma"))
        .args(["neuron", "test"])
        .arg(neuron.as_ref())
        .args(words)
        .env("XDG_CACHE_HOME", common::code_cache())
        .env_remove("SOMA_LOG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ended {
        exit: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A copy of a component with a folder `cases` beside it.
fn beside(folder: &Path, neuron: &str) -> PathBuf {
    let copy = folder.join(format!("{neuron}.wasm"));
    fs::copy(common::component(neuron), &copy).unwrap();
    fs::create_dir_all(folder.join("cases")).unwrap();
    copy
}

/// The figures of a build may differ.
fn without_fuel(ended: Ended) -> Ended {
    let masked = |line: &str| match line.find(" fuel, ") {
        Some(end) => {
            let figures = line[..end].trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ');
            format!("{figures}  N{}", &line[end..])
        }
        None => line.to_owned(),
    };
    let lines: Vec<_> = ended.stdout.split('\n').map(masked).collect();
    Ended {
        stdout: lines.join("\n"),
        ..ended
    }
}

#[test]
fn the_neurons_of_this_repository_pass_their_own_cases() {
    for (neuron, cases, count) in [
        ("echo", "echo/cases", 2),
        ("generator", "generator/cases", 7),
        ("ingester", "ingester/cases", 5),
        ("composer", "composer/cases", 3),
        ("orchestrator", "orchestrator/cases", 5),
        ("shelver", "archivist/cases/shelver", 2),
        ("scout", "archivist/cases/scout", 5),
        ("writer", "archivist/cases/writer", 2),
        ("critic", "archivist/cases/critic", 2),
    ] {
        let cases = format!("{}/plugins/{cases}", env!("CARGO_MANIFEST_DIR"));
        let ended = test(common::component(neuron), &["--cases", &cases]);
        let told = format!("\n{count} passed, 0 failed\n");
        assert!(
            ended.stdout.ends_with(&told),
            "{}{}",
            ended.stdout,
            ended.stderr
        );
        assert_eq!(ended.exit, 0);
    }
}

#[test]
fn a_wrong_expectation_shows_what_came_instead() {
    let folder = scratch("wrong-expectation");
    let neuron = beside(&folder, "generator");
    let right = r#"{
  "input": {"question": "why?"},
  "engrams": {"calls": {}},
  "expect": {"reply": {"output": {"answer": "$text:answer to *", "attempt": 1}}}
}"#;
    let wrong = r#"{
  "input": {"question": "why?"},
  "engrams": {"calls": {}},
  "faults": [{"call": 7, "ends": "stop"}],
  "expect": {
    "reply": {"output": {"answer": "$text:answer to *", "attempt": 2}, "route": "on"},
    "calls": [{"call": "engram.recall"}],
    "engrams": {"calls": [{"content": {"question": "why not?", "$rest": "$any"}}]},
    "signals": [],
    "fuel_at_most": 10
  }
}"#;
    fs::write(folder.join("cases/right.json"), right).unwrap();
    fs::write(folder.join("cases/wrong.json"), wrong).unwrap();
    let mut ended = without_fuel(test(&neuron, &[]));
    let burnt = ended.stdout.rfind("fuel_at_most\": 1").unwrap() + "fuel_at_most\": ".len();
    let digits = ended.stdout[burnt..].find('\n').unwrap();
    ended.stdout.replace_range(burnt..burnt + digits, "N");
    ended.is(
        &folder,
        &expect![[r#"
            exit 1
            --- stdout
            ok       right  N fuel, 2 host calls
            FAILED   wrong  N fuel, 2 host calls
              --- expected
              +++ got
              @@ -1,7 +1,20 @@
               {
              -  "reply": {"output": {"answer": "$text:answer to *", "attempt": 2}, "route": "on"},
              -  "calls": [{"call": "engram.recall"}],
              -  "engrams": {"calls": [{"content": {"question": "why not?", "$rest": "$any"}}]},
              +  "reply": {"output": {"answer": "$text:answer to *", "attempt": 1}},
              +  "calls": [
              +    {
              +      "call": "engram.imprint",
              +      "args": {
              +        "binding": "calls",
              +        "op": "append",
              +        "entry": {
              +          "content": {"question": "why?", "trace": "trc_01KDVDNA00JGPXEAYJHYJTS0CH"},
              +          "tags": ["call"]
              +        }
              +      }
              +    },
              +    {"call": "engram.recall"}
              +  ],
              +  "engrams": {"calls": [{"content": {"question": "why?", "$rest": "$any"}}]},
                 "signals": [],
              -  "fuel_at_most": 10
              +  "fuel_at_most": N
               }
              faults.0 did not strike: the neuron made 2 calls (log lines do not count)

            1 passed, 1 failed
            --- stderr
        "#]],
    );
}

#[test]
fn a_recorded_case_passes_and_is_recorded_to_the_same_bytes_again() {
    let folder = scratch("recorded");
    let neuron = beside(&folder, "generator");
    let words = ["--record", "first", "--input", r#"{"question": "why?"}"#];
    let ended = without_fuel(test(&neuron, &words));
    ended.is(
        &folder,
        &expect![[r#"
            exit 0
            --- stdout
            recorded FOLDER/cases/first.json  N fuel, 1 host call
            --- stderr
        "#]],
    );
    let path = folder.join("cases/first.json");
    let first = fs::read(&path).unwrap();
    assert_eq!(test(&neuron, &[]).exit, 0);

    test(&neuron, &words).is(
        &folder,
        &expect![[r#"
            exit 2
            --- stdout
            --- stderr
            error: FOLDER/cases/first.json is there already
            help: `--update` rewrites what a case expects
        "#]],
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(test(&neuron, &words).exit, 0);
    assert_eq!(fs::read(&path).unwrap(), first);
    let updated = test(&neuron, &["--update"]);
    assert!(
        updated
            .stdout
            .ends_with("\n1 passed, 0 updated, 0 failed\n")
    );
    assert_eq!(fs::read(&path).unwrap(), first);
}

#[test]
fn what_is_refused_is_not_recorded() {
    let folder = scratch("refused");
    let neuron = beside(&folder, "orchestrator");
    test(&neuron, &["--record", "first"]).is(
        &folder,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: FOLDER/orchestrator.wasm was refused: the component imports `soma:neuron/orchestration@0.1.0`, which is not granted; grant `orchestration` or build it without
            help: write a case with the `grants` that it needs and run it with `--update`
        "#]],
    );
    assert!(!folder.join("cases/first.json").exists());
}

#[test]
fn an_update_changes_what_is_expected_and_nothing_else() {
    let folder = scratch("updated");
    let neuron = beside(&folder, "generator");
    let before = r#"{ "input":   {"question": "why?"},

  "engrams": {"calls": {}},
  "expect": {"reply": {"output": {"answer": "$text:answer*", "attempt": 9}}, "log": "NONE"}, "random": 5
}
"#;
    let path = folder.join("cases/one.json");
    fs::write(&path, before.replace("\"NONE\"", "[]")).unwrap();
    fs::write(
        folder.join("cases/two.json"),
        "{\"input\": {\"question\": \"why?\"}}",
    )
    .unwrap();
    without_fuel(test(&neuron, &["--update"])).is(
        &folder,
        &expect![[r#"
            exit 0
            --- stdout
            updated  one  N fuel, 2 host calls
            updated  two  N fuel, 1 host call

            0 passed, 2 updated, 0 failed
            --- stderr
        "#]],
    );
    let after = before.replace("\"NONE\"", "[]").replace('9', "1");
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert_eq!(test(&neuron, &[]).exit, 0);
}

#[test]
fn only_the_cases_that_are_named_run_and_json_is_a_line_each() {
    let folder = scratch("named");
    let neuron = beside(&folder, "echo");
    for (name, said) in [("a", 1), ("b", 2), ("c", 3)] {
        let case = json!({"input": {"n": said}, "expect": {"reply": {"output": {"n": 2}}}});
        fs::write(folder.join(format!("cases/{name}.json")), case.to_string()).unwrap();
    }
    let ended = test(&neuron, &["c", "b", "--json"]);
    assert_eq!((ended.exit, ended.stderr.as_str()), (1, ""));
    let lines = ended.stdout.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| (&line["case"], &line["ok"]))
        .collect();
    assert_eq!(
        shown,
        [(&json!("b"), &json!(true)), (&json!("c"), &json!(false))]
    );
    assert_eq!(lines[0]["diff"], json!(""));
    assert_eq!(
        lines[1]["diff"],
        json!(
            "--- expected\n+++ got\n@@ -1 +1 @@\n-{\"reply\": {\"output\": {\"n\": 2}}}\n+{\"reply\": {\"output\": {\"n\": 3}}}\n"
        )
    );
    assert_eq!(lines[1]["problems"], json!([]));
    assert_eq!(lines[1]["host_calls"], json!(0));
    assert!(lines[1]["fuel"].as_u64().unwrap() > 0);

    test(&neuron, &["d"]).is(
        &folder,
        &expect![[r#"
            exit 2
            --- stdout
            --- stderr
            error: there is no case `d` in FOLDER/cases
            help: there are `a`, `b`, `c`
        "#]],
    );
    test("d", &[]).is(
        &folder,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: there is no component or project `d`
            help: a case is named behind the project's folder: soma neuron test . d
        "#]],
    );
}

#[test]
fn all_that_is_wrong_with_case_files_is_told_before_anything_runs() {
    let folder = scratch("bad-files");
    let neuron = beside(&folder, "echo");
    fs::write(folder.join("cases/a.json"), "{\"input\": 1}").unwrap();
    fs::write(folder.join("cases/b.json"), "{\n\"input\": {}\n}").unwrap();
    fs::write(folder.join("cases/c.json"), "{").unwrap();
    fs::write(
        folder.join("cases/d.json"),
        "{\"input\": {}, \"expect\": {}}",
    )
    .unwrap();
    test(&neuron, &[]).is(
        &folder,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: FOLDER/cases/a.json:1:11: input: must be an object, not a number
            FOLDER/cases/b.json: nothing is expected
              `--update` writes down what comes
            FOLDER/cases/c.json:1:1: is no JSON: EOF while parsing an object
            FOLDER/cases/d.json: nothing is expected
              `--update` writes down what comes
        "#]],
    );
}

#[test]
fn without_cases_or_a_component_it_says_what_to_do() {
    let folder = scratch("nothing");
    let neuron = beside(&folder, "echo");
    test(&neuron, &[]).is(
        &folder,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: there is no case in FOLDER/cases
            help: write a case, or record one: `--record NAME --input JSON` (docs/testing-neurons.md)
        "#]],
    );
    test(&neuron, &["--cases", "/nowhere/at/all"]).is(
        &folder,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: cannot read the folder of cases /nowhere/at/all: No such file or directory (os error 2)
            help: write a case, or record one: `--record NAME --input JSON` (docs/testing-neurons.md)
        "#]],
    );
    for words in [["--record", "a/b"], ["--record", "x"]] {
        let input: &[&str] = if words[1] == "x" {
            &["--input", "[]"]
        } else {
            &[]
        };
        let ended = test(&neuron, &[&words[..], input].concat());
        assert_eq!(ended.exit, 2, "{}", ended.stderr);
    }
    fs::write(
        folder.join("cases/a.json"),
        "{\"input\": {}, \"expect\": {\"calls\": []}}",
    )
    .unwrap();
    fs::write(&neuron, b"\0asm\x01\0\0\0").unwrap();
    test(&neuron, &[]).is(
        &folder,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: FOLDER/echo.wasm was refused: this is a core WebAssembly module, not a component; link it with wasm-component-ld or wrap it with `wasm-tools component new`
        "#]],
    );
    fs::remove_file(&neuron).unwrap();
    let ended = test(&neuron, &[]);
    assert_eq!(ended.exit, 3);
    assert!(
        ended.stderr.starts_with("error: cannot read "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_project_folder_stands_for_its_built_component() {
    let folder = scratch("project");
    fs::write(
        folder.join("neuron.toml"),
        "id = \"parrot\"\nversion = \"1.0.0\"\n",
    )
    .unwrap();
    test(&folder, &[]).is(
        &folder,
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: FOLDER/target/parrot.wasm is not there
            help: build it with `soma neuron build FOLDER`
        "#]],
    );
    fs::create_dir(folder.join("target")).unwrap();
    fs::copy(common::component("echo"), folder.join("target/parrot.wasm")).unwrap();
    let ended = test(&folder, &["--record", "says", "--input", "{\"a\": 1}"]);
    assert_eq!(ended.exit, 0, "{}", ended.stderr);
    assert!(folder.join("cases/says.json").is_file());
    assert_eq!(test(&folder, &["says"]).exit, 0);
}

#[test]
fn a_case_that_takes_too_much_real_time_fails_and_is_not_written_down() {
    let folder = scratch("patience");
    let neuron = beside(&folder, "puppet");
    let endless = r#"{
  "input": {"do": ["spin"]},
  "grants": {"orchestration": true},
  "limits": {"fuel": 18446744073709551615, "timeout": "1s"},
  "expect": {"reply": {"stopped": true}}
}"#;
    let path = folder.join("cases/endless.json");
    fs::write(&path, endless).unwrap();
    fs::write(
        folder.join("cases/short.json"),
        r#"{"input": {}, "grants": {"orchestration": true}, "expect": {"signals": []}}"#,
    )
    .unwrap();
    for words in [
        &["--patience", "200ms"][..],
        &["--patience", "200ms", "--update"],
    ] {
        let ended = without_fuel(test(&neuron, words));
        let told: Vec<_> = ended.stdout.lines().take(3).collect();
        assert_eq!(
            told,
            [
                "FAILED   endless  N fuel, 0 host calls",
                "  it had not ended after 200ms of real time, and was stopped",
                "ok       short  N fuel, 0 host calls",
            ]
        );
        assert_eq!(ended.exit, 1);
        assert_eq!(fs::read_to_string(&path).unwrap(), endless);
    }
    let record = ["--patience", "0s", "--record", "new"];
    test(beside(&folder, "echo"), &record).is(
        &folder,
        &expect![[r#"
            exit 1
            --- stdout
            --- stderr
            error: it had not ended after 0ns of real time, and was stopped
            help: allow more with `--patience`
        "#]],
    );
    assert!(!folder.join("cases/new.json").exists());
}

/// The JSON blocks of the page about cases.
fn documented() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/testing-neurons.md")).unwrap();
    let blocks = page.split("```json\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

#[test]
fn the_cases_of_the_documentation_are_cases() {
    let folder = scratch("documented");
    let neuron = beside(&folder, "generator");
    let mut whole = 0;
    for block in documented() {
        if block.starts_with('{') {
            whole += 1;
            fs::write(folder.join("cases/whole.json"), block).unwrap();
        } else {
            case_of_text(&format!("{{\"input\": {{}}, {block}}}")).unwrap();
        }
    }
    assert_eq!(whole, 1);
    let ended = test(&neuron, &[]);
    assert_eq!(ended.exit, 0, "{}{}", ended.stdout, ended.stderr);
}
