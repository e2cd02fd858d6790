//! A bundle survives its document, and a document with two readings is refused.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bundle, BundleError};
use crate::ca::Authority;
use crate::fixture::{now, trust_domain};
use crate::jwk::JwkError;
use crate::keys::SigningKey;
use crate::system::SystemRng;

const HOUR: Duration = Duration::from_hours(1);

fn bundle() -> Bundle {
    let authority = Authority::create(trust_domain(), now(), HOUR, &SystemRng).unwrap();
    let key = SigningKey::generate().unwrap();
    let mut jwk = key.jwk().clone();
    jwk.usage = Some("jwt-svid".into());
    Bundle::new(
        trust_domain(),
        vec![authority.certificate().to_vec()],
        vec![jwk],
        7,
        HOUR,
    )
    .unwrap()
}

fn read(document: &Value) -> Result<Bundle, BundleError> {
    Bundle::from_json(trust_domain(), document.to_string().as_bytes())
}

#[test]
fn a_bundle_survives_its_document() {
    let bundle = bundle();
    let document = bundle.to_json().unwrap();
    assert_eq!(document["spiffe_sequence"], 7);
    assert_eq!(document["spiffe_refresh_hint"], 3_600);
    assert_eq!(document["keys"][0]["use"], "x509-svid");
    assert_eq!(document["keys"][0]["crv"], "P-256");
    assert_eq!(document["keys"][1]["use"], "jwt-svid");
    assert_eq!(
        document["keys"][1]["kid"],
        bundle.jwt_authorities()[0].kid.clone().unwrap()
    );
    assert_eq!(read(&document).unwrap(), bundle);
    assert_eq!(bundle.jwt_json()["keys"].as_array().unwrap().len(), 1);
}

#[test]
fn documents_that_could_be_read_otherwise_are_refused() {
    let bundle = bundle();
    let good = bundle.to_json().unwrap();
    let text = good.to_string();
    for doubled in [
        text.replacen("\"keys\"", "\"keys\":[],\"keys\"", 1),
        text.replacen("\"kid\"", "\"kid\":\"x\",\"kid\"", 1),
    ] {
        let refused = Bundle::from_json(trust_domain(), doubled.as_bytes()).unwrap_err();
        assert!(matches!(refused, BundleError::Json(_)), "{refused}");
    }
    let change = |change: &dyn Fn(&mut Value)| {
        let mut document = good.clone();
        change(&mut document);
        read(&document)
    };
    assert!(change(&|document| document["keys"] = json!({})).is_err());
    assert!(change(&|document| document["keys"][0]["x5c"] = json!([])).is_err());
    assert!(change(&|document| document["keys"][0]["x5c"] = json!(["AAAA"])).is_err());
    let refused = change(&|document| document["keys"][1]["d"] = json!("AAAA")).unwrap_err();
    assert!(matches!(refused, BundleError::Jwk(JwkError::Private("d"))));
    assert!(
        change(&|document| document["keys"][1]["kid"] = json!(null)).is_err(),
        "a JWT authority has a kid"
    );
    let doubled = change(&|document| {
        let key = document["keys"][1].clone();
        document["keys"].as_array_mut().unwrap().push(key);
    });
    assert!(
        matches!(doubled.unwrap_err(), BundleError::Keys(_)),
        "two keys of one kid"
    );
    let other_use = change(&|document| document["keys"][1]["use"] = json!("sig")).unwrap();
    assert!(
        other_use.jwt_authorities().is_empty(),
        "keys of another use are no authorities"
    );
}

#[test]
fn an_authority_of_another_trust_domain_is_refused() {
    let foreign = Authority::create("other.org".parse().unwrap(), now(), HOUR, &SystemRng).unwrap();
    let refused = Bundle::new(
        trust_domain(),
        vec![foreign.certificate().to_vec()],
        vec![],
        1,
        HOUR,
    )
    .unwrap_err();
    assert!(matches!(refused, BundleError::OtherTrustDomain { .. }));
}
