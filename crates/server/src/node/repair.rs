//! What an operator can do about a log that does not open, while no node runs: cut it where it is damaged, or leave it and go on under another
//! name. Either is on record (`log.gap`) before the first thing that follows it, and neither takes anything back that was signed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bailiwick_audit::checkpoint::Checkpoint;
use bailiwick_audit::repair::{self, Cut, CutError};
use bailiwick_audit::{Log, Options as LogOptions, Recorder};
use bailiwick_control::outbox::Outbox;
use bailiwick_core::event::{Action, ChangeRef, Event, EventType};
use bailiwick_core::name::NodeName;
use bailiwick_core::{Clock, Code, Fault, Id, Problem, Rng};
use bailiwick_crypto::note::NoteVerifier;
use bailiwick_crypto::seal::Seal;
use bailiwick_crypto::system::{SystemClock, SystemRng};
use bailiwick_store::{Journal, Store, StoreError, Tx};
use tokio::task::spawn_blocking;

use super::{StartError, log, log_keys, start, store};
use crate::config::Config;
use crate::indexer;

/// Longest reason on record, in bytes.
pub const MAX_REASON: usize = 300;

/// What was left to go on under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succeeded {
    /// The log that was left.
    pub origin: String,
    /// Events that it had signed for.
    pub signed: u64,
    /// Where its files are now.
    pub kept: PathBuf,
    /// Tasks that are open: what their budgets have used is not known any more.
    pub open_tasks: usize,
}

/// Cuts the configured node's log at batch `at`, where it is damaged, and puts that on record.
pub async fn cut(config: &Config, at: u64, reason: &str, actor: &str) -> Result<Cut, RepairError> {
    let reason = reason_of(reason)?;
    let node = Stopped::open(config).await?;
    let options = node.log_options(config).await?;
    let (store, outbox) = (node.store.clone(), node.outbox(&Nowhere));
    let actor = actor.to_owned();
    let done = blocking(move || {
        let cut = repair::cut(&options, at, |cut| {
            let mut event = own_event(&actor);
            event.change = Some(ChangeRef {
                kind: "cut".into(),
                id: cut.batch.to_string(),
                before: Some(cut.digest.to_string()),
                after: Some(format!(
                    "{} bytes from event {} on, kept as {}; {reason}",
                    cut.bytes,
                    cut.index,
                    cut.file.display()
                )),
            });
            store.write_blocking(move |tx: &mut dyn Tx| outbox.push(tx, &event))
        })?;
        Ok::<_, CutError<StoreError>>((cut, options))
    });
    let (cut, options) = done.await??;
    // It may name events that are gone. The node makes it anew.
    match fs::remove_dir_all(indexer::directory_of(&config.node.data_dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(files(&config.node.data_dir)(error));
        }
        _ => {}
    }
    node.record(options).await?;
    Ok(cut)
}

