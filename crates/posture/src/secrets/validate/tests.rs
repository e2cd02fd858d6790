//! Checksums and shapes decide what is a find.

use super::{Check, Verdict, aws, bech32, checksum};

fn is_one(check: Check, text: &str) -> bool {
    matches!(
        check.verdict(text.as_bytes(), text.as_bytes()),
        Verdict::Yes(_)
    )
}

#[test]
fn checksums_of_tokens() {
    // The example of GitHub's article on the format.
    assert!(checksum::ends_in_crc62(
        b"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"
    ));
    assert!(!checksum::ends_in_crc62(
        b"ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18"
    ));
    assert!(!checksum::ends_in_crc62(b"ghp_"));
    assert!(!checksum::ends_in_crc62(b""));
}

#[test]
fn the_account_of_an_aws_key_id() {
    // The example of AWS's documentation is of account 581039954779.
    assert_eq!(
        aws::account(b"AKIAIOSFODNN7EXAMPLE").as_deref(),
        Some("581039954779")
    );
    assert_eq!(
        aws::account(b"ASIAY34FZKBOKMUTVV7A").as_deref(),
        Some("609629065308")
    );
    assert_eq!(aws::account(b"AKIA1"), None);
    assert_eq!(aws::account(b"AKIA00000000000000000"), None);
}

#[test]
fn bech32_of_its_specification() {
    assert!(bech32::is_valid(b"A12UEL5L"));
    assert!(bech32::is_valid(
        b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"
    ));
    assert!(!bech32::is_valid(
        b"abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxx"
    ));
    assert!(!bech32::is_valid(b"1"));
    assert!(bech32::is_valid(&bech32::with_checksum(
        b"age-secret-key-",
        b"qqqq"
    )));
}

#[test]
fn a_jwt_tells_who_made_it_and_until_when() {
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2EiLCJhdWQiOlsiYiIsImMiXX0.c2ln";
    let Verdict::Yes(known) = Check::Jwt.verdict(token.as_bytes(), b"") else {
        panic!("it is one");
    };
    let expected = [("iss", "https://a"), ("aud", "b,c"), ("exp", "never")];
    assert_eq!(
        known.public,
        expected.map(|(name, value)| (name, value.to_owned()))
    );
}

#[test]
fn a_pair_in_base64_is_its_password() {
    let Verdict::Yes(known) = Check::Basic.verdict(b"cm9ib3Q6Ymx1ZTQyaG9yc2U=", b"") else {
        panic!("it is one");
    };
    assert_eq!(known.length, "blue42horse".len());
    assert_eq!(known.public, [("user", "robot".to_owned())]);
    assert!(!is_one(Check::Basic, "authentication"));
    assert!(
        !is_one(Check::Basic, "dXNlcjpwYXNzd29yZA=="),
        "user:password"
    );
}
