//! The PostgreSQL engine on a real server: conformance, several stores on one database, lost connections and commits, schemas.

mod faults;
#[path = "../../../../tests/servers/postgres.rs"]
mod postgres;
#[path = "../../../../tests/servers/postgres_stores.rs"]
mod postgres_stores;
mod schemas;
mod several;
mod transfers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_crypto::system::{SystemClock, SystemRng};
use tempfile::TempDir;

use crate::conformance::{self, each};
use crate::{OpenError, PostgresStore, Store};
use postgres::{Server, url};

/// A server with the role and the databases that nodes use.
struct Bench {
    server: Server,
    password: PathBuf,
    dir: TempDir,
}

impl Bench {
    fn start() -> Self {
        let server = Server::bare();
        server.create_store();
        let dir = tempfile::tempdir().unwrap();
        Self {
            password: server.private_password(dir.path()),
            server,
            dir,
        }
    }

    fn create(&self, database: &str) {
        self.server
            .sql(&format!("CREATE DATABASE {database} OWNER bailiwick"));
    }

    fn at(&self, node: &str, database: &str) -> PostgresStore {
        PostgresStore {
            url: url(&self.server.dir(), "bailiwick", database),
            password_file: Some(self.password.clone()),
            ca_file: None,
            node: node.to_owned(),
            others: true,
            patience: Duration::from_secs(20),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        }
    }

    fn try_open(&self, node: &str, database: &str) -> Result<Store, OpenError> {
        self.open_at(node, &self.at(node, database))
    }

    /// On a thread of its own: it waits for the server.
    fn open_at(&self, node: &str, at: &PostgresStore) -> Result<Store, OpenError> {
        let database = at.url.rsplit('/').next().unwrap();
        let dir = self.dir.path().join(format!("{database}-{node}"));
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| Store::open_postgres(&dir, at));
            opening.join().unwrap()
        })
    }

    fn open(&self, node: &str) -> Store {
        self.try_open(node, "bailiwick").unwrap()
    }

    fn sql(&self, text: &str) -> String {
        self.server
            .sql_in("bailiwick", &format!("SET search_path = bailiwick; {text}"))
    }
}

/// Every function of the conformance suite, each on an empty schema; one server, since starting it is what takes long.
macro_rules! conforms {
    ($($name:ident)*) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_conformance_suite_passes() {
            let bench = Bench::start();
            let mut failed = Vec::new();
            $(
                let store = bench.open("one");
                let ran = tokio::spawn(async move { conformance::$name(&store).await }).await;
                if ran.is_err() {
                    failed.push(stringify!($name));
                }
                bench.sql("DROP SCHEMA bailiwick CASCADE");
            )*
            assert!(failed.is_empty(), "{failed:?}");
        }
    };
}

each! { conforms }
