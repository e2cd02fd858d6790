//! Credentials of a real MariaDB server, as its own tables and its client see them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::lease::BackendKind;
use bailiwick_core::{Code, Fault};

use super::certificate;
use super::mariadb::{Server, url_of};
use super::session::Session;
use super::suite::bench::{Bench, opened, put_password, user, wanted, world_of};
use super::suite::{Elsewhere, conforms};
use crate::backend::{Backend, StaticSecret};
use crate::broker::LeasesOf;

impl Elsewhere for Server {
    const QUESTION: &'static str = "SELECT n FROM orders.stock;";
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
        let found = self.sql("SELECT User FROM mysql.global_priv WHERE User LIKE 'bw-%'");
        found.lines().map(str::to_owned).collect()
    }

    fn add(&self, name: &str) {
        self.sql(&format!("CREATE USER `{name}`@`%`"));
    }

    fn remove(&self, name: &str) {
        self.sql(&format!("DROP USER `{name}`@`%`"));
    }

    fn ask(&self, name: &str, secret: &str) -> Result<String, String> {
        self.say_as(name, secret, Self::QUESTION)
    }

    fn overstep(&self, name: &str, secret: &str) -> Vec<Result<String, String>> {
        let tried = [
            "INSERT INTO orders.stock VALUES (8)",
            "CREATE USER mine",
            "SELECT * FROM mysql.global_priv",
            "GRANT app_ro TO bw_broker@'%'",
        ];
        let say = |text| self.say_as(name, secret, text);
        tried.into_iter().map(say).collect()
    }

    fn session(&self, name: &str, secret: &str) -> Session {
        self.session(name, secret)
    }

    fn foreign_sessions(&self) -> usize {
        let open = "SELECT COUNT(*) FROM information_schema.PROCESSLIST \
                    WHERE USER NOT IN ('root', 'bw_broker', 'system user', 'event_scheduler')";
        self.sql(open).parse().unwrap()
    }
}

fn backend(dir: &Path, values: &Arc<StaticSecret>, group: &str) -> Arc<dyn Backend> {
    at(&url_of(dir), None, values, group)
}

fn at(
    url: &str,
    ca_file: Option<PathBuf>,
    values: &Arc<StaticSecret>,
    group: &str,
) -> Arc<dyn Backend> {
    let members = [("group", group), ("connections", "2")];
    opened(BackendKind::MariaDb, url, ca_file, &members, values)
}

conforms!(Server);

type AtMariaDb = Bench<Server>;

#[tokio::test]
async fn names_are_names_whatever_is_in_them() {
    let server = Server::start();
    let group = "a`; DROP USER bw_broker; -- '\"\\";
    let quoted = group.replace('`', "``");
    server.sql(&format!(
        "CREATE ROLE `{quoted}`; GRANT app_ro TO `{quoted}`; GRANT `{quoted}` TO bw_broker@'%' WITH ADMIN OPTION"
    ));
    let bench = AtMariaDb::at(server, |dir, values| backend(dir, values, group)).await;
    let taken = bench.take().await;
    let asked = Elsewhere::ask(&*bench.server(), user(&taken), taken.secret.expose());
    assert_eq!(asked.unwrap(), "7");
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    let there = "SELECT COUNT(*) FROM mysql.global_priv WHERE User = 'bw_broker'";
    assert_eq!(bench.server().sql(there), "1");
}

#[tokio::test]
async fn a_session_that_outlived_its_user_is_ended() {
    let bench = AtMariaDb::new().await;
    let taken = bench.take().await;
    let mut session = bench.server().session(user(&taken), taken.secret.expose());
    assert_eq!(session.ask(Server::QUESTION).as_deref(), Some("7"));
    bench
        .server()
        .sql("CREATE USER other IDENTIFIED BY 'x'; GRANT app_ro TO other; SET DEFAULT ROLE app_ro FOR other");
    let mut stranger = bench.server().session("other", "x");
    assert_eq!(stranger.ask(Server::QUESTION).as_deref(), Some("7"));
    bench
        .server()
        .sql(&format!("DROP USER `{}`@`%`, other", user(&taken)));
    // It has the rights of its role still.
    assert_eq!(session.ask(Server::QUESTION).as_deref(), Some("7"));
    assert_eq!(bench.reconcile().await.strays, [user(&taken)]);
    assert_eq!(session.ask(Server::QUESTION), None);
    assert_eq!(stranger.ask("SELECT 1;").as_deref(), Some("1"));
}

#[tokio::test]
async fn a_lease_has_no_more_sessions_than_its_credential_says() {
    let bench = AtMariaDb::new().await;
    let taken = bench.take().await;
    let open = || bench.server().session(user(&taken), taken.secret.expose());
    let (mut first, mut second) = (open(), open());
    for session in [&mut first, &mut second] {
        assert_eq!(session.ask(Server::QUESTION).as_deref(), Some("7"));
    }
    let third = Elsewhere::ask(&*bench.server(), user(&taken), taken.secret.expose());
    assert!(third.unwrap_err().contains("max_user_connections"));
}

#[tokio::test]
async fn it_is_spoken_to_over_tls_and_its_certificate_is_verified() {
    let mut server = Server::start();
    certificate::make(&server.dir());
    server.kill();
    let port = server.run_with_tls();
    let url = format!("mariadb://bw_broker@localhost:{port}/orders");
    let bench = AtMariaDb::at(server, |dir, values| {
        at(&url, Some(dir.join("ca.pem")), values, "app_ro")
    })
    .await;
    let taken = bench.take().await;
    assert_eq!(bench.accounts(), [user(&taken)]);
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    // Its certificate is from none of the authorities that are named.
    let (home, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificate::make(others.path());
    let ca_file = others.path().join("ca.pem");
    let world = world_of(home.path(), |values| {
        at(&url, Some(ca_file), values, "app_ro")
    });
    world.populate().await;
    let dir = bench.server().dir();
    put_password(&world, &dir).await;
    let refused = world.broker.take(wanted(&world)).await.unwrap_err();
    assert_eq!(refused.code(), Code::BackendDown, "{refused}");
    assert!(refused.to_string().contains("certificate"), "{refused}");
}
