//! The decision about a prompt or a resource: as for a call (fences → task → definition → scope → budget → policy), where scopes are
//! asked for `prompts/get` and `resources/read` with effect `read`, names that no tool can have, and policy for its built-in actions.

use std::sync::Arc;

use bailiwick_core::decision::{Decision, Outcome};
use bailiwick_core::json::{Leaves, Limits, check};
use bailiwick_core::name::{ServerName, ToolName};
use bailiwick_core::{Code, Effect, Problem, scope};
use bailiwick_policy::act::{Act, Told};
use serde_json::{Value, json};

use super::acts::{Doing, On};
use super::decided::{Asked, Known};
use super::refusals::{
    Refusal, definition_refusal, fence_refusal, no_policy, out_of_stage, refuse, uncovered,
};
use super::rows::Rows;
use super::{Decided, LocalDecider};
use crate::caller::Caller;
use crate::catalogue::LastShown;
use crate::policies::Compiled;

/// A prompt or resource to be decided on.
#[derive(Debug, Clone, Copy)]
pub struct Fetch<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The server.
    pub server: &'a ServerName,
    /// What is asked for.
    pub what: What<'a>,
    /// Whether it is counted now, if it is allowed. A look ahead counts nothing.
    pub count: bool,
}

/// What is fetched.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// A prompt.
    Prompt {
        /// The name that it is pinned under.
        pinned: &'a ToolName,
        /// The server's name for it.
        name: &'a str,
        /// The digest that this upstream session showed last, as of a call.
        shown: LastShown,
        /// Its arguments, for scopes.
        arguments: &'a Value,
    },
    /// A resource, or a template of resources.
    Resource {
        /// Its URI.
        uri: &'a str,
    },
}

impl<'a> What<'a> {
    /// The name that scopes cover it by.
    pub const fn method(self) -> &'static str {
        match self {
            Self::Prompt { .. } => "prompts/get",
            Self::Resource { .. } => "resources/read",
        }
    }

    fn pinned(self) -> Option<&'a ToolName> {
        match self {
            Self::Prompt { pinned, .. } => Some(pinned),
            Self::Resource { .. } => None,
        }
    }

    /// The arguments that scopes look at.
    fn arguments(self) -> String {
        match self {
            Self::Prompt {
                name, arguments, ..
            } => json!({ "name": name, "arguments": arguments }).to_string(),
            Self::Resource { uri } => json!({ "uri": uri }).to_string(),
        }
    }
}

/// A prompt or resource that is fetched for longer than its request is read.
#[derive(Debug, Clone)]
pub(crate) enum OwnedWhat {
    Prompt {
        pinned: ToolName,
        name: String,
        shown: LastShown,
        arguments: Value,
    },
    Resource {
        uri: String,
    },
}

impl From<What<'_>> for OwnedWhat {
    fn from(what: What<'_>) -> Self {
        match what {
            What::Prompt {
                pinned,
                name,
                shown,
                arguments,
            } => Self::Prompt {
                pinned: pinned.clone(),
                name: name.to_owned(),
                shown,
                arguments: arguments.clone(),
            },
            What::Resource { uri } => Self::Resource {
                uri: uri.to_owned(),
            },
        }
    }
}

impl OwnedWhat {
    pub(crate) fn as_what(&self) -> What<'_> {
        match self {
            Self::Prompt {
                pinned,
                name,
                shown,
                arguments,
            } => What::Prompt {
                pinned,
                name,
                shown: *shown,
                arguments,
            },
            Self::Resource { uri } => What::Resource { uri },
        }
    }

    pub(super) fn pinned(&self) -> Option<&ToolName> {
        self.as_what().pinned()
    }
}

impl Fetch<'_> {
    fn as_scopes_ask<'b>(&'b self, arguments: &'b Leaves<'b>) -> scope::Call<'b> {
        scope::Call {
            server: self.server.as_str(),
            tool: self.what.method(),
            effect: Effect::Read,
            arguments,
            resources: match &self.what {
                What::Prompt { .. } => None,
                What::Resource { uri } => Some(std::slice::from_ref(uri)),
            },
        }
    }
}

impl LocalDecider {
    /// Decides whether a prompt or resource may be fetched. The caller must be in the live index already.
    pub async fn fetch(&self, fetch: &Fetch<'_>) -> Decided {
        let rows = || self.reading(fetch.caller, fetch.server, fetch.what.pinned());
        let decide = |rows: &Rows, policy: Result<&Compiled, &Problem>, _| {
            self.fetch_rows(fetch, rows, policy)
        };
        self.decided(rows, decide).await
    }

    /// The decision about what needs a grant on the server and nothing more.
    pub fn admitted(&self, caller: &Caller, server: &ServerName) -> Result<Decided, Problem> {
        let view = self.admit(caller, server)?;
        let rows = self.reading(caller, server, None)?;
        let rows = Rows { view, ..rows };
        let asked = Asked {
            known: Some(Arc::new(self.known(&rows.view, caller))),
            ..Decision::allowed(rows.versions).into()
        };
        Ok(Decided {
            observed: false,
            ..asked.on(rows, self.clock.wall())
        })
    }

