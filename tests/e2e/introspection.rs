//! Who hears what of a token (RFC 7662), that no answer is older than a fence, and that each endpoint takes its own class of token alone.

use serde_json::{Value, json};

use crate::harness::agent::{ASSERTION_TYPE, NAME};
use crate::harness::http::Response;
use crate::harness::world::open_task;
use crate::harness::{Agent, Mcp, World};

const LIST: &[u8] = br#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_files","arguments":{}}}"#;

/// A form to an endpoint of the issuer under which this agent proves itself.
fn ask(agent: &Agent, path: &str, token: &str) -> Response {
    let assertion = agent.jwt_svid(agent.issuer());
    let form = [
        ("token", token),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", &assertion),
    ];
    agent.post_form(path, &form, &[])
}

fn introspect(agent: &Agent, token: &str) -> Value {
    ask(agent, "/oauth/introspect", token).expect(200).json()
}

#[test]
fn introspection_tells_those_whom_it_concerns() {
    let world = World::start();
    let (task, client) = world.session();
    let said = introspect(&world.agent, &client.token);
    assert_eq!(said["active"], true, "{said}");
    assert_eq!(said["token_type"], "DPoP");
    assert_eq!(said["authorization_details"][0]["task_id"], json!(task));
    assert_eq!(said["aud"], json!(world.agent.resource("workspace")));
    assert_eq!(
        said["cnf"]["jkt"],
        json!(world.agent.key.thumbprint().as_str())
    );

    // Another agent hears nothing of it, nor of what is no token.
    let other = Agent::elsewhere(&world.node, "other");
    let nothing = json!({ "active": false });
    assert_eq!(introspect(&other, &client.token), nothing);
    let jwt = world.agent.jwt_svid(world.agent.issuer());
    let cut = &client.token[..client.token.len() - 2];
    for unfit in ["abc", jwt.as_str(), cut] {
        assert_eq!(introspect(&world.agent, unfit), nothing, "{unfit}");
    }
    // Whoever does not say who they are hears less than that.
    let bare = world
        .agent
        .post_form("/oauth/introspect", &[("token", &client.token)], &[]);
    assert_eq!(bare.expect(400).json()["error"], "invalid_request");
    let bearer = format!("Bearer {}", client.token);
    let agent = [("Authorization", bearer.as_str())];
    let form = [("token", client.token.as_str())];
    let refused = world.agent.post_form("/oauth/introspect", &form, &agent);
    assert_eq!(refused.expect(401).json()["error"], "invalid_client");

    // An account that may read hears all of it; the answer is never kept.
    let account = json!({ "name": "vera", "roles": ["viewer"] });
    world.node.api("POST", "/v1/accounts", Some(&account));
    let minted = world.node.api("POST", "/v1/accounts/vera/token", None);
    let bearer = format!("Bearer {}", minted["token"].as_str().unwrap());
    let viewer = [("Authorization", bearer.as_str())];
    let answer = world
        .agent
        .post_form("/oauth/introspect", &form, &viewer)
        .expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["active"], true);

    // It is another's to use and not to take back.
    let refused = ask(&other, "/oauth/revoke", &client.token)
        .expect(400)
        .json();
    assert_eq!(refused["error"], "unauthorized_client", "{refused}");
    client.ok("list_files", "{}");
    for none in ["abc", jwt.as_str()] {
        assert_eq!(ask(&world.agent, "/oauth/revoke", none).status, 200);
    }
}

