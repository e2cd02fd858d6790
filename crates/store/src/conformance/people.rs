//! Accounts, pseudonyms, sealed values, the outbox, single values.

use super::fixture::{account, approval, at, child, digest, id, read, task, write};
use bailiwick_core::session::{LoginCode, Session};
use bailiwick_core::task::{Task, TaskState};

use crate::{ApiToken, Pending, SecretName, SecretRow, Spoken, Store, StoreError, Words};

pub(crate) async fn accounts(store: &Store) {
    write(store, |tx| tx.put_account(&account(1, "root")))
        .await
        .unwrap();
    let taken = write(store, |tx| tx.put_account(&account(2, "root")))
        .await
        .unwrap_err();
    assert_eq!(
        taken,
        StoreError::AlreadyExists {
            kind: "account",
            key: "root".into()
        }
    );
    let mut disabled = account(1, "root");
    disabled.enabled = false;
    let row = disabled.clone();
    write(store, move |tx| {
        tx.put_account(&row)
            .and_then(|()| tx.put_account(&account(2, "alice")))
    })
    .await
    .unwrap();
    let root = "root".parse().unwrap();
    assert_eq!(
        read(store, |db| db.account(id(1))).await,
        Some(disabled.clone())
    );
    assert_eq!(
        read(store, move |db| db.account_named(&root)).await,
        Some(disabled.clone())
    );
    assert_eq!(
        read(store, |db| db.accounts()).await,
        [account(2, "alice"), disabled]
    );

    let minted = |byte, owner, expires| ApiToken {
        sha256: digest(byte),
        account: id(owner),
        expires_at: at(expires),
        minted_by: "uid:0".to_owned(),
    };
    let orphan = minted(1, 9, 10);
    let orphan = write(store, move |tx| tx.put_api_token(&orphan))
        .await
        .unwrap_err();
    assert!(matches!(orphan, StoreError::Refused { .. }), "{orphan}");
    let rows = [minted(1, 1, 10), minted(2, 1, 20), minted(3, 2, 20)];
    write(store, move |tx| {
        rows.iter().try_for_each(|row| tx.put_api_token(row))
    })
    .await
    .unwrap();
    assert_eq!(
        read(store, |db| db.api_token(digest(1))).await,
        Some(minted(1, 1, 10))
    );
    assert_eq!(write(store, |tx| tx.prune_api_tokens(at(10))).await, Ok(1));
    assert_eq!(read(store, |db| db.api_token(digest(1))).await, None);
    assert_eq!(
        write(store, |tx| tx.remove_api_tokens_of(id(1))).await,
        Ok(1)
    );
    assert_eq!(read(store, |db| db.api_token(digest(2))).await, None);
    write(store, |tx| tx.remove_api_token(digest(3)))
        .await
        .unwrap();
    let gone = write(store, |tx| tx.remove_api_token(digest(3)))
        .await
        .unwrap_err();
    assert!(matches!(gone, StoreError::NotFound { .. }), "{gone}");
    assert!(
        !gone.to_string().contains(&digest(3).to_hex()),
        "a credential's digest is in a message: {gone}"
    );
}

