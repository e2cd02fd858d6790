//! Reports about code, and what follows from them.

use std::time::Duration;

use bailiwick_core::account::Role;
use bailiwick_core::artefact::{ArtefactSubject, MAX_REPORTS, Origin};
use bailiwick_core::change::ChangeBody;
use bailiwick_core::event::EventType;
use bailiwick_core::{Code, Digest};
use serde_json::{Value, json};

use super::bench_node::{Bench, admin, person};

const CODE: ArtefactSubject = ArtefactSubject::Code(Digest([7; 32]));
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn scan(tool: &str, errors: usize) -> Vec<u8> {
    let results: Vec<Value> = vec![json!({"level": "error"}); errors];
    json!({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": tool}}, "results": results}]})
        .to_string()
        .into_bytes()
}

fn provenance() -> Vec<u8> {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "agent", "digest": {"sha256": Digest([7; 32]).to_hex()}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {"resolvedDependencies": [{"uri": "git+https://git.example/a", "digest": {"gitCommit": COMMIT}}]},
            "runDetails": {"builder": {"id": "https://ci.example"}},
        },
    })
    .to_string()
    .into_bytes()
}

/// What enforcement points were told of it, oldest first.
async fn told(bench: &Bench) -> Vec<(u64, Origin, bool)> {
    let changes = bench.store.read(|rows| rows.changes(0, 100)).await.unwrap();
    let told = changes.into_iter().filter_map(|change| match change.body {
        ChangeBody::Evidence(known) => {
            assert!(change.event.is_some(), "it names what told of it");
            Some((known.open.high, known.provenance, known.is_empty()))
        }
        _ => None,
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reports_say_reaches_enforcement_points_once_it_changes_something() {
    let (bench, admin) = (Bench::new().await, admin());
    let add = |subject: ArtefactSubject, document: Vec<u8>| {
        bench.control.add_artefact(&admin, subject, document, None)
    };
    let added = add(CODE, scan("a", 2)).await.unwrap();
    assert_eq!(added.artefact.evidence.unwrap().open.high, 2);
    add(CODE, provenance()).await.unwrap();
    // What nobody signed leads from no commit.
    let commit = ArtefactSubject::Commit(COMMIT.to_owned());
    let added = add(commit.clone(), scan("b", 5)).await.unwrap();
    assert_eq!(added.artefact.built, [Digest([7; 32])]);
    bench.later(Duration::from_secs(1));
    add(CODE, scan("a", 0)).await.unwrap();
    let shown = bench.control.artefact(&admin, CODE).await.unwrap();
    assert_eq!(shown.reports.len(), 2);
    bench.control.remove_artefact(&admin, CODE).await.unwrap();
    assert_eq!(
        told(&bench).await,
        [
            (2, Origin::None, false),
            (2, Origin::Submitted, false),
            (0, Origin::Submitted, false),
            (0, Origin::None, true),
        ]
    );
    let gone = bench.control.artefact(&admin, CODE).await.unwrap_err();
    assert_eq!(gone.code, Code::NotFound);
    let twice = bench.control.remove_artefact(&admin, CODE).await;
    assert_eq!(twice.unwrap_err().code, Code::NotFound);
    let page = bench.control.artefacts(&admin, None, 9).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!(page[0].subject, commit);
    assert_eq!(
        (
            bench.recorded(EventType::ArtefactRecorded).await,
            bench.recorded(EventType::ArtefactRemoved).await
        ),
        (4, 1)
    );
}

/// Who may bring reports cannot make findings go away by bringing an old report again.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_scan_does_not_take_the_place_of_a_later_one() {
    let (bench, admin) = (Bench::new().await, admin());
    let now = bench.control.now();
    let add = |errors: usize, ended| {
        let document = scan("a", errors);
        bench
            .control
            .add_artefact(&admin, CODE, document, Some(ended))
    };
    add(2, now).await.unwrap();
    let older = add(0, now.minus(Duration::from_secs(1))).await.unwrap_err();
    assert_eq!(older.code, Code::Conflict, "{older:?}");
    let shown = bench.control.artefact(&admin, CODE).await.unwrap();
    assert_eq!(shown.evidence.unwrap().open.high, 2);
    // The same moment is no older one.
    let again = add(1, now).await.unwrap();
    assert_eq!(again.artefact.evidence.unwrap().open.high, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_need_the_right_and_have_bounds() {
    let (bench, admin) = (Bench::new().await, admin());
    let viewer = person("vera", &[Role::Viewer]);
    let refused = bench
        .control
        .add_artefact(&viewer, CODE, scan("a", 0), None);
    assert_eq!(refused.await.unwrap_err().code, Code::NotPermitted);
    let refused = bench.control.remove_artefact(&viewer, CODE);
    assert_eq!(refused.await.unwrap_err().code, Code::NotPermitted);
    // A clock of somebody else's does not make a scan younger than now.
    let later = bench.control.now().plus(Duration::from_mins(6));
    let future = bench
        .control
        .add_artefact(&admin, CODE, scan("a", 0), Some(later));
    assert_eq!(future.await.unwrap_err().code, Code::InvalidInput);
    for number in 0..MAX_REPORTS {
        let document = scan(&format!("scanner {number}"), 0);
        let added = bench.control.add_artefact(&admin, CODE, document, None);
        added.await.unwrap();
    }
    let more = bench
        .control
        .add_artefact(&admin, CODE, scan("one more", 0), None);
    assert_eq!(more.await.unwrap_err().code, Code::Conflict);
    // One that is there already is replaced.
    let again = bench
        .control
        .add_artefact(&admin, CODE, scan("scanner 3", 1), None);
    assert_eq!(again.await.unwrap().artefact.evidence.unwrap().open.high, 1);
}
