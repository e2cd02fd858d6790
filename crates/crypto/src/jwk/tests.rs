//! The RFC's thumbprint examples, and keys that must be refused.

use serde_json::{Map, Value, json};

use super::{Algorithm, Jwk, JwkError, Thumbprint};

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        other => panic!("not an object: {other}"),
    }
}

#[test]
fn thumbprints_match_rfc_7638_and_rfc_8037() {
    let rsa = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs\
              tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n9\
              1CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB", "alg": "RS256", "kid": "2011-04-29",
    });
    let rsa = Jwk::parse(&members(rsa)).unwrap();
    assert_eq!(
        rsa.thumbprint().as_str(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    assert_eq!(
        (rsa.algorithm, rsa.kid.as_deref()),
        (Some(Algorithm::Rs256), Some("2011-04-29"))
    );

    let ed = Jwk::parse(&members(
        json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
    ))
    .unwrap();
    assert_eq!(
        ed.thumbprint().as_str(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    assert_eq!(Jwk::parse(&ed.to_json()).unwrap(), ed);
}

#[test]
fn private_symmetric_and_misshapen_keys_are_refused() {
    let good = json!({
        "kty": "EC", "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    assert!(Jwk::parse(&members(good.clone())).is_ok());
    let change = |name: &str, value: Value| {
        let mut changed = members(good.clone());
        changed.insert(name.to_owned(), value);
        Jwk::parse(&changed).unwrap_err()
    };
    assert_eq!(
        change("d", json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")),
        JwkError::Private("d")
    );
    assert_eq!(
        change("kty", json!("oct")),
        JwkError::Unsupported("oct".into())
    );
    assert_eq!(
        change("crv", json!("secp256k1")),
        JwkError::Unsupported("secp256k1".into())
    );
    assert_eq!(
        change("alg", json!("HS256")),
        JwkError::Unsupported("HS256".into())
    );
    assert_eq!(
        change("alg", json!("none")),
        JwkError::Unsupported("none".into())
    );
    assert_eq!(change("use", json!("enc")), JwkError::Usage);
    assert_eq!(change("key_ops", json!(["encrypt"])), JwkError::Usage);
    assert_eq!(change("key_ops", json!("verify")), JwkError::Usage);
    assert_eq!(change("kid", json!(7)), JwkError::Member("kid"));
    assert_eq!(
        change("x", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=")),
        JwkError::Member("x"),
        "padding"
    );
    assert_eq!(
        change("x", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV")),
        JwkError::Member("x"),
        "stray bits"
    );
    assert_eq!(
        change("x", json!("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA")),
        JwkError::Member("x"),
        "31 bytes"
    );
}

#[test]
fn a_thumbprint_is_43_canonical_characters() {
    assert!(
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
            .parse::<Thumbprint>()
            .is_ok()
    );
    for bad in [
        "",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9X",
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xt",
    ] {
        assert!(bad.parse::<Thumbprint>().is_err(), "{bad}");
    }
}
