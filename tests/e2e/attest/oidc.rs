//! Jobs and pods that show tokens of OIDC issuers. The issuers are servers of the test that publish what GitHub and Kubernetes do.

use std::path::Path;
use std::process::Command;

use bailiwick_core::Clock as _;
use bailiwick_crypto::system::SystemClock;
use serde_json::{Value, json};

use super::{REQUEST, attest, machine};
use crate::harness::{Node, Process, Setup, deps};

/// Issuers as GitHub and Kubernetes publish them, and one that says the same as GitHub.
pub(super) struct Issuers {
    process: Process,
    url: String,
}

impl Issuers {
    pub(super) fn start(home: &Path) -> Self {
        let mut command = Command::new(deps::python());
        command.arg(deps::script("issuer.py"));
        let mut process = Process::start("issuer.py", &mut command, &home.join("issuer.log"));
        let told: Value = serde_json::from_str(&process.line()).unwrap();
        let url = told["url"].as_str().unwrap().to_owned();
        Self { process, url }
    }

    /// One of them.
    pub(super) fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    /// The tables of a configuration that names them.
    fn configuration(&self) -> String {
        let url = &self.url;
        format!(
            r#"
[[identity.issuers]]
name = "github"
preset = "github"
url = "{url}/github"
audience = "bailiwick"
[[identity.issuers]]
name = "cluster"
preset = "kubernetes"
url = "{url}/k8s"
audience = "bailiwick"
[[identity.issuers]]
name = "twin"
url = "{url}/twin"
audience = "bailiwick"
"#
        )
    }

    fn ask(&mut self, told: &Value) -> Value {
        self.process.say(&told.to_string());
        serde_json::from_str(&self.process.line()).unwrap()
    }

    pub(super) fn sign(&mut self, told: &Value) -> String {
        let answer = self.ask(told);
        answer["token"].as_str().unwrap().to_owned()
    }

    /// What a job of GitHub Actions gets, with these claims otherwise.
    pub(super) fn github(&self, job: &str, other: &Value) -> Value {
        let claims = json!({
            "jti": job,
            "sub": "repo:octo-org/app:environment:prod",
            "aud": "bailiwick",
            "ref": "refs/heads/main",
            "sha": "c040cae0f0dc81641728557b80f09cfa23b83fe5",
            "repository": "octo-org/app",
            "repository_owner": "octo-org",
            "repository_owner_id": "65",
            "repository_id": "74",
            "repository_visibility": "private",
            "environment": "prod",
            "run_id": "22259804324",
            "run_number": "10",
            "run_attempt": "1",
            "runner_environment": "github-hosted",
            "actor": "octocat",
            "actor_id": "12",
            "workflow": "release",
            "head_ref": "",
            "base_ref": "",
            "event_name": "push",
            "ref_type": "branch",
            "ref_protected": "true",
            "job_workflow_ref": "octo-org/app/.github/workflows/release.yml@refs/heads/main",
            "iss": format!("{}/github", self.url),
        });
        timed(claims, 300, other)
    }

