//! The writer thread: takes the writes that wait, runs them in one transaction under the deployment's lock, commits once. What the server
//! gives up is run again; a commit whose answer was lost is looked up, not guessed.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bailiwick_core::{Clock, Rng};

use super::engine::Stop;
use super::follower::catch_up;
use super::link::{Link, Lost, Opener, as_error};
use super::migrate;
use crate::StoreError;
use crate::batch::{self, Ran};
use crate::directory::Directory;
use crate::job::Job;
use crate::observers::Observers;
use crate::sql::{Connection as _, Param};

/// Writes of one transaction. PostgreSQL keeps this many savepoints of one at hand; and others wait while it runs.
const MAX_BATCH: usize = 64;
/// Without a write, it is looked this often whether the database is still this process's.
const PROVE: Duration = Duration::from_millis(250);
/// How often a transaction is tried in all.
const MAX_TRIES: u32 = 6;
/// How often it is asked what became of a commit. With the pauses between, a server has about 20 seconds to be there again.
const MAX_QUESTIONS: u32 = 14;
/// The shortest and the longest pause before trying again; each is twice the one before, and shortened by chance by up to a half.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));
/// A transaction begins with the lock, so that its snapshot is taken after the one before it was committed.
pub(super) const BEGIN: &str =
    "BEGIN ISOLATION LEVEL SERIALIZABLE; LOCK TABLE one_writer IN EXCLUSIVE MODE";

pub(super) struct Writer {
    pub(super) opener: Opener,
    pub(super) link: Option<Link>,
    pub(super) node: String,
    pub(super) others: bool,
    /// Under this its last commit is remembered in the database.
    pub(super) mark: String,
    /// Number of its last transaction.
    pub(super) batches: i64,
    pub(super) observers: Arc<Observers>,
    pub(super) rng: Arc<dyn Rng>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: Arc<Stop>,
    /// Last, so that the lock outlives the connection.
    pub(super) _directory: Directory,
}

/// A transaction that left nothing behind, and whether it is worth another try; or whose end is not known.
struct Undone {
    why: StoreError,
    again: bool,
}

