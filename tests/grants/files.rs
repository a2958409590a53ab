//! Folders: what is granted is there, and no path leads out of it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use soma::neuron::{FileAccess, Folder, Grants, Wasi};

use crate::{answer, bare, common, error, probe, said, to_do, with};

/// An empty folder of this test's own.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("grants")
        .join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder `data` beside a file that is nobody's business.
fn house(name: &str) -> PathBuf {
    let root = scratch(name);
    fs::create_dir(root.join("data")).unwrap();
    fs::write(root.join("data/note"), "a note").unwrap();
    fs::create_dir(root.join("data/inner")).unwrap();
    fs::write(root.join("data/inner/deep"), "deep").unwrap();
    fs::write(root.join("secret"), "a secret").unwrap();
    root
}

fn granted(root: &Path, access: FileAccess) -> Grants {
    with(Wasi {
        folders: vec![Folder {
            host: root.join("data"),
            guest: "/data".to_owned(),
            access,
        }],
        ..Wasi::default()
    })
}

fn to_read(root: &Path) -> Grants {
    granted(root, FileAccess::Read)
}

fn to_write(root: &Path) -> Grants {
    granted(root, FileAccess::ReadWrite)
}

/// A path in the folder.
fn at(path: &str) -> Value {
    json!(["/data", path])
}

/// Every step that would change something. None of the files is there by
/// accident: each step would work with leave.
fn changes() -> Value {
    json!([
        {"write": [at("new"), "x"]},
        {"write": [at("note"), "x"]},
        {"write_directly": [at("note"), "x"]},
        {"append": [at("note"), "x"]},
        {"open_to_write": at("note")},
        {"set_size": [at("note"), 0]},
        {"set_times": at("note")},
        {"make_folder": at("folder")},
        {"rename": [at("note"), at("moved")]},
        {"hard_link": [at("inner/deep"), at("linked")]},
        {"symlink": ["inner/deep", at("symlink")]},
        {"remove": at("inner/deep")},
        {"remove_folder": at("inner")},
    ])
}

#[test]
fn without_a_grant_there_are_no_folders() {
    let steps = json!(["folders", {"read": ["/", "etc/passwd"]}, {"read": [".", "Cargo.toml"]}]);
    assert_eq!(
        said(&bare(), steps),
        [json!([]), error("no such folder"), error("no such folder")]
    );
}

#[test]
fn a_folder_to_read_is_read() {
    let root = house("read");
    let steps = json!([
        "folders",
        {"list": at(".")},
        {"read": at("note")},
        {"read_directly": at("inner/deep")},
        {"read": at("inner/../note")},
        {"read": at("missing")},
    ]);
    assert_eq!(
        said(&to_read(&root), steps),
        [
            json!(["/data"]),
            json!(["inner", "note"]),
            json!("a note"),
            json!("deep"),
            json!("a note"),
            error("no-entry"),
        ]
    );
}

#[test]
fn in_a_folder_to_read_nothing_can_be_changed() {
    let root = house("unchanged");
    let said = said(&to_read(&root), changes());
    assert_eq!(said.len(), 13);
    for (step, said) in said.into_iter().enumerate() {
        assert_eq!(said, error("not-permitted"), "step {step}");
    }
    let names = |folder: &str| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|one| one.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("data"), ["inner", "note"]);
    assert_eq!(names("data/inner"), ["deep"]);
    assert_eq!(
        fs::read_to_string(root.join("data/note")).unwrap(),
        "a note"
    );
}

#[test]
fn in_a_folder_to_write_everything_can_be_changed() {
    let root = house("changed");
    let said = said(&to_write(&root), changes());
    for (step, said) in said.into_iter().enumerate() {
        assert!(said.get("error").is_none(), "step {step}: {said}");
    }
    let read = |name: &str| fs::read_to_string(root.join("data").join(name)).unwrap();
    assert_eq!(
        (read("new"), read("linked")),
        ("x".to_owned(), "deep".to_owned())
    );
    assert_eq!(read("moved"), "");
    assert!(!root.join("data/inner").exists());
}

#[test]
fn what_is_written_is_there_when_the_call_returns_waited_for_or_not() {
    let root = house("at_once");
    let steps = json!([
        {"write_on": [at("many"), "piece,", 5]},
        {"read": at("many")},
        {"append": [at("many"), "end"]},
        {"append": [at("many"), "!"]},
    ]);
    let said = said(&to_write(&root), steps);
    assert_eq!(said[1], "piece,piece,piece,piece,piece,");
    let many = fs::read_to_string(root.join("data/many")).unwrap();
    assert_eq!(many, "piece,piece,piece,piece,piece,end!");
}

#[test]
fn no_path_leads_out_of_a_folder() {
    let root = house("out");
    let absolute = root.join("secret").display().to_string();
    for path in [
        "../secret",
        "inner/../../secret",
        "inner/../../data/note",
        &absolute,
        "/etc/passwd",
    ] {
        let steps = json!([
            {"read": at(path)},
            {"read_directly": at(path)},
            {"write": [at(path), "overwritten"]},
            {"kind": at(path)},
            {"remove": at(path)},
            {"rename": [at("note"), at(path)]},
            {"hard_link": [at(path), at("stolen")]},
        ]);
        for said in said(&to_write(&root), steps) {
            assert_eq!(said, error("not-permitted"), "{path}");
        }
    }
    assert_eq!(
        said(&to_write(&root), json!([{"list": at("..")}])),
        [error("not-permitted")]
    );
    assert_eq!(fs::read_to_string(root.join("secret")).unwrap(), "a secret");
}