pub(crate) async fn sessions(store: &Store) {
    write(store, |tx| tx.put_account(&account(1, "anna")))
        .await
        .unwrap();
    let code = |owner, expires| LoginCode {
        account: id(owner),
        minted_by: "uid:0".to_owned(),
        expires_at: at(expires),
    };
    let orphan = write(store, move |tx| tx.put_login_code(&code(9, 10), digest(1)));
    let orphan = orphan.await.unwrap_err();
    assert!(matches!(orphan, StoreError::Refused { .. }), "{orphan}");
    write(store, move |tx| {
        tx.put_login_code(&code(1, 10), digest(1))?;
        tx.put_login_code(&code(1, 20), digest(2))
    })
    .await
    .unwrap();
    let take = |byte| write(store, move |tx| tx.take_login_code(digest(byte)));
    assert_eq!(take(1).await, Ok(Some(code(1, 10))));
    assert_eq!(take(1).await, Ok(None), "a code is taken once");

    let session = |number, cookie, idle| Session {
        id: id(number),
        account: id(1),
        minted_by: "uid:0".to_owned(),
        cookie: digest(cookie),
        page: digest(7),
        started_at: at(1),
        idle_until: at(idle),
        ends_at: at(50),
    };
    write(store, move |tx| {
        tx.put_session(&session(1, 1, 10))?;
        tx.put_session(&session(2, 2, 60))
    })
    .await
    .unwrap();
    let same = write(store, move |tx| tx.put_session(&session(3, 1, 10)));
    let same = same.await.unwrap_err();
    assert!(matches!(same, StoreError::AlreadyExists { .. }), "{same}");
    write(store, move |tx| tx.put_session(&session(1, 1, 20)))
        .await
        .unwrap();
    let found = read(store, |db| db.session_with(digest(1))).await;
    assert_eq!(found, Some(session(1, 1, 20)));
    assert_eq!(read(store, |db| db.session(id(9))).await, None);
    let all = read(store, |db| db.sessions_of(id(1))).await;
    assert_eq!(all, [session(1, 1, 20), session(2, 2, 60)]);
    // The second code and the first session; the second session goes by its end, not by its idleness.
    assert_eq!(write(store, |tx| tx.prune_sessions(at(20))).await, Ok(2));
    assert_eq!(take(2).await, Ok(None));
    assert_eq!(write(store, |tx| tx.prune_sessions(at(50))).await, Ok(1));
    let gone = write(store, |tx| tx.remove_session(id(2))).await;
    assert!(matches!(gone, Err(StoreError::NotFound { .. })), "{gone:?}");
}

pub(crate) async fn pseudonyms(store: &Store) {
    let name = |user: &str, candidate: &'static str| {
        let user = user.parse().unwrap();
        write(store, move |tx| tx.pseudonym_or(&user, candidate))
    };
    assert_eq!(name("user:local:alice", "usr_1").await.unwrap(), "usr_1");
    assert_eq!(name("user:local:alice", "usr_2").await.unwrap(), "usr_1");
    let taken = name("user:local:bob", "usr_1").await.unwrap_err();
    assert!(
        matches!(taken, StoreError::AlreadyExists { .. }),
        "two users share a pseudonym: {taken}"
    );
    let (alice, bob) = (
        "user:local:alice".parse().unwrap(),
        "user:local:bob".parse().unwrap(),
    );
    assert_eq!(
        read(store, move |db| db.pseudonym(&alice)).await.as_deref(),
        Some("usr_1")
    );
    assert_eq!(read(store, move |db| db.pseudonym(&bob)).await, None);
    let user = read(store, |db| db.user_of_pseudonym("usr_1")).await;
    assert_eq!(user, Some("user:local:alice".parse().unwrap()));
}

pub(crate) async fn sealed_values(store: &Store) {
    let row = |version| SecretRow {
        name: "api".parse().unwrap(),
        sealed: vec![0, 200, u8::try_from(version).unwrap()],
        version,
        updated_at: at(12),
    };
    for version in 1..=2 {
        let row = row(version);
        write(store, move |tx| tx.put_secret(&row)).await.unwrap();
    }
    let stale = row(2);
    let stale = write(store, move |tx| tx.put_secret(&stale))
        .await
        .unwrap_err();
    assert!(
        matches!(stale, StoreError::VersionConflict { stored: 2, .. }),
        "{stale}"
    );
    let name = "api".parse().unwrap();
    assert_eq!(read(store, move |db| db.secret(&name)).await, Some(row(2)));
    let listed = SecretName {
        name: "api".parse().unwrap(),
        version: 2,
        updated_at: at(12),
    };
    assert_eq!(read(store, |db| db.secrets()).await, [listed]);
    let name = "api".parse().unwrap();
    write(store, move |tx| tx.remove_secret(&name))
        .await
        .unwrap();
    assert_eq!(read(store, |db| db.secrets()).await, []);
    assert_eq!(format!("{:?}", row(2)), "SecretRow(api v2, 3 sealed bytes)");
}

