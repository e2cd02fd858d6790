//! A batch of writes in one transaction, each in a savepoint of its own: what one of them does wrong costs only itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bailiwick_core::change::Change;

use crate::StoreError;
use crate::job::Job;
use crate::sql::{Connection, View};

/// What a transaction did, before it is committed.
pub(crate) struct Ran {
    /// What the feed gets.
    pub(crate) changes: Vec<Change>,
    /// Per job, why its result does not count.
    pub(crate) failures: Vec<Option<StoreError>>,
    /// Whether there is anything to commit.
    pub(crate) wrote: bool,
}

/// Runs `batch` in the transaction that `connection` is in. `Err`: the whole transaction is lost.
pub(crate) fn run(
    connection: &dyn Connection,
    node: &str,
    head: u64,
    batch: &mut [Box<dyn Job>],
) -> Result<Ran, StoreError> {
    let mut view = View::new(connection, node, head);
    let mut failures = Vec::with_capacity(batch.len());
    for job in batch {
        failures.push(step(connection, &mut view, job.as_mut())?);
    }
    Ok(Ran {
        wrote: view.has_written(),
        changes: view.into_changes(),
        failures,
    })
}

/// Answers everybody whose writes were committed.
pub(crate) fn resolve(batch: Vec<Box<dyn Job>>, failures: Vec<Option<StoreError>>) {
    for (job, failure) in batch.into_iter().zip(failures) {
        job.resolve(failure);
    }
}

/// Answers everybody that nothing was committed.
pub(crate) fn fail(batch: Vec<Box<dyn Job>>, failure: &StoreError) {
    tracing::error!(writes = batch.len(), error = %failure, "the store could not commit");
    for job in batch {
        job.resolve(Some(failure.clone()));
    }
}

/// Runs one job in its savepoint. `Err`: the whole transaction is lost.
fn step(
    connection: &dyn Connection,
    view: &mut View<'_>,
    job: &mut dyn Job,
) -> Result<Option<StoreError>, StoreError> {
    connection.command("SAVEPOINT job")?;
    let mark = view.mark();
    // A panic leaves nothing half done behind: the savepoint takes the rows back, the mark the changes.
    let ran = catch_unwind(AssertUnwindSafe(|| job.run(view)));
    if let Some(lost) = connection.lost() {
        return Err(lost);
    }
    let failure = match ran {
        Ok(true) if view.is_broken() => Some(StoreError::Defect(
            "a write went on after one of its statements had failed".to_owned(),
        )),
        Ok(true) => {
            connection.command("RELEASE SAVEPOINT job")?;
            return Ok(None);
        }
        Ok(false) => None,
        Err(panic) => Some(StoreError::Defect(words(panic.as_ref()))),
    };
    view.reset(mark);
    connection.command("ROLLBACK TO SAVEPOINT job")?;
    connection.command("RELEASE SAVEPOINT job")?;
    Ok(failure)
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a write panicked: {}", text.unwrap_or("without words"))
}
