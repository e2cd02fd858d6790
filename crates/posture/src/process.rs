//! What a running process can pick up: its environment, command line, open files, and the files of credentials and sockets that
//! its user reaches. Read through `/proc/PID` opened once, so that another process that gets the number is never mixed in; files
//! through its `root`, so that a container's own view is scanned. Nothing is written, drained or contacted.

mod command_line;
mod descriptors;
mod files;
mod owner;
mod proc;
mod surroundings;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bailiwick_core::{Code, Fault};

use crate::coverage::Coverage;
use crate::report::{Exposure, Fold, Place};
use crate::secrets::{Engine, Find, Memo, Unit};
use owner::Owner;
use proc::Process;

/// Processes of one scan.
const MOST: usize = 4_096;
/// Bytes of an environment and of a command line that are read.
const MOST_ENVIRON: usize = 8 * 1_024 * 1_024;

/// Why a process was not scanned.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It is not there, or ended while it was read.
    #[error("there is no process {0}, or it ended")]
    Gone(u32),
    /// Nothing of it may be read.
    #[error("process {pid} belongs to uid {uid}, and this user may not read it")]
    NotPermitted {
        /// The process.
        pid: u32,
        /// Its user.
        uid: u32,
    },
    /// The list of processes cannot be read.
    #[error("`{0}` cannot be listed")]
    Proc(PathBuf, #[source] std::io::Error),
}

impl Fault for ProcessError {
    fn code(&self) -> Code {
        match self {
            Self::Gone(_) => Code::ProcessGone,
            Self::NotPermitted { .. } | Self::Proc(..) => Code::ScanNotPermitted,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Gone(_) => "give the number of a process that runs".to_owned(),
            Self::NotPermitted { uid, .. } => {
                format!("run the scan as uid {uid}, or with CAP_SYS_PTRACE")
            }
            Self::Proc(..) => "/proc has to be mounted and readable".to_owned(),
        }
    }
}

/// What processes hold.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Finds by secret.
    pub fold: Fold,
    /// What is no secret and to be known.
    pub exposures: BTreeSet<Exposure>,
    /// What was read.
    pub coverage: Coverage,
    /// The processes that were scanned.
    pub processes: Vec<u32>,
    files_read: BTreeSet<(u32, PathBuf)>,
}

/// Scans processes below a `/proc`.
#[derive(Debug)]
pub struct Scanner<'a> {
    engine: &'a Engine,
    proc: PathBuf,
    /// Neither this process nor what it runs for.
    me: u32,
}

impl<'a> Scanner<'a> {
    /// Of the processes that `proc`, `/proc` as a rule, shows; this one is never scanned with its host.
    pub fn new(engine: &'a Engine, proc: impl Into<PathBuf>) -> Self {
        Self {
            engine,
            proc: proc.into(),
            me: std::process::id(),
        }
    }

    /// One process, and with `tree` all that descend from it.
    pub fn process(&self, pid: u32, tree: bool) -> Result<Outcome, ProcessError> {
        let mut outcome = Outcome::default();
        self.one(pid, &mut outcome)?;
        if tree {
            let all = self.list(&mut outcome.coverage)?;
            let mut family = BTreeSet::from([pid]);
            // Parents have lower numbers only until numbers wrap: until nothing is added.
            loop {
                let before = family.len();
                family.extend(
                    all.iter()
                        .filter(|(_, status)| family.contains(&status.parent))
                        .map(|(pid, _)| *pid)
                        .collect::<Vec<_>>(),
                );
                if family.len() == before {
                    break;
                }
            }
            family.remove(&pid);
            self.several(family, &mut outcome);
        }
        Ok(outcome)
    }

    /// All processes of these users; of the user who scans if there is none.
    pub fn host(&self, uids: &[u32]) -> Result<Outcome, ProcessError> {
        let mut outcome = Outcome::default();
        let uids = if uids.is_empty() {
            vec![rustix::process::getuid().as_raw()]
        } else {
            uids.to_vec()
        };
        let all = self.list(&mut outcome.coverage)?;
        let wanted = all
            .iter()
            .filter(|(pid, status)| *pid != self.me && uids.contains(&status.uid))
            .map(|(pid, _)| *pid);
        self.several(wanted.collect(), &mut outcome);
        Ok(outcome)
    }

    fn several(&self, pids: BTreeSet<u32>, outcome: &mut Outcome) {
        if pids.len() > MOST {
            outcome
                .coverage
                .missed("processes", format!("there are more than {MOST}"));
        }
        for pid in pids.into_iter().take(MOST) {
            match self.one(pid, outcome) {
                // Processes come and go: one that ended holds nothing any more.
                Ok(()) | Err(ProcessError::Gone(_)) => {}
                Err(error) => outcome
                    .coverage
                    .missed(format!("/proc/{pid}"), format!("{error}; {}", error.help())),
            }
        }
    }