    /// Which of these may be shown in a list: those that would be allowed now. Nothing is counted.
    pub async fn visible(
        &self,
        caller: &Caller,
        server: &ServerName,
        listed: &[Option<What<'_>>],
    ) -> Vec<bool> {
        let Ok(policy) = self.policies.current(&self.replica).await else {
            return vec![false; listed.len()];
        };
        let Ok(view) = self.admit(caller, server) else {
            return vec![false; listed.len()];
        };
        let known = self.known(&view, caller);
        let may = |what: &Option<What<'_>>| {
            let what = (*what)?;
            let rows = self.reading(caller, server, what.pinned()).ok()?;
            let fetch = Fetch {
                caller,
                server,
                what,
                count: false,
            };
            let before = fence_refusal(&rows)
                .or_else(|| self.task_refusal(&rows))
                .or_else(|| pinned_refusal(&fetch, &rows))
                .is_some();
            let allowed = !before
                && within_scope(&fetch, &rows)
                && policy.registry == rows.registry
                && self.said(what, &rows, &policy, &known).outcome == Outcome::Allow;
            Some(allowed)
        };
        listed
            .iter()
            .map(|what| may(what).unwrap_or(false))
            .collect()
    }

    fn fetch_rows(
        &self,
        fetch: &Fetch<'_>,
        rows: &Rows,
        policy: Result<&Compiled, &Problem>,
    ) -> Asked {
        let refuse = |refusal| Asked::from(refuse(refusal, rows.versions));
        let before = fence_refusal(rows)
            .or_else(|| self.task_refusal(rows))
            .or_else(|| covered(fetch, rows, |_| None))
            .or_else(|| self.budget_refusal(rows, Effect::Read, false));
        if let Some(refusal) = before {
            return refuse(refusal);
        }
        let compiled = match policy {
            Ok(compiled) => compiled,
            Err(problem) => return refuse(no_policy(problem)),
        };
        if let Some(refusal) = in_stage(fetch, rows, compiled) {
            return refuse(refusal);
        }
        let known = Arc::new(self.known(&rows.view, fetch.caller));
        let decision = self.said(fetch.what, rows, compiled, &known);
        if fetch.count
            && decision.outcome == Outcome::Allow
            && let Some(refusal) = self.budget_refusal(rows, Effect::Read, true)
        {
            return refuse(refusal);
        }
        Asked {
            known: Some(known),
            ..decision.into()
        }
    }

    /// What policy says of it, as far as it is enforced.
    pub(super) fn said(
        &self,
        what: What<'_>,
        rows: &Rows,
        compiled: &Compiled,
        known: &Known,
    ) -> Decision {
        let (act, input) = match what {
            What::Prompt { name, .. } => (Act::Prompt, ("name", Told::Text(name))),
            What::Resource { uri } => (Act::ResourceRead, ("uri", Told::Text(uri))),
        };
        let input = [input];
        let doing = Doing::at(rows.server.name.as_str(), act, &input);
        self.act(&On::rows(rows, &compiled.bundle, known), &doing)
    }
}

/// Whether a scope covers it as far as a list can tell: of a prompt, the arguments are not known yet.
fn within_scope(fetch: &Fetch<'_>, rows: &Rows) -> bool {
    match fetch.what {
        What::Prompt { .. } => {
            let names = |scope: &scope::Scope| {
                scope.names_tool(fetch.server.as_str(), fetch.what.method(), Effect::Read)
            };
            names(&rows.view.task.scope) && fetch.caller.part().is_none_or(names)
        }
        What::Resource { .. } => {
            let text = fetch.what.arguments();
            let Ok(arguments) = check(text.as_bytes(), &Limits::ENVELOPE) else {
                return false;
            };
            arguments.leaves().is_ok_and(|leaves| {
                uncovered(fetch.caller, rows, &fetch.as_scopes_ask(&leaves)).is_none()
            })
        }
    }
}

/// Definition and scope do not cover it, or `more` does not.
fn covered(
    fetch: &Fetch<'_>,
    rows: &Rows,
    more: impl FnOnce(&scope::Call<'_>) -> Option<Refusal>,
) -> Option<Refusal> {
    let text = fetch.what.arguments();
    let arguments = check(text.as_bytes(), &Limits::ENVELOPE).ok();
    let leaves = arguments
        .as_ref()
        .and_then(|arguments| arguments.leaves().ok());
    let Some(leaves) = leaves else {
        let message = "the arguments cannot be read".to_owned();
        return Some((Code::ArgumentsInvalid, "scope", message, String::new()));
    };
    let asked = fetch.as_scopes_ask(&leaves);
    pinned_refusal(fetch, rows)
        .or_else(|| uncovered(fetch.caller, rows, &asked))
        .or_else(|| more(&asked))
}

/// Definition, scope or stage do not cover it.
pub(super) fn in_stage(fetch: &Fetch<'_>, rows: &Rows, compiled: &Compiled) -> Option<Refusal> {
    covered(fetch, rows, |asked| {
        out_of_stage(rows, compiled.bundle.workflows(), asked)
    })
}

/// A prompt is not as it was approved.
fn pinned_refusal(fetch: &Fetch<'_>, rows: &Rows) -> Option<Refusal> {
    match fetch.what {
        What::Prompt { pinned, shown, .. } => {
            definition_refusal((fetch.server, pinned), shown, rows)
        }
        What::Resource { .. } => None,
    }
}
