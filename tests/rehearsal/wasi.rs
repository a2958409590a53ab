//! What a neuron finds in WASI.

use super::*;

/// The WASI probe does these steps; `more` keys beside the input.
fn probed(folder: &Path, steps: Value, more: &Value) -> Run {
    let mut case = json!({"input": {"do": steps}});
    case.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let path = folder.join("case.json");
    fs::write(&path, case.to_string()).unwrap();
    let case = CaseFile::read(&path).unwrap();
    rehearsal("wasi_probe").run(&case).unwrap()
}

#[test]
fn wasi_has_the_cases_time_and_randomness_and_nothing_that_is_not_named() {
    let folder = scratch("wasi");
    let steps = json!([
        "environment", "folders", "now", {"sleep": 7_200_000}, "now", {"random": 2}, "seed",
        {"print": "a line\n"}, "create_tcp",
    ]);
    let scene = json!({"grants": {"wasi": true}, "limits": {"timeout": "3h"}});
    let run = probed(&folder, steps.clone(), &scene);
    let all = said(&run);
    let start = 1_767_225_600_000_000_u64;
    assert_eq!(
        all.as_array().unwrap()[..5],
        [
            json!([]),
            json!([]),
            json!(start),
            Value::Null,
            json!(start + 7_200_000_000)
        ]
    );
    assert_eq!(all[8], json!({"error": "access-denied"}));
    assert_eq!(got(&run)["calls"], json!([]));
    assert_eq!(got(&run)["log"][0]["message"], json!("a line"));
    let again = probed(&folder, steps, &scene);
    assert_eq!(got(&again), got(&run));
    assert_eq!(again.usage().fuel, run.usage().fuel);
}

#[test]
fn folders_and_variables_are_those_of_the_case_and_nothing_is_written() {
    let folder = scratch("wasi-files");
    fs::create_dir(folder.join("texts")).unwrap();
    fs::write(folder.join("texts/one.txt"), "one").unwrap();
    let run = probed(
        &folder,
        json!([
            "environment",
            {"read": ["/data", "one.txt"]},
            {"write": [["/data", "two.txt"], "two"]},
            {"read": ["/data", "../case.json"]},
        ]),
        &json!({"environment": {"LEVEL": "3"}, "files": {"data": "texts"}}),
    );
    let all = said(&run);
    assert_eq!(all[0], json!([["LEVEL", "3"]]));
    assert_eq!(all[1], json!("one"));
    assert!(all[2]["error"].is_string(), "{}", all[2]);
    assert!(all[3]["error"].is_string(), "{}", all[3]);
    assert!(!folder.join("texts/two.txt").exists());
}

#[test]
fn without_wasi_and_for_the_network_a_component_is_refused_in_words() {
    let folder = scratch("wasi-refused");
    let refused = |run: &Run| run.refusal().unwrap().to_owned();
    let words = refused(&probed(&folder, json!([]), &json!({})));
    assert!(
        words.ends_with(
            "which is not granted; grant `wasi` (without folders, environment and http rules it \
             reaches none) or build it without"
        ),
        "{words}"
    );
    let case = case_of_text(r#"{"input": {}, "grants": {"wasi": true}}"#).unwrap();
    let words = refused(&rehearsal("http_probe").run(&case).unwrap());
    assert!(
        words.ends_with(
            "which is not granted; grant `http` with a rule for each host that it may reach, or \
             build it without"
        ),
        "{words}"
    );
}

#[test]
fn folders_that_are_not_there_and_variables_that_cannot_be_are_told() {
    let folder = scratch("wasi-wrong");
    let path = folder.join("case.json");
    let text = r#"{
  "input": {},
  "environment": {"A=B": "1", "C": "2"},
  "files": {"data": "nowhere", "a/b": "."}
}"#;
    fs::write(&path, text).unwrap();
    let told = CaseFile::read(&path).unwrap_err().to_string();
    expect![[r#"
        case.json:3:26: environment."A=B": cannot be a variable: a name has no `=`, neither has a NUL
        case.json:4:21: files.data: there is no folder nowhere
        case.json:4:39: files."a/b": "a/b" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"#]]
    .assert_eq(&told.replace(&path.display().to_string(), "case.json"));
}

#[test]
fn a_case_gives_no_folder_that_does_not_lie_beside_it() {
    let folder = scratch("wasi-outside");
    let secrets = folder.join("secrets");
    let cases = folder.join("cases");
    for made in [&secrets, &cases.join("own/deep")] {
        fs::create_dir_all(made).unwrap();
    }
    fs::write(secrets.join("id"), "a secret").unwrap();
    std::os::unix::fs::symlink("../secrets", cases.join("link")).unwrap();
    std::os::unix::fs::symlink("own/deep", cases.join("short")).unwrap();
    let path = cases.join("case.json");
    let text = r#"{
  "input": {},
  "files": {
    "a": "SECRETS",
    "b": "../secrets",
    "c": "own/../../secrets",
    "d": "link",
    "e": "link/nothing",
    "f": "case.json",
    "g": "own/.."
  }
}"#;
    let secrets = secrets.display().to_string();
    fs::write(&path, text.replace("SECRETS", &secrets)).unwrap();
    let told = CaseFile::read(&path).unwrap_err().to_string();
    let told = told.replace(&path.display().to_string(), "case.json");
    expect![[r#"
        case.json:4:10: files.a: SECRETS is not in the folder of this file, or below it
        case.json:5:10: files.b: ../secrets is not in the folder of this file, or below it
        case.json:6:10: files.c: own/../../secrets is not in the folder of this file, or below it
        case.json:7:10: files.d: link is not in the folder of this file, or below it
        case.json:8:10: files.e: there is no folder link/nothing
        case.json:9:10: files.f: there is no folder case.json
        case.json:10:10: files.g: own/.. is not in the folder of this file, or below it"#]]
    .assert_eq(&told.replace(&secrets, "SECRETS"));
    let own = r#"{"input": {}, "files": {"a": ".", "b": "./own/deep", "c": "short"}}"#;
    fs::write(&path, own).unwrap();
    CaseFile::read(&path).unwrap();
}
