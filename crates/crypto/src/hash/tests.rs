//! Published vectors, and the properties that callers lean on.

use super::{Hasher, domain_digest, equal, hkdf_sha256, hmac_sha256, sha256};

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn sha256_matches_fips_180_4() {
    let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(sha256(&[b"a", b"bc"]).to_hex(), want);
    let mut hasher = Hasher::new();
    hasher.update(b"ab");
    hasher.update(b"c");
    assert_eq!(hasher.finish().to_hex(), want);
}

#[test]
fn hmac_matches_rfc_4231_case_2() {
    let tag = hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
    assert_eq!(
        tag.to_vec(),
        hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    );
}

#[test]
fn hkdf_matches_rfc_5869_case_3() {
    // The first 32 of its 42 bytes: output of HKDF-Expand is a prefix of longer output for the same info.
    let key = hkdf_sha256(&[0x0b; 22], &[]);
    assert_eq!(
        key.to_vec(),
        hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d")
    );
    assert_ne!(*hkdf_sha256(&[0x0b; 22], &[b"a"]), *key);
}

#[test]
fn a_domain_separates() {
    assert_ne!(domain_digest("a", b"bc"), domain_digest("ab", b"c"));
    assert_eq!(domain_digest("a", b"bc"), sha256(&[b"a\0bc"]));
}

#[test]
fn equal_compares_content_and_length() {
    assert!(equal(b"abc", b"abc"));
    assert!(!equal(b"abc", b"abd"));
    assert!(!equal(b"abc", b"ab"));
}

#[test]
fn mariadb_keeps_of_a_password_what_it_says_itself() {
    // SELECT PASSWORD('password') of MariaDB 10.11.
    assert_eq!(
        super::mysql_native_password(b"password"),
        "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19"
    );
}
