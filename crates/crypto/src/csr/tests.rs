//! Requests that others write, and what is wrong with some.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::{CertificateRequest, CsrError, Requester};

fn request(key: &KeyPair) -> String {
    let params = CertificateParams::new(vec!["anything.example".to_owned()]).unwrap();
    params.serialize_request(key).unwrap().pem().unwrap()
}

#[test]
fn a_request_shows_possession_of_its_key() {
    let key = KeyPair::generate().unwrap();
    let pem = request(&key);
    let parsed = CertificateRequest::from_pem(&pem).unwrap();
    assert_eq!(parsed.point(), key.public_key_raw());

    let mut der = CertificateParams::default()
        .serialize_request(&key)
        .unwrap()
        .der()
        .to_vec();
    *der.last_mut().unwrap() ^= 1;
    assert_eq!(CertificateRequest::from_der(&der), Err(CsrError::Signature));
}

#[test]
fn a_request_of_ours_is_one_and_its_key_signs() {
    let key = crate::keys::SigningKey::generate().unwrap();
    let requester = Requester::new(&key).unwrap();
    let request = CertificateRequest::from_pem(&requester.request().unwrap()).unwrap();
    assert_eq!(request.point(), key.public_point());
    let signature = requester.sign(b"challenge").unwrap();
    assert!(request.has_signed(b"challenge", &signature));
    assert!(!request.has_signed(b"challengf", &signature));
    assert!(!request.has_signed(b"challenge", &key.sign(b"challenge").unwrap()));
}

#[test]
fn other_keys_and_other_documents_are_refused() {
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        assert_eq!(
            CertificateRequest::from_pem(&request(&key)),
            Err(CsrError::Algorithm)
        );
    }
    let pem = request(&KeyPair::generate().unwrap());
    for text in [
        "",
        "MII",
        &format!("{pem}{pem}"),
        &pem.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
    ] {
        assert_eq!(
            CertificateRequest::from_pem(text),
            Err(CsrError::Form),
            "{text}"
        );
    }
    let long = "\n".repeat(super::MAX_REQUEST + 1);
    assert_eq!(CertificateRequest::from_pem(&long), Err(CsrError::TooLong));
}
