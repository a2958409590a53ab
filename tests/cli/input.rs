//! Where the input of a task comes from, and what is none.

use super::*;

#[test]
fn without_input_the_task_has_an_empty_one() {
    let run = run(component("echo"), ["--json"]);
    assert_eq!(run.json()["payload"], json!({"output": {}}));
}

#[test]
fn input_comes_from_a_file_or_from_standard_input() {
    let file = scratch("input.json");
    fs::write(&file, "{\"from\": \"a file\"}\n").unwrap();
    let read = run(
        component("echo"),
        ["--json", "--input-file", file.to_str().unwrap()],
    );
    assert_eq!(read.json()["payload"]["output"], json!({"from": "a file"}));

    let mut child = command()
        .args(["run", "--json", "--input-file", "-"])
        .arg(component("echo"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"from\": \"a pipe\"}").unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["payload"]["output"], json!({"from": "a pipe"}));
}

#[test]
fn input_that_is_no_json_object_is_refused_with_its_place() {
    let echo = component("echo");
    run(&echo, ["--input", "{\"a\": }"]).refuses(
        2,
        &expect![[r#"
            error: --input is not JSON: expected value at line 1 column 7
            help: the input of a task is a JSON object, for example {"question": "why?"}
        "#]],
    );
    run(&echo, ["--input", "[1]"]).refuses(
        2,
        &expect![[r#"
            error: --input is JSON, but no object
            help: the input of a task is a JSON object, for example {"question": "why?"}
        "#]],
    );
    run(&echo, ["--input-file", "/nowhere/input.json"]).refuses(
        3,
        &expect![[r#"
            error: cannot read /nowhere/input.json: No such file or directory (os error 2)
        "#]],
    );
    let file = scratch("broken.json");
    fs::write(&file, "{\n  \"a\": tru\n}").unwrap();
    run(&echo, ["--input-file", file.to_str().unwrap()]).refuses(
        3,
        &expect![[r#"
            error: TMP/broken.json is not JSON: expected ident at line 3 column 0
            help: the input of a task is a JSON object, for example {"question": "why?"}
        "#]],
    );
    run(&echo, ["--input", "{}", "--input-file", "-"]).refuses(
        2,
        &expect![[r#"
            error: the argument '--input <JSON>' cannot be used with '--input-file <FILE>'

            Usage: soma run --input <JSON> <COMPONENT>

            For more information, try '--help'.
        "#]],
    );
}
