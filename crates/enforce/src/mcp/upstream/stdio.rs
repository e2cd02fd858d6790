//! A tool server as a child process: its own process group, a private home, an environment of named variables only, bounded lines.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_core::Rng;
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{ChildStdin, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{ANSWER_LIMITS, Answer, MAX_ANSWER, Outbound, UpstreamError};
use crate::gateway::Gateway;
use crate::mcp::envelope::{Envelope, Message, same_id};
use crate::mcp::inbound::Inbound;
use crate::mcp::outlet::Outlet;
use crate::mcp::splice::on_one_line;
use crate::mcp::stdio::{Line, read_line};

/// Messages waiting for a child that does not read; beyond this the server is busy.
const MAX_QUEUE: usize = 128;
/// Longest line of the child's standard error that is kept, in bytes.
const MAX_ERROR_LINE: usize = 8 << 10;
/// How long the child has to end by itself before its group is killed.
const GRACE: Duration = Duration::from_millis(200);

/// How to start it.
pub(super) struct Launch<'a> {
    pub(super) command: &'a [String],
    pub(super) env: &'a BTreeMap<String, String>,
    pub(super) pass_env: &'a [String],
    pub(super) scratch: &'a Path,
}

/// A running child.
pub(crate) struct Child {
    queue: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<HashMap<String, Waiting>>,
    gone: AtomicBool,
    inbound: Arc<Inbound>,
}

/// A request without answer yet.
struct Waiting {
    answer: oneshot::Sender<Envelope>,
    outlet: Outlet,
    progress: Option<String>,
    /// Told of each sign of life.
    alive: mpsc::Sender<()>,
}

impl Child {
    /// Starts the child. It lives until it exits or `ended` is cancelled.
    pub(super) fn start(
        gateway: &Gateway,
        launch: &Launch<'_>,
        inbound: Arc<Inbound>,
        ended: CancellationToken,
    ) -> Result<Self, UpstreamError> {
        let down = |error: std::io::Error| {
            UpstreamError::Down(format!("its program does not start: {error}"))
        };
        let home = Home::make(launch.scratch, &*gateway.ports.rng).map_err(down)?;
        let (program, arguments) = launch
            .command
            .split_first()
            .ok_or_else(|| UpstreamError::Down("its command is empty".to_owned()))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .current_dir(&home.0)
            .process_group(0)
            .kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let passed = launch
            .pass_env
            .iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(passed).envs(launch.env);
        command.env("HOME", &home.0).env("TMPDIR", &home.0);
        let mut child = command.spawn().map_err(down)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(UpstreamError::Down("its pipes are missing".to_owned()));
        };
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            gone: AtomicBool::new(false),
            inbound,
        });
        let (queue, outgoing) = mpsc::channel(MAX_QUEUE);
        let server = shared.inbound.server.clone();
        gateway.tasks.spawn(write(stdin, outgoing));
        gateway.tasks.spawn(log(stderr, server.to_string()));
        let reading = read(stdout, Arc::clone(&shared), queue.clone());
        let owner = Arc::clone(&shared);
        gateway.tasks.spawn(async move {
            let group = child
                .id()
                .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            tokio::select! {
                () = ended.cancelled() => {}
                () = reading => {}
                _ = child.wait() => {}
            }
            owner.end();
            if let Some(group) = group {
                // What the child started is in its group; all of it goes, even if the child itself has exited.
                let _ = kill_process_group(group, Signal::TERM);
                let _ = tokio::time::timeout(GRACE, child.wait()).await;
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait().await;
            drop(home);
        });
        Ok(Self { queue, shared })
    }

    /// Sends a request and waits for its answer.
    pub(super) async fn request(
        &self,
        outbound: Outbound<'_>,
        outlet: &Outlet,
    ) -> Result<Answer, UpstreamError> {
        let (answer, answered) = oneshot::channel();
        let (alive, mut signs) = mpsc::channel(1);
        let progress = outbound.progress.map(same_id);
        let waiting = Waiting {
            answer,
            outlet: outlet.clone(),
            progress,
            alive,
        };
        let id = same_id(outbound.id);
        self.shared.lock().insert(id.clone(), waiting);
        let _forget = Forget {
            shared: &self.shared,
            id,
        };
        if self.is_gone() {
            return Err(UpstreamError::Down("its process has ended".to_owned()));
        }
        self.send(outbound.raw)?;
        tokio::pin!(answered);
        loop {
            tokio::select! {
                answer = &mut answered => {
                    let envelope = answer.map_err(|_| UpstreamError::Lost("its process has ended".to_owned()))?;
                    return Ok(Answer { envelope, status: 200 });
                }
                Some(()) = signs.recv() => {}
                () = tokio::time::sleep(outbound.silence()) => {
                    // Who waits for its client says nothing.
                    if !self.shared.inbound.waits_for_client() {
                        return Err(UpstreamError::Timeout);
                    }
                }
            }
        }
    }

    /// Sends one message.
    pub(super) fn send(&self, raw: &Bytes) -> Result<(), UpstreamError> {
        let mut line = on_one_line(raw);
        line.push(b'\n');
        self.queue
            .try_send(Bytes::from(line))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => UpstreamError::Busy,
                mpsc::error::TrySendError::Closed(_) => {
                    UpstreamError::Down("its process has ended".to_owned())
                }
            })
    }

    pub(super) fn is_gone(&self) -> bool {
        self.shared.gone.load(Ordering::Acquire)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request without answer gets none.
    fn end(&self) {
        self.gone.store(true, Ordering::Release);
        self.lock().clear();
    }

    /// Takes one line; gives what to write back.
    async fn take(&self, line: Bytes) -> Option<Bytes> {
        let Ok(envelope) = Envelope::parse(line.clone(), &ANSWER_LIMITS) else {
            self.inbound.dropped();
            return None;
        };
        if let Message::Response { id: Some(id) } = envelope.message() {
            match self.lock().remove(&same_id(id)) {
                // The caller may have gone; then nobody waits.
                Some(waiting) => drop(waiting.answer.send(envelope)),
                None => self.inbound.dropped(),
            }
            return None;
        }
        let outlet = progress_of(&envelope).and_then(|token| {
            let waiting = self.lock();
            let own = waiting
                .values()
                .find(|waiting| waiting.progress.as_deref() == Some(token.as_str()))?;
            let _ = own.alive.try_send(());
            Some(own.outlet.clone())
        });
        // A question belongs to a request, and a child does not say to which: any caller's way back is this caller's.
        let outlet = outlet.or_else(|| {
            let asks = matches!(envelope.message(), Message::Request { .. });
            let waiting = self.lock();
            let first = waiting.values().next().filter(|_| asks)?;
            Some(first.outlet.clone())
        });
        self.inbound.take(&envelope, line, outlet.as_ref()).await
    }
}

