//! A real node on a private directory and free ports, and the clients that tests reach it with.

use std::path::Path;
use std::time::Duration;

use bailiwick_core::{Clock, Rng};
use bailiwick_crypto::dpop::{Request as Proven, prove};
use bailiwick_crypto::keys::SigningKey;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_proto::workload::JwtsvidRequest;
use bailiwick_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tonic::transport::Endpoint;

use crate::config::Config;
use crate::node::{Node, StartError};

pub(crate) struct Running {
    pub(crate) node: Node,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) client: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) fn config(dir: &Path) -> Config {
    let text = "version = 1\n[console]\nlisten = \"127.0.0.1:0\"\n[gateway]\nlisten = \"127.0.0.1:0\"\n\
                [audit]\nsegment = \"2MiB\"\npublish_every = \"100ms\"\nmin_free = \"1MiB\"\n";
    Config::parse(text, "test", dir, &dir.join("data")).unwrap()
}

impl Answer {
    /// The answer to a request; of a stream only the head.
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let stream = headers
            .get("content-type")
            .is_some_and(|form| form == "text/event-stream");
        // A stream has no end to wait for.
        let body = if stream {
            Value::Null
        } else {
            serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or(Value::Null)
        };
        Self {
            status,
            headers,
            body,
        }
    }
}

impl Running {
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let node = Node::start(config(dir.path())).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { node, dir, client }
    }

    /// The same node again, on what it kept.
    pub(crate) async fn restart(self) -> Self {
        let Self { node, dir, client } = self;
        node.shutdown().await;
        // A connection of the old node may hold its store for a moment longer than the node.
        let freed = async {
            loop {
                match Node::start(config(dir.path())).await {
                    Err(StartError::Open(_)) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    started => return started.unwrap(),
                }
            }
        };
        let node = tokio::time::timeout(Duration::from_secs(20), freed).await;
        let node = node.expect("the old node never let go of its store");
        Self { node, dir, client }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.node.addresses().console_url)
    }

    /// Asks over TCP.
    pub(crate) async fn tcp(&self, method: &str, path: &str, bearer: Option<&str>) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, self.url(path));
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer);
        }
        Answer::of(request).await
    }

    /// Asks over the admin socket.
    pub(crate) async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let stream = UnixStream::connect(&self.node.addresses().admin_socket)
            .await
            .unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        connection.abort();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.admin(Method::POST, path, Some(body)).await;
        assert!(answer.status < 300, "{path}: {answer:?}");
        answer.body
    }

    /// A token of a new account with these roles.
    pub(crate) async fn account(&self, name: &str, roles: &[&str]) -> String {
        self.post("/v1/accounts", json!({"name": name, "roles": roles}))
            .await;
        let path = format!("/v1/accounts/{name}/token");
        let token = self.post(&path, json!({"ttl_s": 600})).await;
        token["token"].as_str().unwrap().to_owned()
    }

    /// Registers this very process as agent `coder`, server `files` and a task; gives the task's id.
    pub(crate) async fn agent(&self) -> String {
        let executable = std::env::current_exe().unwrap();
        let grants = json!([{"server": ["files"], "tool": ["*"], "effects": ["read", "write"]}]);
        let agent = json!({
            "name": "coder",
            "owner": "team-dev",
            "selectors": [format!("unix:path={}", executable.display())],
            "ceiling": {"grants": grants},
        });
        self.post("/v1/agents", agent).await;
        let server = json!({"name": "files", "transport": {"kind": "http", "url": "http://127.0.0.1:9/mcp"}});
        let added = self.post("/v1/servers", server).await;
        assert_eq!(added["problem"]["code"], "server_down", "{added}");
        let task = json!({"agent": "coder", "user": "user:local:anna", "request": "fix issue 12"});
        let task = self.post("/v1/tasks", task).await;
        task["id"].as_str().unwrap().to_owned()
    }

    /// A JWT-SVID of this process.
    pub(crate) async fn svid(&self, audience: &str) -> Result<String, tonic::Status> {
        let socket = self.node.addresses().workload_socket.clone();
        let connect = tower::service_fn(move |_| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::try_from("http://localhost").unwrap();
        let channel = endpoint.connect_with_connector(connect).await.unwrap();
        let mut request = tonic::Request::new(JwtsvidRequest {
            audience: vec![audience.to_owned()],
            spiffe_id: String::new(),
        });
        request
            .metadata_mut()
            .insert("workload.spiffe.io", "true".parse().unwrap());
        let answer = SpiffeWorkloadApiClient::new(channel)
            .fetch_jwtsvid(request)
            .await?;
        Ok(answer.into_inner().svids[0].svid.clone())
    }

    /// Asks the token endpoint with a proof by `key` under `nonce`.
    pub(crate) async fn ask_token(
        &self,
        key: &SigningKey,
        nonce: Option<&str>,
        fields: &[(&str, String)],
    ) -> Answer {
        let proof = self.proof(key, nonce);
        self.send_form(Some(proof), fields).await
    }

    /// A proof for the token endpoint.
    pub(crate) fn proof(&self, key: &SigningKey, nonce: Option<&str>) -> String {
        let url = self.url("/oauth/token");
        let (clock, rng): (&dyn Clock, &dyn Rng) = (&SystemClock, &SystemRng);
        let request = Proven {
            method: "POST",
            url: &url,
            access_token: None,
        };
        prove(key, &request, nonce, clock, rng).unwrap()
    }

    pub(crate) async fn send_form(
        &self,
        proof: Option<String>,
        fields: &[(&str, String)],
    ) -> Answer {
        let form: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)))
            .collect();
        let mut request = self
            .client
            .post(self.url("/oauth/token"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.join("&"));
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
        }
    }

    /// The form of a token request for `task` at server `files`.
    pub(crate) async fn form(&self, task: &str) -> Vec<(&'static str, String)> {
        let svid = self.svid(&self.node.addresses().console_url).await.unwrap();
        let details = json!([{"type": "agent_task", "task_id": task}]);
        let gateway = &self.node.addresses().gateway_url;
        vec![
            ("grant_type", "client_credentials".to_owned()),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe".to_owned(),
            ),
            ("client_assertion", svid),
            ("authorization_details", details.to_string()),
            ("resource", format!("{gateway}/mcp/files")),
        ]
    }

    /// A task token bound to `key`, the way an agent gets one.
    pub(crate) async fn task_token(&self, key: &SigningKey, task: &str) -> String {
        let form = self.form(task).await;
        let first = self.ask_token(key, None, &form).await;
        assert_eq!(first.body["error"], "use_dpop_nonce", "{first:?}");
        let nonce = first.headers["dpop-nonce"].to_str().unwrap().to_owned();
        let answer = self.ask_token(key, Some(&nonce), &form).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["token_type"], "DPoP");
        answer.body["access_token"].as_str().unwrap().to_owned()
    }
}

fn escaped(text: &str) -> String {
    let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
    bytes.collect::<Vec<_>>().concat()
}
