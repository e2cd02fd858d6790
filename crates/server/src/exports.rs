//! What follows the log from where it stood, in batches, at least once: continuous exports and the notifier. What it has handed over is a
//! number in a file; a stop in between hands the last batch over again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::export::{ExportError, Exported, Exporter, Selection, export};
use bailiwick_audit::filter::Filter;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;

pub use metrics::ExportMetrics;
pub use otlp::OtlpFollower;
pub use parquet::ParquetFollower;
pub use webhook::Webhook;

mod metrics;
mod otlp;
mod parquet;
mod webhook;

use crate::ship::chain;

/// First wait after a failure; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// The wait after so many failures in a row.
fn wait_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
}

/// Where an export stands: the first event that is not handed over yet, in a file of its own.
#[derive(Debug, Clone)]
struct Cursor {
    file: PathBuf,
}

impl Cursor {
    fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// 0 if there is none yet.
    fn read(&self) -> io::Result<u64> {
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let number = text.trim().parse();
        number.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the cursor is not a number"))
    }

    /// Stands at `next`, unless it stands somewhere already.
    fn begin(&self, next: u64) -> io::Result<()> {
        if self.file.exists() {
            return Ok(());
        }
        self.write(next)
    }

    fn write(&self, next: u64) -> io::Result<()> {
        let parent = self.file.parent().map(PathBuf::from).unwrap_or_default();
        fs::create_dir_all(&parent)?;
        let partial = self.file.with_extension("tmp");
        let mut file = File::create(&partial)?;
        writeln!(file, "{next}")?;
        file.sync_all()?;
        fs::rename(&partial, &self.file)?;
        File::open(parent)?.sync_all()
    }
}

/// Hands over what comes until `stop`, by `batch`, which gets the first event that is not handed over yet and says what is by then. One that
/// fails is tried again from what is kept as handed over, later each time.
async fn follow<F: Future<Output = Result<u64, FollowError>>>(
    log: &Log,
    cursor: &Cursor,
    metrics: &ExportMetrics,
    receiver: &str,
    stop: &CancellationToken,
    batch: impl Fn(u64) -> F,
) {
    let (mut failures, mut reached) = (0, None);
    let mut durable = log.watch();
    loop {
        let round = async {
            let next = match reached {
                Some(next) => next,
                None => cursor.read()?,
            };
            metrics.stands(next, log.size());
            if durable.wait_for(|size| *size > next).await.is_err() {
                // The log is closed: nothing comes any more.
                std::future::pending::<()>().await;
            }
            batch(next).await
        };
        let outcome = tokio::select! {
            () = stop.cancelled() => return,
            outcome = round => outcome,
        };
        match outcome {
            Ok(next) => {
                (failures, reached) = (0, Some(next));
                metrics.stands(next, log.size());
                continue;
            }
            Err(error) => {
                (failures, reached) = (failures + 1, None);
                metrics.failed();
                tracing::warn!(receiver, error = %chain(&error), "events were not handed over");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait_after(failures)) => {}
        }
    }
}

/// Hands events from `next` on to an exporter, at most `limit`, and gives the exporter back with what was taken.
async fn take<E: Exporter + Send + 'static>(
    log: &Arc<Log>,
    next: u64,
    limit: usize,
    mut exporter: E,
) -> Result<(E, Exported), FollowError> {
    let log = Arc::clone(log);
    let work = move || {
        let everything = Filter::default();
        let selection = Selection {
            origin: log.origin(),
            filter: &everything,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
        };
        let taken = export(log.read(next), &selection, &mut exporter)?;
        Ok::<_, ExportError>((exporter, taken))
    };
    Ok(spawn_blocking(work).await??)
}

/// Why a batch was not handed over. It is tried again.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the events cannot be exported")]
    Export(#[from] ExportError),
    #[error("the cursor cannot be kept")]
    Cursor(#[from] io::Error),
    #[error("the receiver does not answer")]
    Send(#[from] reqwest::Error),
    #[error("the receiver answered {0}")]
    Status(u16),
    #[error("reading stopped")]
    Stopped(#[from] JoinError),
}

#[cfg(test)]
mod tests;
