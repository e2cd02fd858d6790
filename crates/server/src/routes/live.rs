//! What happens, as the console follows it: the record itself, in batches of a bounded rate. A page that comes back says which event it
//! saw last and gets what it missed; one that missed too much is told to look at everything anew.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use bailiwick_audit::read::ReadError;
use bailiwick_control::Operation;
use bailiwick_core::id::ConsoleSessionId;
use bailiwick_core::{Code, Timestamp};
use futures_util::stream::{Stream, unfold};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{MissedTickBehavior, interval, sleep};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::{Recorded, blocking, recorded};
use crate::app::App;
use crate::console;
use crate::http::guard::SignedIn;
use crate::http::{Query, Refused, guarded};

/// Time between two batches at least.
const PACE: Duration = Duration::from_millis(100);
/// Events of one batch.
const BATCH: u64 = 256;
/// A follower that is further behind is told to start anew.
const MAX_BEHIND: u64 = 1_024;
/// Silence after which a comment shows that the stream is alive.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How often it is looked whether the session of a stream has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct From {
    /// The first event that was not seen; without it the stream starts with what comes next.
    from: Option<u64>,
}

/// The first message of a stream.
#[derive(Debug, Serialize)]
struct Hello {
    /// Events on record.
    size: u64,
    /// The console's build.
    build: String,
    /// The node's clock.
    now: Timestamp,
}

/// Too much was missed: everything has to be looked at anew.
#[derive(Debug, Serialize)]
struct Reset {
    /// Events on record; the stream goes on behind them.
    size: u64,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    guarded(app, Operation::Read, routes!(live))
}

/// Follows the record in batches: `hello` with {size, build, now}, then `events` with [{index, `leaf_hash`, leaf}], or `reset` with {size}
/// where more than 1,024 events were missed. It ends with the session that it was opened in.
#[utoipa::path(get, path = "/v1/live", operation_id = "live", tag = "sessions", params(From),
    responses((status = 200, description = "a stream of batches", body = String, content_type = "text/event-stream")))]
async fn live(
    State(app): State<Arc<App>>,
    Extension(SignedIn(session)): Extension<SignedIn>,
    Query(asked): Query<From>,
) -> Result<Response, Refused> {
    let room = Arc::clone(&app.followers)
        .try_acquire_owned()
        .map_err(|_| {
            let message = "as many follow the record as the node takes at once";
            Refused::new(Code::Overloaded, message, "close another page")
        })?;
    let size = app.log.size();
    let stream = Follower {
        next: asked.from.unwrap_or(size).min(size),
        hello: true,
        session: session.map(|session| session.id),
        app,
        _room: room,
    };
    let alive = KeepAlive::new().interval(HEARTBEAT);
    let stream = axum::response::sse::Sse::new(stream.follow()).keep_alive(alive);
    Ok(stream.into_response())
}

/// A page that follows.
struct Follower {
    app: Arc<App>,
    /// The first event that it has not seen.
    next: u64,
    hello: bool,
    session: Option<ConsoleSessionId>,
    _room: OwnedSemaphorePermit,
}

impl Follower {
    fn follow(self) -> impl Stream<Item = Result<Sse, Infallible>> {
        unfold(self, |mut follower| async move {
            let message = follower.message().await?;
            Some((Ok(message), follower))
        })
    }

    /// The next message; none ends the stream.
    async fn message(&mut self) -> Option<Sse> {
        if std::mem::take(&mut self.hello) {
            let hello = Hello {
                size: self.app.log.size(),
                build: console::build(),
                now: self.app.clock.wall(),
            };
            return Sse::default().event("hello").json_data(&hello).ok();
        }
        self.more().await?;
        // What comes at once goes out at once, and no page is drowned.
        sleep(PACE).await;
        let size = self.app.log.size();
        if size.saturating_sub(self.next) > MAX_BEHIND {
            self.next = size;
            let reset = Reset { size };
            return Sse::default().event("reset").json_data(&reset).ok();
        }
        match self.batch().await {
            Ok(events) => Sse::default().event("events").json_data(&events).ok(),
            Err(error) => {
                tracing::error!(%error, "a page that follows the record was cut off");
                None
            }
        }
    }

    /// Waits until there is something; none when the node stops or the session ends.
    async fn more(&self) -> Option<()> {
        let mut durable = self.app.log.watch();
        let grown = durable.wait_for(|size| *size > self.next);
        tokio::select! {
            () = self.app.stop.cancelled() => None,
            () = self.over() => None,
            grown = grown => grown.ok().map(drop),
        }
    }

    /// Resolves when the session has ended.
    async fn over(&self) {
        let Some(session) = self.session else {
            return std::future::pending().await;
        };
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            // What cannot be looked up counts as ended: the page asks again, and is told why it gets nothing.
            if !matches!(self.app.control.session_lives(session).await, Ok(true)) {
                return;
            }
        }
    }

    async fn batch(&mut self) -> Result<Vec<Recorded>, ReadError> {
        let (app, from) = (Arc::clone(&self.app), self.next);
        let read = blocking(move || {
            let entries = app.log.read(from).take(usize::try_from(BATCH).unwrap_or(0));
            entries
                .map(|entry| recorded(&entry?))
                .collect::<Result<Vec<_>, _>>()
        });
        // Reading that was broken off ends the stream by having nothing.
        let events = read.await.unwrap_or_else(|_| Ok(Vec::new()))?;
        if let Some(last) = events.last() {
            self.next = last.index.saturating_add(1);
        }
        Ok(events)
    }
}
