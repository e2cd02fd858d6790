//! A finding: a secret that a scan saw where it should not be, with who answers for it and until when (08 of the design). It is known by
//! a keyed print of the secret, never by the secret or a bare digest of it.
//!
//! Pure. A finding ends as fixed (with proof, or with somebody's word and a scan without it), accepted until a date, or dismissed; else it
//! ages.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::id::{FindingId, LeaseId, TaskId};
use crate::name::{AgentName, CredentialName, OwnerName};

/// Places that a finding lists; the others are counted.
pub const MAX_PLACES: usize = 20;
/// Steps of its history that it keeps, the newest; all are on record.
pub const MAX_STEPS: usize = 50;
/// Longest time for which one is accepted.
pub const MAX_ACCEPTED: Duration = Duration::from_hours(90 * 24);

/// How bad a find is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing to do by itself, as an encrypted private key.
    Info,
    /// Rarely of use to a thief.
    Low,
    /// Half of a pair, or of a test account.
    Medium,
    /// Authority over an account.
    High,
    /// Authority over much, or over a key.
    Critical,
}

impl Severity {
    /// As it is written in files and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// How long there is to remediate it.
    pub const fn due(self) -> Duration {
        Duration::from_hours(match self {
            Self::Critical => 24,
            Self::High => 7 * 24,
            Self::Medium => 30 * 24,
            Self::Low | Self::Info => 90 * 24,
        })
    }
}

/// Where a finding is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingState {
    /// Somebody has to do something.
    Open,
    /// Somebody does.
    Remediating,
    /// Its secret is of no use any more.
    Fixed,
    /// Borne until a date.
    Accepted,
    /// This check on this secret is no finding.
    Dismissed,
}

impl FindingState {
    /// Lower-case name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Remediating => "remediating",
            Self::Fixed => "fixed",
            Self::Accepted => "accepted",
            Self::Dismissed => "dismissed",
        }
    }
}

/// One step of a finding's life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What it is since.
    pub state: FindingState,
    /// Who: an account, `uid:N` or `system`.
    pub by: String,
    /// Why.
    pub note: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its id.
    pub id: FindingId,
    /// The rule that found it.
    pub check: String,
    /// The keyed print of the secret, `fp_…`; with the check it is unique.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// The name that stood before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What its validator knows and may be shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub public: BTreeMap<String, String>,
    /// The lease whose secret it is; none: it is not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseId>,
    /// The lease's credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialName>,
    /// The lease's task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// The lease's agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// Who answers for it.
    pub owner: OwnerName,
    /// What was scanned when it was seen last: kind, host and target.
    pub target: String,
    /// Where it lay then.
    pub places: Vec<String>,
    /// In how many places.
    pub count: u64,
    /// Where it is in its life.
    pub state: FindingState,
    /// When it was seen first; kept when it comes back.
    pub first_seen: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
    /// Until when it should be fixed.
    pub due_at: Timestamp,
    /// How often it came back after it had been fixed.
    pub reopened: u32,
    /// Until when it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_until: Option<Timestamp>,
    /// When somebody said that the secret was replaced where it was issued. Nobody has proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Timestamp>,
    /// When it was fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_at: Option<Timestamp>,
    /// Its newest steps, oldest first.
    pub history: Vec<Step>,
    /// Grows with each change; whoever stores it counts.
    pub version: u64,
}

/// A step that its state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the finding is {} already", .0.as_str())]
pub struct NotOpen(pub FindingState);

