//! The notes of Go's `sumdb/note` documentation and of the specification, and notes that must be refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Note, NoteError, NoteSignature, NoteSigner, NoteVerifier};
use crate::keys::Ed25519Key;

/// From the package documentation of golang.org/x/mod/sumdb/note.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const PETERS_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n\
    \n\
    — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn signer(name: &str) -> NoteSigner {
    NoteSigner::new(name, Ed25519Key::generate().unwrap()).unwrap()
}

#[test]
fn verifies_the_note_of_the_go_documentation() {
    let key = NoteVerifier::from_vkey(PETER).unwrap();
    assert_eq!(key.vkey(), PETER);
    let note = Note::parse(PETERS_NOTE.as_bytes()).unwrap();
    assert_eq!(note.to_string(), PETERS_NOTE);
    let known = [key];
    assert_eq!(
        note.verify(&known).unwrap().first().unwrap().name(),
        "PeterNeumann"
    );

    let altered = PETERS_NOTE.replace("answer", "remedy");
    let altered = Note::parse(altered.as_bytes()).unwrap();
    assert_eq!(
        altered.verify(&known).unwrap_err(),
        NoteError::BadSignature {
            name: "PeterNeumann".into()
        }
    );
}

#[test]
fn the_text_ends_at_the_last_blank_line() {
    // The example of C2SP signed-note: its text holds an empty line.
    let text = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n";
    let line = "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";
    let note = Note::parse(format!("{text}\n{line}").as_bytes()).unwrap();
    assert_eq!(note.text(), text);
    assert_eq!(note.signatures().len(), 1);
    assert_eq!(note.signatures()[0].id, 0x367b_a04b);
    assert_eq!(note.to_string(), format!("{text}\n{line}"));
}

#[test]
fn unknown_keys_are_ignored_and_bad_signatures_of_known_ones_are_not() {
    let (log, witness, other) = (
        signer("example.com/log"),
        signer("witness"),
        signer("example.com/log"),
    );
    let note = Note::sign("tree\n1\n", &[&log, &witness]).unwrap();
    let read = Note::parse(note.to_string().as_bytes()).unwrap();
    assert_eq!(read, note);
    let both = [witness.verifier().unwrap(), log.verifier().unwrap()];
    assert_eq!(read.verify(&both).unwrap().len(), 2);
    // The same name with another key is another key.
    assert_eq!(
        read.verify(&[other.verifier().unwrap()]).unwrap_err(),
        NoteError::Unsigned
    );

    // A second, bad line of a known key refuses the note although the first is good.
    let mut doubled = note.clone();
    let mut bad = note.signatures()[0].clone();
    bad.bytes[10] ^= 1;
    doubled.add(bad).unwrap();
    assert!(matches!(
        doubled.verify(&both).unwrap_err(),
        NoteError::BadSignature { .. }
    ));
    let mut cut = note.clone();
    cut.add(NoteSignature {
        bytes: vec![1; 63],
        ..note.signatures()[0].clone()
    })
    .unwrap();
    assert!(matches!(
        cut.verify(&both).unwrap_err(),
        NoteError::BadSignature { .. }
    ));
}

#[test]
fn malformed_notes_are_refused() {
    let line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    let refused = [
        String::new(),
        "text\n".into(),
        "text\n\n".into(),
        format!("text\n{line}"),
        format!("text\n\n{}", line.trim_end()),
        format!("te\rxt\n\n{line}"),
        format!("text\n\n{}", line.replace('—', "-")),
        format!("text\n\n{}", line.replace("Neumann ", "Neumann  ")),
        format!("text\n\n{}", line.replace("Peter", "Peter+")),
        format!("text\n\n{}", line.replace('=', "")),
        format!("text\n\n— name {}\n", STANDARD.encode([1, 2, 3, 4])),
        format!("text\n\n{}", line.repeat(101)),
    ];
    for note in refused {
        assert!(
            matches!(
                Note::parse(note.as_bytes()).unwrap_err(),
                NoteError::Form(_)
            ),
            "{note:?}"
        );
    }
    assert!(matches!(
        Note::parse(b"te\xffxt\n\n").unwrap_err(),
        NoteError::Form(_)
    ));
    assert!(matches!(
        Note::sign("no newline", &[&signer("a")]).unwrap_err(),
        NoteError::Form(_)
    ));
    assert!(matches!(
        Note::sign("text\n", &[]).unwrap_err(),
        NoteError::Form(_)
    ));
}

#[test]
fn bad_names_and_keys_are_refused() {
    for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb"] {
        assert_eq!(
            NoteSigner::new(name, Ed25519Key::generate().unwrap()).unwrap_err(),
            NoteError::Name,
            "{name:?}"
        );
    }
    let refused = [
        "PeterNeumann",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy1w==",
    ];
    for vkey in refused {
        assert!(
            matches!(
                NoteVerifier::from_vkey(vkey).unwrap_err(),
                NoteError::Vkey(_)
            ),
            "{vkey}"
        );
    }
}
