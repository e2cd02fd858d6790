//! Wycheproof's JSON Web Signature vectors. They are not part of the repository; where the file is not there, one line says so.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::jose::{KeySource, Rules, Typ, Unverified};
use crate::jwk::{Algorithm, Jwk};
use crate::keys::VerifyingKey;

const RULES: Rules = Rules {
    class: "vector",
    typ: Typ::AbsentOr(&["JWT"]),
    algorithms: &[
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::EdDsa,
    ],
    key: KeySource::Kid,
};

#[test]
fn agrees_with_wycheproof_but_for_what_is_listed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/jose/json_web_signature_test.json");
    let Ok(text) = std::fs::read(&path) else {
        #[expect(clippy::print_stderr, reason = "says which vectors did not run")]
        {
            eprintln!(
                "not run: Wycheproof JSON Web Signature, no file {}",
                path.display()
            );
        }
        return;
    };
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let mut seen = 0;
    // Why we refuse what Wycheproof calls valid, and how many. Nothing that it calls invalid may pass.
    let mut refused: BTreeMap<String, usize> = BTreeMap::new();
    for group in vectors["testGroups"].as_array().unwrap() {
        let comment = group["comment"].as_str().unwrap();
        for vector in group["tests"].as_array().unwrap() {
            seen += 1;
            let token = vector["jws"].as_str().unwrap_or_default();
            match (
                vector["result"].as_str().unwrap(),
                accept(&group["public"], token),
            ) {
                ("valid", Err(reason)) => *refused.entry(reason).or_default() += 1,
                ("valid", Ok(())) | ("invalid", Err(_)) => {}
                other => panic!("{other:?}: {comment} {vector}"),
            }
        }
    }
    assert_eq!(seen, vectors["numberOfTests"].as_u64().unwrap());
    // - HS256 has no public key: none of our classes is symmetric.
    // - `ES521`, the `alg` of two keys, is no algorithm (RFC 7518 §3.1 has ES512); their tokens say ES512.
    // - Two keys say PS256 and their tokens PS384: a key's `alg` is binding here (RFC 8725 §3.1).
    expect_test::expect![[r#"
        {
            "no public key": 10,
            "the key that the token names does not sign with PS384": 2,
            "the key's type, curve or algorithm `ES521` is not supported": 2,
        }"#]]
    .assert_eq(&format!("{refused:#?}"));
}

fn accept(public: &Value, token: &str) -> Result<(), String> {
    let members = public.as_object().ok_or("no public key")?;
    let key = Jwk::parse(members)
        .and_then(VerifyingKey::new)
        .map_err(|error| error.to_string())?;
    let verified = Unverified::parse(token, &RULES).and_then(|token| token.verify(&key));
    verified.map(drop).map_err(|error| error.to_string())
}
