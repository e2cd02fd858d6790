//! A queued write: the caller's closure, its result, and where to send it. Engines see only [`Job`].

use tokio::sync::oneshot;

use crate::{StoreError, Tx};

/// One write in the queue of an engine.
pub(crate) trait Job: Send {
    /// Runs the closure and keeps its result. True: keep its writes. May be called again after a rollback.
    fn run(&mut self, tx: &mut dyn Tx) -> bool;

    /// Answers the caller: with the kept result, or with why it does not count.
    fn resolve(self: Box<Self>, failure: Option<StoreError>);
}

/// The job for a closure, and where its answer arrives.
pub(crate) fn queue<T, E, F>(closure: F) -> (Box<dyn Job>, oneshot::Receiver<Result<T, E>>)
where
    F: Fn(&mut dyn Tx) -> Result<T, E> + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let (answer, arrives) = oneshot::channel();
    (
        Box::new(Queued {
            closure,
            result: None,
            answer,
        }),
        arrives,
    )
}

struct Queued<F, T, E> {
    closure: F,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Queued<F, T, E>
where
    F: Fn(&mut dyn Tx) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &mut dyn Tx) -> bool {
        self.result = None;
        let result = (self.closure)(tx);
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn resolve(self: Box<Self>, failure: Option<StoreError>) {
        let result = match (failure, self.result) {
            (Some(failure), _) => Err(failure.into()),
            (None, Some(result)) => result,
            (None, None) => Err(StoreError::Defect("a write was never run".to_owned()).into()),
        };
        // A caller that has gone away does not take its write back.
        let _ = self.answer.send(result);
    }
}
