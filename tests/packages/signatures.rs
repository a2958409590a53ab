//! Who vouches for a component.

use soma::package::{
    Policy, SignatureError, Trust, generate_key, public_key, read_key, read_public_key, sign,
};

use super::*;

/// A fresh pair of keys, read back from their files; the private one first.
fn keys(name: &str) -> (ed25519_dalek::SigningKey, ed25519_dalek::VerifyingKey) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
    fs::create_dir_all(&folder).unwrap();
    let (private, public) = generate_key().unwrap();
    let file = |end: &str| folder.join(format!("{name}.{end}"));
    fs::write(file("key"), private).unwrap();
    fs::write(file("pub"), &public).unwrap();
    let key = read_key(&file("key")).unwrap();
    assert_eq!(public_key(&key).unwrap(), public);
    (key, read_public_key(&file("pub")).unwrap())
}

fn requiring(keys: &[ed25519_dalek::VerifyingKey]) -> Trust {
    Trust {
        policy: Policy::Require,
        keys: keys.to_vec(),
    }
}

fn checked(trust: &Trust, wasm: &[u8]) -> Result<Vec<String>, String> {
    let package = Package::read(wasm).map_err(|error| error.to_string())?;
    trust.check(&package).map_err(|error| error.to_string())
}

#[test]
fn a_component_signed_by_a_trusted_key_is_known_by_it() {
    let (private, public) = keys("trusted");
    let wasm = sign(&packaged(), &private).unwrap();
    let package = Package::read(&wasm).unwrap();
    let by = package.signatures[0].key_id();
    assert_eq!(checked(&requiring(&[public]), &wasm), Ok(vec![by]));
    assert_eq!(package.manifest, Some(manifest()));
}

#[test]
fn an_unsigned_component_and_one_signed_by_a_stranger_are_told_apart() {
    let (stranger, _) = keys("stranger");
    let (_, public) = keys("mine");
    let trust = requiring(&[public]);
    assert_eq!(
        checked(&trust, &packaged()),
        Err("it is not signed".to_owned())
    );
    let wasm = sign(&packaged(), &stranger).unwrap();
    let by = Package::read(&wasm).unwrap().signatures[0].key_id();
    assert_eq!(
        checked(&trust, &wasm),
        Err(format!(
            "it is signed by the key {by}, which this deployment does not trust"
        ))
    );
}

#[test]
fn one_changed_byte_anywhere_before_a_signature_spoils_it() {
    let (private, public) = keys("spoilt");
    let wasm = sign(&packaged(), &private).unwrap();
    let trust = requiring(&[public]);
    let by = Package::read(&wasm).unwrap().signatures[0].key_id();
    let told = format!(
        "its signature by the key {by} does not fit its bytes: it was changed after it was signed"
    );
    // The manifest's version, inside the signed part.
    let at = wasm
        .windows(7)
        .rposition(|bytes| bytes == b"\"1.2.3\"")
        .unwrap();
    let mut forged = wasm.clone();
    forged[at + 1] = b'9';
    assert_eq!(checked(&trust, &forged), Err(told.clone()));
    // The signature itself.
    let mut forged = wasm.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(checked(&trust, &forged), Err(told));
}

#[test]
fn a_signature_of_another_component_is_worth_nothing() {
    let (private, public) = keys("moved");
    let other = sign(&component(), &private).unwrap();
    let mut wasm = packaged();
    wasm.extend(&other[component().len()..]);
    assert!(
        checked(&requiring(&[public]), &wasm)
            .unwrap_err()
            .ends_with("it was changed after it was signed")
    );
}

#[test]
fn nothing_may_follow_a_signature_but_another_one() {
    let (one, first) = keys("one");
    let (two, second) = keys("two");
    let both = sign(&sign(&packaged(), &one).unwrap(), &two).unwrap();
    assert_eq!(checked(&requiring(&[first]), &both).unwrap().len(), 1);
    assert_eq!(
        checked(&requiring(&[first, second]), &both).unwrap().len(),
        2
    );
    let mut followed = both;
    followed.extend(custom("soma:manifest", b"{}"));
    assert_eq!(
        checked(&requiring(&[first]), &followed),
        Err("something was added after its signature: only what stands before is signed".into())
    );
}

#[test]
fn more_signatures_than_anybody_needs_are_refused_before_one_is_verified() {
    let (private, _) = keys("many");
    let mut wasm = packaged();
    let mut before = wasm.len();
    for _ in 0..16 {
        before = wasm.len();
        wasm = sign(&wasm, &private).unwrap();
    }
    assert_eq!(Package::read(&wasm).unwrap().signatures.len(), 16);
    expect!["it has 16 signatures, which is the most that a host reads"]
        .assert_eq(&sign(&wasm, &private).unwrap_err().to_string());
    let last = wasm[before..].to_vec();
    wasm.extend(last);
    expect!["it has more than 16 signatures"]
        .assert_eq(&Package::read(&wasm).unwrap_err().to_string());
}

#[test]
fn a_bad_signature_beside_a_good_one_is_told() {
    let (one, first) = keys("good");
    let (two, _) = keys("bad");
    let mut both = sign(&sign(&packaged(), &one).unwrap(), &two).unwrap();
    *both.last_mut().unwrap() ^= 1;
    assert!(checked(&requiring(&[first]), &both).is_err());
}

#[test]
fn a_signature_section_that_is_none_is_refused_in_words() {
    let told = |data: &[u8]| {
        let mut wasm = packaged();
        wasm.extend(custom("soma:signature", data));
        Package::read(&wasm).unwrap_err().to_string()
    };
    assert_eq!(told(b""), "its signature cannot be read: it is empty");
    assert_eq!(
        told(b"\x02"),
        "its signature cannot be read: it has the version 2, this host reads version 1"
    );
    assert_eq!(
        told(b"\x01abc"),
        "its signature cannot be read: it has 3 bytes, not 96"
    );
}

#[test]
fn a_new_manifest_takes_the_signatures_away() {
    let (private, _) = keys("removed");
    let wasm = sign(&packaged(), &private).unwrap();
    let again = embed(&wasm, &manifest(), &Schemas::default()).unwrap();
    assert!(Package::read(&again).unwrap().signatures.is_empty());
}

#[test]
fn without_a_policy_no_signature_is_looked_at() {
    let (private, _) = keys("ignored");
    let mut wasm = sign(&packaged(), &private).unwrap();
    *wasm.last_mut().unwrap() ^= 1;
    let off = Trust {
        policy: Policy::Off,
        keys: Vec::new(),
    };
    assert_eq!(checked(&off, &wasm), Ok(Vec::new()));
    let warn = Trust::default();
    assert_eq!(warn.policy, Policy::Warn);
    let package = Package::read(&wasm).unwrap();
    assert!(matches!(warn.check(&package), Err(SignatureError::Bad(_))));
}

#[test]
fn a_file_that_holds_no_key_is_told_what_one_is() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no.key");
    fs::write(&path, "secret").unwrap();
    let told = read_key(&path).unwrap_err().to_string();
    let shown = told.replace(&path.display().to_string(), "no.key");
    expect!["no.key is no private key: it must be a PEM file of an ed25519 key, as `soma neuron keygen` writes it (PKCS#8 ASN.1 error: PEM error: PEM preamble contains invalid data (NUL byte))"].assert_eq(&shown);
}
