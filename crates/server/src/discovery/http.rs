//! The node's own session over streamable HTTP: one request after the other, answers as JSON or as an event stream.

use bailiwick_core::{Code, Problem, Secret};
use bailiwick_enforce::mcp::sse::Parser;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response};

use super::{MAX_MESSAGE, answers, down};

const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";

/// A session.
pub(super) struct Session {
    client: Client,
    url: String,
    bearer: Option<Secret<String>>,
    id: Option<String>,
    revision: Option<String>,
}

impl Session {
    pub(super) fn new(client: Client, url: String, bearer: Option<Secret<String>>) -> Self {
        Self {
            client,
            url,
            bearer,
            id: None,
            revision: None,
        }
    }

    pub(super) fn agree(&mut self, revision: String) {
        self.revision = Some(revision);
    }

    pub(super) async fn ask(&mut self, message: &str, id: &str) -> Result<Vec<u8>, Problem> {
        let mut response = self.post(message).await?;
        if let Some(session) = response.headers().get(SESSION) {
            self.id = session.to_str().ok().map(str::to_owned);
        }
        let stream = header(&response, CONTENT_TYPE.as_str()).starts_with("text/event-stream");
        let mut parser = Parser::default();
        let mut whole = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| down(&error.to_string()))?
        {
            if !stream {
                whole.extend_from_slice(&chunk);
                if whole.len() > MAX_MESSAGE {
                    return Err(too_large());
                }
                continue;
            }
            for event in parser.push(&chunk).map_err(|_| too_large())? {
                if answers(&event, id) {
                    return Ok(event.to_vec());
                }
            }
        }
        if stream {
            return Err(down("its stream ended without an answer"));
        }
        Ok(whole)
    }

    pub(super) async fn tell(&mut self, message: &str) -> Result<(), Problem> {
        self.post(message).await.map(drop)
    }

    pub(super) async fn end(self) {
        if self.id.is_some() {
            // A server that keeps the session ends it by itself.
            let _ = self.dress(self.client.delete(&self.url)).send().await;
        }
    }

    async fn post(&self, message: &str) -> Result<Response, Problem> {
        let request = self
            .client
            .post(&self.url)
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .body(message.to_owned());
        let sent = self.dress(request).send().await;
        // Its text names the URL, which is no secret; the bearer is in no error.
        let response = sent.map_err(|error| down(&error.to_string()))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Problem::new(
            Code::UpstreamProtocol,
            format!(
                "the tool server answered with HTTP status {}",
                response.status().as_u16()
            ),
            "if it wants a credential: bailiwick secret set, and register the server with it",
        ))
    }

    fn dress(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        if let Some(id) = &self.id {
            request = request.header(SESSION, id);
        }
        if let Some(revision) = &self.revision {
            request = request.header(VERSION, revision);
        }
        request
    }
}

fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn too_large() -> Problem {
    Problem::new(
        Code::AnswerTooLarge,
        format!("the tool server's answer is over {MAX_MESSAGE} bytes"),
        "split it into several servers",
    )
}
