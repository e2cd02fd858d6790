//! Everything the steps play on: the node, its registrations, the tool server, the agent, and the people who act.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bailiwick_core::{Code, Problem, Secret};
use bailiwick_crypto::system::{SystemRng, random};
use bailiwick_demo::workspace::Record;
use bailiwick_server::config::Config;
use bailiwick_server::node::Node;
use serde_json::{Value, json};

use super::actor::Actor;
use super::child::{Child, SOON};
use super::place::Place;
use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::output::table::items;

/// Name of the demo's agent.
pub(super) const AGENT: &str = "triage-agent";
/// Name of the demo's tool server.
pub(super) const SERVER: &str = "workspace";
/// Name of the secret that calls to it need.
pub(super) const CREDENTIAL: &str = "workspace-token";
/// The trust domain.
pub(super) const TRUST_DOMAIN: &str = "demo.example";

/// The stage.
pub(super) struct Setting<'a> {
    /// Directory and executables.
    pub(super) place: &'a Place,
    /// The operator's API.
    pub(super) admin: Client,
    /// A second person's API, over TCP with a token.
    pub(super) reviewer: Client,
    /// Whether the second person is played.
    pub(super) auto: bool,
    /// The first task.
    pub(super) task: String,
    /// The agent in it.
    pub(super) agent: Actor,
    /// The token that the tool server insists on: what the agent must never see.
    pub(super) bearer: Secret<String>,
    /// The content of the workspace's secret file: what no agent must read.
    pub(super) canary: String,
    /// Transcripts of agents that have ended.
    pub(super) transcripts: Vec<String>,
    node: Node,
    workspace: Child,
    workspace_url: String,
    agents: u32,
}

impl<'a> Setting<'a> {
    /// Starts and registers everything, through the same API that people use.
    pub(super) async fn build(place: &'a Place, auto: bool) -> Result<Self, Failure> {
        let node = Node::start(config(&place.data())?).await?;
        let admin = Client::new(Target::Unix(node.addresses().admin_socket.clone()));
        let bearer = Secret::new(format!(
            "demo-bearer-{:032x}",
            u128::from_be_bytes(random(&SystemRng))
        ));
        let canary = format!(
            "demo-canary-{:032x}",
            u128::from_be_bytes(random(&SystemRng))
        );
        let (workspace, workspace_url) = workspace(place, &bearer, &canary).await?;
        register(&admin, place, &workspace_url, &bearer).await?;
        let reviewer = second_person(&admin, &node.addresses().console_url).await?;
        let task = open_task(&admin, "Triage the open orders", None).await?;
        let agent = start_agent(place, &node, 1, &task).await?;
        Ok(Self {
            place,
            admin,
            reviewer,
            auto,
            task,
            agent,
            bearer,
            canary,
            transcripts: Vec::new(),
            node,
            workspace,
            workspace_url,
            agents: 1,
        })
    }

