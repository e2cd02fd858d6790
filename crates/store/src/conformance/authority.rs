//! Approvals, fences, revocations, leases, keys, tokens.

use bailiwick_core::approval::ApprovalState;
use bailiwick_core::change::ChangeBody;
use bailiwick_core::fence::Fence;
use bailiwick_core::lease::LeaseState;

use super::fixture::{approval, at, digest, fence, id, lease, read, task, write};
use crate::{
    ApprovalFilter, KeyClass, KeyPublic, KeyRow, KeyState, LeaseFilter, RevocationRow, Store,
    StoreError, TokenRow,
};

pub(crate) async fn approvals(store: &Store) {
    let orphan = write(store, |tx| tx.put_approval(&approval(1, 1, 1)))
        .await
        .unwrap_err();
    assert!(matches!(orphan, StoreError::Refused { .. }), "{orphan}");
    write(store, |tx| {
        tx.put_task(&task(1))?;
        tx.put_task(&task(2))?;
        tx.put_approval(&approval(1, 1, 1))?;
        tx.put_approval(&approval(2, 2, 2))
    })
    .await
    .unwrap();
    let second = write(store, |tx| tx.put_approval(&approval(3, 1, 1)))
        .await
        .unwrap_err();
    assert!(
        matches!(second, StoreError::AlreadyExists { .. }),
        "two live approvals of one call: {second}"
    );
    assert_eq!(
        read(store, |db| db.live_approval_of_call(digest(1))).await,
        Some(approval(1, 1, 1))
    );
    assert_eq!(read(store, |db| db.approvals_due(at(599))).await, []);
    assert_eq!(read(store, |db| db.approvals_due(at(600))).await.len(), 2);

    let mut void = approval(1, 1, 1);
    assert!(void.void());
    let row = void.clone();
    write(store, move |tx| tx.put_approval(&row)).await.unwrap();
    let again = void.clone();
    let raced = write(store, move |tx| tx.put_approval(&again))
        .await
        .unwrap_err();
    assert!(
        matches!(
            raced,
            StoreError::VersionConflict {
                stored: 2,
                offered: 2,
                ..
            }
        ),
        "{raced}"
    );
    assert_eq!(
        read(store, |db| db.live_approval_of_call(digest(1))).await,
        None
    );
    assert_eq!(read(store, |db| db.live_approvals_of_task(id(1))).await, []);
    assert_eq!(
        read(store, |db| db.live_approvals_of_task(id(2))).await,
        [approval(2, 2, 2)]
    );
    write(store, |tx| tx.put_approval(&approval(3, 1, 1)))
        .await
        .unwrap();

    let filter = ApprovalFilter {
        state: Some(ApprovalState::Pending),
        task: Some(id(1)),
    };
    assert_eq!(
        read(store, move |db| db.approvals(&filter, None, 9)).await,
        [approval(3, 1, 1)]
    );
    let filter = ApprovalFilter::default();
    assert_eq!(
        read(store, move |db| db.approvals(&filter, Some(id(2)), 9)).await,
        [void.clone()]
    );
    assert_eq!(read(store, |db| db.approval(id(1))).await, Some(void));
}

pub(crate) async fn fences(store: &Store) {
    write(store, |tx| {
        tx.put_fence(&fence(1, "agent/coder", tx.head() + 1))
    })
    .await
    .unwrap();
    write(store, |tx| {
        tx.put_fence(&fence(
            2,
            "task/task_00000000000000000000000001",
            tx.head() + 1,
        ))
    })
    .await
    .unwrap();
    let set = fence(1, "agent/coder", 1);
    let lifted = |seq| Fence {
        lifted_seq: Some(seq),
        ..fence(1, "agent/coder", 1)
    };
    let refused = [
        ("an old sequence", fence(3, "agent/x", 2)),
        ("a sequence that is not the next", fence(3, "agent/x", 4)),
        (
            "set and lifted at once",
            Fence {
                lifted_seq: Some(3),
                ..fence(3, "agent/x", 3)
            },
        ),
        ("stored again unchanged", set.clone()),
        (
            "moved to another subject",
            Fence {
                subject: "agent/x".parse().unwrap(),
                ..lifted(3)
            },
        ),
        ("lifted later than now", lifted(4)),
        ("lifted before it was set", lifted(0)),
        (
            "lifted though final",
            Fence {
                lifted_seq: Some(3),
                ..fence(2, "task/task_00000000000000000000000001", 2)
            },
        ),
    ];
    for (why, row) in refused {
        let error = write(store, move |tx| tx.put_fence(&row))
            .await
            .unwrap_err();
        assert!(
            matches!(error, StoreError::Refused { .. }),
            "{why}: {error}"
        );
    }
    let row = lifted(3);
    write(store, move |tx| tx.put_fence(&row)).await.unwrap();
    let row = lifted(4);
    let twice = write(store, move |tx| tx.put_fence(&row))
        .await
        .unwrap_err();
    assert!(
        matches!(twice, StoreError::Refused { .. }),
        "lifted twice: {twice}"
    );
    write(store, |tx| {
        tx.put_fence(&fence(3, "agent/coder", tx.head() + 1))
    })
    .await
    .unwrap();

    let coder = "agent/coder".parse().unwrap();
    let both = [lifted(3), fence(3, "agent/coder", 4)];
    assert_eq!(read(store, move |db| db.fences_of(&coder)).await, both);
    assert_eq!(read(store, |db| db.fences()).await.len(), 3);
    assert_eq!(read(store, |db| db.fence(id(1))).await, Some(lifted(3)));
    let change = read(store, |db| db.changes(2, 1)).await;
    assert_eq!(
        (change[0].seq, &change[0].body),
        (3, &ChangeBody::Fence(lifted(3)))
    );
}

