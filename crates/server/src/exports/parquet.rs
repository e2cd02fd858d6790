//! `[audit] export.parquet`: the record as Parquet files in a directory, written every so often and when a file is full. A file that a stop
//! left behind without its cursor is written anew, so no event is in two of them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_audit::Log;
use bailiwick_audit::export::Parquet;
use bailiwick_audit::export::parquet::MAX_ROWS;
use prometheus_client::registry::Registry;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{Cursor, ExportMetrics, FollowError, take, wait_after};
use crate::ship::chain;

/// Follows the log and writes files.
pub struct ParquetFollower {
    log: Arc<Log>,
    dir: PathBuf,
    every: Duration,
    cursor: Cursor,
    metrics: ExportMetrics,
}

impl ParquetFollower {
    /// Writes below `dir`. The cursor is in `state`.
    pub fn new(log: Arc<Log>, dir: PathBuf, every: Duration, state: &Path) -> Self {
        Self {
            log,
            dir,
            every,
            cursor: Cursor::new(state.join("parquet.cursor")),
            metrics: ExportMetrics::default(),
        }
    }

    /// Adds the metrics.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, "parquet");
    }

    /// Writes until `stop`. What comes after the last file is written after the next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> &'static str {
        let mut failures = 0;
        loop {
            let failed = match self.round().await {
                Ok(()) => {
                    failures = 0;
                    false
                }
                Err(error) => {
                    failures += 1;
                    self.metrics.failed();
                    tracing::warn!(dir = %self.dir.display(), error = %chain(&error), "Parquet files were not written");
                    true
                }
            };
            let due = async {
                if failed {
                    tokio::time::sleep(wait_after(failures)).await;
                } else {
                    // Whichever is first: the time, or enough events for a whole file.
                    let _ = tokio::time::timeout(self.every, self.full()).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => return "export to files",
                () = due => {}
            }
        }
    }

    /// Resolves when a whole file waits.
    async fn full(&self) {
        let waits = async {
            let next = self.cursor.read().ok()?;
            let until = next.saturating_add(MAX_ROWS as u64);
            self.log
                .watch()
                .wait_for(|size| *size >= until)
                .await
                .ok()?;
            Some(())
        };
        if waits.await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    /// Writes what there is.
    async fn round(&self) -> Result<(), FollowError> {
        let mut next = self.cursor.read()?;
        let (dir, origin) = (self.dir.clone(), self.log.origin().to_owned());
        let tidied = spawn_blocking(move || remove_from(&dir, &origin, next));
        tidied.await??;
        loop {
            self.metrics.stands(next, self.log.size());
            let dir = self.dir.clone();
            let put = move |path: &str, bytes: &[u8]| put_file(&dir.join(path), bytes);
            let (_, taken) = take(&self.log, next, MAX_ROWS, Parquet::new(Box::new(put))).await?;
            if taken.events == 0 {
                return Ok(());
            }
            next = taken.next;
            self.cursor.write(next)?;
            if !taken.more {
                self.metrics.stands(next, self.log.size());
                return Ok(());
            }
        }
    }
}

/// Removes files of this log that begin at `next` or later: they were written and their cursor was not.
fn remove_from(dir: &Path, origin: &str, next: u64) -> io::Result<()> {
    let log = dir.join(bailiwick_audit::export::parquet::folder_of(origin));
    let days = match fs::read_dir(log) {
        Ok(days) => days,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for day in days {
        for file in fs::read_dir(day?.path())? {
            let file = file?;
            let name = file.file_name();
            let first = name.to_str().and_then(|name| name.strip_prefix("events-"));
            let first = first
                .and_then(|name| name.split('-').next())
                .and_then(|first| first.parse::<u64>().ok());
            if first.is_some_and(|first| first >= next) {
                fs::remove_file(file.path())?;
            }
        }
    }
    Ok(())
}

fn put_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let partial = path.with_extension("tmp");
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    File::open(parent)?.sync_all()
}
