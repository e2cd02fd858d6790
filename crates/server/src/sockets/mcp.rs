//! The stdio shim's socket. The shim says in one line which server and task; who it is the kernel says: the process that started the shim
//! is attested, so no token is in any configuration file. Then newline-delimited JSON-RPC.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_control::Control;
use bailiwick_control::tasks::OpenTask;
use bailiwick_core::id::TaskId;
use bailiwick_core::json::{Limits, check};
use bailiwick_core::name::{AgentName, ServerName, UserId};
use bailiwick_core::task::{Request, RequestSource, Task, TaskState};
use bailiwick_core::{Code, Fault, Problem};
use bailiwick_enforce::{Caller, Gateway};
use bailiwick_identity::attest::{Found, Hashes, attest_parent, start_time_of};
use bailiwick_identity::authority::{Asker, Attested, Authority};
use bailiwick_identity::exits::Watch;
use bailiwick_identity::launches::{Launch, Launches};
use bailiwick_identity::peer::Peer;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::serve_each;

/// Connections at once; further ones wait to be accepted.
pub const MAX_CONNECTIONS: usize = 256;
/// Longest first line.
const MAX_HANDSHAKE: usize = 64 << 10;
/// The first line must be there within this time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Bounds on the first line.
const LIMITS: Limits = Limits {
    bytes: MAX_HANDSHAKE,
    depth: 4,
    members: 16,
    caseless: true,
};

/// What serving a shim needs.
#[derive(Clone)]
pub struct Shim {
    /// Opens, binds and ends tasks.
    pub control: Control,
    /// Attests.
    pub authority: Arc<Authority>,
    /// Digests of executables.
    pub hashes: Arc<Hashes>,
    /// Ends instances whose process exits.
    pub watch: Watch,
    /// What `bailiwick run` started.
    pub launches: Arc<Launches>,
    /// Serves the session.
    pub gateway: Arc<Gateway>,
}

/// The first line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    v: u32,
    server: ServerName,
    agent: Option<AgentName>,
    task: Wanted,
}

/// Which task.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    id: Option<TaskId>,
    text: Option<String>,
}

/// Serves shims until `stop`.
pub async fn serve(
    listener: UnixListener,
    shim: Shim,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    let connection = move |stream| {
        let shim = shim.clone();
        async move { shim.connection(stream).await }
    };
    serve_each(listener, MAX_CONNECTIONS, connections, stop, connection).await;
}

/// A task that ends with the stream.
struct Opened {
    task: Task,
    /// Whether this connection opened it.
    here: bool,
    uid: u32,
}

impl Shim {
    async fn connection(&self, mut stream: UnixStream) {
        let (hello, peer, attested, opened) = match self.greet(&mut stream).await {
            Ok(greeted) => greeted,
            Err(problem) => return refuse(&mut stream, &problem).await,
        };
        // Whatever happens to this connection from here on, even its being dropped, ends a task that it opened.
        let _guard = EndOnDrop {
            control: self.control.clone(),
            id: opened.here.then_some(opened.task.id),
            uid: opened.uid,
        };
        let caller = Caller::attested(opened.task.id, attested.instance.id);
        let welcome = json!({"ok": true, "task": opened.task.id, "agent": attested.agent.name});
        if say(&mut stream, &welcome).await.is_err() {
            return;
        }
        tracing::info!(pid = peer.pid, task = %opened.task.id, agent = %attested.agent.name, "a shim is served");
        let served = self
            .gateway
            .serve_stdio(&hello.server, &caller, stream)
            .await;
        if let Err(problem) = served {
            tracing::info!(pid = peer.pid, %problem, "a shim's session was refused");
        }
    }

    async fn greet(
        &self,
        stream: &mut UnixStream,
    ) -> Result<(Hello, Peer, Attested, Opened), Problem> {
        let peer = Peer::of(stream).map_err(|error| error.problem())?;
        let line = tokio::time::timeout(HANDSHAKE, first_line(stream)).await;
        let line = line.map_err(|_| unfit("it did not come in time"))??;
        let hello = parse(&line)?;
        let launch = self.launches.of(&peer).await;
        let launch = launch.map_err(|error| error.problem())?;
        let attested = self.attest(&peer, launch.as_ref()).await?;
        if hello
            .agent
            .as_ref()
            .is_some_and(|agent| *agent != attested.agent.name)
        {
            return Err(Problem::new(
                Code::NoIdentity,
                format!(
                    "the process that started this shim is agent {}",
                    attested.agent.name
                ),
                "leave --agent out, or start the shim from the agent it names",
            ));
        }
        // In a launch there is the launch's task: nobody in it opens another one by asking for it.
        let own = launch.filter(|_| hello.task.id.is_none());
        let wanted = own.map_or(hello.task.clone(), |launch| Wanted {
            id: Some(launch.task),
            text: None,
        });
        let opened = self.task(&wanted, &attested, peer.uid).await?;
        Ok((hello, peer, attested, opened))
    }

