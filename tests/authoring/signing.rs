//! `soma neuron keygen` and `sign`, and what `inspect` says of it.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder with a component and two keys, `mine` and `other`.
fn signing(name: &str) -> PathBuf {
    let folder = folder(name);
    fs::write(folder.join("notes.wasm"), packaged(&healthy(&[]), "")).unwrap();
    for key in ["mine", "other"] {
        assert_eq!(neuron(&[&"keygen", &folder.join(key)]).exit, 0);
    }
    folder
}

/// What `inspect` says of the signatures.
fn vouched(file: &Path, keys: &[&Path]) -> Vec<(bool, bool)> {
    let mut words: Vec<&dyn AsRef<Path>> = vec![&"inspect", &file, &"--json"];
    for key in keys {
        words.push(&"--key");
        words.push(key);
    }
    let told = neuron(&words).json();
    let all = told["signatures"].as_array().unwrap().iter();
    let is = |one: &Value, key: &str| one[key].as_bool().unwrap();
    all.map(|one| (is(one, "good"), is(one, "trusted")))
        .collect()
}

#[test]
fn a_key_is_for_its_owner_alone_and_its_public_half_for_everybody() {
    let folder = folder("keygen");
    let file = folder.join("mine");
    shows(
        &neuron(&[&"keygen", &file]),
        &expect![[r#"
        exit 0
        --- stdout
        key KEY

        TMP/authoring-keygen/mine  private, for you alone: whoever has it signs in your name
        TMP/authoring-keygen/mine.pub  public, for whoever is to trust what you sign

        next
          soma neuron sign COMPONENT.wasm --key TMP/authoring-keygen/mine
        --- stderr
    "#]],
    );
    let mode = |file: &Path| file.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&folder.join("mine.pub")) & 0o444, 0o444);
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----\n")
    );
}

