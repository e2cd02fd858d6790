//! The record: its events, their proofs, and a stream of what comes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use bailiwick_audit::Log;
use bailiwick_audit::filter::Filter;
use bailiwick_audit::proof::ProveError;
use bailiwick_audit::read::{Entry, ReadError};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::id::EventId;
use bailiwick_core::{Code, Digest, Fault};
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Page, limit_of};
use crate::app::App;
use crate::http::input::parse;
use crate::http::{At, Query, Refused, guarded};
use crate::witnesses::Standing;

/// Leaves that one request looks at; what is behind them is the next page.
const MAX_SCAN: usize = 100_000;
/// Leaves that a follower reads at once.
const BATCH: usize = 256;
/// How long a proof waits for the checkpoint that covers its event.
pub(super) const PUBLISHED_WITHIN: Duration = Duration::from_secs(5);

/// One event of the record. The hash is over the leaf's exact bytes.
#[derive(Debug, Serialize)]
struct Recorded {
    index: u64,
    leaf_hash: Digest,
    leaf: Box<RawValue>,
}

/// The log of this node.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogAnswer {
    /// `<trust domain>/<node>`.
    origin: String,
    /// The key that its checkpoints verify with.
    vkey: String,
    /// The key that statements over bundles of evidence verify with.
    evidence_vkey: String,
    /// Durable events.
    size: u64,
    /// The newest published checkpoint, a C2SP signed note, with the cosignatures there are; none before the first.
    checkpoint: Option<String>,
    /// How far others vouch for it.
    witness: Standing,
}

/// Which events: `limit`, `after`, and any key of the log's filter.
type Conditions = BTreeMap<String, String>;

/// A proof.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProofAnswer {
    /// Place of the event in the log.
    index: u64,
    /// The proof, a C2SP tlog-proof, complete in itself.
    proof: String,
}

/// The parameters of a search, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "it stands for a map of conditions in the document"
)]
struct Search {
    /// Events of this task, or that name it as root or parent. Also: id, instance, user, actor, effect, code, lease, cause, label.
    task: Option<String>,
    /// Events of this type, or below it: `tool` means all of `tool.…`.
    r#type: Option<String>,
    /// Events of this agent.
    agent: Option<String>,
    /// Events at this server.
    server: Option<String>,
    /// Events about this tool.
    tool: Option<String>,
    /// allow, deny, `step_up`.
    decision: Option<String>,
    /// Not before this instant, RFC 3339.
    since: Option<String>,
    /// Before this instant, RFC 3339.
    until: Option<String>,
    /// Rows, 1 to 1000; 50 if not given.
    limit: Option<usize>,
    /// `next` of the page before: an index.
    after: Option<String>,
}

/// What a reading of the log gave.
struct Scanned {
    found: Vec<Recorded>,
    /// The first leaf that was not looked at.
    next: u64,
    /// Whether the reading stopped before the end.
    more: bool,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(events)))
        .merge(guarded(app, Operation::Read, routes!(event)))
        .merge(guarded(app, Operation::Read, routes!(proof)))
        .merge(guarded(app, Operation::Read, routes!(tail)))
        .merge(guarded(app, Operation::Read, routes!(log)))
}

/// Events, oldest first. A page may hold fewer rows than asked for, and `next` all the same.
#[utoipa::path(get, path = "/v1/audit/events", operation_id = "audit.events", tag = "audit", params(Search),
    responses((status = 200, description = "{items: [{index, leaf_hash, leaf}], next}", body = Object)))]
async fn events(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    Query(mut conditions): Query<Conditions>,
) -> Result<Json<Page<Recorded>>, Refused> {
    let limit = conditions.remove("limit");
    let limit = limit.map(|limit| parse("limit", &limit)).transpose()?;
    let limit = limit_of(limit);
    let from = behind(&mut conditions)?.unwrap_or(0);
    let filter = filter(&conditions)?;
    let log = Arc::clone(&app.log);
    let scanned = blocking(move || scan(&log, &filter, from, limit, MAX_SCAN)).await?;
    let Scanned { found, next, more } = scanned.map_err(unreadable)?;
    let next = more.then(|| next.saturating_sub(1).to_string());
    Ok(Json(Page { items: found, next }))
}

/// One event.
#[utoipa::path(get, path = "/v1/audit/events/{id}", operation_id = "audit.event", tag = "audit",
    params(("id" = String, Path)), responses((status = 200, description = "{index, leaf_hash, leaf}", body = Object)))]
async fn event(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    At(id): At<EventId>,
) -> Result<Json<Recorded>, Refused> {
    let entry = find(&app, id).await?;
    Ok(Json(recorded(&entry).map_err(unreadable)?))
}

/// A proof that an event is on the record (C2SP tlog-proof), complete in itself: `bailiwick audit verify` checks it offline.
#[utoipa::path(get, path = "/v1/audit/events/{id}/proof", operation_id = "audit.proof", tag = "audit",
    params(("id" = String, Path)), responses((status = 200, description = "the proof", body = ProofAnswer)))]
async fn proof(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    At(id): At<EventId>,
) -> Result<Json<ProofAnswer>, Refused> {
    let index = find(&app, id).await?.index;
    let mut published = app.log.published();
    let covered = published.wait_for(|size| *size > index);
    // Past the bound the proof itself says that no checkpoint covers the event yet.
    let _ = tokio::time::timeout(PUBLISHED_WITHIN, covered).await;
    let directory = app.log.directory();
    let proof = blocking(move || directory.prove(index)).await?;
    let proof = proof.map_err(|error: ProveError| Refused(error.problem()))?;
    let proof = proof.to_string();
    Ok(Json(ProofAnswer { index, proof }))
}

