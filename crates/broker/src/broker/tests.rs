//! The lease protocol on a real store: sharing, fences at every moment, restarts, and where a value must never be.

#[path = "../../../../tests/servers/certificate.rs"]
mod certificate;
#[path = "../../../../tests/servers/mariadb.rs"]
mod mariadb;
mod mariadb_users;
#[path = "../../../../tests/servers/openbao.rs"]
mod openbao;
mod openbao_tokens;
#[path = "../../../../tests/servers/postgres.rs"]
mod postgres;
#[path = "../../../../tests/servers/postgres_leases.rs"]
mod postgres_leases;
mod postgres_roles;
#[path = "../../../../tests/servers/redis.rs"]
mod redis;
mod redis_users;
#[path = "../../../../tests/servers/running.rs"]
mod running;
#[path = "../../../../tests/servers/session.rs"]
mod session;
mod suite;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bailiwick_core::decision::{Decision, Versions};
use bailiwick_core::event::DecisionRef;
use bailiwick_core::fence::Subject;
use bailiwick_core::lease::{BackendKind, Deployment, LeaseClass, LeaseState, Wanted};
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_store::{Store, StoreError};

use super::{Broker, LeasesOf};
use crate::backend::{
    Answer, Backend, BackendError, Description, Left, Made, Object, Order, Probe, Stray, Target,
};
use crate::{Backends, LEASE_LIFE, LeaseError, MAX_LIVE_OF_TASK, Parts};
use world::{CANARY, World, fence, wanted};

