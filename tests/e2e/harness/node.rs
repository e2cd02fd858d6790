//! A node of its own for each test: `bailiwick serve` as a child, its API over the admin socket, and the command line against it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Process;
use super::http::{self, Place, Response};
use super::pki;

/// What a test wants otherwise than by default.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The trust domain.
    pub(crate) trust_domain: &'static str,
    /// Life of task tokens.
    pub(crate) task_ttl: &'static str,
    /// How long a call waits for a person.
    pub(crate) approval_wait: &'static str,
    /// Free space that granting needs.
    pub(crate) min_free: &'static str,
    /// More keys of `[identity]`.
    pub(crate) identity: String,
    /// Address of the API.
    pub(crate) console: String,
    /// More keys of `[oauth]`.
    pub(crate) oauth: String,
    /// More keys of `[audit]`, and tables after it.
    pub(crate) audit: String,
    /// Whether its listeners have TLS, with a certificate of the tests' own authority.
    pub(crate) tls: bool,
    /// Variables that the node gets beside those of the test.
    pub(crate) environment: Vec<(String, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            trust_domain: "e2e.internal",
            task_ttl: "5m",
            approval_wait: "60s",
            min_free: "1MiB",
            identity: String::new(),
            console: "127.0.0.1:0".to_owned(),
            oauth: String::new(),
            audit: String::new(),
            tls: false,
            environment: Vec::new(),
        }
    }
}

/// A node and the directory it lives in.
pub(crate) struct Node {
    // Dropped in this order: the process before its directory.
    process: Process,
    ready: Value,
    token: String,
    environment: Vec<(String, String)>,
    home: TempDir,
}

/// The tests' own account; it holds every role.
const ACCOUNT: &str = "e2e";

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
}

impl Node {
    /// A node with the defaults of the tests.
    pub(crate) fn start() -> Self {
        Self::with(&Setup::default())
    }

    /// A node set up as a test wants it.
    pub(crate) fn with(setup: &Setup) -> Self {
        Self::at(tempfile::tempdir().unwrap(), setup)
    }

    /// A node in this directory.
    pub(crate) fn at(home: TempDir, setup: &Setup) -> Self {
        std::fs::write(config_of(home.path()), config(home.path(), setup)).unwrap();
        if setup.tls {
            let authority = pki::authority();
            std::fs::write(home.path().join("ca.pem"), authority.pem()).unwrap();
            authority.issue(&pki::NAMES, 3_600).put(home.path());
        }
        let (process, ready) = serve(home.path(), &setup.environment);
        // The test process is an agent in many tests, and agents get nothing from the admin socket: so all goes over TCP. The account
        // is made before anything is attested.
        let admin = Place::Unix(ready["admin_socket"].as_str().unwrap().into());
        let post = |path: &str, body: &Value| {
            let headers = [("Content-Type", "application/json")];
            let sent = http::send(
                &admin,
                "POST",
                path,
                &headers,
                Some(body.to_string().as_bytes()),
            );
            let response = sent.unwrap();
            assert!(response.status < 300, "{}", response.text());
            response.json()
        };
        let roles = ["viewer", "approver", "operator", "admin"];
        post("/v1/accounts", &json!({ "name": ACCOUNT, "roles": roles }));
        let token = post(
            &format!("/v1/accounts/{ACCOUNT}/token"),
            &json!({ "ttl_s": 3_600 }),
        );
        let token = token["token"].as_str().unwrap().to_owned();
        Self {
            process,
            ready,
            token,
            environment: setup.environment.clone(),
            home,
        }
    }

    /// The directory of everything of this test.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The node's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// A member of the ready line.
    pub(crate) fn ready(&self, member: &str) -> &str {
        let value = self.ready.get(member).and_then(Value::as_str);
        value.unwrap_or_else(|| panic!("the ready line has no {member}: {}", self.ready))
    }

    /// URL of the gateway's endpoint for a server.
    pub(crate) fn mcp(&self, server: &str) -> String {
        format!("{}/mcp/{server}", self.ready("gateway"))
    }

