//! An agent uses an HTTPS API through the node, with a key that it never sees: a real TLS server with an authority of its own, task tokens
//! for the connector, the command line.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::http::{self, Place, Response};
use crate::harness::world::{demo_policy, publish};
use crate::harness::{Agent, Node, Process, Setup, World, deps};

pub(crate) const KEY: &str = "canary-api-key-77/x+y=z";

const PERMIT: &str = r#"
@id("tester-api")
@reason("The tester asks the API.")
permit (principal == Bailiwick::Agent::"tester", action == Bailiwick::Action::"egress", resource)
when { context.input.connector == "api" || context.input.connector == "strange" };
"#;

/// One request with a token of the connector and a proof for its URL, the nonce learned on the way.
fn ask(agent: &Agent, token: &str, method: &str, path: &str, body: Option<&str>) -> Response {
    let place = agent.resource("x").trim_end_matches("/mcp/x").to_owned();
    let url = format!("{place}{}", path.split('?').next().unwrap());
    let mut nonce: Option<String> = None;
    loop {
        let proof = agent.proof(method, &url, Some(token), nonce.as_deref());
        let authorization = format!("DPoP {token}");
        let headers = [("Authorization", authorization.as_str()), ("DPoP", &proof)];
        let body = body.map(str::as_bytes);
        let response = http::send(&Place::of(&place), method, path, &headers, body).unwrap();
        let wants = response
            .headers("www-authenticate")
            .contains("use_dpop_nonce");
        if nonce.is_none() && wants {
            nonce = response.header("dpop-nonce").map(str::to_owned);
            continue;
        }
        return response;
    }
}

fn open_task(world: &World, connectors: &[&str]) -> String {
    let task = json!({
        "agent": "tester",
        "user": "user:local:anna",
        "request": "ask the API",
        "scope": { "grants": [{
            "server": connectors,
            "tool": ["GET", "POST"],
            "effects": ["read", "write"],
            "args": { "/path": { "paths": ["/v1/*"] } },
        }] },
    });
    let opened = world.node.api("POST", "/v1/tasks", Some(&task));
    opened["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{opened}"))
        .to_owned()
}

/// An HTTPS API that wants a key, with an authority of its own.
pub(crate) struct Api {
    process: Process,
    url: String,
    home: tempfile::TempDir,
}

impl Api {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(deps::python());
        let script = deps::script("https_api.py");
        command.arg(script).arg(home.path().join("ca.pem"));
        let log = home.path().join("api.log");
        let mut process = Process::start("https_api.py", &mut command, &log);
        let told: Value = serde_json::from_str(&process.line()).unwrap();
        let url = told["url"].as_str().unwrap().to_owned();
        Self { process, url, home }
    }

    /// A connector to it, which knows its authority or does not.
    pub(crate) fn connector(&self, name: &str, known: bool) -> String {
        let ca = self.home.path().join("ca.pem");
        let ca = known.then(|| format!("ca_file = \"{}\"", ca.display()));
        format!(
            "[[egress.connectors]]\nname = \"{name}\"\nupstream = \"{}\"\ncredential = \"api-key\"\nallow_loopback = \"yes\"\n\
             slot = \"header authorization: Bearer {{secret}}\"\nallow = \"* /**\"\n{}\n",
            self.url,
            ca.unwrap_or_default()
        )
    }

    /// What came with the next request.
    pub(crate) fn seen(&mut self) -> Value {
        serde_json::from_str(&self.process.line()).unwrap()
    }
}

/// Seals the key that the API wants.
pub(crate) fn seal_key(node: &Node) {
    let put = node.request("PUT", "/v1/secrets/api-key", Some(KEY.as_bytes()));
    assert!(put.status < 300, "the secret is not taken");
}

#[test]
fn an_agent_uses_an_api_without_its_key() {
    let mut api = Api::start();
    let setup = Setup {
        audit: api.connector("api", true) + &api.connector("strange", false),
        ..Setup::default()
    };
    let world = World::with(&setup);
    seal_key(&world.node);
    let mut files = demo_policy();
    files["egress.cedar"] = json!(PERMIT);
    publish(&world.node, &files);

    let agent = &world.agent;
    let task = open_task(&world, &["api", "strange"]);
    let gateway = agent.resource("x").trim_end_matches("/mcp/x").to_owned();
    let token = |task: &str, connector: &str| {
        let resource = format!("{gateway}/p/{connector}");
        agent.token_for(&agent.jwt_svid(agent.issuer()), task, &resource)
    };
    let api_token = token(&task, "api").unwrap();
    let answer = ask(
        agent,
        &api_token,
        "POST",
        "/p/api/v1/orders?x=1",
        Some("two of them"),
    )
    .expect(200);
    let said = answer.text();
    assert!(
        !said.contains(KEY) && said.contains("Bearer [redacted:lease]"),
        "{said}"
    );
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["method"], &said["path"]),
        (&json!("POST"), &json!("/v1/orders?x=1"))
    );
    assert_eq!(said["body"], "two of them");
    assert_eq!(api.seen()["authorization"], format!("Bearer {KEY}"));

    // The token is for this connector, its path for this scope, the server's certificate for its authority.
    let code = |response: Response| {
        let body = response.json();
        body["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{body}"))
            .to_owned()
    };
    assert_eq!(
        code(ask(agent, &api_token, "GET", "/p/strange/v1/x", None)),
        "token_invalid"
    );
    assert_eq!(
        code(ask(agent, &api_token, "GET", "/p/api/v2/x", None)),
        "scope_exceeded"
    );
    let strange = token(&task, "strange").unwrap();
    assert_eq!(
        code(ask(agent, &strange, "GET", "/p/strange/v1/x", None)),
        "egress_upstream_tls"
    );
    assert_eq!(
        token(&task, "other").unwrap_err().1["error"],
        "invalid_target"
    );
    let elsewhere = open_task(&world, &["strange"]);
    assert_eq!(
        token(&elsewhere, "api").unwrap_err().1["error"],
        "invalid_target"
    );

    // People see the lease, and take the key away.
    let leases = world.node.cli(&["lease", "list"]).to_string();
    assert!(leases.contains("api-key"), "{leases}");
    world.node.cli(&[
        "revoke",
        "credential",
        "api-key",
        "--reason",
        "INC-7",
        "--yes",
    ]);
    assert_eq!(
        code(ask(agent, &api_token, "GET", "/p/api/v1/x", None)),
        "revoked"
    );
    // A name is a server's or a connector's.
    let server =
        json!({ "name": "api", "transport": { "kind": "http", "url": "http://127.0.0.1:9/mcp" } });
    let refused = world
        .node
        .request("POST", "/v1/servers", Some(server.to_string().as_bytes()));
    refused.expect(409);
}
