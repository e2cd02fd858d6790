//! One run of the writers, from start to kill, and what they said.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// `INDEX HASH`, as it was printed.
pub(super) struct Receipt(pub(super) String);

/// What a process said before it was killed.
pub(super) struct Told {
    /// Events it found when it opened the log; none if it did not come so far.
    pub(super) found: Option<u64>,
    pub(super) receipts: Vec<Receipt>,
}

impl Told {
    /// Events that must be there from now on.
    pub(super) fn size(&self) -> u64 {
        let index = |receipt: &Receipt| receipt.0.split(' ').next()?.parse::<u64>().ok();
        let acknowledged = self.receipts.iter().filter_map(index).max();
        acknowledged
            .map_or(0, |index| index + 1)
            .max(self.found.unwrap_or(0))
    }
}

/// From when on a kill is timed.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// The start of the process: it may meet the recovery.
    Start,
    /// The log is open: it meets the writers.
    Open,
}

/// Longest that a log may take to open.
const OPENING: Duration = Duration::from_mins(1);

/// Starts the writers and kills them after a while.
pub(super) fn storm_until(
    storm: &Path,
    dir: &Path,
    writers: u32,
    (from, after): (From, Duration),
) -> Result<Told> {
    let mut child = Command::new(storm)
        .arg("write")
        .arg(dir)
        .arg(writers.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("the writers did not start")?;
    let stdout = child.stdout.take().context("the writers have no stdout")?;
    let (opened, open) = sync_channel(1);
    let said = thread::spawn(move || listen(stdout, &opened));
    let is_open = match from {
        From::Start => Ok(()),
        From::Open => open.recv_timeout(OPENING),
    };
    wait(after);
    end(&mut child)?;
    is_open.with_context(|| format!("the log was not open after {OPENING:?}"))?;
    let said = said
        .join()
        .map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    parse(&said)
}

/// Every line that ended; a last half of one was not said.
fn listen(stdout: ChildStdout, opened: &SyncSender<()>) -> io::Result<Vec<String>> {
    let mut said = Vec::new();
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Some(whole) = line.strip_suffix('\n') else {
            return Ok(said);
        };
        if said.is_empty() {
            // Nobody waits where the kill is timed from the start.
            let _ = opened.send(());
        }
        said.push(whole.to_owned());
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the kill is to come at a moment that nothing announces"
)]
fn wait(after: Duration) {
    thread::sleep(after);
}

fn end(child: &mut Child) -> Result<()> {
    let ended = child.try_wait()?;
    ensure!(
        ended.is_none(),
        "the writers ended by themselves: {ended:?}; why is above"
    );
    // SIGKILL: no handler runs, nothing is flushed.
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn parse(said: &[String]) -> Result<Told> {
    let mut told = Told {
        found: None,
        receipts: Vec::new(),
    };
    for line in said {
        match line.strip_prefix("open ") {
            Some(size) => told.found = Some(size.parse()?),
            None => told.receipts.push(Receipt(line.clone())),
        }
    }
    Ok(told)
}
