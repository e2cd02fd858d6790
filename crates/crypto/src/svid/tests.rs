//! Chains that look like SVIDs and are not, each made with rcgen by an attacker who holds an authority's key or none.

use std::time::Duration;

use bailiwick_core::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};

use super::{SvidError, VerifiedSvid};
use crate::bundle::Bundle;
use crate::ca::Authority;
use crate::fixture::{INSTANCE, NOW, instance, now, trust_domain};
use crate::system::SystemRng;

const HOUR: Duration = Duration::from_hours(1);

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn at(secs: i64) -> Duration {
    Duration::from_secs(u64::try_from(secs).unwrap())
}

/// What `Authority::issue` makes, for tests to bend.
fn leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(1970, 1, 1) + at(NOW - 10);
    params.not_after = rcgen::date_time_ymd(1970, 1, 1) + at(NOW + 3_600);
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![uri(INSTANCE)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params
}

type Bend = fn(&mut CertificateParams);

struct World {
    ca_key: KeyPair,
    ca: CertificateParams,
    bundle: Bundle,
}

fn world() -> World {
    let mut ca = CertificateParams::default();
    ca.subject_alt_names = vec![uri("spiffe://example.org")];
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_key = KeyPair::generate().unwrap();
    let certificate = ca.self_signed(&ca_key).unwrap().der().to_vec();
    let bundle = Bundle::new(trust_domain(), vec![certificate], vec![], 1, HOUR).unwrap();
    World { ca_key, ca, bundle }
}

impl World {
    fn sign(&self, params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        params
            .signed_by(&key, &Issuer::from_params(&self.ca, &self.ca_key))
            .unwrap()
            .der()
            .to_vec()
    }

    fn check(&self, bend: impl FnOnce(&mut CertificateParams)) -> Result<VerifiedSvid, SvidError> {
        let mut params = leaf();
        bend(&mut params);
        VerifiedSvid::verify(&[&self.sign(&params)], &self.bundle, now())
    }
}

#[test]
fn trap_06_shapes_that_are_refused() {
    let world = world();
    assert_eq!(world.check(|_| {}).unwrap().id(), &instance());
    // DNS names beside the one URI are allowed (X509-SVID §2).
    assert!(
        world
            .check(|leaf| leaf
                .subject_alt_names
                .push(SanType::DnsName("a.example".try_into().unwrap())))
            .is_ok()
    );

    let bends: [(&str, Bend); 12] = [
        ("no BasicConstraints", |leaf| leaf.is_ca = IsCa::NoCa),
        ("cA", |leaf| {
            leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }),
        ("two URIs", |leaf| {
            leaf.subject_alt_names
                .push(uri("spiffe://example.org/agent/other"));
        }),
        ("two equal URIs", |leaf| {
            leaf.subject_alt_names.push(uri(INSTANCE));
        }),
        ("no URI", |leaf| {
            leaf.subject_alt_names = vec![SanType::DnsName("a.example".try_into().unwrap())];
        }),
        ("no SAN", |leaf| leaf.subject_alt_names.clear()),
        ("keyCertSign", |leaf| {
            leaf.key_usages.push(KeyUsagePurpose::KeyCertSign);
        }),
        ("cRLSign", |leaf| {
            leaf.key_usages.push(KeyUsagePurpose::CrlSign);
        }),
        ("no digitalSignature", |leaf| {
            leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        }),
        ("no key usage", |leaf| leaf.key_usages.clear()),
        ("no EKU", |leaf| leaf.extended_key_usages.clear()),
        ("server only", |leaf| {
            leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }),
    ];
    for (name, bend) in bends {
        assert!(
            matches!(world.check(bend).unwrap_err(), SvidError::Shape(_)),
            "{name}"
        );
    }
    let id = |text: &'static str| {
        world
            .check(|leaf| leaf.subject_alt_names = vec![uri(text)])
            .unwrap_err()
    };
    assert!(
        matches!(id("spiffe://example.org"), SvidError::Shape(_)),
        "a trust domain is no workload"
    );
    assert!(matches!(
        id("spiffe://other.org/agent/a"),
        SvidError::TrustDomain { .. }
    ));
    for bad in [
        "SPIFFE://example.org/a",
        "spiffe://Example.org/a",
        "spiffe://example.org:1/a",
        "spiffe://example.org/../a",
        "https://a",
    ] {
        assert!(matches!(id(bad), SvidError::Id(_)), "{bad}");
    }
}

#[test]
fn a_path_leads_to_an_authority_of_the_bundle_and_now() {
    let world = world();
    let good = world.sign(&leaf());
    let verify =
        |chain: &[&[u8]], at| VerifiedSvid::verify(chain, &world.bundle, Timestamp::from_secs(at));
    assert!(verify(&[&good], NOW).is_ok());
    assert!(
        matches!(
            verify(&[&good], NOW + 3_601).unwrap_err(),
            SvidError::Path(_)
        ),
        "ended"
    );
    assert!(
        matches!(verify(&[&good], NOW - 11).unwrap_err(), SvidError::Path(_)),
        "not begun"
    );

    // The same names, another key: an authority that the bundle does not hold.
    let stranger = World {
        ca_key: KeyPair::generate().unwrap(),
        ..self::world()
    };
    assert!(matches!(
        verify(&[&stranger.sign(&leaf())], NOW).unwrap_err(),
        SvidError::Path(_)
    ));
    // The authority's own certificate presented as a leaf.
    let ca = world.bundle.x509_authorities()[0].clone();
    assert!(matches!(
        verify(&[&ca], NOW).unwrap_err(),
        SvidError::Shape(_)
    ));
    // A leaf that signs another leaf.
    let parent_key = KeyPair::generate().unwrap();
    let parent = leaf()
        .signed_by(&parent_key, &Issuer::from_params(&world.ca, &world.ca_key))
        .unwrap()
        .der()
        .to_vec();
    let child_key = KeyPair::generate().unwrap();
    let parent_params = leaf();
    let child = leaf()
        .signed_by(
            &child_key,
            &Issuer::from_params(&parent_params, &parent_key),
        )
        .unwrap()
        .der()
        .to_vec();
    assert!(matches!(
        verify(&[&child, &parent], NOW).unwrap_err(),
        SvidError::Path(_)
    ));

    assert!(matches!(verify(&[], NOW).unwrap_err(), SvidError::Chain));
    assert!(matches!(
        verify(&[good.as_slice(); 5], NOW).unwrap_err(),
        SvidError::Chain
    ));
    let trailing = [good.as_slice(), &[0]].concat();
    assert!(matches!(
        verify(&[&trailing], NOW).unwrap_err(),
        SvidError::Parse
    ));
    for cut in (0..good.len()).step_by(7) {
        assert!(verify(&[&good[..cut]], NOW).is_err(), "cut at {cut}");
    }
}

#[test]
fn an_authority_that_ended_verifies_nothing() {
    let authority = Authority::create(trust_domain(), now(), HOUR, &SystemRng).unwrap();
    let svid = authority
        .issue(&instance(), now(), HOUR, &SystemRng)
        .unwrap();
    let bundle = Bundle::new(
        trust_domain(),
        vec![authority.certificate().to_vec()],
        vec![],
        1,
        HOUR,
    )
    .unwrap();
    assert!(
        VerifiedSvid::verify(&[svid.chain()], &bundle, Timestamp::from_secs(NOW + 3_599)).is_ok()
    );
    assert!(
        VerifiedSvid::verify(&[svid.chain()], &bundle, Timestamp::from_secs(NOW + 3_601)).is_err()
    );
}
