//! Credentials of a real PostgreSQL server, as its own catalogue and psql see them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::fence::Subject;
use bailiwick_core::id::{InstanceId, LeaseId};
use bailiwick_core::lease::{Delivery, Lease, LeaseState, Wanted};
use bailiwick_core::{Code, Fault, Secret};
use bailiwick_crypto::seal::Seal;
use bailiwick_store::{Store, StoreError};

use super::postgres::Server;
use super::postgres_leases::url_of;
use super::world::{World, fence};
use crate::backend::{Order, Postgres, PostgresAt, RoleOf, StaticSecret};
use crate::broker::{LeasesOf, Taken};
use crate::steps::{Side, Step};
use crate::{ACKNOWLEDGE_LIMIT, Backends, LeaseError, Template};

const GROUP: &str = "app_ro";

/// The broker of a directory at the server of another.
pub(crate) fn world_at(home: &Path, server: &Path, group: &str) -> World {
    let (at, role) = (
        PostgresAt {
            url: url_of(server),
            secret: Some("orders-admin".parse().unwrap()),
            ca_file: None,
        },
        RoleOf {
            group: group.to_owned(),
            owner: Some("app_owner".to_owned()),
            connections: 2,
            database: "orders".to_owned(),
        },
    );
    World::real(home, |store, seal| backends(store, seal, &at, &role))
}

fn backends(store: &Store, seal: &Arc<Seal>, at: &PostgresAt, role: &RoleOf) -> Backends {
    let values = Arc::new(StaticSecret::new(store.clone(), Arc::clone(seal)));
    let credential = "orders-ro".parse().unwrap();
    let roles = BTreeMap::from([(credential, role.clone())]);
    let postgres = Postgres::new(at, roles, values).unwrap();
    let template = Template {
        backend: "orders-db".parse().unwrap(),
        ttl: Duration::from_mins(10),
        max_live: 3,
        delivery: vec![Delivery::Api],
    };
    Backends {
        credentials: BTreeMap::from([("orders-ro".parse().unwrap(), template)]),
        remotes: BTreeMap::from([("orders-db".parse().unwrap(), Arc::new(postgres) as _)]),
    }
}

struct Bench {
    world: World,
    server: Server,
    #[expect(dead_code, reason = "it is held, not read")]
    home: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        Self::at(Server::start(), GROUP).await
    }

    async fn at(server: Server, group: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let world = world_at(home.path(), &server.dir(), group);
        world.populate().await;
        put_password(&world, &server.password()).await;
        world.broker.recover().await.unwrap();
        Self {
            world,
            server,
            home,
        }
    }

    async fn take(&self) -> Taken {
        let taken = self.world.broker.take(wanted(&self.world)).await.unwrap();
        let id = taken.lease.id;
        let acknowledged = self.world.broker.acknowledge(id, InstanceId::from_bits(7));
        acknowledged.await.unwrap();
        taken
    }

    /// What [`crate::Broker::run`] does when it is woken.
    async fn take_away(&self) -> usize {
        let desk = self.world.broker.inner.desks.values().next().unwrap();
        self.world.broker.take_away(desk).await.unwrap()
    }

    async fn revoke(&self, which: LeasesOf) -> usize {
        self.world
            .broker
            .end_leases(&[which], "test")
            .await
            .unwrap();
        self.take_away().await
    }

    async fn lease(&self, id: LeaseId) -> Lease {
        let leases = self.world.leases().await;
        leases.into_iter().find(|lease| lease.id == id).unwrap()
    }

    async fn reconcile(&self) -> crate::Differences {
        let name = "orders-db".parse().unwrap();
        self.world.broker.reconcile(&name, false).await.unwrap()
    }
}

pub(crate) async fn put_password(world: &World, password: &str) {
    let (broker, value) = (
        world.broker.clone(),
        Secret::new(password.as_bytes().to_vec()),
    );
    let write = world.store.write(move |tx| {
        broker
            .seal_secret(tx, &"orders-admin".parse().unwrap(), &value)
            .unwrap();
        Ok::<_, StoreError>(())
    });
    write.await.unwrap();
}