impl Finding {
    /// One that was seen just now, of nobody's lease: `subject` is the print of the secret that `check` found.
    pub fn first(
        id: FindingId,
        (check, subject): (&str, &str),
        severity: Severity,
        owner: OwnerName,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            check: check.to_owned(),
            subject: subject.to_owned(),
            severity,
            key: None,
            public: BTreeMap::new(),
            lease: None,
            credential: None,
            task: None,
            agent: None,
            owner,
            target: String::new(),
            places: Vec::new(),
            count: 0,
            state: FindingState::Open,
            first_seen: now,
            last_seen: now,
            due_at: now.plus(severity.due()),
            reopened: 0,
            accepted_until: None,
            claimed_at: None,
            fixed_at: None,
            history: Vec::new(),
            version: 1,
        }
    }

    /// Whether it waits for somebody at `now`: open, being remediated, or accepted until a date that has passed.
    pub fn is_open(&self, now: Timestamp) -> bool {
        match self.state {
            FindingState::Open | FindingState::Remediating => true,
            FindingState::Accepted => self.accepted_until.is_none_or(|until| now >= until),
            FindingState::Fixed | FindingState::Dismissed => false,
        }
    }

    /// Whether it waits longer than it should.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_open(now) && now > self.due_at
    }

    /// From when it was seen first until it was fixed.
    pub fn time_to_remediate(&self) -> Option<Duration> {
        let fixed = self.fixed_at?;
        (self.state == FindingState::Fixed).then(|| fixed.since(self.first_seen))
    }

    /// A scan saw it again. What was fixed, or accepted until before now, is open again; what was dismissed stays so.
    pub fn seen(&mut self, now: Timestamp, by: &str) {
        self.last_seen = now;
        let came_back = self.state == FindingState::Fixed;
        if came_back {
            self.reopened = self.reopened.saturating_add(1);
        }
        if came_back || (self.state == FindingState::Accepted && self.is_open(now)) {
            self.claimed_at = None;
            self.fixed_at = None;
            self.accepted_until = None;
            self.step(FindingState::Open, now, by, "seen again");
        }
    }

    /// A scan of the same target read everything and did not see it. Without a claim that says nothing about the secret.
    pub fn unseen(&mut self, now: Timestamp, by: &str) -> bool {
        let claimed = self.claimed_at.is_some() && self.is_open(now);
        if claimed {
            self.fix(
                now,
                now,
                by,
                "replaced, as was claimed, and not seen any more",
            );
        }
        claimed
    }

    /// It is fixed since `at`.
    pub fn fix(&mut self, at: Timestamp, now: Timestamp, by: &str, note: &str) {
        self.fixed_at = Some(at);
        self.step(FindingState::Fixed, now, by, note);
    }

    /// Somebody works on it.
    pub fn remediate(&mut self, now: Timestamp, by: &str, note: &str) -> Result<(), NotOpen> {
        self.open_at(now)?;
        self.step(FindingState::Remediating, now, by, note);
        Ok(())
    }

    /// Somebody says that the secret was replaced where it was issued.
    pub fn claim(&mut self, now: Timestamp, by: &str, note: &str) -> Result<(), NotOpen> {
        self.remediate(now, by, note)?;
        self.claimed_at = Some(now);
        Ok(())
    }

    /// It is borne until then.
    pub fn accept(
        &mut self,
        until: Timestamp,
        now: Timestamp,
        by: &str,
        note: &str,
    ) -> Result<(), NotOpen> {
        self.open_at(now)?;
        self.accepted_until = Some(until);
        self.step(FindingState::Accepted, now, by, note);
        Ok(())
    }

    /// This check on this secret is no finding.
    pub fn dismiss(&mut self, now: Timestamp, by: &str, note: &str) -> Result<(), NotOpen> {
        self.open_at(now)?;
        self.step(FindingState::Dismissed, now, by, note);
        Ok(())
    }

    fn open_at(&self, now: Timestamp) -> Result<(), NotOpen> {
        if self.is_open(now) {
            Ok(())
        } else {
            Err(NotOpen(self.state))
        }
    }

    fn step(&mut self, state: FindingState, at: Timestamp, by: &str, note: &str) {
        self.state = state;
        if self.history.len() >= MAX_STEPS {
            self.history.remove(0);
        }
        self.history.push(Step {
            at,
            state,
            by: by.to_owned(),
            note: note.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests;
