//! The program as a process: parked first, then let go, and at the end it and all that it left running.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use bailiwick_core::{Code, Problem};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recv, sendmsg, socketpair,
};
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process,
    set_child_subreaper, set_dumpable_behavior, wait,
};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use super::parked::{Failed, Go, MAX_GO, WORD};
use crate::failure::Failure;

/// How long what a program left running may take to be gone.
const SWEEP: Duration = Duration::from_secs(5);

/// A program that waits, or runs.
pub(super) struct Program {
    pid: Pid,
    /// What it is told on; gone once it was told.
    control: Option<OwnedFd>,
    /// Tells when a child has ended.
    ended: Stream,
    status: Option<WaitStatus>,
}

impl Program {
    /// Starts the process that will be the program, with these variables and nothing else.
    pub(super) fn park(
        command: &[OsString],
        variables: &BTreeMap<OsString, OsString>,
    ) -> Result<Self, Failure> {
        let unable = |what: &'static str| {
            move |error: std::io::Error| Failure::internal(format!("{what}: {error}"))
        };
        let ended = signal(SignalKind::child()).map_err(unable("signals cannot be received"))?;
        // What the program leaves running becomes this process's child: so it stays of this launch, and ends with it.
        set_child_subreaper(Some(getpid()))
            .map_err(|error| unable("orphans cannot be taken in")(error.into()))?;
        let pair = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        );
        let (control, theirs) =
            pair.map_err(|error| unable("a socket cannot be made")(error.into()))?;
        let child = Command::new("/proc/self/exe")
            .arg(WORD)
            .arg(getpid().as_raw_nonzero().to_string())
            .args(command)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::from(theirs))
            .spawn()
            .map_err(unable("the program's process cannot be started"))?;
        // What this process holds of the launch nobody of the same user is to read.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| unable("this process cannot be closed to others")(error.into()))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Self {
            pid: pid.ok_or_else(|| Failure::internal("a child has no process id"))?,
            control: Some(control),
            ended,
            status: None,
        })
    }

    /// Its process id; the program's too, once it runs.
    pub(super) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Lets it become the program, with these variables beside its own and this process's standard input. Resolves when it has; an error
    /// with the exit code of shells if it could not.
    pub(super) async fn go(&mut self, env: BTreeMap<String, String>) -> Result<(), Failure> {
        let gone = || Failure::internal("the process that waited is gone");
        let control = self.control.take().ok_or_else(gone)?;
        let text = serde_json::to_vec(&Go { env }).map_err(|_| gone())?;
        if text.len() > MAX_GO {
            let most = MAX_GO / 1024;
            return Err(Problem::new(
                Code::TooLarge,
                format!("the variables of the launch are over {most} KiB"),
                "",
            )
            .into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut extra = SendAncillaryBuffer::new(&mut space);
        let stdin = std::io::stdin();
        let input = [stdin.as_fd()];
        if !extra.push(SendAncillaryMessage::ScmRights(&input)) {
            return Err(gone());
        }
        sendmsg(
            &control,
            &[IoSlice::new(&text)],
            &mut extra,
            SendFlags::NOSIGNAL,
        )
        .map_err(|_| gone())?;
        // The other end closes when the process becomes the program, or ends.
        let heard = tokio::task::spawn_blocking(move || {
            let mut text = vec![0_u8; 4 << 10];
            let read = recv(&control, &mut text, RecvFlags::empty()).map(|(read, _)| read);
            text.truncate(read.unwrap_or(0));
            text
        });
        let text = heard.await.map_err(|_| gone())?;
        if text.is_empty() {
            return Ok(());
        }
        let failed: Failed = serde_json::from_slice(&text).map_err(|_| gone())?;
        let (code, exit, help) = if failed.missing {
            (Code::NotFound, 127, "look at PATH, which the program keeps")
        } else {
            (Code::InvalidInput, 126, "name a file that may be executed")
        };
        let message = format!("the program cannot be run: {}", failed.why);
        Err(Failure::from(Problem::new(code, message, help)).exits(exit))
    }

    /// Resolves when the program has ended.
    pub(super) async fn ended(&mut self) -> WaitStatus {
        loop {
            self.reap();
            if let Some(status) = self.status {
                return status;
            }
            self.ended.recv().await;
        }
    }

    /// Sends it a signal, unless it has ended.
    pub(super) fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            // Not reaped yet, so the number is still its own.
            let _ = kill_process(self.pid, signal);
        }
    }

    /// Ends everything that came of it. Only after [`Self::ended`].
    pub(super) async fn sweep(&mut self) {
        let sweeping = async {
            loop {
                self.reap();
                let strays = children();
                if strays.is_empty() {
                    return;
                }
                for stray in strays {
                    let _ = kill_process(stray, Signal::KILL);
                }
                self.ended.recv().await;
            }
        };
        // What the kernel cannot end now has no authority either.
        let _ = tokio::time::timeout(SWEEP, sweeping).await;
    }

    /// Notes which children have ended.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.pid {
                self.status = Some(status);
            }
        }
    }
}

/// Children of this process, zombies too.
fn children() -> Vec<Pid> {
    let me = getpid().as_raw_nonzero().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mine = |pid: &Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        // The name in field 2 may hold anything: state and parent follow the last parenthesis.
        stat.ok()
            .and_then(|stat| {
                let (_, rest) = stat.rsplit_once(')')?;
                rest.split_whitespace().nth(1).map(|parent| parent == me)
            })
            .unwrap_or(false)
    };
    entries
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(mine)
        .collect()
}