pub(crate) fn wanted(world: &World) -> Wanted {
    Wanted {
        server: None,
        credential: "orders-ro".parse().unwrap(),
        delivery: Delivery::Api,
        ..world.wanted()
    }
}

fn user(taken: &Taken) -> &str {
    taken.access["username"].as_str()
}

#[tokio::test]
async fn a_leased_role_works_as_its_group_and_is_gone_with_its_task() {
    let bench = Bench::new().await;
    let taken = bench.take().await;
    assert_eq!(taken.access["database"], "orders");
    let ask = |text: &str| {
        bench
            .server
            .psql(user(&taken), taken.secret.expose(), "orders", text)
    };
    assert_eq!(ask("SELECT n FROM stock").unwrap(), "7");
    assert!(
        ask("INSERT INTO stock VALUES (8)")
            .unwrap_err()
            .contains("permission denied")
    );
    assert!(
        ask("CREATE ROLE mine")
            .unwrap_err()
            .contains("permission denied")
    );
    // What stands there: a verifier, an end a little after the lease's, a bound on sessions.
    let row = bench.server.sql(&format!(
        "SELECT rolpassword LIKE 'SCRAM-SHA-256$%', rolvaliduntil > to_timestamp({}), rolconnlimit FROM pg_authid WHERE rolname = '{}'",
        taken.lease.not_after.as_micros() / 1_000_000,
        user(&taken)
    ));
    assert_eq!(row, "t|t|2");
    bench.world.end_task().await;
    assert_eq!(bench.revoke(LeasesOf::Task(bench.world.task.id)).await, 1);
    assert!(ask("SELECT 1").is_err());
    assert_eq!(bench.server.roles(), Vec::<String>::new());
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

#[tokio::test]
async fn a_session_is_cut_after_set_role_too() {
    let bench = Bench::new().await;
    let taken = bench.take().await;
    let mut plain = bench.server.session(user(&taken), taken.secret.expose());
    let mut moved = bench.server.session(user(&taken), taken.secret.expose());
    let became = moved.ask("SET ROLE app_ro; SELECT current_user;");
    assert_eq!(became.as_deref(), Some("app_ro"));
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert_eq!(plain.ask("SELECT n FROM stock;"), None);
    assert_eq!(moved.ask("SELECT n FROM stock;"), None);
    assert_eq!(bench.server.foreign_sessions(), "0");
}

#[tokio::test]
async fn names_are_names_whatever_is_in_them() {
    let server = Server::start();
    let group = "a\"; DROP ROLE app_owner; --'$$\\";
    let quoted = group.replace('"', "\"\"");
    server.sql(&format!(
        "CREATE ROLE \"{quoted}\" NOLOGIN; GRANT app_ro TO \"{quoted}\""
    ));
    let bench = Bench::at(server, group).await;
    let taken = bench.take().await;
    let asked = bench.server.psql(
        user(&taken),
        taken.secret.expose(),
        "orders",
        "SELECT n FROM stock",
    );
    assert_eq!(asked.unwrap(), "7");
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert_eq!(
        bench
            .server
            .sql("SELECT count(*) FROM pg_roles WHERE rolname = 'app_owner'"),
        "1"
    );
}

#[tokio::test]
async fn what_a_leased_role_made_survives_it() {
    let bench = Bench::new().await;
    let taken = bench.take().await;
    let made = bench.server.psql(
        user(&taken),
        taken.secret.expose(),
        "orders",
        "CREATE TABLE kept AS SELECT 42 AS n; GRANT SELECT ON kept TO app_ro",
    );
    made.unwrap();
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert_eq!(bench.server.sql_in("orders", "SELECT n FROM kept"), "42");
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'kept'";
    assert_eq!(bench.server.sql_in("orders", owner), "app_owner");
    // The broker joined the heir for this, and left it again.
    let joined = "SELECT count(*) FROM pg_auth_members WHERE member = 'bw_broker'::regrole AND roleid = 'app_owner'::regrole";
    assert_eq!(bench.server.sql(joined), "0");
}

#[tokio::test]
async fn what_a_backend_has_and_nobody_knows_is_removed_and_nothing_else() {
    let bench = Bench::new().await;
    let taken = bench.take().await;
    let ours = bench
        .world
        .broker
        .identity()
        .await
        .unwrap()
        .deployment
        .clone();
    let old = ours.name(LeaseId::from_bits(
        0x0190_0000_0000_7000_8000_0000_0000_0001,
    ));
    let young = ours.name(LeaseId::new(&*bench.world.clock, &*bench.world.rng));
    let strangers = ["bw-aaaaaaaa-01j00000000000000000000000", "bw-mine", "bwx"];
    bench.server.sql(&format!(
        "CREATE ROLE \"{old}\" LOGIN; CREATE ROLE \"{young}\" LOGIN"
    ));
    for name in strangers {
        bench.server.sql(&format!("CREATE ROLE \"{name}\" LOGIN"));
    }
    let dry = bench
        .world
        .broker
        .reconcile(&"orders-db".parse().unwrap(), true)
        .await
        .unwrap();
    assert_eq!(dry.orphans, [old.as_str()]);
    assert_eq!(bench.server.roles().len(), 5);
    assert_eq!(bench.reconcile().await.orphans, [old.as_str()]);
    let roles = bench.server.roles();
    assert!(!roles.contains(&old.as_str().to_owned()));
    for name in [young.as_str(), user(&taken), strangers[0], strangers[1]] {
        assert!(roles.contains(&name.to_owned()), "{name}: {roles:?}");
    }
    assert!(bench.world.steps().contains(&"lease.orphaned"));
    // A minute later the young one is an orphan too.
    bench.world.clock.advance(Duration::from_secs(61));
    assert_eq!(bench.reconcile().await.orphans, [young.as_str()]);
    // Somebody removes the account of an active lease.
    bench.server.sql(&format!("DROP ROLE \"{}\"", user(&taken)));
    assert_eq!(bench.reconcile().await.lost, [taken.lease.id]);
    assert_eq!(bench.take_away().await, 1);
    let lost = bench.lease(taken.lease.id).await;
    assert_eq!(
        (lost.state, lost.cause.as_deref()),
        (LeaseState::Tombstone, Some("lost"))
    );
}

#[tokio::test]
async fn a_session_that_outlived_its_role_is_ended() {
    let bench = Bench::new().await;
    let taken = bench.take().await;
    let mut session = bench.server.session(user(&taken), taken.secret.expose());
    session.ask("SET ROLE app_ro; SELECT 1;").unwrap();
    bench
        .server
        .sql("CREATE ROLE other LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE orders TO other");
    let mut stranger = bench.server.session("other", "x");
    bench.server.sql(&format!(
        "DROP ROLE \"{}\"; DROP OWNED BY other; DROP ROLE other",
        user(&taken)
    ));
    // It has the rights of its group still.
    assert_eq!(session.ask("SELECT n FROM stock;").as_deref(), Some("7"));
    let found = bench.reconcile().await;
    assert_eq!(found.strays.len(), 1, "{found:?}");
    assert_eq!(session.ask("SELECT n FROM stock;"), None);
    assert_eq!(stranger.ask("SELECT 1;").as_deref(), Some("1"));
}

#[tokio::test]
async fn doing_everything_twice_leaves_one_credential_or_none() {
    let bench = Bench::new().await;
    let taken = bench.take().await;
    let desk = bench
        .world
        .broker
        .inner
        .desks
        .values()
        .next()
        .unwrap()
        .clone();
    let again = Order {
        credential: "orders-ro".parse().unwrap(),
        name: taken.lease.remote.clone().unwrap().name,
        secret: Secret::new("other".to_owned()),
        until: taken.lease.not_after,
    };
    let refused = desk.backend.create(&again).await.unwrap_err();
    assert_eq!(refused.code(), Code::LeaseDenied, "{refused}");
    let works = bench
        .server
        .psql(user(&taken), taken.secret.expose(), "orders", "SELECT 1");
    works.unwrap();
    bench
        .world
        .broker
        .end_leases(&[LeasesOf::Every], "test")
        .await
        .unwrap();
    let (first, second) = tokio::join!(
        bench.world.broker.take_away(&desk),
        bench.world.broker.take_away(&desk)
    );
    assert_eq!(first.unwrap() + second.unwrap(), 1);
    assert_eq!(bench.server.roles(), Vec::<String>::new());
}

#[tokio::test]
async fn a_backend_that_is_down_delays_no_revocation_and_is_cleaned_when_it_is_back() {
    let mut bench = Bench::new().await;
    let taken = bench.take().await;
    bench.server.kill();
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 0);
    assert_eq!(
        bench.lease(taken.lease.id).await.state,
        LeaseState::Revoking
    );
    let refused = bench
        .world
        .broker
        .take(wanted(&bench.world))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::BackendDown, "{refused}");
    bench.server.run();
    // It was put off; its time comes.
    bench.world.clock.advance(Duration::from_mins(19));
    assert_eq!(bench.take_away().await, 2);
    assert_eq!(bench.server.roles(), Vec::<String>::new());
    let states: Vec<_> = bench
        .world
        .leases()
        .await
        .iter()
        .map(|lease| lease.state)
        .collect();
    assert_eq!(states, [LeaseState::Tombstone; 2]);
}

