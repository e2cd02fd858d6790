//! What the tests of leases have on their PostgreSQL server: a database, groups, a broker's role, and open sessions of others. Included
//! beside `postgres.rs` and `session.rs`.

use std::path::Path;

use super::postgres::{Server, url};
use super::session::Session;

impl Server {
    /// One with a database, and a broker's role.
    pub(crate) fn start() -> Self {
        let server = Self::bare();
        server.sql("CREATE DATABASE orders");
        server.sql("CREATE ROLE app_ro NOLOGIN; CREATE ROLE app_owner NOLOGIN");
        server.sql_in(
            "orders",
            "CREATE TABLE stock (n int); INSERT INTO stock VALUES (7); GRANT SELECT ON stock TO app_ro; \
             GRANT CREATE, USAGE ON SCHEMA public TO app_ro",
        );
        // What a broker has by the docs: no superuser.
        server.sql(&format!(
            "CREATE ROLE bw_broker LOGIN CREATEROLE PASSWORD '{}'; GRANT pg_signal_backend TO bw_broker",
            server.password()
        ));
        server
    }

    /// An open session.
    pub(crate) fn session(&self, user: &str, password: &str) -> Session {
        let mut session = Session::of(self.client(user, password, "orders"));
        assert_eq!(session.ask("SELECT 'here';").as_deref(), Some("here"));
        session
    }

    /// Names of all roles that begin as ours, markers left out.
    pub(crate) fn roles(&self) -> Vec<String> {
        let found = self.sql(
            "SELECT rolname FROM pg_roles WHERE rolname LIKE 'bw-%' AND rolname NOT LIKE '%-gen-%'",
        );
        found.lines().map(str::to_owned).collect()
    }

    /// Sessions that are neither the superuser's, the broker's nor the server's own.
    pub(crate) fn foreign_sessions(&self) -> String {
        self.sql(
            "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid \
             WHERE a.backend_type = 'client backend' AND coalesce(r.rolname, '') NOT IN ('admin', 'bw_broker')",
        )
    }
}

/// Where the broker of a test finds the server in this directory.
pub(crate) fn url_of(dir: &Path) -> String {
    url(dir, "bw_broker", "postgres")
}
