//! Findings: what scans report is linked to leases by its keyed print, kept with an owner and a due date, and closed with proof (08 of the
//! design, *Exposure scan*).
//!
//! Digests of secrets come in, are printed with the deployment's key, and are not kept. That a scan was reported is on record, also because
//! whoever reports one can test guesses.

mod linked;
mod reported;
mod standing;

use std::sync::Arc;

use bailiwick_core::event::EventType;
use bailiwick_core::fence::Subject;
use bailiwick_core::finding::{Finding, MAX_ACCEPTED, NotOpen};
use bailiwick_core::id::FindingId;
use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_store::{FindingFilter, StoreError};

use crate::revocation::{RevocationReport, Wait};
use crate::tools::Refusal;
use crate::{Actor, Control, Operation};
use linked::linked;
pub use linked::{Link, Shown};
pub use reported::{MAX_SECRETS, Scan, Seen};
pub use standing::Standing;

/// A reason has at most this many bytes.
const MAX_REASON: usize = 1_024;

impl Control {
    /// A page of findings, newest first, as they stand now.
    pub async fn findings(
        &self,
        actor: &Actor,
        after: Option<FindingId>,
        limit: usize,
    ) -> Result<Vec<Shown>, Problem> {
        actor.may(Operation::Read)?;
        let now = self.now();
        let found = self
            .parts
            .store
            .read(move |rows| {
                let page = rows.findings(&FindingFilter::default(), after, limit)?;
                page.into_iter()
                    .map(|finding| linked(rows, finding, now))
                    .collect::<Result<_, StoreError>>()
            })
            .await;
        found.map_err(|error: StoreError| error.problem())
    }

    /// One finding.
    pub async fn finding(&self, actor: &Actor, id: FindingId) -> Result<Shown, Problem> {
        actor.may(Operation::Read)?;
        self.shown(id).await
    }

    async fn shown(&self, id: FindingId) -> Result<Shown, Problem> {
        let now = self.now();
        let found = self
            .parts
            .store
            .read(move |rows| match rows.finding(id)? {
                Some(finding) => linked(rows, finding, now).map(Some),
                None => Ok(None),
            })
            .await;
        let found: Option<Shown> = found.map_err(|error: StoreError| error.problem())?;
        found.ok_or_else(|| unknown(id))
    }

    /// Ends the lease whose secret it is, and waits until that is dead. What is not ours nobody here can end.
    pub async fn fix_finding(
        &self,
        actor: &Actor,
        id: FindingId,
    ) -> Result<(Shown, RevocationReport), Problem> {
        actor.may(Operation::Revoke)?;
        let finding = self.shown(id).await?;
        let lease = match (&finding.link, finding.finding.lease) {
            (Link::OursLive, Some(lease)) => lease,
            (link, _) => {
                return Err(Problem::new(
                    Code::Conflict,
                    format!("{id} is {}: there is no lease to end", link.as_str()),
                    finding.fix.clone(),
                ));
            }
        };
        let (by, now) = (actor.on_record(), self.now());
        self.step(actor, id, "findings.fix", move |finding| {
            finding.remediate(now, &by, "its lease is ended")
        })
        .await?;
        let reason = format!("its secret was found where it should not be: {id}");
        let report = self
            .revoke(actor, vec![Subject::Lease(lease)], reason, Wait::Dead)
            .await?;
        Ok((self.shown(id).await?, report))
    }

    /// Somebody's word that a secret was replaced where it was issued. A complete scan without it closes the finding.
    pub async fn claim_rotated(
        &self,
        actor: &Actor,
        id: FindingId,
        note: String,
    ) -> Result<Shown, Problem> {
        actor.may(Operation::WriteFindings)?;
        let note = said(&note)?;
        let (by, now) = (actor.on_record(), self.now());
        self.step(actor, id, "findings.rotated", move |finding| {
            finding.claim(now, &by, &note)
        })
        .await
    }

    /// Bears it until a date, at most 90 days.
    pub async fn accept_finding(
        &self,
        actor: &Actor,
        id: FindingId,
        until: Timestamp,
        reason: String,
    ) -> Result<Shown, Problem> {
        actor.may(Operation::WriteFindings)?;
        let reason = said(&reason)?;
        let now = self.now();
        if until <= now || until > now.plus(MAX_ACCEPTED) {
            return Err(Problem::new(
                Code::InvalidInput,
                "a finding is accepted until a date within 90 days",
                "give a date in the future, at most 90 days away",
            ));
        }
        let by = actor.on_record();
        self.step(actor, id, "findings.accept", move |finding| {
            finding.accept(until, now, &by, &reason)
        })
        .await
    }

    /// Says that this check on this secret is no finding, here or elsewhere.
    pub async fn dismiss_finding(
        &self,
        actor: &Actor,
        id: FindingId,
        reason: String,
    ) -> Result<Shown, Problem> {
        actor.may(Operation::WriteFindings)?;
        let reason = said(&reason)?;
        let (by, now) = (actor.on_record(), self.now());
        self.step(actor, id, "findings.dismiss", move |finding| {
            finding.dismiss(now, &by, &reason)
        })
        .await
    }

    async fn step(
        &self,
        actor: &Actor,
        id: FindingId,
        op: &'static str,
        step: impl Fn(&mut Finding) -> Result<(), NotOpen> + Send + 'static,
    ) -> Result<Shown, Problem> {
        let event = self.change_event(EventType::FindingChanged, actor, op, "finding", &id);
        let (journal, now) = (Arc::clone(&self.parts.journal), self.now());
        let shown = self
            .parts
            .store
            .write(move |tx| {
                let stored = tx.finding(id)?.ok_or_else(|| Refusal::from(unknown(id)))?;
                let mut finding = linked(&*tx, stored, now)?.finding;
                let before = finding.state;
                step(&mut finding).map_err(|error| {
                    let help = "bailiwick finding show says how it ended";
                    Refusal::from(Problem::new(Code::Conflict, error.to_string(), help))
                })?;
                finding.version += 1;
                tx.put_finding(&finding)?;
                let mut event = event.clone();
                if let Some(change) = &mut event.change {
                    change.before = Some(before.as_str().to_owned());
                    change.after = Some(finding.state.as_str().to_owned());
                }
                journal.push(tx, &event)?;
                Ok::<_, Refusal>(linked(&*tx, finding, now)?)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        Ok(shown)
    }
}

fn said(reason: &str) -> Result<String, Problem> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON {
        return Err(Problem::new(
            Code::InvalidInput,
            "say why, in at most 1,024 bytes",
            "--reason TEXT",
        ));
    }
    Ok(reason.to_owned())
}

fn unknown(id: FindingId) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is no {id}"),
        "bailiwick finding list",
    )
}
