//! The journal: which calls truly ran. Two JSON lines per call, the first on disk before the tool acts, the second when it ended.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_core::{Clock, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The tool did what it was asked.
    Done,
    /// The tool ran and reported a failure.
    Failed,
    /// The caller cancelled or went away, or the server stopped, before the tool was done.
    Cancelled,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "lowercase")]
pub enum Record {
    /// A call is about to run.
    Start {
        /// Number of the call in this run of the server, from 1.
        call: u64,
        /// When.
        at: Timestamp,
        /// The tool.
        tool: String,
        /// The JSON text of the arguments: over HTTP the bytes as they came.
        arguments: String,
        /// Whether the request presented the bearer token that this server insists on; never over stdio.
        bearer: bool,
    },
    /// A call has ended.
    End {
        /// Number of the call.
        call: u64,
        /// When.
        at: Timestamp,
        /// How.
        outcome: Outcome,
    },
}

/// The journal's writer. Clones write to the same file.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    file: Mutex<(File, u64)>,
    clock: Arc<dyn Clock>,
    ended: watch::Sender<u64>,
}

impl Journal {
    /// Opens `path` for appending; only this user may read it.
    pub(super) fn open(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            inner: Arc::new(Inner {
                file: Mutex::new((file, 0)),
                clock,
                ended: watch::Sender::new(0),
            }),
        })
    }

    /// Resolves once `calls` calls have ended since the journal was opened.
    pub async fn ended(&self, calls: u64) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self
            .inner
            .ended
            .subscribe()
            .wait_for(|ended| *ended >= calls)
            .await;
    }

    /// Writes that a call starts. The tool may act once this returns.
    pub(super) fn start(&self, tool: &str, arguments: String, bearer: bool) -> io::Result<Entry> {
        let mut file = self
            .inner
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let call = file.1 + 1;
        append(
            &mut file.0,
            &Record::Start {
                call,
                at: self.inner.clock.wall(),
                tool: tool.to_owned(),
                arguments,
                bearer,
            },
        )?;
        file.1 = call;
        Ok(Entry {
            journal: self.clone(),
            call,
            outcome: Outcome::Cancelled,
        })
    }

    fn end(&self, call: u64, outcome: Outcome) {
        let mut file = self
            .inner
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = append(
            &mut file.0,
            &Record::End {
                call,
                at: self.inner.clock.wall(),
                outcome,
            },
        ) {
            tracing::error!(call, %error, "the end of a call cannot be written to the journal");
        }
        drop(file);
        self.inner.ended.send_modify(|ended| *ended += 1);
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

/// A call that runs. Its end is written when this is dropped, so that a call whose future is dropped ends as cancelled.
#[derive(Debug)]
pub(super) struct Entry {
    journal: Journal,
    call: u64,
    outcome: Outcome,
}

impl Entry {
    /// Ends the call.
    pub(super) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.journal.end(self.call, self.outcome);
    }
}

/// One write per line: `O_APPEND` keeps lines whole, and nothing is buffered on our side.
fn append(file: &mut File, record: &Record) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    file.write_all(&line)?;
    file.flush()
}