    async fn attest(&self, peer: &Peer, launch: Option<&Launch>) -> Result<Attested, Problem> {
        if let Some(launch) = launch {
            let asker = Asker::Launched(launch.instance);
            let attested = self.authority.attest(asker, None).await;
            return attested.map_err(|error| error.problem());
        }
        let (asked, hashes) = (peer.clone(), Arc::clone(&self.hashes));
        let found = tokio::task::spawn_blocking(move || attest_parent(&asked, &hashes)).await;
        let found = found
            .map_err(|_| Problem::new(Code::Internal, "attestation stopped", ""))?
            .map_err(|error| error.problem())?;
        let pidfd = pinned(&found).ok_or_else(|| {
            Problem::new(
                Code::NoIdentity,
                "the process that started this shim is gone",
                "start it from a process that stays alive",
            )
        })?;
        let attested = self.authority.attest(found, None).await;
        let attested = attested.map_err(|error| error.problem())?;
        if !self.watch.process(attested.instance.id, Arc::new(pidfd)) {
            return Err(Problem::new(
                Code::Overloaded,
                "too many processes are watched at once",
                "try again later",
            ));
        }
        Ok(attested)
    }

    async fn task(
        &self,
        wanted: &Wanted,
        attested: &Attested,
        uid: u32,
    ) -> Result<Opened, Problem> {
        let (id, here) = match (wanted.id, &wanted.text) {
            (Some(id), None) => (id, false),
            (None, Some(text)) => (self.launch(text, attested, uid).await?, true),
            _ => {
                return Err(unfit(
                    "`task` takes an id or a text, and only one; in a launch neither is needed",
                ));
            }
        };
        match self.control.bind(id, &attested.instance).await {
            Ok(task) => Ok(Opened { task, here, uid }),
            Err(problem) => {
                if here {
                    self.end(id, uid).await;
                }
                Err(problem)
            }
        }
    }

    async fn launch(&self, text: &str, attested: &Attested, uid: u32) -> Result<TaskId, Problem> {
        let user: UserId = format!("user:unix:{uid}")
            .parse()
            .map_err(|error| Problem::new(Code::Internal, format!("{error}"), ""))?;
        let open = OpenTask {
            agent: attested.agent.name.clone(),
            user,
            // The agent's own configuration carries these words, so they are no evidence of what a person asked for.
            request: Request {
                text: text.to_owned(),
                source: RequestSource::Agent,
            },
            workflow: None,
            scope: None,
            ttl: None,
            parent: None,
        };
        Ok(self.control.launch(uid, open).await?.id)
    }

    async fn end(&self, id: TaskId, uid: u32) {
        end(&self.control, id, uid).await;
    }
}

/// Ends a task that was opened for a stream.
struct EndOnDrop {
    control: Control,
    id: Option<TaskId>,
    uid: u32,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let (control, uid) = (self.control.clone(), self.uid);
            // Bounded by the store's queue. If the node goes down first, the exit of the agent's process ends the task.
            tokio::spawn(async move { end(&control, id, uid).await });
        }
    }
}

async fn end(control: &Control, id: TaskId, uid: u32) {
    match control.launch_ended(uid, id, TaskState::Completed).await {
        Err(problem) if problem.code != Code::TaskEnded => {
            tracing::error!(task = %id, %problem, "a shim's task could not be ended yet");
        }
        _ => {}
    }
}

/// The first line, read byte by byte so that nothing behind it is taken.
async fn first_line(stream: &mut UnixStream) -> Result<Vec<u8>, Problem> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(b'\n') => return Ok(line),
            Ok(byte) if line.len() < MAX_HANDSHAKE => line.push(byte),
            Ok(_) => return Err(unfit("it is too long")),
            Err(error) => return Err(unfit(&format!("the stream ended: {error}"))),
        }
    }
}

fn parse(line: &[u8]) -> Result<Hello, Problem> {
    let text = check(line, &LIMITS).map_err(|error| unfit(&error.to_string()))?;
    let hello: Hello =
        serde_json::from_str(text.as_str()).map_err(|error| unfit(&error.to_string()))?;
    if hello.v != 1 {
        return Err(Problem::new(
            Code::VersionUnsupported,
            format!("version {} of the handshake is not spoken here", hello.v),
            "use the shim of the node's release",
        ));
    }
    Ok(hello)
}

fn pinned(found: &Found) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(found.pid).ok()?)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    // Read after the process is pinned: a reused id has another start time.
    (start_time_of(found.pid)? == found.pid_start).then_some(pidfd)
}

async fn refuse(stream: &mut UnixStream, problem: &Problem) {
    tracing::info!(code = %problem.code, %problem, "a shim was refused");
    let answer = json!({
        "ok": false,
        "code": problem.code.as_str(),
        "message": problem.message,
        "help": problem.help,
    });
    // A shim that went away needs no answer.
    let _ = say(stream, &answer).await;
}

async fn say(stream: &mut UnixStream, answer: &Value) -> std::io::Result<()> {
    stream.write_all(format!("{answer}\n").as_bytes()).await?;
    stream.flush().await
}

fn unfit(why: &str) -> Problem {
    Problem::new(
        Code::InvalidInput,
        format!("the first line is no handshake: {why}"),
        "start the shim with: bailiwick mcp --server NAME",
    )
}

#[cfg(test)]
mod tests;
