//! A MariaDB server of its own for each test, and a client that is not ours: mariadb. Included by the tests that need one.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::certificate::on_free_port;
use super::running::Running;
use super::session::Session;

pub(crate) struct Server {
    process: Option<Running>,
    dir: TempDir,
}

/// What a broker logs in with. The administrator comes over the socket of a directory that is the test's own.
const PASSWORD: &str = "of-the-broker";
/// What `ci/deps` made once.
const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.deps/mariadb");

impl Server {
    /// One with a table, a role that may read it, and a broker's user as the docs have it.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("mdb")
            .tempdir_in("/tmp")
            .unwrap();
        // Open to the server's own user.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        std::fs::write(dir.path().join("password"), PASSWORD).unwrap();
        let template = Path::new(TEMPLATE);
        assert!(template.join("made").exists(), "run ci/deps");
        for part in ["my.cnf", "data"] {
            run(Command::new("cp")
                .arg("-r")
                .args([template.join(part).as_path(), dir.path()]));
        }
        // Its own: a server that starts removes the temporary tables of all others from a directory that they share.
        std::fs::create_dir(dir.path().join("tmp")).unwrap();
        if is_root() {
            let own = ["data", "tmp"].map(|name| dir.path().join(name));
            run(Command::new("chown").args(["-R", "65534:65534"]).args(own));
        }
        let mut server = Self { process: None, dir };
        server.run();
        server.sql(&format!(
            "CREATE DATABASE orders; CREATE TABLE orders.stock (n INT); INSERT INTO orders.stock VALUES (7); \
             CREATE ROLE app_ro; GRANT SELECT ON orders.* TO app_ro; \
             CREATE USER bw_broker@'%' IDENTIFIED BY '{PASSWORD}'; \
             GRANT CREATE USER, PROCESS, CONNECTION ADMIN ON *.* TO bw_broker@'%'; \
             GRANT SELECT, UPDATE ON mysql.* TO bw_broker@'%'; \
             GRANT app_ro TO bw_broker@'%' WITH ADMIN OPTION"
        ));
        server
    }

    pub(crate) fn run(&mut self) {
        let here = &["--skip-networking".to_owned()];
        self.process = Some(self.running(here).unwrap());
    }

    /// Over TLS too, with the certificate that is in its directory; where.
    pub(crate) fn run_with_tls(&mut self) -> u16 {
        let key = self.dir.path().join("server.key");
        // Made by whoever runs the test, read by the server's own user.
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (port, process) = on_free_port(|port| {
            let file = |name: &str| self.dir.path().join(name).display().to_string();
            self.running(&[
                format!("--port={port}"),
                "--bind-address=127.0.0.1".to_owned(),
                format!("--ssl-cert={}", file("server.pem")),
                format!("--ssl-key={}", file("server.key")),
                "--require-secure-transport=on".to_owned(),
            ])
        });
        self.process = Some(process);
        port
    }

    fn running(&self, more: &[String]) -> Result<Running, String> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let mut command = program("mariadbd");
        command
            .arg(format!("--defaults-file={}", at("my.cnf")))
            .arg(format!("--datadir={}", at("data")))
            .arg(format!("--tmpdir={}", at("tmp")))
            .arg(format!("--socket={}", at("s")))
            .arg(format!("--pid-file={}", at("pid")))
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        Running::until("ready for connections", &mut command)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// What it says to its administrator; rows are lines.
    pub(crate) fn sql(&self, text: &str) -> String {
        let ran = self.say_as("root", "", text);
        ran.unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// What it says to somebody, or its complaint.
    pub(crate) fn say_as(&self, user: &str, password: &str, text: &str) -> Result<String, String> {
        let ran = self.client(user, password).args(["-e", text]).output();
        let ran = ran.unwrap();
        if ran.status.success() {
            Ok(String::from_utf8(ran.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8(ran.stderr).unwrap())
        }
    }

    /// An open session.
    pub(crate) fn session(&self, user: &str, password: &str) -> Session {
        let mut client = self.client(user, password);
        client.arg("--unbuffered");
        Session::of(client)
    }

    fn client(&self, user: &str, password: &str) -> Command {
        let mut command = Command::new("mariadb");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("MYSQL_PWD", password)
            .args(["--no-defaults", "--batch", "--skip-column-names"])
            .arg(format!("--socket={}", self.dir.path().join("s").display()))
            .args(["--user", user]);
        command
    }
}

/// Where the broker of a test finds the server in this directory.
pub(crate) fn url_of(dir: &Path) -> String {
    let socket = dir.join("s").display().to_string().replace('/', "%2F");
    format!("mariadb://bw_broker@{socket}/orders")
}

/// A program of the server, which refuses to run as root.
fn program(name: &str) -> Command {
    if !is_root() {
        return Command::new(name);
    }
    let mut command = Command::new("setpriv");
    let as_nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    command.args(as_nobody).arg(name);
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
