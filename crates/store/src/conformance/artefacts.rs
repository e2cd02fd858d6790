//! Reports about code.

use bailiwick_core::Digest;
use bailiwick_core::artefact::{
    ArtefactEvidence, ArtefactSubject, Open, Report, ReportKind, SignedBy,
};
use bailiwick_core::change::ChangeBody;

use super::fixture::{at, read, write};
use crate::{Store, StoreError};

const CODE: Digest = Digest([7; 32]);
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn report(kind: ReportKind, tool: &str, signed: bool) -> Report {
    Report {
        subject: ArtefactSubject::Code(CODE),
        kind,
        tool: tool.to_owned(),
        document: Digest([1; 32]),
        signer: signed.then(|| SignedBy {
            name: "ci".to_owned(),
            key: Digest([2; 32]),
        }),
        scanned_at: (kind == ReportKind::Sarif).then(|| at(5)),
        open: Open::default(),
        accepted: 0,
        commits: Vec::new(),
        added_at: at(6),
        added_by: "ci".to_owned(),
    }
}

/// Of each kind, tool and signer one report is kept, the newest; commits lead to what was built from them; what says nothing is not kept.
pub(crate) async fn artefacts(store: &Store) {
    let (subject, other) = (
        ArtefactSubject::Code(CODE),
        ArtefactSubject::Commit(COMMIT.to_owned()),
    );
    let mut built = report(ReportKind::Slsa, "https://ci", true);
    built.commits = vec![COMMIT.to_owned(), "f".repeat(40)];
    let newer = Report {
        accepted: 3,
        ..report(ReportKind::Sarif, "a", false)
    };
    let of_commit = Report {
        subject: other.clone(),
        ..report(ReportKind::Sarif, "a", false)
    };
    let all = [
        report(ReportKind::Sarif, "a", false),
        newer.clone(),
        report(ReportKind::Sarif, "a", true),
        built.clone(),
        of_commit.clone(),
    ];
    write(store, move |tx| {
        all.iter().try_for_each(|one| tx.put_report(one))
    })
    .await
    .unwrap();
    let about = subject.clone();
    assert_eq!(
        read(store, move |db| db.reports(&about)).await,
        [newer, report(ReportKind::Sarif, "a", true), built.clone()]
    );
    let about = other.clone();
    assert_eq!(read(store, move |db| db.reports(&about)).await, [of_commit]);
    let pages = |after: Option<ArtefactSubject>| {
        read(store, move |db| db.artefact_subjects(after.as_ref(), 1))
    };
    assert_eq!(pages(None).await, std::slice::from_ref(&other));
    let next = pages(Some(other.clone())).await;
    assert_eq!(next, std::slice::from_ref(&subject));
    assert_eq!(pages(Some(subject.clone())).await, []);
    assert_eq!(read(store, |db| db.count_artefact_subjects()).await, 2);
    assert_eq!(read(store, |db| db.built_from(COMMIT)).await, [CODE]);
    // A newer provenance names other commits.
    built.commits = vec!["f".repeat(40)];
    write(store, move |tx| tx.put_report(&built)).await.unwrap();
    assert_eq!(read(store, |db| db.built_from(COMMIT)).await, []);
    assert_eq!(
        read(store, |db| db.built_from(&"f".repeat(40))).await,
        [CODE]
    );

    let evidence = |version: u64, sbom: bool| ArtefactEvidence {
        sbom,
        version,
        ..ArtefactEvidence::nothing(CODE)
    };
    let put = |one: ArtefactEvidence| write(store, move |tx| tx.put_artefact_evidence(&one));
    put(evidence(1, true)).await.unwrap();
    let stale = put(evidence(1, true)).await.unwrap_err();
    assert!(
        matches!(stale, StoreError::VersionConflict { stored: 1, .. }),
        "{stale}"
    );
    assert_eq!(
        read(store, |db| db.all_artefact_evidence()).await,
        [evidence(1, true)]
    );
    put(evidence(2, false)).await.unwrap();
    assert_eq!(read(store, |db| db.artefact_evidence(CODE)).await, None);
    let changes = read(store, |db| db.changes(0, 9)).await;
    let bodies: Vec<ChangeBody> = changes.into_iter().map(|change| change.body).collect();
    assert_eq!(
        bodies,
        [evidence(1, true), evidence(2, false)].map(ChangeBody::Evidence)
    );

    let gone = subject.clone();
    let removed = write(store, move |tx| tx.remove_reports(&gone)).await;
    assert_eq!(removed.unwrap(), 3);
    assert_eq!(read(store, move |db| db.reports(&subject)).await, []);
    assert_eq!(read(store, |db| db.built_from(&"f".repeat(40))).await, []);
    assert_eq!(read(store, |db| db.count_artefact_subjects()).await, 1);
}
