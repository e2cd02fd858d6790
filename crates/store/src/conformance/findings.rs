//! Findings, and the prints by which leases are recognised.

use bailiwick_core::finding::{Finding, FindingState, Severity};

use super::fixture::{at, id, read, write};
use crate::{FindingFilter, Store, StoreError};

fn finding(bits: u128, check: &str, subject: &str) -> Finding {
    let owner = "security".parse().unwrap();
    Finding {
        key: Some("TOKEN".to_owned()),
        lease: Some(id(7)),
        target: "repo here web".to_owned(),
        places: vec!["app.env".to_owned()],
        count: 1,
        ..Finding::first(id(bits), (check, subject), Severity::High, owner, at(1))
    }
}

pub(crate) async fn findings(store: &Store) {
    let rows = [
        finding(1, "github-pat", "fp_a"),
        finding(2, "github-pat", "fp_b"),
        finding(3, "named-password", "fp_a"),
    ];
    let all = rows.clone();
    write(store, move |tx| {
        all.iter().try_for_each(|row| tx.put_finding(row))
    })
    .await
    .unwrap();
    let [first, second, third] = rows;
    let newest = read(store, |db| db.findings(&FindingFilter::default(), None, 2)).await;
    assert_eq!(newest, [third, second.clone()]);
    let rest = read(store, move |db| {
        db.findings(&FindingFilter::default(), Some(second.id), 2)
    });
    assert_eq!(rest.await, std::slice::from_ref(&first));
    let found = read(store, |db| db.finding_of("github-pat", "fp_a")).await;
    assert_eq!(found, Some(first.clone()));
    assert_eq!(read(store, |db| db.finding_of("x", "fp_a")).await, None);

    let twice = finding(4, "github-pat", "fp_a");
    let twice = write(store, move |tx| tx.put_finding(&twice)).await;
    assert!(
        matches!(twice, Err(StoreError::AlreadyExists { .. })),
        "{twice:?}"
    );
    let fixed = Finding {
        state: FindingState::Fixed,
        target: "host here 3 processes".to_owned(),
        version: 2,
        ..first
    };
    let late = Finding {
        version: 4,
        ..fixed.clone()
    };
    let late = write(store, move |tx| tx.put_finding(&late)).await;
    assert!(
        matches!(late, Err(StoreError::VersionConflict { .. })),
        "{late:?}"
    );
    let next = fixed.clone();
    write(store, move |tx| tx.put_finding(&next)).await.unwrap();
    let open = FindingFilter {
        state: Some(FindingState::Open),
        target: Some("repo here web".to_owned()),
    };
    assert_eq!(
        read(store, move |db| db.findings(&open, None, 9))
            .await
            .len(),
        2
    );
    assert_eq!(read(store, |db| db.finding(id(1))).await, Some(fixed));

    write(store, |tx| {
        for lease in [5, 7, 6, 7] {
            tx.put_lease_print("fp_a", id(lease))?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let leases = read(store, |db| db.leases_of_print("fp_a", 2)).await;
    assert_eq!(leases, [id(7), id(6)]);
    assert_eq!(read(store, |db| db.leases_of_print("fp_b", 2)).await, []);
}
