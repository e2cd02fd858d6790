//! Reports about the code that agents run, and what follows from them for each executable (08 of the design, *Artefact evidence*). Documents
//! come in, are read and verified here, and are not kept; that they came is on record.
//!
//! What follows is written in the transaction that brings the report, so enforcement points hear of it as of any other change, and what goes on is
//! decided again.

use bailiwick_core::Digest;
use bailiwick_core::artefact::{
    ArtefactEvidence, ArtefactSubject, MAX_BUILT, MAX_REPORTS, MAX_SUBJECTS, Report, SignedBy,
    commits_of,
};
use bailiwick_core::event::EventType;
use bailiwick_core::task::Task;
use bailiwick_core::time::Timestamp;
use bailiwick_core::{Code, Fault as _, Problem};
use bailiwick_crypto::hash::sha256;
use bailiwick_policy::{Evidence, Facts};
use bailiwick_posture::artefact::{Document, Signer, Unfit, read};
use bailiwick_store::{MAX_PAGE, Reads, StoreError, Tx};
use serde::Serialize;

use crate::tools::Refusal;
use crate::{Actor, Control, Operation};

/// How far a scan may end after now: clocks differ.
const SKEW: std::time::Duration = std::time::Duration::from_mins(5);
/// Name of what the evidence was computed with: the signers' keys and builders.
const SIGNERS: &str = "artefact_signers";

/// What is known of one subject.
#[derive(Debug, Serialize)]
pub struct Artefact {
    /// The subject.
    pub subject: ArtefactSubject,
    /// What follows for policy, if it is an executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<ArtefactEvidence>,
    /// The reports that count.
    pub reports: Vec<Report>,
    /// Executables that its reports count for, if it is a commit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub built: Vec<Digest>,
}

/// What became of a document.
#[derive(Debug, Serialize)]
pub struct Added {
    /// The subject, with it.
    #[serde(flatten)]
    pub artefact: Artefact,
    /// Why its signatures do not count, if it has some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsigned: Option<String>,
}

