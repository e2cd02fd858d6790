//! Clients that are not ours get a token by their user's consent (MCP authorization 2026-07-28): a whole run with npm's oauth4webapi as the
//! client and npm's oidc-provider as the place where people sign in, and the attacks on it.

use std::process::Command;

use bailiwick_crypto::pkce;
use bailiwick_crypto::system::SystemRng;
use serde_json::{Value, json};

use crate::harness::login::{CLIENT, REDIRECT};
use crate::harness::{Agent, Browser, Login, Mcp, Process, deps};

/// A verifier and its challenge.
pub(crate) fn proof_key() -> (String, String) {
    let verifier = pkce::fresh(&SystemRng).expose().clone();
    let challenge = pkce::challenge(&verifier);
    (verifier, challenge)
}

/// A token request with a code, changed as a test wants it; an empty value leaves the parameter out.
pub(crate) fn redeem(
    client: &Agent,
    code: &str,
    verifier: &str,
    changed: &[(&str, &str)],
) -> Result<Value, (u16, Value)> {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier),
    ];
    form.retain(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    form.extend(changed.iter().filter(|(_, value)| !value.is_empty()));
    client.ask_token(&form)
}

fn refresh(client: &Agent, token: &Value) -> Result<Value, (u16, Value)> {
    refresh_as(client, CLIENT, token)
}

/// The next token for what a client of this id got.
pub(crate) fn refresh_as(client: &Agent, id: &str, token: &Value) -> Result<Value, (u16, Value)> {
    let token = token["refresh_token"].as_str().unwrap();
    client.ask_token(&[
        ("grant_type", "refresh_token"),
        ("client_id", id),
        ("refresh_token", token),
    ])
}

