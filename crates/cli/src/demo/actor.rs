//! The agent as its script directs it: calls by id, answers, progress.

use std::time::Duration;

use bailiwick_core::Problem;
use serde_json::{Value, json};

use super::child::{Child, SOON};

/// One running agent.
pub(super) struct Actor {
    child: Child,
    /// What it said of its identity.
    pub(super) svid: Value,
    calls: u64,
}

impl Actor {
    /// Waits until the agent has an identity and a connection.
    pub(super) async fn ready(mut child: Child) -> Result<Self, Problem> {
        let said = child.hear(SOON, |line| line.get("svid").is_some()).await?;
        child.hear(SOON, |line| line.get("ready").is_some()).await?;
        Ok(Self {
            child,
            svid: said.get("svid").cloned().unwrap_or(Value::Null),
            calls: 0,
        })
    }

    /// Calls a tool and gives the answer.
    pub(super) async fn call(&mut self, tool: &str, arguments: &Value) -> Result<Value, Problem> {
        let id = self.begin(tool, arguments).await?;
        self.answer(id, SOON).await
    }

    /// Begins a call; its progress is reported.
    pub(super) async fn begin(&mut self, tool: &str, arguments: &Value) -> Result<u64, Problem> {
        self.calls += 1;
        let line = json!({"id": self.calls, "call": tool, "args": arguments, "progress": true});
        self.child.tell(&line).await?;
        Ok(self.calls)
    }

    /// The answer of a call.
    pub(super) async fn answer(&mut self, id: u64, within: Duration) -> Result<Value, Problem> {
        let is_answer =
            move |line: &Value| line.get("id") == Some(&json!(id)) && line.get("ok").is_some();
        self.child.hear(within, is_answer).await
    }

    /// The first progress of a call.
    pub(super) async fn progress(&mut self, id: u64) -> Result<Value, Problem> {
        let is_progress = move |line: &Value| {
            line.get("id") == Some(&json!(id)) && line.get("progress").is_some()
        };
        self.child.hear(SOON, is_progress).await
    }

    /// The process.
    pub(super) fn child(&self) -> &Child {
        &self.child
    }

    /// Lets it go.
    pub(super) async fn end(&mut self) {
        self.child.end().await;
    }
}

/// Whether an answer is a result.
pub(super) fn is_ok(answer: &Value) -> bool {
    answer.get("ok") == Some(&Value::Bool(true))
}

/// A member of an answer as text.
pub(super) fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer.get(name).and_then(Value::as_str).unwrap_or_default()
}
