//! `authorization_details` of type `agent_task` (RFC 9396 §2): which task, how much of it, who may act next. Exactly one, and no member
//! that is not known (§5).

use bailiwick_core::id::TaskId;
use bailiwick_core::json::{Limits, check};
use bailiwick_core::name::WorkflowName;
use bailiwick_core::scope::{Draft, Wish, from_oauth};
use bailiwick_core::spiffe_id::SpiffeId;
use bailiwick_core::{Code, Fault};
use bailiwick_identity::exchange::TokenRefusal;
use serde::Deserialize;

use super::form::given;

/// The authorization details that name a task.
pub const DETAILS_TYPE: &str = "agent_task";

/// Bound on `authorization_details`.
const DETAILS: Limits = Limits {
    bytes: 48 << 10,
    depth: 10,
    members: 4_096,
    caseless: true,
};
const HELP: &str = "[{\"type\":\"agent_task\",\"task_id\":\"task_…\"}]";

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Details {
    #[serde(rename = "type")]
    kind: String,
    task_id: Option<TaskId>,
    scope: Option<Draft>,
    pub(super) may_act: Option<Next>,
    /// What a delegated task is for, in the client's words.
    pub(super) request: Option<String>,
    /// The workflow of a delegated task.
    pub(super) workflow: Option<WorkflowName>,
}

/// Who may act next.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    pub(super) sub: SpiffeId,
}

impl Details {
    pub(super) fn read(text: &str) -> Result<Self, TokenRefusal> {
        let text =
            check(text.as_bytes(), &DETAILS).map_err(|error| unusable(&error.to_string()))?;
        let parsed: Vec<Self> =
            serde_json::from_str(text.as_str()).map_err(|error| unusable(&error.to_string()))?;
        let mut parsed = parsed.into_iter();
        match (parsed.next(), parsed.next()) {
            (Some(one), None) if one.kind == DETAILS_TYPE => Ok(one),
            _ => Err(unusable("exactly one agent_task is needed")),
        }
    }

    /// Without any: everything is left to what else the request says.
    pub(super) fn none() -> Self {
        Self {
            kind: DETAILS_TYPE.to_owned(),
            task_id: None,
            scope: None,
            may_act: None,
            request: None,
            workflow: None,
        }
    }

    /// The task, which has to be named.
    pub(super) fn task(&self) -> Result<TaskId, TokenRefusal> {
        self.task_id.ok_or_else(|| unusable("`task_id` is missing"))
    }

    /// The task that is named, if one is.
    pub(super) fn named_task(&self) -> Option<TaskId> {
        self.task_id
    }

    /// How much is asked for: here exactly, or in words by `scope`; not both.
    pub(super) fn wish(&self, words: Option<&str>) -> Result<Wish, TokenRefusal> {
        match (given(words), &self.scope) {
            (None, draft) => Ok(Wish::from(draft.clone())),
            (Some(words), None) => {
                from_oauth(words)
                    .map(Wish::Words)
                    .map_err(|error| TokenRefusal {
                        error: "invalid_scope",
                        problem: error.problem(),
                    })
            }
            (Some(_), Some(_)) => Err(unusable("say `scope` here or as a parameter, not both")),
        }
    }

    /// Refuses what only a new task has.
    pub(super) fn only_for_token(&self) -> Result<(), TokenRefusal> {
        if self.request.is_some() || self.workflow.is_some() {
            return Err(unusable(
                "`request` and `workflow` belong to a task that is delegated",
            ));
        }
        Ok(())
    }
}

pub(super) fn unusable(why: &str) -> TokenRefusal {
    TokenRefusal::new(
        "invalid_authorization_details",
        Code::InvalidInput,
        why,
        HELP,
    )
}
