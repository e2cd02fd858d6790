//! A PostgreSQL server of its own, by the script of the tests, and psql.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

pub(super) struct Server {
    process: Child,
    dir: TempDir,
    password: String,
}

impl Server {
    pub(super) fn start() -> Result<Self> {
        // Open to the server's own user, and short: a socket is in it.
        let dir = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp")?;
        let script = crate::repository().join("tests/servers/postgres");
        let mut process = Command::new(script)
            .arg(dir.path())
            .args(["-c", "fsync=off"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("tests/servers/postgres did not start")?;
        let mut lines = BufReader::new(process.stderr.take().context("it has no stderr")?);
        let mut told = String::new();
        while !told.contains("ready to accept connections") {
            let read = lines.read_line(&mut told)?;
            ensure!(read > 0, "the server did not start; run ci/deps: {told}");
        }
        // Nobody reads on; it must not wait for somebody to.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let password = std::fs::read_to_string(dir.path().join("password"))?;
        let server = Self {
            process,
            dir,
            password,
        };
        server.sql(&format!(
            "CREATE ROLE app_ro NOLOGIN; CREATE ROLE bw_broker LOGIN CREATEROLE PASSWORD '{}'; \
             GRANT pg_signal_backend TO bw_broker",
            server.password
        ))?;
        Ok(server)
    }

    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The answer's first column; rows are lines.
    pub(super) fn sql(&self, text: &str) -> Result<String> {
        let ran = self
            .psql("admin", &self.password)
            .args(["-c", text])
            .output()?;
        ensure!(
            ran.status.success(),
            "psql: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        Ok(String::from_utf8(ran.stdout)?.trim().to_owned())
    }

    /// A session that became somebody else and stays.
    pub(super) fn session(&self, name: &str, secret: &str) -> Result<Child> {
        self.psql(name, secret)
            .args(["-c", "SET ROLE app_ro", "-c", "SELECT pg_sleep(3600)"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("psql did not start")
    }

    fn psql(&self, user: &str, password: &str) -> Command {
        let mut command = Command::new("psql");
        command
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
                "postgres",
                "-h",
            ])
            .arg(self.dir.path())
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let id = self.process.id().to_string();
        // Immediate shutdown: nothing of it is kept.
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.process.wait();
    }
}
