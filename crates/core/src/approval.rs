//! An approval: a person's answer to a step-up, bound to one call's digest, used at most once (07 of the design).

mod question;
mod standing;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decision::{Reason, is_none_more};
use crate::effect::Effect;
use crate::id::{ApprovalId, TaskId};
use crate::name::{AgentName, ToolRef, UserId};
use crate::risk::Risk;
use crate::{Code, Digest, Fault, Timestamp};

pub use question::Question;
pub use standing::{MAX_VARY, Standing};

/// A pending approval waits at most this long for an answer.
pub const MAX_PENDING: Duration = Duration::from_mins(30);
/// How long an approval can be used if policy does not say.
pub const DEFAULT_VALID: Duration = Duration::from_mins(5);

/// Where an approval is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalState {
    /// Waits for people.
    Pending,
    /// Enough people said yes; not used yet.
    Approved,
    /// Its one call ran.
    Consumed,
    /// Somebody said no.
    Denied,
    /// Nobody answered, or the answer was not used, in time.
    Expired,
    /// Task, definition, policy or a fence changed so that it no longer fits.
    Void,
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The account's name.
    pub account: String,
    /// Yes or no.
    pub approve: bool,
    /// In their words.
    pub reason: String,
    /// Digest of exactly what they were shown.
    pub shown_digest: Digest,
    /// When.
    pub at: Timestamp,
}

/// One approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// SHA-256 over the canonical call (task, chain, tool, definition, arguments, obligations).
    pub call_digest: Digest,
    /// The task that asks.
    pub task: TaskId,
    /// The agent that asks.
    pub agent: AgentName,
    /// The user of the task.
    pub user: UserId,
    /// The account that opened the task, if a person did; they cannot be the second person.
    pub opened_by: Option<String>,
    /// The tool.
    pub tool: ToolRef,
    /// What the call does.
    pub effect: Effect,
    /// Digest of the approved definition the call was decided on.
    pub definition: Digest,
    /// The arguments, exactly as they were received and would be sent.
    pub arguments: String,
    /// Why it was stopped.
    pub reasons: Vec<Reason>,
    /// Tokens that the approval discharges.
    pub discharges: Vec<String>,
    /// Risk of the task when it asked.
    pub risk: Risk,
    /// How many different people must say yes.
    pub quorum: u32,
    /// Answers so far.
    pub votes: Vec<Vote>,
    /// Where it is in its life.
    pub state: ApprovalState,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Pending: when it is too late to answer. Approved: when it is too late to use.
    pub expires_at: Timestamp,
    /// Seconds for which a yes can be used.
    pub valid_s: u64,
    /// How many more calls alike policy lets a yes be for.
    #[serde(default, skip_serializing_if = "is_none_more")]
    pub standing_at_most: u32,
    /// More calls that the yes is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// The approval whose yes was for this call too: nobody was asked about this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<ApprovalId>,
    /// Grows with each change.
    pub version: u64,
}

/// Why a vote or a use does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    /// It is not pending (vote) or not approved (use).
    #[error("the approval is {0:?}")]
    State(ApprovalState),
    /// Past its time.
    #[error("the approval ended at {0}")]
    Expired(Timestamp),
    /// The voter saw something else than what is true now.
    #[error("what was shown is not what would run now")]
    Changed,
    /// The same person, or one who benefits.
    #[error("{0} cannot answer this approval: {1}")]
    NotThisPerson(String, &'static str),
}

impl Fault for ApprovalError {
    fn code(&self) -> Code {
        match self {
            Self::State(ApprovalState::Denied) => Code::ApprovalDenied,
            Self::State(ApprovalState::Void) => Code::ApprovalVoid,
            Self::State(ApprovalState::Expired) | Self::Expired(_) => Code::ApprovalExpired,
            Self::State(_) => Code::ApprovalUsed,
            Self::Changed => Code::ApprovalChanged,
            Self::NotThisPerson(..) => Code::SecondPerson,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::State(ApprovalState::Pending) => "wait for an answer".to_owned(),
            Self::State(_) | Self::Expired(_) => {
                "let the agent call again; that asks anew".to_owned()
            }
            Self::Changed => "show the approval again and answer what it shows now".to_owned(),
            Self::NotThisPerson(..) => "ask another person with the approver role".to_owned(),
        }
    }
}

impl Approval {
    /// Counts a vote. One "no" denies; `quorum` different people's "yes" approves.
    pub fn vote(&mut self, vote: Vote) -> Result<(), ApprovalError> {
        self.expire(vote.at);
        if self.state != ApprovalState::Pending {
            return Err(ApprovalError::State(self.state));
        }
        if vote.approve
            && self.quorum > 1
            && self.opened_by.as_deref() == Some(vote.account.as_str())
        {
            return Err(ApprovalError::NotThisPerson(
                vote.account,
                "it opened the task",
            ));
        }
        if self
            .votes
            .iter()
            .any(|earlier| earlier.account == vote.account)
        {
            return Err(ApprovalError::NotThisPerson(
                vote.account,
                "it has answered already",
            ));
        }
        let (approve, at) = (vote.approve, vote.at);
        self.votes.push(vote);
        self.version = self.version.saturating_add(1);
        if !approve {
            self.state = ApprovalState::Denied;
        } else if self.votes.len() >= usize::try_from(self.quorum.max(1)).unwrap_or(usize::MAX) {
            self.state = ApprovalState::Approved;
            self.expires_at = at.plus(Duration::from_secs(self.valid_s));
        }
        Ok(())
    }

    /// Uses the approval for its one call.
    pub fn consume(&mut self, call_digest: Digest, now: Timestamp) -> Result<(), ApprovalError> {
        self.expire(now);
        if self.state != ApprovalState::Approved {
            return Err(ApprovalError::State(self.state));
        }
        if self.call_digest != call_digest {
            return Err(ApprovalError::Changed);
        }
        self.state = ApprovalState::Consumed;
        self.version = self.version.saturating_add(1);
        Ok(())
    }

    /// Makes it void, unless it ended before. True if that changed it.
    pub fn void(&mut self) -> bool {
        let live = matches!(self.state, ApprovalState::Pending | ApprovalState::Approved);
        if live {
            self.state = ApprovalState::Void;
            self.version = self.version.saturating_add(1);
        }
        live
    }

    /// Ends it if its time is over. True if that changed it.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        let over = matches!(self.state, ApprovalState::Pending | ApprovalState::Approved)
            && now >= self.expires_at;
        if over {
            self.state = ApprovalState::Expired;
            self.version = self.version.saturating_add(1);
        }
        over
    }
}

#[cfg(test)]
mod tests;
