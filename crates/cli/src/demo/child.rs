//! A child process that is talked to by lines of JSON: every line in and out is kept, so that it can be searched afterwards.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bailiwick_core::{Code, Problem};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout, Command};

/// How long an answer may take that nobody is asked about.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// A running child. It is killed when this is dropped.
pub(super) struct Child {
    name: String,
    process: tokio::process::Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// Lines that came while another was waited for.
    early: Vec<Value>,
    /// Everything it was told and said.
    transcript: String,
}

impl Child {
    /// Starts it with an empty environment; stderr goes to `log`.
    pub(super) fn start(
        name: &str,
        executable: &Path,
        arguments: &[String],
        log: &Path,
    ) -> Result<Self, Problem> {
        let failed = |error: std::io::Error| {
            Problem::new(
                Code::DemoStepFailed,
                format!("{name} does not start: {error}"),
                "see that the temporary directory may hold executables",
            )
        };
        let stderr = std::fs::File::create(log).map_err(failed)?;
        let mut process = Command::new(executable)
            .args(arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(stderr))
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(Problem::new(
                Code::Internal,
                format!("{name} has no pipes"),
                "",
            ));
        };
        Ok(Self {
            name: name.to_owned(),
            process,
            input: Some(input),
            output: BufReader::new(output).lines(),
            early: Vec::new(),
            transcript: String::new(),
        })
    }

    /// Its process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Everything it was told and said.
    pub(super) fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Tells it something that is not for the transcript.
    pub(super) async fn confide(&mut self, line: &str) -> Result<(), Problem> {
        let gone = self.gone("does not listen");
        let input = self.input.as_mut().ok_or_else(|| gone.clone())?;
        let written = async {
            input.write_all(format!("{line}\n").as_bytes()).await?;
            input.flush().await
        };
        written.await.map_err(|_| gone)
    }

    /// Tells it a line.
    pub(super) async fn tell(&mut self, line: &Value) -> Result<(), Problem> {
        let line = line.to_string();
        self.transcript.push_str(&line);
        self.transcript.push('\n');
        self.confide(&line).await
    }

    /// The first line that fits, also among those that came before; others are kept.
    pub(super) async fn hear(
        &mut self,
        within: Duration,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, Problem> {
        if let Some(at) = self.early.iter().position(&fits) {
            return Ok(self.early.remove(at));
        }
        let heard = async {
            loop {
                let Ok(Some(line)) = self.output.next_line().await else {
                    return None;
                };
                self.transcript.push_str(&line);
                self.transcript.push('\n');
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if fits(&value) {
                    return Some(value);
                }
                self.early.push(value);
            }
        };
        match tokio::time::timeout(within, heard).await {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.gone("ended")),
            Err(_) => Err(Problem::new(
                Code::TimedOut,
                format!("{} said nothing within {} s", self.name, within.as_secs()),
                "",
            )),
        }
    }

    fn gone(&self, how: &str) -> Problem {
        Problem::new(
            Code::DemoStepFailed,
            format!("{} {how}", self.name),
            "run with --keep and read its log",
        )
    }

    /// Closes its stdin and waits; it is killed if it does not end.
    pub(super) async fn end(&mut self) {
        drop(self.input.take());
        if tokio::time::timeout(LEAVE, self.process.wait())
            .await
            .is_err()
        {
            // It may have ended meanwhile.
            let _ = self.process.kill().await;
        }
    }
}

/// How long a child may take to end by itself.
const LEAVE: Duration = Duration::from_secs(8);