#[tokio::test]
async fn one_lease_serves_all_calls_of_a_task_and_no_other() {
    let world = World::new().await;
    let versions = Versions {
        bundle: None,
        task: 1,
        fence_seq: 0,
        replica_seq: 1,
    };
    let said = DecisionRef::of(&Decision::allowed(versions), 0);
    let wanted_first = Wanted {
        decision: Some(said.clone()),
        ..world.wanted()
    };
    let first = world.broker.lease(wanted_first).await.unwrap();
    let intent = world.journal.events.lock().unwrap()[0].clone();
    assert_eq!(intent.decision, Some(said));
    let again = world.broker.lease(world.wanted()).await.unwrap();
    assert_eq!(first.id, again.id);
    assert_eq!(first.bearer.expose(), CANARY);
    let other = world.add_task(2).await;
    let elsewhere = world.broker.lease(wanted(other)).await.unwrap();
    assert_ne!(first.id, elsewhere.id);
    assert_eq!(
        world.steps(),
        [
            "lease.intent",
            "lease.active",
            "lease.intent",
            "lease.active"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_at_once_share_one_lease() {
    let world = World::new().await;
    let calls = (0..16).map(|_| {
        let (broker, want) = (world.broker.clone(), world.wanted());
        tokio::spawn(async move { broker.lease(want).await.unwrap().id })
    });
    let mut ids = Vec::new();
    for call in calls {
        ids.push(call.await.unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(world.leases().await.len(), 1);
}

#[tokio::test]
async fn what_is_revoked_in_a_transaction_is_gone_after_finish_and_serves_nobody() {
    let world = World::new().await;
    let leased = world.broker.lease(world.wanted()).await.unwrap();
    let (broker, task) = (world.broker.clone(), world.task.id);
    let ending = world
        .store
        .write(move |tx| broker.revoke_leases(tx, &[LeasesOf::Task(task)], "task_ended", None))
        .await
        .unwrap_or_else(|error: StoreError| panic!("{error}"));
    assert_eq!(ending, [leased.id]);
    assert_eq!(world.leases().await[0].state, LeaseState::Revoking);
    // The task still being open, a next call would get a new lease: the revoked one serves no more.
    assert_eq!(world.broker.finish(&ending).await.unwrap(), 1);
    let dead = world.leases().await.remove(0);
    assert_eq!(dead.state, LeaseState::Tombstone);
    assert_eq!(dead.cause.as_deref(), Some("task_ended"));
    assert!(dead.verified_at.is_some());
    assert_eq!(world.steps()[2..], ["lease.revoking", "lease.dead"]);
    assert!(world.broker.inner.held.value(leased.id).is_none());
    let next = world.broker.lease(world.wanted()).await.unwrap();
    assert_ne!(next.id, leased.id);
}

#[tokio::test]
async fn an_ended_task_leases_nothing() {
    let world = World::new().await;
    world.broker.lease(world.wanted()).await.unwrap();
    world.end_task().await;
    let error = world.broker.lease(world.wanted()).await.unwrap_err();
    assert_eq!(error.code(), Code::TaskEnded);
}

#[tokio::test]
async fn a_fence_on_anything_above_leases_nothing() {
    for subject in [
        Subject::TrustDomain,
        Subject::Owner("team-dev".parse().unwrap()),
        Subject::Agent("coder".parse().unwrap()),
        Subject::User("user:local:anna".parse().unwrap()),
        Subject::Server("files".parse().unwrap()),
        Subject::Credential("files-token".parse().unwrap()),
        Subject::Task(bailiwick_core::id::TaskId::from_bits(1)),
        Subject::Instance(bailiwick_core::id::InstanceId::from_bits(7)),
    ] {
        let world = World::new().await;
        world.broker.lease(world.wanted()).await.unwrap();
        world.fence(subject.clone()).await;
        let error = world.broker.lease(world.wanted()).await.unwrap_err();
        assert_eq!(error.code(), Code::Revoked, "{subject}");
    }
}

#[tokio::test]
async fn nobody_borrows_the_lease_of_another() {
    let world = World::new().await;
    world.broker.lease(world.wanted()).await.unwrap();
    let mut other_instance = world.wanted();
    other_instance.instance = bailiwick_core::id::InstanceId::from_bits(8);
    let mut other_agent = world.wanted();
    other_agent.agent = "intruder".parse().unwrap();
    let mut other_credential = world.wanted();
    other_credential.credential = "admin-token".parse().unwrap();
    for want in [other_instance, other_agent, other_credential] {
        let error = world.broker.lease(want).await.unwrap_err();
        assert_eq!(error.code(), Code::LeaseDenied, "{error}");
    }
    assert_eq!(world.leases().await.len(), 1);
}

#[tokio::test]
async fn without_a_value_there_is_no_lease() {
    let world = World::new().await;
    let remove = world
        .store
        .write(|tx| tx.remove_secret(&"files-token".parse().unwrap()));
    remove
        .await
        .unwrap_or_else(|error: StoreError| panic!("{error}"));
    let error = world.broker.lease(world.wanted()).await.unwrap_err();
    assert_eq!(error.code(), Code::LeaseDenied);
    assert_eq!(world.leases().await[0].state, LeaseState::Tombstone);
}

#[tokio::test]
async fn a_value_moved_to_another_name_does_not_open() {
    let world = World::new().await;
    let write = world.store.write(|tx| {
        let mut row = tx.secret(&"files-token".parse().unwrap())?.unwrap();
        row.name = "admin-token".parse().unwrap();
        tx.put_secret(&row)?;
        let mut server = tx.server(&"files".parse().unwrap())?.unwrap();
        server.credential = Some(row.name);
        server.version += 1;
        tx.put_server(&server)
    });
    write
        .await
        .unwrap_or_else(|error: StoreError| panic!("{error}"));
    let mut want = world.wanted();
    want.credential = "admin-token".parse().unwrap();
    assert!(matches!(
        world.broker.lease(want).await,
        Err(LeaseError::Backend { .. })
    ));
}

#[tokio::test]
async fn what_cannot_be_put_on_record_is_not_delivered() {
    let world = World::new().await;
    world.journal.full.store(true, Ordering::SeqCst);
    let error = world.broker.lease(world.wanted()).await.unwrap_err();
    assert_eq!(error.code(), Code::AuditUnavailable);
    let lease = world.leases().await.remove(0);
    assert_eq!(lease.state, LeaseState::Tombstone);
    assert!(world.broker.inner.held.value(lease.id).is_none());
}

#[tokio::test]
async fn a_lease_ends_with_its_time_and_a_task_that_goes_on_gets_another() {
    let world = World::new().await;
    let first = world.broker.lease(world.wanted()).await.unwrap();
    assert_eq!(world.broker.sweep().await.unwrap(), 0);
    world.clock.advance(LEASE_LIFE);
    let second = world.broker.lease(world.wanted()).await.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(world.broker.sweep().await.unwrap(), 1);
    let states: Vec<_> = world
        .leases()
        .await
        .into_iter()
        .map(|lease| (lease.id, lease.state))
        .collect();
    assert!(states.contains(&(first.id, LeaseState::Tombstone)));
    assert!(states.contains(&(second.id, LeaseState::Active)));
}

#[tokio::test]
async fn a_restart_ends_the_leases_whose_values_are_lost() {
    let world = World::new().await;
    world.broker.lease(world.wanted()).await.unwrap();
    let restarted = broker(&world, Arc::new(Stuck));
    // This backend does not answer: revoked they are all the same, and serve nobody.
    assert_eq!(restarted.recover().await.unwrap(), 1);
    assert_eq!(world.leases().await[0].state, LeaseState::Revoking);
    assert_eq!(world.broker.sweep().await.unwrap(), 1);
    assert_eq!(world.leases().await[0].state, LeaseState::Tombstone);
}

#[tokio::test]
async fn a_fence_that_falls_while_the_credential_is_made_wins() {
    let world = World::new().await;
    let broker = broker(&world, Arc::new(Fencing(world.store.clone())));
    let error = broker.lease(world.wanted()).await.unwrap_err();
    assert_eq!(error.code(), Code::Revoked);
    assert_eq!(world.leases().await[0].state, LeaseState::Tombstone);
}

#[tokio::test]
async fn a_task_has_no_more_live_leases_than_its_quota() {
    let world = World::new().await;
    let broker = broker(&world, Arc::new(Stuck));
    // Making fails and so does taking away: the lease stays REVOKING and counts.
    for _ in 0..MAX_LIVE_OF_TASK {
        let error = broker.lease(world.wanted()).await.unwrap_err();
        assert_eq!(error.code(), Code::BackendDown);
    }
    let error = broker.lease(world.wanted()).await.unwrap_err();
    assert_eq!(error, LeaseError::Quota(world.task.id));
}

#[tokio::test]
async fn the_value_is_in_no_file_event_or_debug_text() {
    let world = World::new().await;
    let leased = world.broker.lease(world.wanted()).await.unwrap();
    world
        .broker
        .end_leases(&[LeasesOf::Every], "test")
        .await
        .unwrap();
    let events = format!("{:?}", world.journal.events.lock().unwrap());
    let shown = format!(
        "{leased:?} {:?} {:?} {events}",
        world.broker,
        world.leases().await
    );
    assert!(!shown.contains(CANARY));
    let mut files = 0;
    let mut dirs = vec![world.data().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            let canary = CANARY.as_bytes();
            assert!(
                !bytes.windows(canary.len()).any(|window| window == canary),
                "{}",
                path.display()
            );
        }
    }
    assert!(files > 1, "the store's files were looked at");
}

#[tokio::test]
async fn the_node_reads_tools_with_a_credential_only_on_record() {
    let world = World::new().await;
    let (server, credential) = ("files".parse().unwrap(), "files-token".parse().unwrap());
    let value = world.broker.for_the_node(&server, &credential).await;
    assert_eq!(value.unwrap().expose(), CANARY);
    assert_eq!(world.steps(), ["admin.changed"]);
    world.journal.full.store(true, Ordering::SeqCst);
    let refused = world.broker.for_the_node(&server, &credential).await;
    assert_eq!(refused.unwrap_err().code(), Code::AuditUnavailable);
}

fn broker(world: &World, values: Arc<dyn Backend>) -> Broker {
    let parts = Parts {
        store: world.store.clone(),
        seal: Arc::clone(&world.seal),
        journal: world.journal.clone(),
        backends: Backends::default(),
        clock: world.clock.clone(),
        rng: world.rng.clone(),
    };
    Broker::with_values(parts, values)
}

/// What is asked of backends that have a server elsewhere.
macro_rules! nothing_elsewhere {
    () => {
        fn describe(&self) -> Description {
            Description {
                kind: BackendKind::Static,
                class: LeaseClass::R0,
                native_end: false,
                remote: false,
            }
        }

        fn probe<'a>(&'a self, _: &'a Deployment) -> Answer<'a, Probe> {
            unreachable!("values are not asked how they stand")
        }

        fn list<'a>(&'a self, _: &'a Deployment) -> Answer<'a, Vec<Object>> {
            unreachable!("values are not listed")
        }

        fn strays<'a>(&'a self, _: &'a Deployment) -> Answer<'a, Vec<Stray>> {
            unreachable!("values have no sessions")
        }

        fn disable<'a>(&'a self, _: &'a mut [Target]) -> Answer<'a, ()> {
            unreachable!("values are not logged in with")
        }

        fn kill_sessions<'a>(&'a self, _: &'a [Target]) -> Answer<'a, u64> {
            unreachable!("values have no sessions")
        }

        fn remove<'a>(&'a self, _: &'a [Target]) -> Answer<'a, ()> {
            unreachable!("values are no accounts")
        }

        fn mark<'a>(&'a self, _: &'a Deployment, _: u64) -> Answer<'a, ()> {
            unreachable!("values are nowhere else")
        }
    };
}

/// Does not answer.
struct Stuck;

impl Backend for Stuck {
    nothing_elsewhere!();

    fn create<'a>(&'a self, _: &'a Order) -> Answer<'a, Made> {
        let down = BackendError::Transient("connection refused".to_owned());
        Box::pin(std::future::ready(Err(down)))
    }

    fn verify<'a>(&'a self, _: &'a [Target]) -> Answer<'a, Vec<Left>> {
        let down = BackendError::Transient("connection refused".to_owned());
        Box::pin(std::future::ready(Err(down)))
    }
}

/// While it makes a credential, somebody revokes the agent.
struct Fencing(Store);

impl Backend for Fencing {
    nothing_elsewhere!();

    fn create<'a>(&'a self, _: &'a Order) -> Answer<'a, Made> {
        let store = self.0.clone();
        Box::pin(async move {
            let write = store.write(|tx| {
                let seq = tx.head() + 1;
                tx.put_fence(&fence(Subject::Agent("coder".parse().unwrap()), seq))
            });
            write
                .await
                .unwrap_or_else(|error: StoreError| panic!("{error}"));
            Ok(Made {
                secret: Secret::new("made".to_owned()),
                access: BTreeMap::new(),
                serial: None,
            })
        })
    }

    fn verify<'a>(&'a self, slice: &'a [Target]) -> Answer<'a, Vec<Left>> {
        let gone = Left {
            absent: true,
            sessions: 0,
        };
        let gone = vec![gone; slice.len()];
        Box::pin(std::future::ready(Ok(gone)))
    }
}
