//! One process, read through a descriptor of its `/proc/PID` directory: once the process is gone every read fails, so
//! nothing can be mixed with a later process of the same id.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use bailiwick_core::selector::Selector;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, fstat, openat, readlinkat};

use super::{AttestError, Found, Hashes};

/// `/proc/PID/stat` and `status` are far shorter; more than this is not read.
const MAX_PROC_TEXT: u64 = 16 * 1024;

pub(super) struct Process {
    pid: u32,
    directory: OwnedFd,
}

impl Process {
    pub(super) fn open(pid: u32) -> Result<Self, AttestError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(format!("/proc/{pid}"), flags, Mode::empty())
            .map_err(|error| unreadable(pid, "its /proc directory", error.into()))?;
        Ok(Self { pid, directory })
    }

    pub(super) fn examine(
        &self,
        uid: u32,
        gid: u32,
        hashes: &Hashes,
    ) -> Result<Found, AttestError> {
        let pid_start = self.start_time()?;
        let executable = self.open_file("exe", "its executable")?;
        let digest = hashes.of(self.pid, &executable)?;
        let mut selectors = vec![
            Selector::Uid(uid),
            Selector::Gid(gid),
            Selector::Sha256(digest),
        ];
        selectors.extend(self.executable_path()?.map(Selector::Path));
        Ok(Found {
            pid: self.pid,
            pid_start,
            digest,
            selectors,
        })
    }

    /// Path of the executable, if it means the same to us as to the process: same mount namespace, file not deleted.
    fn executable_path(&self) -> Result<Option<String>, AttestError> {
        let theirs = self.link("ns/mnt", "its mount namespace")?;
        let ours = std::fs::read_link("/proc/self/ns/mnt")
            .map_err(|error| unreadable(self.pid, "our mount namespace", error))?;
        if ours.as_os_str() != theirs.as_str() {
            return Ok(None);
        }
        let path = self.link("exe", "the path of its executable")?;
        // " (deleted)" could be part of a real name: the file at the path must be the file that runs.
        let running = fstat(self.open_file("exe", "its executable")?)
            .map_err(|error| unreadable(self.pid, "its executable", error.into()))?;
        let same_file = rustix::fs::stat(&path).is_ok_and(|at_path| {
            (at_path.st_dev, at_path.st_ino) == (running.st_dev, running.st_ino)
        });
        Ok(same_file.then_some(path))
    }

    /// Field 22 of `stat`, in clock ticks since boot. The name in field 2 may hold anything, so fields count from the last `)`.
    pub(super) fn start_time(&self) -> Result<u64, AttestError> {
        self.stat_field(22)
    }

    pub(super) fn parent(&self) -> Result<u32, AttestError> {
        let parent = self.stat_field(4)?;
        u32::try_from(parent)
            .ok()
            .filter(|pid| *pid > 1)
            .ok_or(AttestError::Gone(self.pid))
    }

    /// Real user and group id.
    pub(super) fn owner(&self) -> Result<(u32, u32), AttestError> {
        let status = self.text("status")?;
        let real = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse().ok()
        };
        real("Uid:")
            .zip(real("Gid:"))
            .ok_or(AttestError::Gone(self.pid))
    }

    fn stat_field(&self, number: usize) -> Result<u64, AttestError> {
        let stat = self.text("stat")?;
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // The first field after the name is number 3.
        let field = number
            .checked_sub(3)
            .and_then(|at| after_name.split_whitespace().nth(at));
        field
            .and_then(|text| text.parse().ok())
            .ok_or(AttestError::Gone(self.pid))
    }

    fn text(&self, name: &'static str) -> Result<String, AttestError> {
        let mut text = String::new();
        self.open_file(name, name)?
            .take(MAX_PROC_TEXT)
            .read_to_string(&mut text)
            .map_err(|error| unreadable(self.pid, name, error))?;
        Ok(text)
    }

    fn open_file(&self, name: &str, what: &'static str) -> Result<File, AttestError> {
        openat(
            self.directory.as_fd(),
            name,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map(File::from)
        .map_err(|error| unreadable(self.pid, what, error.into()))
    }

    fn link(&self, name: &str, what: &'static str) -> Result<String, AttestError> {
        let target = readlinkat(self.directory.as_fd(), name, Vec::new())
            .map_err(|error| unreadable(self.pid, what, error.into()))?;
        target.into_string().map_err(|_| {
            unreadable(
                self.pid,
                what,
                io::Error::new(io::ErrorKind::InvalidData, "the path is not UTF-8"),
            )
        })
    }
}

fn unreadable(pid: u32, what: &'static str, source: io::Error) -> AttestError {
    // ESRCH and ENOENT under /proc/PID mean that the process is gone.
    if source.kind() == io::ErrorKind::NotFound || source.raw_os_error() == Some(3) {
        return AttestError::Gone(pid);
    }
    AttestError::Unreadable { pid, what, source }
}

/// Whether the process a pidfd pins still runs: the descriptor becomes readable when it exits.
pub(super) fn alive(pidfd: &OwnedFd) -> bool {
    let mut polled = [PollFd::new(pidfd, PollFlags::IN)];
    matches!(
        poll(
            &mut polled,
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 0
            })
        ),
        Ok(0)
    )
}

/// The parent of a process; none if it cannot be told. For walking up from a peer.
pub fn parent_of(pid: u32) -> Option<u32> {
    let parent = Process::open(pid).ok()?.stat_field(4).ok()?;
    u32::try_from(parent).ok()
}

/// Ancestors of a process that are looked at; of a longer line nothing is told.
const MAX_ANCESTORS: usize = 256;
/// Times that a line is read anew because a process in it exited meanwhile.
const ATTEMPTS: usize = 8;

/// A process and its ancestors, itself first, each by id and start time, up to the first process of this namespace. None if it cannot be
/// told. A line is believed only if it read the same twice, so that no id that was reused half-way stands in it; check afterwards that the
/// first process is still alive.
pub fn lineage(pid: u32) -> Option<Vec<(u32, u64)>> {
    (0..ATTEMPTS).find_map(|_| line_of(pid).filter(|line| line_of(pid).as_ref() == Some(line)))
}

fn line_of(mut pid: u32) -> Option<Vec<(u32, u64)>> {
    let mut line = Vec::new();
    while line.len() < MAX_ANCESTORS {
        line.push((pid, start_time_of(pid)?));
        match parent_of(pid)? {
            0 => return Some(line),
            parent => pid = parent,
        }
    }
    None
}

/// Start time of the process that has this id now; none if it cannot be told.
pub fn start_time_of(pid: u32) -> Option<u64> {
    Process::open(pid).ok()?.start_time().ok()
}
