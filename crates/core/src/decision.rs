//! A decision: allow, deny or step-up, always with the reasons and with what would change it.

use serde::{Deserialize, Serialize};

use crate::{Code, Digest};

/// The three outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The call may go on, with the obligations performed.
    Allow,
    /// The call does not happen.
    Deny,
    /// The call waits for a person.
    StepUp,
}

impl Outcome {
    /// Snake-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::StepUp => "step_up",
        }
    }
}

/// Why, in one sentence, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Id of the policy, or the name of the check before policy (`fence`, `task`, `scope`, `budget`, `definition`).
    pub source: String,
    /// The policy's own words.
    pub reason: String,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// What a step-up asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// Approvals that are all needed (`approval:<who>`).
    pub all_of: Vec<String>,
    /// Approvals of which one is needed, because no unconditional permit exists.
    pub any_of: Vec<String>,
    /// How many different people must approve; at least 1.
    pub quorum: u32,
    /// Seconds for which an approval can be used.
    pub valid_s: u64,
    /// How many more calls alike a person may let through with the same answer; mostly none.
    #[serde(default, skip_serializing_if = "is_none_more")]
    pub standing: u32,
}

/// Whether an answer is for one call alone.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
pub(crate) const fn is_none_more(standing: &u32) -> bool {
    *standing == 0
}

/// A duty the enforcement point performs, such as `deliver:inject`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Obligation {
    /// `redact`, `max_ttl`, `max_bytes`, `rate`, `deliver`, `label` or `notify`.
    pub kind: String,
    /// Its argument.
    pub argument: String,
}

/// The state a decision was made on. With the input it replays byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Version of the policy bundle; none while none is published.
    pub bundle: Option<Digest>,
    /// Version of the task.
    pub task: u64,
    /// Newest fence known.
    pub fence_seq: u64,
    /// Newest change applied.
    pub replica_seq: u64,
}

/// The outcome for one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Allow, deny or step-up.
    pub outcome: Outcome,
    /// The code of a deny or step-up.
    pub code: Option<Code>,
    /// Why; at least one entry unless allowed by policy alone.
    pub reasons: Vec<Reason>,
    /// All satisfied policies, sorted.
    pub policies: Vec<String>,
    /// Duties, strictest per kind.
    pub obligations: Vec<Obligation>,
    /// What a step-up asks for; on an allow, the approvals it counts on and how many people they must come from.
    pub needs: Option<Needs>,
    /// Smallest changes that would allow it, in words: only in explanations, for those with the right to read them.
    pub would_allow: Vec<String>,
    /// What it was made on.
    pub versions: Versions,
    /// What would have been decided if policies in observe mode were enforced; none if that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_be: Option<Box<WouldBe>>,
}

/// What would be decided if policies in observe mode were enforced. It is recorded and has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WouldBe {
    /// Allow, deny or step-up.
    pub outcome: Outcome,
    /// The code of a deny or step-up.
    pub code: Option<Code>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// All satisfied policies, those in observe mode among them; sorted.
    pub policies: Vec<String>,
    /// Duties, strictest per kind.
    pub obligations: Vec<Obligation>,
    /// What a step-up asks for.
    pub needs: Option<Needs>,
}

impl Decision {
    /// An allow that no policy was asked for.
    pub const fn allowed(versions: Versions) -> Self {
        Self {
            outcome: Outcome::Allow,
            code: None,
            reasons: Vec::new(),
            policies: Vec::new(),
            obligations: Vec::new(),
            needs: None,
            would_allow: Vec::new(),
            versions,
            would_be: None,
        }
    }

    /// A refusal before policy was asked: fence, task, scope, budget or definition.
    pub fn refused(
        code: Code,
        source: &str,
        reason: String,
        fix: String,
        versions: Versions,
    ) -> Self {
        Self {
            outcome: Outcome::Deny,
            code: Some(code),
            reasons: vec![Reason {
                source: source.to_owned(),
                reason,
                fix,
            }],
            policies: Vec::new(),
            obligations: Vec::new(),
            needs: None,
            would_allow: Vec::new(),
            versions,
            would_be: None,
        }
    }
}