/// Leaves the log of the node that this one was called before, and begins another under the configured name that says so.
pub async fn succeed(
    config: &Config,
    old: &NodeName,
    reason: &str,
    actor: &str,
) -> Result<Succeeded, RepairError> {
    let reason = reason_of(reason)?;
    if *old == config.node.name {
        return Err(RepairError::SameName { name: old.clone() });
    }
    let node = Stopped::open(config).await?;
    let origin = format!("{}/{old}", config.identity.trust_domain);
    let dir = config.node.data_dir.join("audit");
    let kept = config.node.data_dir.join(format!("audit.{old}"));
    let left = if kept.exists() { &kept } else { &dir };
    if !repair::is_of(left, &origin).map_err(files(left))? {
        return Err(RepairError::NotThatLog {
            dir: left.clone(),
            origin,
        });
    }
    let moved = kept.exists();
    if moved && repair::is_of(&dir, &log::origin(config)).map_err(files(&dir))? {
        return Err(RepairError::Done { kept });
    }
    let signed = node.newest_signed(left, &origin).await?;
    let mut event = own_event(actor);
    event.change = Some(ChangeRef {
        kind: "log".into(),
        id: origin.clone(),
        before: signed
            .as_ref()
            .map(|signed| format!("{} {}", signed.size, signed.root)),
        after: Some(format!("this log goes on from that one; {reason}")),
    });
    let outbox = node.outbox(&Nowhere);
    let written = node.store.write(move |tx| outbox.push(tx, &event));
    written
        .await
        .map_err(|error: StoreError| StartError::from(error))?;
    if !moved {
        fs::rename(&dir, &kept).map_err(files(&dir))?;
        sync(&config.node.data_dir).map_err(files(&config.node.data_dir))?;
    }
    // What rows name by digest is needed further on.
    copy(&kept.join("blobs/sha256"), &dir.join("blobs/sha256")).map_err(files(&dir))?;
    let options = node.log_options(config).await?;
    node.record(options).await?;
    let open = node.store.read(|rows| rows.open_tasks()).await;
    let open = open.map_err(|error: StoreError| StartError::from(error))?;
    Ok(Succeeded {
        origin,
        signed: signed.map_or(0, |signed| signed.size),
        kept,
        open_tasks: open.len(),
    })
}

/// A node that does not run; its data directory is held.
pub(super) struct Stopped {
    pub(super) store: Store,
    seal: Arc<Seal>,
}

impl Stopped {
    pub(super) async fn open(config: &Config) -> Result<Self, RepairError> {
        let (store, seal) = store::open_stopped(config).await?;
        Ok(Self { store, seal })
    }

    async fn log_options(&self, config: &Config) -> Result<LogOptions, StartError> {
        bailiwick_crypto::tls::install_default_provider();
        let time: (Arc<dyn Clock>, Arc<dyn Rng>) = (Arc::new(SystemClock), Arc::new(SystemRng));
        log::options(config, &self.store, &self.seal, &start::client()?, time).await
    }

    fn outbox(&self, recorder: &(impl Recorder + Clone + 'static)) -> Arc<Outbox> {
        let recorder: Arc<dyn Recorder> = Arc::new(recorder.clone());
        Outbox::new(
            self.store.clone(),
            recorder,
            Arc::clone(&self.seal),
            Arc::new(SystemRng),
        )
    }

    /// Opens the log and carries what waits into it.
    async fn record(&self, options: LogOptions) -> Result<(), RepairError> {
        let opened = blocking(move || Log::open(options)).await?;
        let log = Arc::new(opened.map_err(StartError::from)?);
        let outbox = self.outbox(&log);
        let settled = tokio::select! {
            () = outbox.run(std::future::pending()) => Ok(()),
            settled = outbox.settled() => settled,
        };
        blocking(move || log.close()).await?;
        settled.map_err(RepairError::Record)
    }

    /// The largest checkpoint that a log's keys are known to have signed, from the store and its directory.
    async fn newest_signed(
        &self,
        dir: &Path,
        origin: &str,
    ) -> Result<Option<Checkpoint>, RepairError> {
        let now = SystemClock.wall();
        let held = log_keys::held(&self.store, &self.seal, origin, now, &SystemRng).await?;
        let keys = held.verifiers().map_err(StartError::from)?;
        let (store, dir, origin) = (self.store.clone(), dir.to_owned(), origin.to_owned());
        let notes = blocking(move || notes(&store, &dir, &origin)).await??;
        let signed = notes.iter().filter_map(|note| read(note, &keys));
        Ok(signed.max_by_key(|signed| signed.size))
    }
}

fn notes(store: &Store, dir: &Path, origin: &str) -> Result<Vec<Vec<u8>>, RepairError> {
    use bailiwick_audit::standing::CheckpointStore as _;

    let remembered = super::checkpoints::StoredCheckpoints(store.clone()).standing(origin);
    let remembered = remembered.map_err(|error| RepairError::Record(error.problem()))?;
    let stored = fs::read(dir.join(bailiwick_audit::checkpoint::FILE)).ok();
    let remembered = remembered.note.map(String::into_bytes);
    Ok(remembered.into_iter().chain(stored).collect())
}

fn read(note: &[u8], keys: &[NoteVerifier]) -> Option<Checkpoint> {
    Checkpoint::verify(note, keys).ok()
}

/// What is put into the outbox before there is a log to carry it to.
#[derive(Clone)]
struct Nowhere;

impl Recorder for Nowhere {
    fn record(&self, _: Event, _: bailiwick_audit::Class) -> bailiwick_audit::record::Recording {
        let none = bailiwick_audit::record::Unavailable::Stopped;
        Box::pin(std::future::ready(Err(
            bailiwick_audit::RecordError::Unavailable(none),
        )))
    }
}

fn own_event(actor: &str) -> Event {
    let kind = EventType::LogGap;
    let mut event = Event::new(Id::new(&SystemClock, &SystemRng), kind);
    event.actor = Some(actor.to_owned());
    event.action = Some(Action::named(kind.as_str()));
    event
}

pub(super) fn reason_of(reason: &str) -> Result<String, RepairError> {
    let reason = reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON {
        return Err(RepairError::Reason);
    }
    Ok(reason.to_owned())
}

/// Copies the files of one directory into another.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let files = match fs::read_dir(from) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    super::directories::ensure_private(to.ancestors().nth(2).unwrap_or(to))
        .map_err(io::Error::other)?;
    fs::create_dir_all(to)?;
    for file in files {
        let file = file?;
        let copy = to.join(file.file_name());
        fs::copy(file.path(), &copy)?;
        fs::File::open(copy)?.sync_all()?;
    }
    sync(to)
}

