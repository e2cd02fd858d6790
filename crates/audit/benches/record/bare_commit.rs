//! The baseline at many writers: what a queue and the disk give by themselves, without hash, seal, frames or tree.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::Result;
use tokio::sync::oneshot;

use crate::bare_sync::{BLOCK, FILE_BYTES, preallocated};

/// The log's bounds of one batch.
const MAX_BATCH: usize = 4096;
const MAX_BATCH_BYTES: usize = 4 << 20;

/// A group commit: a queue, one thread, per batch one `pwrite` and one `fdatasync` into a preallocated file.
pub(crate) struct BareCommit {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

#[derive(Default)]
struct Queue {
    inner: Mutex<Inner>,
    ready: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<(Vec<u8>, oneshot::Sender<()>)>,
    /// The thread waits; as in the log, only then is it woken.
    idle: bool,
    closed: bool,
}

impl BareCommit {
    pub(crate) fn start(path: &Path) -> Result<Self> {
        let file = preallocated(path)?;
        let queue = Arc::new(Queue::default());
        let thread = std::thread::Builder::new()
            .name("bare-commit".to_owned())
            .spawn({
                let queue = queue.clone();
                move || commit(&queue, &file)
            })?;
        Ok(Self {
            queue,
            thread: Some(thread),
        })
    }

    /// Resolves when the bytes are durable. The queue holds one entry per writer, since each waits.
    pub(crate) fn append(&self, bytes: Vec<u8>) -> impl Future<Output = Result<()>> + Send + use<> {
        let (answer, durable) = oneshot::channel();
        let mut inner = self.queue.lock();
        inner.waiting.push_back((bytes, answer));
        let idle = inner.idle;
        drop(inner);
        if idle {
            self.queue.ready.notify_one();
        }
        async { Ok(durable.await?) }
    }
}

impl Drop for BareCommit {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.ready.notify_one();
        // If it failed, its writers have seen it.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Queue {
    /// All that waits, up to the bounds of a batch; none once closed and empty.
    fn take(&self) -> Option<Vec<(Vec<u8>, oneshot::Sender<()>)>> {
        let mut inner = self.lock();
        while inner.waiting.is_empty() {
            if inner.closed {
                return None;
            }
            inner.idle = true;
            inner = self
                .ready
                .wait(inner)
                .unwrap_or_else(PoisonError::into_inner);
            inner.idle = false;
        }
        let mut bytes = 0;
        let mut batch = Vec::new();
        while let Some((next, _)) = inner.waiting.front() {
            bytes += next.len();
            if !batch.is_empty() && (bytes > MAX_BATCH_BYTES || batch.len() == MAX_BATCH) {
                break;
            }
            batch.extend(inner.waiting.pop_front());
        }
        Some(batch)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn commit(queue: &Queue, file: &File) -> io::Result<()> {
    let mut offset = 0;
    let mut bytes = Vec::new();
    while let Some(batch) = queue.take() {
        bytes.clear();
        for (event, _) in &batch {
            bytes.extend_from_slice(event);
        }
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        if offset + bytes.len() > FILE_BYTES {
            offset = 0;
        }
        file.write_all_at(&bytes, offset as u64)?;
        file.sync_data()?;
        offset += bytes.len();
        for (_, answer) in batch {
            // A writer that stopped waiting stopped the bench.
            let _ = answer.send(());
        }
    }
    Ok(())
}
