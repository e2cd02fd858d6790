//! Events: what goes on record. The serde form of [`Event`], in field order and with empty members left out, is the body of
//! a leaf of the audit log; the recorder adds node, source and time (`docs/reference/audit-log.md`).
//!
//! Nothing secret, private or written by an agent stands in an event: such values are [`Sealed`], committed to and kept apart.

mod bounds;
mod kind;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::chain::Chain;
use crate::decision::{Decision, Obligation, Outcome as Verdict, Reason, Versions};
use crate::effect::Effect;
use crate::id::{ApprovalId, EventId, InstanceId, LeaseId, TaskId, TokenId};
use crate::label::Labels;
use crate::name::{AgentName, CredentialName, OwnerName, ServerName, StageName, ToolName};
use crate::risk::Risk;
use crate::task::Task;
pub use bounds::{LISTS, MAX_CHAIN, MAX_ITEM, MAX_LABELS};
pub use kind::EventType;

/// Lists in an event hold at most this many entries.
pub const MAX_LIST: usize = 16;
/// Strings in an event have at most this many bytes.
pub const MAX_STRING: usize = 512;

/// Where a sealed value can belong.
pub const SEALED_PATHS: [&str; 9] = [
    "/args",
    "/result",
    "/request",
    "/call_digest",
    "/shown",
    "/standing",
    "/reason",
    "/input",
    LISTS,
];

/// One event, before the recorder numbers and stamps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its id; a repeated id is the same event.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The acting agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// Who answers for the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<OwnerName>,
    /// Random pseudonym (`usr_…`) of the user on whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Account or unix user that acted on the API: `acct_…`, or `uid:N` over the admin socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskRef>,
    /// The delegation chain, presenter first, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<ChainRef>,
    /// The event that set this one off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EventId>,
    /// Events this one builds on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
    /// What was done or asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionRef>,
    /// The approval concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRef>,
    /// The lease concerned; never its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseRef>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What changed in a registry, policy or fence event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeRef>,
    /// Of lists that are longer than their bounds: how many items are left out here. The whole is sealed at [`LISTS`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, u64>,
    /// Values that are committed to but not in the clear. Not part of the serde form.
    #[serde(skip)]
    pub sealed: Vec<Sealed>,
}

impl Action {
    /// An operation by its name alone.
    pub fn named(op: impl Into<String>) -> Self {
        Self {
            op: op.into(),
            effect: None,
            server: None,
            tool: None,
            definition: None,
            request_id: None,
        }
    }
}

impl Event {
    /// An event with nothing but id and type; producers fill in the rest.
    pub fn new(id: EventId, kind: EventType) -> Self {
        Self {
            id,
            kind,
            agent: None,
            owner: None,
            user: None,
            actor: None,
            task: None,
            chain: Vec::new(),
            cause: None,
            parents: Vec::new(),
            action: None,
            decision: None,
            approval: None,
            lease: None,
            outcome: None,
            change: None,
            more: BTreeMap::new(),
            sealed: Vec::new(),
        }
    }
}

/// The acting agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRef {
    /// Its name.
    pub id: AgentName,
    /// The instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// SHA-256 of its executable, as attested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_digest: Option<Digest>,
}

/// The task an event belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// Its id.
    pub id: TaskId,
    /// Root of its tree.
    pub root: TaskId,
    /// Its parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskId>,
    /// Its version at that moment.
    pub version: u64,
    /// Its stage.
    pub stage: StageName,
    /// Its risk.
    pub risk: Risk,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

impl TaskRef {
    /// The task as it is now.
    pub fn of(task: &Task) -> Self {
        Self {
            id: task.id,
            root: task.root(),
            parent: task.parent,
            version: task.version,
            stage: task.stage.clone(),
            risk: task.risk,
            labels: task.labels.clone(),
        }
    }
}

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainRef {
    /// The agent.
    pub agent: AgentName,
    /// Its instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// Its task.
    pub task: TaskId,
    /// The token it showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<TokenId>,
}

impl ChainRef {
    /// All links of a chain, presenter first; `jti` is the token the presenter showed.
    pub fn list(chain: &Chain, jti: Option<TokenId>) -> Vec<Self> {
        let links = chain.links.iter().enumerate();
        links
            .map(|(at, link)| Self {
                agent: link.agent.clone(),
                instance: link.instance,
                task: link.task,
                jti: jti.filter(|_| at == 0),
            })
            .collect()
    }
}

/// What an event builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// How.
    pub role: ParentRole,
    /// The event.
    pub id: EventId,
}

