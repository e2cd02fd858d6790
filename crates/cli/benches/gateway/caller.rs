//! An MCP client with one connection: to the tool server itself, or through a gateway with a token and a proof per request.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::Agent;
use crate::http::{Connection, Message, message};
use crate::timing::time;

/// What is said to the tool, and must come back.
const TEXT: &str = "The quick brown fox jumps over the lazy dog, and nobody minds.";

/// A client that has shaken hands.
pub(crate) struct Caller<'a> {
    connection: Connection,
    host: String,
    path: String,
    session: Option<String>,
    /// The revision was agreed on, and goes with each request from here on.
    agreed: bool,
    authority: Option<Authority<'a>>,
    calls: u64,
}

/// What a caller shows to the gateway.
pub(crate) struct Authority<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) token: String,
    pub(crate) nonce: Option<String>,
}

impl<'a> Caller<'a> {
    /// Connects to `http://<host><path>` and shakes hands.
    pub(crate) fn open(host: &str, path: &str, authority: Option<Authority<'a>>) -> Result<Self> {
        let mut caller = Self {
            connection: Connection::new(TcpStream::connect(host)?)?,
            host: host.to_owned(),
            path: path.to_owned(),
            session: None,
            agreed: false,
            authority,
            calls: 0,
        };
        if caller.authority.is_some() {
            // RFC 9449 §8: the first answer brings the nonce.
            caller.post(INITIALIZE)?.1.expect("401")?;
        }
        let welcome = caller.post(INITIALIZE)?.1.expect("200")?;
        caller.session = welcome.header("mcp-session-id").map(str::to_owned);
        caller.agreed = true;
        let ready = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        caller.post(ready)?.1.expect("202")?;
        Ok(caller)
    }

    /// Calls the tool. How long it took from the first byte of the request to the last of the answer, without the making of
    /// the proof.
    pub(crate) fn call(&mut self) -> Result<Duration> {
        self.calls += 1;
        let call = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"tools/call","params":{{"name":"say","arguments":{{"text":"{TEXT}"}}}}}}"#,
            self.calls
        );
        let (took, answer) = self.post(&call)?;
        let answer: Value = serde_json::from_slice(&answer.expect("200")?.body)?;
        let said = answer.pointer("/result/content/0/text");
        ensure!(
            said.and_then(Value::as_str) == Some(TEXT),
            "the tool did not answer: {answer}"
        );
        Ok(took)
    }

    fn post(&mut self, body: &str) -> Result<(Duration, Message)> {
        let mut headers = vec![
            ("Host", self.host.clone()),
            ("Accept", "application/json, text/event-stream".to_owned()),
        ];
        if let Some(session) = &self.session {
            headers.push(("Mcp-Session-Id", session.clone()));
        }
        if self.agreed {
            headers.push(("MCP-Protocol-Version", REVISION.to_owned()));
        }
        if let Some(authority) = &self.authority {
            let url = format!("http://{}{}", self.host, self.path);
            let (token, nonce) = (&authority.token, authority.nonce.as_deref());
            let proof = authority.agent.proof("POST", &url, Some(token), nonce);
            headers.push(("Authorization", format!("DPoP {token}")));
            headers.push(("DPoP", proof));
        }
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let request = message(&format!("POST {} HTTP/1.1", self.path), &headers, body);
        let (took, answer) = time(|| self.connection.exchange(&request));
        let answer = answer?;
        if let Some(authority) = &mut self.authority {
            let nonce = answer
                .header("dpop-nonce")
                .context("the gateway sends no nonce")?;
            authority.nonce = Some(nonce.to_owned());
        }
        Ok((took, answer))
    }
}

const REVISION: &str = "2025-06-18";
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
