//! Possession of a certificate's key: good chains of each kind of key, and each way to prove nothing.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
};
use bailiwick_core::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SanType,
    SignatureAlgorithm,
};

use super::{Authorities, Challenges, PopError, message};
use crate::csr::CertificateRequest;
use crate::fixture::NOW;
use crate::hash::sha256;
use crate::system::SystemRng;

const REQUEST: &str = include_str!("../../../identity/src/tests/request.pem");

fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

fn params(ca: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["build.example".to_owned()]).unwrap();
    params
        .subject_alt_names
        .push(SanType::URI("https://build.example/7".try_into().unwrap()));
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    if ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    } else {
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }
    params
}

fn root() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(true);
    params.subject_alt_names.clear();
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn trusting(root: &CertifiedIssuer<'_, KeyPair>) -> Authorities {
    Authorities::from_pem(root.pem().as_bytes()).unwrap()
}

fn signed(key: &KeyPair, algorithm: &SignatureAlgorithm, message: &[u8]) -> Vec<u8> {
    let (der, rng) = (key.serialize_der(), SystemRandom::new());
    if algorithm == &PKCS_ED25519 {
        let pair = Ed25519KeyPair::from_pkcs8(&der).unwrap();
        return pair.sign(message).as_ref().to_vec();
    }
    let scheme = if algorithm == &PKCS_ECDSA_P384_SHA384 {
        &ECDSA_P384_SHA384_ASN1_SIGNING
    } else {
        &ECDSA_P256_SHA256_ASN1_SIGNING
    };
    let pair = EcdsaKeyPair::from_pkcs8(scheme, &der).unwrap();
    pair.sign(&rng, message).unwrap().as_ref().to_vec()
}

#[test]
fn the_key_of_a_certified_name_is_possessed() {
    let (root, other) = (root(), root());
    let both = Authorities::from_pem(format!("{}{}", other.pem(), root.pem()).as_bytes()).unwrap();
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let leaf = params(false).signed_by(&key, &root).unwrap();
        let signature = signed(&key, algorithm, b"challenge");
        let found = both
            .verify(&leaf.pem(), b"challenge", &signature, now())
            .unwrap();
        assert_eq!(found.authority, sha256(&[root.der()]));
        assert_eq!(found.certificate, sha256(&[leaf.der()]));
        assert_eq!(
            found.names,
            ["dns:build.example", "uri:https://build.example/7"]
        );
    }
}

#[test]
fn chains_that_lead_nowhere_prove_nothing() {
    let (root, stranger) = (root(), root());
    let key = KeyPair::generate().unwrap();
    let signature = signed(&key, &PKCS_ECDSA_P256_SHA256, b"challenge");
    let check = |chain: &str, at: Timestamp| {
        trusting(&root)
            .verify(chain, b"challenge", &signature, at)
            .unwrap_err()
    };
    let leaf = params(false).signed_by(&key, &stranger).unwrap();
    assert!(matches!(check(&leaf.pem(), now()), PopError::Path));
    // A root that is sent along is no root of ours.
    let with_root = format!("{}{}", leaf.pem(), stranger.pem());
    assert!(matches!(check(&with_root, now()), PopError::Path));
    let own = params(false).self_signed(&key).unwrap();
    assert!(matches!(check(&own.pem(), now()), PopError::Path));
    // An authority below ours does not speak for itself.
    let below = params(true).signed_by(&key, &root).unwrap();
    assert!(matches!(check(&below.pem(), now()), PopError::Leaf(_)));
    // Not for this, and not now.
    let mut server = params(false);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = server.signed_by(&key, &root).unwrap();
    assert!(matches!(check(&server.pem(), now()), PopError::Path));
    let mut agreeing = params(false);
    agreeing.key_usages = vec![KeyUsagePurpose::KeyAgreement];
    let agreeing = agreeing.signed_by(&key, &root).unwrap();
    assert!(matches!(check(&agreeing.pem(), now()), PopError::Leaf(_)));
    let good = params(false).signed_by(&key, &root).unwrap();
    let late = now().plus(Duration::from_hours(24 * 1_000));
    assert!(matches!(check(&good.pem(), late), PopError::Path));
    for none in ["", "-----BEGIN", &good.pem().repeat(5), &" ".repeat(40_000)] {
        assert!(matches!(check(none, now()), PopError::Chain));
    }
    // A leaf below a leaf.
    let between = KeyPair::generate().unwrap();
    let middle = CertifiedIssuer::signed_by(params(false), between, &root).unwrap();
    let below = params(false).signed_by(&key, &middle).unwrap();
    let chain = format!("{}{}", below.pem(), middle.pem());
    assert!(matches!(check(&chain, now()), PopError::Path));
    // With an authority between, and the good one itself.
    let middle = CertifiedIssuer::signed_by(params(true), KeyPair::generate().unwrap(), &root);
    let middle = middle.unwrap();
    let below = params(false).signed_by(&key, &middle).unwrap();
    let chain = format!("{}{}", below.pem(), middle.pem());
    for chain in [chain, good.pem()] {
        let found = trusting(&root).verify(&chain, b"challenge", &signature, now());
        assert!(found.is_ok(), "{found:?}");
    }
}

#[test]
fn a_signature_is_for_one_challenge_one_request_and_one_key() {
    let root = root();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let leaf = params(false).signed_by(&key, &root).unwrap().pem();
    let request = CertificateRequest::from_pem(REQUEST).unwrap();
    let own = message("mine", &request);
    let check = |text: &str, signature: &[u8]| {
        trusting(&root).verify(&leaf, text.as_bytes(), signature, now())
    };
    let good = signed(&key, &PKCS_ECDSA_P256_SHA256, own.as_bytes());
    assert!(check(&own, &good).is_ok());
    for (text, signature) in [
        (message("theirs", &request), good.clone()),
        (own.replacen('a', "b", 1), good.clone()),
        (
            own.clone(),
            signed(&other, &PKCS_ECDSA_P256_SHA256, own.as_bytes()),
        ),
        (own.clone(), signed(&key, &PKCS_ECDSA_P256_SHA256, b"mine")),
        (own.clone(), Vec::new()),
    ] {
        let refused = check(&text, &signature).unwrap_err();
        assert!(matches!(refused, PopError::Signature), "{text}");
    }
}

#[test]
fn challenges_are_ours_and_end() {
    let secs = Duration::from_secs;
    let ours = Challenges::new(&SystemRng);
    let challenge = ours.make(secs(1_000), &SystemRng);
    assert_eq!(challenge.len(), 43, "32 bytes");
    assert_ne!(challenge, ours.make(secs(1_000), &SystemRng));
    for (at, good) in [(999, false), (1_000, true), (1_060, true), (1_061, false)] {
        assert_eq!(ours.is_fresh(&challenge, secs(at)), good, "{at}");
    }
    // Of another node, or of this one before it was started again.
    assert!(!Challenges::new(&SystemRng).is_fresh(&challenge, secs(1_000)));
    let mut altered = challenge.clone().into_bytes();
    altered[0] = if altered[0] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    for forged in [altered.as_str(), "", "AAAA", &challenge[..42]] {
        assert!(!ours.is_fresh(forged, secs(1_000)), "{forged}");
    }
}

#[test]
fn only_authorities_are_authorities() {
    let root = root();
    let leaf = params(false)
        .signed_by(&KeyPair::generate().unwrap(), &root)
        .unwrap();
    for pem in [
        String::new(),
        leaf.pem(),
        format!("{}{}", root.pem(), leaf.pem()),
        root.pem().repeat(17),
    ] {
        assert!(Authorities::from_pem(pem.as_bytes()).is_err());
    }
}
