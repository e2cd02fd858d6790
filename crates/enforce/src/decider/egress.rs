//! The decision about a request through a connector: fences → task → scope → budget → stage → policy, as for a call. Scopes are asked for
//! the connector by its name, as for a server, and for the method as for a tool; `path` and `size` are its arguments.

use std::sync::Arc;

use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::{Code, Effect, Problem, scope};
use bailiwick_policy::act::{Act, Told};
use serde_json::json;

use super::acts::{Doing, On};
use super::decided::Asked;
use super::refusals::{Refusal, fence_refusal, no_policy, out_of_stage, refuse, uncovered};
use super::rows::Rows;
use super::{Decided, LocalDecider};
use crate::caller::Caller;
use crate::egress::Connector;
use crate::policies::Compiled;

/// Kinds of duty that are performed for a request through a connector.
const PERFORMS: &[&str] = &["label", "max_bytes", "notify"];

/// A request to be decided on.
#[derive(Debug, Clone, Copy)]
pub struct Egress<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The upstream.
    pub connector: &'a Connector,
    /// The method.
    pub method: &'a str,
    /// The path in its one spelling.
    pub path: &'a str,
    /// Bytes of the body.
    pub size: u64,
    /// Tokens that an approval at hand discharges.
    pub discharged: &'a [String],
    /// Whether an allowed request is counted now.
    pub count: bool,
}

impl Egress<'_> {
    /// What a request with this method does: safe methods (RFC 9110 §9.2.1) read, all others write.
    pub fn effect(&self) -> Effect {
        match self.method {
            "GET" | "HEAD" | "OPTIONS" => Effect::Read,
            _ => Effect::Write,
        }
    }

    /// Why it is beyond what its task may do, or may do in its stage.
    pub(super) fn out_of_bounds(&self, rows: &Rows, compiled: &Compiled) -> Option<Refusal> {
        self.as_scopes_ask(rows, |call| {
            uncovered(self.caller, rows, call)
                .or_else(|| out_of_stage(rows, compiled.bundle.workflows(), call))
        })
    }

    /// Asks about it as scopes know calls.
    fn as_scopes_ask(
        &self,
        rows: &Rows,
        ask: impl FnOnce(&scope::Call<'_>) -> Option<Refusal>,
    ) -> Option<Refusal> {
        let text = json!({ "path": self.path, "size": self.size }).to_string();
        let arguments = check(text.as_bytes(), &Limits::ENVELOPE).ok();
        let Some(leaves) = arguments.as_ref().and_then(|text| text.leaves().ok()) else {
            let message = "the path cannot be read".to_owned();
            return Some((Code::ArgumentsInvalid, "scope", message, String::new()));
        };
        ask(&scope::Call {
            server: self.connector.name().as_str(),
            tool: self.method,
            effect: rows.effect,
            arguments: &leaves,
            resources: None,
        })
    }
}

impl LocalDecider {
    /// Decides one request. The caller must be in the live index already.
    pub async fn egress(&self, asked: &Egress<'_>) -> Decided {
        let rows = || {
            let rows = self.rows_at(asked.caller, &asked.connector.row)?;
            Ok(Rows {
                effect: asked.effect(),
                ..rows
            })
        };
        let decide = |rows: &Rows, policy: Result<&Compiled, &Problem>, _| {
            self.egress_rows(asked, rows, policy)
        };
        self.decided(rows, decide).await
    }

    fn egress_rows(
        &self,
        asked: &Egress<'_>,
        rows: &Rows,
        policy: Result<&Compiled, &Problem>,
    ) -> Asked {
        let refuse = |refusal| Asked::from(refuse(refusal, rows.versions));
        let before = fence_refusal(rows)
            .or_else(|| self.task_refusal(rows))
            .or_else(|| asked.as_scopes_ask(rows, |call| uncovered(asked.caller, rows, call)))
            .or_else(|| self.budget_refusal(rows, rows.effect, false));
        if let Some(refusal) = before {
            return refuse(refusal);
        }
        let compiled = match policy {
            Ok(compiled) => compiled,
            Err(problem) => return refuse(no_policy(problem)),
        };
        let workflows = compiled.bundle.workflows();
        let staged = asked.as_scopes_ask(rows, |call| out_of_stage(rows, workflows, call));
        if let Some(refusal) = staged {
            return refuse(refusal);
        }
        let known = Arc::new(self.known(&rows.view, asked.caller));
        let decision = self.egress_said(asked, &On::rows(rows, &compiled.bundle, &known));
        if asked.count
            && decision.outcome == Outcome::Allow
            && let Some(refusal) = self.budget_refusal(rows, rows.effect, true)
        {
            return refuse(refusal);
        }
        Asked {
            known: Some(known),
            ..decision.into()
        }
    }

    /// What policy says of it, as far as it is enforced.
    pub(super) fn egress_said(&self, asked: &Egress<'_>, on: &On<'_>) -> Decision {
        let host = asked.connector.host();
        let input = [
            ("host", Told::Text(host)),
            ("port", Told::Number(asked.connector.port().into())),
            ("method", Told::Text(asked.method)),
            ("path", Told::Text(asked.path)),
            ("connector", Told::Text(asked.connector.name().as_str())),
            ("size", Told::Number(asked.size)),
        ];
        let doing = Doing {
            act: Act::Egress,
            resource: host,
            input: &input,
            performs: PERFORMS,
            discharged: asked.discharged,
        };
        self.act(on, &doing)
    }
}
