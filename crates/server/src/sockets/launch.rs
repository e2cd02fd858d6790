//! The socket of `bailiwick run`. The launcher names a child of its own that waits; the node looks at that, opens a task for it and leases
//! what was asked for; once the child has become the program, the node looks again. From then on whatever descends from the launcher is the
//! launch's instance, until the child has exited, the launcher is gone, or somebody ends it.

mod begin;
mod end;
pub mod protocol;
mod way_out;

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::id::LeaseId;
use bailiwick_core::task::{Task, TaskState};
use bailiwick_core::{Fault, Problem};
use bailiwick_enforce::live::Entered;
use bailiwick_identity::attest::{AttestError, Hashes, Waiting, attest_again};
use bailiwick_identity::authority::Attested;
use bailiwick_identity::exits::exited;
use bailiwick_identity::launches::Begun;
use bailiwick_identity::peer::Peer;
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use tokio::io::{AsyncWrite, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::serve_each;
use crate::app::App;
use crate::node::Addresses;
use protocol::{Answer, Ears, Open, Said, Word, say};
use way_out::WayOut;

/// Launches of one node at once; further launchers wait to be accepted.
pub const MAX_CONNECTIONS: usize = 256;
/// The first line must be there within this time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How long the launcher has to read what is said to it. One that does not is no launcher any more.
const LISTENS: Duration = Duration::from_secs(10);
/// How long the launcher has to say that the program is over after it exited, or after the launch was cut.
const GRACE: Duration = Duration::from_secs(15);

/// What serving launchers needs.
#[derive(Clone)]
pub struct Launchpad {
    app: Arc<App>,
    hashes: Arc<Hashes>,
    /// Where the node is, as variables.
    places: Arc<Vec<(String, String)>>,
}

/// A launch that runs.
struct Running {
    peer: Peer,
    waiting: Waiting,
    pidfd: Arc<OwnedFd>,
    attested: Attested,
    task: Task,
    begun: Begun,
    entered: Entered,
    leases: Vec<LeaseId>,
    /// None where there are no connectors.
    way_out: Option<WayOut>,
}

impl Launchpad {
    /// For launchers of this node.
    pub fn new(app: Arc<App>, hashes: Arc<Hashes>, at: &Addresses) -> Self {
        let places = [
            (
                "SPIFFE_ENDPOINT_SOCKET",
                format!("unix://{}", at.workload_socket.display()),
            ),
            ("BAILIWICK_NODE", at.admin_socket.display().to_string()),
            ("BAILIWICK_API_URL", at.console_url.clone()),
            ("BAILIWICK_MCP_URL", format!("{}/mcp", at.gateway_url)),
        ];
        let places = places.into_iter();
        let places = places.map(|(name, value)| (name.to_owned(), value));
        Self {
            app,
            hashes,
            places: Arc::new(places.collect()),
        }
    }

    async fn connection(&self, stream: UnixStream) {
        let peer = Peer::of(&stream);
        let (reader, mut mouth) = stream.into_split();
        let mut ears = Ears::new(BufReader::new(reader));
        let open = tokio::time::timeout(HANDSHAKE, ears.hear::<Open>()).await;
        let begun = match (peer, open) {
            (Ok(peer), Ok(Ok(open))) => self.begin(peer, open).await,
            (Err(error), _) => Err(error.problem()),
            (_, Ok(Err(error))) => Err(begin::unfit(&error.to_string())),
            (_, Err(_)) => Err(begin::unfit("it did not come in time")),
        };
        let (running, opened) = match begun {
            Ok(begun) => begun,
            Err(problem) => {
                tracing::info!(code = %problem.code, %problem, "a launch was refused");
                // A launcher that went away needs no answer.
                let _ = tell(&mut mouth, &Answer::Refused(Said::from(&problem))).await;
                return;
            }
        };
        tracing::info!(pid = running.waiting.pid, task = %running.task.id, agent = %running.attested.agent.name, "a launch begins");
        let state = match tell(&mut mouth, &Answer::Opened(opened)).await {
            Ok(()) => self.attend(&running, &mut ears, &mut mouth).await,
            Err(_) => TaskState::Cancelled,
        };
        let summary = self.end(running, state).await;
        let _ = tell(&mut mouth, &Answer::Over(summary)).await;
    }

    /// Stays with a launch until it has to end; how.
    async fn attend(
        &self,
        running: &Running,
        ears: &mut Ears<BufReader<OwnedReadHalf>>,
        mouth: &mut OwnedWriteHalf,
    ) -> TaskState {
        let mut until: Option<Instant> = None;
        let (mut told, mut gone, mut confirmed) = (false, false, false);
        let exit = exited(Arc::clone(&running.pidfd));
        tokio::pin!(exit);
        loop {
            let problem = tokio::select! {
                word = ears.hear::<Word>() => match word {
                    // Said once. It may cross with what ended the launch meanwhile.
                    Ok(Word::Running) if !confirmed => {
                        confirmed = true;
                        if told || gone {
                            continue;
                        }
                        match self.confirm(running).await {
                            Ok(()) if tell(mouth, &Answer::Confirmed).await.is_ok() => continue,
                            Ok(()) => return self.put_down(running).await,
                            Err(problem) => problem,
                        }
                    }
                    Ok(Word::Ended { cancelled: false }) if !told => return TaskState::Completed,
                    // It said so, or it is gone: with it goes what it started.
                    _ => return TaskState::Cancelled,
                },
                cut = running.entered.cut(), if !told && !gone => begin::cut(&cut),
                () = &mut exit, if !gone => {
                    // Nobody is served from here on; whether that was the end of the task the launcher knows.
                    gone = true;
                    self.silence(running).await;
                    until.get_or_insert_with(|| Instant::now() + GRACE);
                    continue;
                }
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    return self.put_down(running).await;
                }
            };
            told = true;
            self.silence(running).await;
            tracing::info!(task = %running.task.id, code = %problem.code, %problem, "a launch is cut");
            let cut = Answer::Cut(Said::from(&problem));
            if tell(mouth, &cut).await.is_err() {
                return self.put_down(running).await;
            }
            until.get_or_insert_with(|| Instant::now() + GRACE);
        }
    }

    /// Ends the program itself, since its launcher does not: that is stopped, or not what it should be.
    async fn put_down(&self, running: &Running) -> TaskState {
        self.silence(running).await;
        kill(&running.pidfd, running.waiting.pid);
        TaskState::Cancelled
    }

    /// Looks at what the process has become; from then on what descends from the launcher is served.
    async fn confirm(&self, running: &Running) -> Result<(), Problem> {
        let (waiting, pidfd) = (running.waiting, Arc::clone(&running.pidfd));
        let hashes = Arc::clone(&self.hashes);
        let found =
            tokio::task::spawn_blocking(move || attest_again(&waiting, &pidfd, &hashes)).await;
        let found = match found {
            Ok(Ok(found)) => found,
            // It has exited already: there is nobody to be served.
            Ok(Err(AttestError::Gone(_))) => return Ok(()),
            Ok(Err(error)) => return Err(error.problem()),
            Err(_) => return Err(begin::stopped()),
        };
        let (authority, instance) = (&self.app.authority, running.attested.instance.id);
        let confirmed = authority.confirm_launch(instance, found).await;
        confirmed.map_err(|error| error.problem())?;
        running.begun.confirm();
        if let Some(way_out) = &running.way_out {
            way_out.open(&self.app.gateway);
        }
        for lease in &running.leases {
            let taken = self.app.control.acknowledge_lease(*lease, instance).await;
            if let Err(problem) = taken {
                tracing::info!(%lease, %problem, "a lease of a launch ended before it began");
            }
        }
        Ok(())
    }
}

