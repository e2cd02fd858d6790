//! A refusal at the token endpoint: the RFC's error with our code.

use bailiwick_core::Fault;
use bailiwick_core::{Code, Problem};
use bailiwick_store::StoreError;

/// A refusal at the token endpoint: the RFC's error with our code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct TokenRefusal {
    /// `invalid_client`, `invalid_grant`, `invalid_scope`, `invalid_target`, `invalid_request`, `server_error`, … (RFC 6749 §5.2,
    /// RFC 8707 §2, RFC 9449 §5).
    pub error: &'static str,
    /// Code, message and help.
    pub problem: Problem,
}

impl TokenRefusal {
    /// A refusal made where no error type of its own is worth having.
    pub fn new(error: &'static str, code: Code, message: impl Into<String>, help: &str) -> Self {
        Self {
            error,
            problem: Problem::new(code, message, help),
        }
    }

    /// The refusal of a problem, where its code decides which error it is; `otherwise` for all other codes.
    pub fn of(otherwise: &'static str, problem: Problem) -> Self {
        let error = match problem.code {
            Code::DelegationWidening | Code::ScopeTooLarge | Code::ScopeEmpty => "invalid_scope",
            Code::ResourceUnknown => "invalid_target",
            Code::DelegationDepth | Code::DelegationLoop | Code::MayAct => "invalid_request",
            Code::DpopNonce => "use_dpop_nonce",
            Code::DpopProof => "invalid_dpop_proof",
            Code::Overloaded => "temporarily_unavailable",
            Code::Internal | Code::StoreUnavailable | Code::AuditUnavailable => "server_error",
            _ => otherwise,
        };
        Self { error, problem }
    }
}

impl From<StoreError> for TokenRefusal {
    fn from(error: StoreError) -> Self {
        Self::of("server_error", error.problem())
    }
}
