//! What a scan reports: each secret printed with the deployment's key, linked, and made a finding or found again.

use std::collections::{BTreeMap, HashSet};

use bailiwick_core::event::{Event, EventType};
use bailiwick_core::finding::{Finding, FindingState, MAX_PLACES, Severity};
use bailiwick_core::id::FindingId;
use bailiwick_core::name::OwnerName;
use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_crypto::fingerprint::SecretDigest;
use bailiwick_store::{FindingFilter, MAX_PAGE, StoreError, Tx};

use super::linked::{self, Link, Shown, linked};
use crate::{Actor, Control, Operation};

/// Secrets of one report.
pub const MAX_SECRETS: usize = 1_000;
/// Longest name of a check, a key, a target or a place, in bytes.
const MAX_TEXT: usize = 512;
/// Public members of one secret.
const MAX_PUBLIC: usize = 16;
/// Findings of one target that a scan without them can close.
const MAX_UNSEEN: usize = 10_000;

/// What a scan found.
#[derive(Debug, Clone)]
pub struct Scan {
    /// `repo`, `process` or `host`.
    pub kind: String,
    /// Where it ran.
    pub host: String,
    /// What was scanned.
    pub target: String,
    /// Whether all of it was read: only then does what is missing count as gone.
    pub complete: bool,
    /// Who answers for what nobody else does.
    pub owner: OwnerName,
    /// Each secret once.
    pub secrets: Vec<Seen>,
}

/// One secret, without it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Its digest; it is not kept.
    pub digest: SecretDigest,
    /// The rule.
    pub check: String,
    /// How bad it is.
    pub severity: Severity,
    /// The name that stood before it.
    pub key: Option<String>,
    /// What its validator knows and may be shown.
    pub public: BTreeMap<String, String>,
    /// Where it lies.
    pub places: Vec<String>,
    /// In how many places.
    pub count: u64,
}

impl Control {
    /// Takes a report, and says of each secret, in its order, what it is to this node.
    pub async fn report_scan(&self, actor: &Actor, scan: Scan) -> Result<Vec<Shown>, Problem> {
        actor.may(Operation::WriteFindings)?;
        scan.check()?;
        let prints: Vec<String> = scan
            .secrets
            .iter()
            .map(|secret| self.parts.broker.print(&secret.digest).to_string())
            .collect();
        let event = self.change_event(
            EventType::ScanCompleted,
            actor,
            "scans.report",
            "scan",
            &scan.kind,
        );
        let (control, by, now) = (self.clone(), actor.on_record(), self.now());
        let shown = self
            .parts
            .store
            .write(move |tx| control.take_report(tx, &scan, &prints, (&by, now), event.clone()))
            .await
            .map_err(|error: StoreError| error.problem())?;
        self.settled().await?;
        Ok(shown)
    }

    fn take_report(
        &self,
        tx: &mut dyn Tx,
        scan: &Scan,
        prints: &[String],
        (by, now): (&str, Timestamp),
        mut event: Event,
    ) -> Result<Vec<Shown>, StoreError> {
        let mut shown = Vec::with_capacity(scan.secrets.len());
        let mut seen = HashSet::new();
        for (secret, print) in scan.secrets.iter().zip(prints) {
            let finding = match tx.finding_of(&secret.check, print)? {
                Some(mut finding) => {
                    finding.seen(now, by);
                    finding.places.clone_from(&secret.places);
                    finding.count = secret.count;
                    finding.target = scan.name();
                    finding.version += 1;
                    finding
                }
                None => self.new_finding(tx, scan, (secret, print), now)?,
            };
            tx.put_finding(&finding)?;
            seen.insert(finding.id);
            shown.push(linked(&*tx, finding, now)?);
        }
        let mut closed = 0_usize;
        if scan.complete {
            closed = unseen(tx, scan, &seen, (by, now))?;
        }
        if let Some(change) = &mut event.change {
            let foreign = shown.iter().filter(|it| it.link == Link::Foreign).count();
            change.after = Some(format!(
                "{} secrets, {foreign} foreign, {closed} closed, {}",
                shown.len(),
                if scan.complete {
                    "complete"
                } else {
                    "not complete"
                },
            ));
        }
        self.parts.journal.push(tx, &event)?;
        Ok(shown)
    }

    fn new_finding(
        &self,
        tx: &dyn Tx,
        scan: &Scan,
        (secret, print): (&Seen, &str),
        now: Timestamp,
    ) -> Result<Finding, StoreError> {
        let lease = linked::lease_of(tx, print)?;
        let agent = match &lease {
            Some(lease) => tx.agent(&lease.agent)?,
            None => None,
        };
        // What was handed to an agent lies there by right; what only the gateway may hold does not.
        let severity = match &lease {
            Some(lease) if !linked::is_injected(lease) => secret.severity.min(Severity::Medium),
            Some(_) => secret.severity.max(Severity::High),
            None => secret.severity,
        };
        let owner = agent.map_or_else(|| scan.owner.clone(), |agent| agent.owner);
        let found = (secret.check.as_str(), print);
        Ok(Finding {
            key: secret.key.clone(),
            public: secret.public.clone(),
            credential: lease.as_ref().map(|lease| lease.credential.clone()),
            task: lease.as_ref().map(|lease| lease.task),
            agent: lease.as_ref().map(|lease| lease.agent.clone()),
            lease: lease.map(|lease| lease.id),
            target: scan.name(),
            places: secret.places.clone(),
            count: secret.count,
            ..Finding::first(self.id(), found, severity, owner, now)
        })
    }
}

impl Scan {
    /// As findings name what was scanned.
    fn name(&self) -> String {
        format!("{} {} {}", self.kind, self.host, self.target)
    }

    fn check(&self) -> Result<(), Problem> {
        let fits = |text: &str| !text.is_empty() && text.len() <= MAX_TEXT;
        let well = fits(&self.kind)
            && fits(&self.host)
            && fits(&self.target)
            && self.secrets.len() <= MAX_SECRETS
            && self.secrets.iter().all(|secret| {
                let public = secret.public.iter();
                fits(&secret.check)
                    && secret.key.as_deref().is_none_or(fits)
                    && secret.places.len() <= MAX_PLACES
                    && secret.places.iter().all(|place| fits(place))
                    && secret.public.len() <= MAX_PUBLIC
                    && public
                        .into_iter()
                        .all(|(name, value)| fits(name) && fits(value))
            });
        if well {
            return Ok(());
        }
        Err(Problem::new(
            Code::InvalidInput,
            format!(
                "a report has at most {MAX_SECRETS} secrets, each with at most {MAX_PLACES} places and texts of at most {MAX_TEXT} bytes"
            ),
            "scan less at a time",
        ))
    }
}

/// Closes what was claimed to be replaced and is not there any more.
fn unseen(
    tx: &mut dyn Tx,
    scan: &Scan,
    seen: &HashSet<FindingId>,
    (by, now): (&str, Timestamp),
) -> Result<usize, StoreError> {
    let filter = FindingFilter {
        state: Some(FindingState::Remediating),
        target: Some(scan.name()),
    };
    let (mut closed, mut looked, mut after) = (0, 0, None);
    while looked < MAX_UNSEEN {
        let page = tx.findings(&filter, after, MAX_PAGE)?;
        looked += page.len();
        after = page.last().map(|finding| finding.id);
        let whole = page.len() < MAX_PAGE;
        for mut finding in page {
            if !seen.contains(&finding.id) && finding.unseen(now, by) {
                finding.version += 1;
                tx.put_finding(&finding)?;
                closed += 1;
            }
        }
        if whole {
            break;
        }
    }
    Ok(closed)
}
