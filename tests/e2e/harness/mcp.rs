//! A small MCP client over streamable HTTP (2025-11-25) that shows every byte it sends and every answer it gets.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::Agent;
use super::http::Response;

/// An MCP session, or the wish for one, with one server under one task.
pub(crate) struct Mcp<'a> {
    /// Who calls.
    pub(crate) agent: &'a Agent,
    /// The token shown.
    pub(crate) token: String,
    server: String,
    session: Option<String>,
    nonce: Mutex<Option<String>>,
    ids: AtomicU64,
}

/// How a session begins.
pub(crate) const OPENING: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bailiwick-e2e","version":"1"}}}"#;

impl<'a> Mcp<'a> {
    /// A client that has shown nothing yet.
    pub(crate) fn new(agent: &'a Agent, server: &str, token: String) -> Self {
        Self {
            agent,
            token,
            server: server.to_owned(),
            session: None,
            nonce: Mutex::new(None),
            ids: AtomicU64::new(1),
        }
    }

    /// Gets a token for the task and opens a session.
    pub(crate) fn open(agent: &'a Agent, server: &str, task: &str) -> Self {
        let token = agent
            .token(task, server)
            .unwrap_or_else(|refused| panic!("no token: {refused:?}"));
        Self::with_token(agent, server, token)
    }

    /// Opens a session with a token that is there.
    pub(crate) fn with_token(agent: &'a Agent, server: &str, token: String) -> Self {
        let mut client = Self::new(agent, server, token);
        let response = client.post(OPENING).expect(200);
        client.session = response.header("mcp-session-id").map(str::to_owned);
        let answer = message(response);
        assert_eq!(
            answer["result"]["protocolVersion"], "2025-11-25",
            "{answer}"
        );
        client
            .post(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
            .expect(202);
        client
    }

    /// Posts a body as it is, with a proof made for it; learns a nonce and tries once more if it must.
    pub(crate) fn post(&self, body: &[u8]) -> Response {
        self.try_post(body).expect("the gateway does not answer")
    }

    /// As [`Self::post`], for a node that may be gone.
    pub(crate) fn try_post(&self, body: &[u8]) -> io::Result<Response> {
        let response = self.post_once(body)?;
        if response.status == 401
            && response
                .headers("www-authenticate")
                .contains("use_dpop_nonce")
        {
            return self.post_once(body);
        }
        Ok(response)
    }

    fn post_once(&self, body: &[u8]) -> io::Result<Response> {
        let url = self.agent.resource(&self.server);
        let proof = self
            .agent
            .proof("POST", &url, Some(&self.token), self.nonce().as_deref());
        self.try_post_with(body, &format!("DPoP {}", self.token), &proof)
    }

    /// Opens the session's standing stream.
    pub(crate) fn listen(&self) -> Response {
        let url = self.agent.resource(&self.server);
        let proof = self
            .agent
            .proof("GET", &url, Some(&self.token), self.nonce().as_deref());
        let (authorization, session) = (
            format!("DPoP {}", self.token),
            self.session.as_deref().unwrap(),
        );
        let headers = [
            ("Authorization", authorization.as_str()),
            ("DPoP", &proof),
            ("Accept", "text/event-stream"),
            ("Mcp-Session-Id", session),
            ("MCP-Protocol-Version", "2025-11-25"),
        ];
        self.agent.send(&self.server, "GET", &headers, None)
    }

    /// Posts a body with these credentials.
    pub(crate) fn post_with(&self, body: &[u8], authorization: &str, proof: &str) -> Response {
        self.try_post_with(body, authorization, proof)
            .expect("the gateway does not answer")
    }

    fn try_post_with(&self, body: &[u8], authorization: &str, proof: &str) -> io::Result<Response> {
        let mut headers = vec![
            ("Authorization", authorization),
            ("DPoP", proof),
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        if let Some(session) = &self.session {
            headers.extend([
                ("Mcp-Session-Id", session.as_str()),
                ("MCP-Protocol-Version", "2025-11-25"),
            ]);
        }
        let response = self
            .agent
            .try_send(&self.server, "POST", &headers, Some(body))?;
        if let Some(nonce) = response.header("dpop-nonce") {
            *self.nonce.lock().unwrap() = Some(nonce.to_owned());
        }
        Ok(response)
    }

    /// The nonce that was learned last.
    pub(crate) fn nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap().clone()
    }

    /// The text of a call.
    pub(crate) fn call_text(&self, tool: &str, arguments: &str) -> String {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{"progressToken":{id}}}}}}}"#
        )
    }

    /// Sends a call and gives its response, whose body may be a stream that still runs.
    pub(crate) fn start_call(&self, tool: &str, arguments: &str) -> Response {
        self.post(self.call_text(tool, arguments).as_bytes())
    }

    /// Calls a tool with the text of its arguments; the answering message, whatever it says.
    pub(crate) fn call(&self, tool: &str, arguments: &str) -> Value {
        let response = self.start_call(tool, arguments);
        let status = response.status;
        let message = message(response);
        assert!(status == 200, "{status} {message}");
        message
    }

    /// Calls a tool that must answer; the text of the answer.
    pub(crate) fn ok(&self, tool: &str, arguments: &str) -> String {
        let message = self.call(tool, arguments);
        assert_ne!(message["result"]["isError"], true, "{message}");
        let text = message["result"]["content"][0]["text"].as_str();
        text.unwrap_or_else(|| panic!("{message}")).to_owned()
    }

    /// Calls a tool that must be refused; the decision.
    pub(crate) fn refused(&self, tool: &str, arguments: &str) -> Value {
        let message = self.call(tool, arguments);
        let decision = &message["result"]["_meta"]["bailiwick/decision"];
        assert!(
            message["result"]["isError"] == true && decision.is_object(),
            "not refused: {message}"
        );
        decision.clone()
    }

    /// Names of the tools that are shown.
    pub(crate) fn tools(&self) -> Vec<String> {
        let answer = message(self.post(br#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#));
        let tools = answer["result"]["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"));
        tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The answering message of a response, be it JSON or the last event of a stream. Null if the stream was cut before it.
pub(crate) fn message(response: Response) -> Value {
    if response
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/event-stream"))
    {
        let answer = response
            .events()
            .find(|event| event.get("result").is_some() || event.get("error").is_some());
        return answer.unwrap_or(Value::Null);
    }
    response.json()
}