pub(crate) async fn revocations(store: &Store) {
    let row = |bits, cut: &[(&str, u64)]| RevocationRow {
        id: id(bits),
        subjects: vec![
            "agent/coder".parse().unwrap(),
            "trust_domain/".parse().unwrap(),
        ],
        reason: "leaked".to_owned(),
        actor: "alice".to_owned(),
        created_at: at(11),
        seq: 3,
        cut: cut
            .iter()
            .map(|(kind, count)| ((*kind).to_owned(), *count))
            .collect(),
        event: Some(id(bits + 20)),
        audit: None,
        reach: None,
        receipt: None,
    };
    let (first, second, counted) = (
        row(1, &[]),
        row(2, &[]),
        row(1, &[("tasks", 2), ("leases", 8)]),
    );
    write(store, move |tx| {
        tx.put_revocation(&first)
            .and_then(|()| tx.put_revocation(&second))
    })
    .await
    .unwrap();
    let update = counted.clone();
    write(store, move |tx| tx.put_revocation(&update))
        .await
        .unwrap();
    assert_eq!(
        read(store, |db| db.revocation(id(1))).await,
        Some(counted.clone())
    );
    assert_eq!(read(store, |db| db.revocation(id(3))).await, None);
    assert_eq!(
        read(store, |db| db.revocations(None, 9)).await,
        [row(2, &[]), counted.clone()]
    );
    assert_eq!(
        read(store, |db| db.revocations(Some(id(2)), 9)).await,
        [counted]
    );
}

pub(crate) async fn lease_versions(store: &Store) {
    write(store, |tx| {
        tx.put_task(&task(1))?;
        tx.put_lease(&lease(1, 1))?;
        tx.put_lease(&lease(2, 1))
    })
    .await
    .unwrap();
    let mut dead = lease(1, 1);
    (dead.state, dead.version) = (LeaseState::Tombstone, 2);
    let winner = dead.clone();
    write(store, move |tx| tx.put_lease(&winner)).await.unwrap();
    let mut loser = lease(1, 1);
    (loser.state, loser.version) = (LeaseState::Active, 2);
    let lost = write(store, move |tx| tx.put_lease(&loser))
        .await
        .unwrap_err();
    assert!(
        matches!(
            lost,
            StoreError::VersionConflict {
                stored: 2,
                offered: 2,
                ..
            }
        ),
        "{lost}"
    );
    let mut risen = dead.clone();
    (risen.state, risen.version) = (LeaseState::Active, 3);
    let risen = write(store, move |tx| tx.put_lease(&risen))
        .await
        .unwrap_err();
    assert!(
        matches!(risen, StoreError::Refused { .. }),
        "a tombstone came back: {risen}"
    );

    assert_eq!(read(store, |db| db.lease(id(1))).await, Some(dead.clone()));
    assert_eq!(read(store, |db| db.live_leases()).await, [lease(2, 1)]);
    assert_eq!(
        read(store, |db| db.live_leases_of_task(id(1))).await,
        [lease(2, 1)]
    );
    assert_eq!(
        read(store, |db| db.live_leases_of_instance(id(8))).await,
        [lease(2, 1)]
    );
    assert_eq!(
        read(store, |db| db.live_leases_of_instance(id(9))).await,
        []
    );
    let filter = LeaseFilter {
        task: Some(id(1)),
        state: Some(LeaseState::Tombstone),
        credential: Some("api".parse().unwrap()),
    };
    assert_eq!(
        read(store, move |db| db.leases(&filter, None, 9)).await,
        [dead]
    );
    let filter = LeaseFilter {
        credential: Some("none".parse().unwrap()),
        ..LeaseFilter::default()
    };
    assert_eq!(read(store, move |db| db.leases(&filter, None, 9)).await, []);
}

