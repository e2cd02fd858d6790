//! The core against Wycheproof's vectors, against jsonwebtoken, and against tokens that lax readers accept.

mod oracle;
mod trap_04_alg_and_key;
mod wycheproof;

use serde_json::json;

use super::{JoseError, KeySource, MAX_TOKEN, Rules, Typ, Unverified, claims, sign};
use crate::fixture::{compact, es256};
use crate::jwk::Algorithm;
use crate::keys::{SigningKey, VerifyingKey};

const RULES: Rules = Rules {
    class: "test token",
    typ: Typ::AbsentOr(&["JWT"]),
    algorithms: &[
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Rs256,
        Algorithm::Ps256,
    ],
    key: KeySource::Kid,
};

fn verify(token: &str, key: &VerifyingKey) -> Result<Vec<u8>, JoseError> {
    Unverified::parse(token, &RULES)?.verify(key)
}

#[test]
fn what_we_sign_we_read() {
    let key = SigningKey::generate().unwrap();
    let token = sign(&key, Some("JWT"), &json!({"sub": "a"})).unwrap();
    let unverified = Unverified::parse(&token, &RULES).unwrap();
    assert_eq!(unverified.header().kid.as_deref(), Some(key.kid()));
    let payload = unverified.verify(&key.verifying_key().unwrap()).unwrap();
    assert_eq!(claims(&payload).unwrap()["sub"], "a");
}

#[test]
fn a_signature_has_one_form() {
    let key = SigningKey::generate().unwrap();
    let verifying = key.verifying_key().unwrap();
    let token = es256(&key, &json!({"alg": "ES256", "kid": "k"}), &json!({"a": 1}));
    let (input, signature) = token.rsplit_once('.').unwrap();
    let raw = crate::base64url::decode(signature).unwrap();

    let with = |bytes: &[u8]| format!("{input}.{}", crate::base64url::encode(bytes));
    assert!(verify(&with(&raw), &verifying).is_ok());
    let zero = [0; 64];
    let long = [raw.as_slice(), &[0]].concat();
    let led = [&[0], raw.as_slice()].concat();
    for bad in [&raw[..63], &[], &zero, &long, &led] {
        assert!(
            matches!(
                verify(&with(bad), &verifying).unwrap_err(),
                JoseError::Signature
            ),
            "{}",
            bad.len()
        );
    }
    // DER, as TLS writes signatures.
    let der = [
        &[0x30, 0x44, 0x02, 0x20],
        &raw[..32],
        &[0x02, 0x20],
        &raw[32..],
    ]
    .concat();
    assert!(matches!(
        verify(&with(&der), &verifying).unwrap_err(),
        JoseError::Signature
    ));
}

#[test]
fn malformed_tokens_are_refused() {
    let key = SigningKey::generate().unwrap();
    let verifying = key.verifying_key().unwrap();
    let token = es256(&key, &json!({"alg": "ES256", "kid": "k"}), &json!({"a": 1}));
    let (header, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        format!("{header}.{payload}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.{signature}=="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "+")) + "+",
        format!("{header}.{payload}.{signature}é"),
        "a".repeat(MAX_TOKEN + 1),
    ] {
        assert!(verify(&bad, &verifying).is_err(), "{bad:?}");
    }
    for header in [
        "",
        "null",
        "[]",
        "\"ES256\"",
        "{}",
        r#"{"alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":""}"#,
        r#"{"alg":"ES256","kid":7}"#,
        r#"{"alg":["ES256"],"kid":"k"}"#,
        r#"{"kid":"k"}"#,
        r#"{"alg":"ES256","kid":"k"} {}"#,
        "\u{feff}{\"alg\":\"ES256\",\"kid\":\"k\"}",
        r#"{"alg":"ES256","kid":"\ud800"}"#,
        r#"{"alg":"ES256","kid":"k","typ":{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":1}}}}}}}}}"#,
    ] {
        let token = compact(header, "{}", |input| key.sign(input).unwrap().to_vec());
        assert!(verify(&token, &verifying).is_err(), "{header}");
    }
    for payload in ["", "null", "[]", "1e999", "{\"a\":1e999}", "{\"a\":1}x"] {
        let token = compact(r#"{"alg":"ES256","kid":"k"}"#, payload, |input| {
            key.sign(input).unwrap().to_vec()
        });
        assert!(
            claims(&verify(&token, &verifying).unwrap()).is_err(),
            "{payload}"
        );
    }
}

#[test]
fn typ_is_held_to_its_class() {
    let accepts = |typ: Typ, found: Option<&str>| typ.accepts(found);
    let absent_or = Typ::AbsentOr(&["JWT", "JOSE"]);
    assert!(accepts(absent_or, None) && accepts(absent_or, Some("JOSE")));
    assert!(!accepts(absent_or, Some("jwt")) && !accepts(absent_or, Some("at+jwt")));
    let media = Typ::MediaType("at+jwt");
    assert!(
        accepts(media, Some("at+jwt"))
            && accepts(media, Some("application/AT+JWT"))
            && accepts(media, Some("Application/at+jwt"))
    );
    assert!(
        !accepts(media, None)
            && !accepts(media, Some("JWT"))
            && !accepts(media, Some("application/application/at+jwt"))
    );
    let exactly = Typ::Exactly("dpop+jwt");
    assert!(accepts(exactly, Some("dpop+jwt")));
    assert!(
        !accepts(exactly, None)
            && !accepts(exactly, Some("application/dpop+jwt"))
            && !accepts(exactly, Some("DPOP+JWT"))
    );
}
