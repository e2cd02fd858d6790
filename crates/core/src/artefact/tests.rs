//! What follows from reports about code.

use super::*;

const CODE: Digest = Digest([7; 32]);
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn report(kind: ReportKind, tool: &str) -> Report {
    Report {
        subject: ArtefactSubject::Code(CODE),
        kind,
        tool: tool.to_owned(),
        document: Digest([1; 32]),
        signer: None,
        scanned_at: None,
        open: Open::default(),
        accepted: 0,
        commits: Vec::new(),
        added_at: at(1_000),
        added_by: "ci".to_owned(),
    }
}

fn scan(tool: &str, ended: i64, high: u64) -> Report {
    Report {
        scanned_at: Some(at(ended)),
        open: Open {
            high,
            ..Open::default()
        },
        ..report(ReportKind::Sarif, tool)
    }
}

fn signed(report: Report) -> Report {
    Report {
        signer: Some(SignedBy {
            name: "ci".to_owned(),
            key: Digest([2; 32]),
        }),
        ..report
    }
}

#[test]
fn a_subject_is_an_executable_or_a_whole_commit() {
    for text in [
        format!("sha256:{}", "a".repeat(64)),
        format!("git:{COMMIT}"),
        format!("git:{}", "b".repeat(64)),
    ] {
        let subject: ArtefactSubject = text.parse().unwrap();
        assert_eq!(subject.to_string(), text);
        assert_eq!(
            serde_json::to_value(&subject).unwrap(),
            serde_json::json!(text)
        );
    }
    for text in [
        "",
        "git:",
        "git:0123abc",
        "git:main",
        "sha256:00",
        &format!("git:{}", COMMIT.to_uppercase()),
        &format!("git:{}", "b".repeat(63)),
        &"a".repeat(64),
    ] {
        assert!(text.parse::<ArtefactSubject>().is_err(), "{text}");
    }
}

#[test]
fn of_each_scanner_the_newest_scan_counts_and_all_scanners_together() {
    let reports = [scan("a", 10, 3), scan("a", 20, 1), scan("b", 15, 2)];
    let evidence = ArtefactEvidence::of(CODE, &reports, &[]);
    assert_eq!((evidence.open.high, evidence.scanned_at), (3, Some(at(20))));
    // In whichever order they came.
    let turned: Vec<Report> = reports.into_iter().rev().collect();
    assert_eq!(ArtefactEvidence::of(CODE, &turned, &[]), evidence);
}

/// Who may bring reports cannot wash away what a signed scan found by bringing a cleaner one.
#[test]
fn a_scan_that_nobody_signed_does_not_replace_a_signed_one() {
    let reports = [signed(scan("a", 10, 3)), scan("a", 20, 0)];
    let evidence = ArtefactEvidence::of(CODE, &reports, &[]);
    assert_eq!((evidence.open.high, evidence.scanned_at), (3, Some(at(10))));
    let newer = [signed(scan("a", 10, 3)), signed(scan("a", 20, 0))];
    assert_eq!(ArtefactEvidence::of(CODE, &newer, &[]).open.high, 0);
}

/// Nor can they make it look younger by a scan of another tool.
#[test]
fn signed_scans_are_as_old_as_the_newest_of_them() {
    let reports = [
        signed(scan("a", 10, 0)),
        signed(scan("b", 15, 0)),
        scan("c", 20, 1),
    ];
    let evidence = ArtefactEvidence::of(CODE, &reports, &[]);
    assert_eq!((evidence.open.high, evidence.scanned_at), (1, Some(at(15))));
}

#[test]
fn only_a_signed_provenance_leads_to_a_commit() {
    let built = |report: Report| Report {
        commits: vec![COMMIT.to_owned()],
        ..report
    };
    let submitted = [built(report(ReportKind::Slsa, "https://ci"))];
    assert!(commits_of(&submitted).is_empty());
    let evidence = ArtefactEvidence::of(CODE, &submitted, &[]);
    assert_eq!(evidence.provenance, Origin::Submitted);
    let sworn = [
        submitted[0].clone(),
        signed(built(report(ReportKind::Slsa, "https://ci"))),
    ];
    assert_eq!(commits_of(&sworn), BTreeSet::from([COMMIT]));
    let evidence = ArtefactEvidence::of(CODE, &sworn, &[scan("a", 5, 1)]);
    assert_eq!(evidence.provenance, Origin::Signed);
    assert_eq!((evidence.open.high, evidence.scanned_at), (1, Some(at(5))));
}

#[test]
fn of_what_nobody_spoke_nothing_is_known() {
    let nothing = ArtefactEvidence::nothing(CODE);
    assert!(nothing.is_empty());
    for kind in [ReportKind::Sarif, ReportKind::Slsa, ReportKind::Sbom] {
        let mut one = report(kind, "a");
        one.scanned_at = (kind == ReportKind::Sarif).then(|| at(1));
        let evidence = ArtefactEvidence::of(CODE, &[one], &[]);
        assert!(!evidence.is_empty(), "{kind:?}");
        assert!(!evidence.says_what(&nothing), "{kind:?}");
    }
    let later = ArtefactEvidence {
        version: 9,
        ..nothing.clone()
    };
    assert!(later.says_what(&nothing));
}
