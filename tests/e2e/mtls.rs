//! Agents that show their X.509-SVID in the handshake (RFC 8705): the token they get is good over a connection with that certificate, and
//! nowhere else.

mod svid;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use bailiwick_core::{Clock as _, Timestamp};
use bailiwick_crypto::system::SystemClock;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde_json::{Value, json};

use crate::harness::agent::escape;
use crate::harness::http::{self, Place, Response};
use crate::harness::mcp::message;
use crate::harness::{Mcp, Setup, World};
use crate::tls::until;
use svid::{FORM, Svid, opens};

fn setup() -> Setup {
    Setup {
        tls: true,
        oauth: r#"mtls_listen = "127.0.0.1:0""#.to_owned(),
        ..Setup::default()
    }
}

/// SVIDs that live for six seconds.
fn brief() -> Setup {
    Setup {
        identity: r#"x509_ttl = "6s""#.to_owned(),
        ..setup()
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&json).unwrap()
}

/// The code of a refusal by the gateway.
fn refused(response: std::io::Result<Response>) -> (u16, String) {
    let response = response.expect("the gateway does not answer");
    let status = response.status;
    let body = response.json();
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_token_is_bound_to_the_certificate_that_it_was_asked_with() {
    let world = World::with(&setup());
    let node = &world.node;
    let metadata = http::send(
        &Place::of(node.ready("console")),
        "GET",
        "/.well-known/oauth-authorization-server",
        &[],
        None,
    );
    let metadata = metadata.unwrap().json();
    let endpoint = format!("{}/oauth/token", node.ready("mtls"));
    assert_eq!(
        metadata["mtls_endpoint_aliases"]["token_endpoint"],
        endpoint.as_str()
    );
    assert_eq!(metadata["tls_client_certificate_bound_access_tokens"], true);
    let methods = metadata["token_endpoint_auth_methods_supported"]
        .as_array()
        .unwrap();
    assert!(methods.contains(&json!("tls_client_auth")), "{metadata}");

    let (task, svid) = (world.task(), Svid::next(&world.agent));
    let token = svid.token(node, &task);
    let claims = claims(&token);
    assert_eq!(claims["cnf"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(
        claims["cnf"]["x5t#S256"].as_str().map(str::len),
        Some(43),
        "{claims}"
    );
    let opened = svid
        .opens(node, &[("Authorization", &bearer(&token))])
        .unwrap()
        .expect(200);
    let session = opened.header("mcp-session-id").unwrap().to_owned();

    // After a rotation the session goes on, with a token for the new certificate.
    let rotated = Svid::next(&world.agent);
    let token = rotated.token(node, &task);
    let authorization = bearer(&token);
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Session-Id", &session),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    let place = Place::with(node.ready("gateway"), rotated.client());
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_files","arguments":{}}}"#;
    let answer = http::send(&place, "POST", "/mcp/workspace", &headers, Some(call)).unwrap();
    let answer = message(answer.expect(200));
    assert!(answer["result"]["content"].is_array(), "{answer}");

    let asked = format!("token={token}&client_id={}", escape(&svid.id));
    let (_, told) = rotated.post(node, "/oauth/introspect", &asked).unwrap();
    assert_eq!(
        (&told["active"], &told["token_type"]),
        (&json!(true), &json!("Bearer"))
    );
    assert_eq!(told["cnf"], self::claims(&token)["cnf"]);
    let (status, _) = rotated.post(node, "/oauth/revoke", &asked).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        refused(rotated.opens(node, &[("Authorization", &authorization)])).1,
        "revoked"
    );
}

#[test]
fn policy_sees_how_a_token_is_bound() {
    let world = World::with(&setup());
    let mut files = crate::harness::world::demo_policy();
    files["bound.cedar"] = json!(
        "@id(\"bound.mtls\")\n@reason(\"Certificates here.\")\nforbid (principal, action in Bailiwick::Action::\"workspace\", resource) unless { \
         context.bw has session && context.bw.session.binding == \"mtls\" && context.bw.session.network == \"loopback\" };\n"
    );
    crate::harness::world::publish(&world.node, &files);
    let task = world.task();
    let svid = Svid::next(&world.agent);
    let authorization = bearer(&svid.token(&world.node, &task));
    let opened = svid.opens(&world.node, &[("Authorization", &authorization)]);
    let session = opened
        .unwrap()
        .expect(200)
        .header("mcp-session-id")
        .unwrap()
        .to_owned();
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("Mcp-Session-Id", &session),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    let place = Place::with(world.node.ready("gateway"), svid.client());
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_files","arguments":{}}}"#;
    let answer = http::send(&place, "POST", "/mcp/workspace", &headers, Some(call)).unwrap();
    assert_ne!(message(answer)["result"]["isError"], true);
    Mcp::open(&world.agent, "workspace", &task).refused("list_files", "{}");
}

#[test]
fn a_stolen_token_is_worth_nothing_without_its_certificate() {
    let world = World::with(&setup());
    let (node, agent) = (&world.node, &world.agent);
    let (task, svid, other) = (world.task(), Svid::next(agent), Svid::next(agent));
    let token = svid.token(node, &task);
    let authorization = bearer(&token);
    let alone = [("Authorization", authorization.as_str())];
    svid.opens(node, &alone).unwrap().expect(200);

    // With another certificate, even of the same process; with none; with a proof; and as a token that has one.
    assert_eq!(
        refused(other.opens(node, &alone)),
        (401, "key_mismatch".to_owned())
    );
    let bare = || Place::of(node.ready("gateway"));
    assert_eq!(
        refused(opens(&bare(), &alone)),
        (401, "token_unbound".to_owned())
    );
    let url = agent.resource("workspace");
    let mut nonce = None;
    for _ in 0..2 {
        let proof = agent.proof("POST", &url, Some(&token), nonce.as_deref());
        let by_proof = format!("DPoP {token}");
        let headers = [("Authorization", by_proof.as_str()), ("DPoP", &proof)];
        for place in [bare(), Place::with(node.ready("gateway"), svid.client())] {
            let answer = opens(&place, &headers).unwrap();
            nonce = answer.header("dpop-nonce").map(str::to_owned);
            assert_eq!(refused(Ok(answer)), (401, "token_invalid".to_owned()));
        }
        let both = [("Authorization", authorization.as_str()), ("DPoP", &proof)];
        assert_eq!(refused(svid.opens(node, &both)).1, "dpop_proof");
    }
    // A token of a key is none of a certificate.
    let keyed = bearer(&agent.token(&task, "workspace").unwrap());
    let keyed = refused(svid.opens(node, &[("Authorization", &keyed)]));
    assert_eq!(keyed, (401, "token_unbound".to_owned()));

    // It is exchanged, and delegates, over its certificate alone.
    let exchange = format!(
        "grant_type={}&subject_token_type={}&subject_token={token}&client_id={}",
        escape("urn:ietf:params:oauth:grant-type:token-exchange"),
        escape("urn:ietf:params:oauth:token-type:access_token"),
        escape(&svid.id)
    );
    let (status, answer) = other.post(node, "/oauth/token", &exchange).unwrap();
    assert_eq!(
        (status, &answer["code"]),
        (400, &json!("key_mismatch")),
        "{answer}"
    );
    let (status, answer) = svid.post(node, "/oauth/token", &exchange).unwrap();
    assert_eq!(
        (status, &answer["token_type"]),
        (200, &json!("Bearer")),
        "{answer}"
    );
    let headers = [
        ("Authorization", authorization.as_str()),
        ("Content-Type", "application/json"),
    ];
    let path = format!("/v1/tasks/{task}/delegations");
    let place = Place::of(node.ready("console"));
    let answer = http::send(&place, "POST", &path, &headers, Some(b"{}")).unwrap();
    assert_eq!(refused(Ok(answer)), (401, "token_unbound".to_owned()));
}

#[test]
fn who_shows_no_svid_of_ours_has_no_connection() {
    let world = World::with(&setup());
    let node = &world.node;
    let (task, svid) = (world.task(), Svid::next(&world.agent));
    let form = svid.form(node, &task);
    // The same name by another authority, another trust domain, an SVID that is no leaf's, and nothing.
    let elsewhere = svid.id.replace("e2e.internal", "elsewhere.internal");
    for forged in [Svid::forged(&svid.id), Svid::forged(&elsewhere)] {
        assert_eq!(forged.post(node, "/oauth/token", &form), None);
        assert!(forged.opens(node, &[]).is_err());
    }
    let place = Place::of(node.ready("mtls"));
    assert!(http::send(&place, "POST", "/oauth/token", &FORM, Some(form.as_bytes())).is_err());
    // Where no certificate is asked for, a name proves nothing.
    let place = Place::of(node.ready("console"));
    let named = http::send(&place, "POST", "/oauth/token", &FORM, Some(form.as_bytes()));
    assert_eq!(named.unwrap().status, 400);

    // Who it is, it says besides, once, and no other way; and there is nothing but tokens here.
    let wrong = [
        form.replace(&escape(&svid.id), &escape(&elsewhere)),
        form.replace("client_id", "client"),
        format!("{form}&client_assertion=x"),
        form.replace("client_credentials", "authorization_code"),
    ];
    for form in wrong {
        let (status, answer) = svid.post(node, "/oauth/token", &form).unwrap();
        assert!(matches!(status, 400 | 401), "{form}: {answer}");
    }
    let (status, _) = svid.post(node, "/v1/tasks", "").unwrap();
    assert_eq!(status, 404);
}

#[test]
fn a_fenced_instance_gets_nothing_for_its_svid() {
    let world = World::with(&setup());
    let node = &world.node;
    let (task, svid) = (world.task(), Svid::next(&world.agent));
    let authorization = bearer(&svid.token(node, &task));
    let instance = svid.id.rsplit('/').next().unwrap().to_owned();
    node.cli(&[
        "revoke", "instance", &instance, "--reason", "INC-9", "--yes",
    ]);
    let (status, answer) = svid
        .post(node, "/oauth/token", &svid.form(node, &task))
        .unwrap();
    assert!(matches!(status, 400 | 401), "{answer}");
    let shown = refused(svid.opens(node, &[("Authorization", &authorization)]));
    assert_eq!(shown, (401, "revoked".to_owned()));
}

#[test]
fn trap_07_a_token_dies_with_its_svid() {
    let world = World::with(&brief());
    let (node, agent) = (&world.node, &world.agent);
    let (task, svid) = (world.task(), Svid::next(agent));
    // A connection that was made while it was good.
    let name = ServerName::try_from("localhost").unwrap();
    let address = node.ready("mtls").strip_prefix("https://").unwrap();
    let connection = ClientConnection::new(svid.client(), name).unwrap();
    let mut early = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    early.flush().unwrap();
    let token = svid.token(node, &task);
    let claims = claims(&token);
    let ends = claims["exp"].as_i64().unwrap();
    assert!(ends - claims["iat"].as_i64().unwrap() <= 6, "{claims}");
    let authorization = bearer(&token);
    svid.opens(node, &[("Authorization", &authorization)])
        .unwrap()
        .expect(200);

    until("the end of the SVID", || {
        SystemClock.wall() > Timestamp::from_secs(ends + 1)
    });
    let form = svid.form(node, &task);
    write!(
        early,
        "POST /oauth/token HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    )
    .unwrap();
    let mut answer = String::new();
    let _ = early.read_to_string(&mut answer);
    assert!(
        answer.starts_with("HTTP/1.1 401") && answer.contains("invalid_client"),
        "{answer}"
    );
    // Its successor does not carry it on.
    let next = Svid::next(agent);
    let late = refused(next.opens(node, &[("Authorization", &authorization)]));
    assert_eq!(late, (401, "token_expired".to_owned()));
    until("the refusal of the SVID", || svid.opens(node, &[]).is_err());
    assert_eq!(
        svid.post(node, "/oauth/token", &svid.form(node, &task)),
        None
    );
    next.token(node, &task);
}
