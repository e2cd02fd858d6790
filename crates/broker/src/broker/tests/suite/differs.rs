//! What a backend has and we do not know, and the other way round.

use std::path::Path;
use std::time::Duration;

use bailiwick_core::id::LeaseId;
use bailiwick_core::lease::LeaseState;
use bailiwick_core::{Code, Fault};

use super::Elsewhere;
use super::bench::{Bench, user, wanted, world_of};
use crate::broker::LeasesOf;

pub(crate) async fn what_a_backend_has_and_nobody_knows_is_removed_and_nothing_else<
    E: Elsewhere,
>() {
    let bench = Bench::<E>::new().await;
    let taken = bench.take().await;
    let ours = bench.deployment().await;
    let old = ours.name(LeaseId::from_bits(
        0x0190_0000_0000_7000_8000_0000_0000_0001,
    ));
    let young = ours.name(LeaseId::new(&*bench.world.clock, &*bench.world.rng));
    let strangers = ["bw-aaaaaaaa-01j00000000000000000000000", "bw-mine"];
    for name in [old.as_str(), young.as_str(), "bwx"]
        .iter()
        .chain(&strangers)
    {
        bench.server().add(name);
    }
    let name = "orders-db".parse().unwrap();
    let dry = bench.world.broker.reconcile(&name, true).await.unwrap();
    assert_eq!(dry.orphans, [old.as_str()]);
    assert_eq!(bench.accounts().len(), 5);
    assert_eq!(bench.reconcile().await.orphans, [old.as_str()]);
    let left = bench.accounts();
    assert!(!left.contains(&old.as_str().to_owned()));
    for name in [young.as_str(), user(&taken)].iter().chain(&strangers) {
        assert!(left.contains(&(*name).to_owned()), "{name}: {left:?}");
    }
    assert!(bench.world.steps().contains(&"lease.orphaned"));
    // A minute later the young one is an orphan too.
    bench.world.clock.advance(Duration::from_secs(61));
    assert_eq!(bench.reconcile().await.orphans, [young.as_str()]);
    // Somebody removes the account of an active lease.
    bench.server().remove(user(&taken));
    assert_eq!(bench.reconcile().await.lost, [taken.lease.id]);
    assert_eq!(bench.take_away().await, 1);
    let lost = bench.lease(taken.lease.id).await;
    assert_eq!(
        (lost.state, lost.cause.as_deref()),
        (LeaseState::Tombstone, Some("lost"))
    );
}

pub(crate) async fn an_older_copy_of_the_store_makes_and_removes_nothing<E: Elsewhere>() {
    let bench = Bench::<E>::new().await;
    bench.take().await;
    let copy = tempfile::tempdir().unwrap();
    copy_of(bench.world.data(), copy.path());
    // The right one goes on: it starts again and leases.
    let desk = bench.desk();
    bench.world.broker.raise_generation(0).await.unwrap();
    bench.world.broker.reconcile_desk(&desk).await.unwrap();
    bench.take().await;
    let accounts = bench.accounts();
    assert_eq!(accounts.len(), 2);

    let dir = bench.server().dir();
    let clone = world_of(copy.path(), |values| E::backend(&dir, values));
    clone.broker.recover().await.unwrap();
    clone.clock.advance(Duration::from_mins(2));
    let name = "orders-db".parse().unwrap();
    let refused = clone.broker.take(wanted(&clone)).await.unwrap_err();
    assert_eq!(refused.code(), Code::BackendReadOnly, "{refused}");
    let found = clone.broker.reconcile(&name, false).await.unwrap();
    assert!(found.read_only.is_some() && found.orphans.is_empty());
    let ended = clone.broker.end_leases(&[LeasesOf::Every], "test");
    ended.await.unwrap();
    let theirs = clone.broker.inner.desks.values().next().unwrap();
    assert_eq!(clone.broker.take_away(theirs).await.unwrap(), 0);
    assert_eq!(bench.accounts(), accounts);
    // What it would do is shown; then an admin says that it is the right one.
    let dry = clone.broker.reconcile(&name, true).await.unwrap();
    assert_eq!(dry.orphans.len(), 1, "{dry:?}");
    let done = clone.broker.adopt(&name).await.unwrap();
    assert_eq!(done.orphans, dry.orphans);
    clone.broker.take_away(theirs).await.unwrap();
    assert_eq!(bench.accounts(), Vec::<String>::new());
}

fn copy_of(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .arg(format!("{}/.", from.display()))
        .arg(to)
        .status();
    assert!(copied.unwrap().success());
    // The copy is another directory: nobody holds it.
    let _ = std::fs::remove_file(to.join("data/LOCK"));
}