#[test]
fn no_link_that_is_there_leads_out_of_a_folder() {
    let root = house("links");
    let link = |target: &Path, name: &str| symlink(target, root.join("data").join(name)).unwrap();
    link(&root.join("secret"), "absolute");
    link(Path::new("../secret"), "upwards");
    link(&root, "parent");
    link(Path::new("absolute"), "twice");
    link(Path::new("inner/deep"), "inside");
    for path in ["absolute", "upwards", "parent/secret", "twice"] {
        let steps = json!([
            {"read": at(path)},
            {"write": [at(path), "overwritten"]},
            {"set_times": at(path)},
            {"kind": at(path)},
        ]);
        for said in said(&to_write(&root), steps) {
            assert_eq!(said, error("not-permitted"), "{path}");
        }
    }
    assert_eq!(
        said(&to_write(&root), json!([{"list": at("parent")}])),
        [error("not-permitted")]
    );
    assert_eq!(
        said(&to_read(&root), json!([{"read": at("inside")}])),
        [json!("deep")]
    );
    assert_eq!(fs::read_to_string(root.join("secret")).unwrap(), "a secret");
}

#[test]
fn no_link_that_a_neuron_makes_leads_out_of_a_folder() {
    let root = house("own_links");
    let absolute = root.join("secret").display().to_string();
    let steps = json!([
        // A link to an absolute path is not even made.
        {"symlink": [absolute, at("absolute")]},
        {"symlink": ["../secret", at("upwards")]},
        {"read": at("upwards")},
        {"write": [at("upwards"), "overwritten"]},
        {"symlink": ["..", at("parent")]},
        {"list": at("parent")},
        {"read": at("parent/secret")},
        {"rename": [at("parent"), at("inner/parent")]},
        {"read": at("inner/parent/../secret")},
    ]);
    let denied = error("not-permitted");
    assert_eq!(
        said(&to_write(&root), steps),
        [
            denied.clone(),
            Value::Null,
            denied.clone(),
            denied.clone(),
            Value::Null,
            denied.clone(),
            denied.clone(),
            Value::Null,
            denied,
        ]
    );
    assert_eq!(fs::read_to_string(root.join("secret")).unwrap(), "a secret");
}

#[test]
fn a_folder_is_the_one_that_was_there_at_load_whatever_has_its_name_later() {
    let root = house("swapped");
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &to_read(&root));
    fs::rename(root.join("data"), root.join("moved")).unwrap();
    fs::create_dir(root.join("other")).unwrap();
    fs::write(root.join("other/note"), "another note").unwrap();
    symlink("other", root.join("data")).unwrap();
    let answer = answer(&host, &tenant, to_do(json!([{"read": at("note")}])));
    assert_eq!(common::said(&answer), [json!("a note")]);
}

#[test]
fn nothing_moves_from_a_folder_to_read_into_one_to_write() {
    let root = house("two");
    fs::create_dir(root.join("out")).unwrap();
    let folder = |host: &str, access| Folder {
        host: root.join(host),
        guest: format!("/{host}"),
        access,
    };
    let grants = with(Wasi {
        folders: vec![
            folder("data", FileAccess::Read),
            folder("out", FileAccess::ReadWrite),
        ],
        ..Wasi::default()
    });
    let steps = json!([
        {"rename": [at("note"), ["/out", "note"]]},
        {"hard_link": [at("note"), ["/out", "note"]]},
        {"write": [["/out", "note"], "mine"]},
        {"rename": [["/out", "note"], at("note")]},
    ]);
    let denied = error("not-permitted");
    assert_eq!(
        said(&grants, steps),
        [denied.clone(), denied.clone(), Value::Null, denied]
    );
}

#[test]
fn a_pipe_in_a_folder_is_not_opened_because_nothing_could_cut_that() {
    let root = house("pipe");
    let made = Command::new("mkfifo").arg(root.join("data/pipe")).status();
    assert!(made.unwrap().success());
    symlink("pipe", root.join("data/link")).unwrap();
    let steps = json!([
        {"read": at("pipe")},
        {"read": at("link")},
        {"append": [at("pipe"), "x"]},
    ]);
    let denied = error("not-permitted");
    assert_eq!(
        said(&to_write(&root), steps),
        [denied.clone(), denied.clone(), denied]
    );
}

#[test]
fn a_task_has_so_many_files_and_listings_open_and_no_more() {
    let root = house("many");
    let host = common::host();
    let tenant = probe(&host, "wasi_probe", &to_read(&root));
    let steps = json!([
        {"open": [at("note"), 100]},
        {"begin_listings": [at("."), 100]},
        {"read": at("note")},
    ]);
    let many = [
        json!({"opened": 64, "error": "quota"}),
        json!({"begun": 16, "error": "quota"}),
        error("quota"),
    ];
    assert_eq!(common::said(&answer(&host, &tenant, to_do(steps))), many);
    // They are closed with their task, and counted by task.
    let steps = json!([{"open": [at("note"), 60]}]);
    let some = common::said(&answer(&host, &tenant, to_do(steps)));
    assert_eq!(some, [json!({"opened": 60})]);
    let reads: Vec<_> = (0..200).map(|_| json!({"read": at("note")})).collect();
    let read = common::said(&answer(&host, &tenant, to_do(json!(reads))));
    assert!(read.iter().all(|said| said == "a note"));
}
