//! Keys from their first day to their last, on a clock that the test moves: who is believed when, what is on record, what a stop leaves.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bailiwick_core::{Code, Fault};
use bailiwick_store::{KeyClass, KeyState, StoreError};

use super::bench_authority::{Bench, found};
use crate::keyring::{CLASSES, How, KEY_LIFE, LONG_PREPARED, Order, PREPARED, RECEIPT_KEY_LIFE};

fn order(how: How) -> Order {
    Order {
        how,
        actor: "acct_admin".to_owned(),
    }
}

impl Bench {
    async fn look(&self) {
        self.authority.look_after_keys().await.unwrap();
    }

    async fn orders(&self, how: How) {
        // No two keys are made at the same moment.
        self.later(Duration::from_secs(1));
        self.authority.order_keys(order(how)).await.unwrap();
    }

    /// Kid and state of the keys of a class, newest first.
    async fn keys(&self, class: KeyClass) -> Vec<(String, KeyState)> {
        let all = self.authority.key_standings().await.unwrap();
        let all = all.into_iter().filter(|key| key.class == class);
        all.map(|key| (key.kid, key.state)).collect()
    }

    async fn states(&self, class: KeyClass) -> Vec<&'static str> {
        let all = self.keys(class).await.into_iter();
        all.map(|(_, state)| state.as_str()).collect()
    }

    /// Actor, class, state before and after of what is on record of keys.
    fn recorded(&self) -> Vec<String> {
        let events = self.journal.events.lock().unwrap();
        let changes = events.iter().filter_map(|event| {
            let change = event
                .change
                .as_ref()
                .filter(|change| change.kind == "key")?;
            let class = change.id.split('/').next().unwrap_or_default();
            let before = change.before.as_deref().unwrap_or("-");
            let after = change.after.as_deref().unwrap_or("-");
            let actor = event.actor.as_deref().unwrap_or("-");
            Some(format!("{actor} {class} {before} {after}"))
        });
        changes.collect()
    }
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after() {
    let bench = Bench::new().await;
    let first = bench.authority.keyring();
    assert!(bench.recorded().is_empty(), "there was no key before");
    // A minute before it is time nothing happens.
    let early = LONG_PREPARED + Duration::from_mins(1);
    bench.later((KEY_LIFE / 2).saturating_sub(early));
    bench.look().await;
    assert_eq!(bench.states(KeyClass::X509).await, ["active"]);
    // Then a CA is in the bundle that signs nothing yet.
    bench.later(Duration::from_mins(1));
    for _ in 0..3 {
        bench.look().await;
    }
    assert_eq!(bench.states(KeyClass::X509).await, ["prepared", "active"]);
    assert_eq!(bench.states(KeyClass::Task).await, ["active"], "sooner");
    let prepared = bench.authority.keyring();
    assert_eq!(prepared.ca().certificate(), first.ca().certificate());
    assert_eq!(prepared.bundle().x509_authorities().len(), 2);
    assert!(prepared.bundle().sequence() > first.bundle().sequence());
    // Keys of tokens are published for minutes before.
    bench.later(LONG_PREPARED.saturating_sub(PREPARED));
    bench.look().await;
    assert_eq!(bench.states(KeyClass::Task).await, ["prepared", "active"]);
    bench.later(PREPARED.saturating_sub(Duration::from_mins(1)));
    bench.look().await;
    assert_eq!(
        bench.authority.keyring().task().kid(),
        first.task().kid(),
        "not yet"
    );
    bench.later(Duration::from_mins(1));
    bench.look().await;
    let after = bench.authority.keyring();
    for class in [KeyClass::X509, KeyClass::Task, KeyClass::JwtSvid] {
        assert_eq!(bench.states(class).await, ["active", "old"], "{class:?}");
    }
    // What signs now was known before.
    let known = prepared.bundle().x509_authorities();
    assert!(known.iter().any(|ca| ca == after.ca().certificate()));
    assert_ne!(after.ca().certificate(), first.ca().certificate());
    // What signed before is still believed, for as long as anything of it can live.
    assert!(after.task_keys().key(first.task().kid()).is_some());
    assert!(after.svid_keys().key(first.jwt_svid().kid()).is_some());
    bench.later(Duration::from_mins(66));
    bench.look().await;
    let later = bench.authority.keyring();
    assert!(later.task_keys().key(first.task().kid()).is_none());
    assert!(later.svid_keys().key(first.jwt_svid().kid()).is_none());
    assert_eq!(later.bundle().x509_authorities().len(), 2, "SVIDs live on");
    bench.later(Duration::from_hours(24));
    bench.look().await;
    let last = bench.authority.keyring();
    assert_eq!(last.bundle().x509_authorities().len(), 1);
    assert!(last.bundle().sequence() > later.bundle().sequence());
    // Nothing changes, and so does no sequence.
    bench.look().await;
    let same = bench.authority.keyring();
    assert_eq!(same.bundle().sequence(), last.bundle().sequence());
    let mut recorded = bench.recorded();
    recorded.retain(|line| line.contains(" x509 "));
    assert_eq!(
        recorded,
        [
            "- x509 - prepared",
            "- x509 active old",
            "- x509 prepared active",
            "- x509 old gone"
        ]
    );
}

