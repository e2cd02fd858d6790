//! Credentials of a real PostgreSQL server, as its own catalogue and psql see them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::id::InstanceId;
use bailiwick_core::lease::{BackendKind, Delivery, Wanted};
use bailiwick_core::{Code, Fault};

use super::postgres::Server;
use super::postgres_leases::url_of;
use super::session::Session;
use super::suite::bench::{Bench, opened, user, wanted};
use super::suite::{Elsewhere, conforms};
use crate::backend::{Backend, StaticSecret};
use crate::broker::LeasesOf;
use crate::{ACKNOWLEDGE_LIMIT, LeaseError};

impl Elsewhere for Server {
    const QUESTION: &'static str = "SELECT n FROM stock;";
    const ANSWER: &'static str = "7";

    fn start() -> Self {
        Self::start()
    }

    fn run(&mut self) {
        self.run();
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn dir(&self) -> PathBuf {
        self.dir()
    }

    fn backend(dir: &Path, values: &Arc<StaticSecret>) -> Arc<dyn Backend> {
        backend(dir, values, "app_ro")
    }

    fn accounts(&self) -> Vec<String> {
        let markers = self.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'bw-%-gen-%'");
        let markers = markers.lines().map(str::to_owned);
        self.roles().into_iter().chain(markers).collect()
    }

    fn add(&self, name: &str) {
        self.sql(&format!("CREATE ROLE \"{name}\" LOGIN"));
    }

    fn remove(&self, name: &str) {
        self.sql(&format!("DROP ROLE \"{name}\""));
    }

    fn ask(&self, name: &str, secret: &str) -> Result<String, String> {
        self.psql(name, secret, "orders", Self::QUESTION)
    }

    fn overstep(&self, name: &str, secret: &str) -> Vec<Result<String, String>> {
        let tried = [
            "INSERT INTO stock VALUES (8)",
            "CREATE ROLE mine",
            "SET ROLE app_owner",
            "SELECT pg_read_file('PG_VERSION')",
        ];
        let ask = |text| self.psql(name, secret, "orders", text);
        tried.into_iter().map(ask).collect()
    }

    fn session(&self, name: &str, secret: &str) -> Session {
        self.session(name, secret)
    }

    fn foreign_sessions(&self) -> usize {
        self.foreign_sessions().parse().unwrap()
    }
}

fn backend(dir: &Path, values: &Arc<StaticSecret>, group: &str) -> Arc<dyn Backend> {
    let members = [
        ("group", group),
        ("owner", "app_owner"),
        ("database", "orders"),
    ];
    opened(BackendKind::Postgres, &url_of(dir), None, &members, values)
}

conforms!(Server);

type AtPostgres = Bench<Server>;

#[tokio::test]
async fn what_stands_there_is_a_verifier_an_end_and_a_bound() {
    let bench = AtPostgres::new().await;
    let taken = bench.take().await;
    assert_eq!(taken.secret.expose().len(), 43);
    assert_eq!(taken.access["database"], "orders");
    let row = bench.server().sql(&format!(
        "SELECT rolpassword LIKE 'SCRAM-SHA-256$%', rolvaliduntil > to_timestamp({}), rolconnlimit FROM pg_authid WHERE rolname = '{}'",
        taken.lease.not_after.as_micros() / 1_000_000,
        user(&taken)
    ));
    assert_eq!(row, "t|t|2");
}

#[tokio::test]
async fn a_session_is_cut_after_set_role_too() {
    let bench = AtPostgres::new().await;
    let taken = bench.take().await;
    let mut plain = bench.server().session(user(&taken), taken.secret.expose());
    let mut moved = bench.server().session(user(&taken), taken.secret.expose());
    let became = moved.ask("SET ROLE app_ro; SELECT current_user;");
    assert_eq!(became.as_deref(), Some("app_ro"));
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert_eq!(plain.ask("SELECT n FROM stock;"), None);
    assert_eq!(moved.ask("SELECT n FROM stock;"), None);
    assert_eq!(bench.server().foreign_sessions(), "0");
}

#[tokio::test]
async fn names_are_names_whatever_is_in_them() {
    let server = Server::start();
    let group = "a\"; DROP ROLE app_owner; --'$$\\";
    let quoted = group.replace('"', "\"\"");
    server.sql(&format!(
        "CREATE ROLE \"{quoted}\" NOLOGIN; GRANT app_ro TO \"{quoted}\""
    ));
    let bench = AtPostgres::at(server, |dir, values| backend(dir, values, group)).await;
    let taken = bench.take().await;
    let asked = bench.server().psql(
        user(&taken),
        taken.secret.expose(),
        "orders",
        "SELECT n FROM stock",
    );
    assert_eq!(asked.unwrap(), "7");
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert_eq!(
        bench
            .server()
            .sql("SELECT count(*) FROM pg_roles WHERE rolname = 'app_owner'"),
        "1"
    );
}

#[tokio::test]
async fn what_a_leased_role_made_survives_it() {
    let bench = AtPostgres::new().await;
    let taken = bench.take().await;
    let made = bench.server().psql(
        user(&taken),
        taken.secret.expose(),
        "orders",
        "CREATE TABLE kept AS SELECT 42 AS n; GRANT SELECT ON kept TO app_ro",
    );
    made.unwrap();
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert_eq!(bench.server().sql_in("orders", "SELECT n FROM kept"), "42");
    let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'kept'";
    assert_eq!(bench.server().sql_in("orders", owner), "app_owner");
    // The broker joined the heir for this, and left it again.
    let joined = "SELECT count(*) FROM pg_auth_members WHERE member = 'bw_broker'::regrole AND roleid = 'app_owner'::regrole";
    assert_eq!(bench.server().sql(joined), "0");
}

#[tokio::test]
async fn a_session_that_outlived_its_role_is_ended() {
    let bench = AtPostgres::new().await;
    let taken = bench.take().await;
    let mut session = bench.server().session(user(&taken), taken.secret.expose());
    session.ask("SET ROLE app_ro; SELECT 1;").unwrap();
    bench
        .server()
        .sql("CREATE ROLE other LOGIN PASSWORD 'x'; GRANT CONNECT ON DATABASE orders TO other");
    let mut stranger = bench.server().session("other", "x");
    bench.server().sql(&format!(
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
async fn what_nobody_acknowledges_and_what_is_asked_again_ends() {
    let bench = AtPostgres::new().await;
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
    assert_eq!(bench.accounts(), [user(&second)]);
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
    assert_eq!(bench.accounts(), Vec::<String>::new());
}

#[tokio::test]
async fn a_credential_is_had_as_it_is_configured_and_not_more_often() {
    let bench = AtPostgres::new().await;
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
async fn what_the_log_does_not_take_is_not_handed_over() {
    let bench = AtPostgres::new().await;
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
    assert_eq!(bench.accounts(), Vec::<String>::new());
}
