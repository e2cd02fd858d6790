//! A child process that is waited for with a deadline, whose output is kept, and which never outlives its test.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::DEADLINE;

/// Lines of output that may wait to be read.
const MAX_LINES: usize = 4_096;

/// A running child. Killed by its process id when dropped.
pub(crate) struct Process {
    name: String,
    pid: u32,
    stdin: Option<ChildStdin>,
    // In locks only so that threads can share what holds a process.
    lines: Mutex<Receiver<String>>,
    exit: Mutex<Receiver<ExitStatus>>,
    ended: Option<ExitStatus>,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`; its standard error goes to the end of `stderr`.
    pub(crate) fn start(name: &str, command: &mut Command, stderr: &Path) -> Self {
        let log = File::options()
            .create(true)
            .append(true)
            .open(stderr)
            .unwrap();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error} ({command:?})"));
        let stdout = child.stdout.take().unwrap();
        let (line, lines) = sync_channel(MAX_LINES);
        std::thread::spawn(move || {
            for text in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.send(text).is_err() {
                    break;
                }
            }
        });
        let (pid, stdin) = (child.id(), child.stdin.take());
        let (exited, exit) = sync_channel(1);
        std::thread::spawn(move || exited.send(child.wait().unwrap()));
        Self {
            name: name.to_owned(),
            pid,
            stdin,
            lines: Mutex::new(lines),
            exit: Mutex::new(exit),
            ended: None,
            stderr: stderr.to_owned(),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The next line of its standard output.
    pub(crate) fn line(&mut self) -> String {
        self.line_within(DEADLINE).unwrap_or_else(|error| {
            panic!("{}: no line of output ({error})\n{}", self.name, self.log())
        })
    }

    /// The next line, or why there is none.
    pub(crate) fn line_within(&mut self, bound: Duration) -> Result<String, RecvTimeoutError> {
        self.lines.get_mut().unwrap().recv_timeout(bound)
    }

    /// Writes a line to its standard input.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is closed");
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
    }

    /// Closes its standard input.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        if let Some(ended) = self.ended {
            return ended;
        }
        let ended = self
            .exit
            .get_mut()
            .unwrap()
            .recv_timeout(DEADLINE)
            .unwrap_or_else(|error| panic!("{} does not end ({error})\n{}", self.name, self.log()));
        self.ended = Some(ended);
        ended
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended.is_none() {
            self.ended = self
                .exit
                .get_mut()
                .ok()
                .and_then(|exit| exit.try_recv().ok());
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (None, Some(pid)) = (self.ended, pid) {
            // It may end by itself at this very moment.
            let _ = kill_process(pid, signal);
        }
    }

    /// What it wrote to its standard error.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(&self.stderr).unwrap_or_default();
        format!("--- standard error of {} ---\n{text}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if std::thread::panicking() {
            let log = self.log();
            // The end of it is where the trouble is.
            let from = log.len().saturating_sub(6_000);
            let from = (from..log.len()).find(|at| log.is_char_boundary(*at));
            let _ = writeln!(std::io::stderr(), "{}", &log[from.unwrap_or(0)..]);
        }
    }
}
