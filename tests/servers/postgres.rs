//! A PostgreSQL server of its own for each test, and a client that is not ours: psql. Included by the tests that need one.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

pub(crate) struct Server {
    process: Option<Child>,
    dir: TempDir,
}

impl Server {
    /// One that has nothing but its superuser.
    pub(crate) fn bare() -> Self {
        // Short and open to the server's own user: a socket is in it.
        let dir = tempfile::Builder::new()
            .prefix("pg")
            .tempdir_in("/tmp")
            .unwrap();
        let mut server = Self { process: None, dir };
        server.run();
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

    pub(crate) fn client(&self, user: &str, password: &str, database: &str) -> Command {
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
}

/// Where a user finds a database of the server in this directory.
pub(crate) fn url(dir: &Path, user: &str, database: &str) -> String {
    let dir = dir.display().to_string().replace('/', "%2F");
    format!("postgresql://{user}@{dir}:5432/{database}")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status();
    assert!(sent.unwrap().success());
}
