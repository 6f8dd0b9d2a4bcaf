//! Keys and signed envelopes, against `cryptography`, `securesystemslib` and OpenSSL, and against whoever changes a byte.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and says what it skips"
)]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use candor::seal::{Envelope, Key, PublicKey, pre_authentication_encoding, verify};
use cli::candor;
use proptest::prelude::*;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/seal")
        .join(name)
}

fn reference() -> Value {
    serde_json::from_str(&fs::read_to_string(fixture("reference.json")).unwrap()).unwrap()
}

fn keys() -> (Key, PublicKey) {
    (
        Key::open(&fixture("test.key")).unwrap(),
        PublicKey::open(&fixture("test.pub")).unwrap(),
    )
}

/// ed25519 has one signature for each key and message: ours is that of `securesystemslib` to the last byte.
#[test]
fn envelopes_are_those_of_securesystemslib() {
    let (key, public) = keys();
    let reference = reference();
    assert_eq!(public.id(), reference["keyid"].as_str().unwrap());
    assert_eq!(key.public(), public);
    let cases = reference["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let theirs = &case["envelope"];
        let read = Envelope::from_json(&theirs.to_string()).unwrap();
        verify(&read, &public).unwrap();
        let pae = pre_authentication_encoding(&read.payload_type, &read.payload);
        assert_eq!(STANDARD.encode(pae), case["pae"].as_str().unwrap());
        let ours = key.sign(&read.payload_type, &read.payload);
        assert_eq!(ours, read);
        let written: Value = serde_json::from_str(&ours.to_json().unwrap()).unwrap();
        assert_eq!(&written, theirs);
    }
}

/// DSSE: verifiers must accept both alphabets, ignore what they do not know, and take a key id as a hint.
#[test]
fn forms_of_others_are_read() {
    let (key, public) = keys();
    let payload: Vec<u8> = (0..=255).collect();
    let sealed = key.sign("t", &payload);
    let sig = &sealed.signatures[0].bytes;
    let other = json!({"keyid": "another", "sig": STANDARD.encode([7_u8; 64])});
    for engine in [&STANDARD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        for keyid in [Value::Null, json!(""), json!("not its name")] {
            let text = json!({
                "payloadType": "t",
                "payload": engine.encode(&payload),
                "signatures": [other, {"keyid": keyid, "sig": engine.encode(sig), "cert": 1}],
                "unknown": true,
            });
            let read = Envelope::from_json(&text.to_string()).unwrap();
            assert_eq!(read.payload, payload);
            verify(&read, &public).unwrap();
        }
    }
}

