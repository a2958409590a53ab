//! What is refused before any code of a component runs.

use std::{fmt::Write as _, fs};

use expect_test::expect;
use soma::neuron::{FileAccess, Folder, Grants, HttpRule, Metering, Wasi};

use crate::{
    common::{component, host},
    files::scratch,
    refusal, with,
};

fn rule() -> HttpRule {
    "GET=https://api.example.org".parse().unwrap()
}

#[test]
fn wasi_is_refused_without_its_grant_and_http_without_a_rule() {
    let mut told = String::new();
    for (name, grants) in [
        ("wasi_probe", Grants::default()),
        ("http_probe", Grants::default()),
        ("http_probe", with(Wasi::default())),
    ] {
        writeln!(told, "{name}: {}", refusal(name, &grants)).unwrap();
    }
    expect![[r#"
        wasi_probe: the component imports `wasi:io/poll@0.2.12`, which is not granted; grant `wasi` (without folders, environment and http rules it reaches none) or build it without
        http_probe: the component imports `wasi:io/poll@0.2.12`, which is not granted; grant `wasi` (without folders, environment and http rules it reaches none) or build it without
        http_probe: the component imports `wasi:http/types@0.2.12`, which is not granted; grant `http` with a rule for each host that it may reach, or build it without
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_component_that_asks_for_no_wasi_runs_with_the_grant_as_without() {
    let host = host();
    let wasi = Wasi {
        http: vec![rule()],
        ..Wasi::default()
    };
    assert!(host.load_file(component("echo"), &with(wasi)).is_ok());
}

#[test]
fn what_wasi_does_not_have_in_this_host_is_refused_with_the_grant_too() {
    let host = host();
    let wasi = Wasi {
        http: vec![rule()],
        ..Wasi::default()
    };
    let mut told = String::new();
    for import in [
        "wasi:cli/environment@0.3.0",
        "wasi:cli/environment",
        "wasi:keyvalue/store@0.2.0",
        "wasi:http/types@0.3.0",
        "wasi:cli/no-such-interface@0.2.0",
    ] {
        let text = format!(
            "(component (import \"{import}\" (instance (export \"f\" (func))))
               (instance $h) (export \"soma:neuron/handler@0.1.0\" (instance $h)))"
        );
        let wasm = wat::parse_str(text).unwrap();
        let refused = host.load(&wasm, &with(wasi.clone()), Metering::Fuel);
        writeln!(told, "{}", refused.unwrap_err()).unwrap();
    }
    expect![[r#"
        the component imports `wasi:cli/environment@0.3.0`; of WASI this host offers 0.2
        the component imports `wasi:cli/environment`, which this host does not offer
        the component imports `wasi:keyvalue/store@0.2.0`, which this host does not offer
        the component imports `wasi:http/types@0.3.0`; of WASI this host offers 0.2
        the component does not fit the contract: component imports instance `wasi:cli/no-such-interface@0.2.0`, but a matching implementation was not found in the linker: instance export `f` has the wrong type: function implementation is missing
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_folder_that_cannot_be_granted_is_refused_in_words() {
    let root = scratch("refused");
    fs::write(root.join("file"), "").unwrap();
    let folder = |host: &str, guest: &str| Folder {
        host: root.join(host),
        guest: guest.to_owned(),
        access: FileAccess::Read,
    };
    let mut told = String::new();
    for folders in [
        vec![folder("missing", "/data")],
        vec![folder("file", "/data")],
        vec![folder("", "data")],
        vec![folder("", "/data"), folder("", "/data")],
    ] {
        let wasi = Wasi {
            folders,
            ..Wasi::default()
        };
        let refused = refusal("wasi_probe", &with(wasi));
        let refused = refused.replace(root.to_str().unwrap(), "ROOT");
        writeln!(told, "{refused}").unwrap();
    }
    expect![[r#"
        the folder ROOT/missing cannot be granted as `/data`: No such file or directory (os error 2)
        the folder ROOT/file cannot be granted as `/data`: Not a directory (os error 20)
        the folder ROOT/ cannot be granted as `data`: the guest's path must start with `/`
        the folder ROOT/ cannot be granted as `/data`: another folder has that path already
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_variable_that_no_environment_can_hold_is_refused_in_words() {
    for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
        let wasi = Wasi {
            environment: [(name.to_owned(), value.to_owned())].into(),
            ..Wasi::default()
        };
        assert_eq!(
            refusal("wasi_probe", &with(wasi)),
            format!(
                "`{name}` and its value cannot be granted as environment variable: \
                 a name has no `=`, neither has a NUL"
            )
        );
    }
}
