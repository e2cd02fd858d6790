//! Reports about code in SQL.

use bailiwick_core::Digest;
use bailiwick_core::artefact::{ArtefactEvidence, ArtefactSubject, Report};
use bailiwick_core::change::ChangeBody;

use super::view::{View, damaged, encode, page, signed, unsigned};
use crate::{Artefacts, ArtefactsMut, StoreError};

const REPORT: &str = "report";
const EVIDENCE: &str = "artefact evidence";

impl Artefacts for View<'_> {
    fn reports(&self, subject: &ArtefactSubject) -> Result<Vec<Report>, StoreError> {
        self.many(
            REPORT,
            "SELECT body FROM artefact_report WHERE subject = ?1 ORDER BY kind, tool, signer",
            [subject.to_string()],
        )
    }

    fn artefact_subjects(
        &self,
        after: Option<&ArtefactSubject>,
        limit: usize,
    ) -> Result<Vec<ArtefactSubject>, StoreError> {
        let subjects: Vec<String> = self.rows(
            "SELECT DISTINCT subject FROM artefact_report WHERE subject > ?1 OR ?1 IS NULL
             ORDER BY subject LIMIT ?2",
            (after.map(ToString::to_string), page(limit)),
            |row| row.get(0),
        )?;
        subjects
            .into_iter()
            .map(|text| text.parse().map_err(|error| damaged(REPORT, &error)))
            .collect()
    }

    fn count_artefact_subjects(&self) -> Result<u64, StoreError> {
        let count = self.row(
            "SELECT count(DISTINCT subject) FROM artefact_report",
            (),
            |row| row.get::<i64>(0),
        )?;
        Ok(count.map_or(0, unsigned))
    }

    fn built_from(&self, commit: &str) -> Result<Vec<Digest>, StoreError> {
        let codes: Vec<String> = self.rows(
            "SELECT DISTINCT subject FROM artefact_commit WHERE id = ?1 ORDER BY subject",
            [commit],
            |row| row.get(0),
        )?;
        codes
            .into_iter()
            .map(|text| text.parse().map_err(|error| damaged(REPORT, &error)))
            .collect()
    }

    fn artefact_evidence(&self, code: Digest) -> Result<Option<ArtefactEvidence>, StoreError> {
        self.one(
            EVIDENCE,
            "SELECT body FROM artefact_evidence WHERE code = ?1",
            [code.to_string()],
        )
    }

    fn all_artefact_evidence(&self) -> Result<Vec<ArtefactEvidence>, StoreError> {
        self.many(
            EVIDENCE,
            "SELECT body FROM artefact_evidence ORDER BY code",
            (),
        )
    }
}

impl ArtefactsMut for View<'_> {
    fn put_report(&mut self, report: &Report) -> Result<(), StoreError> {
        let subject = report.subject.to_string();
        let (kind, tool, signer) = report.place();
        let signer = signer.unwrap_or_default();
        self.execute(
            REPORT,
            &subject,
            "INSERT INTO artefact_report (subject, kind, tool, signer, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (subject, kind, tool, signer) DO UPDATE SET body = excluded.body",
            (&subject, kind.as_str(), tool, signer, encode(REPORT, report)?),
        )?;
        self.execute(
            REPORT,
            &subject,
            "DELETE FROM artefact_commit WHERE subject = ?1 AND tool = ?2 AND signer = ?3",
            (&subject, tool, signer),
        )?;
        for commit in &report.commits {
            self.execute(
                REPORT,
                &subject,
                "INSERT INTO artefact_commit (id, subject, tool, signer) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id, subject, tool, signer) DO NOTHING",
                (commit.as_str(), &subject, tool, signer),
            )?;
        }
        Ok(())
    }

    fn remove_reports(&mut self, subject: &ArtefactSubject) -> Result<u64, StoreError> {
        let subject = subject.to_string();
        self.execute(
            REPORT,
            &subject,
            "DELETE FROM artefact_commit WHERE subject = ?1",
            [&subject],
        )?;
        let removed = self.execute(
            REPORT,
            &subject,
            "DELETE FROM artefact_report WHERE subject = ?1",
            [&subject],
        )?;
        Ok(removed)
    }

    fn put_artefact_evidence(&mut self, evidence: &ArtefactEvidence) -> Result<(), StoreError> {
        let code = evidence.code.to_string();
        let stored = "SELECT version FROM artefact_evidence WHERE code = ?1";
        self.next_version(EVIDENCE, &code, stored, evidence.version)?;
        if evidence.is_empty() {
            self.execute(
                EVIDENCE,
                &code,
                "DELETE FROM artefact_evidence WHERE code = ?1",
                [&code],
            )?;
        } else {
            self.execute(
                EVIDENCE,
                &code,
                "INSERT INTO artefact_evidence (code, version, body) VALUES (?1, ?2, ?3)
                 ON CONFLICT (code) DO UPDATE SET version = excluded.version, body = excluded.body",
                (
                    &code,
                    signed(EVIDENCE, evidence.version)?,
                    encode(EVIDENCE, evidence)?,
                ),
            )?;
        }
        self.append(&code, ChangeBody::Evidence(evidence.clone()))
    }
}