/// Takes a request off the list when its caller stops waiting.
struct Forget<'a> {
    shared: &'a Shared,
    id: String,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.shared.lock().remove(&self.id);
    }
}

/// A private directory that goes away with its child.
struct Home(PathBuf);

impl Home {
    fn make(scratch: &Path, rng: &dyn Rng) -> std::io::Result<Self> {
        let mut random = [0_u8; 32];
        rng.fill(&mut random);
        let name = bailiwick_core::Digest(random).to_hex();
        let path = scratch.join(format!("bailiwick-{}", name.get(..16).unwrap_or_default()));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "the private directory of a tool server was not removed");
        }
    }
}

async fn write(mut stdin: ChildStdin, mut outgoing: mpsc::Receiver<Bytes>) {
    while let Some(line) = outgoing.recv().await {
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn read(stdout: impl AsyncRead + Unpin, shared: Arc<Shared>, queue: mpsc::Sender<Bytes>) {
    let mut lines = BufReader::new(stdout);
    loop {
        match read_line(&mut lines, MAX_ANSWER).await {
            Ok(Line::Whole(line)) if line.is_empty() => {}
            Ok(Line::Whole(line)) => {
                if let Some(reply) = shared.take(Bytes::from(line)).await {
                    let mut line = on_one_line(&reply);
                    line.push(b'\n');
                    // A child that asks without reading gets no answer.
                    let _ = queue.try_send(Bytes::from(line));
                }
            }
            Ok(Line::TooLong) => shared.inbound.dropped(),
            Ok(Line::End) | Err(_) => return,
        }
    }
}

async fn log(stderr: impl AsyncRead + Unpin, server: String) {
    let mut lines = BufReader::new(stderr);
    loop {
        match read_line(&mut lines, MAX_ERROR_LINE).await {
            Ok(Line::Whole(line)) => {
                tracing::debug!(server, line = %String::from_utf8_lossy(&line), "stderr of a tool server");
            }
            Ok(Line::TooLong) => {
                tracing::debug!(server, "a line of a tool server's stderr was too long");
            }
            Ok(Line::End) | Err(_) => return,
        }
    }
}

fn progress_of(envelope: &Envelope) -> Option<String> {
    if envelope.method() != Some("notifications/progress") {
        return None;
    }
    Some(same_id(
        envelope.params()?.member("progressToken")?.as_str(),
    ))
}

#[cfg(test)]
mod tests;
