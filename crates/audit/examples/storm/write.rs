//! The writers.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bailiwick_audit::{Class, Log, Recorder};
use bailiwick_core::Id;
use bailiwick_core::event::{Event, EventType, Parent, ParentRole, Sealed, SealedClass};
use bailiwick_core::id::EventId;
use bailiwick_crypto::system::{SystemClock, SystemRng};

/// Opens the log, says how many events it found, and records until the process ends.
pub(crate) fn run(dir: &Path, writers: usize) -> Result<()> {
    let log = Arc::new(Log::open(super::options(dir)?)?);
    say(&format!("open {}\n", log.size()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let writers: Vec<_> = (0..writers)
            .map(|_| tokio::spawn(record(log.clone())))
            .collect();
        for writer in writers {
            writer.await??;
        }
        Ok(())
    })
}

/// Calls, one after the other: an intent with its arguments, then its result.
async fn record(log: Arc<Log>) -> Result<()> {
    loop {
        let id = Id::new(&SystemClock, &SystemRng);
        acknowledge(&log, intent(id)).await?;
        acknowledge(&log, result(id)).await?;
    }
}

async fn acknowledge(log: &Log, event: Event) -> Result<()> {
    let receipt = log.record(event, Class::Grant).await?;
    Ok(say(&format!("{} {}\n", receipt.index, receipt.leaf_hash))?)
}

fn intent(id: EventId) -> Event {
    let mut event = Event::new(id, EventType::ToolIntent);
    event.sealed = vec![Sealed {
        path: "/args",
        class: SealedClass::Content,
        value: id.to_string().into_bytes(),
        keep: true,
    }];
    event
}

fn result(intent: EventId) -> Event {
    let id = Id::new(&SystemClock, &SystemRng);
    let mut event = Event::new(id, EventType::ToolResult);
    event.parents = vec![Parent {
        role: ParentRole::Intent,
        id: intent,
    }];
    event
}

/// One line in one write, so that a kill leaves no half of one behind a whole one.
fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}
