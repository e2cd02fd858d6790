//! What a token hangs on: the key or certificate of the request, or none where that may be, and the token that it is exchanged from.

use bailiwick_core::Code;
use bailiwick_core::instance::Instance;
use bailiwick_core::risk::Risk;
use bailiwick_core::task::Task;
use bailiwick_crypto::token::task::MAX_PARENTS;

use super::Grant;
use crate::exchange::{Exchanged, TokenRefusal};

impl Grant {
    /// Whether the token that is exchanged still stands for what it was issued for.
    pub(super) fn check_subject(
        &self,
        from: &Exchanged,
        task: &Task,
        epoch: u64,
    ) -> Result<(), TokenRefusal> {
        let refuse = |code, message: &str, help: &str| {
            Err(TokenRefusal::new("invalid_request", code, message, help))
        };
        let subject = &from.subject;
        let Some(bound) = subject.bound() else {
            let message = "a token that is bound to nothing is not exchanged";
            return refuse(Code::TokenUnbound, message, "use it as it is");
        };
        if subject.epoch() != epoch {
            let message = "the subject token is from before the store was restored";
            return refuse(
                Code::EpochOld,
                message,
                "attest again and ask for a new token",
            );
        }
        if subject.parents().len() > MAX_PARENTS {
            let message = format!("a token is exchanged at most {MAX_PARENTS} times in a row");
            return refuse(
                Code::DelegationDepth,
                &message,
                "ask for a token of the task itself (client_credentials)",
            );
        }
        if from.delegated {
            return Ok(());
        }
        if subject.scope_digest() != task.scope_digest || subject.task() != task.id {
            let message = "the task's scope changed since the subject token was issued";
            return refuse(Code::TokenInvalid, message, "ask for a new token");
        }
        if Some(bound) != self.ask.cnf.as_ref() {
            let message =
                "the request shows another key or certificate than the subject token is bound to";
            let help = format!("the token is bound to {bound}");
            return refuse(Code::KeyMismatch, message, &help);
        }
        Ok(())
    }

    /// A token that no key protects is for clients that the operator named, and for tasks in which a stolen one does little.
    pub(super) fn check_binding(
        &self,
        instance: &Instance,
        task: &Task,
    ) -> Result<(), TokenRefusal> {
        if self.ask.cnf.is_some() {
            return Ok(());
        }
        let client = instance.client.as_ref();
        if client.is_none_or(|client| !self.unbound_clients.contains(client)) {
            return Err(TokenRefusal::new(
                "invalid_dpop_proof",
                Code::TokenUnbound,
                "the request has no DPoP proof, and tokens are bound to a key here",
                "send one DPoP header (RFC 9449 §4.1), or have an operator name the client: [oauth] unbound_clients",
            ));
        }
        if task.risk >= Risk::High {
            return Err(TokenRefusal::new(
                self.unfit(),
                Code::TokenUnbound,
                format!(
                    "task {} is of risk {}: its tokens are bound to a key",
                    task.id,
                    task.risk.as_str()
                ),
                "send one DPoP header (RFC 9449 §4.1)",
            ));
        }
        Ok(())
    }
}
