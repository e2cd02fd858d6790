//! An OpenBao server of its own for each test, and a client that is not ours: bao. Included by the tests that need one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::certificate::on_free_port;
use super::running::Running;
use super::session::Session;

pub(crate) struct Server {
    process: Option<Running>,
    dir: TempDir,
    port: u16,
}

/// Questions, each by a process of its own, within which a started server answers.
const QUESTIONS: u32 = 1_000;

impl Server {
    /// One with a secret, a policy that may read it, and a broker's token as the docs have it.
    pub(crate) fn start() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("bao")
            .tempdir_in("/tmp")
            .unwrap();
        let mut server = Self {
            process: None,
            dir,
            port: 0,
        };
        server.run();
        let make =
            "token create -policy=bw-broker -no-default-policy -period=24h -orphan -field=token";
        let token = server.bao(make).unwrap();
        std::fs::write(server.dir.path().join("password"), token).unwrap();
        server
    }

    /// On the port that it had, if it had one: who knows it finds it again.
    pub(crate) fn run(&mut self) {
        let run = |port: u16| {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/servers/openbao");
            let mut command = Command::new(script);
            command
                .arg(self.dir.path())
                .arg(port.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            Running::until("OpenBao server started!", &mut command)
        };
        let (port, process) = if self.port == 0 {
            on_free_port(run)
        } else {
            (self.port, run(self.port).unwrap())
        };
        (self.port, self.process) = (port, Some(process));
        std::fs::write(self.dir.path().join("port"), port.to_string()).unwrap();
        // It has started and has still to unseal itself and to become active.
        let mut answers = (0..QUESTIONS).map(|_| self.bao("token lookup"));
        assert!(answers.any(|answer| answer.is_ok()), "it does not answer");
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// What it says to its administrator.
    pub(crate) fn bao(&self, words: &str) -> Result<String, String> {
        let root = std::fs::read_to_string(self.dir.path().join("root")).unwrap();
        self.say_as(&root, words)
    }

    /// What it says to whoever has this token, or its complaint.
    pub(crate) fn say_as(&self, token: &str, words: &str) -> Result<String, String> {
        let mut client = self.client(token);
        let ran = client.args(words.split(' ')).output().unwrap();
        if ran.status.success() {
            Ok(String::from_utf8(ran.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8(ran.stderr).unwrap())
        }
    }

    /// One who asks again and again with a token: each line that is read is a question.
    pub(crate) fn session(&self, token: &str) -> Session {
        let client = self.client(token);
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            "while read -r words; do \"$0\" $words 2>/dev/null || printf refused; echo; done",
        ]);
        shell.arg(client.get_program());
        for (name, value) in client.get_envs() {
            shell.env(name, value.unwrap());
        }
        Session::of(shell)
    }

    fn client(&self, token: &str) -> Command {
        let mut command = Command::new(BAO);
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("BAO_ADDR", format!("http://127.0.0.1:{}", self.port))
            .env("BAO_TOKEN", token);
        command
    }
}

const BAO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.deps/openbao/bao");

/// Where the broker of a test finds the server in this directory.
pub(crate) fn url_of(dir: &Path) -> String {
    let port = std::fs::read_to_string(dir.join("port")).unwrap();
    format!("http://127.0.0.1:{port}")
}
