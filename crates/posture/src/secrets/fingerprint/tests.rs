//! One secret has one fingerprint, however it is written.

use bailiwick_crypto::system::SystemRng;

use super::{Digest, FingerprintKey};

#[test]
fn prints_compare_within_a_run_and_nowhere_else() {
    let (one, two) = (
        FingerprintKey::of_run(&SystemRng),
        FingerprintKey::of_run(&SystemRng),
    );
    let digest = Digest::of(b"correct horse");
    assert_eq!(one.print(&digest), one.print(&Digest::of(b"correct horse")));
    assert_ne!(one.print(&digest), one.print(&Digest::of(b"correct horsf")));
    assert_ne!(one.print(&digest), two.print(&digest));
    let shown = one.print(&digest).to_string();
    assert_eq!(shown.len(), "fpl_".len() + 26);
    assert!(shown.starts_with("fpl_"));
}

#[test]
fn nothing_shows_a_digest_or_a_key() {
    let digest = Digest::of(b"correct horse");
    assert_eq!(format!("{digest:?}"), "Digest(…)");
    let key = FingerprintKey::of_run(&SystemRng);
    assert_eq!(format!("{key:?}"), "FingerprintKey(…)");
}
