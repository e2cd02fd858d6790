//! A receipt is read back by its issuer's receipt keys and by no others, and not once it is altered.

use bailiwick_core::receipt::{How, Leases, Place, Point, Receipt};
use bailiwick_core::{Code, Fault, Id};
use serde_json::json;

use super::{TYP, issue, verify};
use crate::jose::{self, JoseError};
use crate::keys::SigningKey;
use crate::token::{KeySet, ReceiptKeys, TokenError};

fn receipt() -> Receipt {
    Receipt {
        iss: "https://bailiwick.example".into(),
        jti: Id::from_bits(7),
        iat: 1_800_000_000,
        epoch: 1,
        seq: 912,
        subjects: vec!["agent/coder".parse().unwrap()],
        committed_at: bailiwick_core::Timestamp::from_secs(1_800_000_000),
        points: vec![Point {
            id: "example.org/node-1".into(),
            how: How::Acked,
            applied_ms: 0,
            swept_ms: 3,
        }],
        leases: Leases {
            fenced: 2,
            dead: 2,
            pending: 0,
        },
        audit: Place {
            origin: "example.org/node-1".into(),
            index: 882,
        },
    }
}

fn keys(key: &SigningKey) -> KeySet<ReceiptKeys> {
    KeySet::new([key.jwk().clone()]).unwrap()
}

#[test]
fn a_receipt_is_read_back_with_the_public_key_alone() {
    let key = SigningKey::generate().unwrap();
    let text = issue(&key, &receipt()).unwrap();
    let published = keys(&key).to_jwks().to_string();
    let published = KeySet::from_jwks(published.as_bytes()).unwrap();
    assert_eq!(verify(&text, &published).unwrap(), receipt());
    assert_eq!(verify(&format!("{text}\n"), &published).unwrap(), receipt());
}

#[test]
fn what_another_key_signed_or_somebody_altered_is_no_receipt() {
    let (key, other) = (
        SigningKey::generate().unwrap(),
        SigningKey::generate().unwrap(),
    );
    let text = issue(&key, &receipt()).unwrap();
    let foreign = verify(&text, &keys(&other)).unwrap_err();
    assert!(
        matches!(foreign, TokenError::UnknownKey { .. }),
        "{foreign}"
    );
    let mut kinder = receipt();
    kinder.leases.pending = 1;
    let kinder = issue(&other, &kinder).unwrap();
    // The payload of one under the header and signature of the other.
    let parts: Vec<&str> = text.split('.').collect();
    let altered = [parts[0], kinder.split('.').nth(1).unwrap(), parts[2]].join(".");
    let refused = verify(&altered, &keys(&key)).unwrap_err();
    assert_eq!(refused.code(), Code::TokenInvalid, "{refused}");
}

#[test]
fn another_class_of_token_and_an_unknown_claim_are_no_receipt() {
    let key = SigningKey::generate().unwrap();
    let of_another = jose::sign(&key, Some("at+jwt"), &receipt()).unwrap();
    let refused = verify(&of_another, &keys(&key)).unwrap_err();
    assert_eq!(refused.code(), Code::TokenClass, "{refused}");
    let mut claims = serde_json::to_value(receipt()).unwrap();
    claims["void"] = json!(true);
    let more = jose::sign(&key, Some(TYP), &claims).unwrap();
    let refused = verify(&more, &keys(&key)).unwrap_err();
    assert!(matches!(refused, TokenError::Claims { .. }), "{refused}");
}

#[test]
fn a_receipt_that_nobody_could_read_is_not_issued() {
    let key = SigningKey::generate().unwrap();
    let mut long = receipt();
    long.points = vec![long.points[0].clone(); 300];
    let refused = issue(&key, &long).unwrap_err();
    assert!(
        matches!(refused, TokenError::Jose(JoseError::TooLong)),
        "{refused}"
    );
}
