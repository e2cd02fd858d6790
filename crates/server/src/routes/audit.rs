//! The record: its events, their proofs, and a stream of what comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event as Sse, KeepAlive};
use axum::response::{IntoResponse, Response};
use bailiwick_audit::proof::ProveError;
use bailiwick_audit::read::{Entry, ReadError};
use bailiwick_control::{Actor, Operation};
use bailiwick_core::id::EventId;
use bailiwick_core::index::{Conditions, Cursor};
use bailiwick_core::{Code, Digest, Fault, Timestamp};
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::limit_of;
use crate::app::App;
use crate::http::input::parse;
use crate::http::{At, Query, Refused, guarded};
use crate::indexer::{Asked, Behind};
use crate::node::Former;
use crate::witnesses::Standing;

/// Leaves that a follower reads at once.
const BATCH: usize = 256;
/// How long a proof waits for the checkpoint that covers its event.
pub(super) const PUBLISHED_WITHIN: Duration = Duration::from_secs(5);

/// One event of the record. The hash is over the leaf's exact bytes.
#[derive(Debug, Serialize)]
pub(super) struct Recorded {
    pub(super) index: u64,
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
    /// The key before, as long as it signs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    former: Option<FormerKey>,
    /// The key that statements over bundles of evidence verify with.
    evidence_vkey: String,
    /// Durable events.
    size: u64,
    /// The newest published checkpoint, a C2SP signed note, with the cosignatures there are; none before the first.
    checkpoint: Option<String>,
    /// How far others vouch for it.
    witness: Standing,
}

/// A key of the log that was replaced and still signs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FormerKey {
    /// In text form.
    vkey: String,
    /// It signs until then, RFC 3339.
    #[schema(value_type = String)]
    until: Timestamp,
}

impl From<Former> for FormerKey {
    fn from(former: Former) -> Self {
        Self {
            vkey: former.vkey,
            until: former.until,
        }
    }
}

/// A new key of the log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RotationAnswer {
    /// In text form.
    vkey: String,
    /// The one before, which goes on signing for a time.
    former: FormerKey,
}

/// A page of events.
#[derive(Debug, Serialize)]
struct Found {
    items: Vec<Recorded>,
    /// What to send as `after` for the next page; null at the end.
    next: Option<String>,
    /// Set where events may be missing, because the index is behind the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    index_behind: Option<Behind>,
}

/// The logs that this node can answer for.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogsAnswer {
    items: Vec<LogStanding>,
}

/// One of them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LogStanding {
    #[serde(flatten)]
    log: LogAnswer,
    /// Events in the index without a gap.
    indexed: u64,
}

/// The query as it was written: `limit`, `after`, `wait`, and conditions, each once.
type Pairs = Vec<(String, String)>;

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
    /// Events of this task, or that name it as root, as parent or in the chain. Also: id, instance, user, actor, effect, code, label, lease,
    /// resource, node, cause.
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
    /// All of these words in tool, server, operation, code, policies or reasons.
    text: Option<String>,
    /// Not before this instant, RFC 3339, or day.
    since: Option<String>,
    /// Before this instant, RFC 3339, or day.
    until: Option<String>,
    /// Rows, 1 to 1000; 50 if not given.
    limit: Option<usize>,
    /// `next` of the page before; for the stream the id of an event of it, `node:index`.
    after: Option<String>,
    /// Wait until everything on record now is in the index, at most a minute. Not for the stream.
    wait: Option<bool>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .merge(guarded(app, Operation::Read, routes!(events)))
        .merge(guarded(app, Operation::Read, routes!(event)))
        .merge(guarded(app, Operation::Read, routes!(proof)))
        .merge(guarded(app, Operation::Read, routes!(tail)))
        .merge(guarded(app, Operation::Read, routes!(log)))
        .merge(guarded(app, Operation::Read, routes!(logs)))
        .merge(guarded(app, Operation::Reindex, routes!(reindex)))
        .merge(guarded(app, Operation::RotateLogKey, routes!(rotate_key)))
}

/// Events, oldest first by logical time. `index_behind` says that some may be missing.
#[utoipa::path(get, path = "/v1/audit/events", operation_id = "audit.events", tag = "audit", params(Search),
    responses((status = 200, description = "{items: [{index, leaf_hash, leaf}], next, index_behind?: {indexed, size}}", body = Object)))]
