//! One secret has one fingerprint, however it is written.

use super::{FingerprintKey, SecretDigest};
use crate::system::SystemRng;

#[test]
fn prints_compare_within_a_run_and_nowhere_else() {
    let (one, two) = (
        FingerprintKey::of_run(&SystemRng),
        FingerprintKey::of_run(&SystemRng),
    );
    let digest = SecretDigest::of(b"correct horse");
    assert_eq!(
        one.print(&digest),
        one.print(&SecretDigest::of(b"correct horse"))
    );
    assert_ne!(
        one.print(&digest),
        one.print(&SecretDigest::of(b"correct horsf"))
    );
    assert_ne!(one.print(&digest), two.print(&digest));
    let shown = one.print(&digest).to_string();
    assert_eq!(shown.len(), "fpl_".len() + 26);
    assert!(shown.starts_with("fpl_"));
}

#[test]
fn nothing_shows_a_digest_or_a_key() {
    let digest = SecretDigest::of(b"correct horse");
    assert_eq!(format!("{digest:?}"), "SecretDigest(…)");
    let key = FingerprintKey::of_run(&SystemRng);
    assert_eq!(format!("{key:?}"), "FingerprintKey(…)");
}

#[test]
fn a_deployments_prints_are_its_own_and_the_same_each_time() {
    let key = |byte| FingerprintKey::of_deployment(zeroize::Zeroizing::new([byte; 32]));
    let digest = SecretDigest::of(b"correct horse");
    let print = key(1).print(&digest).to_string();
    assert!(print.starts_with("fp_") && print.len() == 29, "{print}");
    assert_eq!(key(1).print(&digest).to_string(), print);
    assert_ne!(key(2).print(&digest).to_string(), print);
    // Whoever has the digest only has not the print.
    let hex = bailiwick_core::Digest(*digest.expose()).to_hex();
    assert!(!hex.contains(print.trim_start_matches("fp_")));
    assert_eq!(SecretDigest::from_bytes(*digest.expose()), digest);
}