#[test]
fn no_key_is_ever_overwritten() {
    let folder = folder("keep-keys");
    let file = folder.join("mine");
    assert_eq!(neuron(&[&"keygen", &file]).exit, 0);
    let before = fs::read(&file).unwrap();
    shows(
        &neuron(&[&"keygen", &file]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/authoring-keep-keys/mine.pub is there already
        help: nothing was overwritten; choose another name
    "#]],
    );
    fs::remove_file(folder.join("mine.pub")).unwrap();
    shows(
        &neuron(&[&"keygen", &file]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/authoring-keep-keys/mine is there already
        help: nothing was overwritten; choose another name
    "#]],
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(!folder.join("mine.pub").exists());
    shows(
        &neuron(&[&"keygen", &"/nowhere/key"]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: cannot write /nowhere/key: No such file or directory (os error 2)
    "#]],
    );
}

#[test]
fn a_signed_component_is_known_by_the_keys_that_signed_it() {
    let folder = signing("sign");
    let file = folder.join("notes.wasm");
    let (mine, other) = (folder.join("mine"), folder.join("other"));
    let (my_public, other_public) = (folder.join("mine.pub"), folder.join("other.pub"));
    shows(
        &neuron(&[&"sign", &file, &"--key", &mine]),
        &expect![[r#"
        exit 0
        --- stdout
        signed  TMP/authoring-sign/notes.wasm
        key     KEY
        digest  sha256:..
        --- stderr
    "#]],
    );
    assert_eq!(vouched(&file, &[]), [(true, false)]);
    assert_eq!(vouched(&file, &[&other_public]), [(true, false)]);
    assert_eq!(vouched(&file, &[&other_public, &my_public]), [(true, true)]);
    // Once is enough.
    let once = fs::read(&file).unwrap();
    assert_eq!(neuron(&[&"sign", &file, &"--key", &mine]).exit, 0);
    assert_eq!(fs::read(&file).unwrap(), once);
    assert_eq!(neuron(&[&"sign", &file, &"--key", &other]).exit, 0);
    assert_eq!(vouched(&file, &[&my_public]), [(true, true), (true, false)]);
    assert_eq!(neuron(&[&"check", &file]).exit, 0);
}

#[test]
fn a_component_that_was_changed_after_it_was_signed_is_told() {
    let folder = signing("changed");
    let file = folder.join("notes.wasm");
    assert_eq!(
        neuron(&[&"sign", &file, &"--key", &folder.join("mine")]).exit,
        0
    );
    let mut wasm = fs::read(&file).unwrap();
    let at = wasm
        .windows(7)
        .rposition(|bytes| bytes == b"\"1.2.3\"")
        .unwrap();
    wasm[at + 1] = b'9';
    fs::write(&file, wasm).unwrap();
    assert_eq!(
        vouched(&file, &[&folder.join("mine.pub")]),
        [(false, false)]
    );
    let told = neuron(&[&"inspect", &file]);
    let line = |start: &str| {
        shown(&told)
            .lines()
            .find(|line| line.starts_with(start))
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        line("signed by"),
        "signed by     KEY bad: the file was changed after it was signed"
    );
    shows(
        &neuron(&[&"check", &file]),
        &expect![[r#"
        exit 0
        --- stdout
        TMP/authoring-changed/notes.wasm: this host can run it
        warning: its signature by the key KEY does not fit its bytes: it was changed after it was signed
        --- stderr
    "#]],
    );
    shows(
        &neuron(&[&"sign", &file, &"--key", &folder.join("other")]),
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: TMP/authoring-changed/notes.wasm: its signature by the key KEY does not fit its bytes: it was changed after it was signed
            help: sign the file as it was built, not one that was changed since
        "#]],
    );
}

#[test]
fn a_component_can_be_signed_into_another_file() {
    let folder = signing("aside");
    let (file, output) = (folder.join("notes.wasm"), folder.join("signed.wasm"));
    let before = fs::read(&file).unwrap();
    let key = folder.join("mine");
    assert_eq!(
        neuron(&[&"sign", &file, &"--key", &key, &"-o", &output]).exit,
        0
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    assert_eq!(vouched(&output, &[]), [(true, false)]);
}

#[test]
fn what_is_no_key_or_no_component_is_told() {
    let folder = signing("unfit");
    let (file, key) = (folder.join("notes.wasm"), folder.join("mine"));
    shows(
        &neuron(&[&"sign", &file, &"--key", &folder.join("mine.pub")]),
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: TMP/authoring-unfit/mine.pub is no private key: it must be a PEM file of an ed25519 key, as `soma neuron keygen` writes it (this is the public one, for others to check with)
        "#]],
    );
    shows(
        &neuron(&[&"sign", &file, &"--key", &folder.join("none")]),
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: cannot read the key TMP/authoring-unfit/none: No such file or directory (os error 2)
        "#]],
    );
    shows(
        &neuron(&[&"sign", &key, &"--key", &key]),
        &expect![[r#"
        exit 3
        --- stdout
        --- stderr
        error: TMP/authoring-unfit/mine: this is not a WebAssembly component: it does not start like one
    "#]],
    );
}

#[test]
fn a_signature_that_no_host_would_read_is_not_written() {
    let folder = signing("sixteen");
    let file = folder.join("notes.wasm");
    for number in 0..16 {
        let key = folder.join(number.to_string());
        neuron(&[&"keygen", &key]);
        assert_eq!(neuron(&[&"sign", &file, &"--key", &key]).exit, 0);
    }
    let before = fs::read(&file).unwrap();
    shows(
        &neuron(&[&"sign", &file, &"--key", &folder.join("mine")]),
        &expect![[r#"
            exit 3
            --- stdout
            --- stderr
            error: TMP/authoring-sixteen/notes.wasm: it has 16 signatures, which is the most that a host reads
        "#]],
    );
    assert_eq!(fs::read(&file).unwrap(), before);
    assert!(Package::read(&before).is_ok());
}
