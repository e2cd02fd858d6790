//! Evidence of the simplest kind: a token that an operator made for one agent and one use.

use bailiwick_core::id::InstanceId;
use bailiwick_core::instance::Attestor;
use bailiwick_core::join_token::{JoinUse, PREFIX};
use bailiwick_core::selector::Selector;
use bailiwick_core::{Code, Secret, Timestamp};
use bailiwick_crypto::hash::sha256;
use bailiwick_store::{StoreError, Tx};

use super::{Shown, refused};
use crate::error::IdentityError;
use crate::registration::nearest;

/// Longest join token read.
const MAX_TOKEN: usize = 256;

/// Uses the token for the instance `by`. The agent is the one that the token names, and no other that would match.
pub(super) fn used(
    tx: &mut dyn Tx,
    token: &Secret<String>,
    by: InstanceId,
    now: Timestamp,
) -> Result<Shown, IdentityError> {
    let token = token.expose();
    let known = if token.starts_with(PREFIX) && token.len() <= MAX_TOKEN {
        // Looked up by digest: the comparison tells nothing about the token.
        tx.join_token_with(sha256(&[token.as_bytes()]))?
    } else {
        None
    };
    let known = known.ok_or_else(|| {
        refused(
            Code::TokenInvalid,
            "this is no join token of this node",
            "an operator makes one: `bailiwick join-token create --agent NAME`",
        )
    })?;
    if let Some(used) = &known.used {
        return Err(was_used(&format!("{} was used at {}", known.id, used.at)));
    }
    if now >= known.expires_at {
        return Err(refused(
            Code::TokenExpired,
            &format!("{} ended at {}", known.id, known.expires_at),
            "an operator makes another: `bailiwick join-token create --agent NAME`",
        ));
    }
    let selectors = vec![
        Selector::JoinAgent(known.agent.clone()),
        Selector::JoinId(known.id),
    ];
    let target = tx.agent(&known.agent)?.into_iter().collect();
    let agent = nearest(target, &selectors)?;
    let by = JoinUse {
        at: now,
        instance: by,
    };
    match tx.use_join_token(known.id, &by) {
        Err(StoreError::Refused { .. }) => {
            return Err(was_used(&format!("{} was used meanwhile", known.id)));
        }
        other => other?,
    }
    Ok(Shown {
        attestor: Attestor::JoinToken,
        subject: known.id.to_string(),
        run: None,
        selectors,
        agent,
    })
}

fn was_used(message: &str) -> IdentityError {
    refused(
        Code::TokenInvalid,
        message,
        "if that was not you, revoke the instance that it made: `bailiwick join-token list`",
    )
}
