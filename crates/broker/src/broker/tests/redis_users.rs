//! Credentials of a real Redis server, as it lists its users itself and redis-cli sees them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::lease::BackendKind;
use bailiwick_core::{Code, Fault};

use super::certificate;
use super::redis::{Server, url_of};
use super::session::Session;
use super::suite::bench::{Bench, opened, put_password, user, wanted, world_of};
use super::suite::{Elsewhere, conforms};
use crate::backend::{Backend, StaticSecret};
use crate::broker::LeasesOf;

impl Elsewhere for Server {
    const QUESTION: &'static str = "GET stock";
    const ANSWER: &'static str = "7";

    fn start() -> Self {
        Self::start()
    }

    fn run(&mut self) {
        self.run();
        // Its data is in memory alone.
        self.ask(&["SET", "stock", "7"]);
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn dir(&self) -> PathBuf {
        self.dir()
    }

    fn backend(dir: &Path, values: &Arc<StaticSecret>) -> Arc<dyn Backend> {
        backend(&url_of(dir), None, values, "~stock +@read")
    }

    fn accounts(&self) -> Vec<String> {
        let names = self.ask(&["ACL", "USERS"]);
        let ours = names.lines().filter(|name| name.starts_with("bw-"));
        ours.map(str::to_owned).collect()
    }

    fn add(&self, name: &str) {
        assert_eq!(
            self.ask(&["ACL", "SETUSER", name, "on", ">x", "+@all"]),
            "OK"
        );
    }

    fn remove(&self, name: &str) {
        assert_eq!(self.ask(&["ACL", "DELUSER", name]), "1");
    }

    fn ask(&self, name: &str, secret: &str) -> Result<String, String> {
        complaint(self.say_as(name, secret, &["GET", "stock"]))
    }

    fn overstep(&self, name: &str, secret: &str) -> Vec<Result<String, String>> {
        let tried: [&[&str]; 5] = [
            &["SET", "stock", "8"],
            &["GET", "other"],
            &["ACL", "SETUSER", "mine", "on", "nopass", "+@all"],
            &["CONFIG", "GET", "*"],
            &["CLIENT", "KILL", "USER", "admin"],
        ];
        let say = |words: &[&str]| complaint(self.say_as(name, secret, words));
        tried.into_iter().map(say).collect()
    }

    fn session(&self, name: &str, secret: &str) -> Session {
        self.session(name, secret)
    }

    fn foreign_sessions(&self) -> usize {
        let listed = self.ask(&["CLIENT", "LIST"]);
        let known = |line: &&str| line.contains("user=admin ") || line.contains("user=bw_broker ");
        listed.lines().filter(|line| !known(line)).count()
    }
}

/// Complaints begin with a word in capitals.
fn complaint(told: String) -> Result<String, String> {
    let complains = ["NOPERM", "WRONGPASS", "AUTH", "ERR", "Could not connect"];
    if complains.iter().any(|word| told.contains(word)) {
        Err(told)
    } else {
        Ok(told)
    }
}

fn backend(
    url: &str,
    ca_file: Option<PathBuf>,
    values: &Arc<StaticSecret>,
    rules: &str,
) -> Arc<dyn Backend> {
    let members = [("rules", rules)];
    opened(BackendKind::Redis, url, ca_file, &members, values)
}

conforms!(Server);

type AtRedis = Bench<Server>;

#[tokio::test]
async fn no_rules_make_an_administrator() {
    let bench = AtRedis::at(Server::start(), |dir, values| {
        backend(
            &url_of(dir),
            None,
            values,
            "~* &* +@all +acl +acl|setuser +config",
        )
    })
    .await;
    let taken = bench.take().await;
    let say = |words: &[&str]| {
        let told = bench
            .server()
            .say_as(user(&taken), taken.secret.expose(), words);
        complaint(told)
    };
    say(&["SET", "stock", "8"]).unwrap();
    for words in [
        "ACL SETUSER mine nopass".to_owned(),
        format!("ACL SETUSER {} nopass", user(&taken)),
        "CONFIG SET maxclients 1".to_owned(),
        "CLIENT KILL USER bw_broker".to_owned(),
        "REPLICAOF NO ONE".to_owned(),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let refused = say(&words).unwrap_err();
        assert!(refused.contains("NOPERM"), "{words:?}: {refused}");
    }
}

#[tokio::test]
async fn every_node_gets_a_user_and_loses_it() {
    let other = Server::start();
    let urls = |dir: &Path| format!("{} {}", url_of(dir), url_of(&other.dir()));
    let bench = AtRedis::at(Server::start(), |dir, values| {
        backend(&urls(dir), None, values, "~stock +@read")
    })
    .await;
    let taken = bench.take().await;
    let (name, secret) = (user(&taken), taken.secret.expose());
    for answer in [
        Elsewhere::ask(&*bench.server(), name, secret),
        Elsewhere::ask(&other, name, secret),
    ] {
        assert_eq!(answer.unwrap(), "7");
    }
    let mut session = other.session(name, secret);
    assert_eq!(session.ask("GET stock").as_deref(), Some("7"));
    // A stray one on the other node alone is found too.
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert_eq!(other.foreign_sessions(), 0);
    assert_eq!(bench.accounts(), Vec::<String>::new());
    let left = other.accounts();
    assert!(left.iter().all(|name| name.contains("-gen-")), "{left:?}");
    other.add(name);
    bench
        .world
        .clock
        .advance(std::time::Duration::from_secs(61));
    assert_eq!(bench.reconcile().await.orphans, [name]);
    assert!(!other.accounts().contains(&name.to_owned()));
}

#[tokio::test]
async fn a_restart_brings_back_nobody_who_was_removed() {
    let bench = AtRedis::new().await;
    let taken = bench.take().await;
    // Somebody else saves the users while this one is there.
    assert_eq!(bench.server().ask(&["ACL", "SAVE"]), "OK");
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    bench.server().kill();
    Elsewhere::run(&mut *bench.server());
    assert_eq!(bench.accounts(), Vec::<String>::new());
    let refused = Elsewhere::ask(&*bench.server(), user(&taken), taken.secret.expose());
    assert!(refused.is_err());
}

#[tokio::test]
async fn it_is_spoken_to_over_tls_and_its_certificate_is_verified() {
    let mut server = Server::start();
    certificate::make(&server.dir());
    server.kill();
    let port = server.run_with_tls();
    let url = format!("rediss://bw_broker@localhost:{port}");
    let bench = AtRedis::at(server, |dir, values| {
        backend(&url, Some(dir.join("ca.pem")), values, "~stock +@read")
    })
    .await;
    let taken = bench.take().await;
    assert_eq!(taken.access["scheme"], "rediss");
    assert_eq!(bench.accounts(), [user(&taken)]);
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    // Its certificate is from none of the system's authorities.
    let home = tempfile::tempdir().unwrap();
    let world = world_of(home.path(), |values| {
        backend(&url, None, values, "~stock +@read")
    });
    world.populate().await;
    let dir = bench.server().dir();
    put_password(&world, &dir).await;
    let refused = world.broker.take(wanted(&world)).await.unwrap_err();
    assert_eq!(refused.code(), Code::BackendDown, "{refused}");
    assert!(refused.to_string().contains("certificate"), "{refused}");
}
