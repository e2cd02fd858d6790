//! RFC 7636 appendix B, and what is no verifier.

use super::{challenge, fresh, is_challenge, verifies};
use crate::system::SystemRng;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

#[test]
fn the_example_of_the_rfc_holds() {
    assert_eq!(challenge(VERIFIER), CHALLENGE);
    assert!(is_challenge(CHALLENGE) && verifies(VERIFIER, CHALLENGE));
}

#[test]
fn nothing_else_verifies() {
    for verifier in [
        "",
        CHALLENGE,
        &VERIFIER[..42],
        &VERIFIER.replace('-', "+"),
        &VERIFIER.repeat(3),
    ] {
        assert!(!verifies(verifier, CHALLENGE), "{verifier}");
        // Whoever sends the challenge of something that is no verifier gets nothing either.
        assert_eq!(
            verifies(verifier, &challenge(verifier)),
            verifier == CHALLENGE
        );
    }
    for text in [
        "",
        VERIFIER.trim_end_matches('k'),
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
    ] {
        assert!(!is_challenge(text), "{text}");
    }
}

#[test]
fn fresh_values_are_verifiers_and_differ() {
    let (one, other) = (fresh(&SystemRng), fresh(&SystemRng));
    assert_ne!(one.expose(), other.expose());
    assert!(verifies(one.expose(), &challenge(one.expose())));
}