fn sync(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

fn files(path: &Path) -> impl Fn(io::Error) -> RepairError {
    let path = path.to_owned();
    move |source| {
        RepairError::Start(StartError::Path {
            path: path.clone(),
            what: "the files of the audit log",
            source,
        })
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StartError> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| StartError::Defect(format!("repairing broke off: {error}")))
}

/// Why a log was not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The node's parts do not open.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It was not cut.
    #[error(transparent)]
    Cut(#[from] CutError<StoreError>),
    /// There is no reason, or a story.
    #[error("a reason is needed, of at most {MAX_REASON} bytes: it goes on record")]
    Reason,
    /// The configuration still names the old node.
    #[error("the configured node is still called {name}")]
    SameName {
        /// Its name.
        name: NodeName,
    },
    /// The directory is another log's.
    #[error("{} is not the log of {origin}", dir.display())]
    NotThatLog {
        /// The directory.
        dir: PathBuf,
        /// The log asked for.
        origin: String,
    },
    /// It was done already.
    #[error("that log was left already; its files are in {}", kept.display())]
    Done {
        /// Where.
        kept: PathBuf,
    },
    /// What was done is not on record yet.
    #[error("what was done waits to be recorded: {0}")]
    Record(#[source] Problem),
}

impl Fault for RepairError {
    fn code(&self) -> Code {
        match self {
            Self::Start(error) => error.code(),
            Self::Cut(error) => error.code(),
            Self::Reason | Self::SameName { .. } | Self::NotThatLog { .. } => Code::InvalidInput,
            Self::Done { .. } => Code::Conflict,
            Self::Record(problem) => problem.code,
        }
    }

    fn help(&self) -> String {
        match self {
            Self::Start(error) => error.help(),
            Self::Cut(error) => error.help(),
            Self::Reason => String::new(),
            Self::SameName { .. } => {
                "Set [node] name to a name that no node of this trust domain had.".to_owned()
            }
            Self::NotThatLog { .. } => "Give the name that the node had before.".to_owned(),
            Self::Done { .. } => "Start the node.".to_owned(),
            Self::Record(_) => "Start the node: it is recorded first.".to_owned(),
        }
    }
}
