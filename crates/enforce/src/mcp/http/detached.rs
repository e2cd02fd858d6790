//! Work that its connection waits for and that goes on without it: polled where it is awaited, which costs no hand-over, and spawned if
//! whoever awaits it goes away. A caller that hangs up has not taken its call back: what runs, runs to its record.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// A future that outlives its owner.
pub(super) struct Detached<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    tasks: TaskTracker,
    runtime: Handle,
}

impl<T: Send + 'static> Detached<T> {
    /// Work that is counted among `tasks` from now on.
    pub(super) fn new(tasks: &TaskTracker, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            work: Some(Box::pin(tasks.track_future(work))),
            tasks: tasks.clone(),
            runtime: Handle::current(),
        }
    }
}

impl<T: Send + 'static> Future for Detached<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(work) = &mut self.work else {
            // Done before; nobody is told twice.
            return Poll::Pending;
        };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Detached<T> {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.tasks.spawn_on(
                async move {
                    work.await;
                },
                &self.runtime,
            );
        }
    }
}

#[cfg(test)]
mod tests;
