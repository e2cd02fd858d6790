//! The node's own session with a child process: newline-delimited JSON-RPC. The child gets no environment but what its registration says,
//! and is killed when the session ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use bailiwick_core::{Code, Problem};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{MAX_MESSAGE, answers, down};

/// A session.
pub(super) struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    pub(super) fn start(
        command: &[String],
        env: &BTreeMap<String, String>,
        pass_env: &[String],
        scratch: &Path,
    ) -> Result<Self, Problem> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Problem::new(Code::InvalidInput, "the command is empty", ""));
        };
        let passed = pass_env
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        let started = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(passed)
            .envs(env)
            .current_dir(scratch)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child = started.map_err(|error| down(&format!("{program}: {error}")))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self {
                child,
                input,
                output: BufReader::new(output),
            }),
            _ => Err(down("its pipes are closed")),
        }
    }

    pub(super) async fn ask(&mut self, message: &str, id: &str) -> Result<Vec<u8>, Problem> {
        self.tell(message).await?;
        loop {
            let mut line = Vec::new();
            let bound = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX);
            let mut bounded = (&mut self.output).take(bound);
            let read = bounded.read_until(b'\n', &mut line).await;
            if read.map_err(|error| down(&error.to_string()))? == 0 {
                return Err(down("it ended without an answer"));
            }
            if answers(&line, id) {
                return Ok(line);
            }
        }
    }

    pub(super) async fn tell(&mut self, message: &str) -> Result<(), Problem> {
        let line = format!("{message}\n");
        let written = self.input.write_all(line.as_bytes()).await;
        written.map_err(|error| down(&error.to_string()))?;
        let flushed = self.input.flush().await;
        flushed.map_err(|error| down(&error.to_string()))
    }

    pub(super) async fn end(mut self) {
        drop(self.input);
        // Already gone is just as well; dropping it kills it otherwise.
        let _ = self.child.kill().await;
    }
}