async fn events(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    Query(mut pairs): Query<Pairs>,
) -> Result<Json<Found>, Refused> {
    let limit = take(&mut pairs, "limit");
    let limit = limit.map(|limit| parse("limit", &limit)).transpose()?;
    let limit = limit_of(limit);
    let after = take(&mut pairs, "after");
    let after = after
        .map(|after| parse::<Cursor>("after", &after))
        .transpose()?;
    let wait = take(&mut pairs, "wait");
    let wait = wait.map(|wait| parse::<bool>("wait", &wait)).transpose()?;
    let conditions = conditions(&pairs)?;
    if wait == Some(true) {
        app.index.caught_up().await;
    }
    let index = Arc::clone(&app.index);
    let found = blocking(move || index.search(conditions, after.as_ref(), limit)).await?;
    let found = found.map_err(|error| Refused(error.problem()))?;
    let items: Result<_, _> = found.events.iter().map(recorded).collect();
    Ok(Json(Found {
        items: items.map_err(unreadable)?,
        next: found.next.map(|next| next.to_string()),
        index_behind: found.behind,
    }))
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

/// Follows the record: each event as `data: {index, leaf_hash, leaf}`, with `node:index` as id. `Last-Event-ID` or `after` start behind such
/// an id; without either the stream starts with what comes next.
#[utoipa::path(get, path = "/v1/audit/tail", operation_id = "audit.tail", tag = "audit",
    params(Search, ("Last-Event-ID" = Option<String>, Header, description = "id of the last event that was seen")),
    responses((status = 200, description = "a stream of events", body = String, content_type = "text/event-stream")))]
async fn tail(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
    headers: HeaderMap,
    Query(mut pairs): Query<Pairs>,
) -> Result<Response, Refused> {
    let after = take(&mut pairs, "after");
    let last = headers
        .get("last-event-id")
        .map(|id| id.to_str().unwrap_or_default());
    let next = match last.or(after.as_deref()) {
        Some(id) => behind(&app, id)?,
        None => app.log.size(),
    };
    let asked = app.index.asked(conditions(&pairs)?);
    let room = Arc::clone(&app.followers)
        .try_acquire_owned()
        .map_err(|_| {
            let message = "as many follow the record as the node takes at once";
            Refused::new(Code::Overloaded, message, "end another follower")
        })?;
    let stream = follow(app, asked, next, room);
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
    Ok(Json(own(&app).await?))
}

/// The logs that this node can answer for, and how far their index is.
#[utoipa::path(get, path = "/v1/audit/logs", operation_id = "audit.logs", tag = "audit",
    responses((status = 200, description = "the logs", body = LogsAnswer)))]
async fn logs(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
) -> Result<Json<LogsAnswer>, Refused> {
    let indexed = app.index.indexed();
    let log = own(&app).await?;
    Ok(Json(LogsAnswer {
        items: vec![LogStanding { log, indexed }],
    }))
}

/// Drops the index, which is then made again from the record. Answers say meanwhile that they are behind.
#[utoipa::path(post, path = "/v1/audit/reindex", operation_id = "audit.reindex", tag = "audit",
    responses((status = 202, description = "it has begun; size is what there is to index", body = Behind)))]
async fn reindex(
    State(app): State<Arc<App>>,
    Extension(_reader): Extension<Actor>,
) -> Result<(StatusCode, Json<Behind>), Refused> {
    let index = Arc::clone(&app.index);
    let begun = blocking(move || index.reindex()).await?;
    begun.map_err(|error| Refused(error.problem()))?;
    let size = app.log.size();
    Ok((StatusCode::ACCEPTED, Json(Behind { indexed: 0, size })))
}

/// Makes a new key for the log's checkpoints. That is on record before it signs; the key before signs too for a week, and is destroyed then.
#[utoipa::path(post, path = "/v1/audit/key-rotations", operation_id = "audit.rotate_key", tag = "audit",
    responses((status = 201, description = "the new key", body = RotationAnswer)))]