/// How an event builds on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParentRole {
    /// The approval that let it run.
    Approval,
    /// The intent that this is the result of.
    Intent,
    /// The delegation it acts under.
    DelegatedBy,
    /// What triggered it.
    Trigger,
}

/// What was done or asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The operation: an MCP method, an API operation id, `attest`, `issue`, …
    pub op: String,
    /// Effect class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// The tool server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// The tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolName>,
    /// Digest of the tool's definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Digest>,
    /// JSON-RPC id or API request id, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// The decision on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRef {
    /// Allow, deny or step-up.
    pub effect: Verdict,
    /// Satisfied policies, at most [`MAX_LIST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    /// Sources of the reasons (policy ids or checks), at most [`MAX_LIST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Duties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obligations: Vec<Obligation>,
    /// What it was made on.
    pub versions: Versions,
    /// Microseconds it took.
    pub us: u64,
    /// What it would have been if policies in observe mode were enforced; none if that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_be: Option<WouldBeRef>,
    /// Whether it was enforced.
    #[serde(default, skip_serializing_if = "DecisionMode::is_enforce")]
    pub mode: DecisionMode,
    /// What the bundle that is tried beside the active one says, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<ShadowRef>,
}

impl DecisionRef {
    /// Of a decision that was enforced and took so many microseconds.
    pub fn of(decision: &Decision, us: u64) -> Self {
        let sources = |reasons: &[Reason]| {
            let sources = reasons.iter();
            sources.map(|reason| reason.source.clone()).collect()
        };
        Self {
            effect: decision.outcome,
            policies: decision.policies.clone(),
            reasons: sources(&decision.reasons),
            obligations: decision.obligations.clone(),
            versions: decision.versions,
            us,
            would_be: decision.would_be.as_ref().map(|would_be| WouldBeRef {
                effect: would_be.outcome,
                reasons: sources(&would_be.reasons),
            }),
            mode: DecisionMode::Enforce,
            shadow: None,
        }
    }
}

/// Whether a decision was enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionMode {
    /// It was.
    #[default]
    Enforce,
    /// What policy refused went through; `would_be` says what it was.
    Observe,
}

impl DecisionMode {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde's skip_serializing_if passes a reference"
    )]
    fn is_enforce(&self) -> bool {
        *self == Self::Enforce
    }
}

/// What a bundle says that is tried and not enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowRef {
    /// Its digest.
    pub bundle: Digest,
    /// Allow, deny or step-up.
    pub effect: Verdict,
    /// Sources of its reasons (policy ids or checks), at most [`MAX_LIST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// What would have been decided if policies in observe mode were enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldBeRef {
    /// Allow, deny or step-up.
    pub effect: Verdict,
    /// Sources of its reasons (policy ids or checks), at most [`MAX_LIST`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// An approval on record. Its call digest is sealed: a bare digest of arguments can be guessed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRef {
    /// Its id.
    pub id: ApprovalId,
    /// Accounts that answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
}

/// A lease on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRef {
    /// Its id.
    pub id: LeaseId,
    /// Its credential.
    pub credential: CredentialName,
    /// Whether the backend confirmed the step: `pending`, `confirmed` or `none`.
    pub remote: String,
}

/// How something ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How.
    pub status: Status,
    /// The code of a refusal or error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Microseconds from intent to result.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub us: u64,
    /// Bytes of the answer.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// Who says so.
    pub evidence: Evidence,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if passes a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// How something ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Done.
    Ok,
    /// The tool said no.
    Error,
    /// We said no.
    Refused,
    /// No answer in time.
    Timeout,
    /// A fence cut it.
    Cut,
    /// Not known: the node or the server went away.
    Unknown,
}

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// An enforcement point saw it.
    Observed,
    /// An agent or server told it.
    Claimed,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRef {
    /// Kind of thing: `agent`, `server`, `tool`, `policy`, `fence`, `account`, …
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Digest or short form of what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Digest or short form of what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A value that is committed to, and kept sealed beside the log if `keep` says so.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Where it belongs: one of [`SEALED_PATHS`].
    pub path: &'static str,
    /// What kind of data.
    pub class: SealedClass,
    /// The exact bytes.
    pub value: Vec<u8>,
    /// Whether the value is kept (sealed) or only committed to.
    pub keep: bool,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.path, self.value.len())
    }
}

/// What kind of data a sealed value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealedClass {
    /// A secret; never kept.
    Secret,
    /// Personal data.
    Pii,
    /// Arguments, results, requests.
    Content,
    /// Digests and the like.
    Meta,
}