impl Control {
    /// Takes a document about a subject. `scanned_at` is when a scan ended that does not say so itself.
    pub async fn add_artefact(
        &self,
        actor: &Actor,
        subject: ArtefactSubject,
        document: Vec<u8>,
        scanned_at: Option<Timestamp>,
    ) -> Result<Added, Problem> {
        actor.may(Operation::WriteFindings)?;
        let (signers, about, now) = (self.parts.signers.clone(), subject.clone(), self.now());
        // A large document takes its time.
        let read = tokio::task::spawn_blocking(move || read(&document, &about, &signers));
        let document = read
            .await
            .map_err(|_| died())?
            .map_err(|error| unfit(&error))?;
        let reports = reports(&document, &subject, actor, (scanned_at, now))?;
        let mut event = self.change_event(
            EventType::ArtefactRecorded,
            actor,
            "artefacts.add",
            "artefact",
            &subject,
        );
        if let Some(change) = &mut event.change {
            change.after = Some(in_words(&document));
        }
        let control = self.clone();
        let artefact = self
            .parts
            .store
            .write(move |tx| {
                newer(&*tx, &subject, &reports)?;
                room(&*tx, &subject, &reports)?;
                for report in &reports {
                    tx.put_report(report)?;
                }
                control.follow(tx, &subject)?;
                control.parts.journal.push(tx, &event)?;
                Ok::<_, Refusal>(control.artefact_of(&*tx, &subject)?)
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await?;
        let unsigned = document.unsigned;
        Ok(Added { artefact, unsigned })
    }

    /// Forgets all reports about a subject.
    pub async fn remove_artefact(
        &self,
        actor: &Actor,
        subject: ArtefactSubject,
    ) -> Result<(), Problem> {
        actor.may(Operation::WriteFindings)?;
        let event = self.change_event(
            EventType::ArtefactRemoved,
            actor,
            "artefacts.remove",
            "artefact",
            &subject,
        );
        let control = self.clone();
        self.parts
            .store
            .write(move |tx| {
                // A provenance that goes no longer leads from its commits; evidence is of the executable itself.
                if tx.remove_reports(&subject)? == 0 {
                    return Err(Refusal::from(unknown(&subject)));
                }
                control.follow(tx, &subject)?;
                control.parts.journal.push(tx, &event)?;
                Ok(())
            })
            .await
            .map_err(Refusal::problem)?;
        self.settled().await
    }

    /// What is known of a subject.
    pub async fn artefact(
        &self,
        actor: &Actor,
        subject: ArtefactSubject,
    ) -> Result<Artefact, Problem> {
        actor.may(Operation::Read)?;
        let control = self.clone();
        let found = self
            .parts
            .store
            .read(move |rows| control.artefact_of(rows, &subject))
            .await;
        let found: Artefact = found.map_err(|error: StoreError| error.problem())?;
        if found.reports.is_empty() {
            return Err(unknown(&found.subject));
        }
        Ok(found)
    }

    /// A page of subjects with what is known of them, in order.
    pub async fn artefacts(
        &self,
        actor: &Actor,
        after: Option<ArtefactSubject>,
        limit: usize,
    ) -> Result<Vec<Artefact>, Problem> {
        actor.may(Operation::Read)?;
        let control = self.clone();
        let page = self.parts.store.read(move |rows| {
            let subjects = rows.artefact_subjects(after.as_ref(), limit)?;
            subjects
                .iter()
                .map(|subject| control.artefact_of(rows, subject))
                .collect::<Result<_, StoreError>>()
        });
        page.await.map_err(|error: StoreError| error.problem())
    }

    /// Computes all evidence anew if it was computed with other signers than the configuration has now: what a signer signed who is named no
    /// more counts as brought by somebody.
    pub async fn recheck_artefacts(&self) -> Result<(), StoreError> {
        let wanted = in_short(&self.parts.signers);
        let known = self.parts.store.read(|rows| rows.meta(SIGNERS)).await?;
        if known.as_deref() == Some(&wanted) {
            return Ok(());
        }
        let mut after = None;
        loop {
            let (control, from) = (self.clone(), after.take());
            let page = self.parts.store.write(move |tx| {
                let subjects = tx.artefact_subjects(from.as_ref(), MAX_PAGE)?;
                for subject in &subjects {
                    if let ArtefactSubject::Code(code) = subject {
                        control.follow_code(tx, *code)?;
                    }
                }
                Ok::<_, StoreError>(subjects)
            });
            let page = page.await?;
            if page.len() < MAX_PAGE {
                break;
            }
            after = page.into_iter().last();
        }
        self.parts
            .store
            .write(move |tx| tx.put_meta(SIGNERS, &wanted))
            .await
    }

    /// Writes what follows now for the executables that reports about a subject concern.
    fn follow(&self, tx: &mut dyn Tx, subject: &ArtefactSubject) -> Result<(), StoreError> {
        match subject {
            ArtefactSubject::Code(code) => self.follow_code(tx, *code),
            ArtefactSubject::Commit(commit) => {
                for code in tx.built_from(commit)? {
                    self.follow_code(tx, code)?;
                }
                Ok(())
            }
        }
    }

    fn follow_code(&self, tx: &mut dyn Tx, code: Digest) -> Result<(), StoreError> {
        let mut evidence = self.evidence_of(&*tx, code)?;
        let known = tx.artefact_evidence(code)?;
        let known = known.unwrap_or_else(|| ArtefactEvidence::nothing(code));
        if evidence.says_what(&known) {
            return Ok(());
        }
        evidence.version = known.version + 1;
        tx.put_artefact_evidence(&evidence)
    }

    fn evidence_of(&self, rows: &dyn Reads, code: Digest) -> Result<ArtefactEvidence, StoreError> {
        let own = self.reports_of(rows, &ArtefactSubject::Code(code))?;
        let mut of_commits = Vec::new();
        for commit in commits_of(&own) {
            let commit = ArtefactSubject::Commit(commit.to_owned());
            of_commits.extend(self.reports_of(rows, &commit)?);
        }
        Ok(ArtefactEvidence::of(code, &own, &of_commits))
    }

    /// The reports about a subject, each with its signer only as long as the configuration names that.
    fn reports_of(
        &self,
        rows: &dyn Reads,
        subject: &ArtefactSubject,
    ) -> Result<Vec<Report>, StoreError> {
        let mut reports = rows.reports(subject)?;
        for report in &mut reports {
            let counts = |by: &SignedBy| {
                let named = |signer: &Signer| signer.vouches(by, report.kind, &report.tool);
                self.parts.signers.iter().any(named)
            };
            let counts = report.signer.as_ref().is_some_and(counts);
            report.signer = report.signer.take().filter(|_| counts);
        }
        Ok(reports)
    }

    fn artefact_of(
        &self,
        rows: &dyn Reads,
        subject: &ArtefactSubject,
    ) -> Result<Artefact, StoreError> {
        let (evidence, built) = match subject {
            ArtefactSubject::Code(code) => (Some(self.evidence_of(rows, *code)?), Vec::new()),
            ArtefactSubject::Commit(commit) => (None, rows.built_from(commit)?),
        };
        Ok(Artefact {
            subject: subject.clone(),
            evidence,
            reports: self.reports_of(rows, subject)?,
            built,
        })
    }
}

/// What is known of the process that acts in a task, and of its code.
pub(crate) fn known_of(rows: &dyn Reads, task: &Task, now: Timestamp) -> Result<Facts, StoreError> {
    let instance = match task.instance {
        Some(id) => rows.instance(id)?,
        None => None,
    };
    let Some(code) = instance.and_then(|instance| instance.code()) else {
        return Ok(Facts::default());
    };
    let known = rows.artefact_evidence(code)?;
    let known = known.unwrap_or_else(|| ArtefactEvidence::nothing(code));
    Ok(Facts {
        evidence: Some(Evidence::of(&known, now)),
        ..Facts::default()
    })
}

/// The reports that a document makes.
fn reports(
    document: &Document,
    subject: &ArtefactSubject,
    actor: &Actor,
    (scanned_at, now): (Option<Timestamp>, Timestamp),
) -> Result<Vec<Report>, Problem> {
    let says = document.says.iter();
    let reports: Vec<Report> = says
        .map(|says| Report {
            subject: subject.clone(),
            kind: says.kind,
            tool: says.tool.clone(),
            document: document.digest,
            signer: document.signer.clone(),
            scanned_at: says
                .is_scan()
                .then(|| says.ended.or(scanned_at).unwrap_or(now)),
            open: says.open,
            accepted: says.accepted,
            commits: says.commits.clone(),
            added_at: now,
            added_by: actor.on_record(),
        })
        .collect();
    let late = |report: &Report| report.scanned_at.is_some_and(|end| end > now.plus(SKEW));
    if reports.iter().any(late) {
        return Err(Problem::new(
            Code::InvalidInput,
            "the scan ends in the future",
            "set the clock of the machine that scans",
        ));
    }
    Ok(reports)
}

/// That no scan takes the place of a later one: an old report that is brought again would make what was found since then go away.
fn newer(rows: &dyn Reads, subject: &ArtefactSubject, new: &[Report]) -> Result<(), Refusal> {
    let known = rows.reports(subject)?;
    for report in new {
        let same = known.iter().find(|old| old.place() == report.place());
        if let Some(later) = same.filter(|old| old.scanned_at > report.scanned_at) {
            let ended = later.scanned_at.unwrap_or_default();
            let message = format!(
                "a later scan of {subject} by {} is known, which ended at {ended}",
                later.tool
            );
            let help = "scan the code again, and bring that";
            return Err(Problem::new(Code::Conflict, message, help).into());
        }
    }
    Ok(())
}

/// That what is kept stays within its bounds.
fn room(rows: &dyn Reads, subject: &ArtefactSubject, new: &[Report]) -> Result<(), Refusal> {
    let full = |message: String| {
        Refusal::from(Problem::new(
            Code::Conflict,
            message,
            "bailiwick artefact remove SUBJECT forgets what no agent runs any more",
        ))
    };
    let known = rows.reports(subject)?;
    if known.is_empty() && rows.count_artefact_subjects()? >= MAX_SUBJECTS {
        return Err(full(format!(
            "there are reports about {MAX_SUBJECTS} subjects already"
        )));
    }
    let more = new
        .iter()
        .filter(|new| !known.iter().any(|old| old.place() == new.place()));
    if known.len() + more.count() > MAX_REPORTS {
        return Err(full(format!(
            "there are {MAX_REPORTS} reports about {subject} already"
        )));
    }
    for commit in new.iter().flat_map(|new| &new.commits) {
        let built = rows.built_from(commit)?;
        let is_new = !built
            .iter()
            .any(|code| ArtefactSubject::Code(*code) == *subject);
        if is_new && built.len() >= MAX_BUILT {
            return Err(full(format!(
                "{MAX_BUILT} executables were built from {commit} already"
            )));
        }
    }
    Ok(())
}

/// What a document says, for the record.
fn in_words(document: &Document) -> String {
    let by = document.signer.as_ref();
    let by = by.map_or_else(String::new, |signer| format!(", signed by {}", signer.name));
    let says = document.says.iter().map(|says| {
        let named = format!("{} {}", says.kind.as_str(), says.tool);
        if !says.is_scan() {
            return named;
        }
        format!(
            "{named}: {} critical, {} high",
            says.open.critical, says.open.high
        )
    });
    let says: Vec<String> = says.collect();
    format!("{}: {}{by}", document.digest, says.join("; "))
}

/// What evidence depends on beside reports.
fn in_short(signers: &[Signer]) -> String {
    let mut all: Vec<String> = signers
        .iter()
        .map(|one| {
            let builder = one.builder.as_deref().unwrap_or_default();
            format!("{} {} {builder}", one.name, one.key.digest())
        })
        .collect();
    all.sort_unstable();
    sha256(&[all.join("\n").as_bytes()]).to_string()
}

fn unfit(error: &Unfit) -> Problem {
    Problem::new(
        Code::InvalidInput,
        error.to_string(),
        "bailiwick artefact add takes the file as the scanner or builder wrote it",
    )
}

fn unknown(subject: &ArtefactSubject) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is no report about {subject}"),
        "bailiwick artefact add brings one",
    )
}

fn died() -> Problem {
    Problem::new(Code::Internal, "reading the document did not end", "")
}