pub(crate) async fn signing_keys(store: &Store) {
    let key = |kid: &str, class, state, made| KeyRow {
        kid: kid.to_owned(),
        class,
        sealed_private: vec![0, 1, 255],
        public: KeyPublic::Jwk("{\"kty\":\"EC\"}".to_owned()),
        state,
        created_at: at(made),
        not_after: at(900),
    };
    let mut authority = key("ca", KeyClass::X509, KeyState::Active, 1);
    authority.public = KeyPublic::Certificate(vec![48, 130]);
    let rows = [
        authority.clone(),
        key("a", KeyClass::Task, KeyState::Active, 1),
    ];
    write(store, move |tx| {
        rows.iter().try_for_each(|row| tx.put_key(row))
    })
    .await
    .unwrap();
    let rival = key("b", KeyClass::Task, KeyState::Active, 2);
    let row = rival.clone();
    let two = write(store, move |tx| tx.put_key(&row)).await.unwrap_err();
    assert!(
        matches!(two, StoreError::AlreadyExists { .. }),
        "two active keys of a class: {two}"
    );
    let crossed = key("a", KeyClass::Receipt, KeyState::Old, 1);
    let crossed = write(store, move |tx| tx.put_key(&crossed))
        .await
        .unwrap_err();
    assert!(
        matches!(crossed, StoreError::Refused { .. }),
        "a key changed its class: {crossed}"
    );
    let old = key("a", KeyClass::Task, KeyState::Old, 1);
    let (retired, row) = (old.clone(), rival.clone());
    write(store, move |tx| {
        tx.put_key(&retired)?;
        tx.put_key(&row)?;
        tx.publish_token_keys("{\"keys\":[]}")
    })
    .await
    .unwrap();

    assert_eq!(
        read(store, |db| db.keys(KeyClass::Task)).await,
        [rival, old]
    );
    assert_eq!(read(store, |db| db.keys(KeyClass::X509)).await, [authority]);
    assert_eq!(
        read(store, |db| db.changes(0, 9)).await[0].body,
        ChangeBody::TokenKeys("{\"keys\":[]}".to_owned())
    );
    write(store, |tx| tx.remove_key("a")).await.unwrap();
    assert!(matches!(
        write(store, |tx| tx.remove_key("a")).await,
        Err(StoreError::NotFound { .. })
    ));
}

pub(crate) async fn tokens(store: &Store) {
    let token = |bits, exp| TokenRow {
        jti: id(bits),
        task: id(1),
        instance: id(2),
        jkt: Some("k".repeat(43)),
        x5t: None,
        aud: "http://127.0.0.1:8421/mcp/github".to_owned(),
        issued_at: at(1),
        exp: at(exp),
        seq: 4,
        scope_digest: digest(1),
    };
    let (early, late) = (token(1, 10), token(2, 20));
    let orphan = early.clone();
    let orphan = write(store, move |tx| tx.put_token(&orphan))
        .await
        .unwrap_err();
    assert!(matches!(orphan, StoreError::Refused { .. }), "{orphan}");
    let rows = [early.clone(), late.clone()];
    write(store, move |tx| {
        tx.put_task(&task(1))?;
        rows.iter().try_for_each(|row| tx.put_token(row))
    })
    .await
    .unwrap();
    let again = early.clone();
    let again = write(store, move |tx| tx.put_token(&again))
        .await
        .unwrap_err();
    assert!(matches!(again, StoreError::AlreadyExists { .. }), "{again}");
    assert_eq!(
        read(store, |db| db.tokens_of_task(id(1))).await,
        [early.clone(), late.clone()]
    );
    assert_eq!(read(store, |db| db.token(id(1))).await, Some(early));
    assert_eq!(write(store, |tx| tx.prune_tokens(at(10))).await, Ok(1));
    assert_eq!(read(store, |db| db.token(id(1))).await, None);
    assert_eq!(read(store, |db| db.token(id(2))).await, Some(late));
}
