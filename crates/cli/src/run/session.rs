//! The launcher's side of a launch: it asks the node, stays beside the program, and says how it ended.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bailiwick_core::{Code, Problem};
use bailiwick_server::sockets::launch::protocol::{
    Answer, Ears, Open, Opened, Said, Summary, Word, say,
};
use rustix::process::{Signal, WaitStatus};
use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::time::Instant;

use super::program::Program;
use crate::context::Context;
use crate::failure::Failure;
use crate::{Exit, Outcome};

/// How long a program that has to go has between being asked and being made to.
const MERCY: Duration = Duration::from_secs(5);
/// How long the node may take to end a launch.
const ENDING: Duration = Duration::from_secs(20);

/// A connection to the node.
pub(super) struct Session {
    ears: Ears<BufReader<OwnedReadHalf>>,
    mouth: OwnedWriteHalf,
}

/// What reaches this process for the program.
struct Signals {
    forwarded: [(Stream, Signal); 4],
    // These reach the program too: it is of the same process group. They must not end this process before it.
    _shared: [Stream; 2],
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let stream = |kind| {
            signal(kind)
                .map_err(|error| Failure::internal(format!("signals cannot be received: {error}")))
        };
        Ok(Self {
            forwarded: [
                (stream(SignalKind::terminate())?, Signal::TERM),
                (stream(SignalKind::hangup())?, Signal::HUP),
                (stream(SignalKind::user_defined1())?, Signal::USR1),
                (stream(SignalKind::user_defined2())?, Signal::USR2),
            ],
            _shared: [
                stream(SignalKind::interrupt())?,
                stream(SignalKind::quit())?,
            ],
        })
    }

    async fn next(&mut self) -> Signal {
        let [(term, _), (hup, _), (one, _), (two, _)] = &mut self.forwarded;
        tokio::select! {
            _ = term.recv() => Signal::TERM,
            _ = hup.recv() => Signal::HUP,
            _ = one.recv() => Signal::USR1,
            _ = two.recv() => Signal::USR2,
        }
    }
}

impl Session {
    /// Connects to the node that runs here.
    pub(super) async fn connect(socket: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(socket).await.map_err(|error| {
            Problem::new(
                Code::NodeUnreachable,
                format!("no node answers at {}: {error}", socket.display()),
                "start it with `bailiwick serve`, or name its admin socket with BAILIWICK_NODE",
            )
        })?;
        let (reader, mouth) = stream.into_split();
        Ok(Self {
            ears: Ears::new(BufReader::new(reader)),
            mouth,
        })
    }

    /// Asks for the launch.
    pub(super) async fn open(mut self, open: &Open) -> Result<(Self, Opened), Failure> {
        say(&mut self.mouth, open).await.map_err(|_| lost())?;
        match self.ears.hear().await {
            Ok(Answer::Opened(opened)) => Ok((self, opened)),
            Ok(Answer::Refused(said)) => Err(failure(&said)),
            _ => Err(lost()),
        }
    }

    /// Lets the program run and stays beside it.
    pub(super) async fn run(
        mut self,
        context: &Context,
        mut program: Program,
        env: BTreeMap<String, String>,
    ) -> Outcome {
        let mut signals = Signals::new()?;
        if let Err(failure) = program.go(env).await {
            self.over(context, program, true).await;
            return Err(failure);
        }
        let mut ending: Option<Failure> = None;
        let (mut forwarded, mut until, mut heard) = (false, None::<Instant>, true);
        if say(&mut self.mouth, &Word::Running).await.is_err() {
            heard = false;
            ending = Some(lost());
            program.signal(Signal::TERM);
            until = Some(Instant::now() + MERCY);
        }
        let status = loop {
            tokio::select! {
                status = program.ended() => break status,
                caught = signals.next() => {
                    forwarded |= matches!(caught, Signal::TERM | Signal::HUP);
                    program.signal(caught);
                }
                said = self.ears.hear::<Answer>(), if heard => {
                    let failure = match said {
                        Ok(Answer::Confirmed) => continue,
                        Ok(Answer::Cut(said)) => failure(&said),
                        _ => {
                            // Without a node there is nobody who could end it later.
                            heard = false;
                            lost()
                        }
                    };
                    crate::output::report::print(&context.out, &failure);
                    ending = Some(failure);
                    program.signal(Signal::TERM);
                    until = Some(Instant::now() + MERCY);
                }
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    program.signal(Signal::KILL);
                    until = None;
                }
            }
        };
        self.over(context, program, forwarded || ending.is_some())
            .await;
        if ending.is_some() {
            // Why was said when it happened.
            return Ok(Exit(super::OURS));
        }
        Ok(Exit(code(status)))
    }

    /// Ends what is left, tells the node, and says what was done.
    async fn over(&mut self, context: &Context, mut program: Program, cancelled: bool) {
        program.signal(Signal::KILL);
        program.ended().await;
        program.sweep().await;
        if say(&mut self.mouth, &Word::Ended { cancelled })
            .await
            .is_err()
        {
            return;
        }
        let over = tokio::time::timeout(ENDING, async {
            loop {
                match self.ears.hear().await {
                    Ok(Answer::Over(summary)) => return Some(summary),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
        });
        match over.await {
            Ok(Some(summary)) => context.out.note(&line(&summary)),
            _ => context
                .out
                .note("the node has not said that the launch is over"),
        }
    }
}

/// What was done, in one line.
fn line(summary: &Summary) -> String {
    let count = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), |it| it.to_string());
    let Summary {
        calls,
        denials,
        leases,
        dead,
    } = summary;
    format!(
        "over: {} calls, {} denied, {leases} leases, {dead} confirmed dead",
        count(*calls),
        count(*denials)
    )
}

/// As shells have it.
fn code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| signal + 128);
    let code = signal
        .or(status.exit_status())
        .unwrap_or(i32::from(super::OURS));
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn failure(said: &Said) -> Failure {
    let code = serde_json::from_value(said.code.as_str().into()).unwrap_or(Code::NotPermitted);
    Problem::new(code, said.message.clone(), said.help.clone()).into()
}

fn lost() -> Failure {
    Problem::new(
        Code::NodeUnreachable,
        "the node ended the connection: it stopped, and with it the launch",
        "see the node's log",
    )
    .into()
}
