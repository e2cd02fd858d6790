//! What a report says, and that no value is in it.

use std::sync::Arc;

use bailiwick_crypto::system::SystemRng;

use super::{Fold, Place, Report};
use crate::coverage::Coverage;
use crate::secrets::{Digest, Find, FingerprintKey, Severity};

pub(crate) fn find(check: &str, severity: Severity, secret: &str) -> Find {
    Find {
        check: check.into(),
        severity,
        offset: 0,
        line: 3,
        column: 7,
        key: Some("KEY".to_owned()),
        length: secret.len(),
        digest: Digest::of(secret.as_bytes()),
        public: vec![("iss", "https://issuer".to_owned())],
        wrapped: Vec::new(),
        remedy: Arc::from("replace it"),
    }
}

#[test]
fn one_secret_at_many_places_is_one() {
    let mut fold = Fold::default();
    for number in 0..30 {
        fold.add(
            find("named-token", Severity::High, "a"),
            Place::named(format!("file {number}")),
        );
    }
    let mut other = Fold::default();
    other.add(
        find("github-pat", Severity::Critical, "a"),
        Place::named("elsewhere"),
    );
    other.add(find("jwt", Severity::Low, "b"), Place::named("elsewhere"));
    fold.join(other);
    let (secrets, more) = fold.finish(&FingerprintKey::of_run(&SystemRng));
    assert_eq!(more, 0);
    assert_eq!(secrets.len(), 2);
    assert_eq!(
        (secrets[0].check.as_str(), secrets[0].severity),
        ("github-pat", Severity::Critical)
    );
    assert_eq!((secrets[0].count, secrets[0].places.len()), (31, 20));
    assert_eq!(secrets[1].check, "jwt");
    assert_ne!(secrets[0].fingerprint, secrets[1].fingerprint);
}

#[test]
fn a_report_with_a_gap_is_not_clean() {
    let mut report = Report {
        kind: "repo",
        target: ".".to_owned(),
        secrets: Vec::new(),
        more_secrets: 0,
        exposures: Vec::new(),
        coverage: Coverage::default(),
    };
    assert!(report.is_clean());
    report.coverage.missed("fd 9", "a pipe");
    report.coverage.missed("fd 9", "a pipe");
    assert_eq!(report.coverage.gaps.len(), 1);
    assert!(!report.is_clean());
    for number in 0..500 {
        report
            .coverage
            .missed(format!("file {number}"), "no rights");
    }
    assert_eq!(
        (report.coverage.gaps.len(), report.coverage.more_gaps),
        (100, 401)
    );
}
