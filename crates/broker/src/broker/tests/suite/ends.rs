//! A credential works, and then it does not: with its task, in its open sessions, when it is asked for twice, when a fence falls meanwhile.

use std::sync::Arc;

use bailiwick_core::fence::Subject;
use bailiwick_core::lease::LeaseState;
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_store::StoreError;

use super::Elsewhere;
use super::bench::{Bench, user, wanted};
use crate::backend::Order;
use crate::broker::LeasesOf;
use crate::broker::tests::world::fence;
use crate::steps::{Side, Step};

pub(crate) async fn a_leased_account_works_as_its_group_and_is_gone_with_its_task<E: Elsewhere>() {
    let bench = Bench::<E>::new().await;
    let taken = bench.take().await;
    let (name, secret) = (user(&taken), taken.secret.expose().as_str());
    assert_eq!(bench.server().ask(name, secret).unwrap(), E::ANSWER);
    let tried = bench.server().overstep(name, secret);
    assert!(
        !tried.is_empty() && tried.iter().all(Result::is_err),
        "{tried:?}"
    );
    assert!(bench.server().ask(name, "guessed").is_err());
    bench.world.end_task().await;
    assert_eq!(bench.revoke(LeasesOf::Task(bench.world.task.id)).await, 1);
    assert!(bench.server().ask(name, secret).is_err());
    assert_eq!(bench.accounts(), Vec::<String>::new());
    let dead = bench.lease(taken.lease.id).await;
    assert_eq!(dead.state, LeaseState::Tombstone);
    let evidence = dead.evidence.unwrap();
    assert!(evidence.absent && evidence.sessions == 0);
    assert_eq!(
        bench.world.steps(),
        [
            "lease.intent",
            "lease.active",
            "lease.revoking",
            "lease.dead"
        ]
    );
}

pub(crate) async fn a_session_is_cut<E: Elsewhere>() {
    let bench = Bench::<E>::new().await;
    let (ended, going_on) = (bench.take().await, bench.take().await);
    let open = |taken| {
        let taken: &crate::Taken = taken;
        bench.server().session(user(taken), taken.secret.expose())
    };
    let (mut first, mut second, mut other) = (open(&ended), open(&ended), open(&going_on));
    for session in [&mut first, &mut second, &mut other] {
        assert_eq!(session.ask(E::QUESTION).as_deref(), Some(E::ANSWER));
    }
    assert!(bench.server().foreign_sessions() > 1);
    assert_eq!(bench.revoke(LeasesOf::Lease(ended.lease.id)).await, 1);
    assert_eq!(bench.server().foreign_sessions(), 1);
    for session in [&mut first, &mut second] {
        assert_ne!(session.ask(E::QUESTION).as_deref(), Some(E::ANSWER));
    }
    assert_eq!(other.ask(E::QUESTION).as_deref(), Some(E::ANSWER));
}

pub(crate) async fn doing_everything_twice_leaves_one_credential_or_none<E: Elsewhere>() {
    let bench = Bench::<E>::new().await;
    let taken = bench.take().await;
    let desk = bench.desk();
    let again = Order {
        credential: "orders-ro".parse().unwrap(),
        name: taken.lease.remote.clone().unwrap().name,
        secret: Secret::new("other".to_owned()),
        until: taken.lease.not_after,
        lives: std::time::Duration::from_mins(10),
    };
    let refused = desk.backend.create(&again).await.unwrap_err();
    assert_eq!(refused.code(), Code::LeaseDenied, "{refused}");
    let works = bench.server().ask(user(&taken), taken.secret.expose());
    assert_eq!(works.unwrap(), E::ANSWER);
    let ended = bench.world.broker.end_leases(&[LeasesOf::Every], "test");
    ended.await.unwrap();
    let (first, second) = tokio::join!(
        bench.world.broker.take_away(&desk),
        bench.world.broker.take_away(&desk)
    );
    assert_eq!(first.unwrap() + second.unwrap(), 1);
    assert_eq!(bench.accounts(), Vec::<String>::new());
}

pub(crate) async fn a_fence_that_falls_while_an_account_is_made_leaves_no_account<E: Elsewhere>() {
    let bench = Bench::<E>::new().await;
    let (store, runtime) = (bench.world.store.clone(), tokio::runtime::Handle::current());
    let hook = move |step, side| {
        if (step, side) == (Step::Create, Side::After) {
            let (store, runtime) = (store.clone(), runtime.clone());
            let set = std::thread::spawn(move || {
                runtime.block_on(store.write(|tx| {
                    let seq = tx.head() + 1;
                    tx.put_fence(&fence(Subject::Agent("coder".parse().unwrap()), seq))
                }))
            });
            let set: Result<(), StoreError> = set.join().unwrap();
            set.unwrap();
        }
    };
    assert!(bench.world.broker.inner.hook.set(Arc::new(hook)).is_ok());
    let refused = bench.world.broker.take(wanted(&bench.world)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::Revoked, "{refused}");
    assert_eq!(bench.accounts().len(), 1);
    assert_eq!(bench.take_away().await, 1);
    assert_eq!(bench.accounts(), Vec::<String>::new());
}

pub(crate) async fn those_who_ask_first_and_at_once_all_get_theirs<E: Elsewhere>() {
    let bench = Bench::<E>::new().await;
    let take = || bench.world.broker.take(wanted(&bench.world));
    let desk = bench.desk();
    let (first, second, third, compared) = tokio::join!(
        take(),
        take(),
        take(),
        bench.world.broker.reconcile_desk(&desk)
    );
    let mut names: Vec<String> = [first, second, third]
        .into_iter()
        .map(|taken| user(&taken.unwrap()).to_owned())
        .collect();
    compared.unwrap();
    names.sort();
    assert_eq!(bench.accounts(), names);
    let all = bench.server().accounts();
    let markers = all.iter().filter(|name| name.contains("-gen-"));
    assert_eq!(markers.count(), 1);
}

pub(crate) async fn a_leased_secret_is_in_no_file_event_or_debug_text<E: Elsewhere>() {
    let bench = Bench::<E>::new().await;
    let taken = bench.take().await;
    let secret = taken.secret.expose().clone();
    assert!(secret.len() >= 24);
    let works = bench.server().ask(user(&taken), &secret);
    assert_eq!(works.unwrap(), E::ANSWER);
    let events = format!("{:?}", bench.world.journal.events.lock().unwrap());
    let shown = format!("{taken:?} {:?} {events}", bench.world.leases().await);
    assert!(!shown.contains(&secret));
    let mut looked_at = 0;
    // The server's directory too: it got a hash only.
    let mut dirs = vec![bench.world.data().to_owned(), bench.server().dir()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if let Ok(bytes) = std::fs::read(&path) {
                looked_at += 1;
                let found = bytes
                    .windows(secret.len())
                    .any(|window| window == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
    assert!(looked_at > 4, "{looked_at}");
}