#[tokio::test]
async fn a_token_is_believed_until_its_end_and_its_key_no_longer() {
    let bench = Bench::new().await;
    let signed = bench.authority.jwt_svid(found(7), vec!["orders".into()]);
    let (_, token) = signed.await.unwrap();
    bench.orders(How::Now(KeyClass::JwtSvid)).await;
    let valid = |token: &str| bench.authority.validate_jwt_svid(token, "orders");
    valid(token.expose()).unwrap();
    let signed = bench.authority.jwt_svid(found(7), vec!["orders".into()]);
    let (_, other) = signed.await.unwrap();
    valid(other.expose()).unwrap();
    // The key that signed the first is taken back: its end is no matter.
    let keys = bench.keys(KeyClass::JwtSvid).await;
    assert_eq!(keys[1].1, KeyState::Old);
    bench.orders(How::Taint(keys[1].0.clone())).await;
    assert!(valid(token.expose()).is_err());
    valid(other.expose()).unwrap();
    // The one that signs is taken back: another signs at once.
    bench.orders(How::Taint(keys[0].0.clone())).await;
    assert!(valid(other.expose()).is_err());
    let signed = bench.authority.jwt_svid(found(7), vec!["orders".into()]);
    valid(signed.await.unwrap().1.expose()).unwrap();
    assert_eq!(
        bench.states(KeyClass::JwtSvid).await,
        ["active", "tainted", "tainted"]
    );
    let again = bench
        .authority
        .order_keys(order(How::Taint(keys[0].0.clone())));
    assert_eq!(again.await.unwrap_err().code(), Code::Conflict);
    let unknown = bench
        .authority
        .order_keys(order(How::Taint("none".to_owned())));
    assert_eq!(unknown.await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn an_operator_has_every_class_replaced() {
    let bench = Bench::new().await;
    for class in CLASSES {
        bench.orders(How::Prepare(class)).await;
        assert_eq!(
            bench.states(class).await,
            ["prepared", "active"],
            "{class:?}"
        );
        // Twice in a row is once.
        let again = bench.authority.order_keys(order(How::Prepare(class)));
        assert_eq!(again.await.unwrap_err().code(), Code::Conflict);
    }
    let before = bench.authority.keyring();
    assert_eq!(before.head_keys().len(), 2, "points learn it from heads");
    bench.later(LONG_PREPARED);
    bench.look().await;
    let after = bench.authority.keyring();
    assert!(after.signs_otherwise(&before));
    assert_eq!(after.head_keys(), &before.head_keys()[1..]);
    // Receipts are kept, and so is what they verify with.
    bench.later(RECEIPT_KEY_LIFE / 3);
    bench.look().await;
    let later = bench.authority.keyring();
    assert!(later.receipt_keys().key(before.receipt().kid()).is_some());
    let recorded = bench.recorded();
    for class in CLASSES {
        let line = format!("acct_admin {} - prepared", class.as_str());
        assert!(recorded.contains(&line), "{line}: {recorded:?}");
    }
}

#[tokio::test]
async fn at_once_is_the_one_that_is_prepared() {
    let bench = Bench::new().await;
    bench.orders(How::Prepare(KeyClass::X509)).await;
    let prepared = bench.keys(KeyClass::X509).await[0].0.clone();
    bench.orders(How::Now(KeyClass::X509)).await;
    let keys = bench.keys(KeyClass::X509).await;
    assert!(keys.contains(&(prepared, KeyState::Active)), "{keys:?}");
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn keys_cannot_be_replaced_without_end() {
    let bench = Bench::new().await;
    let mut refused = None;
    for _ in 0..64 {
        bench.later(Duration::from_millis(1));
        if let Err(error) = bench
            .authority
            .order_keys(order(How::Now(KeyClass::JwtSvid)))
            .await
        {
            refused = Some(error);
            break;
        }
    }
    assert_eq!(refused.expect("no bound").code(), Code::Conflict);
    bench.look().await;
    bench.later(Duration::from_mins(66));
    bench.look().await;
    bench.orders(How::Now(KeyClass::JwtSvid)).await;
}

#[tokio::test]
async fn a_node_that_was_away_for_long_goes_on_with_new_keys() {
    let bench = Bench::new().await;
    bench.later(KEY_LIFE.saturating_sub(Duration::from_hours(1)));
    bench.look().await;
    // An hour is less than a CA is prepared for: there was no time left.
    assert_eq!(bench.states(KeyClass::X509).await, ["active", "old"]);
    assert_eq!(bench.states(KeyClass::Task).await, ["prepared", "active"]);
    bench.later(KEY_LIFE);
    bench.look().await;
    for class in [KeyClass::X509, KeyClass::JwtSvid, KeyClass::Task] {
        let states = bench.states(class).await;
        assert_eq!(states[0], "active", "{class:?} {states:?}");
    }
    bench.authority.x509_svid(found(7)).await.unwrap();
}

/// What a stop leaves is what the next start finds in the store, and goes on with.
#[tokio::test]
async fn what_a_stop_interrupts_is_finished_by_the_next_start() {
    let bench = Bench::new().await;
    let before = bench.authority.keyring();
    bench.orders(How::Prepare(KeyClass::Task)).await;
    bench.later(PREPARED);
    // The new key is in the store and does not sign, because its event cannot become durable.
    bench.journal.broken.store(true, Ordering::SeqCst);
    let looked = bench.authority.look_after_keys().await;
    assert_eq!(looked.unwrap_err().code(), Code::AuditUnavailable);
    assert_eq!(bench.states(KeyClass::Task).await, ["active", "old"]);
    assert_eq!(
        bench.authority.keyring().task().kid(),
        before.task().kid(),
        "it signs without being on record"
    );
    let again = bench.authority.look_after_keys().await;
    assert!(again.is_err(), "still not on record");
    bench.journal.broken.store(false, Ordering::SeqCst);
    bench.look().await;
    let after = bench.authority.keyring();
    assert_ne!(after.task().kid(), before.task().kid());
    assert!(after.task_keys().key(before.task().kid()).is_some());
    // Of an old key nothing is kept that could sign.
    let rows = bench.store.read(|rows| rows.keys(KeyClass::Task));
    let rows = rows.await.map_err(|error: StoreError| error).unwrap();
    for row in rows {
        assert_eq!(
            row.sealed_private.is_empty(),
            row.state == KeyState::Old,
            "{row:?}"
        );
    }
}
