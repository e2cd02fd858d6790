//! Root tasks for people of outside issuers, by token exchange (RFC 8693): for agents that the operator named, and for nobody else. The
//! issuer is a server of the test that publishes what those publish.

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::{Value, json};

use super::attest;
use super::oidc::{Issuers, shown};
use crate::bad_tokens::payload;
use crate::harness::agent::NAME;
use crate::harness::{Agent, Mcp, Setup, World};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// A node that believes an issuer of people, and lets one agent act for them.
struct Corp {
    world: World,
    issuers: Issuers,
}

impl Corp {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let issuers = Issuers::start(home.path());
        let url = issuers.url("twin");
        let people = format!(
            "\n[[identity.issuers]]\nname = \"corp\"\nuse = \"user\"\nagents = \"{NAME}\"\nurl = \"{url}\"\naudience = \"app\"\n"
        );
        let setup = Setup {
            audit: people,
            ..Setup::default()
        };
        Self {
            world: World::at(home, &setup),
            issuers,
        }
    }

    /// A token of a person, with these claims otherwise, signed as `how` says.
    fn token(&mut self, other: &Value, how: &Value) -> String {
        let now = SystemClock.wall().as_secs();
        let mut claims = json!({
            "iss": self.issuers.url("twin"), "sub": "alice", "aud": "app", "iat": now, "exp": now + 120,
        });
        let members = claims.as_object_mut().unwrap();
        members.extend(other.as_object().unwrap().clone());
        let mut told = json!({ "claims": claims });
        let members = told.as_object_mut().unwrap();
        members.extend(how.as_object().unwrap().clone());
        self.issuers.sign(&told)
    }
}

/// What an agent is given for the token of a person; `more` replaces members of the form, or takes them away where it is empty.
fn exchange(agent: &Agent, token: &str, more: &[(&str, &str)]) -> Result<Value, (u16, Value)> {
    let resource = agent.resource("workspace");
    let mut form = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", ID_TOKEN),
        ("resource", resource.as_str()),
    ];
    form.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    form.extend(more.iter().filter(|(_, value)| !value.is_empty()));
    agent.client_asks(&form)
}

fn task_of(answer: &Value) -> &str {
    let details = &answer["authorization_details"][0];
    details["task_id"].as_str().unwrap()
}