    /// What was built, for the opening.
    pub(super) fn parts(&self) -> [(&'static str, String); 4] {
        let pid = |child: &Child| {
            child
                .pid()
                .map_or_else(String::new, |pid| format!(", process {pid}"))
        };
        [
            (
                "node",
                format!(
                    "API {}, gateway {}",
                    self.node.addresses().console_url,
                    self.node.addresses().gateway_url
                ),
            ),
            (
                "tool server",
                format!("{}{}", self.workspace_url, pid(&self.workspace)),
            ),
            (
                "agent",
                format!(
                    "{}{}",
                    self.place.agent().display(),
                    pid(self.agent.child())
                ),
            ),
            ("task", self.task.clone()),
        ]
    }

    /// The API's URL.
    pub(super) fn console(&self) -> &str {
        &self.node.addresses().console_url
    }

    /// The socket that `BAILIWICK_NODE` can name.
    pub(super) fn admin_socket(&self) -> &Path {
        &self.node.addresses().admin_socket
    }

    /// The Workload API.
    pub(super) fn workload_socket(&self) -> &Path {
        &self.node.addresses().workload_socket
    }

    /// The log's public key.
    pub(super) fn vkey(&self) -> &str {
        &self.node.addresses().log_vkey
    }

    /// Opens a task for the agent, below another if one is named.
    pub(super) async fn open_task(
        &self,
        request: &str,
        parent: Option<&str>,
    ) -> Result<String, Failure> {
        open_task(&self.admin, request, parent).await
    }

    /// Starts one more process of the agent, for a task.
    pub(super) async fn start_agent(&mut self, task: &str) -> Result<Actor, Failure> {
        self.agents += 1;
        start_agent(self.place, &self.node, self.agents, task).await
    }

    /// Events of a task on the log, of a type or below it.
    pub(super) async fn events(&self, task: &str, kind: &str) -> Result<Vec<Value>, Failure> {
        let query = [
            ("task", task.to_owned()),
            ("type", kind.to_owned()),
            ("limit", "1000".to_owned()),
        ];
        let body = self.admin.query("/v1/audit/events", &query).await?;
        Ok(items(&body)
            .iter()
            .filter_map(|item| item.get("leaf").cloned())
            .collect())
    }

    /// Leases of a task.
    pub(super) async fn leases(&self, task: &str) -> Result<Vec<Value>, Failure> {
        let body = self
            .admin
            .query("/v1/leases", &[("task", task.to_owned())])
            .await?;
        Ok(items(&body).to_vec())
    }

    /// The tool server's journal: what truly ran.
    pub(super) fn journal(&self) -> Result<Vec<Record>, Failure> {
        let text = std::fs::read_to_string(self.place.journal())
            .map_err(|error| broken(format!("the journal cannot be read: {error}")))?;
        text.lines()
            .map(|line| {
                serde_json::from_str(line)
                    .map_err(|error| broken(format!("the journal is malformed: {error}")))
            })
            .collect()
    }

    /// The arguments of the calls of one tool that truly ran, and whether each showed the token.
    pub(super) fn ran(&self, wanted: &str) -> Result<Vec<(String, bool)>, Failure> {
        let calls = self
            .journal()?
            .into_iter()
            .filter_map(|record| match record {
                Record::Start {
                    tool,
                    arguments,
                    bearer,
                    ..
                } if tool == wanted => Some((arguments, bearer)),
                _ => None,
            });
        Ok(calls.collect())
    }

    /// Ends the children and stops the node.
    pub(super) async fn strike(mut self) {
        self.agent.end().await;
        self.workspace.end().await;
        self.node.shutdown().await;
    }
}

async fn start_agent(
    place: &Place,
    node: &Node,
    number: u32,
    task: &str,
) -> Result<Actor, Failure> {
    let arguments = [
        "demo".to_owned(),
        "agent".to_owned(),
        "--output=json".to_owned(),
        format!("--url={}/mcp/{SERVER}", node.addresses().gateway_url),
        format!("--task={task}"),
        format!("--socket={}", node.addresses().workload_socket.display()),
    ];
    let name = format!("agent-{number}");
    let child = Child::start(&name, &place.agent(), &arguments, &place.log(&name))?;
    Ok(Actor::ready(child).await?)
}

fn config(data: &Path) -> Result<Config, Failure> {
    let text = format!(
        "version = 1\n[identity]\ntrust_domain = \"{TRUST_DOMAIN}\"\n[console]\nlisten = \"127.0.0.1:0\"\n\
         [gateway]\nlisten = \"127.0.0.1:0\"\n[approval]\nwait = \"5m\"\n\
         [audit]\nsegment = \"2MiB\"\npublish_every = \"200ms\"\nmin_free = \"64MiB\"\n"
    );
    Ok(Config::parse(&text, "(demo)", data, data)?)
}

async fn workspace(
    place: &Place,
    bearer: &Secret<String>,
    canary: &str,
) -> Result<(Child, String), Failure> {
    let arguments = [
        "demo".to_owned(),
        "workspace".to_owned(),
        format!("--dir={}", place.served().display()),
    ];
    let mut child = Child::start(
        "the tool server",
        &place.workspace(),
        &arguments,
        &place.log("workspace"),
    )?;
    child.confide(bearer.expose()).await?;
    child.confide(canary).await?;
    let ready = child.hear(SOON, |line| line.get("ready").is_some()).await?;
    let url = ready.get("url").and_then(Value::as_str).map(str::to_owned);
    Ok((
        child,
        url.ok_or_else(|| broken("the tool server named no URL".to_owned()))?,
    ))
}

async fn register(
    admin: &Client,
    place: &Place,
    url: &str,
    bearer: &Secret<String>,
) -> Result<(), Failure> {
    admin
        .put_bytes(
            &format!("/v1/secrets/{CREDENTIAL}"),
            bearer.expose().as_bytes().to_vec(),
        )
        .await?;
    let server = json!({
        "name": SERVER,
        "transport": {"kind": "http", "url": url},
        "trust": "first_party",
        "credential": CREDENTIAL,
    });
    let added = admin.post("/v1/servers", &server).await?;
    for tool in added.get("tools").map(items).unwrap_or_default() {
        let Some((path, digest)) = crate::tools::pending(tool) else {
            continue;
        };
        let reads = READS.iter().any(|name| path.ends_with(&format!("/{name}")));
        let effect = if reads { "read" } else { "write" };
        admin
            .post(
                &format!("{path}/accept"),
                &json!({"effect": effect, "digest": digest}),
            )
            .await?;
    }
    let files: BTreeMap<String, String> = bailiwick_policy::starter::demo().files;
    admin.put("/v1/policy", &json!({"files": files})).await?;
    let agent = json!({
        "name": AGENT,
        "owner": "demo",
        "selectors": [
            format!("unix:path={}", std::fs::canonicalize(place.agent()).unwrap_or_else(|_| place.agent()).display()),
            format!("unix:uid={}", rustix::process::getuid().as_raw()),
        ],
        "ceiling": {"grants": [{"server": [SERVER], "tool": ["*"], "effects": ["read", "write"]}]},
    });
    admin.post("/v1/agents", &agent).await?;
    Ok(())
}

/// An account that may answer approvals and nothing else of weight, with a token of an hour.
async fn second_person(admin: &Client, console: &str) -> Result<Client, Failure> {
    admin
        .post(
            "/v1/accounts",
            &json!({"name": "reviewer", "roles": ["viewer", "approver"]}),
        )
        .await?;
    let minted = admin
        .post("/v1/accounts/reviewer/token", &json!({"ttl_s": 3_600}))
        .await?;
    let token = minted
        .get("token")
        .and_then(Value::as_str)
        .map(|token| Secret::new(token.to_owned()));
    let token = token.ok_or_else(|| broken("no token was minted".to_owned()))?;
    Ok(Client::new(Target::parse(console, Some(token))?))
}

async fn open_task(admin: &Client, request: &str, parent: Option<&str>) -> Result<String, Failure> {
    let mut body = json!({"agent": AGENT, "user": crate::tasks::local_user(), "request": request});
    if let (Some(parent), Some(members)) = (parent, body.as_object_mut()) {
        members.insert("parent".to_owned(), json!(parent));
    }
    let task = admin.post("/v1/tasks", &body).await?;
    let id = task.get("id").and_then(Value::as_str).map(str::to_owned);
    id.ok_or_else(|| broken("the task has no id".to_owned()))
}

/// Looks again and again until there is something to see.
pub(super) async fn until<T>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let looking = async {
        let mut ticks = tokio::time::interval(LOOK);
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
        }
    };
    match tokio::time::timeout(within, looking).await {
        Ok(seen) => seen,
        Err(_) => Err(Problem::new(
            Code::TimedOut,
            format!("{what} did not happen within {} s", within.as_secs()),
            "",
        )
        .into()),
    }
}

/// A demo that cannot go on.
pub(super) fn broken(message: String) -> Failure {
    Problem::new(
        Code::DemoStepFailed,
        message,
        "run with --keep and read the logs",
    )
    .into()
}

/// The paths that a search for secrets goes through, with what each is.
pub(super) fn agent_facts(pid: u32) -> [(PathBuf, &'static str); 2] {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    [
        (proc.join("environ"), "environment"),
        (proc.join("cmdline"), "arguments"),
    ]
}

const READS: [&str; 5] = [
    "read_file",
    "list_files",
    "search_notes",
    "get_order",
    "export_all",
];
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
