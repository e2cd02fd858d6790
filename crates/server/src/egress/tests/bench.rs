//! A node with connectors to an upstream of the test, and a launch whose listener leads to them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::id::TaskId;
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::SystemRng;
use bailiwick_enforce::egress::{Run, RunToken};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::site::Site;
use crate::config::Config;
use crate::node::Node;
use crate::node::tests::running::{Answer, Running};

/// The credential that nobody but the upstream may see.
pub(super) const CANARY: &str = "canary-9f3e/7b+21=Zq";

/// However slow the machine is.
pub(super) const DEADLINE: Duration = Duration::from_mins(1);

/// What may be done beside what the starter's base permits.
pub(super) const POLICY: &str = r#"
@id("test/egress")
@reason("The coder asks the API.")
permit (principal == Bailiwick::Agent::"coder", action == Bailiwick::Action::"egress", resource)
when { context.input.connector == "api" && context.input.host == "127.0.0.1" && context.input.size < 1000 };

@id("test/people")
@reason("Money moves with a person's word.")
@step_up("approval:approver")
forbid (principal, action == Bailiwick::Action::"egress", resource)
when { context.input.path like "/pay/*" && context.input.method == "POST" };

@id("test/never")
@reason("Not this one.")
forbid (principal, action == Bailiwick::Action::"egress", resource)
when { context.input.path == "/never" };
"#;

pub(super) struct Bench {
    pub(super) running: Running,
    pub(super) site: Site,
    pub(super) task: String,
    /// A person's token: this very process is an agent, and has no rights on the admin socket.
    person: String,
    pub(super) token: String,
    pub(super) listen: SocketAddr,
    stop: CancellationToken,
}

impl Bench {
    pub(super) async fn start() -> Self {
        let site = Site::start().await;
        let dir = tempfile::tempdir().unwrap();
        let text = config(site.address);
        let config = Config::parse(&text, "test", dir.path(), &dir.path().join("data")).unwrap();
        let node = Node::start(config).await.unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let running = Running { node, dir, client };
        let person = running
            .account("keeper", &["admin", "operator", "approver", "viewer"])
            .await;
        let url = running.url("/v1/secrets/api-key");
        let put = running.client.put(url).bearer_auth(&person).body(CANARY);
        assert_eq!(Answer::of(put).await.status, 200);
        let task = open(&running).await;
        let key = SigningKey::generate().unwrap();
        // The first token binds the task to this process.
        running.task_token(&key, &task).await;
        let id: TaskId = task.parse().unwrap();
        let app = running.node.app();
        let instance = app.replica.view(|state| state.task(id).unwrap().instance);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let listen = listener.local_addr().unwrap();
        let (text, token) = RunToken::draw(&SystemRng);
        let run = Run {
            task: id,
            instance: instance.unwrap().unwrap(),
            token,
            listen,
        };
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&app.gateway).serve_run(listener, run, stop.clone()));
        Self {
            running,
            site,
            task,
            person,
            token: text.expose().clone(),
            listen,
            stop,
        }
    }

    /// The URL of a path behind a connector.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/p/{path}", self.listen)
    }

    pub(super) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.running
            .client
            .get(self.url(path))
            .bearer_auth(&self.token)
    }

    pub(super) fn post(&self, path: &str, body: &'static str) -> reqwest::RequestBuilder {
        let request = self.running.client.post(self.url(path));
        request.bearer_auth(&self.token).body(body)
    }

    /// What the API answers to a person.
    pub(super) async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.running.client.request(method, self.running.url(path));
        let request = request.bearer_auth(&self.person);
        Answer::of(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    /// The code of a refusal.
    pub(super) async fn refused(&self, request: reqwest::RequestBuilder) -> (u16, String) {
        let answer = Answer::of(request).await;
        let code = answer.body["code"].as_str();
        (
            answer.status,
            code.unwrap_or_else(|| panic!("{answer:?}")).to_owned(),
        )
    }

    /// Events of a type that are on record by now.
    pub(super) async fn events(&self, kind: &str) -> Vec<Value> {
        let path = format!("/v1/audit/events?type={kind}&wait=true&limit=100");
        let answer = self.api(Method::GET, &path, None).await;
        let items = answer.body["items"].as_array();
        let items = items.unwrap_or_else(|| panic!("{answer:?}"));
        items.iter().map(|item| item["leaf"].clone()).collect()
    }

    /// Waits for the results of so many exchanges.
    pub(super) async fn results(&self, count: usize) -> Vec<Value> {
        let found = async {
            loop {
                let results = self.events("egress.result").await;
                if results.len() >= count {
                    return results;
                }
            }
        };
        tokio::time::timeout(DEADLINE, found)
            .await
            .expect("results are missing")
    }

    pub(super) async fn revoke(&self, subject: &str) {
        let body = json!({ "subjects": [subject], "reason": "the test says so" });
        let answer = self.api(Method::POST, "/v1/revocations", Some(body)).await;
        assert!(answer.status < 300, "{answer:?}");
    }

    pub(super) async fn end(self) -> tempfile::TempDir {
        self.stop.cancel();
        self.running.node.shutdown().await;
        self.running.dir
    }
}

fn config(site: SocketAddr) -> String {
    let connector = |name: &str, more: &str| {
        format!(
            "[[egress.connectors]]\nname = \"{name}\"\nupstream = \"http://{site}\"\ncredential = \"api-key\"\n\
             allow_loopback = \"yes\"\nmax_response = \"4KiB\"\nallow = \"\"\"\nGET /**\nPOST /**\nDELETE /only/{{x}}\n\"\"\"\n{more}\n"
        )
    };
    let bearer = "slot = \"header authorization: Bearer {secret}\"";
    let revoking = format!("{bearer}\non_reflection = \"revoke\"");
    let head = "version = 1\n[console]\nlisten = \"127.0.0.1:0\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n\
                [audit]\nsegment = \"2MiB\"\npublish_every = \"100ms\"\nmin_free = \"1MiB\"\n";
    [
        head.to_owned(),
        connector("api", bearer),
        connector("strict", &revoking),
        connector("unpermitted", bearer),
    ]
    .concat()
}

/// The agent `coder`, which is this process, a bundle, and a task; its id.
async fn open(running: &Running) -> String {
    let executable = std::env::current_exe().unwrap();
    let grants = json!([
        { "server": ["api", "strict", "unpermitted", "files"], "tool": ["*"], "effects": ["read", "write"] },
    ]);
    let agent = json!({
        "name": "coder",
        "owner": "team-dev",
        "selectors": [format!("unix:path={}", executable.display())],
        "ceiling": { "grants": grants },
    });
    running.post("/v1/agents", agent).await;
    let server =
        json!({"name": "files", "transport": {"kind": "http", "url": "http://127.0.0.1:9/mcp"}});
    running.post("/v1/servers", server).await;
    let strict = POLICY
        .replace("test/", "strict/")
        .replace("\"api\"", "\"strict\"");
    let strict = strict
        .split("@id(\"strict/people")
        .next()
        .unwrap()
        .to_owned();
    let files = json!({
        "bundle.toml": "name = \"egress\"\n",
        "egress.cedar": POLICY,
        "strict.cedar": strict,
    });
    let published = running
        .admin(Method::PUT, "/v1/policy", Some(json!({ "files": files })))
        .await;
    assert!(published.status < 300, "{published:?}");
    let task = json!({"agent": "coder", "user": "user:local:anna", "request": "ask the API"});
    let task = running.post("/v1/tasks", task).await;
    task["id"].as_str().unwrap().to_owned()
}