#[test]
fn what_is_not_signed_by_the_key_is_refused() {
    let (key, public) = keys();
    let stranger = Key::generate().unwrap();
    let mut changed = key.sign("t", b"payload");
    changed.payload[0] ^= 1;
    let mut named = stranger.sign("t", b"payload");
    named.signatures[0].key_id = "a\u{1b}[31m name".to_owned();
    let mut short = key.sign("t", b"payload");
    short.signatures[0].bytes.truncate(63);
    let cases = [changed, named, short, Envelope::unsigned("t", b"payload")];
    let said: Vec<String> = cases
        .iter()
        .map(|envelope| verify(envelope, &public).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!("refused", said.join("\n\n"));
    let own = stranger.sign("t", b"payload");
    verify(&own, &stranger.public()).unwrap();
    verify(&own, &public).unwrap_err();
}

proptest! {
    #[test]
    fn a_flipped_bit_anywhere_fails(
        payload in prop::collection::vec(any::<u8>(), 1..200),
        kind in "[ -~]{1,40}",
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let (key, public) = keys();
        let sealed = key.sign(&kind, &payload);
        verify(&sealed, &public).unwrap();
        let mut changed = sealed.clone();
        changed.payload[place.index(payload.len())] ^= 1 << bit;
        prop_assert!(verify(&changed, &public).is_err());
        let mut changed = sealed.clone();
        changed.signatures[0].bytes[place.index(64)] ^= 1 << bit;
        prop_assert!(verify(&changed, &public).is_err());
        let mut letters = kind.clone().into_bytes();
        letters[place.index(kind.len())] ^= 1 << (bit % 7);
        let mut changed = sealed.clone();
        changed.payload_type = String::from_utf8(letters).unwrap();
        prop_assert!(verify(&changed, &public).is_err());
        // Bytes that move from one part to the other.
        let mut moved = sealed;
        moved.payload_type.push(' ');
        moved.payload.remove(0);
        prop_assert!(verify(&moved, &public).is_err());
    }

    #[test]
    fn what_was_written_is_read(payload in prop::collection::vec(any::<u8>(), 0..100), kind in "\\PC*") {
        let (key, _) = keys();
        for envelope in [key.sign(&kind, &payload), Envelope::unsigned(&kind, &payload)] {
            prop_assert_eq!(Envelope::from_json(&envelope.to_json().unwrap()).unwrap(), envelope);
        }
    }

    #[test]
    fn hostile_envelopes_are_refused_or_read(text in "\\PC*", at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (key, public) = keys();
        if let Ok(envelope) = Envelope::from_json(&text) {
            prop_assert!(verify(&envelope, &public).is_err());
        }
        let sound = key.sign("type", b"payload").to_json().unwrap();
        let mut bytes = sound.into_bytes();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        if let Ok(envelope) = Envelope::from_json(&String::from_utf8_lossy(&bytes)) {
            let same = envelope.payload == b"payload" && envelope.payload_type == "type";
            prop_assert!(same || verify(&envelope, &public).is_err());
        }
    }
}

#[test]
fn envelopes_that_are_none() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let texts = [
        "",
        "[]",
        "{}",
        r#"{"payloadType": "t", "payload": "%%", "signatures": []}"#,
        r#"{"payloadType": "t", "payload": "aGk=", "signatures": [{"sig": "a"}]}"#,
        r#"{"payloadType": "t", "payload": "aGk=", "payload": "aGk=", "signatures": []}"#,
        r#"{"payloadType": 1, "payload": "aGk=", "signatures": []}"#,
        deep.as_str(),
    ];
    let said: Vec<String> = texts
        .iter()
        .map(|text| Envelope::from_json(text).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!("no_envelopes", said.join("\n\n"));
}

fn openssl(folder: &Path, args: &[&str]) -> Option<(bool, Vec<u8>)> {
    let output = Command::new("openssl")
        .args(args)
        .current_dir(folder)
        .output();
    let Ok(output) = output else {
        println!("skipped: openssl is not installed");
        return None;
    };
    Some((output.status.success(), output.stdout))
}

#[test]
fn openssl_reads_our_keys_and_signs_with_them() {
    let temp = tempfile::tempdir().unwrap();
    let at = temp.path();
    let key = Key::generate().unwrap();
    key.write(&at.join("our.key"), &at.join("our.pub"), false)
        .unwrap();
    let Some((_, public)) = openssl(at, &["pkey", "-in", "our.key", "-pubout"]) else {
        return;
    };
    assert_eq!(public, fs::read(at.join("our.pub")).unwrap());
    let sealed = key.sign("type", b"payload");
    fs::write(
        at.join("pae"),
        pre_authentication_encoding("type", b"payload"),
    )
    .unwrap();
    fs::write(at.join("sig"), &sealed.signatures[0].bytes).unwrap();
    let verifies = |file: &str| {
        let args = [
            "pkeyutl", "-verify", "-pubin", "-inkey", "our.pub", "-rawin", "-in", file,
        ];
        openssl(at, &[&args[..], &["-sigfile", "sig"]].concat())
            .unwrap()
            .0
    };
    assert!(verifies("pae"));
    fs::write(
        at.join("other"),
        pre_authentication_encoding("type", b"Payload"),
    )
    .unwrap();
    assert!(!verifies("other"));

    openssl(
        at,
        &["genpkey", "-algorithm", "ed25519", "-out", "their.key"],
    )
    .unwrap();
    openssl(
        at,
        &["pkey", "-in", "their.key", "-pubout", "-out", "their.pub"],
    )
    .unwrap();
    let sealed = Key::open(&at.join("their.key"))
        .unwrap()
        .sign("type", b"payload");
    verify(&sealed, &PublicKey::open(&at.join("their.pub")).unwrap()).unwrap();

    let encrypted = [
        "pkcs8",
        "-topk8",
        "-in",
        "their.key",
        "-out",
        "locked.key",
        "-passout",
        "pass:x",
    ];
    openssl(at, &encrypted).unwrap();
    openssl(at, &["genpkey", "-algorithm", "x25519", "-out", "x.key"]).unwrap();
    openssl(at, &["pkey", "-in", "x.key", "-pubout", "-out", "x.pub"]).unwrap();
    // The neutral element of the curve: under it everybody's signature holds.
    let weak = [
        &STANDARD.decode("MCowBQYDK2VwAyEA").unwrap()[..],
        &[1],
        &[0; 31],
    ]
    .concat();
    let weak = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(weak)
    );
    fs::write(at.join("weak.pub"), weak).unwrap();
    fs::write(at.join("large.pub"), vec![b'x'; 1 << 20]).unwrap();
    let mut said = Vec::new();
    for name in ["none.key", "locked.key", "x.key", "their.pub", "sig"] {
        said.push(Key::open(&at.join(name)).unwrap_err().to_string());
    }
    for name in [
        "none.pub",
        "x.pub",
        "their.key",
        "weak.pub",
        "large.pub",
        ".",
    ] {
        said.push(PublicKey::open(&at.join(name)).unwrap_err().to_string());
    }
    let said = said.join("\n\n").replace(&at.display().to_string(), "DIR");
    insta::assert_snapshot!("no_keys", said);
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keygen_writes_a_pair_and_replaces_none_unasked() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("keys");
    let here = temp.path().display().to_string();
    let keygen = |place: &Path, force: bool| {
        let mut args = vec!["keygen", "--out", place.to_str().unwrap()];
        args.extend(force.then_some("--force"));
        let output = candor(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(text).unwrap().replace(&here, "DIR"),
        )
    };
    let (code, first) = keygen(&out, false);
    assert_eq!(code, 0, "{first}");
    let (private, public) = (out.join("candor.key"), out.join("candor.pub"));
    let key = Key::open(&private).unwrap();
    assert_eq!(key.public(), PublicKey::open(&public).unwrap());
    #[cfg(unix)]
    assert_eq!(mode(&private), 0o600);
    let id = key.public().id();
    let before = fs::read(&private).unwrap();

    let (code, refused) = keygen(&out, false);
    assert_eq!(
        (code, fs::read(&private).unwrap()),
        (2, before.clone()),
        "{refused}"
    );
    fs::remove_file(&private).unwrap();
    let (code, half) = keygen(&out, false);
    assert_eq!(code, 2, "{half}");
    assert!(!private.exists());
    let (code, _) = keygen(&out, true);
    assert_eq!(code, 0);
    assert_ne!(fs::read(&private).unwrap(), before);
    #[cfg(unix)]
    assert_eq!(mode(&private), 0o600);

    let (code, file) = keygen(&temp.path().join("release.pem"), false);
    assert_eq!(code, 0, "{file}");
    assert!(temp.path().join("release.pub").is_file());
    let (code, name) = keygen(&temp.path().join("release.pub"), false);
    assert_eq!(code, 2, "{name}");
    let left: Vec<_> = fs::read_dir(&out).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    insta::assert_snapshot!(
        "keygen",
        [first.replace(&id, "KEY-ID"), refused, half, name].join("\n")
    );
}
