//! Opening the database and holding the engine's threads together.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bailiwick_core::{Clock, Rng};

use super::PostgresAddress;
use super::follower::Follower;
use super::link::{Link, Opener, as_error};
use super::migrate;
use super::readers::Snapshots;
use super::writer::{Writer, claim};
use crate::directory::Directory;
use crate::job::Job;
use crate::observers::Observers;
use crate::readers::Readers;
use crate::sql::Connection as _;
use crate::{MAX_QUEUED_WRITES, Observer, OpenError, Reads, StoreError};

/// How long rows that nobody sees any more are waited for while they are removed.
const VACUUM: Duration = Duration::from_mins(1);
/// Pause between two tries to take a node's name.
const CLAIM_PAUSE: Duration = Duration::from_millis(250);

/// A database that several nodes share, as one of them opens it.
#[derive(Clone)]
pub struct PostgresStore {
    /// `postgresql://user@host:port/database`, without a password. The user owns the database, or may create schemas in it.
    pub url: String,
    /// The user's password; none if the server asks for none. Read for each connection.
    pub password_file: Option<PathBuf>,
    /// Authorities of the server's certificate, in PEM; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// This node's name, which no other node of the deployment has.
    pub node: String,
    /// Whether other nodes may have the database open at the same time. Who does not say so has it for itself or not at all.
    pub others: bool,
    /// How long the server may take to notice that an earlier process is gone: opening waits for that.
    pub patience: Duration,
    /// For the age of what is known.
    pub clock: Arc<dyn Clock>,
    /// For pauses, and to tell this process from others.
    pub rng: Arc<dyn Rng>,
}

impl PostgresStore {
    fn failed(&self, error: &StoreError) -> OpenError {
        OpenError::Server {
            at: self.url.clone(),
            why: error.to_string(),
        }
    }
}

/// An open database.
pub(crate) struct Engine {
    queue: Option<SyncSender<Box<dyn Job>>>,
    threads: Vec<JoinHandle<()>>,
    readers: Arc<Readers<Snapshots>>,
    observers: Arc<Observers>,
    opener: Opener,
    stop: Arc<Stop>,
}

impl Engine {
    pub(crate) fn open(dir: &Path, at: &PostgresStore) -> Result<Self, OpenError> {
        let directory = Directory::claim(dir)?;
        let (opener, link) = connect(at)?;
        let asked = at.clock.monotonic();
        let observers = Arc::new(Observers::default());
        observers.begin(prepare(&link).map_err(|error| at.failed(&error))?);
        observers.claimed(asked);
        let stop = Arc::new(Stop::default());
        let (queue, jobs) = sync_channel(MAX_QUEUED_WRITES);
        let writer = Writer {
            opener: opener.clone(),
            link: Some(link),
            node: at.node.clone(),
            others: at.others,
            mark: mark(at.rng.as_ref()),
            batches: 0,
            observers: Arc::clone(&observers),
            rng: Arc::clone(&at.rng),
            clock: Arc::clone(&at.clock),
            stop: Arc::clone(&stop),
            _directory: directory,
        };
        let follower = Follower {
            opener: opener.clone(),
            observers: Arc::clone(&observers),
            clock: Arc::clone(&at.clock),
            stop: Arc::clone(&stop),
        };
        let threads = vec![
            spawn(dir, "store-feed", move || follower.run())?,
            spawn(dir, "store-writer", move || writer.run(&jobs))?,
        ];
        Ok(Self {
            queue: Some(queue),
            threads,
            readers: Readers::new(Snapshots {
                opener: opener.clone(),
                node: at.node.clone(),
            }),
            observers,
            opener,
            stop,
        })
    }

    pub(crate) fn submit(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let stopped = || StoreError::Unavailable("the writer has stopped".to_owned());
        self.queue
            .as_ref()
            .ok_or_else(stopped)?
            .try_send(job)
            .map_err(|error| match error {
                TrySendError::Full(_) => StoreError::Overloaded(MAX_QUEUED_WRITES, "writes"),
                TrySendError::Disconnected(_) => stopped(),
            })
    }

    pub(crate) async fn read<T, E, F>(&self, closure: F) -> Result<T, E>
    where
        F: FnOnce(&dyn Reads) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        Arc::clone(&self.readers).run(closure).await
    }

    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        self.observers.add(observer);
    }

    /// Removes what rows were before they were overwritten from the tables. The server's own log and its copies are its operator's.
    pub(crate) fn fold(&self) -> Result<bool, StoreError> {
        let link = self.opener.open()?;
        link.command("SET statement_timeout = 0")?;
        let vacuum = "VACUUM task, change, approval, pseudonym, signing_key, secret";
        link.batch_within(VACUUM, vacuum).map_err(as_error)?;
        Ok(true)
    }

    pub(crate) fn head(&self) -> u64 {
        self.observers.head()
    }

    pub(crate) fn commits(&self) -> u64 {
        self.observers.commits()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.readers.close();
        self.stop.set();
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // An observer may have held the last clone; a thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
    }
}

/// Connects, takes the node's name and brings the schema up to date.
pub(super) fn connect(at: &PostgresStore) -> Result<(Opener, Link), OpenError> {
    let address = PostgresAddress::parse(&at.url)?;
    let tls = address.verifier(at.ca_file.as_deref())?;
    let opener = Opener::new(&address.config, at.password_file.clone(), tls);
    let failed = |error: StoreError| at.failed(&error);
    let link = opener.open().map_err(failed)?;
    // The server may not have noticed yet that an earlier process of this node is gone.
    let (mut tries, pause) = (
        at.patience.as_millis() / CLAIM_PAUSE.as_millis(),
        Stop::default(),
    );
    while !claim(&link, &at.node, at.others).map_err(failed)? {
        let Some(left) = tries.checked_sub(1) else {
            return Err(OpenError::NodeTaken {
                node: at.node.clone(),
            });
        };
        tries = left;
        pause.wait(CLAIM_PAUSE);
    }
    migrate::migrate(&link, &at.url)?;
    Ok((opener, link))
}

/// Whether the engine is being closed, for threads that pause.
#[derive(Default)]
pub(super) struct Stop {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn set(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    pub(super) fn is_set(&self) -> bool {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `pause`, or less if the engine is closed; whether it is.
    pub(super) fn wait(&self, pause: Duration) -> bool {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        let (set, _) = self
            .changed
            .wait_timeout_while(set, pause, |set| !*set)
            .unwrap_or_else(PoisonError::into_inner);
        *set
    }
}

/// Forgets marks of processes that are long over; the newest change.
fn prepare(link: &Link) -> Result<u64, StoreError> {
    link.command("DELETE FROM commit_mark WHERE at < now() - interval '1 day'")?;
    let newest: Option<i64> = link
        .value("SELECT coalesce(max(seq), 0) FROM change", &[])
        .map_err(as_error)?;
    Ok(newest.and_then(|seq| u64::try_from(seq).ok()).unwrap_or(0))
}

fn mark(rng: &dyn Rng) -> String {
    let mut bytes = [0; 16];
    rng.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn spawn(
    dir: &Path,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|source| OpenError::Io {
            path: dir.to_owned(),
            source,
        })
}
