//! The decision about a request through a connector: fences → task → scope → budget → stage → policy, as for a call. Scopes are asked for
//! the connector by its name, as for a server, and for the method as for a tool; `path` and `size` are its arguments.

use std::sync::Arc;

use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::json::{Limits, check};
use bailiwick_core::{Code, Effect, Problem, Timestamp, scope};
use bailiwick_policy::NO_FACTS;
use bailiwick_policy::act::{self, Act, Told};
use serde_json::json;

use super::decided::refused;
use super::observed::observed;
use super::refusals::{Refusal, fence_refusal, out_of_stage, uncovered};
use super::rows::Rows;
use super::{Decided, LocalDecider, MAX_ROUNDS};
use crate::caller::Caller;
use crate::egress::Connector;
use crate::policies::Compiled;
use crate::provenance::Judged;

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
}

impl LocalDecider {
    /// Decides one request. The caller must be in the live index already.
    pub async fn egress(&self, asked: &Egress<'_>) -> Decided {
        let started = self.clock.monotonic();
        for _ in 0..MAX_ROUNDS {
            let policy = self.policies.current(&self.replica).await;
            let rows = match self.rows_at(asked.caller, &asked.connector.row) {
                Ok(rows) => rows,
                Err(problem) => return refused(problem),
            };
            if matches!(&policy, Ok(compiled) if compiled.registry != rows.registry) {
                continue;
            }
            let now = self.clock.wall();
            let decision = self.egress_rows(asked, &rows, policy.as_deref(), now);
            return Decided {
                effect: asked.effect(),
                judged: Judged::default(),
                decision,
                view: Some(rows.view),
                server: Some(rows.server),
                tool: None,
                input: None,
                tried: None,
                observed: rows.rollout.observes(now),
                known: None,
                us: super::micros(self.clock.monotonic().saturating_sub(started)),
            };
        }
        refused(Problem::new(
            Code::ReplicaBehind,
            "the registry changes faster than policy can follow",
            "try again",
        ))
    }

    fn egress_rows(
        &self,
        asked: &Egress<'_>,
        rows: &Rows,
        policy: Result<&Compiled, &Problem>,
        now: Timestamp,
    ) -> Decision {
        let refuse = |(code, source, reason, fix): Refusal| {
            Decision::refused(code, source, reason, fix, rows.versions)
        };
        let text = json!({ "path": asked.path, "size": asked.size }).to_string();
        let arguments = check(text.as_bytes(), &Limits::ENVELOPE).ok();
        let Some(leaves) = arguments.as_ref().and_then(|text| text.leaves().ok()) else {
            let message = "the path cannot be read".to_owned();
            return refuse((Code::ArgumentsInvalid, "scope", message, String::new()));
        };
        let as_scopes_ask = scope::Call {
            server: asked.connector.name().as_str(),
            tool: asked.method,
            effect: asked.effect(),
            arguments: &leaves,
            resources: None,
        };
        let before = fence_refusal(rows)
            .or_else(|| self.task_refusal(rows))
            .or_else(|| uncovered(asked.caller, rows, &as_scopes_ask))
            .or_else(|| self.budget_refusal(rows, asked.effect(), false));
        if let Some(refusal) = before {
            return refuse(refusal);
        }
        let compiled = match policy {
            Ok(compiled) => compiled,
            Err(problem) => {
                let (message, help) = (problem.message.clone(), problem.help.clone());
                return refuse((problem.code, "policy", message, help));
            }
        };
        if let Some(refusal) = out_of_stage(rows, compiled.bundle.workflows(), &as_scopes_ask) {
            return refuse(refusal);
        }
        let decision = self.egress_said(asked, rows, compiled, now);
        if asked.count
            && decision.outcome == Outcome::Allow
            && let Some(refusal) = self.budget_refusal(rows, asked.effect(), true)
        {
            return refuse(refusal);
        }
        decision
    }

    /// What policy says of it, as far as it is enforced.
    fn egress_said(
        &self,
        asked: &Egress<'_>,
        rows: &Rows,
        compiled: &Compiled,
        now: Timestamp,
    ) -> Decision {
        let host = asked.connector.host();
        let input = [
            ("host", Told::Text(host)),
            ("port", Told::Number(asked.connector.port().into())),
            ("method", Told::Text(asked.method)),
            ("path", Told::Text(asked.path)),
            ("connector", Told::Text(asked.connector.name().as_str())),
            ("size", Told::Number(asked.size)),
        ];
        let bundle = Arc::clone(&compiled.bundle);
        let question = act::Asked {
            act: Act::Egress,
            principal: rows.view.agent.name.as_str(),
            resource: host,
            input: &input,
            task: &rows.view.task,
            chain: &rows.view.chain,
            usage: &self.budgets.usage(rows.view.task.id),
            now,
            performs: PERFORMS,
            facts: &NO_FACTS,
            versions: rows.versions,
        };
        let decision = bundle.decide_approved_act(&question, asked.discharged);
        if rows.rollout.observes(now) {
            observed(decision)
        } else {
            decision
        }
    }
}
