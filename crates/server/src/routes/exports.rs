//! Exports of the record: one request, one stream. Shapes of lines are made while they are sent, so a client that goes away ends the work;
//! a stream that breaks off was not complete.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use axum::body::Body as Stream;
use axum::extract::{Extension, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bailiwick_audit::export::{
    Evidence, ExportError, Exporter, Jsonl, Ocsf, Otlp, Prov, Selection, export,
};
use bailiwick_audit::filter::Filter;
use bailiwick_control::{Actor, Operation};
use bailiwick_core::index::Conditions;
use bailiwick_core::{Code, Digest, Fault};
use bytes::{Bytes, BytesMut};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::audit::{PUBLISHED_WITHIN, blocking};
use super::privacy::said;
use crate::app::App;
use crate::http::{Body, Refused, guarded};

/// Most events of one export; the next one goes on behind them.
pub const MAX_EVENTS: u64 = 1_000_000;
/// Most events whose values one bundle discloses; each is an event of its own on the record.
pub const MAX_DISCLOSED: usize = 1_000;
/// Writes an export.
type Job = Box<dyn FnOnce(&mut dyn Write) -> Result<(), ExportError> + Send>;

/// Bytes of a piece of a stream.
const PIECE: usize = 64 << 10;
/// Pieces that wait to be sent.
const MAX_PIECES: usize = 8;

/// The shapes that the API gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportShape {
    /// One line an event, `{origin, index, leaf_hash, leaf}`.
    Jsonl,
    /// One line an event, OCSF 1.8.0.
    Ocsf,
    /// Requests of OTLP in JSON, one a line.
    Otlp,
    /// One PROV-JSON document.
    Prov,
    /// A tar archive that proves the events to others.
    Evidence,
}

/// What to export.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportBody {
    /// The shape.
    shape: ExportShape,
    /// Conditions, as the parameters of a search.
    #[serde(default)]
    conditions: BTreeMap<String, String>,
    /// Go on behind this index.
    after: Option<u64>,
    /// Most events, 1 to 1,000,000; for evidence at most 10,000.
    limit: Option<u64>,
    /// Evidence only: disclose the kept values of the events. Takes the role operator and a reason; each is on record first.
    #[serde(default)]
    reveal: bool,
    /// Why values are disclosed.
    reason: Option<String>,
}

pub(super) fn routes(app: &Arc<App>) -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().merge(guarded(app, Operation::Read, routes!(start)))
}

fn conditions(pairs: &BTreeMap<String, String>) -> Result<Conditions, Refused> {
    let mut conditions = Conditions::default();
    for (key, value) in pairs {
        let set = conditions.set(key, value);
        set.map_err(|error| Refused(error.problem()))?;
    }
    Ok(conditions)
}

/// Exports events in a shape that other people's tools read. Parquet is written by the command line and by `[audit] export`.
#[utoipa::path(post, path = "/v1/audit/exports", operation_id = "audit.export", tag = "audit", request_body = ExportBody,
    responses((status = 200, description = "the export, as a stream", body = String, content_type = "application/octet-stream")))]