/// After a revocation was answered no introspection says yes any more, whatever was fenced.
#[test]
fn introspection_never_stale() {
    let world = World::start();
    let agent = &world.agent;
    for round in 0..12 {
        let task = open_task(&world.node, NAME, "workspace", "look around");
        let token = agent.token(&task, "workspace").unwrap();
        assert_eq!(introspect(agent, &token)["active"], true);
        let claims = crate::bad_tokens::payload(&token);
        let subject = match round % 4 {
            0 => {
                ask(agent, "/oauth/revoke", &token).expect(200);
                assert_eq!(
                    introspect(agent, &token),
                    json!({ "active": false }),
                    "{round}"
                );
                // The task goes on.
                agent.token(&task, "workspace").unwrap();
                continue;
            }
            1 => format!("token/{}", claims["jti"].as_str().unwrap()),
            2 => format!("task/{task}"),
            _ => {
                world
                    .node
                    .api("POST", &format!("/v1/tasks/{task}/cancel"), None);
                assert_eq!(
                    introspect(agent, &token),
                    json!({ "active": false }),
                    "{round}"
                );
                continue;
            }
        };
        let order = json!({ "subjects": [subject], "reason": "INC-4" });
        world.node.api("POST", "/v1/revocations", Some(&order));
        assert_eq!(
            introspect(agent, &token),
            json!({ "active": false }),
            "{subject}"
        );
    }
    let order = json!({ "subjects": ["server/workspace"], "reason": "INC-5" });
    let task = world.task();
    let token = agent.token(&task, "workspace").unwrap();
    let report = world.node.api("POST", "/v1/revocations", Some(&order));
    assert_eq!(introspect(agent, &token), json!({ "active": false }));
    // Lifted, the old token stays dead, and so it does in exchange; a new one lives at once.
    let fence = report["fences"][0]["id"].as_str().unwrap();
    let reason = json!({ "reason": "it was a drill" });
    let lift = format!("/v1/fences/{fence}/lift");
    world.node.api("POST", &lift, Some(&reason));
    assert_eq!(introspect(agent, &token), json!({ "active": false }));
    let exchange = [
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
        ("subject_token", token.as_str()),
    ];
    let (_, refused) = agent.client_asks(&exchange).unwrap_err();
    assert_eq!(refused["code"], "revoked", "{refused}");
    let fresh = agent.token(&task, "workspace").unwrap();
    assert_eq!(introspect(agent, &fresh)["active"], true);
}

/// Every place that takes a credential, by name, and whether it took this one.
fn places(
    client: &Mcp<'_>,
    task: &str,
    class: &str,
    credential: &str,
) -> Vec<(&'static str, bool)> {
    const EXCHANGE: (&str, &str) = (
        "grant_type",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    );
    const SUBJECT: (&str, &str) = (
        "subject_token_type",
        "urn:ietf:params:oauth:token-type:access_token",
    );
    let (agent, token) = (client.agent, client.token.as_str());
    let url = agent.resource("workspace");
    let details = json!([{ "type": "agent_task", "task_id": task }]).to_string();
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", credential),
        ("authorization_details", &details),
        ("resource", &url),
    ];
    let subject = [EXCHANGE, SUBJECT, ("subject_token", credential)];
    let actor = [
        EXCHANGE,
        SUBJECT,
        ("subject_token", token),
        ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("actor_token", credential),
    ];
    let (bearer, bound) = (format!("Bearer {credential}"), format!("DPoP {credential}"));
    let own = format!("DPoP {token}");
    let nonce = client.nonce();
    let proof = |token: &str| agent.proof("POST", &url, Some(token), nonce.as_deref());
    let shown = if class == "proof" {
        proof(token)
    } else {
        credential.to_owned()
    };
    let passes = |response: Response| response.status == 200;
    let looked = [("Authorization", bearer.as_str())];
    let looked = agent.post_form("/oauth/introspect", &[("token", token)], &looked);
    vec![
        ("client assertion", agent.ask_token(&form).is_ok()),
        ("subject token", agent.client_asks(&subject).is_ok()),
        ("actor token", agent.client_asks(&actor).is_ok()),
        (
            "introspected",
            introspect(agent, credential)["active"] == true,
        ),
        ("introspecting bearer", passes(looked)),
        (
            "gateway token",
            passes(client.post_with(LIST, &bound, &proof(credential))),
        ),
        (
            "gateway bearer",
            passes(client.post_with(LIST, &bearer, &proof(credential))),
        ),
        (
            "gateway proof",
            passes(client.post_with(LIST, &own, &shown)),
        ),
        ("API bearer", passes(api(agent, &bearer))),
        ("API by DPoP", passes(api(agent, &bound))),
    ]
}