pub(crate) async fn outbox(store: &Store) {
    let pending = |bits: u128| Pending {
        event: id(bits),
        bytes: vec![0, u8::try_from(bits).unwrap()],
    };
    // Ids do not come in order; commits do.
    for bits in [5, 3, 4] {
        let row = pending(bits);
        write(store, move |tx| tx.outbox_push(row.event, &row.bytes))
            .await
            .unwrap();
    }
    let twice = write(store, |tx| tx.outbox_push(id(3), b"other"))
        .await
        .unwrap_err();
    assert!(matches!(twice, StoreError::AlreadyExists { .. }), "{twice}");
    assert_eq!(
        read(store, |db| db.outbox_pending(2)).await,
        [pending(5), pending(3)]
    );
    for _ in 0..2 {
        write(store, |tx| tx.outbox_done(&[id(5), id(3)]))
            .await
            .unwrap();
    }
    assert_eq!(read(store, |db| db.outbox_pending(9)).await, [pending(4)]);
    assert_eq!(read(store, |db| db.outbox_len()).await, 1);
}

pub(crate) async fn meta(store: &Store) {
    assert_eq!(read(store, |db| db.meta("epoch")).await, None);
    write(store, |tx| tx.put_meta("epoch", "1")).await.unwrap();
    write(store, |tx| tx.put_meta("epoch", "2")).await.unwrap();
    assert_eq!(
        read(store, |db| db.meta("epoch")).await.as_deref(),
        Some("2")
    );
}

pub(crate) async fn erasures(store: &Store) {
    let mut root = task(1);
    let user = root.user.clone();
    let below = child(2, &root);
    let other = Task {
        user: "user:local:bob".parse().unwrap(),
        ..task(5)
    };
    let rows = [root.clone(), below.clone(), other.clone()];
    let asked = approval(7, 1, 2);
    write(store, move |tx| {
        rows.iter().try_for_each(|task| tx.put_task(task))?;
        tx.put_approval(&asked)
    })
    .await
    .unwrap();
    let named = user.clone();
    write(store, move |tx| tx.pseudonym_or(&named, "usr_1"))
        .await
        .unwrap();
    let instead: bailiwick_core::name::UserId = "user:erased:usr_1".parse().unwrap();
    let words = Words::User {
        user: user.clone(),
        instead: instead.clone(),
    };

    // Open tasks keep their words, and their user's name with them.
    let of = words.clone();
    let spoken = write(store, move |tx| tx.erase_words(&of)).await.unwrap();
    assert_eq!(spoken, Spoken { ended: 0, open: 2 });
    assert_eq!(read(store, |db| db.task(id(1))).await, Some(root.clone()));
    let named = user.clone();
    assert!(read(store, move |db| db.pseudonym(&named)).await.is_some());

    root.end(TaskState::Completed).unwrap();
    let mut ended = below.clone();
    ended.end(TaskState::Completed).unwrap();
    let rows = [ended, root.clone()];
    write(store, move |tx| {
        rows.iter().try_for_each(|task| tx.put_task(task))
    })
    .await
    .unwrap();
    let of = words.clone();
    assert_eq!(
        read(store, move |db| db.spoken(&of)).await,
        Spoken { ended: 2, open: 0 }
    );
    let head = store.head();
    let of = words.clone();
    write(store, move |tx| tx.erase_words(&of)).await.unwrap();
    assert_eq!(store.head(), head, "nothing changes for enforcement points");
    let mut expected = root.clone();
    expected.user = instead.clone();
    expected.request.text = String::new();
    assert_eq!(read(store, |db| db.task(id(1))).await, Some(expected));
    assert_eq!(read(store, |db| db.task(id(5))).await, Some(other.clone()));
    let asked = read(store, |db| db.approval(id(7))).await.unwrap();
    assert_eq!((asked.arguments.as_str(), &asked.user), ("", &instead));
    let named = user.clone();
    assert_eq!(read(store, move |db| db.pseudonym(&named)).await, None);
    let feed = read(store, |db| db.changes(0, 100)).await;
    let told = serde_json::to_string(&feed).unwrap();
    assert!(!told.contains(user.as_str()), "{told}");
    assert!(told.contains(other.user.as_str()));
    let kept = serde_json::to_string(&other.request.text).unwrap();
    assert!(told.contains(&kept), "{told}");
    let folding = store.clone();
    let folded = tokio::task::spawn_blocking(move || folding.fold()).await;
    assert!(folded.unwrap().unwrap());

    // A task's words go with everything below it.
    let of = Words::Task(id(5));
    let spoken = read(store, move |db| db.spoken(&of)).await;
    assert_eq!(spoken, Spoken { ended: 0, open: 1 });
}
