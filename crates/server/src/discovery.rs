//! Reading what tools a server shows, for the operator who registers it: one MCP session of the node's own, outside any task. It calls no
//! tool. What it reads waits for review; what callers see and call is read again in their own sessions by the gateway.

mod http;
mod stdio;

use std::path::PathBuf;
use std::time::Duration;

use bailiwick_broker::Broker;
use bailiwick_core::json::{Kind, Limits, Text, check};
use bailiwick_core::name::ServerName;
use bailiwick_core::server::{Server, Transport};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_enforce::catalogue::Pinned;
use bailiwick_enforce::ports::SeenTool;
use serde_json::{Value, json};

/// The whole reading takes at most this long.
const MAX_TIME: Duration = Duration::from_secs(20);
/// Most pages of a list.
const MAX_PAGES: usize = 64;
/// Longest message of a server.
const MAX_MESSAGE: usize = 8 << 20;
/// The revision that is offered; any that has the handshake answers it.
const REVISION: &str = "2025-06-18";
/// Bounds on a server's messages.
const LIMITS: Limits = Limits {
    bytes: MAX_MESSAGE,
    depth: 64,
    members: 1_000_000,
    caseless: false,
};

/// Reads tools.
pub struct Discovery {
    http: reqwest::Client,
    broker: Broker,
    scratch: PathBuf,
}

/// One session with a server.
enum Session {
    Http(http::Session),
    Stdio(Box<stdio::Session>),
}

impl Discovery {
    /// `http` must not follow redirects; children run in `scratch`.
    pub fn new(http: reqwest::Client, broker: Broker, scratch: PathBuf) -> Self {
        Self {
            http,
            broker,
            scratch,
        }
    }

    /// The tools that a server shows now.
    pub async fn tools(&self, server: &Server) -> Result<Vec<SeenTool>, Problem> {
        match tokio::time::timeout(MAX_TIME, self.read(server)).await {
            Ok(read) => read,
            Err(_) => Err(Problem::new(
                Code::UpstreamTimeout,
                format!(
                    "server {} did not show its tools within {} s",
                    server.name,
                    MAX_TIME.as_secs()
                ),
                "look whether it runs, then: bailiwick server refresh",
            )),
        }
    }

    async fn read(&self, server: &Server) -> Result<Vec<SeenTool>, Problem> {
        let mut session = self.open(server).await?;
        let hello = request(
            0,
            "initialize",
            &json!({
                "protocolVersion": REVISION,
                "capabilities": {},
                "clientInfo": {"name": "bailiwick", "version": env!("CARGO_PKG_VERSION")},
            }),
        );
        let welcome = session.ask(&hello, "0").await?;
        let checked = checked(&welcome, server)?;
        let welcome = result(&checked, server)?;
        let revision = welcome
            .member("protocolVersion")
            .map(|revision| revision.as_str().trim_matches('"').to_owned());
        let prompts = welcome
            .member("capabilities")
            .and_then(|capabilities| capabilities.member("prompts"));
        let lists = std::iter::once(Pinned::Tools).chain(prompts.map(|_| Pinned::Prompts));
        session.agree(revision.unwrap_or_default());
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        session.tell(&ready.to_string()).await?;
        let mut tools = Vec::new();
        let mut id = 0;
        for list in lists {
            let mut cursor = None;
            for _ in 0..MAX_PAGES {
                id += 1;
                let params = cursor
                    .take()
                    .map_or_else(|| json!({}), |cursor: Value| json!({"cursor": cursor}));
                let asked = request(id, list.method(), &params);
                let answer = session.ask(&asked, &id.to_string()).await?;
                cursor = take(list, &answer, server, &mut tools)?;
                if cursor.is_none() {
                    break;
                }
            }
        }
        session.end().await;
        Ok(tools)
    }

    async fn open(&self, server: &Server) -> Result<Session, Problem> {
        match &server.transport {
            Transport::Http { url } => {
                let bearer = match &server.credential {
                    Some(credential) => {
                        let opened = self.broker.for_the_node(&server.name, credential).await;
                        Some(opened.map_err(|error| error.problem())?)
                    }
                    None => None,
                };
                Ok(Session::Http(http::Session::new(
                    self.http.clone(),
                    url.clone(),
                    bearer,
                )))
            }
            Transport::Stdio {
                command,
                env,
                pass_env,
            } => {
                let child = stdio::Session::start(command, env, pass_env, &self.scratch)?;
                Ok(Session::Stdio(Box::new(child)))
            }
        }
    }
}

impl Session {
    async fn ask(&mut self, message: &str, id: &str) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Http(session) => session.ask(message, id).await,
            Self::Stdio(session) => session.ask(message, id).await,
        }
    }

    async fn tell(&mut self, message: &str) -> Result<(), Problem> {
        match self {
            Self::Http(session) => session.tell(message).await,
            Self::Stdio(session) => session.tell(message).await,
        }
    }

    fn agree(&mut self, revision: String) {
        if let Self::Http(session) = self {
            session.agree(revision);
        }
    }

    async fn end(self) {
        match self {
            Self::Http(session) => session.end().await,
            Self::Stdio(session) => session.end().await,
        }
    }
}

fn request(id: usize, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

/// The tools or prompts of one page; gives the cursor of the next.
fn take(
    list: Pinned,
    answer: &[u8],
    server: &Server,
    tools: &mut Vec<SeenTool>,
) -> Result<Option<Value>, Problem> {
    let checked = checked(answer, server)?;
    let result = result(&checked, server)?;
    let elements = result
        .member(list.member())
        .and_then(|list| list.elements())
        .ok_or_else(|| {
            let what = format!("its list of {} is none", list.member());
            not_mcp(&server.name, &what)
        })?;
    tools.extend(elements.iter().filter_map(|element| list.seen(element)));
    let next = result
        .member("nextCursor")
        .filter(|next| next.kind() == Kind::String);
    Ok(next.and_then(|next| serde_json::from_str(next.as_str()).ok()))
}

fn checked<'a>(answer: &'a [u8], server: &Server) -> Result<Text<'a>, Problem> {
    check(answer, &LIMITS).map_err(|error| not_mcp(&server.name, &error.to_string()))
}

fn result<'a>(answer: &Text<'a>, server: &Server) -> Result<Text<'a>, Problem> {
    answer.member("result").ok_or_else(|| {
        let error = answer
            .member("error")
            .map(|error| error.as_str().to_owned());
        let told: String = error.unwrap_or_default().chars().take(200).collect();
        not_mcp(&server.name, &format!("it answered with an error: {told}"))
    })
}

/// Whether a message is the response to the request with this id.
fn answers(message: &[u8], id: &str) -> bool {
    check(message, &LIMITS).is_ok_and(|text| {
        text.member("id").is_some_and(|own| own.as_str() == id) && text.member("method").is_none()
    })
}

fn not_mcp(server: &ServerName, why: &str) -> Problem {
    Problem::new(
        Code::UpstreamProtocol,
        format!("server {server} does not show its tools: {why}"),
        "look whether it speaks MCP with a handshake (revision 2025-06-18 or near it)",
    )
}

fn down(why: &str) -> Problem {
    Problem::new(
        Code::ServerDown,
        format!("the tool server cannot be reached: {why}"),
        "start it, then: bailiwick server refresh",
    )
}

#[cfg(test)]
mod tests;