/// Every class at every endpoint: only the diagonal passes.
#[test]
fn trap_02_token_class_matrix() {
    let world = World::start();
    let (task, client) = world.session();
    let agent = &world.agent;
    let account = json!({ "name": "vera", "roles": ["viewer"] });
    world.node.api("POST", "/v1/accounts", Some(&account));
    let minted = world.node.api("POST", "/v1/accounts/vera/token", None);
    let endpoint = format!("{}/oauth/token", agent.issuer());
    let classes = [
        ("SVID", agent.jwt_svid("https://service.example")),
        ("assertion", agent.jwt_svid(agent.issuer())),
        ("task token", client.token.clone()),
        ("proof", agent.proof("POST", &endpoint, None, None)),
        ("account", minted["token"].as_str().unwrap().to_owned()),
    ];
    let mut passed = Vec::new();
    for (class, credential) in &classes {
        let taken = places(&client, &task, class, credential);
        let taken = taken.into_iter().filter(|(_, passes)| *passes);
        passed.extend(taken.map(|(place, _)| format!("{class} as {place}")));
    }
    let diagonal = [
        "account as API bearer",
        "account as introspecting bearer",
        "assertion as actor token",
        "assertion as client assertion",
        "proof as gateway proof",
        "task token as gateway token",
        "task token as introspected",
        "task token as subject token",
    ];
    passed.sort();
    assert_eq!(passed, diagonal);
}

fn api(agent: &Agent, authorization: &str) -> Response {
    let place = crate::harness::http::Place::of(agent.issuer());
    let headers = [("Authorization", authorization)];
    crate::harness::http::send(&place, "GET", "/v1/tasks", &headers, None).unwrap()
}

/// A proof at the token endpoint is for that endpoint, once, under this node's nonce, and there is one.
#[test]
fn trap_08_dpop_replay() {
    let world = World::start();
    let agent = &world.agent;
    let task = world.task();
    let url = format!("{}/oauth/token", agent.issuer());
    let assertion = agent.jwt_svid(agent.issuer());
    let details = json!([{ "type": "agent_task", "task_id": task }]).to_string();
    let resource = agent.resource("workspace");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
        ("authorization_details", &details),
        ("resource", &resource),
    ];
    let send = |proofs: &[&str]| {
        let headers: Vec<(&str, &str)> = proofs.iter().map(|proof| ("DPoP", *proof)).collect();
        agent.post_form("/oauth/token", &form, &headers)
    };
    let first = send(&[&agent.proof("POST", &url, None, None)]).expect(400);
    let nonce = first.header("dpop-nonce").unwrap().to_owned();
    assert_eq!(first.json()["error"], "use_dpop_nonce");
    let fresh = |method: &str, url: &str| agent.proof(method, url, None, Some(&nonce));
    let refused = |case: &str, proofs: &[&str]| {
        let answer = send(proofs).expect(400);
        assert!(answer.header("dpop-nonce").is_some(), "{case}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{case}");
        let body = answer.json();
        assert_eq!(
            (&body["error"], &body["code"]),
            (&json!("invalid_dpop_proof"), &json!("dpop_proof")),
            "{case}: {body}"
        );
    };
    let good = fresh("POST", &url);
    let issued = send(&[&good]).expect(200);
    assert_eq!(issued.header("cache-control"), Some("no-store"));
    let token = issued.json()["access_token"].as_str().unwrap().to_owned();
    refused("again", &[&good]);
    refused("none", &[]);
    refused("two", &[&fresh("POST", &url), &fresh("POST", &url)]);
    refused("another method", &[&fresh("GET", &url)]);
    refused(
        "another URL",
        &[&fresh("POST", &agent.resource("workspace"))],
    );
    refused("with a query", &[&fresh("POST", &format!("{url}?a=b"))]);
    refused("not one", &["e30.e30.e30"]);
    let other = Agent::of(&world.node).proof("POST", &url, None, Some("bm9uY2U"));
    let stale = send(&[&other]).expect(400).json();
    assert_eq!(stale["error"], "use_dpop_nonce", "{stale}");

    // What was bound is no bearer token, and a proof of the token endpoint opens nothing at the gateway.
    let client = Mcp::new(agent, "workspace", token.clone());
    let bearer = client.post_with(LIST, &format!("Bearer {token}"), &fresh("POST", &url));
    assert_eq!(bearer.expect(401).json()["code"], "token_unbound");
    let lent = client.post_with(LIST, &format!("DPoP {token}"), &fresh("POST", &url));
    assert_eq!(lent.expect(401).json()["code"], "dpop_proof");
}