    /// What is projected into a pod.
    fn pod(&self, job: &str, other: &Value) -> Value {
        let claims = json!({
            "aud": ["bailiwick"],
            "iss": format!("{}/k8s", self.url),
            "jti": job,
            "kubernetes.io": {
                "namespace": "build",
                "node": { "name": "node-a", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1" },
                "pod": { "name": "builder-7", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3" },
                "serviceaccount": { "name": "builder", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798" },
                "warnafter": 1_800_000_000,
            },
            "sub": "system:serviceaccount:build:builder",
        });
        timed(claims, 3_607, other)
    }
}

/// Claims of now, with others put over them.
fn timed(mut claims: Value, life: i64, other: &Value) -> Value {
    let now = SystemClock.wall().as_secs();
    let members = claims.as_object_mut().unwrap();
    members.extend([
        ("iat".to_owned(), json!(now)),
        ("nbf".to_owned(), json!(now - 5)),
        ("exp".to_owned(), json!(now + life)),
    ]);
    for (name, value) in other.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// A node that knows these issuers, and the agents of both.
pub(super) fn with_issuers() -> (Node, Issuers) {
    let home = tempfile::tempdir().unwrap();
    let issuers = Issuers::start(home.path());
    let setup = Setup {
        audit: issuers.configuration(),
        ..Setup::default()
    };
    let node = Node::at(home, &setup);
    for (name, issuer, claims) in [
        (
            "release",
            "github",
            ["oidc:/repository_id=74", "oidc:/environment=prod"],
        ),
        (
            "stable",
            "github",
            ["oidc:/repository_id=74", "oidc:/ref=refs/heads/stable"],
        ),
        (
            "careless",
            "github",
            ["oidc:/repository=octo-org/app", "oidc:/actor=mallory"],
        ),
        (
            "builder",
            "k8s",
            [
                "oidc:/kubernetes.io/namespace=build",
                "oidc:/kubernetes.io/serviceaccount/name=builder",
            ],
        ),
    ] {
        let issuer = format!("oidc:iss={}/{issuer}", issuers.url);
        let agent = json!({
            "name": name,
            "owner": "team-e2e",
            "selectors": [issuer, claims[0], claims[1]],
            "ceiling": { "grants": [{ "server": ["*"], "tool": ["*"], "effects": ["read"] }] },
        });
        node.api("POST", "/v1/agents", Some(&agent));
    }
    (node, issuers)
}

pub(super) fn shown(issuer: &str, token: &str) -> Value {
    json!({ "kind": "oidc", "evidence": { "issuer": issuer, "token": token }, "csr": REQUEST })
}

#[test]
fn a_job_of_github_and_a_pod_of_kubernetes_are_who_they_are() {
    let (mut node, mut issuers) = with_issuers();
    let job = issuers.sign(&json!({ "claims": issuers.github("job-1", &json!({})) }));
    let (status, joined) = machine(&node, "oidc", &json!({ "issuer": "github", "token": job }));
    assert_eq!(status, 201, "{joined}");
    assert!(
        joined["spiffe_id"]
            .as_str()
            .unwrap()
            .contains("/agent/release/"),
        "{joined}"
    );
    assert!(joined["jwt_svid"].is_string());
    let pod = issuers.sign(&json!({ "claims": issuers.pod("pod-1", &json!({})) }));
    let (status, joined) = machine(&node, "oidc", &json!({ "issuer": "cluster", "token": pod }));
    assert_eq!(status, 201, "{joined}");
    assert!(
        joined["spiffe_id"]
            .as_str()
            .unwrap()
            .contains("/agent/builder/"),
        "{joined}"
    );

    // A token counts once, whatever signature stands below it, and after a restart too.
    let replayed = (401, "token_invalid".to_owned());
    let console = node.ready("console").to_owned();
    assert_eq!(attest(&console, &shown("github", &job)), replayed);
    node.kill_nine();
    node.start_again();
    let console = node.ready("console").to_owned();
    assert_eq!(attest(&console, &shown("github", &job)), replayed);
    assert_eq!(attest(&console, &shown("cluster", &pod)), replayed);
    let fresh = issuers.sign(&json!({ "claims": issuers.github("job-2", &json!({})) }));
    assert_eq!(attest(&console, &shown("github", &fresh)).0, 201);
    let events = json!(node.events()).to_string();
    assert!(!events.contains(&job) && events.contains("oidc"));
}

#[test]
fn github_pull_request_token() {
    let (node, mut issuers) = with_issuers();
    let console = node.ready("console").to_owned();
    // The job of a pull request, from whoever opened it: no environment, its own ref.
    let request = json!({
        "sub": "repo:octo-org/app:pull_request",
        "environment": null,
        "ref": "refs/pull/7/merge",
        "event_name": "pull_request",
        "actor": "mallory",
    });
    let token = issuers.sign(&json!({ "claims": issuers.github("pr", &request) }));
    // Nor does the agent whose registration names no repository by its number get it, though all its selectors are there.
    let refused = (403, "no_identity".to_owned());
    assert_eq!(attest(&console, &shown("github", &token)), refused);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of attacks")]
fn tokens_that_prove_nothing_give_nothing() {
    let (node, mut issuers) = with_issuers();
    let console = node.ready("console").to_owned();
    let now = SystemClock.wall().as_secs();
    let twin = format!("{}/twin", issuers.url);
    for (case, issuer, other, how, code) in [
        (
            "another audience",
            "github",
            json!({ "aud": "https://github.com/octo-org" }),
            json!({}),
            "token_invalid",
        ),
        (
            "two audiences",
            "github",
            json!({ "aud": ["bailiwick", "vault"] }),
            json!({}),
            "token_invalid",
        ),
        (
            "expired",
            "github",
            json!({ "exp": now - 1 }),
            json!({}),
            "token_expired",
        ),
        (
            "for ever",
            "github",
            json!({ "exp": now + 90_000 }),
            json!({}),
            "token_invalid",
        ),
        (
            "from the future",
            "github",
            json!({ "iat": now + 60 }),
            json!({}),
            "token_invalid",
        ),
        (
            "not yet",
            "github",
            json!({ "nbf": now + 60 }),
            json!({}),
            "token_invalid",
        ),
        (
            "another issuer's, as GitHub's",
            "github",
            json!({ "iss": twin }),
            json!({}),
            "token_invalid",
        ),
        (
            "another issuer's, as its own",
            "twin",
            json!({ "iss": twin }),
            json!({}),
            "no_identity",
        ),
        (
            "GitHub's, as the twin's",
            "twin",
            json!({}),
            json!({}),
            "token_invalid",
        ),
        (
            "unsigned",
            "github",
            json!({}),
            json!({ "alg": "none" }),
            "token_invalid",
        ),
        (
            "HS256 by the public key",
            "github",
            json!({}),
            json!({ "alg": "HS256" }),
            "token_invalid",
        ),
        (
            "another algorithm",
            "github",
            json!({}),
            json!({ "header": { "alg": "PS256" } }),
            "token_invalid",
        ),
        (
            "an unknown key",
            "github",
            json!({}),
            json!({ "key": "stranger" }),
            "token_invalid",
        ),
        (
            "a stranger under a known id",
            "github",
            json!({}),
            json!({ "key": "stranger", "header": { "kid": "one" } }),
            "token_invalid",
        ),
        (
            "keys brought along",
            "github",
            json!({}),
            json!({ "header": { "jku": "http://127.0.0.1:1/" } }),
            "token_invalid",
        ),
        (
            "of no class that is evidence",
            "github",
            json!({}),
            json!({ "header": { "typ": "dpop+jwt" } }),
            "token_class",
        ),
        (
            "without a repository's number",
            "github",
            json!({ "repository_id": null }),
            json!({}),
            "token_invalid",
        ),
        (
            "another repository",
            "github",
            json!({ "repository_id": "75" }),
            json!({}),
            "no_identity",
        ),
    ] {
        let mut told = how.clone();
        told["claims"] = issuers.github(case, &other);
        let token = issuers.sign(&told);
        assert_eq!(attest(&console, &shown(issuer, &token)).1, code, "{case}");
    }
    let no_pod = json!({ "kubernetes.io": {
        "namespace": "build", "serviceaccount": { "name": "builder", "uid": "1" } } });
    let elsewhere = json!({ "kubernetes.io": {
        "namespace": "other", "pod": { "name": "a", "uid": "1" }, "serviceaccount": { "name": "builder", "uid": "1" } } });
    for (case, other, code) in [
        ("no pod", no_pod, "token_invalid"),
        ("another namespace", elsewhere, "no_identity"),
    ] {
        let token = issuers.sign(&json!({ "claims": issuers.pod(case, &other) }));
        assert_eq!(
            attest(&console, &shown("cluster", &token)).1,
            code,
            "{case}"
        );
    }
    // Whatever keys those named, the issuer was asked once, and for nothing of it.
    let path = json!({ "fetched": "/github/.well-known/jwks" });
    assert_eq!(issuers.ask(&path)["count"], 1);
    assert_eq!(node.items("/v1/agents").len(), 4);
    let attested = |event: &Value| event["type"] == "instance.attested";
    assert!(!node.events().iter().any(attested));
}
