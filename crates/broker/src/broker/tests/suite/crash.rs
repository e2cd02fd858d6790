//! The node is killed before and after every step of the protocol, in a process of its own; then it starts again. Nothing is left that
//! no lease knows, nothing that was revoked works, and what was not handed over is gone.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bailiwick_core::id::InstanceId;
use bailiwick_core::lease::LeaseState;

use super::Elsewhere;
use super::bench::{put_password, wanted, world_of};
use crate::ACKNOWLEDGE_LIMIT;
use crate::broker::LeasesOf;
use crate::steps::{Side, Step};

/// What tells the child where it is to die: server's directory, node's directory, step, side.
const ORDER: &str = "BAILIWICK_TEST_CRASH";
/// Cases at once.
const AT_ONCE: usize = 4;

/// `module` is that of the test, which this starts once more for each case.
pub(crate) async fn at_any_step<E: Elsewhere>(module: &str) {
    if let Ok(order) = std::env::var(ORDER) {
        return die_at::<E>(&order).await;
    }
    let (_, module) = module.split_once("::").unwrap();
    let test = format!("{module}::a_node_killed_between_any_two_steps_leaves_nothing_behind");
    // Most of the time is waiting for disks and processes, so several cases run at once; each has a deployment of its own.
    let server = E::start();
    let cases: Vec<(Step, Side)> = Step::ALL
        .into_iter()
        .flat_map(|step| [(step, Side::Before), (step, Side::After)])
        .collect();
    std::thread::scope(|scope| {
        for part in cases.chunks(cases.len().div_ceil(AT_ONCE)) {
            let (server, test) = (&server, test.as_str());
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build().unwrap();
                for (step, side) in part {
                    runtime.block_on(check(server, test, *step, *side));
                }
            });
        }
    });
}

async fn check<E: Elsewhere>(server: &E, test: &str, step: Step, side: Side) {
    let case = format!("{step:?}/{side:?}");
    let home = tempfile::tempdir().unwrap();
    let order = format!(
        "{}|{}|{case}",
        server.dir().display(),
        home.path().display()
    );
    let ended = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(ORDER, order)
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.code().is_none(),
        "{case}: it was not killed: {told}"
    );

    let world = world_of(home.path(), |values| E::backend(&server.dir(), values));
    world.broker.recover().await.unwrap();
    let desk = Arc::clone(world.broker.inner.desks.values().next().unwrap());
    world.broker.reconcile_desk(&desk).await.unwrap();
    world.broker.take_away(&desk).await.unwrap();
    let leases = world.leases().await;
    // Nobody acknowledged it: at the latest now it ends.
    let handed_over = leases.iter().any(|lease| lease.state == LeaseState::Active);
    assert_eq!(
        handed_over,
        matches!(
            (step, side),
            (Step::Tx2, Side::After) | (Step::Deliver, _) | (Step::Fence, Side::Before)
        ),
        "{case}: {leases:?}"
    );
    let deployment = &world.broker.identity().await.unwrap().deployment;
    let ours = || {
        let names = server.accounts().into_iter();
        names.filter(|name| deployment.lease(name).is_some())
    };
    assert_eq!(ours().count(), usize::from(handed_over), "{case}");
    world.clock.advance(ACKNOWLEDGE_LIMIT);
    if (step, side) == (Step::Fence, Side::Before) {
        // This one was acknowledged; its order was not on record and is given again.
        world
            .broker
            .end_leases(&[LeasesOf::Every], "again")
            .await
            .unwrap();
    }
    world.broker.sweep().await.unwrap();
    world.broker.take_away(&desk).await.unwrap();
    assert_eq!(ours().count(), 0, "{case}");
    let left = world.leases().await;
    assert!(
        left.iter()
            .all(|lease| lease.state == LeaseState::Tombstone),
        "{case}: {left:?}"
    );
}

/// In the child: takes a lease and ends it, and dies on the way.
async fn die_at<E: Elsewhere>(order: &str) {
    let mut parts = order.split('|');
    let mut next = || PathBuf::from(parts.next().unwrap());
    let (server, home, case) = (next(), next(), next());
    let world = world_of(&home, |values| E::backend(&server, values));
    world.populate().await;
    put_password(&world, &server).await;
    world.broker.recover().await.unwrap();
    let case = case.display().to_string();
    let hook = move |step: Step, side: Side| {
        if format!("{step:?}/{side:?}") == case {
            // No destructor, no flush: what is not on the disk now is lost.
            std::process::abort();
        }
    };
    assert!(world.broker.inner.hook.set(Arc::new(hook)).is_ok());
    let taken = world.broker.take(wanted(&world)).await.unwrap();
    world.broker.at(Step::Deliver, Side::After);
    let holder = InstanceId::from_bits(7);
    world
        .broker
        .acknowledge(taken.lease.id, holder)
        .await
        .unwrap();
    world
        .broker
        .end_leases(&[LeasesOf::Every], "test")
        .await
        .unwrap();
    let desk = Arc::clone(world.broker.inner.desks.values().next().unwrap());
    world.broker.take_away(&desk).await.unwrap();
}
