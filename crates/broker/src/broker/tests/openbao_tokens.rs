//! Credentials of a real OpenBao server, as it lists its token roles and leases itself and its client sees them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_core::lease::BackendKind;
use bailiwick_core::{Code, Fault};

use super::openbao::{Server, url_of};
use super::session::Session;
use super::suite::bench::{Bench, opened, wanted};
use super::suite::{Elsewhere, conforms};
use crate::backend::{Backend, StaticSecret};
use crate::broker::LeasesOf;

const READ: &str = "kv get -field=n secret/stock";

impl Elsewhere for Server {
    const QUESTION: &'static str = READ;
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
        backend(dir, values, "orders-ro")
    }

    fn accounts(&self) -> Vec<String> {
        self.listed("auth/token/roles")
    }

    fn add(&self, name: &str) {
        let role = format!("write auth/token/roles/{name} allowed_policies=orders-ro orphan=true");
        self.bao(&role).unwrap();
        self.bao(&format!("token create -role={name} -policy=orders-ro"))
            .unwrap();
    }

    fn remove(&self, name: &str) {
        self.bao(&format!("delete auth/token/roles/{name}"))
            .unwrap();
    }

    fn ask(&self, _: &str, secret: &str) -> Result<String, String> {
        self.say_as(secret, READ)
    }

    fn overstep(&self, name: &str, secret: &str) -> Vec<Result<String, String>> {
        let tried = [
            "kv put secret/stock n=8".to_owned(),
            "token create".to_owned(),
            "token renew".to_owned(),
            format!("token create -role={name}"),
            "policy read bw-broker".to_owned(),
        ];
        tried.map(|words| self.say_as(secret, &words)).into()
    }

    fn session(&self, _: &str, secret: &str) -> Session {
        self.session(secret)
    }

    fn foreign_sessions(&self) -> usize {
        let roles = self.listed("sys/leases/lookup/auth/token/create");
        let live = |role: &String| {
            let path = format!("sys/leases/lookup/auth/token/create/{role}");
            self.listed_all(&path).len()
        };
        roles.iter().map(live).sum()
    }
}

impl Server {
    /// What begins with `bw-` at a path.
    fn listed(&self, path: &str) -> Vec<String> {
        let mut all = self.listed_all(path);
        all.retain(|name| name.starts_with("bw-"));
        all
    }

    fn listed_all(&self, path: &str) -> Vec<String> {
        match self.bao(&format!("list -format=json {path}")) {
            Ok(names) => {
                let names: Vec<String> = serde_json::from_str(&names).unwrap();
                let names = names.into_iter();
                names
                    .map(|name| name.trim_end_matches('/').to_owned())
                    .collect()
            }
            // It says so of an empty list, too; what it is asked is not to fail otherwise.
            Err(told) => {
                assert!(told.is_empty(), "{told}");
                Vec::new()
            }
        }
    }
}

fn backend(dir: &Path, values: &Arc<StaticSecret>, policies: &str) -> Arc<dyn Backend> {
    let members = [("policies", policies)];
    opened(BackendKind::OpenBao, &url_of(dir), None, &members, values)
}

conforms!(Server);

type AtOpenBao = Bench<Server>;

#[tokio::test]
async fn what_was_made_with_a_leased_token_dies_with_it() {
    let server = Server::start();
    // Somebody permits leased tokens to make others.
    let rules = server.dir().join("rules");
    let text = "path \"secret/stock\" { capabilities = [\"read\"] }\n\
                path \"auth/token/create\" { capabilities = [\"update\"] }";
    std::fs::write(&rules, text).unwrap();
    let write = format!("policy write orders-ro {}", rules.display());
    server.bao(&write).unwrap();
    let bench = AtOpenBao::at(server, |dir, values| backend(dir, values, "orders-ro")).await;
    let taken = bench.take().await;
    let make = "token create -field=token";
    let child = bench.server().say_as(taken.secret.expose(), make).unwrap();
    assert_eq!(bench.server().say_as(&child, READ).unwrap(), "7");
    assert_eq!(bench.revoke(LeasesOf::Lease(taken.lease.id)).await, 1);
    assert!(bench.server().say_as(&child, READ).is_err());
}

#[tokio::test]
async fn a_token_that_outlived_its_role_is_revoked() {
    let bench = AtOpenBao::new().await;
    let taken = bench.take().await;
    let name = taken.access["username"].clone();
    bench.server().remove(&name);
    let works = |token: &str| bench.server().say_as(token, READ);
    assert_eq!(works(taken.secret.expose()).unwrap(), "7");
    assert_eq!(bench.reconcile().await.strays, [name]);
    assert!(works(taken.secret.expose()).is_err());
}

#[tokio::test]
async fn a_broker_makes_no_more_than_its_own_policy_allows() {
    let bench = AtOpenBao::at(Server::start(), |dir, values| {
        backend(dir, values, "orders-ro bw-broker")
    })
    .await;
    let refused = bench.world.broker.take(wanted(&bench.world)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::LeaseDenied, "{refused}");
    assert_eq!(bench.accounts(), Vec::<String>::new());
}
