//! Which metadata of a provider is believed, and how forms are written.

use bailiwick_core::Code;
use reqwest::StatusCode;

use super::{Document, encoded, form_of, given};
use crate::outbound::Answer;

fn document(members: &serde_json::Value) -> Document {
    let mut all = serde_json::json!({
        "issuer": "https://login.example/realm",
        "authorization_endpoint": "https://login.example/auth",
        "token_endpoint": "https://login.example/token",
        "jwks_uri": "https://keys.example/jwks",
    });
    let added = members.as_object().unwrap().clone();
    all.as_object_mut().unwrap().extend(added);
    serde_json::from_value(all).unwrap()
}

#[test]
fn metadata_is_the_configured_issuers_own_and_nothing_goes_in_the_clear() {
    let issuer = "https://login.example/realm";
    assert!(document(&serde_json::json!({})).checked(issuer).is_ok());
    for other in [
        "https://login.example/realm/",
        "https://login.example",
        "http://login.example/realm",
    ] {
        assert!(
            document(&serde_json::json!({})).checked(other).is_err(),
            "{other}"
        );
    }
    for endpoint in ["authorization_endpoint", "token_endpoint", "jwks_uri"] {
        for url in [
            "http://login.example/x",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ] {
            let plain = document(&serde_json::json!({ endpoint: url }));
            assert!(plain.checked(issuer).is_err(), "{endpoint} {url}");
        }
    }
}

#[test]
fn the_secret_goes_where_the_provider_takes_it() {
    let posted = |methods: serde_json::Value| {
        let document =
            document(&serde_json::json!({ "token_endpoint_auth_methods_supported": methods }));
        document
            .checked("https://login.example/realm")
            .map(|known| known.posted_secret)
    };
    assert_eq!(posted(serde_json::json!([])), Ok(false));
    assert_eq!(posted(serde_json::json!(["client_secret_post"])), Ok(true));
    assert_eq!(
        posted(serde_json::json!([
            "client_secret_post",
            "client_secret_basic"
        ])),
        Ok(false)
    );
}

#[test]
fn a_form_has_no_character_that_means_something() {
    assert_eq!(
        form_of(&[("a", "b c&d=e"), ("f", "é")]),
        "a=b+c%26d%3De&f=%C3%A9"
    );
    assert_eq!(form_of(&[]), "");
    assert_eq!(encoded("a:b=%"), "a%3Ab%3D%25");
}

#[test]
fn a_code_that_is_none_is_no_failure_of_the_provider() {
    let code = |status: StatusCode, body: &str| {
        let answer = Answer {
            status,
            headers: reqwest::header::HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        given(answer).map(drop).map_err(|problem| problem.code)
    };
    let error = |error: &str| serde_json::json!({ "error": error }).to_string();
    assert_eq!(code(StatusCode::OK, "{}"), Ok(()));
    for status in [StatusCode::BAD_REQUEST, StatusCode::UNAUTHORIZED] {
        let refused = Err(Code::LoginRefused);
        assert_eq!(code(status, &error("invalid_grant")), refused);
    }
    // Ours to put right, or theirs.
    let unavailable = Err(Code::LoginUnavailable);
    assert_eq!(
        code(StatusCode::UNAUTHORIZED, &error("invalid_client")),
        unavailable
    );
    assert_eq!(
        code(StatusCode::BAD_GATEWAY, &error("invalid_grant")),
        unavailable
    );
    for body in [
        "",
        "<html>",
        "{}",
        &error("\u{1b}[2J"),
        &error(&"a".repeat(65)),
    ] {
        assert_eq!(code(StatusCode::BAD_REQUEST, body), unavailable, "{body}");
    }
    let answer = Answer {
        status: StatusCode::BAD_REQUEST,
        headers: reqwest::header::HeaderMap::new(),
        body: error("\u{1b}[2J").into_bytes(),
    };
    assert!(!given(answer).unwrap_err().message.contains('\u{1b}'));
}
