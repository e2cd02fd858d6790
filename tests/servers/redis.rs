//! A Redis server of its own for each test, and a client that is not ours: redis-cli. Included by the tests that need one.

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

/// What its administrator and a broker log in with.
const PASSWORD: &str = "of-the-broker-and-the-admin";

impl Server {
    /// One with a key, and a broker's user as the docs have it.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("redis")
            .tempdir_in("/tmp")
            .unwrap();
        let users = format!(
            "user default off\n\
             user admin on >{PASSWORD} ~* &* +@all\n\
             user bw_broker on >{PASSWORD} +acl +client|list +client|kill +info +time +ping\n"
        );
        std::fs::write(dir.path().join("acl"), users).unwrap();
        std::fs::write(dir.path().join("password"), PASSWORD).unwrap();
        let mut server = Self { process: None, dir };
        server.run();
        assert_eq!(server.ask(&["SET", "stock", "7"]), "OK");
        server
    }

    pub(crate) fn run(&mut self) {
        self.process = Some(self.running(&[]).unwrap());
    }

    /// Over TLS too, with the certificate that is in its directory; where.
    pub(crate) fn run_with_tls(&mut self) -> u16 {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let (port, process) = on_free_port(|port| {
            self.running(&[
                &["--tls-port", &port.to_string(), "--tls-auth-clients", "no"],
                &["--tls-cert-file", &at("server.pem"), "--tls-key-file"],
                &[&at("server.key"), "--tls-ca-cert-file", &at("ca.pem")],
            ])
        });
        self.process = Some(process);
        port
    }

    fn running(&self, more: &[&[&str]]) -> Result<Running, String> {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        // A socket that an ended server left would be there before this one listens.
        let _ = std::fs::remove_file(at("s"));
        let mut command = Command::new("redis-server");
        command
            .args(["--port", "0", "--save", "", "--daemonize", "no"])
            .args(["--bind", "127.0.0.1"])
            .args(["--unixsocket", &at("s"), "--aclfile", &at("acl")])
            .args(["--dir", &at("")])
            .args(more.concat())
            .stdout(Stdio::piped());
        Running::until("ready to accept connections", &mut command)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// What it says to its administrator.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        self.say_as("admin", PASSWORD, words)
    }

    /// What it says to somebody, complaints too.
    pub(crate) fn say_as(&self, user: &str, password: &str, words: &[&str]) -> String {
        let ran = self.client(user, password).args(words).output().unwrap();
        let told = [ran.stdout, ran.stderr].concat();
        String::from_utf8(told).unwrap().trim().to_owned()
    }

    /// An open session.
    pub(crate) fn session(&self, user: &str, password: &str) -> Session {
        // It complains on its standard error, and goes on.
        let mut shell = Command::new("sh");
        let client = self.client(user, password);
        shell.args(["-c", "exec \"$0\" \"$@\" 2>&1"]);
        shell.arg(client.get_program()).args(client.get_args());
        for (name, value) in client.get_envs() {
            shell.env(name, value.unwrap());
        }
        Session::of(shell)
    }

    fn client(&self, user: &str, password: &str) -> Command {
        let mut command = Command::new("redis-cli");
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("REDISCLI_AUTH", password)
            .arg("-s")
            .arg(self.dir.path().join("s"))
            .args(["--user", user, "--no-auth-warning"]);
        command
    }
}

/// Where the broker of a test finds the server in this directory.
pub(crate) fn url_of(dir: &Path) -> String {
    format!("unix://bw_broker@{}/s", dir.display())
}
