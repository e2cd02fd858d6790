//! The test process as an agent: attested by its path, with an SVID from the Workload API and task tokens bound to a key of its own. Other
//! processes can stand for other agents: their SVIDs, the test's requests.

use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use bailiwick_crypto::dpop::{self, Request};
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use serde_json::{Value, json};

use super::http::{self, Place, Response};
use super::{Node, Process, deps};

/// How a client says that it proves itself with a JWT-SVID.
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
/// The name under which the test process is registered.
pub(crate) const NAME: &str = "tester";

/// An agent on a node.
pub(crate) struct Agent {
    /// The key that its proofs are made with.
    pub(crate) key: SigningKey,
    issuer: String,
    gateway: String,
    socket: String,
    /// The process that it is, if it is another than the test.
    process: Option<Mutex<Process>>,
}

impl Agent {
    /// Registers the test process, with a ceiling that is no bound.
    pub(crate) fn register(node: &Node) -> Self {
        let path = std::env::current_exe().unwrap().canonicalize().unwrap();
        register(node, NAME, &format!("unix:path={}", path.display()));
        Self::of(node)
    }

    /// The test process, which is registered already or not at all.
    pub(crate) fn of(node: &Node) -> Self {
        Self {
            key: SigningKey::generate().unwrap(),
            issuer: node.ready("console").to_owned(),
            gateway: node.ready("gateway").to_owned(),
            socket: node.ready("workload_socket").to_owned(),
            process: None,
        }
    }

    /// Another agent: a process of its own that lives as long as this value.
    pub(crate) fn elsewhere(node: &Node, name: &str) -> Self {
        let python = deps::python_copy(node.home(), name);
        register(node, name, &format!("unix:path={}", python.display()));
        Self::another(node, &python)
    }

    /// One more process of an agent that is registered by the path of its program.
    pub(crate) fn another(node: &Node, python: &Path) -> Self {
        let mut command = Command::new(python);
        command
            .arg(deps::script("svid.py"))
            .arg(node.ready("workload_socket"));
        let log = python.with_extension("log");
        let process = Process::start("svid.py", &mut command, &log);
        Self {
            process: Some(Mutex::new(process)),
            ..Self::of(node)
        }
    }

    /// The Workload API's endpoint.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.socket)
    }

    /// A JWT-SVID for an audience.
    pub(crate) fn jwt_svid(&self, audience: &str) -> String {
        if let Some(process) = &self.process {
            let mut process = process.lock().unwrap();
            process.say(audience);
            return process.line();
        }
        let fetched = runtime().block_on(async {
            let client = spiffe::WorkloadApiClient::connect_to(self.endpoint()).await?;
            client.fetch_jwt_svid([audience], None).await
        });
        fetched.expect("no JWT-SVID").token().to_owned()
    }

    /// A token for a task and a server, or the refusal.
    pub(crate) fn token(&self, task: &str, server: &str) -> Result<String, (u16, Value)> {
        let resource = format!("{}/mcp/{server}", self.gateway);
        self.token_for(&self.jwt_svid(&self.issuer), task, &resource)
    }

    /// A token by this assertion, or the refusal.
    pub(crate) fn token_for(
        &self,
        assertion: &str,
        task: &str,
        resource: &str,
    ) -> Result<String, (u16, Value)> {
        let details = json!([{ "type": "agent_task", "task_id": task }]).to_string();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion),
            ("authorization_details", &details),
            ("resource", resource),
        ];
        self.ask_token(&form).map(|answer| {
            let token = answer["access_token"].as_str();
            token.unwrap_or_else(|| panic!("{answer}")).to_owned()
        })
    }

    /// What the token endpoint answers to a form under which this client proves itself; the nonce is learned on the way.
    pub(crate) fn client_asks(&self, form: &[(&str, &str)]) -> Result<Value, (u16, Value)> {
        let assertion = self.jwt_svid(&self.issuer);
        let client = [
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.as_str()),
        ];
        self.ask_token(&[form, &client].concat())
    }

    /// What the token endpoint answers to a form.
    pub(crate) fn ask_token(&self, form: &[(&str, &str)]) -> Result<Value, (u16, Value)> {
        let url = format!("{}/oauth/token", self.issuer);
        let mut nonce = None;
        loop {
            let proof = self.proof("POST", &url, None, nonce.as_deref());
            let response = self.post_form("/oauth/token", form, &[("DPoP", &proof)]);
            let (status, given) = (
                response.status,
                response.header("dpop-nonce").map(str::to_owned),
            );
            let answer = response.json();
            if nonce.is_none() && answer["error"] == "use_dpop_nonce" {
                nonce = given;
                assert!(nonce.is_some(), "{answer}");
                continue;
            }
            return if status == 200 {
                Ok(answer)
            } else {
                Err((status, answer))
            };
        }
    }

    /// A form to an endpoint of the issuer, with these headers beside the usual ones.
    pub(crate) fn post_form(
        &self,
        path: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Response {
        let body: Vec<String> = form
            .iter()
            .map(|(name, value)| format!("{name}={}", escape(value)))
            .collect();
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [&[kind], headers].concat();
        let body = body.join("&");
        let place = Place::of(&self.issuer);
        http::send(&place, "POST", path, &headers, Some(body.as_bytes())).unwrap()
    }

    /// The issuer's URL.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A DPoP proof.
    pub(crate) fn proof(
        &self,
        method: &str,
        url: &str,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> String {
        let request = Request {
            method,
            url,
            access_token: token,
        };
        dpop::prove(&self.key, &request, nonce, &SystemClock, &SystemRng).unwrap()
    }

    /// One request to a server's endpoint with these headers and no others but the framing.
    pub(crate) fn send(
        &self,
        server: &str,
        method: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Response {
        self.try_send(server, method, headers, body)
            .expect("the gateway does not answer")
    }

    /// As [`Self::send`], for a node that may be gone.
    pub(crate) fn try_send(
        &self,
        server: &str,
        method: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> io::Result<Response> {
        http::send(
            &Place::of(&self.gateway),
            method,
            &format!("/mcp/{server}"),
            headers,
            body,
        )
    }

    /// URL of a server's endpoint.
    pub(crate) fn resource(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.gateway)
    }
}

/// Registers an agent whose tasks may do anything on any server.
pub(crate) fn register(node: &Node, name: &str, selector: &str) {
    let agent = json!({
        "name": name,
        "owner": "team-e2e",
        "selectors": [selector],
        "ceiling": { "grants": [{ "server": ["*"], "tool": ["*"], "effects": ["read", "write", "escalate"] }] },
        "launch_uids": [rustix::process::getuid().as_raw()],
    });
    node.api("POST", "/v1/agents", Some(&agent));
}

/// A runtime for one thread, for clients that are asynchronous.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Percent-encoding of everything that is not unreserved (RFC 3986 §2.3).
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