    /// What the node wrote to its log so far.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Process id of the node.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill_nine(&mut self) {
        self.process.signal(Signal::KILL);
        self.process.wait();
    }

    /// SIGTERM, and waits for the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait()
    }

    /// Starts it again in the same directory, after [`Self::kill_nine`] or [`Self::stop`].
    pub(crate) fn start_again(&mut self) {
        let (process, ready) = serve(self.home.path(), &self.environment);
        (self.process, self.ready) = (process, ready);
    }

    /// One request to the API under the tests' own account.
    pub(crate) fn request(&self, method: &str, path: &str, body: Option<&[u8]>) -> Response {
        let place = Place::of(self.ready("console"));
        let authorization = format!("Bearer {}", self.token);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        http::send(&place, method, path, &headers, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.log()))
    }

    /// The answer to a request that must succeed.
    pub(crate) fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.try_api(method, path, body);
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    /// Status and answer of a request.
    pub(crate) fn try_api(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string);
        let response = self.request(method, path, body.as_deref().map(str::as_bytes));
        (response.status, response.json())
    }

    /// Items of a list.
    pub(crate) fn items(&self, path: &str) -> Vec<Value> {
        let mut body = self.api("GET", path, None);
        match body["items"].take() {
            Value::Array(items) => items,
            other => panic!("{path}: no items but {other}"),
        }
    }

    /// Everything on record, oldest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        let (mut events, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.api("GET", &format!("/v1/audit/events?limit=1000{after}"), None);
            events.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item["leaf"].clone()),
            );
            match &page["next"] {
                Value::Null => return events,
                next => {
                    after = format!(
                        "&after={}",
                        next.as_str()
                            .map_or_else(|| next.to_string(), str::to_owned)
                    );
                }
            }
        }
    }

    /// One event on record.
    pub(crate) fn event(&self, id: &str) -> Value {
        self.api("GET", &format!("/v1/audit/events/{id}"), None)["leaf"].take()
    }

    /// The record as it grows.
    pub(crate) fn tail(&self) -> impl Iterator<Item = Value> + use<> {
        let response = self.request("GET", "/v1/audit/tail", None);
        assert_eq!(response.status, 200);
        response.events().map(|mut item| item["leaf"].take())
    }

    /// A command against this node.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = bailiwick(arguments);
        command
            .env("BAILIWICK_NODE", self.ready("console"))
            .env("BAILIWICK_TOKEN", &self.token)
            .env("BAILIWICK_CONFIG", config_of(self.home()));
        self.trusted(&mut command);
        command
    }

    /// Has a command trust who issued this node's certificate, if it has one.
    pub(crate) fn trusted(&self, command: &mut Command) {
        let authority = self.home().join("ca.pem");
        if authority.exists() {
            command.env("BAILIWICK_CA", authority);
        }
    }

    /// Runs a command with `--output json`.
    pub(crate) fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Ran {
        run(self.command(arguments).args(["--output", "json"]), "")
    }

    /// The JSON of a command that must succeed.
    pub(crate) fn cli(&self, arguments: &[impl AsRef<OsStr>]) -> Value {
        let ran = self.run(arguments);
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        assert_eq!(
            ran.code,
            Some(0),
            "bailiwick {}\n{}\n{}",
            words.join(" "),
            ran.stderr,
            self.log()
        );
        ran.json()
    }
}

impl Ran {
    /// Its output as one JSON value.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Its error as one JSON object, all there is on standard error.
    pub(crate) fn problem(&self) -> Value {
        let mut lines = self.stderr.lines();
        let (line, more) = (lines.next().unwrap_or_default(), lines.next());
        assert_eq!(more, None, "more than one line on standard error: {self:?}");
        serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// The binary, without anything of the caller's environment that could change what it does.
pub(crate) fn bailiwick(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
    command.args(arguments.iter().map(AsRef::as_ref));
    for variable in ["CA", "CONFIG", "DATA_DIR", "NODE", "TOKEN", "OUTPUT"] {
        command.env_remove(format!("BAILIWICK_{variable}"));
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command, stdin: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone by now.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The configuration file of a home.
pub(crate) fn config_of(home: &Path) -> PathBuf {
    home.join("bailiwick.toml")
}

fn config(home: &Path, setup: &Setup) -> String {
    let data = json!(home.join("data"));
    let Setup {
        trust_domain,
        task_ttl,
        approval_wait,
        min_free,
        identity,
        console,
        oauth,
        audit,
        tls,
        environment: _,
    } = setup;
    let tls = if *tls {
        r#"tls = { cert = "server.pem", key = "server.key" }"#
    } else {
        ""
    };
    format!(
        r#"version = 1
[node]
data_dir = {data}
[identity]
trust_domain = "{trust_domain}"
{identity}
[oauth]
task_ttl = "{task_ttl}"
high_risk_ttl = "5s"
{oauth}
[console]
listen = "{console}"
{tls}
[gateway]
listen = "127.0.0.1:0"
{tls}
[approval]
wait = "{approval_wait}"
[audit]
segment = "2MiB"
publish_every = "100ms"
min_free = "{min_free}"
{audit}
[log]
filter = "info,bailiwick_enforce=debug,bailiwick_server=debug"
"#
    )
}

fn serve(home: &Path, environment: &[(String, String)]) -> (Process, Value) {
    let config = config_of(home);
    let arguments = [
        OsStr::new("serve"),
        "--output".as_ref(),
        "json".as_ref(),
        "--config".as_ref(),
        config.as_os_str(),
    ];
    let mut process = Process::start(
        "the node",
        bailiwick(&arguments).envs(environment.iter().map(|(name, value)| (name, value))),
        &home.join("node.log"),
    );
    let line = process.line();
    let ready: Value = serde_json::from_str(&line)
        .unwrap_or_else(|error| panic!("{error}: {line}\n{}", process.log()));
    assert_eq!(ready["ready"], true, "{line}");
    (process, ready)
}