/// Follows the record: each event as `data: {index, leaf_hash, leaf}`, with its index as id. `after` starts behind an index; without it
/// the stream starts with what comes next.
#[utoipa::path(get, path = "/v1/audit/tail", operation_id = "audit.tail", tag = "audit", params(Search),
    responses((status = 200, description = "a stream of events", body = String, content_type = "text/event-stream")))]
async fn tail(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    Query(mut conditions): Query<Conditions>,
) -> Result<Response, Refused> {
    let next = behind(&mut conditions)?.unwrap_or_else(|| app.log.size());
    let filter = filter(&conditions)?;
    let room = Arc::clone(&app.followers)
        .try_acquire_owned()
        .map_err(|_| {
            let message = "as many follow the record as the node takes at once";
            Refused::new(Code::Overloaded, message, "end another follower")
        })?;
    let stream = follow(app, filter, next, room);
    Ok(axum::response::sse::Sse::new(stream)
        .keep_alive(KeepAlive::default())
        .into_response())
}

/// The log of this node and the key that others verify it with.
#[utoipa::path(get, path = "/v1/audit/log", operation_id = "audit.log", tag = "audit",
    responses((status = 200, description = "the log", body = LogAnswer)))]
async fn log(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
) -> Result<Json<LogAnswer>, Refused> {
    let directory = app.log.directory();
    let note = blocking(move || directory.checkpoint()).await?;
    let note = note.map_err(unreadable)?;
    Ok(Json(LogAnswer {
        origin: app.log.origin().to_owned(),
        vkey: app.log_vkey.clone(),
        evidence_vkey: app.evidence_vkey.clone(),
        size: app.log.size(),
        checkpoint: note
            .map(|note| String::from_utf8_lossy(&app.witnesses.dressed(note)).into_owned()),
        witness: app.witnesses.standing(),
    }))
}

fn follow(
    app: Arc<App>,
    filter: Filter,
    next: u64,
    room: tokio::sync::OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Sse, Infallible>> {
    let state = (
        app,
        Arc::new(filter),
        next,
        Vec::<Recorded>::new().into_iter(),
        room,
    );
    unfold(
        state,
        |(app, filter, mut next, mut ready, room)| async move {
            loop {
                if let Some(one) = ready.next() {
                    let event = Sse::default().id(one.index.to_string());
                    let event = event.json_data(&one).ok()?;
                    return Some((Ok(event), (app, filter, next, ready, room)));
                }
                let mut durable = app.log.watch();
                let more = durable.wait_for(|size| *size > next);
                tokio::select! {
                    () = app.stop.cancelled() => return None,
                    grown = more => drop(grown.ok()?),
                }
                let (log, wanted) = (Arc::clone(&app.log), Arc::clone(&filter));
                let read = blocking(move || scan(&log, &wanted, next, BATCH, BATCH)).await;
                let scanned = match read {
                    Ok(Ok(scanned)) => scanned,
                    Ok(Err(error)) => {
                        tracing::error!(%error, "a follower of the record was ended");
                        return None;
                    }
                    Err(_) => return None,
                };
                next = scanned.next;
                ready = scanned.found.into_iter();
            }
        },
    )
}

/// Events that `filter` takes, from index `from` on: at most `limit` of at most `most` leaves.
fn scan(
    log: &Log,
    filter: &Filter,
    from: u64,
    limit: usize,
    most: usize,
) -> Result<Scanned, ReadError> {
    let mut scanned = Scanned {
        found: Vec::new(),
        next: from,
        more: false,
    };
    for (looked, entry) in log.read(from).enumerate() {
        if scanned.found.len() >= limit || looked >= most {
            scanned.more = true;
            break;
        }
        let entry = entry?;
        scanned.next = entry.index.saturating_add(1);
        if filter.matches(&entry.parse()?) {
            scanned.found.push(recorded(&entry)?);
        }
    }
    Ok(scanned)
}

fn recorded(entry: &Entry) -> Result<Recorded, ReadError> {
    let leaf = serde_json::from_slice(&entry.leaf).map_err(|source| ReadError::Leaf {
        index: entry.index,
        source,
    })?;
    Ok(Recorded {
        index: entry.index,
        leaf_hash: entry.leaf_hash(),
        leaf,
    })
}

pub(super) async fn find(app: &App, id: EventId) -> Result<Entry, Refused> {
    let directory = app.log.directory();
    let found = blocking(move || directory.find(id)).await?;
    found.map_err(unreadable)?.ok_or_else(|| {
        Refused::new(
            Code::NotFound,
            format!("there is no event {id} on the record"),
            "",
        )
    })
}

/// Where a page or stream starts, if `after` says so.
fn behind(conditions: &mut Conditions) -> Result<Option<u64>, Refused> {
    let after = conditions.remove("after");
    let after = after
        .map(|after| parse::<u64>("after", &after))
        .transpose()?;
    Ok(after.map(|index| index.saturating_add(1)))
}

pub(super) fn filter(conditions: &Conditions) -> Result<Filter, Refused> {
    let mut filter = Filter::default();
    for (key, value) in conditions {
        let set = filter.set(key, value);
        set.map_err(|error| Refused(error.problem()))?;
    }
    Ok(filter)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Refused::new(Code::Internal, format!("reading stopped: {error}"), ""))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the closure of map_err"
)]
fn unreadable(error: ReadError) -> Refused {
    Refused(error.problem())
}
