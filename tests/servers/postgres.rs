//! A PostgreSQL server of its own for each test, and a client that is not ours: psql. Included by the tests that need one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Server {
    process: Option<Child>,
    dir: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        // Short and open to the server's own user: a socket is in it.
        let dir = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in("/tmp")
            .unwrap();
        let mut server = Self { process: None, dir };
        server.run();
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

    pub(crate) fn run(&mut self) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/postgres");
        let mut process = Command::new(script)
            .arg(self.dir.path())
            .args(["-c", "fsync=off"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap());
        let mut told = String::new();
        while !told.contains("ready to accept connections") {
            let read = lines.read_line(&mut told).unwrap();
            assert!(read > 0, "the server did not start; run ci/deps: {told}");
        }
        // Nobody reads on; it must not wait for somebody to.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        self.process = Some(process);
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(process.id(), "QUIT");
            process.wait().unwrap();
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(crate) fn password(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("password")).unwrap()
    }

    /// What its catalogue says to its superuser; rows are lines.
    pub(crate) fn sql(&self, text: &str) -> String {
        self.sql_in("postgres", text)
    }

    pub(crate) fn sql_in(&self, database: &str, text: &str) -> String {
        let ran = self.psql("admin", &self.password(), database, text);
        ran.unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// What psql says as somebody, or its complaint.
    pub(crate) fn psql(
        &self,
        user: &str,
        password: &str,
        database: &str,
        text: &str,
    ) -> Result<String, String> {
        let ran = self
            .client(user, password, database)
            .args(["-c", text])
            .output()
            .unwrap();
        if ran.status.success() {
            Ok(String::from_utf8(ran.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8(ran.stderr).unwrap())
        }
    }

    /// An open session.
    pub(crate) fn session(&self, user: &str, password: &str) -> Session {
        let mut process = self
            .client(user, password, "orders")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut session = Session {
            process,
            input,
            output,
        };
        assert_eq!(session.ask("SELECT 'here';").as_deref(), Some("here"));
        session
    }

    fn client(&self, user: &str, password: &str, database: &str) -> Command {
        let mut command = Command::new("psql");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("PGPASSWORD", password)
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                user,
                "-d",
                database,
                "-h",
            ])
            .arg(self.dir.path());
        command
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
    let dir = dir.display().to_string().replace('/', "%2F");
    format!("postgresql://bw_broker@{dir}:5432/postgres")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// psql with its input open.
pub(crate) struct Session {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// The answer's line; none if the session is over.
    pub(crate) fn ask(&mut self, text: &str) -> Option<String> {
        writeln!(self.input, "{text}").ok()?;
        let mut line = String::new();
        let read = self.output.read_line(&mut line).unwrap();
        (read > 0).then(|| line.trim().to_owned())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(sent.unwrap().success());
}