/// What npm's oauth4webapi says of its whole way, as the client of this id and with these members of what it is told; `registered` gets the
/// keys of one that has any.
pub(crate) fn whole_way(
    login: &Login,
    id: &str,
    more: &Value,
    registered: impl FnOnce(&str),
) -> Value {
    let (node, log) = (
        &login.world.node,
        login.world.node.home().join("client.log"),
    );
    let mut told = json!({
        "resource": login.world.agent.resource("workspace"),
        "client_id": id,
        "redirect_uri": REDIRECT,
    });
    let members = told.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let mut command = Command::new(deps::node());
    command
        .arg(deps::root().join("tests/e2e/node/authorize.mjs"))
        .arg(deps::node_module("oauth4webapi/build/index.js"))
        .arg(told.to_string());
    let mut client = Process::start("oauth4webapi", &mut command, &log);
    if told["keyed"].is_string() {
        registered(&client.line());
        client.say("registered");
    }
    let mut browser = Browser::default();
    let page = login.sign_in(&mut browser, &client.line(), "alice");
    for shown in [
        id,
        "user:corp:alice",
        "workspace",
        "127.0.0.1:33418",
        "read with any of its tools",
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    assert_eq!(
        page.html.contains("bound to no key"),
        told["unbound"] == true,
        "{}",
        page.html
    );
    let page = browser.submit(&page, &[("answer", "allow")], REDIRECT);
    client.say(
        page.location
            .as_deref()
            .unwrap_or_else(|| panic!("{page:?}")),
    );
    let line = client.line_within(crate::harness::DEADLINE);
    let line = line.unwrap_or_else(|error| panic!("{error}\n{}\n{}", client.log(), node.log()));
    let said: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(said["status"], 401, "{said}");
    assert_eq!(said["mixed_up"], "refused", "{said}");
    assert_eq!(said["methods"], json!(["S256"]), "{said}");
    assert_eq!(said["scope"], "workspace:read", "{said}");
    assert_eq!(said["claims"]["sub"], "user:corp:alice", "{said}");
    assert_eq!(said["claims"]["client_id"], id, "{said}");
    assert_eq!(said["opened"], 200, "{said}");
    let tools = said["tools"].as_array().unwrap();
    assert!(!tools.is_empty(), "{said}");
    assert_eq!(said["again"], tools.len(), "{said}");
    assert_eq!(said["rotated"], true, "{said}");
    assert!(
        said["refused"]
            .as_array()
            .is_some_and(|errors| errors.contains(&json!("invalid_token"))),
        "{said}"
    );
    said
}

#[test]
fn a_client_that_is_not_ours_goes_the_whole_way() {
    let login = Login::start();
    let said = whole_way(&login, CLIENT, &json!({}), |_| {});
    assert_eq!(said["token_type"], "dpop", "{said}");
    // Each step is on record, in order.
    login.until("fence.set");
    let types = login.types();
    let steps = [
        "client.changed",
        "login.accepted",
        "task.opened",
        "consent.granted",
        "token.issued",
        "token.issued",
        "fence.set",
    ];
    let mut left = types.iter();
    for step in steps {
        assert!(
            left.any(|kind| kind == step),
            "{step} is not on record in order: {types:?}"
        );
    }
    // The client ended with its task, as an instance of its agent.
    let task = said["claims"]["authorization_details"][0]["task_id"]
        .as_str()
        .unwrap();
    let path = format!("/v1/tasks/{task}");
    assert_eq!(login.world.node.api("GET", &path, None)["state"], "revoked");
}

#[test]
fn a_client_that_is_named_goes_the_whole_way_without_a_key() {
    let login = Login::with(&format!("unbound_clients = [\"{CLIENT}\"]"));
    let said = whole_way(&login, CLIENT, &json!({ "unbound": true }), |_| {});
    assert_eq!(said["token_type"], "bearer", "{said}");
    assert_eq!(said["claims"]["cnf"], Value::Null, "{said}");
    let issued: Vec<Value> = login.world.node.events();
    let issued = issued.iter().filter(|event| {
        event["type"] == "token.issued" && event["change"]["kind"] == "unbound token"
    });
    assert_eq!(issued.count(), 2);
}

#[test]
fn a_code_is_good_once_for_whom_it_was_given_to() {
    let login = Login::start();
    let node = &login.world.node;
    let second =
        json!({ "id": "desk", "agent": "tester", "redirect_uris": ["http://127.0.0.1/callback"] });
    node.api("POST", "/v1/clients", Some(&second));
    let client = Agent::of(node);
    let (verifier, challenge) = proof_key();
    let (other, _) = proof_key();
    let elsewhere = login.world.agent.resource("nowhere");
    for (what, error, changed) in [
        ("no verifier", "invalid_request", ("code_verifier", "")),
        ("no redirect URI", "invalid_request", ("redirect_uri", "")),
        ("no client", "invalid_request", ("client_id", "")),
        (
            "another verifier",
            "invalid_grant",
            ("code_verifier", other.as_str()),
        ),
        (
            "the challenge as the verifier",
            "invalid_grant",
            ("code_verifier", challenge.as_str()),
        ),
        (
            "another port",
            "invalid_grant",
            ("redirect_uri", "http://127.0.0.1:33419/callback"),
        ),
        ("another client", "invalid_grant", ("client_id", "desk")),
        (
            "another resource",
            "invalid_target",
            ("resource", elsewhere.as_str()),
        ),
    ] {
        let code = login.code(&challenge, &[], "alice");
        let (status, refused) = redeem(&client, &code, &verifier, &[changed]).expect_err(what);
        assert_eq!(
            (status, refused["error"].as_str()),
            (400, Some(error)),
            "{what}: {refused}"
        );
        // One attempt is all there is, unless it did not name what it wanted to use up.
        let again = redeem(&client, &code, &verifier, &[]);
        assert_eq!(
            again.is_ok(),
            error == "invalid_request",
            "{what}: {again:?}"
        );
    }
    // A code for a key is not for another.
    let jkt = [("dpop_jkt", client.key.thumbprint().as_str())];
    let code = login.code(&challenge, &jkt, "alice");
    let thief = Agent::of(node);
    let (_, refused) = redeem(&thief, &code, &verifier, &[]).expect_err("another key");
    assert_eq!(refused["error"], "invalid_grant", "{refused}");
    assert!(redeem(&client, "made-up", &verifier, &[]).is_err());
    // The second use revokes what the first gave.
    let code = login.code(&challenge, &jkt, "alice");
    let token = redeem(&client, &code, &verifier, &[]).unwrap();
    let access = token["access_token"].as_str().unwrap().to_owned();
    let session = Mcp::with_token(&client, "workspace", access);
    assert!(!session.tools().is_empty());
    let (_, refused) = redeem(&client, &code, &verifier, &[]).expect_err("replay");
    assert_eq!(
        (refused["error"].as_str(), refused["code"].as_str()),
        (Some("invalid_grant"), Some("revoked")),
        "{refused}"
    );
    let after = session.post(br#"{"jsonrpc":"2.0","id":9,"method":"tools/list"}"#);
    after.expect(401);
    let (_, refused) = refresh(&client, &token).expect_err("what came of it is dead");
    assert_eq!(refused["error"], "invalid_grant", "{refused}");
}

#[test]
fn a_refresh_token_is_good_once_with_its_key() {
    let login = Login::start();
    let client = Agent::of(&login.world.node);
    let (verifier, challenge) = proof_key();
    let token = redeem(
        &client,
        &login.code(&challenge, &[], "alice"),
        &verifier,
        &[],
    )
    .unwrap();
    let next = refresh(&client, &token).unwrap();
    let last = refresh(&client, &next).unwrap();
    let access = last["access_token"].as_str().unwrap().to_owned();
    let session = Mcp::with_token(&client, "workspace", access);
    // The first one again: somebody else has it.
    let (_, refused) = refresh(&client, &token).expect_err("reuse");
    assert_eq!(refused["code"], "revoked", "{refused}");
    assert_eq!(
        session
            .post(br#"{"jsonrpc":"2.0","id":9,"method":"tools/list"}"#)
            .status,
        401
    );
    assert!(refresh(&client, &last).is_err());
    // With another key it is good for nothing, and for nobody any more.
    let token = redeem(
        &client,
        &login.code(&challenge, &[], "alice"),
        &verifier,
        &[],
    )
    .unwrap();
    let thief = Agent::of(&login.world.node);
    let (_, refused) = refresh(&thief, &token).expect_err("another key");
    assert_eq!(refused["error"], "invalid_grant", "{refused}");
    // A removed client gets nothing for what it still holds.
    let token = redeem(
        &client,
        &login.code(&challenge, &[], "alice"),
        &verifier,
        &[],
    )
    .unwrap();
    login
        .world
        .node
        .request("DELETE", &format!("/v1/clients/{CLIENT}"), None)
        .expect(204);
    assert!(refresh(&client, &token).is_err());
}

#[test]
fn nobody_is_sent_where_the_client_is_not() {
    let login = Login::start();
    let (_, challenge) = proof_key();
    let mut browser = Browser::default();
    for (name, value) in [
        ("client_id", ""),
        ("client_id", "stranger"),
        ("client_id", "https://evil.example/client.json"),
        ("redirect_uri", ""),
        ("redirect_uri", "https://evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:33418/callback/.."),
        (
            "redirect_uri",
            "http://127.0.0.1:33418/callback?next=https://evil.example",
        ),
        (
            "redirect_uri",
            "http://127.0.0.1:33418@evil.example/callback",
        ),
        ("redirect_uri", "http://localhost:33418/callback"),
        ("redirect_uri", "javascript:alert(1)"),
    ] {
        let page = browser.send(
            "GET",
            &login.request(&challenge, &[(name, value)]),
            &[],
            None,
        );
        assert_eq!(
            (page.status, &page.location),
            (400, &None),
            "{name}={value}: {page:?}"
        );
        assert!(
            page.header("content-security-policy")
                .contains("frame-ancestors 'none'"),
            "{page:?}"
        );
    }
    let twice = format!(
        "{}&redirect_uri=https%3A%2F%2Fevil.example",
        login.request(&challenge, &[])
    );
    assert_eq!(browser.send("GET", &twice, &[], None).location, None);
    // The client hears of everything else, with `state` and `iss`.
    let other = login.world.agent.resource("nowhere");
    let plain = "a".repeat(43);
    for (error, changed) in [
        ("invalid_request", vec![("code_challenge", "")]),
        ("invalid_request", vec![("code_challenge_method", "")]),
        (
            "invalid_request",
            vec![
                ("code_challenge_method", "plain"),
                ("code_challenge", plain.as_str()),
            ],
        ),
        ("invalid_request", vec![("code_challenge", "short")]),
        ("invalid_request", vec![("dpop_jkt", "x")]),
        ("invalid_request", vec![("response_mode", "fragment")]),
        ("invalid_request", vec![("response_type", "")]),
        (
            "unsupported_response_type",
            vec![("response_type", "token")],
        ),
        (
            "request_not_supported",
            vec![("request_uri", "https://evil.example/r")],
        ),
        ("invalid_target", vec![("resource", "")]),
        (
            "invalid_target",
            vec![("resource", "https://evil.example/mcp/workspace")],
        ),
        ("invalid_target", vec![("resource", other.as_str())]),
        ("invalid_scope", vec![("scope", "github:write")]),
        ("invalid_scope", vec![("scope", "workspace:everything")]),
    ] {
        let page = browser.send("GET", &login.request(&challenge, &changed), &[], None);
        let location = page.location.as_deref().unwrap_or_default();
        assert!(
            location.starts_with(&format!("{REDIRECT}?")),
            "{changed:?}: {page:?}"
        );
        assert_eq!(
            page.parameter("error").as_deref(),
            Some(error),
            "{changed:?}: {page:?}"
        );
        assert_eq!(
            page.parameter("state").as_deref(),
            Some("a state & more"),
            "{page:?}"
        );
        assert_eq!(
            page.parameter("iss").as_deref(),
            Some(login.world.agent.issuer()),
            "{page:?}"
        );
        assert_eq!(page.parameter("code"), None, "{page:?}");
    }
}

#[test]
fn a_login_of_another_session_is_not_taken() {
    let login = Login::start();
    let (_, challenge) = proof_key();
    let url = login.request(&challenge, &[]);
    // Login CSRF: what came of the attacker's login, opened in the victim's browser.
    let (mut attacker, mut victim) = (Browser::default(), Browser::default());
    let theirs = login
        .at_provider(&mut attacker, &url, "mallory")
        .location
        .unwrap();
    let page = victim.send("GET", &theirs, &[], None);
    assert_eq!((page.status, &page.location), (401, &None), "{page:?}");
    // The attacker's code in the victim's own login: another verifier, another nonce.
    let page = victim.send("GET", &url, &[], None);
    let own = page.parameter("state").unwrap();
    let code = theirs
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let console = login.world.node.ready("console");
    let issuer = &login.issuer;
    for wrong in [code, "made-up"] {
        let mixed = format!("{console}/oauth/login?code={wrong}&state={own}&iss={issuer}");
        let page = victim.send("GET", &mixed, &[], None);
        // Whoever brought the code is at fault, and not the provider.
        assert_eq!((page.status, &page.location), (401, &None), "{page:?}");
        assert!(page.html.contains("login_refused"), "{page:?}");
    }
    login.until("login.refused");
    // An answer that says it is another provider's, or does not say whose it is though this one always does.
    for iss in ["&iss=https://evil.example", ""] {
        let mut browser = Browser::default();
        let back = login
            .at_provider(&mut browser, &url, "alice")
            .location
            .unwrap();
        let bare = back.split("&iss=").next().unwrap();
        let page = browser.send("GET", &format!("{bare}{iss}"), &[], None);
        assert_eq!(
            (page.status, &page.location),
            (401, &None),
            "{iss}: {page:?}"
        );
    }
    // The provider's no ends it.
    let page = victim.send("GET", &url, &[], None);
    let own = page.parameter("state").unwrap();
    let denied = format!("{console}/oauth/login?error=access_denied&state={own}&iss={issuer}");
    assert_eq!(victim.send("GET", &denied, &[], None).status, 401);
}

#[test]
fn consent_is_not_framed_forged_or_given_twice() {
    let login = Login::start();
    let (_, challenge) = proof_key();
    let url = login.request(&challenge, &[]);
    let mut browser = Browser::default();
    let page = login.sign_in(&mut browser, &url, "alice");
    let policy = page.header("content-security-policy");
    assert_eq!(
        policy,
        "default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:33418; frame-ancestors 'none'; base-uri 'none'"
    );
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(
        !page.html.contains("<script") && !page.html.contains("style="),
        "{}",
        page.html
    );
    let (action, fields) = page.form();
    let token = &fields.iter().find(|(name, _)| name == "token").unwrap().1;
    let yes = format!("token={token}&answer=allow");
    let console = login.world.node.ready("console");
    let own = [("Origin", console)];
    let refused = |page: crate::harness::browser::Page| {
        assert!(page.location.is_none() && page.status >= 400, "{page:?}");
    };
    // Another site's form, in the user's own browser; a form without what the page was shown with; another browser.
    refused(browser.send(
        "POST",
        &action,
        &[("Origin", "https://evil.example")],
        Some(&yes),
    ));
    refused(browser.send("POST", &action, &[("Origin", "null")], Some(&yes)));
    refused(browser.send(
        "POST",
        &action,
        &[("Sec-Fetch-Site", "cross-site")],
        Some(&yes),
    ));
    refused(browser.send("POST", &action, &own, Some("answer=allow")));
    refused(browser.send("POST", &action, &own, Some("token=x&answer=allow")));
    refused(browser.send(
        "POST",
        &action,
        &own,
        Some(&format!("token={token}&answer=maybe")),
    ));
    refused(Browser::default().send("POST", &action, &own, Some(&yes)));
    refused(Browser::default().send("GET", &action, &[], None));
    assert!(!login.types().contains(&"consent.granted".to_owned()));
    // Once.
    let answered = browser.send("POST", &action, &own, Some(&yes));
    assert!(answered.parameter("code").is_some(), "{answered:?}");
    refused(browser.send("POST", &action, &own, Some(&yes)));
    assert_eq!(
        login
            .types()
            .iter()
            .filter(|kind| *kind == "consent.granted")
            .count(),
        1
    );
    // No is no.
    let mut browser = Browser::default();
    let page = login.sign_in(&mut browser, &url, "carol");
    let page = browser.submit(&page, &[("answer", "deny")], REDIRECT);
    assert_eq!(
        page.parameter("error").as_deref(),
        Some("access_denied"),
        "{page:?}"
    );
    assert_eq!(page.parameter("code"), None, "{page:?}");
    assert!(login.types().contains(&"consent.refused".to_owned()));
}
