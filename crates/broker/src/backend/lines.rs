//! Connections to one server: few, with bounds on every wait. One whose round trip failed, came too late or was given up by its caller is
//! never used again: nobody knows what would be read from it next.

use std::future::Future;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};

use super::{BackendError, BadServer};

/// Connections to one server at once.
pub const CONNECTIONS: usize = 4;
/// A connection is there within this time.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// A round trip is over within this time.
const ROUND_TRIP: Duration = Duration::from_secs(12);

/// Opens connections of one kind. The password is opened for each, so a replaced one is used from then on.
pub(super) trait Opener: Send + Sync + 'static {
    /// A connection.
    type Line: Send + 'static;

    /// Opens one.
    fn open(&self) -> impl Future<Output = Result<Self::Line, BackendError>> + Send;

    /// Whether one that lay idle can be used.
    fn lives(&self, line: &mut Self::Line) -> impl Future<Output = bool> + Send;
}

/// The connections to one server.
pub(super) struct Lines<O: Opener>(Pool<Pooled<O>>);

/// One of them, for one caller; it goes back only by [`Self::keep`].
pub(super) struct Line<O: Opener>(Object<Pooled<O>>);

struct Pooled<O>(O);

struct Kept<L> {
    line: L,
    whole: bool,
}

impl<O: Opener> Lines<O> {
    pub(super) fn new(opener: O) -> Result<Self, BadServer> {
        let pool = Pool::builder(Pooled(opener))
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .timeouts(managed::Timeouts {
                wait: Some(ROUND_TRIP),
                create: Some(CONNECT),
                recycle: Some(CONNECT),
            })
            .build();
        pool.map(Self)
            .map_err(|error| BadServer::Pool(error.to_string()))
    }

    /// A connection.
    pub(super) async fn take(&self) -> Result<Line<O>, BackendError> {
        let mut object = self.0.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            PoolError::Timeout(_) => BackendError::Transient("no connection in time".to_owned()),
            other => BackendError::Transient(other.to_string()),
        })?;
        object.whole = false;
        Ok(Line(object))
    }
}

impl<O: Opener> Line<O> {
    /// What is spoken on.
    pub(super) fn on(&mut self) -> &mut O::Line {
        &mut self.0.line
    }

    /// Gives it back after all that was asked was answered.
    pub(super) fn keep(mut self) {
        self.0.whole = true;
    }
}

/// A round trip, if it is over in time.
pub(super) async fn in_time<T>(trip: impl Future<Output = T>) -> Result<T, BackendError> {
    let over = tokio::time::timeout(ROUND_TRIP, trip).await;
    over.map_err(|_| BackendError::Transient("no answer in time".to_owned()))
}

impl<O: Opener> managed::Manager for Pooled<O> {
    type Type = Kept<O::Line>;
    type Error = BackendError;

    async fn create(&self) -> Result<Kept<O::Line>, BackendError> {
        let line = self.0.open().await?;
        Ok(Kept { line, whole: false })
    }

    async fn recycle(&self, kept: &mut Kept<O::Line>, _: &Metrics) -> RecycleResult<BackendError> {
        if kept.whole && self.0.lives(&mut kept.line).await {
            return Ok(());
        }
        Err(RecycleError::message("it is of no more use"))
    }
}
