//! `/proc/PID`, opened once: what is read through it is of one process or of none.

use std::ffi::CString;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat};
use zeroize::Zeroizing;

use super::ProcessError;
use super::owner::Owner;

/// Bytes of the small files that the kernel writes.
const SMALL: usize = 64 * 1_024;
/// Entries of a directory.
const MOST_ENTRIES: usize = 4_096;

/// A process's directory.
#[derive(Debug)]
pub(super) struct Process {
    pid: u32,
    directory: OwnedFd,
}

impl Process {
    pub(super) fn open(proc: &Path, pid: u32) -> Result<Self, ProcessError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(proc.join(pid.to_string()), flags, Mode::empty())
            .map_err(|_| ProcessError::Gone(pid))?;
        Ok(Self { pid, directory })
    }

    /// User, groups, capabilities and name.
    pub(super) fn owner(&self) -> Result<Owner, ProcessError> {
        let status = self
            .read("status", SMALL)
            .map_err(|_| ProcessError::Gone(self.pid))?;
        Owner::parse(&String::from_utf8_lossy(&status)).ok_or(ProcessError::Gone(self.pid))
    }

    /// When it started, in clock ticks since boot: field 22 of `stat` (proc(5)).
    pub(super) fn started(&self) -> Result<u64, ProcessError> {
        let stat = self
            .read("stat", SMALL)
            .map_err(|_| ProcessError::Gone(self.pid))?;
        let stat = String::from_utf8_lossy(&stat);
        // The name is in parentheses and may hold any of them.
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields);
        fields
            .and_then(|fields| fields.split_whitespace().nth(19)?.parse().ok())
            .ok_or(ProcessError::Gone(self.pid))
    }

    /// A file of the directory, up to so many bytes.
    pub(super) fn read(&self, name: &str, most: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        read_all(file, most)
    }

    /// Names in a directory, sorted.
    pub(super) fn list(&self, name: &str) -> std::io::Result<Vec<String>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        names(&directory)
    }

    /// Where a link leads to, as the kernel writes it.
    pub(super) fn link(&self, name: &str) -> std::io::Result<String> {
        let target: CString = rustix::fs::readlinkat(&self.directory, name, Vec::new())?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// What a link leads to, without opening it.
    pub(super) fn stat(&self, name: &str) -> std::io::Result<Stat> {
        Ok(rustix::fs::statat(&self.directory, name, AtFlags::empty())?)
    }

    /// The file system as the process sees it.
    pub(super) fn root(&self) -> std::io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root(rustix::fs::openat(
            &self.directory,
            "root",
            flags,
            Mode::empty(),
        )?))
    }
}

/// A file system; links in it lead within it.
#[derive(Debug)]
pub(super) struct Root(OwnedFd);

impl Root {
    fn open(&self, path: &Path, flags: OFlags) -> std::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(rustix::fs::openat2(
            &self.0,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )?)
    }

    /// What is at a path.
    pub(super) fn stat(&self, path: &Path) -> std::io::Result<Stat> {
        Ok(rustix::fs::fstat(self.open(path, OFlags::PATH)?)?)
    }

    /// The content of a file, up to so many bytes.
    pub(super) fn read(&self, path: &Path, most: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
        read_all(
            self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?,
            most,
        )
    }

    /// Names in a directory, sorted.
    pub(super) fn list(&self, path: &Path) -> std::io::Result<Vec<String>> {
        names(&self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?)
    }
}

fn read_all(file: OwnedFd, most: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    std::fs::File::from(file)
        .take(limit)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn names(directory: &OwnedFd) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory.as_fd())?.take(MOST_ENTRIES) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