impl Writer {
    /// Until the last sender is gone and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Box<dyn Job>>) {
        loop {
            match queue.recv_timeout(PROVE) {
                Ok(first) => {
                    let mut batch = vec![first];
                    batch.extend(queue.try_iter().take(MAX_BATCH - 1));
                    self.commit(batch);
                }
                Err(RecvTimeoutError::Timeout) => self.prove(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if let Some(link) = &self.link {
            let forgotten =
                link.execute("DELETE FROM commit_mark WHERE writer = ?1", &[&self.mark]);
            if forgotten.is_err() {
                tracing::debug!("this node's mark stays in the database for a day");
            }
        }
    }

    /// Looks whether the database is still this process's, and takes it again if nobody else has it.
    fn prove(&mut self) {
        let asked = self.clock.monotonic();
        let held = match self.link.take() {
            // The claim lasts as long as the connection.
            Some(link) => link.command("SELECT 1").map(|()| link),
            None => self.connect(),
        };
        match held {
            Ok(link) => {
                self.link = Some(link);
                self.observers.claimed(asked);
            }
            Err(error) => tracing::debug!(%error, "the database is not this process's for now"),
        }
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Job>>) {
        for attempt in 1.. {
            match self.transact(&mut batch) {
                Ok(ran) => return batch::resolve(batch, ran.failures),
                Err(undone) => {
                    self.give_up_transaction();
                    if !undone.again || attempt >= MAX_TRIES {
                        return batch::fail(batch, &undone.why);
                    }
                    tracing::debug!(error = %undone.why, attempt, "a transaction is run again");
                    self.pause(attempt);
                }
            }
        }
    }

    fn transact(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Ran, Undone> {
        if self.link.is_none() {
            self.link = Some(self.connect().map_err(|why| Undone { why, again: true })?);
        }
        let Some(link) = &self.link else {
            return Err(Undone {
                why: StoreError::Unavailable("there is no connection".to_owned()),
                again: true,
            });
        };
        let undone = |why| Undone {
            why,
            again: link.lost().is_some(),
        };
        let asked = self.clock.monotonic();
        link.command(BEGIN).map_err(undone)?;
        self.observers.claimed(asked);
        // Nobody else commits from here on, so what follows is the feed's next number.
        while catch_up(link, &self.observers).map_err(undone)? {}
        let ran = batch::run(link, &self.node, self.observers.head(), batch).map_err(undone)?;
        if !ran.wrote {
            link.command("ROLLBACK").map_err(undone)?;
            return Ok(ran);
        }
        self.batches += 1;
        link.execute(
            "INSERT INTO commit_mark (writer, batch, at) VALUES (?1, ?2, now())
             ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, at = excluded.at",
            &[&self.mark, &self.batches],
        )
        .map_err(|failed| undone(as_error(failed)))?;
        let commit = if ran.changes.is_empty() {
            "COMMIT"
        } else {
            "NOTIFY bailiwick_feed; COMMIT"
        };
        if let Err(why) = link.command(commit) {
            match link.take_lost() {
                Some(Lost::Gone(lost)) => self.look_up(&lost)?,
                lost => {
                    let again = lost.is_some();
                    return Err(Undone { why, again });
                }
            }
        }
        self.observers.committed();
        self.observers.tell(&ran.changes);
        Ok(ran)
    }

    /// What became of the last transaction, whose commit was not answered. Under the lock it is over, one way or the other.
    fn look_up(&mut self, lost: &str) -> Result<(), Undone> {
        self.link = None;
        for question in 1..=MAX_QUESTIONS {
            match self.last_commit() {
                Ok(found) if found == Some(self.batches) => return Ok(()),
                Ok(_) => {
                    return Err(Undone {
                        why: StoreError::Unavailable(lost.to_owned()),
                        again: true,
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, question, "it is not known yet whether a commit counts");
                    self.link = None;
                    self.pause(question);
                }
            }
        }
        Err(Undone {
            why: StoreError::Unknown(lost.to_owned()),
            again: false,
        })
    }

    fn last_commit(&mut self) -> Result<Option<i64>, StoreError> {
        let link = self.connect()?;
        link.command(BEGIN)?;
        let last = link
            .value(
                "SELECT batch FROM commit_mark WHERE writer = ?1",
                &[&self.mark],
            )
            .map_err(as_error)?;
        link.command("ROLLBACK")?;
        self.link = Some(link);
        Ok(last)
    }

    fn connect(&self) -> Result<Link, StoreError> {
        let link = self.opener.open()?;
        migrate::is_known(&link)?;
        if claim(&link, &self.node, self.others)? {
            return Ok(link);
        }
        Err(StoreError::Unavailable(format!(
            "another process has the database for itself, or is node `{}` on it",
            self.node
        )))
    }

    /// Leaves the connection so that a transaction can begin on it, or leaves the connection.
    fn give_up_transaction(&mut self) {
        let Some(link) = self.link.take() else {
            return;
        };
        let gone = matches!(link.take_lost(), Some(Lost::Gone(_)));
        if !gone && !link.is_closed() && link.command("ROLLBACK").is_ok() {
            self.link = Some(link);
        }
    }

    fn pause(&self, attempt: u32) {
        let (shortest, longest) = PAUSES;
        let full = shortest
            .saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX))
            .min(longest);
        let mut chance = [0];
        self.rng.fill(&mut chance);
        let [chance] = chance;
        self.stop
            .wait(full / 2 + full / 2 * u32::from(chance) / 256);
    }
}

/// Takes a node's name, and the database with others or for itself, for as long as the connection lasts; false if another process has it.
/// Two of one name would write one log, and take each other's processes for their own.
pub(super) fn claim(link: &Link, node: &str, others: bool) -> Result<bool, StoreError> {
    let database = if others {
        "SELECT pg_try_advisory_lock_shared(hashtextextended('bailiwick database', 0))"
    } else {
        "SELECT pg_try_advisory_lock(hashtextextended('bailiwick database', 0))"
    };
    let name = "SELECT pg_try_advisory_lock(hashtextextended('bailiwick node ' || ?1, 0))";
    let claimed = |sql: &str, params: &[&dyn Param]| -> Result<bool, StoreError> {
        let claimed: Option<bool> = link.value(sql, params).map_err(as_error)?;
        Ok(claimed == Some(true))
    };
    if !claimed(database, &[])? {
        return Ok(false);
    }
    if claimed(name, &[&node])? {
        return Ok(true);
    }
    // Not half of it, or two that start together would keep each other out.
    link.command("SELECT pg_advisory_unlock_all()")?;
    Ok(false)
}
