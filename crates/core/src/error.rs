//! The error taxonomy: one table of stable codes with their HTTP status and process exit code.
//!
//! Every error type of the workspace implements [`Fault`]; people see a [`Problem`]: what happened, why, what to do.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $exit:literal $doc:literal;)*) => {
        /// A stable, documented error code. The name never changes once released.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $doc] #[serde(rename = $name)] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable name, as it appears in answers, records and documents.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// HTTP status of an answer that carries this code.
            pub fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Exit code of a command that ends with this code (`docs/reference/exit-codes.md`).
            pub fn exit_code(self) -> u8 {
                match self { $(Self::$variant => $exit,)* }
            }
        }
    };
}

codes! {
    // request form
    InvalidInput        "invalid_input"         400 2 "A field of the request is missing or malformed.";
    BadFilter           "bad_filter"            400 2 "A condition of a search of the record is none; the message says which.";
    EnvelopeInvalid     "envelope_invalid"      400 2 "The JSON-RPC message is not one that every parser reads alike.";
    HeaderMismatch      "header_mismatch"       400 2 "An HTTP header contradicts the message body.";
    VersionUnsupported  "version_unsupported"   400 2 "A protocol revision that this node does not speak.";
    ArgumentsInvalid    "arguments_invalid"     400 2 "Tool arguments do not fit the pinned input schema.";
    TooLarge            "too_large"             413 2 "A body, header or value is over its bound.";
    HostRefused         "host_refused"          421 2 "The Host header names neither this node nor loopback.";
    OriginRefused       "origin_refused"        403 5 "A browser origin that is not listed.";
    SessionUnknown      "session_unknown"       404 6 "The MCP session does not exist for this caller.";
    MethodNotAllowed    "method_not_allowed"    405 2 "The path does not take this method.";
    // who is asking
    NotSignedIn         "not_signed_in"         401 5 "No usable credential came with the request.";
    NotPermitted        "not_permitted"         403 5 "The account's roles do not include this operation.";
    PeerIsAgent         "peer_is_agent"         403 5 "An agent may use neither the admin socket nor the API.";
    SecondPerson        "second_person_required" 403 5 "The beneficiary of a call may not approve it.";
    NoIdentity          "no_identity"           403 5 "No registered agent matches the selectors of this process.";
    LoginRefused        "login_refused"         401 5 "A person could not be signed in; the message says why.";
    LoginUnavailable    "login_unavailable"     502 4 "The OpenID provider cannot be reached, or says what cannot be believed.";
    ClientMetadata      "client_metadata"       401 5 "What a client publishes of itself cannot be had or used; the message says why.";
    TokenInvalid        "token_invalid"         401 5 "A token failed a check; the message says which.";
    TokenExpired        "token_expired"         401 5 "A token is past its `exp`.";
    TokenClass          "token_class"           401 5 "A token of another class than this endpoint accepts.";
    TokenUnbound        "token_unbound"         401 5 "An agent's token must be bound to its key.";
    KeyMismatch         "key_mismatch"          401 5 "The proof was made with another key than the token is bound to.";
    DpopProof           "dpop_proof"            401 5 "A DPoP proof is missing or malformed.";
    DpopNonce           "dpop_nonce"            401 5 "A DPoP proof needs a fresh nonce from this node.";
    ResourceUnknown     "resource_unknown"      400 2 "The requested resource is not one of this node's.";
    Revoked             "revoked"               401 5 "A fence stands on something in the caller's chain.";
    IssuerDown          "issuer_down"           503 4 "The keys of an outside issuer cannot be had, so its tokens prove nothing.";
    EpochOld            "epoch_old"             401 5 "A credential from before the store was restored.";
    // tasks and scope
    TaskEnded           "task_ended"            403 6 "The task is in an end state.";
    TaskExpired         "task_expired"          403 6 "The task is past its deadline.";
    ScopeExceeded       "scope_exceeded"        403 5 "No grant of the task covers the call.";
    ScopeTooLarge       "scope_too_large"       400 2 "A scope is over its limits; it is never cut short.";
    ScopeEmpty          "scope_empty"           400 2 "Nothing is left of the scope.";
    DelegationWidening  "delegation_widening"   400 5 "A delegated scope is wider than its parent's.";
    DelegationDepth     "delegation_depth"      400 5 "The delegation chain is too deep.";
    DelegationLoop      "delegation_loop"       400 5 "An instance occurs twice in a chain.";
    MayAct              "may_act"               400 5 "The token does not name its presenter as the one that may act next.";
    StageDenied         "stage_transition_denied" 403 5 "The workflow does not allow this change of stage.";
    BudgetExhausted     "budget_exhausted"      403 6 "The task's budget is used up.";
    RateLimited         "rate_limited"          429 6 "Policy lets this agent call the tool less often.";
    // decisions
    NoPermit            "no_permit"             403 1 "No policy permits the call.";
    Forbidden           "forbidden"             403 1 "A policy forbids the call.";
    UnsupportedObligation "unsupported_obligation" 403 1 "A duty that this enforcement point cannot perform.";
    StepUpRequired      "step_up_required"      403 1 "The call needs a person's approval.";
    ApprovalRequired    "approval_required"     403 1 "The call waits for a person; ask again later.";
    ApprovalDenied      "approval_denied"       403 1 "A person refused the call.";
    ApprovalExpired     "approval_expired"      403 1 "Nobody answered, or the answer was not used, in time.";
    ApprovalVoid        "approval_void"         403 6 "The approval no longer fits: task, definition, policy or fence changed.";
    ApprovalUsed        "approval_used"         409 6 "The approval has been used for its one call, or answered already.";
    ApprovalChanged     "approval_changed"      409 6 "What the approver saw is not what is true now.";
    // tools and upstreams
    ToolUnknown         "tool_unknown"          404 6 "No such tool is visible to this task.";
    ToolNew             "tool_new"              403 6 "The tool's definition has not been reviewed.";
    ToolChanged         "tool_changed"          403 6 "The tool's definition changed and waits for review.";
    ToolRejected        "tool_rejected"         403 6 "The tool's definition was rejected.";
    ToolRetired         "tool_retired"          403 6 "The server no longer offers the tool.";
    ServerUnknown       "server_unknown"        404 6 "No such tool server is registered.";
    ServerDown          "server_down"           502 4 "The tool server cannot be reached or does not start.";
    ServerBusy          "server_busy"           503 4 "The tool server's queue is full.";
    UpstreamTimeout     "upstream_timeout"      504 7 "The tool server did not answer in time; the call may have run.";
    UpstreamProtocol    "upstream_protocol"     502 4 "The tool server answered with something that is not MCP.";
    AnswerTooLarge      "answer_too_large"      502 4 "The answer is over its bound; the call has run.";
    AnswerWithheld      "answer_withheld"       502 4 "What policy wants taken out of the answer cannot be found in it; the call has run.";
    AskRefused          "ask_refused"           403 5 "The tool server asked the client for something it may not.";
    CallCut             "call_cut"              403 6 "A fence cut the call while it ran.";
    // credentials
    LeaseDenied         "lease_denied"          403 5 "The task may not lease this credential.";
    LeaseFinal          "lease_final"           409 6 "The lease has ended.";
    LeaseQuota          "lease_quota"           429 6 "As many leases live as may.";
    DeliveryForbidden   "delivery_forbidden"    403 5 "The credential is not handed over in this way.";
    BackendDown         "backend_down"          503 4 "The credential's backend does not answer.";
    BackendClockSkew    "backend_clock_skew"    503 4 "The backend's clock and ours are apart.";
    BackendReadOnly     "backend_read_only"     503 6 "The backend has seen a newer store than this one.";
    SealLocked          "seal_locked"           503 4 "The seal is not open, so secrets cannot be read.";
    // egress
    EgressDenied        "egress_denied"         403 5 "No rule of the connector allows the request, or there is no such connector.";
    EgressBadRequest    "egress_bad_request"    400 2 "A request that upstreams could read in more than one way; the message says which part.";
    EgressHostMismatch  "egress_host_mismatch"  421 2 "The host of the request is not the one that the connection is for.";
    EgressAddressBlocked "egress_address_blocked" 403 5 "The upstream's name leads to an address that is not dialled.";
    EgressUpstream      "egress_upstream"       502 4 "The upstream cannot be reached, or its answer cannot be passed on.";
    EgressUpstreamTls   "egress_upstream_tls"   502 4 "The upstream's TLS certificate does not verify.";
    EgressEncoded       "egress_encoded"        502 4 "The upstream encodes its answer though it was asked not to, so nothing in it can be found.";
    EgressTooLarge      "egress_too_large"      413 2 "A request, or its answer, is over the connector's bound.";
    EgressReflected     "egress_reflected"      502 1 "The upstream sent the credential back; its lease has ended.";
    RunTokenRequired    "run_token_required"    401 5 "The request does not show the run token of its launch.";
    // policy
    PolicyInvalid       "policy_invalid"        400 3 "The policy bundle does not parse, validate or pass its lint.";
    PolicyTestFailed    "policy_test_failed"    400 1 "A test beside the policy gave another outcome.";
    PolicyConflict      "policy_conflict"       409 6 "Another bundle was published meanwhile.";
    PolicyTampered      "policy_tampered"       503 6 "The stored policy is not what was published and signed; nothing is permitted.";
    PolicyError         "policy_error"          403 1 "A policy could not be evaluated; that never widens.";
    PolicyLimit         "policy_limit"          403 1 "Evaluation went over a bound.";
    // the record
    AuditUnavailable    "audit_unavailable"     503 4 "Nothing can be recorded, so nothing is granted.";
    EventTooLarge       "event_too_large"       413 2 "An event is over the size of a leaf; refused before acting.";
    LogCorrupt          "log_corrupt"           500 1 "The log is damaged before its last commit.";
    LogRolledBack       "log_rolled_back"       500 1 "The log was larger when a checkpoint of it was signed.";
    PayloadErased       "payload_erased"        410 6 "The event's values were erased; its commitments still stand.";
    PayloadNotKept      "payload_not_kept"      404 6 "The event's values were committed to, not kept.";
    Pruned              "pruned"                410 6 "The event is older than the log is kept.";
    Held                "held"                  409 6 "A legal hold keeps what should be erased or pruned.";
    LogAltered          "log_altered"           500 1 "A record or tile does not match the signed tree.";
    LogUnverifiable     "log_unverifiable"      500 6 "Data needed for the proof is missing.";
    LogFenced           "log_fenced"            500 4 "Another process writes this log.";
    LogEquivocation     "log_equivocation"      500 1 "The key of the log has signed two histories.";
    // the node
    ConfigInvalid       "config_invalid"        400 3 "The configuration cannot be used.";
    NotFound            "not_found"             404 6 "No such thing.";
    AlreadyExists       "already_exists"        409 6 "A thing of this name exists.";
    VersionConflict     "version_conflict"      412 6 "The thing was changed meanwhile.";
    Conflict            "conflict"              409 6 "The thing's state forbids this.";
    PortInUse           "port_in_use"           500 4 "A listener's address is taken.";
    DataDir             "data_dir"              500 3 "The data directory cannot be used.";
    NodeUnreachable     "node_unreachable"      503 4 "No node answers there.";
    StoreUnavailable    "store_unavailable"     503 4 "The store cannot commit.";
    FenceNotDurable     "fence_not_durable"     503 4 "The fence holds here but is not yet durable.";
    ReplicaBehind       "replica_behind"        503 4 "This enforcement point does not know the newest state.";
    ReevaluationBehind  "reevaluation_behind"   503 4 "Something above the call changed, and what is live is not decided again yet.";
    LeaseExpired        "lease_expired"         503 4 "This enforcement point has heard nothing valid from its node for longer than its lease; it denies everything.";
    FeedRegressed       "feed_regressed"        409 6 "The store is an older copy of what enforcement points have seen already.";
    Overloaded          "overloaded"            503 4 "A bounded queue is full; try again.";
    TimedOut            "timed_out"             504 7 "A wait reached its limit.";
    // posture
    ProcessGone         "process_gone"          404 6 "The process to be scanned has ended, or another has its number now.";
    ScanNotPermitted    "scan_not_permitted"    403 5 "This user may not read what is to be scanned.";
    RepoUnreadable      "repo_unreadable"       400 3 "What is to be scanned is no directory, or its objects cannot be listed.";
    RuleInvalid         "rule_invalid"          400 3 "A file of rules for scans cannot be read.";
    RuleFeatureUnsupported "rule_feature_unsupported" 400 3 "A file of rules needs what scans here do not do.";
    // the demo
    DemoStepFailed      "demo_step_failed"      500 1 "A step of the demo did not behave.";
    Internal            "internal"              500 70 "A defect of Bailiwick.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What every error type of the workspace can say beyond its message.
pub trait Fault: std::error::Error {
    /// The code from the one table.
    fn code(&self) -> Code;

    /// What the reader can do about it; one sentence, or empty when there is nothing to add.
    fn help(&self) -> String {
        String::new()
    }

    /// The form people and clients get. Sources are folded into the message so that no cause is lost.
    fn problem(&self) -> Problem
    where
        Self: Sized,
    {
        let mut message = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Problem {
            code: self.code(),
            message,
            help: self.help(),
        }
    }
}

/// An error as people and clients see it. It never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// What happened and why.
    pub message: String,
    /// What to do; empty when there is nothing to add.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
}

impl Problem {
    /// A problem made where no error type of its own is worth having.
    pub fn new(code: Code, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: help.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Fault for Problem {
    fn code(&self) -> Code {
        self.code
    }

    fn help(&self) -> String {
        self.help.clone()
    }
}

#[cfg(test)]
mod tests;
