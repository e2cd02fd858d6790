//! What launcher and node say to each other on `launch.sock`: one JSON object a line, version 1. The launcher begins with [`Open`]; then
//! each side says what happens on it. Both are of one release: an unknown member is an error.

use std::collections::BTreeMap;

use bailiwick_core::id::{InstanceId, LeaseId, TaskId};
use bailiwick_core::name::{AgentName, CredentialName, UserId, WorkflowName};
use bailiwick_core::{Problem, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt};

/// The version that is spoken here.
pub const VERSION: u32 = 1;
/// Longest line.
pub const MAX_LINE: usize = 256 << 10;
/// Most credentials that one launch takes.
pub const MAX_LEASES: usize = 16;
/// Most variables that are named on record.
pub const MAX_KEPT: usize = 64;

/// A launch that is wanted. The process that will be the program waits already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// [`VERSION`].
    pub v: u32,
    /// Id of the process that waits: a child of the launcher.
    pub pid: u32,
    /// The agent; the only one that the user may start, if none.
    pub agent: Option<AgentName>,
    /// What the task is for.
    pub task: String,
    /// On whose behalf; the launcher's own user, if none.
    pub user: Option<UserId>,
    /// The workflow; the default one, if none.
    pub workflow: Option<WorkflowName>,
    /// For how many seconds at most.
    pub ttl_s: Option<u64>,
    /// Name of the program, for the record.
    pub program: String,
    /// Variables that were kept though they are on no list.
    pub kept: Vec<String>,
    /// How many variables were removed.
    pub removed: u32,
    /// How many secrets were in those.
    pub secrets: u32,
    /// Credentials to be handed over in the environment.
    pub leases: Vec<CredentialName>,
}

/// What the launcher says after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// The process has become the program.
    Running,
    /// The program has ended and nothing it started is left.
    Ended {
        /// Whether a signal to the launcher ended it.
        cancelled: bool,
    },
}

/// What the node says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Not so.
    Refused(Said),
    /// The process may become the program.
    Opened(Opened),
    /// The program is what its agent is registered for, and is served.
    Confirmed,
    /// The launch was ended from outside: the program has to go.
    Cut(Said),
    /// Everything of the launch is over.
    Over(Summary),
}

/// A problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its code.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

impl From<&Problem> for Said {
    fn from(problem: &Problem) -> Self {
        Self {
            code: problem.code.as_str().to_owned(),
            message: problem.message.clone(),
            help: problem.help.clone(),
        }
    }
}

/// A launch that was granted. It has no Debug: there are secrets in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The agent.
    pub agent: AgentName,
    /// The instance that all its processes are.
    pub instance: InstanceId,
    /// The task they act in.
    pub task: TaskId,
    /// When the task ends by itself.
    pub deadline: Timestamp,
    /// Variables for the program.
    pub env: BTreeMap<String, String>,
    /// What was leased, in the order in which it was asked for.
    pub leases: Vec<Handed>,
    /// What somebody should know who starts this.
    pub notes: Vec<String>,
}

/// A leased credential. It has no Debug: there is a secret in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handed {
    /// Which.
    pub credential: CredentialName,
    /// Its lease.
    pub lease: LeaseId,
    /// Where and as whom to use it: `host`, `port`, `database`, `username`.
    pub access: BTreeMap<String, String>,
    /// What proves its holder.
    pub secret: String,
    /// When it ends by itself.
    pub not_after: Timestamp,
}

/// What was done in a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Calls of tools that were let through. None: the record could not be asked in time.
    pub calls: Option<u64>,
    /// Calls of tools that were refused.
    pub denials: Option<u64>,
    /// Leases.
    pub leases: u64,
    /// Those of them that their backends say are gone.
    pub dead: u64,
}

/// Reads one side's lines. May be dropped between lines and in a line: nothing of it is lost.
pub struct Ears<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: AsyncBufRead + Unpin> Ears<R> {
    /// Of this stream.
    pub const fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
        }
    }

    /// What was said next; an error at the end of the stream too.
    pub async fn hear<T: DeserializeOwned>(&mut self) -> std::io::Result<T> {
        let invalid = |why: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, why);
        loop {
            let chunk = self.reader.fill_buf().await?;
            if chunk.is_empty() {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let taken = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            if self.line.len() + taken.len() > MAX_LINE {
                return Err(invalid("a line is too long"));
            }
            self.line.extend_from_slice(taken);
            let used = taken.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                let line = zeroize::Zeroizing::new(std::mem::take(&mut self.line));
                return serde_json::from_slice(&line)
                    .map_err(|_| invalid("a line is not what is said here"));
            }
        }
    }
}

/// Says something.
pub async fn say<T: Serialize>(
    writer: &mut (impl AsyncWrite + Unpin),
    what: &T,
) -> std::io::Result<()> {
    let mut line = zeroize::Zeroizing::new(serde_json::to_vec(what)?);
    line.push(b'\n');
    writer.write_all(&line).await?;
    writer.flush().await
}