/// Says something to a launcher; an error too if it does not read it in time.
async fn tell(mouth: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> std::io::Result<()> {
    tell_within(LISTENS, mouth, answer).await
}

async fn tell_within(
    limit: Duration,
    mouth: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
) -> std::io::Result<()> {
    match tokio::time::timeout(limit, say(mouth, answer)).await {
        Ok(said) => said,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

/// Kills the program of a launch, if the node may: it has to be of the same user, or have `CAP_KILL`.
fn kill(pidfd: &OwnedFd, pid: u32) {
    match pidfd_send_signal(pidfd, Signal::KILL) {
        Ok(()) => tracing::warn!(
            pid,
            "a launch was cut and its launcher did not end the program: killed"
        ),
        // It has exited.
        Err(Errno::SRCH) => {}
        Err(error) => {
            tracing::warn!(pid, %error, "a launch was cut, its launcher did not end the program, and the node may not");
        }
    }
}

/// Serves launchers until `stop`.
pub async fn serve(
    listener: UnixListener,
    pad: Launchpad,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    // A launcher whose node stops ends what it started; the next start of the node ends the rest.
    let connection = move |stream| {
        let pad = pad.clone();
        async move { pad.connection(stream).await }
    };
    serve_each(listener, MAX_CONNECTIONS, connections, stop, connection).await;
}

#[cfg(test)]
mod tests;
