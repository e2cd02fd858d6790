//! Every operation of the API by every role: what the document says, what the node does, and the page that people read. A route without
//! a rule, or a rule that changed, fails here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bailiwick_core::account::Role;
use expect_test::expect_file;
use serde_json::Value;

use super::sample;
use crate::node::tests::running::Running;

/// Operations that ask for no role, and why.
const OPEN: [(&str, &str); 26] = [
    ("healthz", "tells nothing about agents"),
    ("metrics", "tells nothing about agents"),
    (
        "log.checkpoint",
        "public by C2SP tlog-tiles; it says how many events there are, and nothing of them",
    ),
    ("oauth.metadata", "public by RFC 8414"),
    ("oauth.openid", "public by OpenID Connect Discovery"),
    ("oauth.jwks", "public keys"),
    ("oauth.receipt_jwks", "public keys"),
    ("svid.openid", "public by OpenID Connect Discovery"),
    ("svid.jwks", "public keys"),
    ("spiffe.bundle", "public by SPIFFE Federation"),
    (
        "oauth.token",
        "the caller proves who it is by its token and its key",
    ),
    (
        "oauth.introspect",
        "the caller proves who it is by its token, and hears of its own chain; an account needs a role that reads",
    ),
    (
        "oauth.revoke",
        "the caller proves who it is by its token, and revokes its own tokens",
    ),
    (
        "feed",
        "the caller is an enforcement point, which has a token of its own",
    ),
    (
        "attest",
        "the evidence in the body is the credential, good for one use",
    ),
    (
        "attest.renew",
        "the caller proves that it holds the key of an SVID that this node gave",
    ),
    (
        "oauth.authorize",
        "a user is asked, and signs in before they are shown anything",
    ),
    (
        "oauth.login",
        "the browser has to be the one that started the login",
    ),
    (
        "oauth.consent",
        "the browser has to be the one that signed in",
    ),
    (
        "oauth.consent.answer",
        "the browser has to be the one that signed in, with the form it was shown",
    ),
    ("oauth.style", "a style sheet"),
    (
        "sessions.open",
        "the code in the body is the credential, good for one use and from the console's page only",
    ),
    (
        "sessions.close",
        "the session itself is the credential, and all that it ends",
    ),
    (
        "tasks.delegate",
        "the caller proves its task by its token and its key",
    ),
    (
        "leases.take",
        "the caller proves its task by its token and its key",
    ),
    (
        "leases.acknowledge",
        "the caller proves its task by its token and its key",
    ),
];

/// One operation as the document has it.
struct Described {
    id: String,
    method: String,
    path: String,
    roles: Option<Vec<String>>,
}

async fn described(running: &Running) -> Vec<Described> {
    let document = running.tcp("GET", "/openapi.json", None).await.body;
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let roles = operation["x-roles"].as_array().map(|roles| {
                roles
                    .iter()
                    .map(|role| role.as_str().unwrap().to_owned())
                    .collect()
            });
            all.push(Described {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                roles,
            });
        }
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

/// The verdict on every operation with each role alone, asked of a running node, is the one that the document and the page give.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_has_a_rule_and_the_node_keeps_it() {
    let running = Running::start().await;
    let mut tokens = BTreeMap::new();
    for role in Role::ALL {
        let token = running.account(role.as_str(), &[role.as_str()]).await;
        tokens.insert(role, token);
    }
    let mut page = String::from(HEAD);
    let mut unruled = Vec::new();
    for operation in described(&running).await {
        let Some(roles) = &operation.roles else {
            if !OPEN.iter().any(|(id, _)| *id == operation.id) {
                unruled.push(operation.id);
            }
            continue;
        };
        let mut row = format!(
            "| `{}` | `{} {}` |",
            operation.id, operation.method, operation.path
        );
        for (role, token) in &tokens {
            let answer = running
                .tcp(&operation.method, &sample(&operation.path), Some(token))
                .await;
            let refused = answer.status == 403 && answer.body["code"] == "not_permitted";
            let may = roles.contains(&role.as_str().to_owned());
            assert_eq!(!refused, may, "{} as {role:?}: {answer:?}", operation.id);
            row.push_str(if may { " yes |" } else { " – |" });
        }
        writeln!(page, "{row}").unwrap();
    }
    assert_eq!(unruled, Vec::<String>::new(), "routes without a rule");
    expect_file!["../../../../../docs/reference/api-roles.md"].assert_eq(&page);
    running.node.shutdown().await;
}

/// Whoever holds several roles may what any of them may, and nothing that none of them may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_add_up_to_no_more_than_their_sum() {
    let running = Running::start().await;
    let token = running
        .account("oriol", &["viewer", "approver", "operator"])
        .await;
    for (method, path, allowed) in [
        ("PUT", "/v1/policy", false),
        ("POST", "/v1/accounts", false),
        ("PUT", "/v1/secrets/x", false),
        ("GET", "/v1/approvals", true),
        ("POST", "/v1/tasks", true),
    ] {
        let answer = running.tcp(method, path, Some(&token)).await;
        let refused: &Value = &answer.body["code"];
        assert_eq!(
            refused != "not_permitted",
            allowed,
            "{method} {path}: {answer:?}"
        );
    }
    running.node.shutdown().await;
}

const HEAD: &str = "# Roles on the API

Who may call which operation. Roles are sets and none contains another: an account may what any of its roles may. The rules are Cedar
policies that are built in (`crates/policy/api/roles.cedar`) and decided by the engine that decides the calls of agents; what no rule
permits is refused. A peer of the admin socket holds every role. Each refusal is on record as `admin.refused`.

Generated from the API's document and checked against a running node, operation by operation and role by role; the document has the same
as `x-roles`.

| operation | request | viewer | approver | operator | admin |
|---|---|---|---|---|---|
";
