//! Our certificates, as openssl, webpki and our own reader see them.

use std::process::Command;
use std::time::Duration;

use bailiwick_core::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Authority, CaError};
use crate::bundle::Bundle;
use crate::fixture::{NOW, instance, now, trust_domain};
use crate::keys::SigningKey;
use crate::svid::VerifiedSvid;
use crate::system::SystemRng;

const WEEK: Duration = Duration::from_hours(7 * 24);
const HOUR: Duration = Duration::from_hours(1);

fn authority() -> Authority {
    Authority::create(trust_domain(), now(), WEEK, &SystemRng).unwrap()
}

fn pem(der: &[u8]) -> String {
    let body = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

#[test]
fn trap_06_leaf_shape() {
    let authority = authority();
    let svid = authority
        .issue(&instance(), now(), HOUR, &SystemRng)
        .unwrap();

    let (rest, leaf) = X509Certificate::from_der(svid.chain()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(leaf.subject().iter().count(), 0, "empty subject");
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert!(names.critical);
    assert_eq!(names.value.general_names.len(), 1);
    let constraints = leaf.basic_constraints().unwrap().unwrap();
    assert!(!constraints.value.ca);
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 1, "digitalSignature alone");
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && extended.server_auth && !extended.any);
    assert!(leaf.name_constraints().unwrap().is_none());
    assert_eq!(leaf.validity().not_before.timestamp(), NOW - 10);
    assert_eq!(leaf.validity().not_after.timestamp(), NOW + 3_600);
    assert_eq!(svid.not_after(), Timestamp::from_secs(NOW + 3_600));
    assert!(leaf.raw_serial().len() <= 20 && leaf.raw_serial()[0] < 0x80);

    let (_, ca) = X509Certificate::from_der(authority.certificate()).unwrap();
    assert_eq!(ca.validity().not_after.timestamp() - NOW, 7 * 24 * 3_600);
    let usage = ca.key_usage().unwrap().unwrap();
    assert!(
        usage.critical
            && usage.value.key_cert_sign()
            && usage.value.crl_sign()
            && !usage.value.digital_signature()
    );
    assert!(ca.is_ca());

    let bundle = Bundle::new(
        trust_domain(),
        vec![authority.certificate().to_vec()],
        vec![],
        1,
        HOUR,
    )
    .unwrap();
    let verified = VerifiedSvid::verify(&[svid.chain()], &bundle, now()).unwrap();
    assert_eq!(
        (verified.id(), verified.serial()),
        (&instance(), svid.serial())
    );
}

#[test]
fn openssl_verifies_our_chain() {
    let authority = authority();
    let svid = authority
        .issue(&instance(), now(), HOUR, &SystemRng)
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (ca, leaf) = (
        directory.path().join("ca.pem"),
        directory.path().join("leaf.pem"),
    );
    std::fs::write(&ca, pem(authority.certificate())).unwrap();
    std::fs::write(&leaf, pem(svid.chain())).unwrap();
    let verify = |purpose: &str| {
        Command::new("openssl")
            .args([
                "verify",
                "-x509_strict",
                "-attime",
                &NOW.to_string(),
                "-purpose",
                purpose,
                "-CAfile",
            ])
            .args([&ca, &leaf])
            .output()
            .expect("the openssl program is missing: apt-get install openssl")
    };
    for purpose in ["sslserver", "sslclient"] {
        let output = verify(purpose);
        assert!(
            output.status.success(),
            "{purpose}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    assert!(!verify("crlsign").status.success(), "a leaf is no CA");
}

#[test]
fn an_authority_issues_for_its_own_workloads_and_within_its_life() {
    let authority = authority();
    for id in ["spiffe://other.org/agent/a", "spiffe://example.org"] {
        let refused = authority
            .issue(&id.parse().unwrap(), now(), HOUR, &SystemRng)
            .unwrap_err();
        assert!(matches!(refused, CaError::Id { .. }), "{id}");
    }
    let near_end = authority.not_after().minus(Duration::from_mins(10));
    let svid = authority
        .issue(&instance(), near_end, HOUR, &SystemRng)
        .unwrap();
    assert_eq!(svid.not_after(), authority.not_after());
    let refused = authority
        .issue(&instance(), authority.not_after(), HOUR, &SystemRng)
        .unwrap_err();
    assert!(matches!(refused, CaError::Ended { .. }));

    let one = authority
        .issue(&instance(), now(), HOUR, &SystemRng)
        .unwrap();
    let two = authority
        .issue(&instance(), now(), HOUR, &SystemRng)
        .unwrap();
    assert_ne!(one.serial(), two.serial());
    assert_ne!(one.key().kid(), two.key().kid(), "a fresh key each time");
}

#[test]
fn a_stored_authority_issues_on() {
    let first = authority();
    let again =
        Authority::from_stored(first.key().pkcs8().clone(), first.certificate().to_vec()).unwrap();
    assert_eq!(
        (again.trust_domain(), again.not_after()),
        (first.trust_domain(), first.not_after())
    );
    let bundle = Bundle::new(
        trust_domain(),
        vec![first.certificate().to_vec()],
        vec![],
        1,
        HOUR,
    )
    .unwrap();
    let svid = again.issue(&instance(), now(), HOUR, &SystemRng).unwrap();
    VerifiedSvid::verify(&[svid.chain()], &bundle, now()).unwrap();

    let other = SigningKey::generate().unwrap();
    let refused =
        Authority::from_stored(other.pkcs8().clone(), first.certificate().to_vec()).unwrap_err();
    assert!(matches!(refused, CaError::OtherKey));
    let refused = Authority::from_stored(svid.pkcs8().clone(), svid.chain().to_vec()).unwrap_err();
    assert!(
        matches!(refused, CaError::Certificate(_)),
        "a leaf is no authority"
    );
}