    /// Processes that there are, with what everybody may know of them.
    fn list(&self, coverage: &mut Coverage) -> Result<Vec<(u32, Owner)>, ProcessError> {
        let unreadable = |error| ProcessError::Proc(self.proc.clone(), error);
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&self.proc).map_err(unreadable)? {
            let Some(pid) = entry
                .ok()
                .and_then(|entry| entry.file_name().to_str()?.parse().ok())
            else {
                continue;
            };
            if let Ok(process) = Process::open(&self.proc, pid)
                && let Ok(owner) = process.owner()
            {
                all.push((pid, owner));
            }
            if all.len() >= 16 * MOST {
                coverage.missed("processes", format!("there are more than {}", 16 * MOST));
                break;
            }
        }
        Ok(all)
    }

    fn one(&self, pid: u32, outcome: &mut Outcome) -> Result<(), ProcessError> {
        let process = Process::open(&self.proc, pid)?;
        let owner = process.owner()?;
        let started = process.started()?;
        let mut part = Part {
            engine: self.engine,
            process: &process,
            owner: &owner,
            name: format!("pid {pid} ({})", owner.name),
            memo: Memo::default(),
            environ: Vec::new(),
            outcome: Outcome::default(),
        };
        part.outcome.files_read.clone_from(&outcome.files_read);
        let environ_read = part.environ();
        part.command_line();
        part.descriptors();
        part.files();
        part.surroundings();
        let part = part.outcome;
        // What was read of a process that has ended since may be another's only if its number was given anew; the
        // directory that was opened once says so.
        if process.started()? != started {
            return Err(ProcessError::Gone(pid));
        }
        if !environ_read && part.coverage.units == 0 {
            return Err(ProcessError::NotPermitted {
                pid,
                uid: owner.uid,
            });
        }
        outcome.fold.join(part.fold);
        outcome.exposures.extend(part.exposures);
        outcome.coverage.join(part.coverage);
        outcome.files_read = part.files_read;
        outcome.processes.push(pid);
        Ok(())
    }
}

/// One process while it is scanned.
struct Part<'a> {
    engine: &'a Engine,
    process: &'a Process,
    owner: &'a Owner,
    name: String,
    memo: Memo,
    /// Names and values of the environment that say where things are: `HOME`, `SSH_AUTH_SOCK`.
    environ: Vec<(&'static str, PathBuf)>,
    outcome: Outcome,
}

impl Part<'_> {
    /// The environment it was started with. False if it may not be read.
    fn environ(&mut self) -> bool {
        let bytes = match self.process.read("environ", MOST_ENVIRON) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.missed("environ", &error);
                return false;
            }
        };
        for record in bytes
            .split(|byte| *byte == 0)
            .filter(|record| !record.is_empty())
        {
            let (key, value) = match record.iter().position(|byte| *byte == b'=') {
                Some(at) => (
                    record.get(..at).unwrap_or_default(),
                    record.get(at + 1..).unwrap_or_default(),
                ),
                None => (b"".as_slice(), record),
            };
            for known in [
                "HOME",
                "SSH_AUTH_SOCK",
                "DOCKER_HOST",
                "DBUS_SESSION_BUS_ADDRESS",
                "XDG_CONFIG_HOME",
            ] {
                if key == known.as_bytes() {
                    self.environ.push((
                        known,
                        PathBuf::from(String::from_utf8_lossy(value).into_owned()),
                    ));
                }
            }
            let place = format!(
                "environ {}",
                String::from_utf8_lossy(key.get(..128).unwrap_or(key))
            );
            self.look(value, Some(key), "", &place);
        }
        if bytes.len() >= MOST_ENVIRON {
            self.outcome.coverage.missed(
                self.place("environ"),
                format!("beyond {MOST_ENVIRON} bytes"),
            );
        }
        true
    }

    /// Scans a text of this process.
    fn look(&mut self, text: &[u8], key: Option<&[u8]>, path: &str, place: &str) {
        let mut finds: Vec<Find> = Vec::new();
        let unit = Unit { text, path, key };
        if self.engine.scan(&unit, &mut self.memo, &mut finds) {
            self.outcome.coverage.read(text.len());
        } else {
            self.outcome.coverage.missed(
                self.place(place),
                "it holds more candidates than are looked at",
            );
        }
        for mut find in finds {
            let at = if path.is_empty() {
                Place::named(place)
            } else {
                Place::of(place, &find)
            };
            if find.key.is_none() {
                find.key = key
                    .map(|key| String::from_utf8_lossy(key.get(..128).unwrap_or(key)).into_owned());
            }
            self.outcome.fold.add(find, at.noted(self.name.clone()));
        }
    }

    fn place(&self, what: &str) -> String {
        format!("{what} of {}", self.name)
    }

    fn missed(&mut self, what: &str, error: &std::io::Error) {
        let reason = if error.kind() == std::io::ErrorKind::PermissionDenied {
            format!("needs uid {} or CAP_SYS_PTRACE", self.owner.uid)
        } else {
            error.kind().to_string()
        };
        self.outcome.coverage.missed(self.place(what), reason);
    }

    fn exposed(&mut self, check: &'static str, severity: crate::secrets::Severity, what: String) {
        self.outcome.exposures.insert(Exposure {
            check,
            severity,
            what,
            place: self.name.clone(),
        });
    }
}

/// A path as text.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