async fn rotate_key(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
) -> Result<(StatusCode, Json<RotationAnswer>), Refused> {
    // In a task of its own: a client that goes away does not leave half of it waiting for the next look.
    let work = tokio::spawn(async move {
        let former = app.log_keys.rotate(&actor).await?;
        let vkey = app.log.vkey();
        let former = former.into();
        Ok(RotationAnswer { vkey, former })
    });
    let done = work.await;
    let done =
        done.map_err(|error| Refused::new(Code::Internal, format!("it stopped: {error}"), ""))?;
    Ok((StatusCode::CREATED, Json(done.map_err(Refused)?)))
}

async fn own(app: &App) -> Result<LogAnswer, Refused> {
    let directory = app.log.directory();
    let note = blocking(move || directory.checkpoint()).await?;
    let note = note.map_err(unreadable)?;
    let former = app.log_keys.former().await.map_err(Refused)?;
    Ok(LogAnswer {
        origin: app.log.origin().to_owned(),
        vkey: app.log.vkey(),
        former: former.map(FormerKey::from),
        evidence_vkey: app.evidence_vkey.clone(),
        size: app.log.size(),
        checkpoint: note
            .map(|note| String::from_utf8_lossy(&app.witnesses.dressed(note)).into_owned()),
        witness: app.witnesses.standing(),
    })
}

/// Somebody who follows the record.
struct Follower {
    app: Arc<App>,
    asked: Asked,
    next: u64,
    ready: VecDeque<Recorded>,
    _room: OwnedSemaphorePermit,
}

fn follow(
    app: Arc<App>,
    asked: Asked,
    next: u64,
    room: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Sse, Infallible>> {
    let follower = Follower {
        app,
        asked,
        next,
        ready: VecDeque::new(),
        _room: room,
    };
    unfold(follower, |mut follower| async move {
        loop {
            if let Some(one) = follower.ready.pop_front() {
                let id = format!("{}:{}", follower.app.node, one.index);
                let event = Sse::default().id(id).json_data(&one).ok()?;
                return Some((Ok(event), follower));
            }
            let mut durable = follower.app.log.watch();
            let more = durable.wait_for(|size| *size > follower.next);
            tokio::select! {
                () = follower.app.stop.cancelled() => return None,
                grown = more => drop(grown.ok()?),
            }
            follower = match blocking(move || follower.read()).await {
                Ok(Ok(follower)) => follower,
                Ok(Err(error)) => {
                    tracing::error!(%error, "a follower of the record was ended");
                    return None;
                }
                Err(_) => return None,
            };
        }
    })
}

impl Follower {
    /// Reads the next leaves and keeps those that are wanted.
    fn read(mut self) -> Result<Self, ReadError> {
        let app = Arc::clone(&self.app);
        for entry in app.log.read(self.next).take(BATCH) {
            let entry = entry?;
            self.next = entry.index.saturating_add(1);
            if self.asked.row(&entry)?.is_some() {
                self.ready.push_back(recorded(&entry)?);
            }
        }
        Ok(self)
    }
}

pub(super) fn recorded(entry: &Entry) -> Result<Recorded, ReadError> {
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
    let index = Arc::clone(&app.index);
    let found = blocking(move || index.find(id)).await?;
    let found = found.map_err(|error| Refused(error.problem()))?;
    found.ok_or_else(|| {
        Refused::new(
            Code::NotFound,
            format!("there is no event {id} on the record"),
            "",
        )
    })
}

/// The leaf behind the event with this id in a stream: `node:index`, or the index alone.
fn behind(app: &App, id: &str) -> Result<u64, Refused> {
    let index = match id.split_once(':') {
        Some((node, index)) if node == app.node.as_str() => index,
        Some(_) => {
            let message = format!("{id:?} is no event of the log of {}", app.node);
            return Err(Refused::new(
                Code::InvalidInput,
                message,
                "start without it",
            ));
        }
        None => id,
    };
    Ok(parse::<u64>("after", index)?.saturating_add(1))
}

/// Takes the one value of a parameter that is no condition.
fn take(pairs: &mut Pairs, name: &str) -> Option<String> {
    let at = pairs.iter().position(|(key, _)| key == name)?;
    Some(pairs.remove(at).1)
}

fn conditions(pairs: &Pairs) -> Result<Conditions, Refused> {
    let mut conditions = Conditions::default();
    for (key, value) in pairs {
        let set = conditions.set(key, value);
        set.map_err(|error| Refused(error.problem()))?;
    }
    Ok(conditions)
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
