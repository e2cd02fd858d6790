//! Evidence for frameworks: measures its facts on the record and on the node's state (08 of the design, *Evidence*). What follows from them is
//! [`bailiwick_posture::evidence`]'s to say.
//!
//! A report is a function of record, state and period: nothing in it is written by hand, and nothing sealed is opened for it.

mod record;
mod rows;

use std::collections::BTreeSet;

use bailiwick_audit::Log;
use bailiwick_audit::read::ReadError;
use bailiwick_core::{Code, Fault, Problem, Timestamp};
use bailiwick_posture::evidence::{Basis, FrameworkName, Measured, Place, Report, report};
use bailiwick_store::StoreError;

use crate::{Actor, Control, Operation};
use record::Fold;
use rows::Rows;

/// Events that are looked at for one report, newest last; beyond it nothing counts as shown.
pub const MAX_EVENTS: u64 = 1_000_000;

/// A stretch of time, its end left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// From then on.
    pub since: Timestamp,
    /// Until then.
    pub until: Timestamp,
}

impl Period {
    fn has(self, at: Timestamp) -> bool {
        at >= self.since && at < self.until
    }
}

impl Control {
    /// Measures the facts of a framework over a period.
    pub async fn evidence(
        &self,
        actor: &Actor,
        log: &Log,
        framework: FrameworkName,
        period: Period,
    ) -> Result<Report, Problem> {
        actor.may(Operation::Read)?;
        if period.since >= period.until {
            return Err(Problem::new(
                Code::InvalidInput,
                "the period ends before it begins",
                "give an earlier `since`",
            ));
        }
        let now = self.now();
        let rows = self
            .parts
            .store
            .read(move |view| Rows::read(view, period, now))
            .await
            .map_err(|error: StoreError| error.problem())?;
        let (directory, size) = (log.directory(), log.size());
        let fold = tokio::task::spawn_blocking(move || -> Result<(Fold, Rows), ReadError> {
            let minimum = directory.minimum()?;
            let mut fold = Fold::new(period, minimum > 0, &rows);
            for entry in directory.entries(minimum) {
                let entry = entry?;
                if entry.index >= size {
                    break;
                }
                if entry.index - minimum.min(entry.index) >= MAX_EVENTS {
                    fold.cut();
                    break;
                }
                if Fold::wants(&entry.leaf) {
                    fold.take(&entry, &entry.parse()?);
                }
            }
            Ok((fold, rows))
        });
        let stopped = |_| Problem::new(Code::Internal, "the evidence stopped", "");
        let (fold, rows) = fold
            .await
            .map_err(stopped)?
            .map_err(|error| error.problem())?;
        let complete = fold.complete() && rows.complete;
        let mut measured = rows.measured;
        measured.insert("F14".to_owned(), fitting(&rows.agents_with_tasks, &fold));
        measured.extend(fold.finish());
        let basis = Basis {
            since: period.since,
            until: period.until,
            issued_at: now,
            origin: log.origin().to_owned(),
            size,
            complete,
        };
        report(framework, &measured, basis)
            .map_err(|error| Problem::new(Code::Internal, error.to_string(), ""))
    }
}

/// F14: which agents that had tasks were right-sized.
fn fitting(agents: &BTreeSet<String>, fold: &Fold) -> Measured {
    let mut fit = Measured::default();
    for name in agents {
        fit.count(fold.was_sized(name), || row("agent", name));
    }
    fit
}

/// A row of the node's state.
fn row(kind: &str, id: &impl ToString) -> Place {
    Place {
        kind: kind.to_owned(),
        id: id.to_string(),
        index: None,
        leaf_hash: None,
    }
}
