//! What a component carries beside its code.

use serde_json::json;

use super::*;

fn refused(wasm: &[u8]) -> String {
    Package::read(wasm).unwrap_err().to_string()
}

#[test]
fn an_embedded_manifest_is_read_back_and_the_code_is_the_same() {
    let schemas = Schemas {
        input: Some(json!({"type": "object"})),
        output: None,
    };
    let wasm = embed(&component(), &manifest(), &schemas).unwrap();
    let package = Package::read(&wasm).unwrap();
    assert_eq!(package.manifest, Some(manifest()));
    assert_eq!(package.schemas, schemas);
    assert_eq!(package.size_bytes, wasm.len());
    let code = |wasm: &[u8]| code_sections(wasm);
    assert_eq!(code(&wasm), code(&component()));
}

/// A component's sections without the custom ones.
fn code_sections(wasm: &[u8]) -> Vec<Vec<u8>> {
    let mut kept = Vec::new();
    let mut at = 8;
    while at < wasm.len() {
        let start = at;
        let id = wasm[at];
        at += 1;
        let (mut size, mut shift) = (0_usize, 0);
        loop {
            let byte = wasm[at];
            at += 1;
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        at += size;
        if id != 0 {
            kept.push(wasm[start..at].to_vec());
        }
    }
    kept
}

#[test]
fn other_tools_find_the_standard_metadata() {
    let wasm = packaged();
    for (name, text) in [
        ("version", "1.2.3"),
        ("description", "Keeps notes."),
        ("licenses", "Apache-2.0"),
    ] {
        let section = custom(name, text.as_bytes());
        let found = wasm
            .windows(section.len())
            .filter(|bytes| *bytes == section);
        assert_eq!(found.count(), 1, "{name}");
    }
}

#[test]
fn a_manifest_replaces_the_one_before_it() {
    let mut next = manifest();
    next.version = "2.0.0".to_owned();
    let wasm = embed(&packaged(), &next, &Schemas::default()).unwrap();
    assert_eq!(Package::read(&wasm).unwrap().manifest, Some(next.clone()));
    let once = embed(&component(), &next, &Schemas::default()).unwrap();
    assert_eq!(wasm.len(), once.len());
}

#[test]
fn a_component_without_a_manifest_has_none() {
    assert!(Package::read(&component()).unwrap().manifest.is_none());
}

#[test]
fn two_manifests_are_one_too_many() {
    let mut wasm = packaged();
    wasm.extend(custom("soma:manifest", b"{}"));
    assert_eq!(
        refused(&wasm),
        "its embedded manifest is wrong: there is more than one"
    );
}

#[test]
fn a_manifest_that_is_none_is_refused_in_words() {
    let told = |data: &str| {
        let mut wasm = component();
        wasm.extend(custom("soma:manifest", data.as_bytes()));
        refused(&wasm)
    };
    expect!["its embedded manifest is wrong: expected ident at line 1 column 2"]
        .assert_eq(&told("no json"));
    expect!["its embedded manifest is wrong: it has the format 2, this host reads format 1"]
        .assert_eq(&told(r#"{"format": 2}"#));
    expect!["its embedded manifest is wrong: unknown field `rights`, expected one of `format`, `manifest`, `schemas` at line 1 column 22"]
        .assert_eq(&told(r#"{"format": 1, "rights": []}"#));
    expect![[r#"its embedded manifest is wrong: id: "" cannot be a name: use 1 to 64 letters (a-z, A-Z), digits, `-` or `_`"#]]
        .assert_eq(&told(r#"{"format": 1, "manifest": {"id": "", "version": "1.0.0"}}"#));
}

#[test]
fn a_manifest_inside_an_inner_component_counts_for_nothing() {
    let mut outer = component()[..8].to_vec();
    let inner = packaged();
    outer.push(4);
    let mut size = inner.len();
    while size > 0x7f {
        outer.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    outer.push(size as u8);
    outer.extend(inner);
    assert!(Package::read(&outer).unwrap().manifest.is_none());
}

#[test]
fn a_file_that_is_cut_off_or_something_else_is_refused() {
    let wasm = packaged();
    let cut = refused(&wasm[..wasm.len() - 1]);
    assert!(
        cut.starts_with("this is not a WebAssembly component: unexpected end-of-file"),
        "{cut}"
    );
    assert_eq!(
        refused(b"hello, world"),
        "this is not a WebAssembly component: it does not start like one"
    );
    assert_eq!(
        refused(b"\0asm\x01\0\0\0"),
        "this is not a WebAssembly component: it is a core module"
    );
}

#[test]
fn a_file_of_nothing_but_sections_or_names_is_refused_before_they_are_held() {
    let mut wasm = component();
    for _ in 0..30_000 {
        // An empty section of core instances.
        wasm.extend([2, 1, 0]);
    }
    assert_eq!(
        refused(&wasm),
        "this is not a WebAssembly component: it has more than 20000 sections"
    );
    let imports: String = (0..2_000)
        .map(|number| format!("(import \"a{number}\" (instance))"))
        .collect();
    let wasm = wat::parse_str(format!("(component {imports})")).unwrap();
    assert_eq!(
        refused(&wasm),
        "this is not a WebAssembly component: it has more imports or exports than any neuron needs"
    );
}