#[test]
fn an_agent_that_is_named_opens_a_task_for_a_person_of_an_outside_issuer() {
    let mut corp = Corp::start();
    let token = corp.token(&json!({}), &json!({}));
    let (agent, node) = (&corp.world.agent, &corp.world.node);
    let words = [("scope", "workspace:read")];
    let answer = exchange(agent, &token, &words).unwrap();
    assert_eq!(
        answer["issued_token_type"],
        "urn:ietf:params:oauth:token-type:access_token"
    );
    assert_eq!(answer["scope"], "workspace:read", "{answer}");
    let access = answer["access_token"].as_str().unwrap().to_owned();
    let claims = payload(&access);
    assert_eq!(claims["sub"], "user:corp:alice");
    let person = payload(&token);
    assert!(
        claims["exp"].as_i64() <= person["exp"].as_i64(),
        "{claims} of {person}"
    );
    let path = format!("/v1/tasks/{}", task_of(&answer));
    let task = node.api("GET", &path, None);
    assert_eq!(task["user"], "user:corp:alice", "{task}");
    let session = Mcp::with_token(agent, "workspace", access);
    assert!(!session.tools().is_empty());
    // The same again is the same task; in other words it is another one.
    let again = exchange(agent, &token, &words).unwrap();
    assert_eq!(task_of(&again), task_of(&answer));
    let other = exchange(agent, &token, &[]).unwrap();
    assert_ne!(task_of(&other), task_of(&answer));
    // Whoever revokes the person revokes it, and nothing more is opened.
    node.cli(&[
        "revoke",
        "user",
        "user:corp:alice",
        "--reason",
        "left",
        "--yes",
    ]);
    let after = session.post(br#"{"jsonrpc":"2.0","id":9,"method":"tools/list"}"#);
    after.expect(401);
    let (_, refused) = exchange(agent, &token, &words).expect_err("revoked");
    assert_eq!(
        (refused["error"].as_str(), refused["code"].as_str()),
        (Some("invalid_request"), Some("revoked")),
        "{refused}"
    );
    let events = json!(node.events()).to_string();
    assert!(!events.contains(&token));
}

/// Tokens that open nothing: what is wrong, the claims, how it is signed, and the code that says so.
fn worthless(elsewhere: &str) -> [(&'static str, Value, Value, &'static str); 9] {
    let now = SystemClock.wall().as_secs();
    [
        (
            "another audience",
            json!({ "aud": "other" }),
            json!({}),
            "token_invalid",
        ),
        (
            "two audiences",
            json!({ "aud": ["app", "other"] }),
            json!({}),
            "token_invalid",
        ),
        (
            "over",
            json!({ "exp": now - 1 }),
            json!({}),
            "token_expired",
        ),
        (
            "from the future",
            json!({ "iat": now + 60 }),
            json!({}),
            "token_invalid",
        ),
        (
            "another issuer",
            json!({ "iss": elsewhere }),
            json!({}),
            "token_invalid",
        ),
        ("nobody", json!({ "sub": "" }), json!({}), "token_invalid"),
        (
            "a name with blanks",
            json!({ "sub": "alice smith" }),
            json!({}),
            "token_invalid",
        ),
        (
            "another key",
            json!({}),
            json!({ "key": "two", "header": { "kid": "one" } }),
            "token_invalid",
        ),
        (
            "unsigned",
            json!({}),
            json!({ "alg": "none" }),
            "invalid_input",
        ),
    ]
}

#[test]
fn a_persons_token_is_worth_nothing_elsewhere_and_to_nobody_else() {
    let mut corp = Corp::start();
    let good = corp.token(&json!({}), &json!({}));
    for (what, other, how, code) in worthless(&corp.issuers.url("github")) {
        let token = corp.token(&other, &how);
        let answer = exchange(&corp.world.agent, &token, &[]);
        let (status, refused) = answer.expect_err(what);
        assert_eq!(
            (status, refused["error"].as_str(), refused["code"].as_str()),
            (400, Some("invalid_request"), Some(code)),
            "{what}: {refused}"
        );
    }
    let (agent, node) = (&corp.world.agent, &corp.world.node);
    let nowhere = agent.resource("nowhere");
    let known = json!([{ "type": "agent_task", "task_id": corp.world.task() }]).to_string();
    for (what, error, more) in [
        ("no resource", "invalid_request", ("resource", "")),
        (
            "a resource elsewhere",
            "invalid_target",
            ("resource", nowhere.as_str()),
        ),
        (
            "two resources",
            "invalid_target",
            ("audience", nowhere.as_str()),
        ),
        (
            "a task there is",
            "invalid_authorization_details",
            ("authorization_details", known.as_str()),
        ),
        (
            "another type",
            "invalid_request",
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:saml2",
            ),
        ),
    ] {
        let (_, refused) = exchange(agent, &good, &[more]).expect_err(what);
        assert_eq!(refused["error"], error, "{what}: {refused}");
    }
    // Not for an agent that is not named, not as evidence of a workload, not at the gateway.
    let stranger = Agent::elsewhere(node, "stranger");
    let (_, refused) = exchange(&stranger, &good, &[]).expect_err("stranger");
    assert_eq!(refused["code"], "not_permitted", "{refused}");
    let evidence = attest(node.ready("console"), &shown("corp", &good));
    assert_eq!(evidence, (400, "invalid_input".to_owned()));
    let session = Mcp::new(agent, "workspace", good);
    session
        .post(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
        .expect(401);
    // And none of that opened a task.
    let tasks = node.items("/v1/tasks");
    assert!(
        tasks.iter().all(|task| task["user"] != "user:corp:alice"),
        "{tasks:?}"
    );
}
