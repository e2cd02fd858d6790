//! `bailiwick __child`: what becomes the program. It waits to be told to, so that the node knows the process before it is anybody's
//! program; until then it holds nothing but the caller's kept variables. It dies with the launcher.
//!
//! It is a program of its own because code between fork and exec would have to be unsafe, and [`Command::spawn`] waits for the exec.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};

/// The word that asks for this.
pub(crate) const WORD: &str = "__child";
/// Longest message of the launcher.
pub(super) const MAX_GO: usize = 128 << 10;

/// What the launcher says when the process may become the program. The program's standard input comes with it.
#[derive(Serialize, Deserialize)]
pub(super) struct Go {
    /// Variables beside those that the process has.
    pub(super) env: BTreeMap<String, String>,
}

/// Why the process did not become the program.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failed {
    /// Whether there is none of this name.
    pub(super) missing: bool,
    /// The kernel's words.
    pub(super) why: String,
}

/// Waits, and becomes the program: `arguments` are the launcher's process id, then the command. Returns only if that failed.
pub(crate) fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let launcher = arguments.next();
    let launcher = launcher.and_then(|text| text.to_str()?.parse().ok());
    let launcher = launcher.and_then(Pid::from_raw);
    // Its standard input is the launcher's socket; everything else that was open is none of the program's.
    let ready = close_the_rest().is_some()
        && set_parent_process_death_signal(Some(Signal::KILL)).is_ok()
        // It could have died before that was set.
        && launcher.is_some()
        && getppid() == launcher;
    if !ready {
        return ExitCode::from(super::OURS);
    }
    let Some((go, control)) = told() else {
        // Refused: the launcher says why.
        return ExitCode::from(super::OURS);
    };
    let failed = match rustix::thread::set_no_new_privs(true) {
        Ok(()) => become_it(arguments, go),
        Err(error) => Failed {
            missing: false,
            why: format!("no_new_privs cannot be set: {error}"),
        },
    };
    if let Ok(text) = serde_json::to_vec(&failed) {
        // A launcher that is gone needs no answer.
        let _ = send(&control, &text, SendFlags::NOSIGNAL);
    }
    ExitCode::from(super::OURS)
}

fn become_it(mut arguments: impl Iterator<Item = OsString>, go: Go) -> Failed {
    let Some(program) = arguments.next() else {
        return Failed {
            missing: true,
            why: "no program was named".to_owned(),
        };
    };
    let error = Command::new(program).args(arguments).envs(go.env).exec();
    Failed {
        missing: error.kind() == std::io::ErrorKind::NotFound,
        why: error.to_string(),
    }
}

/// Closes every descriptor but the three standard ones: the caller may have left some open, and they would be authority.
fn close_the_rest() -> Option<()> {
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.ok()?.file_name().to_str()?.parse::<i32>().ok()
    };
    // Listed first: what lists them has a descriptor of its own, which is closed by then.
    let open: Option<Vec<i32>> = std::fs::read_dir("/proc/self/fd")
        .ok()?
        .map(number)
        .collect();
    for number in open?.into_iter().filter(|number| *number > 2) {
        let _ = nix::unistd::close(number);
    }
    Some(())
}

/// Waits for the launcher's word. Afterwards standard input is the program's, and the socket a descriptor that goes with the exec.
fn told() -> Option<(Go, OwnedFd)> {
    let mut text = vec![0; MAX_GO];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut extra = RecvAncillaryBuffer::new(&mut space);
    let stdin = std::io::stdin();
    let received = recvmsg(
        &stdin,
        &mut [IoSliceMut::new(&mut text)],
        &mut extra,
        RecvFlags::CMSG_CLOEXEC,
    );
    let go = serde_json::from_slice(text.get(..received.ok()?.bytes)?).ok()?;
    let input = extra.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let control = rustix::io::fcntl_dupfd_cloexec(&stdin, 3).ok()?;
    rustix::stdio::dup2_stdin(input?).ok()?;
    Some((go, control))
}
