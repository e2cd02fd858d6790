//! The seal file is refused unless it is the owner's alone, and what it sealed opens in its place only.

use std::os::unix::fs::PermissionsExt;

use super::{Place, Seal, SealError};
use crate::aead::AeadError;
use crate::system::SystemRng;

const KEY: Place<'_> = Place {
    domain: "signing_key",
    name: "kid-1",
    version: 1,
};

#[test]
fn a_new_seal_is_private_and_opens_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("seal");
    let first = Seal::open_or_create(&path, &SystemRng).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let sealed = first.seal(&SystemRng, KEY, b"secret").unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"secret"));

    let second = Seal::open_or_create(&path, &SystemRng).unwrap();
    assert_eq!(second.unseal(KEY, &sealed).unwrap().expose(), b"secret");
    assert!(
        matches!(
            Seal::create(&path, &SystemRng).unwrap_err(),
            SealError::Io { .. }
        ),
        "never overwritten"
    );
}

#[test]
fn a_sealed_secret_cannot_be_moved() {
    let directory = tempfile::tempdir().unwrap();
    let seal = Seal::create(&directory.path().join("seal"), &SystemRng).unwrap();
    let sealed = seal.seal(&SystemRng, KEY, b"secret").unwrap();
    for other in [
        Place {
            domain: "account",
            ..KEY
        },
        Place {
            name: "kid-2",
            ..KEY
        },
        Place { version: 2, ..KEY },
    ] {
        assert!(matches!(
            seal.unseal(other, &sealed).unwrap_err(),
            SealError::Aead(AeadError::NotAuthentic)
        ));
    }
    // `a|b` + `c` and `a` + `b|c` would have the same associated data.
    assert!(matches!(
        seal.seal(
            &SystemRng,
            Place {
                domain: "a|b",
                ..KEY
            },
            b""
        )
        .unwrap_err(),
        SealError::Place
    ));
    assert!(matches!(
        seal.seal(&SystemRng, Place { name: "b|c", ..KEY }, b"")
            .unwrap_err(),
        SealError::Place
    ));
}

#[test]
fn an_exposed_linked_or_odd_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("seal");
    Seal::create(&path, &SystemRng).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert!(
            matches!(Seal::open(&path).unwrap_err(), SealError::Exposed { .. }),
            "{mode:o}"
        );
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();

    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(
        Seal::open(&link).unwrap_err(),
        SealError::Io { .. }
    ));

    std::fs::write(&path, [0; 31]).unwrap();
    assert!(matches!(
        Seal::open(&path).unwrap_err(),
        SealError::Content { .. }
    ));
    assert!(matches!(
        Seal::open(directory.path()).unwrap_err(),
        SealError::Content { .. }
    ));
}
