//! Clients that prove themselves with a key of their own (`private_key_jwt`: RFC 7523, OpenID Connect Core §9): one that is not ours the whole
//! way, and what a stolen name or assertion is worth.

use bailiwick_core::Clock;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_crypto::{jose, pkce};
use serde_json::{Value, json};

use crate::authorization::{proof_key, redeem, refresh_as, whole_way};
use crate::harness::agent::{ASSERTION_TYPE, NAME};
use crate::harness::http::Response;
use crate::harness::login::CLIENT;
use crate::harness::{Agent, Login};

/// How a client says that it proves itself with its own key.
const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

#[test]
fn a_client_with_keys_goes_the_whole_way() {
    let login = Login::start();
    let node = &login.world.node;
    let said = whole_way(&login, "desk", &json!({ "keyed": "RS256" }), |keys| {
        let file = node.home().join("desk.jwks");
        std::fs::write(&file, keys).unwrap();
        let file = file.to_str().unwrap();
        let back = ["--redirect-uri", "http://127.0.0.1/callback"];
        let add = ["client", "add", "desk", "--agent", NAME, "--jwks", file];
        node.cli(&[&add[..], &back].concat());
    });
    assert_eq!(said["token_type"], "dpop", "{said}");
    let proofs = said["proofs"].as_array().unwrap();
    assert!(proofs.contains(&json!("private_key_jwt")), "{said}");
}

/// A client with a key, and a code that a user gave it.
struct Desk {
    login: Login,
    key: SigningKey,
    client: Agent,
    verifier: String,
    code: String,
}

impl Desk {
    fn new() -> Self {
        let login = Login::start();
        let key = SigningKey::generate().unwrap();
        let desk = json!({
            "id": "desk", "agent": NAME, "redirect_uris": ["http://127.0.0.1/callback"],
            "jwks": { "keys": [key.jwk().to_json()] },
        });
        login.world.node.api("POST", "/v1/clients", Some(&desk));
        let (verifier, challenge) = proof_key();
        let code = login.code(&challenge, &[("client_id", "desk")], "alice");
        Self {
            client: Agent::of(&login.world.node),
            key,
            login,
            verifier,
            code,
        }
    }

    /// What it signs.
    fn good(&self) -> String {
        self.signed(&self.key, &json!({}))
    }

    /// The same with other claims.
    fn with(&self, changed: &Value) -> String {
        self.signed(&self.key, changed)
    }

    fn signed(&self, key: &SigningKey, changed: &Value) -> String {
        let now = SystemClock.wall().as_secs();
        let mut claims = json!({
            "iss": "desk", "sub": "desk", "aud": self.client.issuer(), "iat": now, "exp": now + 60,
            "jti": pkce::fresh(&SystemRng).expose(),
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(changed.as_object().unwrap().clone());
        jose::sign(key, Some("JWT"), &claims).unwrap()
    }

    fn attempt(&self, id: &str, kind: &str, assertion: &str) -> Result<Value, (u16, Value)> {
        let shown = [
            ("client_id", id),
            ("client_assertion_type", kind),
            ("client_assertion", assertion),
        ];
        redeem(&self.client, &self.code, &self.verifier, &shown)
    }

    /// A token shown to an endpoint together with an assertion.
    fn post(&self, path: &str, assertion: &str, token: &str) -> Response {
        let form = [
            ("client_assertion_type", KIND),
            ("client_assertion", assertion),
            ("token", token),
        ];
        self.client.post_form(path, &form, &[])
    }
}

#[test]
fn a_client_with_keys_is_nobody_without_them() {
    let desk = Desk::new();
    let thief = SigningKey::generate().unwrap();
    let now = SystemClock.wall().as_secs();
    let endpoint = format!("{}/oauth/token", desk.client.issuer());
    let agent = &desk.login.world.agent;
    let svid = agent.jwt_svid(agent.issuer());
    let own = |changed: Value| desk.with(&changed);
    for (what, id, kind, assertion) in [
        ("a name alone", "desk", "", String::new()),
        ("another key", "desk", KIND, desk.signed(&thief, &json!({}))),
        ("another name", CLIENT, KIND, desk.good()),
        (
            "another's name inside",
            "desk",
            KIND,
            own(json!({ "sub": CLIENT, "iss": CLIENT })),
        ),
        ("two names inside", "", KIND, own(json!({ "iss": CLIENT }))),
        ("another kind", "desk", ASSERTION_TYPE, desk.good()),
        ("no kind", "desk", "", desk.good()),
        (
            "for the endpoint",
            "desk",
            KIND,
            own(json!({ "aud": endpoint })),
        ),
        (
            "over",
            "desk",
            KIND,
            own(json!({ "iat": now - 60, "exp": now - 1 })),
        ),
        (
            "for an hour",
            "desk",
            KIND,
            own(json!({ "exp": now + 3_600 })),
        ),
        (
            "from the future",
            "desk",
            KIND,
            own(json!({ "iat": now + 120, "exp": now + 180 })),
        ),
        ("an SVID", "desk", KIND, svid),
        ("not one", "desk", KIND, "e30.e30.e30".to_owned()),
    ] {
        let (status, refused) = desk.attempt(id, kind, &assertion).expect_err(what);
        let wanted = match what {
            "no kind" => (400, "invalid_request"),
            _ => (401, "invalid_client"),
        };
        assert_eq!(
            (status, refused["error"].as_str().unwrap()),
            wanted,
            "{what}: {refused}"
        );
    }
    // None of them used the code up.
    desk.attempt("", KIND, &desk.good()).unwrap();
    desk.login.until("token.refused");
}

#[test]
fn what_proves_a_client_is_good_once_and_everywhere_needed() {
    let desk = Desk::new();
    let shown = desk.good();
    let token = desk.attempt("desk", KIND, &shown).unwrap();
    let access = token["access_token"].as_str().unwrap();
    desk.post("/oauth/introspect", &shown, access).expect(401);
    let looked = desk.post("/oauth/introspect", &desk.good(), access);
    assert_eq!(looked.expect(200).json()["active"], true);
    // Nobody else's token is its business.
    let others = desk
        .login
        .world
        .agent
        .token(&desk.login.world.task(), "workspace");
    let looked = desk.post("/oauth/introspect", &desk.good(), &others.unwrap());
    assert_eq!(looked.expect(200).json(), json!({ "active": false }));
    let named = [("client_id", "desk"), ("token", access)];
    let by_name = |path: &str| desk.client.post_form(path, &named, &[]);
    by_name("/oauth/introspect").expect(400);
    by_name("/oauth/revoke").expect(401);
    let (_, refused) = refresh_as(&desk.client, "desk", &token).expect_err("a name alone");
    assert_eq!(refused["error"], "invalid_client", "{refused}");
    let refresh = token["refresh_token"].as_str().unwrap();
    desk.post("/oauth/revoke", &desk.good(), refresh)
        .expect(200);
    let looked = desk.post("/oauth/introspect", &desk.good(), access);
    assert_eq!(looked.expect(200).json(), json!({ "active": false }));
}
