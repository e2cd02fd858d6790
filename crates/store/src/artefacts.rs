//! Reports about the code that agents run, and what follows from them.

use bailiwick_core::Digest;
use bailiwick_core::artefact::{ArtefactEvidence, ArtefactSubject, Report};

use crate::StoreError;

/// Reads of reports and evidence.
pub trait Artefacts {
    /// The reports about one subject, by kind, tool and signer.
    fn reports(&self, subject: &ArtefactSubject) -> Result<Vec<Report>, StoreError>;

    /// A page of subjects that there are reports about, in order, after the last one of the page before; at most [`crate::MAX_PAGE`].
    fn artefact_subjects(
        &self,
        after: Option<&ArtefactSubject>,
        limit: usize,
    ) -> Result<Vec<ArtefactSubject>, StoreError>;

    /// How many subjects there are reports about.
    fn count_artefact_subjects(&self) -> Result<u64, StoreError>;

    /// Executables that a provenance says were built from this commit, in order.
    fn built_from(&self, commit: &str) -> Result<Vec<Digest>, StoreError>;

    /// What is known of one executable.
    fn artefact_evidence(&self, code: Digest) -> Result<Option<ArtefactEvidence>, StoreError>;

    /// What is known of all executables, in order.
    fn all_artefact_evidence(&self) -> Result<Vec<ArtefactEvidence>, StoreError>;
}

/// Writes of reports and evidence.
pub trait ArtefactsMut {
    /// Stores a report in the place of an older one of the same kind, tool and signer about the same subject.
    fn put_report(&mut self, report: &Report) -> Result<(), StoreError>;

    /// Removes all reports about a subject; how many there were.
    fn remove_reports(&mut self, subject: &ArtefactSubject) -> Result<u64, StoreError>;

    /// Stores the next version of what is known of an executable; appends to the feed. What says nothing is not kept.
    fn put_artefact_evidence(&mut self, evidence: &ArtefactEvidence) -> Result<(), StoreError>;
}