async fn start(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Body(body): Body<ExportBody>,
) -> Result<Response, Refused> {
    let wanted = conditions(&body.conditions)?;
    let limit = body.limit.unwrap_or(MAX_EVENTS).min(MAX_EVENTS);
    let from = body.after.map_or(0, |after| after.saturating_add(1));
    let evidence = body.shape == ExportShape::Evidence;
    if body.reveal {
        if !evidence {
            let message = "values are disclosed only in a bundle of evidence";
            return Err(Refused::new(
                Code::InvalidInput,
                message,
                "leave out `reveal`",
            ));
        }
        actor.may(Operation::Reveal).map_err(Refused)?;
        said("reason", body.reason.as_deref().unwrap_or_default())?;
    }
    let room = Arc::clone(&app.exports).try_acquire_owned().map_err(|_| {
        let message = "as many exports run as the node takes at once";
        Refused::new(Code::Overloaded, message, "try again when one has ended")
    })?;
    let (pieces, stream) = mpsc::channel(MAX_PIECES);
    let (kind, job): (_, Job) = if evidence {
        let bundle = bundle(&app, &actor, &body, &wanted, from, limit).await?;
        let signer = Arc::clone(&app.evidence);
        let write = move |out: &mut dyn Write| bundle.write(Some(&signer), out);
        ("application/x-tar", Box::new(write))
    } else {
        let log = Arc::clone(&app.log);
        let shape = body.shape;
        let until = log.size();
        // What comes while it is written is the next export's.
        let entries = app.index.wanted(wanted, from, until);
        let write = move |out: &mut dyn Write| {
            let mut exporter: Box<dyn Exporter + '_> = match shape {
                ExportShape::Ocsf => Box::new(Ocsf(out)),
                ExportShape::Otlp => Box::new(Otlp::new(out)),
                ExportShape::Prov => Box::new(Prov::new(out)),
                ExportShape::Jsonl | ExportShape::Evidence => Box::new(Jsonl(out)),
            };
            let selection = Selection {
                origin: log.origin(),
                filter: &Filter::default(),
                limit,
            };
            export(entries, &selection, &mut *exporter).map(drop)
        };
        let kind = if shape == ExportShape::Prov {
            "application/json"
        } else {
            "application/x-ndjson"
        };
        (kind, Box::new(write))
    };
    tokio::task::spawn_blocking(move || {
        let _room = room;
        let mut out = Pieces {
            pieces,
            waiting: BytesMut::new(),
        };
        if let Err(error) = job(&mut out).and_then(|()| Ok(out.flush()?)) {
            // The stream ends without its end, so that nobody takes it for whole.
            tracing::warn!(error = %error.problem(), "an export broke off");
            let broken = io::Error::other("the export broke off");
            let _ = out.pieces.blocking_send(Err(broken));
        }
    });
    let body = Stream::from_stream(ReceiverStream::new(stream));
    Ok(([(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response())
}

/// A bundle of the events that a checkpoint covers by now, with what may be disclosed of them.
async fn bundle(
    app: &Arc<App>,
    actor: &Actor,
    body: &ExportBody,
    wanted: &Conditions,
    from: u64,
    limit: u64,
) -> Result<Evidence, Refused> {
    let mut published = app.log.published();
    let size = app.log.size();
    // Past the bound the bundle has what is covered.
    let _ = tokio::time::timeout(
        PUBLISHED_WITHIN,
        published.wait_for(|covered| *covered >= size),
    )
    .await;
    let conditions = body
        .conditions
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    let conditions: Vec<String> = conditions.collect();
    let (directory, index, wanted) = (app.log.directory(), Arc::clone(&app.index), wanted.clone());
    let taken = blocking(move || {
        let mut evidence = Evidence::begin(directory, conditions, size)?;
        let origin = evidence.origin().to_owned();
        let selection = Selection {
            origin: &origin,
            filter: &Filter::default(),
            limit,
        };
        let entries = index.wanted(wanted, from, evidence.size());
        let mut kept = Kept {
            evidence: &mut evidence,
            sealed: Vec::new(),
        };
        export(entries, &selection, &mut kept)?;
        let sealed = kept.sealed;
        Ok::<_, ExportError>((evidence, sealed))
    });
    let (mut evidence, sealed) = taken.await?.map_err(|error| Refused(error.problem()))?;
    let versions: Vec<Digest> = evidence.policies().iter().copied().collect();
    for version in versions {
        // One that is no longer kept is named as missing by the statement.
        if let Ok(source) = app.control.bundle_source(version).await {
            evidence
                .policy(source.canonical())
                .map_err(|error| Refused(error.problem()))?;
        }
    }
    if body.reveal {
        if sealed.len() > MAX_DISCLOSED {
            let message = format!(
                "{} events have kept values, and one bundle discloses at most {MAX_DISCLOSED}",
                sealed.len()
            );
            return Err(Refused::new(
                Code::TooLarge,
                message,
                "narrow the conditions",
            ));
        }
        let reason = said("reason", body.reason.as_deref().unwrap_or_default())?;
        for index in sealed {
            match app.log.reveal(index, &actor.on_record(), reason).await {
                Ok(values) => evidence
                    .disclose(index, &values)
                    .map_err(|error| Refused(error.problem()))?,
                // What was erased stays a commitment.
                Err(error) if error.code() == Code::PayloadErased => {}
                Err(error) => return Err(Refused(error.problem())),
            }
        }
    }
    Ok(evidence)
}

/// Remembers which events have kept values.
struct Kept<'a> {
    evidence: &'a mut Evidence,
    sealed: Vec<u64>,
}

impl Exporter for Kept<'_> {
    fn take(&mut self, record: &bailiwick_audit::export::Recorded<'_>) -> Result<(), ExportError> {
        if record.leaf.sealed.iter().any(|commitment| commitment.kept) {
            self.sealed.push(record.index);
        }
        self.evidence.take(record)
    }

    fn finish(&mut self) -> Result<(), ExportError> {
        self.evidence.finish()
    }
}

/// Writes into a stream, in pieces; waits while nobody takes them.
struct Pieces {
    pieces: mpsc::Sender<io::Result<Bytes>>,
    waiting: BytesMut,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let piece = self.waiting.split().freeze();
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.pieces.blocking_send(Ok(piece)).map_err(gone)
    }
}
