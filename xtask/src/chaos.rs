//! `cargo xtask chaos broker`: kills a broker that leases roles of a real PostgreSQL server under load, again and again, each time at another
//! moment. After each kill it starts again; then the server's own catalogue must have no role of a lease and no session of one, also none
//! that psql opened and moved by `SET ROLE`. The checker is psql: it had no part in the leases.

mod server;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::kill::build;
use crate::kill::moments::Moments;
use server::Server;

/// What is killed.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub(crate) enum Chaos {
    /// A broker that leases PostgreSQL roles
    Broker(Plan),
}

/// How.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Plan {
    /// How often the process is killed
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    kills: u32,
    /// Workers that lease and end roles
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Chooses the moments; printed, so that a run can be repeated
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Build with optimizations
    #[arg(long)]
    release: bool,
}

/// A kill comes at most this long after the load began.
const LATEST: Duration = Duration::from_millis(400);
/// What a start takes to put in order at most.
const CLEANING: Duration = Duration::from_mins(2);
/// Sessions that are open when the process is killed.
const SESSIONS: usize = 6;
/// Lines that wait to be read.
const LINES: usize = 65_536;

pub(crate) fn run(chaos: Chaos, out: &mut dyn Write) -> Result<ExitCode> {
    let Chaos::Broker(plan) = chaos;
    let storm = build::example("lease_storm", plan.release)?;
    let server = Server::start()?;
    let home = tempfile::tempdir()?;
    let mut moments = Moments::of(plan.seed);
    let (mut leases, mut sessions) = (0, 0);
    let mut open: Vec<Child> = Vec::new();
    for kill in 0..=plan.kills {
        let case = format!("start {kill} of seed {}", plan.seed);
        let mut storm = Storm::start(&storm, home.path(), server.dir(), plan.workers)?;
        storm.until_clean().with_context(|| case.clone())?;
        check(&server, open.drain(..)).with_context(|| case.clone())?;
        if kill < plan.kills {
            let told = storm.kill_after(moments.next(LATEST), &server, &mut open)?;
            leases += told;
            sessions += open.len();
        } else {
            storm.kill()?;
        }
    }
    ensure!(
        leases > 0 && sessions > 0,
        "no kill came after a lease: this machine is too slow for this test"
    );
    writeln!(
        out,
        "{} kills under {} workers (seed {}), {leases} leases, {sessions} open sessions (SET ROLE): 0 orphans, 0 live sessions",
        plan.kills, plan.workers, plan.seed
    )?;
    Ok(ExitCode::SUCCESS)
}

/// What the catalogue has, once everything that was live is said to be gone.
fn check(server: &Server, open: impl Iterator<Item = Child>) -> Result<()> {
    let roles = server.sql(
        "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname LIKE 'bw-%' AND rolname NOT LIKE '%-gen-%'",
    )?;
    ensure!(roles.is_empty(), "orphans: {roles}");
    let live = server.sql(
        "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid \
         WHERE a.backend_type = 'client backend' AND coalesce(r.rolname, '') NOT IN ('admin', 'bw_broker')",
    )?;
    ensure!(live == "0", "{live} sessions live");
    for mut session in open {
        // The server has none any more, so its client ends by itself.
        let ended = session.wait()?;
        ensure!(
            !ended.success(),
            "a session ended as if nothing had happened"
        );
    }
    Ok(())
}

/// The process that is killed.
struct Storm {
    process: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Storm {
    fn start(storm: &Path, home: &Path, server: &Path, workers: u32) -> Result<Self> {
        let mut process = Command::new(storm)
            .arg(home)
            .arg(server)
            .arg(workers.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the broker did not start")?;
        let stdin = process.stdin.take().context("it has no stdin")?;
        let stdout = process.stdout.take().context("it has no stdout")?;
        let (send, lines) = sync_channel(LINES);
        std::thread::spawn(move || {
            // It ends with the process, or with whoever reads the lines.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            process,
            stdin,
            lines,
        })
    }

    fn until_clean(&mut self) -> Result<()> {
        let line = self.lines.recv_timeout(CLEANING);
        let line = line.context("what was live is not gone; why is above")?;
        ensure!(line == "clean", "it said: {line}");
        Ok(())
    }

    /// Lets it work, opens sessions with what it leases, and kills it; how many leases there were.
    fn kill_after(
        mut self,
        after: Duration,
        server: &Server,
        open: &mut Vec<Child>,
    ) -> Result<usize> {
        writeln!(self.stdin)?;
        let mut leases = 0;
        // The load has begun when the first role is leased.
        let mut line = self
            .lines
            .recv_timeout(CLEANING)
            .context("it leases nothing")?;
        loop {
            leases += 1;
            if let Some((name, secret)) = leased(&line)
                && open.len() < SESSIONS
            {
                open.push(server.session(name, secret)?);
            }
            match self.lines.try_recv() {
                Ok(next) => line = next,
                Err(_) => break,
            }
        }
        wait(after);
        self.kill_only()?;
        leases += self
            .lines
            .try_iter()
            .filter(|line| leased(line).is_some())
            .count();
        Ok(leases)
    }

    fn kill(mut self) -> Result<()> {
        self.kill_only()
    }

    fn kill_only(&mut self) -> Result<()> {
        let ended = self.process.try_wait()?;
        ensure!(
            ended.is_none(),
            "the broker ended by itself: {ended:?}; why is above"
        );
        // SIGKILL: no handler runs, nothing is flushed.
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

fn leased(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("lease ")?.split_once(' ')
}

#[expect(
    clippy::disallowed_methods,
    reason = "the kill is to come at a moment that nothing announces"
)]
fn wait(after: Duration) {
    std::thread::sleep(after);
}