#[tokio::test]
async fn an_older_copy_of_the_store_makes_and_removes_nothing() {
    let bench = Bench::new().await;
    bench.take().await;
    let copy = tempfile::tempdir().unwrap();
    copy_of(bench.world.data(), copy.path());
    // The right one goes on: it starts again and leases.
    let desk = bench.world.broker.inner.desks.values().next().unwrap();
    bench.world.broker.raise_generation(0).await.unwrap();
    bench.world.broker.reconcile_desk(desk).await.unwrap();
    bench.take().await;
    let roles = bench.server.roles();
    assert_eq!(roles.len(), 2);

    let clone = world_at(copy.path(), &bench.server.dir(), GROUP);
    clone.broker.recover().await.unwrap();
    clone.clock.advance(Duration::from_mins(2));
    let name = "orders-db".parse().unwrap();
    let refused = clone.broker.take(wanted(&clone)).await.unwrap_err();
    assert_eq!(refused.code(), Code::BackendReadOnly, "{refused}");
    let found = clone.broker.reconcile(&name, false).await.unwrap();
    assert!(found.read_only.is_some() && found.orphans.is_empty());
    clone
        .broker
        .end_leases(&[LeasesOf::Every], "test")
        .await
        .unwrap();
    let theirs = clone.broker.inner.desks.values().next().unwrap();
    assert_eq!(clone.broker.take_away(theirs).await.unwrap(), 0);
    assert_eq!(bench.server.roles(), roles);
    // What it would do is shown; then an admin says that it is the right one.
    let dry = clone.broker.reconcile(&name, true).await.unwrap();
    assert_eq!(dry.orphans.len(), 1, "{dry:?}");
    let done = clone.broker.adopt(&name).await.unwrap();
    assert_eq!(done.orphans, dry.orphans);
    clone.broker.take_away(theirs).await.unwrap();
    assert_eq!(bench.server.roles(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fence_that_falls_while_a_role_is_made_leaves_no_role() {
    let bench = Bench::new().await;
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
    let refused = bench
        .world
        .broker
        .take(wanted(&bench.world))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Revoked, "{refused}");
    assert_eq!(bench.server.roles().len(), 1);
    assert_eq!(bench.take_away().await, 1);
    assert_eq!(bench.server.roles(), Vec::<String>::new());
}

#[tokio::test]
async fn what_nobody_acknowledges_and_what_is_asked_again_ends() {
    let bench = Bench::new().await;
    let want = Wanted {
        idempotency_key: Some("report-7".to_owned()),
        ..wanted(&bench.world)
    };
    let first = bench.world.broker.take(want.clone()).await.unwrap();
    let second = bench.world.broker.take(want).await.unwrap();
    assert_eq!(second.lease.replaces, Some(first.lease.id));
    assert_eq!(bench.take_away().await, 1);
    let replaced = bench.lease(first.lease.id).await;
    assert_eq!(replaced.cause.as_deref(), Some("replaced"));
    assert_eq!(bench.server.roles(), [user(&second)]);
    // Only its holder can acknowledge it.
    let other = bench
        .world
        .broker
        .acknowledge(second.lease.id, InstanceId::from_bits(8));
    assert_eq!(other.await.unwrap_err(), LeaseError::Ended);
    bench.world.clock.advance(ACKNOWLEDGE_LIMIT);
    bench.world.broker.sweep().await.unwrap();
    assert_eq!(bench.take_away().await, 1);
    let unheard = bench.lease(second.lease.id).await;
    assert_eq!(unheard.cause.as_deref(), Some("undelivered"));
    assert_eq!(bench.server.roles(), Vec::<String>::new());
}

#[tokio::test]
async fn a_credential_is_had_as_it_is_configured_and_not_more_often() {
    let bench = Bench::new().await;
    let refuse = async |want: Wanted| bench.world.broker.take(want).await.unwrap_err().code();
    let by_env = Wanted {
        delivery: Delivery::Env,
        ..wanted(&bench.world)
    };
    assert_eq!(refuse(by_env).await, Code::DeliveryForbidden);
    let sealed = Wanted {
        credential: "orders-admin".parse().unwrap(),
        ..wanted(&bench.world)
    };
    assert_eq!(refuse(sealed).await, Code::DeliveryForbidden);
    let injected = Wanted {
        delivery: Delivery::Inject,
        ..wanted(&bench.world)
    };
    let refused = bench.world.broker.lease(injected).await.unwrap_err();
    assert_eq!(refused.code(), Code::DeliveryForbidden);
    for _ in 0..3 {
        bench.take().await;
    }
    assert_eq!(refuse(wanted(&bench.world)).await, Code::LeaseQuota);
    // An older clock there would make its ends mean something else.
    bench.world.clock.advance(Duration::from_secs(30));
    let standing = bench
        .world
        .broker
        .probe(&"orders-db".parse().unwrap())
        .await
        .unwrap();
    assert!(standing.skew_ms.unwrap() < -20_000, "{standing:?}");
    assert_eq!(refuse(wanted(&bench.world)).await, Code::BackendClockSkew);
}

#[tokio::test]
async fn those_who_ask_first_and_at_once_all_get_theirs() {
    let bench = Bench::new().await;
    let take = || bench.world.broker.take(wanted(&bench.world));
    let (first, second, third, compared) = tokio::join!(
        take(),
        take(),
        take(),
        bench
            .world
            .broker
            .reconcile_desk(bench.world.broker.inner.desks.values().next().unwrap())
    );
    let mut names: Vec<String> = [first, second, third]
        .into_iter()
        .map(|taken| user(&taken.unwrap()).to_owned())
        .collect();
    compared.unwrap();
    names.sort();
    let mut roles = bench.server.roles();
    roles.sort();
    assert_eq!(roles, names);
    let markers = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'bw-%-gen-%'";
    assert_eq!(bench.server.sql(markers), "1");
}

#[tokio::test]
async fn what_the_log_does_not_take_is_not_handed_over() {
    let bench = Bench::new().await;
    let journal = &bench.world.journal;
    journal
        .full
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let refused = bench
        .world
        .broker
        .take(wanted(&bench.world))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::AuditUnavailable);
    assert_eq!(bench.take_away().await, 1);
    assert_eq!(bench.server.roles(), Vec::<String>::new());
}

#[tokio::test]
async fn a_leased_secret_is_in_no_file_event_or_debug_text() {
    let bench = Bench::new().await;
    let taken = bench.take().await;
    let secret = taken.secret.expose().clone();
    assert_eq!(secret.len(), 43);
    let events = format!("{:?}", bench.world.journal.events.lock().unwrap());
    let shown = format!("{taken:?} {:?} {events}", bench.world.leases().await);
    assert!(!shown.contains(&secret));
    let mut looked_at = 0;
    // The server's directory too: it got a verifier only.
    let mut dirs = vec![bench.world.data().to_owned(), bench.server.dir()];
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
    assert!(looked_at > 100, "{looked_at}");
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
