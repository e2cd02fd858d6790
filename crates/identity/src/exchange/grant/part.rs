//! How much of its task a token carries.

use bailiwick_core::scope::{Scope, ScopeError};
use bailiwick_core::task::Task;
use bailiwick_core::{Code, Effect, Fault};
use bailiwick_crypto::token::task::MAX_GRANTS;

use super::Grant;
use crate::exchange::TokenRefusal;

impl Grant {
    /// What the token carries of the task's scope, and of the subject token's; and whether what escalates was left out of it, as it is
    /// where no key protects the token.
    pub(super) fn part(&self, task: &Task) -> Result<(Option<Scope>, bool), TokenRefusal> {
        let held = self
            .ask
            .from
            .as_ref()
            .filter(|from| !from.delegated)
            .and_then(|from| from.subject.grants())
            .map(|grants| task.scope.with_grants(grants.to_vec()))
            .transpose()
            .map_err(|error: ScopeError| TokenRefusal::of("invalid_scope", error.problem()))?;
        let whole = held.as_ref().unwrap_or(&task.scope);
        let part = self
            .ask
            .wish
            .part_of(whole)
            .map_err(|error| TokenRefusal::of("invalid_scope", error.problem()))?
            .or(held);
        let rest = match &self.ask.cnf {
            Some(_) => None,
            None => part
                .as_ref()
                .unwrap_or(&task.scope)
                .without(Effect::Escalate)
                .map_err(|error| TokenRefusal::of("invalid_scope", error.problem()))?,
        };
        let unescalated = rest.is_some();
        let part = rest.or(part);
        let bytes = part
            .as_ref()
            .and_then(|part| serde_json::to_vec(part.grants()).ok())
            .map_or(0, |json| json.len());
        if bytes > MAX_GRANTS {
            return Err(TokenRefusal::new(
                "invalid_scope",
                Code::ScopeTooLarge,
                format!("the grants take {bytes} bytes, and a token holds {MAX_GRANTS}"),
                "ask for the whole task's scope, or delegate a task of its own",
            ));
        }
        Ok((part, unescalated))
    }
}
